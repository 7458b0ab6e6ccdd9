"""The size budget, the first sentences and the forbidden words of the style are kept; offenders are printed."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILE_LINES, FUNCTION_LINES, MEDIAN_LINES = 400, 40, 8
SOURCES = sorted((ROOT / "glowviz").rglob("*.py"))
SCRIPTS = sorted((ROOT / "assets").rglob("*.js"))
FORBIDDEN = ("Manager", "Helper", "Util")


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))


def length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def test_files_stay_small() -> None:
    long = {str(p.relative_to(ROOT)): n for p in (*SOURCES, *SCRIPTS) if (n := p.read_text().count("\n")) > FILE_LINES}
    assert not long, f"files over {FILE_LINES} lines: {long}"


def test_functions_stay_small() -> None:
    lengths = []
    long = {}
    for path in SOURCES:
        for node in functions(ast.parse(path.read_text())):
            lengths.append(length(node))
            if length(node) > FUNCTION_LINES:
                long[f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"] = length(node)
    assert not long, f"functions over {FUNCTION_LINES} lines: {long}"
    assert sorted(lengths)[len(lengths) // 2] <= MEDIAN_LINES


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_module_opens_with_a_sentence(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text())) or ""
    first = docstring.split("\n\n")[0].strip()
    assert first, f"{path} has no first sentence"


def test_signatures_are_typed() -> None:
    untyped = []
    for path in SOURCES:
        for node in functions(ast.parse(path.read_text())):
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            named = [a for a in arguments if a.arg not in ("self", "cls")]
            if node.returns is None or any(a.annotation is None for a in named):
                untyped.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}")
    assert not untyped, f"signatures without types: {untyped}"


def test_names_are_nouns_of_the_field() -> None:
    bad = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and any(word in node.name for word in FORBIDDEN):
                bad.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}")
    assert not bad, f"names that say nothing: {bad}"
