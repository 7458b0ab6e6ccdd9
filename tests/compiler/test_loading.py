"""Files and functions are loaded from here and elsewhere, get their place, and are refused in words."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from glowviz.compiler.loading import load, read_loading, settled
from glowviz.compiler.pipeline import GRAPH_STAGES, PROGRAM_STAGES, arranged, snapshots, with_loaded
from glowviz.compiler.problem import Problem
from glowviz.compiler.rewrite import PASSES, PassProblem
from glowviz.compiler.text import parse_graph

TEXT = """
from glowviz.compiler.program import Program
from glowviz.compiler.rewrite import graph_pass

def first(graph):
    return graph

def second(graph):
    return graph

def forgets(graph):
    graph.evolve()

def on_programs(program: Program) -> Program:
    return program

def takes_nothing():
    return None

@graph_pass(tolerance=0.5)
def declared(graph):
    return graph

@graph_pass(tolerance=0.25)
def cse(graph):
    return graph

NUMBER = 3
"""
GRAPH = parse_graph('graph @g(%x: f32[2]) {\n  %y: f32[2] = Relu(%x)\n  return "y"=%y\n}')


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a module in the current folder; what it declares is forgotten."""
    name = f"loaded_by_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(TEXT)
    monkeypatch.chdir(tmp_path)
    kept, modules = dict(PASSES), set(sys.modules)
    yield name
    for one in set(sys.modules) - modules:
        del sys.modules[one]
    PASSES.clear()
    PASSES.update(kept)


def order() -> list[str]:
    return [name for stage in arranged(None) for name in stage.passes]


def test_a_function_runs_before_lower_and_others_of_its_module_stay_out(module: str) -> None:
    before = dict(PASSES)
    load([f"{module}:first", f"{module}:second"])
    assert set(PASSES) - set(before) == {"first", "second"}
    assert PASSES["cse"] is before["cse"]
    names = order()
    at = names.index("lower")
    assert names[at - 2:at] == ["first", "second"]
    assert PASSES["first"].tolerance == 0
    assert [name for name, _ in snapshots(GRAPH, target="interpreter")].count("first") == 1


def test_a_function_runs_behind_the_pass_that_is_named(module: str) -> None:
    load([f"{module}:first", f"{module}:second", f"{module}:declared@bind_shapes"], after="fuse")
    names = order()
    assert names[1] == "declared"
    assert names[names.index("fuse") + 1:][:2] == ["first", "second"]
    assert PASSES["declared"].tolerance == 0.5
    assert [stage.name for stage in arranged(None)] == [stage.name for stage in GRAPH_STAGES]


def test_a_place_that_is_none_is_refused(module: str) -> None:
    load([f"{module}:first@tea"])
    with pytest.raises(PassProblem, match="first is to run after 'tea', which is none of: bind_shapes"):
        arranged(None)


def test_an_order_that_names_it_decides(module: str) -> None:
    load([f"{module}:first"])
    given = {stage.name: list(stage.passes) for stage in GRAPH_STAGES}
    given["Import"].append("first")
    names = [name for stage in arranged(given) for name in stage.passes]
    assert names.count("first") == 1
    assert names[3] == "first"


def test_a_function_on_programs_runs_behind_the_last_program_pass(module: str) -> None:
    load([f"{module}:on_programs"])
    assert "on_programs" not in order()
    stages = with_loaded(PROGRAM_STAGES, on_programs=True)
    assert stages[-1].passes[-1] == "on_programs"
    assert "on_programs" in [name for name, _ in snapshots(GRAPH, target="interpreter")]


def test_a_pass_takes_the_place_of_its_name(module: str) -> None:
    load([f"{module}:cse"])
    assert PASSES["cse"].tolerance == 0.25
    assert order() == [name for stage in GRAPH_STAGES for name in stage.passes]


def test_a_file_declares_all_it_has_and_a_function_of_it_can_be_named(module: str) -> None:
    load([f"{module}.py"])
    assert PASSES["cse"].tolerance == 0.25
    assert "declared" not in order()
    load([f"{module}.py:first"])
    assert "first" in order()


def test_what_another_process_is_told_to_load(module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [settled(f"{module}:first", "fuse"), settled(f"{module}.py"), settled(f"{module}.py:second@dce", "fuse")]
    here = f"{tmp_path}/{module}.py"
    assert texts == [f"{here}:first@fuse", here, f"{here}:second@dce"]
    assert settled("json:dumps") == "json:dumps"
    monkeypatch.chdir("/")
    load([texts[0]])
    assert "first" in order()


def test_how_things_to_load_are_written() -> None:
    assert str(read_loading("a.b:c@dce")) == "a.b:c@dce"
    assert (read_loading("a.b:c").source, read_loading("a.b:c").function) == ("a.b", "c")
    assert read_loading("folder/file.py").function == ""


@pytest.mark.parametrize(("text", "words"), [
    ("{m}:third", "has no 'third'.*such as: .*first"),
    ("{m}:NUMBER", "NUMBER is no function"),
    ("{m}:takes_nothing", "takes no parameter"),
    ("nowhere_to_be_found:first", "There is no module 'nowhere_to_be_found' in this folder"),
    ("nowhere.to.be:first", "There is no module 'nowhere.to.be'"),
    ("missing.py", "missing.py is not there"),
    ("missing.py:first", "missing.py is not there"),
])
def test_what_cannot_be_loaded_is_told(module: str, text: str, words: str) -> None:
    with pytest.raises(Problem, match=words):
        load([text.replace("{m}", module)])


def test_a_function_that_returns_nothing_is_told(module: str) -> None:
    load([f"{module}:forgets"])
    with pytest.raises(Problem, match=r"forgets returned NoneType.*Let it return"):
        snapshots(GRAPH, target="interpreter")
