"""Every form that an op has had over the opsets computes what onnxruntime computes for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import NodeProto, TensorProto, numpy_helper

from glowviz.compiler.exporter import to_onnx
from glowviz.compiler.pipeline import compile as compile_model
from tests.compiler.importer.small import by_runtime, by_us, kinds, model, node, read, value

X = (2, 3, 4, 4)


@dataclass(frozen=True)
class Form:
    """One op in one opset: its node, its constants, and the ops that must come out."""

    name: str
    node: NodeProto
    opset: int
    kinds: tuple[str, ...]
    constants: dict[str, Any] = field(default_factory=dict)
    shape: tuple[int, ...] = X
    elem: int = TensorProto.FLOAT
    outputs: tuple[str, ...] = ("y",)


def i64(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


def f32(*numbers: float) -> np.ndarray:
    return np.array(numbers, np.float32)


def forms() -> Iterator[Form]:
    yield from softmax_forms()
    yield from clip_forms()
    yield from axes_forms()
    yield from slice_and_pad_forms()
    yield from split_forms()
    yield from resize_forms()
    yield from other_forms()


def softmax_forms() -> Iterator[Form]:
    for kind in ("Softmax", "LogSoftmax"):
        flat = ("Flatten", kind, "Shape", "Reshape")
        for opset, axis, found in ((9, 1, flat), (9, 3, (kind,)), (11, -1, (kind,)), (12, 2, flat), (13, 1, (kind,))):
            yield Form(f"{kind} axis {axis}", node(kind, ["x"], ["y"], axis=axis), opset, found)
        yield Form(f"{kind} default", node(kind, ["x"], ["y"]), 11, flat)
        yield Form(f"{kind} default new", node(kind, ["x"], ["y"]), 13, (kind,))
        yield Form(f"{kind} with ones behind", node(kind, ["x"], ["y"], axis=1), 9, (kind,), shape=(1, 5, 1, 1))


def clip_forms() -> Iterator[Form]:
    yield Form("Clip attributes", node("Clip", ["x"], ["y"], min=-0.5, max=0.25), 7, ("Clip",))
    yield Form("Clip one attribute", node("Clip", ["x"], ["y"], min=0.1), 10, ("Clip",))
    yield Form("Clip no attribute", node("Clip", ["x"], ["y"]), 9, ("Clip",))
    both = {"a": np.float32(-0.5), "b": np.float32(0.3)}
    yield Form("Clip operands", node("Clip", ["x", "a", "b"], ["y"]), 11, ("Clip",), both)
    yield Form("Clip high only", node("Clip", ["x", "", "b"], ["y"]), 13, ("Clip",), {"b": np.float32(0.3)})
    yield Form(
        "Clip integers", node("Clip", ["x", "a"], ["y"]), 12, ("Clip",), {"a": np.int64(2)}, elem=TensorProto.INT64
    )


def axes_forms() -> Iterator[Form]:
    axes = {"a": i64(1, -1)}
    for kind in ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2",
                 "ReduceSumSquare", "ReduceLogSumExp"):
        yield Form(f"{kind} attribute", node(kind, ["x"], ["y"], axes=[1, 2], keepdims=0), 9, (kind,))
        yield Form(f"{kind} all", node(kind, ["x"], ["y"]), 11, (kind,))
        yield Form(f"{kind} operand", node(kind, ["x", "a"], ["y"]), 18, (kind,), axes)
    yield Form("ReduceSum operand 13", node("ReduceSum", ["x", "a"], ["y"], keepdims=0), 13, ("ReduceSum",), axes)
    yield Form("ReduceSum noop", node("ReduceSum", ["x"], ["y"], noop_with_empty_axes=1), 13, ("Identity",))
    yield Form(
        "ReduceSum empty axes", node("ReduceSum", ["x", "a"], ["y"]), 13, ("ReduceSum",), {"a": i64()}
    )
    yield Form("Squeeze attribute", node("Squeeze", ["x"], ["y"], axes=[1]), 11, ("Squeeze",), shape=(2, 1, 3))
    yield Form("Squeeze all", node("Squeeze", ["x"], ["y"]), 11, ("Squeeze",), shape=(2, 1, 3))
    yield Form("Squeeze operand", node("Squeeze", ["x", "a"], ["y"]), 13, ("Squeeze",), {"a": i64(1)}, (2, 1, 3))
    yield Form("Unsqueeze attribute", node("Unsqueeze", ["x"], ["y"], axes=[0, 2]), 9, ("Unsqueeze",))
    yield Form("Unsqueeze operand", node("Unsqueeze", ["x", "a"], ["y"]), 21, ("Unsqueeze",), {"a": i64(-1)})


def slice_and_pad_forms() -> Iterator[Form]:
    yield Form("Slice attributes", node("Slice", ["x"], ["y"], starts=[1, 0], ends=[3, -1], axes=[2, 3]), 9, ("Slice",))
    yield Form("Slice no axes", node("Slice", ["x"], ["y"], starts=[1, 0], ends=[9, 2]), 7, ("Slice",))
    ends = {"s": i64(-1), "e": i64(-9), "a": i64(3), "t": i64(-2)}
    yield Form("Slice operands", node("Slice", ["x", "s", "e", "a", "t"], ["y"]), 10, ("Slice",), ends)
    pads = [0, 0, 1, 2, 0, 0, 0, 1]
    yield Form("Pad attributes", node("Pad", ["x"], ["y"], pads=pads, value=1.5), 7, ("Pad",))
    yield Form("Pad attributes reflect", node("Pad", ["x"], ["y"], pads=pads, mode="reflect"), 10, ("Pad",))
    yield Form("Pad operands", node("Pad", ["x", "p"], ["y"], mode="edge"), 11, ("Pad",), {"p": i64(*pads)})
    yield Form(
        "Pad axes", node("Pad", ["x", "p", "", "a"], ["y"]), 18, ("Pad",), {"p": i64(1, 2), "a": i64(-1)}
    )


def split_forms() -> Iterator[Form]:
    outputs = ("y", "z")
    yield Form("Split equal", node("Split", ["x"], outputs, axis=2), 9, ("Split",), outputs=outputs)
    yield Form("Split attribute", node("Split", ["x"], outputs, axis=2, split=[1, 3]), 11, ("Split",), outputs=outputs)
    yield Form(
        "Split operand", node("Split", ["x", "s"], outputs, axis=2), 13, ("Split",), {"s": i64(3, 1)}, outputs=outputs
    )
    yield Form(
        "Split count", node("Split", ["x"], outputs, axis=1, num_outputs=2), 18, ("Split",), outputs=outputs
    )


def resize_forms() -> Iterator[Form]:
    larger, smaller = f32(1, 1, 2, 1.5), f32(1, 1, 0.5, 0.5)
    for mode in ("nearest", "linear"):
        old = node("Upsample", ["x"], ["y"], scales=[1.0, 1.0, 2.0, 3.0], mode=mode)
        yield Form(f"Upsample 7 {mode}", old, 7, ("Resize",))
        yield Form(f"Upsample 9 {mode}", node("Upsample", ["x", "s"], ["y"], mode=mode), 9, ("Resize",), {"s": larger})
        yield Form(f"Resize 10 {mode}", node("Resize", ["x", "s"], ["y"], mode=mode), 10, ("Resize",), {"s": larger})
    yield Form("Resize 10 smaller", node("Resize", ["x", "s"], ["y"]), 10, ("Resize",), {"s": smaller}, (1, 1, 6, 8))
    empty = {"r": f32(), "s": larger}
    yield Form("Resize 11", node("Resize", ["x", "r", "s"], ["y"], mode="linear"), 11, ("Resize",), empty)
    sizes = {"r": f32(), "s": f32(), "z": i64(2, 3, 7, 5)}
    yield Form("Resize 11 sizes", node("Resize", ["x", "r", "s", "z"], ["y"]), 11, ("Resize",), sizes)
    yield Form("Resize 13", node("Resize", ["x", "", "s"], ["y"], mode="cubic"), 13, ("Resize",), {"s": larger})
    yield Form(
        "Resize 18 axes", node("Resize", ["x", "", "s"], ["y"], axes=[2, 3], antialias=1, mode="linear"), 18,
        ("Resize",), {"s": f32(0.5, 0.5)}, (1, 2, 8, 8),
    )


def other_forms() -> Iterator[Form]:
    yield Form("TopK attribute", node("TopK", ["x"], ["y", "z"], k=2, axis=1), 9, ("TopK",), outputs=("y", "z"))
    yield Form("TopK operand", node("TopK", ["x", "k"], ["y", "z"], largest=0), 11, ("TopK",), {"k": i64(3)},
               outputs=("y", "z"))
    batch = {name: np.random.default_rng(1).uniform(0.5, 1, 3).astype(np.float32) for name in "sbmv"}
    for opset in (7, 9, 14, 15):
        one = node("BatchNormalization", ["x", *"sbmv"], ["y"], epsilon=0.01)
        yield Form("BatchNormalization", one, opset, ("BatchNormalization",), batch)
    yield Form("Dropout 7", node("Dropout", ["x"], ["y"], ratio=0.3), 7, ("Dropout",))
    yield Form("Dropout 12", node("Dropout", ["x", "r"], ["y"]), 13, ("Dropout",), {"r": np.float32(0.4)})
    yield Form("Max three", node("Max", ["x", "c", "d"], ["y"]), 8, ("Max", "Max"), {"c": f32(0.1), "d": f32(-1)})
    yield Form("Min one", node("Min", ["x"], ["y"]), 12, ("Identity",))
    yield Form("Sum one", node("Sum", ["x"], ["y"]), 13, ("Sum",))
    yield Form("Mean three", node("Mean", ["x", "x", "c"], ["y"]), 13, ("Mean",), {"c": f32(1, 2, 3, 4)})
    yield Form("PRelu", node("PRelu", ["x", "s"], ["y"]), 9, ("PRelu",), {"s": np.full((3, 1, 1), 0.2, np.float32)})
    gemm = {"b": np.ones((4, 5), np.float32), "c": np.arange(5, dtype=np.float32)}
    yield Form("Gemm", node("Gemm", ["x", "b", "c"], ["y"], alpha=0.5), 9, ("Gemm",), gemm, (3, 4))
    yield Form("Gemm without c", node("Gemm", ["x", "b"], ["y"]), 11, ("Gemm",), gemm, (3, 4))
    shape = {"s": i64(3)}
    tensor = numpy_helper.from_array(i64(7))
    fill = node("ConstantOfShape", ["s"], ["v"], value=tensor)
    yield Form("ConstantOfShape", fill, 9, ("ConstantOfShape",), shape, outputs=("v",))
    yield Form("ConstantOfShape default", node("ConstantOfShape", ["s"], ["v"]), 9, ("ConstantOfShape",), shape,
               outputs=("v",))
    yield Form("Flatten", node("Flatten", ["x"], ["y"]), 7, ("Flatten",))
    yield Form("Concat", node("Concat", ["x", "x"], ["y"], axis=-1), 11, ("Concat",))
    yield Form("Cast", node("Cast", ["x"], ["y"], to=TensorProto.INT32), 9, ("Cast",))
    yield Form("Shape part", node("Shape", ["x"], ["y"], start=1, end=-1), 15, ("Shape",))
    yield Form("Hard sigmoid", node("HardSigmoid", ["x"], ["y"]), 7, ("HardSigmoid",))
    yield Form("LRN", node("LRN", ["x"], ["y"], size=3, alpha=0.1), 7, ("LRN",))
    weights = {"w": np.random.default_rng(2).normal(size=(3, 2, 3, 3)).astype(np.float32)}
    up = node("ConvTranspose", ["x", "w"], ["y"], strides=[2, 2], output_shape=[9, 8], kernel_shape=[3, 3])
    yield Form("ConvTranspose output_shape", up, 11, ("ConvTranspose",), weights)
    for pad in ("SAME_UPPER", "SAME_LOWER", "VALID"):
        pool = node("MaxPool", ["x"], ["y"], kernel_shape=[3, 2], strides=[2, 1], auto_pad=pad)
        yield Form(f"MaxPool {pad}", pool, 11, ("MaxPool",))
        up = node("ConvTranspose", ["x", "w"], ["y"], strides=[2, 2], auto_pad=pad)
        yield Form(f"ConvTranspose {pad}", up, 11, ("ConvTranspose",), weights)
    pool = node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], storage_order=1)
    yield Form("MaxPool storage order", pool, 8, ("MaxPool",))


FORMS = list(forms())


@pytest.mark.parametrize("form", FORMS, ids=lambda f: f"{f.name} @{f.opset}".replace(" ", "-"))
def test_form(form: Form) -> None:
    proto = model([form.node], [value("x", form.shape, form.elem)], form.outputs, form.constants, form.opset)
    rng = np.random.default_rng(0)
    x = rng.normal(size=form.shape).astype(onnx.helper.tensor_dtype_to_np_dtype(form.elem))
    graph = read(proto)
    assert tuple(kinds(graph)) == form.kinds
    for ours, theirs in zip(by_us(graph, {"x": x}), by_runtime(proto, {"x": x}), strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("form", FORMS, ids=lambda f: f"{f.name} @{f.opset}".replace(" ", "-"))
def test_form_with_free_batch(form: Form) -> None:
    """The same with a free first dimension: what is read then binds to the same numbers."""
    if form.outputs == ("v",):
        pytest.skip("it does not read x")
    x = np.random.default_rng(0).normal(size=form.shape).astype(onnx.helper.tensor_dtype_to_np_dtype(form.elem))
    fixed = model([form.node], [value("x", form.shape, form.elem)], form.outputs, form.constants, form.opset)
    free = model([form.node], [value("x", ("n", *form.shape[1:]), form.elem)], form.outputs, form.constants, form.opset)
    for ours, same in zip(by_us(read(free), {"x": x}), by_us(read(fixed), {"x": x}), strict=True):
        np.testing.assert_array_equal(ours, same)


@pytest.mark.parametrize(("one", "opset", "outputs"), [
    (node("GroupNormalization", ["x", "g", "h"], ["y"], num_groups=2), 18, ["y"]),
    (node("GroupNormalization", ["x", "s", "b"], ["y"], num_groups=2), 21, ["y"]),
    (node("LayerNormalization", ["x", "l"], ["y", "m", "d"], axis=-1), 17, ["y", "m", "d"]),
    (node("MeanVarianceNormalization", ["x"], ["y"], axes=[2, 3]), 13, ["y"]),
    (node("Celu", ["x"], ["y"], alpha=2.0), 12, ["y"]),
    (node("Shrink", ["x"], ["y"], lambd=0.3, bias=0.1), 9, ["y"]),
    (node("ThresholdedRelu", ["x"], ["y"], alpha=0.4), 10, ["y"]),
    (node("Upsample", ["x", "u"], ["y"]), 9, ["y"]),
], ids=lambda v: v.op_type if isinstance(v, NodeProto) else None)
def test_forms_that_may_be_written_out(one: NodeProto, opset: int, outputs: list[str]) -> None:
    constants = {
        "g": f32(1, 2), "h": f32(0.5, -1), "s": f32(1, 2, 3, 4), "b": f32(0, 1, 0, -1), "l": f32(1, 2, 3, 0.5),
        "u": f32(1, 1, 2, 2),
    }
    proto = model([one], [value("x", (2, 4, 3, 4))], outputs, constants, opset)
    x = np.random.default_rng(0).normal(size=(2, 4, 3, 4)).astype(np.float32)
    graph = read(proto)
    assert "Opaque" not in kinds(graph)
    for ours, theirs in zip(by_us(graph, {"x": x}), by_runtime(proto, {"x": x}), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_absorbed_operands_leave_no_constants() -> None:
    proto = model([node("Squeeze", ["x", "a"], ["y"])], [value("x", (2, 1))], ["y"], {"a": i64(1)}, 13)
    assert not read(proto).constants


def test_absorbed_operands_stay_where_others_read_them() -> None:
    nodes = [node("Squeeze", ["x", "a"], ["y"]), node("Add", ["a", "a"], ["z"])]
    proto = model(nodes, [value("x", (2, 1))], ["y", "z"], {"a": i64(1)}, 13)
    assert list(read(proto).constants) == ["a"]


def test_limits_that_are_computed_become_max_and_min() -> None:
    nodes = [node("Clip", ["x", "a", "b"], ["y"])]
    proto = model(nodes, [value("x"), value("a", ()), value("b", ())], ["y"], opset=13)
    graph = read(proto)
    assert kinds(graph) == ["Max", "Min"]
    given = {"x": np.linspace(-2, 2, 6, dtype=np.float32).reshape(2, 3), "a": np.float32(-1), "b": np.float32(0.5)}
    given = {name: np.asarray(array) for name, array in given.items()}
    np.testing.assert_array_equal(by_us(graph, given)[0], by_runtime(proto, given)[0])


@pytest.mark.parametrize(("axis", "narrow"), [(1, (3,)), (0, (2, 3)), (2, (4,)), (1, (3, 4))])
def test_broadcast_at_an_axis(axis: int, narrow: tuple[int, ...]) -> None:
    """Opset 6, which onnxruntime does not load: the definition is numpy's with trailing ones."""
    proto = model(
        [node("Mul", ["x", "y"], ["z"], broadcast=1, axis=axis)], [value("x", X), value("y", narrow)], ["z"], opset=6
    )
    x = np.random.default_rng(0).normal(size=X).astype(np.float32)
    y = np.arange(1, 1 + np.prod(narrow), dtype=np.float32).reshape(narrow)
    wide = y.reshape(narrow + (1,) * (len(X) - axis - len(narrow)))
    np.testing.assert_array_equal(by_us(read(proto), {"x": x, "y": y})[0], x * wide)


