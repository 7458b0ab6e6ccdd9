"""The order of instructions is a topological one, and its live set never peaks above the graph's own order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glowviz.compiler.graph import Graph, Node, Output
from glowviz.compiler.interpreter import run_program, sample_inputs
from glowviz.compiler.irgen import irgen, live_peak, schedule
from glowviz.compiler.irgen.schedule import EXACT_LIMIT
from glowviz.compiler.memory import plan_memory
from glowviz.compiler.ops import Add, Concat, Relu
from glowviz.compiler.text import parse_graph
from glowviz.compiler.types import Type
from glowviz.compiler.verify import verify_graph, verify_plan, verify_program


@st.composite
def networks(draw: st.DrawFn) -> Graph:
    """Nodes that join 1 to 3 earlier values, of very different sizes."""
    sizes: dict[str, int] = {"x": draw(st.integers(1, 64))}
    nodes: dict[str, Node] = {}
    for k in range(draw(st.integers(1, 14))):
        operands = tuple(draw(st.lists(st.sampled_from(list(sizes)), min_size=1, max_size=3)))
        name = f"n{k}"
        size = sum(sizes[o] for o in operands) if len(operands) > 1 else sizes[operands[0]]
        op = Concat(operands, 0) if len(operands) > 1 else Relu(operands[0])
        if size > 4096:
            continue
        sizes[name] = size
        nodes[name] = Node(op, (name,), (Type("f32", (size,)),))
    returned = draw(st.lists(st.sampled_from(list(sizes)), min_size=1, max_size=3, unique=True))
    outputs = tuple(Output(f"out_{value}", value) for value in returned)
    return Graph("g", {"x": Type("f32", (sizes["x"],))}, {}, nodes, outputs)


def peak_by_hand(graph: Graph, order: tuple[Node, ...]) -> int:
    """The largest sum of values that are made and still needed, straight from the definition."""
    peak = 0
    for k in range(len(order)):
        needed = {o for node in order[k:] for o in node.op.operands} | set(graph.returned)
        live = [r for node in order[: k + 1] for r in node.results if r in needed or node is order[k]]
        peak = max(peak, sum(graph.type(r).bytes for r in live))
    return peak


@settings(deadline=None, max_examples=150)
@given(networks())
def test_the_schedule_is_never_worse_than_the_graphs_order(graph: Graph) -> None:
    verify_graph(graph)
    plan = schedule(graph)
    assert sorted(n.name for n in plan.nodes) == sorted(graph.nodes)
    done = set(graph.inputs)
    for node in plan.nodes:
        assert done.issuperset(node.op.operands)
        done.update(node.results)
    assert plan.peak <= live_peak(graph, tuple(graph))[0]
    assert plan.peak == peak_by_hand(graph, plan.nodes)
    assert plan.peak == min(peak for _, peak in plan.tried)


@settings(deadline=None, max_examples=40)
@given(networks())
def test_the_program_in_that_order_computes_the_same(graph: Graph) -> None:
    program = irgen(graph)
    verify_program(program)
    planned, plan = plan_memory(program, seconds=0.0)
    verify_plan(planned, plan)
    inputs = sample_inputs(graph)
    plain, placed = run_program(program, inputs), run_program(planned, inputs, plan)
    for name, array in plain.items():
        assert np.array_equal(array, placed[name])


WIDE = """graph @g(%x: f32[8]) {
  const %n: i64[1] = [4096]
  %a: f32[4096] = Expand(%one, %n)
  %b: f32[4096] = Expand(%two, %n)
  %sa: f32[1] = ReduceSum(%a) {axes=[0]}
  %sb: f32[1] = ReduceSum(%b) {axes=[0]}
  %y: f32[1] = Add(%sa, %sb)
  return "y"=%y
}"""


def test_a_better_order_is_found_and_named() -> None:
    """Two big values that the graph makes side by side are made one after the other."""
    graph = parse_graph(WIDE.replace("%x: f32[8]", "%one: f32[1], %two: f32[1]"))
    verify_graph(graph)
    plan = schedule(graph)
    tried = dict(plan.tried)
    assert tried["graph order"] == 2 * 4096 * 4 + 4
    assert plan.peak == 4096 * 4 + 8
    assert plan.algorithm != "graph order"
    assert plan.peak_at in ("sa", "sb", "a", "b")


def test_ties_keep_the_graphs_own_order() -> None:
    types = (Type("f32", (4,)),)
    nodes = {n: Node(Relu("x"), (n,), types) for n in ("a", "b")} | {"y": Node(Add("a", "b"), ("y",), types)}
    graph = Graph("g", {"x": types[0]}, {}, nodes, (Output("y", "y"),))
    assert schedule(graph).algorithm == "graph order"
    assert [n.name for n in schedule(graph).nodes] == ["a", "b", "y"]


@pytest.mark.parametrize("count", [EXACT_LIMIT - 1, EXACT_LIMIT + 1])
def test_long_chains_are_ordinary(count: int) -> None:
    types = (Type("f32", (4,)),)
    nodes = {f"n{k}": Node(Relu(f"n{k - 1}" if k else "x"), (f"n{k}",), types) for k in range(count)}
    plan = schedule(Graph("g", {"x": types[0]}, {}, nodes, (Output("y", f"n{count - 1}"),)))
    assert len(plan.nodes) == count
    assert plan.peak == 2 * 16
