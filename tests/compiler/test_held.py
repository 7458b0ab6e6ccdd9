"""Values whose size only a run knows, sequences, optionals and strings take the whole way, outside every arena."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import glowviz
from glowviz.compiler.backends.base import InputProblem
from glowviz.compiler.graph import Graph, Node, Output, constant
from glowviz.compiler.interpreter import RunProblem, evaluate, run_graph, sample_inputs
from glowviz.compiler.ops import Add, Cast, Concat, Equal, Exp, Identity, Mul, NonZero, ReduceSum, Relu, Reshape, Shape
from glowviz.compiler.ops.base import Op, Value
from glowviz.compiler.ops.inference import infer
from glowviz.compiler.ops.probing import probe
from glowviz.compiler.pipeline import GRAPH_STAGES, PROGRAM_STAGES
from glowviz.compiler.text import parse_graph, print_graph, print_program
from glowviz.compiler.types import OptionalType, SequenceType, Symbol, Type, TypeProblem
from glowviz.compiler.validate import difference
from glowviz.compiler.verify import verify_graph

F = "f32"
N = Symbol("n")
STRINGS = np.array(["a", "b", "a"], object)


class Listed(Op, abstract=True):
    """Both operands as a sequence."""

    x: Value
    y: Value
    takes_held = True

    def infer(self, x: Type, y: Type) -> SequenceType:
        return SequenceType(Type(x.elem, None))

    def reference(self, x: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
        return [x, y]


class First(Op, abstract=True):
    """The first item, perhaps; nothing of an empty sequence."""

    xs: Value
    takes_held = True

    def infer(self, xs: Type) -> OptionalType:
        assert isinstance(xs, SequenceType)
        return OptionalType(xs.item)

    def reference(self, xs: list[np.ndarray]) -> np.ndarray | None:
        return xs[0] if xs else None


class Something(Op, abstract=True):
    """The sum of what is in an optional, 7 where nothing is."""

    x: Value
    takes_held = True

    def infer(self, x: Type) -> Type:
        return Type(x.elem, ())

    def reference(self, x: np.ndarray | None) -> np.ndarray:
        return np.array(7 if x is None else x.sum(), np.float32)


def graph_of(inputs: dict[str, Type], steps: dict[str, Op], *outputs: str, **arrays: Any) -> Graph:
    """A graph of one-result ops by result name; types are inferred, and checked by the verifier."""
    constants = {name: constant(name, array) for name, array in arrays.items()}
    nodes = {name: Node(op, (name,), (Type(F, None),)) for name, op in steps.items()}
    graph = Graph("held", inputs, constants, nodes, tuple(Output(o, o) for o in outputs))
    bound = glowviz.compiler.pipeline.bound_graph(graph)
    verify_graph(bound)
    return bound


def everything() -> Graph:
    """NonZero, a sequence, an optional and strings in the middle of ordinary arithmetic."""
    steps = {
        "a": Relu("x"), "where": NonZero("a"), "f": Cast("where", F), "g": Mul("f", "two"),
        "s": ReduceSum("g", (1,), keepdims=False), "e": Exp("s"),
        "list": Listed("a", "f"), "first": First("list"), "total": Something("first"),
        "plus": Add("e", "total"), "eq": Equal("words", "more"), "m": Cast("eq", F),
        "sum": Concat(("plus", "m"), 0), "same": Identity("words"), "flat": Reshape("f", "row"), "size": Shape("g"),
    }
    inputs = {"x": Type(F, (2, 3)), "words": Type("string", (3,))}
    returned = ("sum", "where", "list", "first", "same", "flat", "size")
    return graph_of(inputs, steps, *returned, two=np.array(2, np.float32), more=STRINGS, row=np.array([-1]))


X = np.array([[1, -2, 3], [0, 5, -6]], np.float32)
FEEDS = {"x": X, "words": np.array(["a", "a", "b"], object)}


def test_types_are_static_again_behind_what_is_held() -> None:
    graph = everything()
    told = {name: str(graph.type(name)) for name in ("where", "f", "g", "s", "list", "first", "total", "same", "size")}
    assert told == {
        "where": 'i64[2xa.nonzero<=6]', "f": "f32[2xa.nonzero<=6]", "g": "f32[2xa.nonzero<=6]", "s": "f32[2]",
        "list": "seq(f32[*])", "first": "optional(f32[*])", "total": "f32[]", "same": "string[3]", "size": "i64[2]",
    }
    assert str(graph.type("flat")) == "f32[flat.0]"
    assert graph.type("sum").static


def test_sequences_and_optionals_answer_like_types() -> None:
    kind = OptionalType(SequenceType(Type(F, (2, N))))
    assert (kind.elem, kind.shape, kind.bytes, kind.order, kind.quant, kind.logical) == (F, None, 0, None, None, kind)
    assert not kind.static
    assert kind.held
    assert not kind.is_float
    assert kind.with_shape((3,)) == kind == kind.with_order(None) == pickle.loads(pickle.dumps(kind))
    assert str(kind.with_elem("i64")) == "optional(seq(i64[2xn]))"
    assert kind != OptionalType(Type(F, None)) != SequenceType(Type(F, None)) != Type(F, None)
    with pytest.raises(TypeProblem, match="rank is not known"):
        _ = kind.dims


@pytest.mark.parametrize("target", ["interpreter", "cpu"])
def test_everything_runs_on_every_target(target: str) -> None:
    exe = glowviz.compile(everything(), target=target)
    found = exe.run(FEEDS)
    wanted = run_graph(everything(), FEEDS)
    assert found["where"].tolist() == [[0, 0, 1], [0, 2, 1]]
    assert found["sum"].tolist() == pytest.approx([np.exp(2.0) + 9, np.exp(6.0) + 9, 1, 0, 0])
    assert found["same"].tolist() == ["a", "a", "b"]
    assert [item.tolist() for item in found["list"]] == [[[1, 0, 3], [0, 5, 0]], [[0, 0, 1], [0, 2, 1]]]
    assert all(difference(name, wanted[name], found[name]).relative < 1e-6 for name in wanted)
    again = exe.run({**FEEDS, "x": -X})
    assert again["where"].shape == (2, 2)
    assert found["where"].shape == (2, 3), "results are copies"
    assert exe.timings(2)


def test_held_buffers_have_no_bytes_and_their_instructions_say_why() -> None:
    exe = glowviz.compile(everything(), target="cpu")
    held = {b.name for b in exe.program.buffers.values() if b.held}
    assert {"where.out", "list.out", "first.out", "same", "words", "more"} <= held
    assert held.isdisjoint(exe.plan.buffers)
    assert all(exe.program.buffers[name].bytes == 0 for name in held)
    why = {line.value: (line.native, line.why) for line in exe.listing()}
    assert why["where"] == (False, "host call: %where.out: its size is known only at run time")
    assert why["list"][1] == "host call: %list.out is a sequence, not one array"
    assert why["total"][1] == "host call: %first.out is an optional, not one array"
    assert why["eq"][1] == "host call: %words holds strings" or why["eq"][1] == "host call: %more holds strings"
    assert why["sum"][0], "what is static again is machine code again"


@pytest.mark.parametrize("name", dict.fromkeys(p for stage in GRAPH_STAGES for p in stage.passes))
def test_every_graph_pass_takes_held_values(name: str) -> None:
    from glowviz.compiler.backends import backend_named
    from glowviz.compiler.rewrite import PASSES

    before = everything()
    after, _ = PASSES[name].run(before, backend_named("cpu", 1).target)
    verify_graph(after)
    wanted, found = run_graph(before, FEEDS), run_graph(after, FEEDS)
    assert all(difference(k, wanted[k], found[k]).relative < 1e-5 for k in wanted)


def test_every_program_pass_is_verified_and_printed() -> None:
    steps = glowviz.compiler.pipeline.snapshots(everything(), target="cpu")
    names = [name for name, _ in steps]
    assert set(names) >= {p for stage in PROGRAM_STAGES for p in stage.passes}
    program = next(ir for name, ir in steps if name == "irgen")
    assert "alloc %list: seq(f32[*])" in print_program(program)


def test_text_of_held_types_reads_back() -> None:
    text = 'graph @g(%x: seq(f32[2xn]), %s: string[2], %o: optional(seq(f32[*]))) {\n  return "y"=%x\n}'
    assert print_graph(parse_graph(text)) == text


# inputs --------------------------------------------------------------------------------------------

INPUTS = {
    "s": SequenceType(Type(F, (2, N))), "o": OptionalType(Type(F, None)), "w": Type("string", (2,)),
}  # fmt: skip
GOOD = {"s": [np.ones((2, 3), np.float32)], "o": None, "w": ["a", "b"]}


def passing() -> Graph:
    return Graph("in", INPUTS, outputs=tuple(Output(name, name) for name in INPUTS))


@pytest.mark.parametrize("target", ["interpreter", "cpu"])
def test_inputs_of_held_types_are_taken(target: str) -> None:
    found = glowviz.compile(passing(), target=target).run(GOOD)
    assert found["o"] is None
    assert found["w"].tolist() == ["a", "b"]
    assert len(found["s"]) == 1
    assert run_graph(passing(), GOOD)["w"].dtype == object


@pytest.mark.parametrize(("change", "said"), [
    ({"s": np.ones((2, 3), np.float32)}, "a sequence is a list of arrays, got ndarray"),
    ({"s": [np.ones((3, 3), np.float32)]}, "the shape is [3, 3], the type f32[2xn]"),
    ({"s": [np.ones((2, 3))]}, "the elements are float64, not f32"),
    ({"w": ["a"]}, "the shape is [1], the type string[2]"),
    ({"w": None}, "the value is None"),
])  # fmt: skip
def test_inputs_that_do_not_fit_are_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(RunProblem) as refused:
        run_graph(passing(), {**GOOD, **change})
    assert said in str(refused.value)
    with pytest.raises(InputProblem) as refused_by_backend:
        glowviz.compile(passing(), target="interpreter").run({**GOOD, **change})
    assert said in str(refused_by_backend.value)


def test_samples_fit_their_types() -> None:
    run_graph(passing(), sample_inputs(passing()))


# probing -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("op", "x", "told"), [
    (ReduceSum("x", (0,)), (N, 4), "f32[1x4]"),
    (ReduceSum("x", (1,)), (N, 4), "f32[nx1]"),
    (Add("x", "five"), (N,), "f32[5]"),
    (Add("x", "x"), (N, 3), "f32[nx3]"),
    (Concat(("x", "five"), 0), (N,), "f32[y.0]"),
])
def test_dims_are_found_by_trying_sizes(op: Op, x: tuple[Any, ...], told: str) -> None:
    types = {"x": Type(F, x), "five": Type(F, (5,))}
    found = probe(op, types.__getitem__, lambda _: None, ("y",))
    assert found is not None
    assert str(found[0]) == told


def test_what_fits_no_size_is_not_guessed() -> None:
    types = {"x": Type(F, (N,)), "y": Type("i64", (2,))}
    assert probe(Add("x", "y"), types.__getitem__, lambda _: None, ("z",)) is None
    assert probe(Relu("u"), {"u": Type(F, None)}.__getitem__, lambda _: None, ("z",)) is None
    with pytest.raises(TypeProblem, match=r"the shape of %x is not bound"):
        infer(Relu("x"), types.__getitem__, lambda _: None)


def test_differences_of_held_contents() -> None:
    ones = np.ones(2, np.float32)
    assert difference("y", [ones], [ones]).unequal == 0
    assert difference("y", [ones], [ones * 2]).absolute == 1
    assert difference("y", [ones], [ones, ones]).absolute == np.inf
    assert difference("y", None, ones).absolute == np.inf
    assert difference("y", None, None).absolute == 0
    assert difference("y", STRINGS, STRINGS[::-1].copy()).unequal == 0
    assert difference("y", STRINGS, np.array(["b", "b", "a"], object)).unequal == 1


def test_a_result_that_is_not_as_promised_is_refused() -> None:
    node = everything().nodes["first"]
    with pytest.raises(RunProblem, match=r"First gives nothing, its type says f32\[2\]"):
        evaluate(replace(node.op), {"list": []}, "first", node.origin, (Type(F, (2,)),))
