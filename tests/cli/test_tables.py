"""ops, passes and backends are tables for people, for programs and for the docs."""

from __future__ import annotations

import json

import pytest

from glowviz import __version__
from glowviz.cli import main
from glowviz.compiler.backends import BACKENDS
from glowviz.compiler.pipeline import pipeline_passes
from tests.cli.conftest import Command


@pytest.mark.parametrize(
    ("table", "key", "least"), [("ops", "op", 60), ("passes", "pass", 30), ("backends", "backend", 5)]
)
def test_a_table_in_three_forms(glowviz: Command, table: str, key: str, least: int) -> None:
    rows = json.loads(glowviz(table, "--json").out)
    assert len(rows) >= least
    text = glowviz(table).out.splitlines()
    assert len(text) == len(rows) + 1
    assert [line.split()[0] for line in text[1:]] == [row[key] for row in rows]
    marked = glowviz(table, "--markdown").out.splitlines()
    assert len(marked) == len(rows) + 2
    assert all(line.startswith("| ") and line.endswith(" |") for line in marked)
    columns = len(rows[0])
    assert all(line.replace("\\|", "").count("|") == columns + 1 for line in marked)


def test_the_tables_say_what_there_is(glowviz: Command) -> None:
    assert [row["pass"] for row in json.loads(glowviz("passes", "--json").out)] == list(pipeline_passes())
    assert [row["backend"] for row in json.loads(glowviz("backends", "--json").out)] == list(BACKENDS)
    assert {"Conv", "Gemm", "Softmax"} <= {row["op"] for row in json.loads(glowviz("ops", "--json").out)}


def test_every_command_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    from glowviz.cli.arguments import COMMANDS

    for command in ([], *([name] for name in COMMANDS)):
        with pytest.raises(SystemExit) as ended:
            main([*command, "--help"])
        assert ended.value.code == 0
        assert capsys.readouterr().out.startswith("usage: glowviz")


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"glowviz {__version__}\n"