def test_old_slope_belongs_to_channels() -> None:
    proto = model([node("PRelu", ["x", "s"], ["y"])], [value("x", X)], ["y"], {"s": f32(0.1, 0.2, 0.3)}, 6)
    x = -np.ones(X, np.float32)
    expected = -np.broadcast_to(f32(0.1, 0.2, 0.3).reshape(3, 1, 1), X)
    np.testing.assert_array_equal(by_us(read(proto), {"x": x})[0], expected)


def test_old_reshape_and_cast_texts() -> None:
    nodes = [node("Reshape", ["x"], ["r"], shape=[3, 2]), node("Cast", ["r"], ["y"], to="INT32")]
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    result = by_us(read(model(nodes, [value("x")], ["y"], opset=4)), {"x": x})[0]
    np.testing.assert_array_equal(result, x.reshape(3, 2).astype(np.int32))


@pytest.mark.parametrize("one", [
    node("ReduceSum", ["x", "a"], ["y"], keepdims=0),
    node("ReduceMax", ["x", "a"], ["y"]),
    node("Unsqueeze", ["x", "a"], ["y"]),
], ids=lambda n: n.op_type)
def test_axes_may_be_computed_while_it_runs(one: NodeProto) -> None:
    proto = model([one], [value("x"), value("a", (1,), TensorProto.INT64)], ["y"], opset=18)
    graph = read(proto)
    assert kinds(graph) == ["AlongAxes"]
    given = {"x": np.arange(6, dtype=np.float32).reshape(2, 3), "a": np.array([1])}
    wanted = by_runtime(proto, given)[0]
    np.testing.assert_array_equal(by_us(graph, given)[0], wanted)
    np.testing.assert_array_equal(compile_model(graph).run(given)["y"], wanted)
    np.testing.assert_array_equal(by_runtime(to_onnx(graph), given)[0], wanted)


