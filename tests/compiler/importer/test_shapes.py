"""Free dimensions are asked for by name, with the exact option to give; only batches default to 1."""

from __future__ import annotations

import shlex

import numpy as np
import pytest

from glowviz.compiler.graph import Graph
from glowviz.compiler.importer import inspect_model, read_model
from glowviz.compiler.passes.bind_shapes import bind_shapes
from glowviz.compiler.recording.records import PassLog, logging_to
from glowviz.compiler.shapes import ShapeProblem, batch_like, bind, shape_text
from glowviz.compiler.types import Symbol, Type
from tests.compiler.importer.small import Dims, model, node, read, value


def relu(**inputs: Dims) -> Graph:
    nodes = [node("Relu", [name], [f"{name}_out"]) for name in inputs]
    return read(model(nodes, [value(n, d) for n, d in inputs.items()], [f"{n}_out" for n in inputs]))


@pytest.mark.parametrize(("axis", "name", "expected"), [
    (0, "batch", True), (0, "N", True), (0, "unk__12", True), (0, "x.0", True), (0, "p2o.DynamicDimension.0", True),
    (0, "batch_seq", True), (0, "seq_len", False), (0, "num_frames", False), (0, "height", False),
    (1, "batch", True), (1, "batch_size", True), (1, "N", True), (1, "unk__12", False), (1, "seq", False),
    (2, "x.2", False),
])
def test_batch_like(axis: int, name: str, expected: bool) -> None:
    assert batch_like(axis, Symbol(name)) is expected


def test_batches_default_to_one() -> None:
    graph = bind_shapes.function(relu(x=("batch", 3), y=(None, 2)))
    assert [t.shape for t in graph.inputs.values()] == [(1, 3), (1, 2)]
    assert [n.type.shape for n in graph] == [(1, 3), (1, 2)]


@pytest.mark.parametrize("dim", [0, -1])
def test_numbers_that_mean_free(dim: int) -> None:
    assert bind_shapes.function(relu(x=(dim, 3))).inputs["x"].shape == (1, 3)


def test_a_size_of_zero_elsewhere_is_a_size() -> None:
    assert relu(x=(2, 0)).inputs["x"].shape == (2, 0)


def test_other_free_dimensions_are_asked_for_with_the_exact_option() -> None:
    with pytest.raises(ShapeProblem) as caught:
        bind_shapes.function(relu(x=("b", 3, "h", "w"), ids=("b", "seq")))
    problem = caught.value
    assert problem.what == "3 dimensions are free: input x axis 2 (h); input x axis 3 (w); input ids axis 1 (seq)"
    assert problem.do == "Give --shape x=1x3x224x224 --shape ids=1x128, or other numbers"


def test_names_in_the_option_are_quoted_for_the_shell() -> None:
    assert shlex.split(shape_text("a b:0", (1, 2))) == ["--shape", "a b:0=1x2"]


def test_one_name_has_one_number() -> None:
    graph = bind_shapes.function(relu(x=("b", "s"), y=("b", "s", 4)), shapes={"x": (2, 7)})
    assert graph.inputs["y"].shape == (2, 7, 4)
    with pytest.raises(ShapeProblem, match="Dimension s is 7 and 8 at once"):
        bind_shapes.function(relu(x=("b", "s"), y=("b", "s")), shapes={"x": (2, 7), "y": (2, 8)})


def test_a_nameless_dimension_stands_alone() -> None:
    graph = bind_shapes.function(relu(x=("b", "?", "?")), shapes={"x": (1, 5, 6)})
    assert graph.inputs["x"].shape == (1, 5, 6)


@pytest.mark.parametrize(("shapes", "says"), [
    ({"z": (1,)}, "is no input"), ({"x": (1, 2, 3)}, "3 dimensions"), ({"x": (1, -2)}, "not negative"),
    ({"x": (1, 2.5)}, "not negative"), ({"x": (True, 2)}, "not negative"),
])
def test_shapes_that_do_not_fit(shapes: dict[str, tuple[int, ...]], says: str) -> None:
    with pytest.raises(ShapeProblem, match=says):
        bind(relu(x=("b", "s")).inputs, shapes)


def test_an_unknown_rank_is_asked_for() -> None:
    with pytest.raises(ShapeProblem, match="does not say the shape of input x"):
        bind_shapes.function(relu(x=None))
    assert bind_shapes.function(relu(x=None), shapes={"x": (4,)}).nodes["x_out"].type == Type("f32", (4,))


def test_a_fixed_shape_may_be_replaced() -> None:
    graph = bind_shapes.function(relu(x=(10, 3, 32, 32)), shapes={"x": (1, 3, 512, 512)})
    assert graph.nodes["x_out"].type == Type("f32", (1, 3, 512, 512))


def test_a_shape_that_the_model_cannot_take_names_node_and_inputs() -> None:
    nodes = [node("Reshape", ["x", "s"], ["y"], name="flatten_head")]
    graph = read(model(nodes, [value("x", ("b", "c"))], ["y"], {"s": np.array([6, 7])}))
    with pytest.raises(ShapeProblem) as caught:
        bind_shapes.function(graph, shapes={"x": (5, 5)})
    assert "flatten_head" in caught.value.what
    assert "x: f32[5x5]" in caught.value.expected


