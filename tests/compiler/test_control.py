"""If, Loop and Scan: closed bodies that passes go into, nested programs that lie in the arena around them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import glowviz
from glowviz.compiler.interpreter import RunProblem, run_graph
from glowviz.compiler.ops.bodies import covers, join
from glowviz.compiler.pipeline import bound_graph, snapshots
from glowviz.compiler.problem import Problem
from glowviz.compiler.program import Instr, Program
from glowviz.compiler.rewrite import PASSES
from glowviz.compiler.text import parse_graph, parse_program, print_graph, print_program
from glowviz.compiler.types import OptionalType, SequenceType, Symbol, Type, TypeProblem
from glowviz.compiler.verify import VerifyProblem, verify_graph, verify_program

F = "f32"
N = Symbol("n")
LOOP = """graph @loop(%m: i64[], %go: bool[], %x: f32[2x4], %w: f32[4x4]) {
  const %one: f32[] = 1.0
  %y: f32[2x4], %z: f32[kx2x4] = Loop(%m, %go, %x, %w, %one) {body=graph @step(%i: i64[], %c: bool[], %h: f32[2x4], %w: f32[4x4], %one: f32[]) {
    %p: f32[2x4] = MatMul(%h, %w)
    %s: f32[2x4] = Add(%p, %one)
    %t: f32[2x4] = Tanh(%s)
    %n: f32[2x4] = Mul(%t, %one)
    %u: f32[2x4] = Abs(%n)
    %e: f32[] = ReduceSum(%u) {axes=[0, 1], keepdims=false}
    %most: bool[] = Greater(%e, %one)
    return "c"=%most, "h"=%n, "t"=%t
  }, carried=1}
  return "y"=%y, "z"=%z
}"""  # noqa: E501
IF = """graph @if(%c: bool[], %x: f32[2x3]) {
  %r: f32[2x3] = Relu(%x)
  %y: f32[2x3] = If(%c, %x, %r) {then_branch=graph @then(%x: f32[2x3], %r: f32[2x3]) {
    const %two: f32[] = 2.0
    %a: f32[2x3] = Mul(%x, %two)
    %b: f32[2x3] = Exp(%a)
    %d: f32[2x3] = Add(%b, %r)
    return "d"=%d
  }, else_branch=graph @else(%x: f32[2x3], %r: f32[2x3]) {
    return "r"=%r
  }}
  %z: f32[2x3] = Neg(%y)
  return "z"=%z
}"""
SCAN = """graph @scan(%t: f32[3], %xs: f32[3x5000]) {
  %end: f32[3], %all: f32[3x5000] = Scan(_, %t, %xs) {body=graph @step(%t: f32[3], %x: f32[3]) {
    %n: f32[3] = Add(%t, %x)
    %m: f32[3] = Mul(%n, %x)
    return "n"=%n, "m"=%m
  }, states=1, input_axes=[1], output_axes=[1], input_directions=[1]}
  return "end"=%end, "all"=%all
}"""
RNG = np.random.default_rng(0)
W = (RNG.normal(size=(4, 4)) * 0.9).astype(np.float32)
X = RNG.normal(size=(2, 4)).astype(np.float32)


def looped(trip: int, go: bool) -> tuple[np.ndarray, np.ndarray]:
    h, items = X, []
    for _ in range(trip):
        if not go:
            break
        h = np.tanh(h @ W + np.float32(1))
        items.append(h)
        go = bool(np.abs(h).sum() > 1)
    return h, np.stack(items) if items else np.zeros((0, 2, 4), np.float32)


TARGETS = pytest.mark.parametrize("target", ["interpreter", "cpu"])


@TARGETS
@pytest.mark.parametrize(("trip", "go"), [(5, True), (0, True), (3, False), (1, True)])
def test_a_loop_runs_as_often_as_it_should(target: str, trip: int, go: bool) -> None:
    exe = glowviz.compile(parse_graph(LOOP), target=target)
    found = exe.run({"m": np.array(trip), "go": np.array(go), "x": X, "w": W})
    y, z = looped(trip, go)
    np.testing.assert_allclose(found["y"], y, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found["z"], z, rtol=1e-5, atol=1e-6)
    assert found["z"].shape == z.shape


@TARGETS
def test_the_branch_that_the_condition_says_is_taken(target: str) -> None:
    exe = glowviz.compile(parse_graph(IF), target=target)
    x = X[:, :3].copy()
    for c in (True, False, True):
        found = exe.run({"c": np.array(c), "x": x})["z"]
        wanted = -(np.exp(2 * x) + np.maximum(x, 0)) if c else -np.maximum(x, 0)
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


@TARGETS
def test_a_scan_goes_backwards_and_collects_along_an_axis(target: str) -> None:
    rows = (np.arange(15000) % 7).reshape(3, 5000).astype(np.float32)
    found = glowviz.compile(parse_graph(SCAN), target=target).run({"t": np.zeros(3, np.float32), "xs": rows})
    turned = rows[:, ::-1]
    sums = np.cumsum(turned, axis=1)
    np.testing.assert_array_equal(found["end"], sums[:, -1])
    np.testing.assert_array_equal(found["all"], sums * turned)


def nested(program: Program) -> Instr:
    return next(i for i in program.instructions if i.regions)


def test_branches_share_a_part_of_the_arena_while_they_run() -> None:
    exe: Any = glowviz.compile(parse_graph(IF), target="interpreter", disable=("fuse",))
    instr = nested(exe.program)
    arena = exe.program.buffers[instr.scratch[-1]]
    plans = exe.plan.nested[instr.value]
    assert arena.bytes == max(plan.total for plan in plans) > 0
    place = exe.plan.buffers[arena.name]
    assert (place.arena, place.death - place.birth) == ("activations", 2)
    assert instr.op.then_branch.inputs == {}, "the program stands in the place of the graph"


def test_listing_and_recording_show_what_is_nested(tmp_path: Path) -> None:
    file = tmp_path / "loop.glowrec"
    exe: Any = glowviz.compile(parse_graph(LOOP), target="cpu", record=file, measured_runs=2)
    listed = exe.listing()
    assert [line.position for line in listed] == list(range(len(exe.program.numbered)))
    assert "matmul" in "".join(line.instruction for line in listed) or any(line.kernel for line in listed)
    inner = [line for line in listed if line.position >= len(exe.program.instructions)]
    assert inner
    assert all(line.native for line in inner), [line.why for line in inner if not line.native]
    recording = glowviz.open_recording(file)
    assert len(recording.kernels()) == len(listed)
    changes = [c for k in range(len(recording.passes())) for c in recording.changes(k)]
    assert any("y/" in str(c) for c in changes), "a change inside of a body has the node's name in front"


def test_passes_go_into_bodies_and_say_where() -> None:
    graph = bound_graph(parse_graph(LOOP))
    inside = graph.nodes["y"].op.body
    assert "one" in inside.constants, "what is known outside is a constant inside"
    assert graph.nodes["y"].op.operands == ("m", "go", "x", "w")
    after, log = PASSES["arithmetic"].run(graph)
    assert "Mul" not in [n.kind for n in after.nodes["y"].op.body]
    assert [c.anchor for c in log.changes] == ["y/n"]
    verify_graph(after, since=graph)
    feeds = {"m": np.array(3), "go": np.array(True), "x": X, "w": W}
    np.testing.assert_array_equal(run_graph(after, feeds)["y"], run_graph(graph, feeds)["y"])


@pytest.mark.parametrize("text", [LOOP, IF, SCAN])
def test_texts_of_both_levels_read_back(text: str) -> None:
    assert print_graph(parse_graph(text)) == text
    for _, ir in snapshots(parse_graph(text), target="cpu"):
        if isinstance(ir, Program):
            printed = print_program(ir)
            again = parse_program(printed, payloads=_payloads(ir))
            assert print_program(again) == printed
            verify_program(again)


def _payloads(program: Program) -> dict[str, Any]:
    found = {}
    for inside in {id(p): p for p, _ in program.numbered}.values():
        found |= {b.payload.digest: b.payload for b in inside.buffers.values() if b.payload is not None}
    return found


# what does not fit -----------------------------------------------------------------------------------


def irgen_of(text: str) -> Program:
    return next(ir for name, ir in snapshots(parse_graph(text), target="cpu") if name == "irgen")


def changed(program: Program, **changes: Any) -> Program:
    instr = nested(program)
    return program.evolve(body=tuple(s.evolve(**changes) if s is instr else s for s in program.body))


@pytest.mark.parametrize(("text", "change", "said"), [
    (IF, lambda p: changed(p, regions=nested(p).regions[:1]), "if has 1 nested programs, not 2"),
    (LOOP, lambda p: changed(p, regions=nested(irgen_of(IF)).regions[:1]), "2 inputs for 4"),
    (SCAN, lambda p: changed(p, regions=nested(irgen_of(LOOP)).regions), "nested @body: 4 inputs for 2"),
    (IF, lambda p: changed(p, op=parse_graph(IF).nodes["r"].op), "relu has nested programs"),
    (SCAN, lambda p: changed(p, op=nested(p).op.evolve(batched=True)), "a scan over a batch has nested programs"),
])  # fmt: skip
def test_nested_programs_that_do_not_fit_are_refused(text: str, change: Any, said: str) -> None:
    with pytest.raises(VerifyProblem, match=said):
        verify_program(change(irgen_of(text)))


@pytest.mark.parametrize(("old", "new", "said"), [
    ("%c: bool[]", "%c: i64[]", "operand 1 is bool"),
    ("carried=1", "carried=2", "carried value"),
    ('return "c"=%most, "h"=%n, "t"=%t', 'return "c"=%most, "h"=%n', "returns 2 values for a condition and 2 results"),
])  # fmt: skip
def test_bodies_that_do_not_fit_are_refused(old: str, new: str, said: str) -> None:
    with pytest.raises(VerifyProblem, match=said):
        verify_graph(parse_graph(LOOP.replace(old, new)))


def test_types_are_joined() -> None:
    a, b = Type(F, (2, 3)), Type(F, (2, 5))
    assert str(join("v", a, b)) == 'f32[2x"v.1"]' or str(join("v", a, b)) == "f32[2xv.1]"
    assert join("v", a, Type(F, (2,))) == Type(F, None)
    assert join("v", SequenceType(a), SequenceType(b)) == SequenceType(join("v", a, b))
    assert join("v", OptionalType(a), b) == OptionalType(join("v", a, b))
    assert covers(OptionalType(a), a)
    assert covers(Type(F, (2, N)), a)
    assert not covers(a, Type(F, (2, N)))
    assert covers(Type(F, None), a)
    assert not covers(SequenceType(a), a)
    with pytest.raises(TypeProblem, match="one value has one kind"):
        join("v", a, Type("i64", (2, 3)))


def test_what_grows_from_round_to_round_is_held() -> None:
    text = """graph @grow(%m: i64[], %x: f32[2]) {
  const %one: f32[1] = [1.0]
  %y: f32[*] = Loop(%m, _, %x, %one) {body=graph @step(%i: i64[], %c: bool[], %h: f32[2], %o: f32[1]) {
    %g: f32[3] = Concat(%h, %o) {axis=0}
    return "c"=%c, "g"=%g
  }, carried=1}
  return "y"=%y
}"""
    graph = bound_graph(parse_graph(text))
    assert str(graph.type("y")) == "f32[y.0]"
    exe = glowviz.compile(graph, target="cpu")
    found = exe.run({"m": np.array(4), "x": X[0, :2].copy()})["y"]
    np.testing.assert_array_equal(found, [*X[0, :2], 1, 1, 1, 1])
    assert not exe.listing()[-1].native


# a branch that does not fit the shapes ------------------------------------------------------------------

MISFIT = """graph @misfit(%c: bool[], %x: f32[2x3]) {
  %y: f32[2x3] = If(%c, %x) {then_branch=graph @then(%x: f32[nx3]) {
    %a: f32[nx3] = Relu(%x)
    return "a"=%a
  }, else_branch=graph @else(%x: f32[nx3]) {
    const %k: f32[5x3] = splat 1.0
    %b: f32[5x3] = Add(%x, %k)
    return "b"=%b
  }}
  return "y"=%y
}"""


@TARGETS
def test_a_branch_that_does_not_fit_refuses_only_when_it_is_taken(target: str) -> None:
    exe = glowviz.compile(parse_graph(MISFIT), target=target)
    x = X[:, :3].copy()
    np.testing.assert_array_equal(exe.run({"c": np.array(True), "x": x})["y"], np.maximum(x, 0))
    with pytest.raises(RunProblem, match=r"this branch does not fit the shapes: .*Add"):
        exe.run({"c": np.array(False), "x": x})
    np.testing.assert_array_equal(exe.run({"c": np.array(True), "x": x})["y"], np.maximum(x, 0))
    if target == "cpu":
        assert "refuses when a run takes it" in " ".join(line.why for line in exe.listing())


def test_shapes_that_fit_no_branch_are_refused() -> None:
    text = MISFIT.replace("Relu(%x)", "Transpose(%x) {perm=[2, 1, 0]}")
    with pytest.raises(Problem, match="perm must name each of the 2 axes"):
        glowviz.compile(parse_graph(text))
