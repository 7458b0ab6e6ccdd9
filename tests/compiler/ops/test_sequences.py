"""Sequences through a whole model: read, run by the interpreter and by the CPU backend, written and read again."""

from __future__ import annotations

import numpy as np
import pytest

from glowviz.compiler.exporter import to_onnx
from glowviz.compiler.graph import Graph
from glowviz.compiler.importer import read_model
from glowviz.compiler.interpreter import run_graph
from glowviz.compiler.ops import OptionalGetElement, SequenceAt, SequenceInsert
from glowviz.compiler.ops.sequences import common
from glowviz.compiler.pipeline import compile as compile_model
from glowviz.compiler.types import SequenceType, Symbol, Type, TypeProblem
from tests.compiler.importer.small import by_runtime, model, node, read, value

X = np.arange(6, dtype=np.float32).reshape(2, 3)


@pytest.fixture
def graph() -> Graph:
    nodes = [
        node("SequenceConstruct", ["x", "x"], ["two"]),
        node("Neg", ["x"], ["minus"]),
        node("SequenceInsert", ["two", "minus", "first"], ["three"]),
        node("SequenceErase", ["three", "last"], ["less"]),
        node("ConcatFromSequence", ["less"], ["y"], axis=1),
        node("SequenceLength", ["less"], ["n"]),
    ]
    return read(model(nodes, [value("x")], ["y", "n"], {"first": np.int64(0), "last": np.int64(-1)}))


def test_the_same_everywhere(graph: Graph) -> None:
    wanted = np.concatenate([-X, X], 1)
    for found in (
        run_graph(graph, {"x": X}),
        compile_model(graph).run({"x": X}),
        run_graph(read_model(to_onnx(graph).SerializeToString()), {"x": X}),
        dict(zip("yn", by_runtime(to_onnx(graph), {"x": X}), strict=True)),
    ):
        np.testing.assert_array_equal(found["y"], wanted)
        assert int(found["n"]) == 2


def test_items_that_differ_have_a_common_type() -> None:
    first, second = Type("f32", (2, 3)), Type("f32", (2, 4))
    assert common((first, second)) == Type("f32", (2, Symbol("item.1")))
    assert common((first, Type("f32", (3,)))) == Type("f32", None)
    with pytest.raises(TypeProblem, match="one element type, got f32"):
        common((first, Type("i64", (2, 3))))


def test_what_is_put_into_an_empty_sequence_gives_its_type() -> None:
    empty = SequenceType(Type("f32", None))
    assert SequenceInsert("s", "x").infer(empty, Type("f32", (2,)), None) == SequenceType(Type("f32", (2,)))


def test_refusals_are_told() -> None:
    with pytest.raises(TypeProblem, match="a sequence is expected, got f32"):
        SequenceAt("s", "i").infer(Type("f32", (2,)), Type("i64", ()))
    with pytest.raises(ValueError, match="holds nothing"):
        OptionalGetElement("x").reference(None)
    with pytest.raises(IndexError, match="position 3 is out of range for a sequence of 1"):
        SequenceInsert("s", "x", "p").reference([X], X, np.array(3))