def test_a_static_graph_is_bound_already() -> None:
    graph = bind_shapes.function(relu(x=(2, 3)))
    assert bind_shapes.function(graph) is graph


def test_shape_arithmetic_is_followed() -> None:
    """Reshape(x, Concat(Shape(x)[0], -1)): types are static without folding anything."""
    nodes = [
        node("Shape", ["x"], ["s"]), node("Gather", ["s", "zero"], ["b"]), node("Unsqueeze", ["b", "axis"], ["b1"]),
        node("Concat", ["b1", "rest"], ["shape"], axis=0), node("Reshape", ["x", "shape"], ["y"]),
        node("ConstantOfShape", ["shape2"], ["z"]), node("Slice", ["s", "one", "three"], ["shape2"]),
        node("Range", ["zero", "b", "unit"], ["r"]), node("Expand", ["half", "s"], ["e"]),
    ]
    constants = {
        "zero": np.int64(0), "axis": np.array([0]), "rest": np.array([-1]), "one": np.array([1]),
        "three": np.array([3]), "unit": np.int64(1), "half": np.float32(0.5),
    }
    graph = read(model(nodes, [value("x", ("n", 4, "w"))], ["y", "z", "r", "e"], constants))
    bound = bind_shapes.function(graph, shapes={"x": (2, 4, 6)})
    shapes = {o.public: bound.type(o.value).shape for o in bound.outputs}
    assert shapes == {"y": (2, 24), "z": (4, 6), "r": (2,), "e": (2, 4, 6)}


def test_attributes_become_explicit_and_changes_are_told() -> None:
    nodes = [
        node("Conv", ["x", "w"], ["c"], auto_pad="SAME_UPPER", strides=[2, 2]),
        node("MaxPool", ["c"], ["p"], kernel_shape=[2, 2]), node("Transpose", ["p"], ["t"]),
    ]
    proto = model(nodes, [value("x", ("n", 3, "h", "w"))], ["t"], {"w": np.zeros((4, 3, 3, 3), np.float32)})
    with logging_to(PassLog()) as log:
        graph = bind_shapes.function(read(proto), shapes={"x": (1, 3, 9, 8)})
    conv, pool, transpose = (n.op for n in graph)
    assert (conv.pads, conv.strides, conv.dilations, conv.auto_pad) == ((1, 0, 1, 1), (2, 2), (1, 1), "NOTSET")
    assert (pool.pads, pool.strides, pool.dilations) == ((0, 0, 0, 0), (1, 1), (1, 1))
    assert transpose.perm == (3, 2, 1, 0)
    assert [c.rule for c in log.changes] == ["bind_input", *["explicit_attributes"] * 3]
    assert "h=9" in log.changes[0].reason


def test_what_follows_from_an_opaque_stays_open() -> None:
    unknown = node("F", ["x"], ["y"], domain="d")
    nodes = [unknown, node("Relu", ["y"], ["z"]), node("Neg", ["x"], ["n"])]
    proto = model(nodes, [value("x", ("b", 3))], ["z", "n"], domains={"d": 1})
    graph = bind_shapes.function(read(proto))
    assert graph.type("n") == Type("f32", (1, 3))
    assert graph.type("z") == Type("f32", None)


# before reading ------------------------------------------------------------------------------------


def test_inspection_says_what_to_ask() -> None:
    proto = model(
        [node("MatMul", ["x", "w"], ["y"])], [value("x", ("batch", "seq", 4)), value("k", (2,))], ["y"],
        {"w": np.ones((4, 5), np.float32)},
    )
    proto.producer_name = "me"
    facts = inspect_model(proto.SerializeToString())
    assert [(i.name, i.elem, i.dims, i.proposed) for i in facts.inputs] == [
        ("x", "f32", ("batch", "seq", 4), (1, 128, 4)), ("k", "f32", (2,), (2,))
    ]
    assert [(f.axis, f.name, f.batch_like, f.proposed) for f in facts.inputs[0].free] == [
        (0, "batch", True, 1), (1, "seq", False, 128)
    ]
    assert [f.name for f in facts.asks] == ["seq"]
    assert facts.shape_option == "--shape x=1x128x4"
    assert (facts.nodes, facts.parameters, facts.weight_bytes, facts.producer) == (1, 20, 80, "me")
    assert facts.opsets == {"": 17}
    assert facts.outputs == ("y",)


def test_a_model_that_asks_nothing() -> None:
    facts = inspect_model(model([node("Relu", ["x"], ["y"])], [value("x", ("n", 3))], ["y"]))
    assert facts.asks == ()
    assert facts.shape_option == ""
    assert facts.shapes == {"x": (1, 3)}


def test_reading_and_inspecting_agree() -> None:
    proto = model([node("Relu", ["x"], ["y"])], [value("x", (None, "c", -1))], ["y"])
    names = [d.name for d in read_model(proto).inputs["x"].shape or () if isinstance(d, Symbol)]
    assert tuple(names) == inspect_model(proto).inputs[0].dims
