"""A Ledger verifies what a pass changed, and the whole IR where a pass may have changed it behind everybody's back."""

from __future__ import annotations

from typing import Any

import pytest

from glowviz.compiler.graph import Graph
from glowviz.compiler.ledger import Ledger
from glowviz.compiler.pipeline import compile as compile_graph
from glowviz.compiler.problem import Problem
from glowviz.compiler.program import Alloc, Program
from glowviz.compiler.rewrite import PASSES, Pass
from glowviz.compiler.target import Target
from glowviz.compiler.text import parse_graph
from glowviz.compiler.types import Type
from glowviz.compiler.verify import VerifyProblem


def sneaky(graph: Graph) -> Graph:
    """Changes the table of nodes of a graph that nobody may change, and gives the same graph back."""
    nodes: Any = graph.nodes
    nodes["a"] = nodes["a"].evolve(types=(Type("f64", (4,)),))
    return graph


def run(name: str, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = parse_graph('graph @g(%x: f32[4]) {\n  %a: f32[4] = Relu(%x)\n  return "y"=%a\n}')
    ledger.imported(graph, 0.0)
    monkeypatch.setitem(PASSES, name, Pass(name, sneaky, "graph", False, 0.0, "sneaky"))
    ledger.run(name, "Simplify", graph)


@pytest.mark.parametrize(("name", "everything"), [("lower", False), ("cse", True)])
def test_the_whole_graph_is_verified(name: str, everything: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(VerifyProblem, match="is said to be f64"):
        run(name, Ledger(Target("cpu"), verify_all=everything), monkeypatch)


def test_otherwise_what_is_the_same_object_counts_as_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    run("cse", Ledger(Target("cpu"), verify_all=False), monkeypatch)


def test_in_tests_everything_is_verified() -> None:
    assert Ledger(Target("cpu")).verify_all


def test_an_unwatched_compilation_names_the_pass_that_broke_a_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLOWVIZ_VERIFY", "changed")

    def forgetful(program: Program) -> Program:
        """Loses every Alloc; the passes behind it would go on with what is left."""
        return program.evolve(body=tuple(s for s in program.body if not isinstance(s, Alloc)))

    nodes = "  %a: f32[4] = Exp(%x)\n  %b: f32[4] = Sin(%a)\n  %c: f32[1] = ReduceSum(%b) {axes=[0]}\n"
    graph = parse_graph(f'graph @g(%x: f32[4]) {{\n{nodes}  return "y"=%c\n}}')
    broken = Pass("dse", forgetful, "program", False, 0.0, "forgetful")
    monkeypatch.setitem(PASSES, "dse", broken)
    with pytest.raises(Problem) as told:
        compile_graph(graph)
    assert "alloc" in str(told.value)
    recorded = []
    monkeypatch.setattr(Ledger, "_failed", lambda self, step, fault: recorded.append(step.name) or fault)
    with pytest.raises(Exception, match="alloc"):
        compile_graph(graph)
    assert recorded[0] == "dse"