def test_batch_statistics_are_written_out() -> None:
    one = node("BatchNormalization", ["x", "s", "s", "s", "s"], ["y", "m", "v"], training_mode=1, momentum=0.75)
    graph = read(model([one], [value("x")], ["y", "m", "v"], {"s": np.ones(3, np.float32)}, 15))
    x = np.array([[1, 2, 3], [3, 4, 9]], np.float32)
    y, mean, variance = by_us(graph, {"x": x})
    np.testing.assert_allclose(mean, 0.75 + 0.25 * np.array([2, 3, 6]))
    np.testing.assert_allclose(variance, 0.75 + 0.25 * np.array([1, 1, 9]))
    np.testing.assert_allclose(y, [[0, 0, 0], [2, 2, 2]], atol=1e-4)


def test_what_training_drops_is_random_but_for_a_seed() -> None:
    one = node("Dropout", ["x", "r", "t"], ["y", "mask"], seed=3)
    graph = read(model([one], [value("x", (100,))], ["y", "mask"], {"r": np.float32(0.25), "t": np.True_}, 15))
    x = np.ones(100, np.float32)
    y, mask = by_us(graph, {"x": x})
    np.testing.assert_allclose(y, np.where(mask, x / 0.75, 0))
    assert 60 < mask.sum() < 90
    np.testing.assert_array_equal(y, by_us(graph, {"x": x})[0])


