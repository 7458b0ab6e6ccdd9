"""What the docs say about ops, passes, commands and variables is what the code says."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from glowviz.cli.arguments import COMMANDS, parser
from glowviz.cli.tables import markdown, pass_rows
from glowviz.compiler.backends import BACKENDS
from glowviz.compiler.ops.table import rows

DOCS = Path(__file__).parent.parent / "docs"
VARIABLES = ("GLOWVIZ_RECORD", "GLOWVIZ_DEBUG", "GLOWVIZ_CACHE", "GLOWVIZ_CHROMIUM")


def table_of(name: str) -> str:
    text = (DOCS / name).read_text()
    return "\n".join(line for line in text.splitlines() if line.startswith("|"))


def test_op_table_is_current() -> None:
    assert table_of("ops.md") == markdown(rows()), "run `make docs`"


def test_pass_table_is_current() -> None:
    assert table_of("passes.md") == markdown(pass_rows()), "run `make docs`"


@pytest.mark.parametrize("command", [c for c in COMMANDS if c != "serve"])
def test_every_command_is_in_the_docs(command: str) -> None:
    assert f"glowviz {command}" in (DOCS / "command-line.md").read_text()


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_backend_is_in_the_docs(backend: str) -> None:
    assert f"`{backend}`" in (DOCS / "command-line.md").read_text()


@pytest.mark.parametrize("name", VARIABLES)
def test_every_variable_is_in_the_docs(name: str) -> None:
    assert name in (DOCS / "command-line.md").read_text()


def test_every_option_has_a_parser() -> None:
    actions = [a for a in parser()._actions if isinstance(a, argparse._SubParsersAction)]
    assert set(actions[0].choices) == set(COMMANDS)


@pytest.mark.parametrize("topic", ["op", "pass", "backend", "view"])
def test_adding_things_is_explained(topic: str) -> None:
    text = (DOCS / f"adding-{'an' if topic == 'op' else 'a'}-{topic}.md").read_text()
    assert len(text.splitlines()) > 20
