"""What the docs say about ops, passes, commands and variables is what the code says."""

from __future__ import annotations

import argparse
import re
import tomllib
from pathlib import Path

import pytest

from glowviz import __version__
from glowviz.cli.arguments import COMMANDS, parser
from glowviz.cli.tables import markdown, pass_rows
from glowviz.compiler.backends import BACKENDS
from glowviz.compiler.importer.limits import NEWEST
from glowviz.compiler.ops.table import rows
from glowviz.gallery import cards

DOCS = Path(__file__).parent.parent / "docs"
README = (DOCS.parent / "README.md").read_text(encoding="utf-8")
MAKEFILE = (DOCS.parent / "Makefile").read_text(encoding="utf-8")
PAGES = [DOCS.parent / "README.md", DOCS.parent / "CHANGELOG.md", *sorted(DOCS.glob("*.md"))]
VARIABLES = ("GLOWVIZ_RECORD", "GLOWVIZ_DEBUG", "GLOWVIZ_CACHE", "GLOWVIZ_KEEP", "GLOWVIZ_CHROMIUM")


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


def test_the_readme_example_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (example,) = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(compile(example, "README.md", "exec"), {})
    said = capsys.readouterr().out
    assert said.splitlines()[0] == "7"
    assert "conv_bn at norm.out because " in said
    assert "bytes of activations; no plan is below" in said
    assert "retq" in said.split()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text(encoding="utf-8")):
        if not target.startswith(("http://", "https://")):
            assert (path.parent / target).exists(), f"{path.name} links to {target}"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_commands_in_the_docs_exist(path: Path) -> None:
    """Every `glowviz WORD …` of a page is a command, a model or an option."""
    for word in re.findall(r"(?:`|^\$ )glowviz ([a-z]+)\b(?![.:/])", path.read_text(encoding="utf-8"), re.MULTILINE):
        assert word in COMMANDS, f"{path.name} speaks of `glowviz {word}`"


@pytest.mark.parametrize("name", re.findall(r"^([a-z-]+):.*##", MAKEFILE, re.MULTILINE))
def test_make_lists_its_commands(name: str) -> None:
    assert name in re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)[0].split()


def test_the_readme_comes_to_the_point() -> None:
    before_api = README.split("## From Python")[0]
    assert before_api.index("make run") < before_api.index("make test") < before_api.index("pip install")
    for picture in re.findall(r"\]\((docs/pictures/\S+)\)", README):
        assert 10_000 < (DOCS.parent / picture).stat().st_size < 262_144
    assert "docs/pictures/fold_batchnorm.png" in README


def test_the_architecture_names_the_folders_there_are() -> None:
    text = (DOCS / "ARCHITECTURE.md").read_text(encoding="utf-8")
    tree = text.split("## The tree")[1].split("```")[1]
    named = set(re.findall(r"(?:^|\s)([a-z_]+)/", tree))
    there = {path.name for path in (DOCS.parent / "glowviz").rglob("*") if (path / "__init__.py").is_file()}
    assets = {path.name for path in (DOCS.parent / "assets").iterdir() if path.is_dir()}
    top = {path.name for path in DOCS.parent.iterdir() if path.is_dir() and not path.name.startswith((".", "_"))}
    assert named >= (there | assets), f"not in the tree: {(there | assets) - named}"
    assert named <= there | assets | top | {"golden", "browser"}, "named, but not there"
    files = set(re.findall(r"\b([a-z_]+\.py)\b", tree))
    assert files <= {path.name for folder in ("glowviz", "docs") for path in (DOCS.parent / folder).rglob("*.py")}
    compiler = {path.name for path in (DOCS.parent / "glowviz" / "compiler").glob("*.py")} - {"__init__.py"}
    assert compiler <= files, f"not in the tree: {compiler - files}"


def test_the_architecture_has_the_layers_that_are_checked() -> None:
    contracts = tomllib.loads((DOCS.parent / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = [layer.replace("glowviz.", "") for contract in contracts[:2] for layer in contract["layers"]]
    text = (DOCS / "ARCHITECTURE.md").read_text(encoding="utf-8").split("## Who may import whom")[1].split("```")[1]
    written = re.sub(r"inside the compiler:", ">", " ".join(text.split()))
    assert [part.strip() for part in written.split(">") if part.strip()] == layers


def test_the_readme_counts_the_operations() -> None:
    (count,) = re.findall(r"(\d+) of its operations", README)
    assert int(count) == sum(bool(row["onnx"]) for row in rows())
    assert f"opsets 7 to {NEWEST}" in README


def test_the_readme_counts_the_gallery() -> None:
    words = {"six": 6, "seven": 7, "eight": 8}
    (count,) = re.findall(r"the gallery: (\w+) models", README)
    assert words[count] == len(cards())
    assert min(card.nodes for card in cards()) == int(re.findall(r"from (\d+) nodes", README)[0])


def test_the_change_log_has_this_version() -> None:
    assert f"## {__version__}" in (DOCS.parent / "CHANGELOG.md").read_text(encoding="utf-8")