def test_training_with_an_unknown_ratio_is_shown_not_compiled() -> None:
    one = node("Dropout", ["x", "r", "t"], ["y"])
    graph = read(model([one], [value("x"), value("r", ())], ["y"], {"t": np.True_}, 15))
    assert kinds(graph) == ["Opaque"]
    assert "training" in graph.metadata["findings"][0]["cost"]


def test_statistics_per_element_are_shown_not_compiled() -> None:
    statistics = {"s": np.ones((3, 4, 4), np.float32)}
    one = node("BatchNormalization", ["x", "s", "s", "s", "s"], ["y"], spatial=0)
    graph = read(model([one], [value("x", X)], ["y"], statistics, 7))
    assert "spatial=0" in graph.metadata["findings"][0]["cost"]


def test_statistics_for_training_are_dropped_where_nobody_reads_them() -> None:
    one = node("BatchNormalization", ["x", "s", "s", "s", "s"], ["y", "m", "v", "sm", "sv"])
    graph = read(model([one], [value("x")], ["y"], {"s": np.ones(3, np.float32)}, 9))
    assert graph.nodes["y"].results == ("y",)


@pytest.mark.parametrize(("attributes", "expected"), [
    ({"value_float": 0.1}, np.float32(0.1)), ({"value_floats": [1.0, 2.5]}, f32(1, 2.5)),
    ({"value_int": 7}, np.int64(7)), ({"value_ints": [1, -2]}, i64(1, -2)),
    ({"value": numpy_helper.from_array(np.array([True, False]))}, np.array([True, False])),
])
def test_constant_nodes(attributes: dict[str, Any], expected: np.ndarray) -> None:
    graph = read(model([node("Constant", [], ["c"], name="k", **attributes)], [], ["c"], opset=13))
    found = graph.constants["c"]
    assert found.array.dtype == expected.dtype
    np.testing.assert_array_equal(found.array, expected)
    assert found.origin.names == ("k",)


