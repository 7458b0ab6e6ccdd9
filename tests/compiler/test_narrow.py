"""Of many changes the guilty ones are found, alone or together, in graphs and in programs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from glowviz.compiler.graph import Graph, constant
from glowviz.compiler.irgen import irgen
from glowviz.compiler.narrow import fewest, steps_between
from glowviz.compiler.ops import Add, Mul
from glowviz.compiler.program import Instr, Program
from glowviz.compiler.text import parse_graph, print_graph, print_program
from glowviz.compiler.validate import compare

TEXT = """graph @g(%x: f32[2x3]) {
  const %c: f32[3] = [1.0, 2.0, 3.0]
  %a: f32[2x3] = Add(%x, %c)
  %b: f32[2x3] = Mul(%a, %c)
  %d: f32[2x3] = Sub(%b, %x)
  %e: f32[2x3] = Relu(%d)
  return "y"=%e, "z"=%a
}"""
GRAPH = parse_graph(TEXT)


def changed(old: str, new: str) -> Graph:
    assert old in TEXT
    return parse_graph(TEXT.replace(old, new))


@pytest.mark.parametrize("guilty", [{3}, {0, 7}, {1, 2, 3}, set(range(8))])
def test_delta_debugging_finds_exactly_the_guilty(guilty: set[int]) -> None:
    asked = 0

    def shows(chosen: Sequence[str]) -> bool:
        nonlocal asked
        asked += 1
        return guilty <= {int(one) for one in chosen}

    assert {int(one) for one in fewest([str(n) for n in range(8)], shows)} == guilty
    assert asked <= 80


def test_every_kind_of_change_is_a_unit() -> None:
    after = changed("Sub(%b, %x)", "Sub(%x, %b)").evolve(outputs=GRAPH.outputs[::-1])
    after = after.evolve(constants={"c": constant("c", np.ones(3, np.float32))})
    steps = steps_between(GRAPH, changed("Sub(%b, %x)", "Sub(%x, %b)"))
    assert steps.units == ("%d",)
    assert steps.told("%d") == "%d: f32[2x3] = Sub(%b, %x) became Sub(%x, %b)"
    assert steps.names("%d") == ("d",)
    steps = steps_between(GRAPH, after.evolve(outputs=(type(GRAPH.outputs[0])("y", "d"), GRAPH.outputs[1])))
    assert steps.units == ("%d", "%c", "return y")
    assert steps.told("%c") == "%c = [1.0, 2.0, 3.0] became [1.0, 1.0, 1.0]"
    assert steps.names("%c") == ("a", "b")
    assert set(steps.names("return y")) == {"d", "e"}


def test_no_change_is_the_graph_before() -> None:
    after = changed("Mul(%a, %c)", "Mul(%a, %a)")
    assert print_graph(steps_between(GRAPH, after).apply(())) == print_graph(GRAPH)


def test_new_nodes_come_with_what_reads_them() -> None:
    after = changed("%b: f32[2x3] = Mul(%a, %c)", "%n: f32[2x3] = Neg(%a)\n  %b: f32[2x3] = Mul(%n, %c)")
    after = after.evolve(nodes={**after.nodes, "d": after.nodes["d"].evolve(op=Add("b", "x"))})
    steps = steps_between(GRAPH, after)
    assert steps.units == ("%b", "%d")
    assert "n" in steps.apply(("%b",)).nodes
    assert "n" not in steps.apply(("%d",)).nodes
    assert compare(steps.apply(steps.units), after).exact


def test_types_flow_behind_a_change() -> None:
    """One node computes fewer columns; those behind it follow, though nobody changed them."""
    text = """graph @g(%x: f32[2x4]) {
  const %starts: i64[1] = [0]
  const %ends: i64[1] = [3]
  const %axes: i64[1] = [1]
  %s: f32[2x{n}] = Slice(%x, %starts, %ends, %axes)
  %r: f32[2x{n}] = Relu(%s)
  %y: f32[2x1] = ReduceSum(%r) {axes=[1]}
  return "y"=%y
}"""
    before, after = parse_graph(text.replace("{n}", "3")), parse_graph(text.replace("{n}", "2").replace("[3]", "[2]"))
    steps = steps_between(before, after)
    assert steps.units == ("%ends",)
    assert compare(steps.apply(("%ends",)), after).exact


def test_what_cannot_stand_alone_is_no_snapshot() -> None:
    text = TEXT.replace("f32[2x3] = Add(%x, %c)", "f32[2x3] = Add(%x, %x)")
    after = parse_graph(text.replace("  %b: f32[2x3] = Mul(%a, %c)\n", "").replace("Sub(%b", "Sub(%a"))
    steps = steps_between(after, GRAPH)
    assert set(steps.units) == {"%a", "%d"}
    assert steps.apply(("%d",)) is not None


def test_changes_of_programs() -> None:
    before = irgen(GRAPH)
    target = next(s for s in before.instructions if s.value == "b")
    other = target.evolve(op=Mul(target.op.x, target.op.x))
    weight = before.buffers["c"].evolve(payload=constant("c", np.ones(3, np.float32)).payload)
    body = tuple(other if s is target else s for s in before.body)
    after = before.evolve(body=body, buffers={**before.buffers, "c": weight})
    steps = steps_between(before, after)
    assert len(steps.units) == 2
    first, second = steps.units
    assert "became mul" in steps.told(first)
    assert steps.told(second) == "%c: f32[3] = [1.0, 2.0, 3.0] became %c: f32[3] = [1.0, 1.0, 1.0]"
    assert steps.names(first) == ("b",)
    assert steps.names(second) == ("a", "b")
    assert print_program(steps.apply(())) == print_program(before)
    assert compare(steps.apply((first,)), before.evolve(body=body)).exact
    assert isinstance(steps.apply(steps.units), Program)


def test_a_program_that_reads_what_nobody_wrote_cannot_stand() -> None:
    before = irgen(GRAPH)
    gone = next(s for s in before.body if isinstance(s, Instr) and s.value == "b")
    after = before.evolve(body=tuple(s for s in before.body if s is not gone))
    steps = steps_between(before, after)
    assert steps.apply(steps.units) is None