def test_constant_of_strings() -> None:
    graph = read(model([node("Constant", [], ["c"], value_strings=["ab", "ü"])], [], [value("c", None, 8)], opset=13))
    assert graph.constants["c"].array.tolist() == ["ab", "ü"]
    assert graph.constants["c"].type.elem == "string"


def test_sparse_constant_is_written_out() -> None:
    values = onnx.helper.make_tensor("v", TensorProto.FLOAT, [2], [1.5, -2])
    for indices in (i64(1, 5), np.array([[0, 1], [1, 2]], np.int64)):
        sparse = onnx.helper.make_sparse_tensor(values, numpy_helper.from_array(indices, "i"), [2, 3])
        graph = read(model([node("Constant", [], ["c"], sparse_value=sparse)], [], ["c"], opset=13))
        np.testing.assert_array_equal(graph.constants["c"].array, [[0, 1.5, 0], [0, 0, -2]])


def test_floats_are_as_short_as_they_were_written() -> None:
    graph = read(model([node("LeakyRelu", ["x"], ["y"], alpha=0.1)], [value("x")], ["y"]))
    assert graph.nodes["y"].op.alpha == 0.1


def test_defaults_are_those_of_their_time() -> None:
    """Selu had other numbers before opset 6; Hardmax-like ops another axis."""
    old = read(model([node("Selu", ["x"], ["y"])], [value("x")], ["y"], opset=1)).nodes["y"].op
    new = read(model([node("Selu", ["x"], ["y"])], [value("x")], ["y"], opset=13)).nodes["y"].op
    assert (old.alpha, old.gamma) == (1.6732, 1.0507)
    assert new.alpha == pytest.approx(1.67326319)


def test_wrong_kernel_shape_is_refused() -> None:
    from glowviz.compiler.importer import ImportProblem

    one = node("Conv", ["x", "w"], ["y"], kernel_shape=[5, 5])
    with pytest.raises(ImportProblem, match=r"kernel_shape \[5, 5\]"):
        read(model([one], [value("x", X)], ["y"], {"w": np.zeros((2, 3, 3, 3), np.float32)}))
