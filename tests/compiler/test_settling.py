"""Code is made for each content of an input that sizes follow from, up to a limit; other inputs stay inputs."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

import glowviz
from glowviz.compiler.specialize import CONTENTS, CompiledAgain


def model(nodes: list[Any], inputs: dict[str, Any], elem: int = TensorProto.FLOAT) -> bytes:
    given = [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in inputs.items()]
    graph = helper.make_graph(nodes, "sizes", given, [helper.make_tensor_value_info("y", elem, None)])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9).SerializeToString()


def reduction() -> bytes:
    node = helper.make_node("ReduceSum", ["x", "axes"], ["y"], keepdims=0)
    return model([node], {"x": (TensorProto.FLOAT, [3, 4, 5]), "axes": (TensorProto.INT64, [1])})


def compiled(content: bytes, **options: Any) -> Any:
    return glowviz.compile(content, **options)


X = np.arange(60, dtype=np.float32).reshape(3, 4, 5)


def axes(*numbers: int) -> dict[str, np.ndarray]:
    return {"x": X, "axes": np.array(numbers, np.int64)}


def natives(exe: Any, inputs: dict[str, np.ndarray] | None = None) -> bool:
    return all(line.native for line in exe.listing(inputs))


def test_axes_given_at_run_time_need_no_host_call() -> None:
    exe = compiled(reduction())
    assert not natives(exe)
    np.testing.assert_array_equal(exe.run(axes(1))["y"], X.sum(1))
    assert natives(exe, axes(1))
    (_, settled) = exe.specializations
    assert settled.contents.keys() == {"axes"}
    assert {b.name for b in settled.executable.program.of_kind("input")} == {"x"}
    assert exe.timings(3, axes(1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # the first content is no surprise, and a known one costs nothing
        np.testing.assert_array_equal(exe.run({**axes(1), "x": X + 1})["y"], (X + 1).sum(1))
    assert len(exe.specializations) == 2


def test_another_content_is_compiled_once_and_says_so() -> None:
    exe = compiled(reduction())
    exe.run(axes(0))
    with pytest.warns(CompiledAgain, match=r"for axes=\[-1\]"):
        np.testing.assert_array_equal(exe.run(axes(-1))["y"], X.sum(-1))
    np.testing.assert_array_equal(exe.run({"x": X, "axes": np.array([0], np.int32)})["y"], X.sum(0))
    assert len(exe.specializations) == 3


def test_beyond_the_limit_the_code_for_any_content_runs() -> None:
    node = helper.make_node("Slice", ["x", "starts", "ends"], ["y"])
    inputs = {"x": (TensorProto.FLOAT, [40]), "starts": (TensorProto.INT64, [1]), "ends": (TensorProto.INT64, [1])}
    exe = compiled(model([node], inputs))
    x = np.arange(40, dtype=np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CompiledAgain)
        for n in range(CONTENTS + 3):
            feed = {"x": x, "starts": np.array([n], np.int64), "ends": np.array([n + 3], np.int64)}
            np.testing.assert_array_equal(exe.run(feed)["y"], x[n : n + 3])
            assert natives(exe, feed) == (n < CONTENTS)
    assert len(exe.specializations) == 1 + CONTENTS


def test_numbers_that_no_size_follows_from_stay_inputs() -> None:
    nodes = [
        helper.make_node("Cast", ["n"], ["wide"], to=TensorProto.INT64),
        helper.make_node("Expand", ["scale", "wide"], ["many"]),
        helper.make_node("Add", ["many", "shift"], ["y"]),
    ]
    inputs = {"n": (TensorProto.INT32, [1]), "scale": (TensorProto.FLOAT, [1]), "shift": (TensorProto.FLOAT, [1])}
    exe = compiled(model(nodes, inputs))
    feed = {"n": np.array([4], np.int32), "scale": np.full(1, 2, np.float32), "shift": np.full(1, 0.5, np.float32)}
    np.testing.assert_array_equal(exe.run(feed)["y"], np.full(4, 2.5, np.float32))
    assert exe.specializations[-1].contents.keys() == {"n"}
    assert natives(exe, feed)


def test_a_mask_that_elements_are_picked_by_is_no_size() -> None:
    node = helper.make_node("Compress", ["x", "mask"], ["y"], axis=0)
    exe = compiled(model([node], {"x": (TensorProto.FLOAT, [5]), "mask": (TensorProto.BOOL, [5])}))
    x, mask = np.arange(5, dtype=np.float32), np.array([1, 0, 1, 1, 0], bool)
    np.testing.assert_array_equal(exe.run({"x": x, "mask": mask})["y"], x[mask])
    assert len(exe.specializations) == 1


def test_a_product_of_rows_that_only_a_run_counts() -> None:
    nodes = [
        helper.make_node("Compress", ["x", "mask"], ["rows"], axis=0),
        helper.make_node("NonZero", ["mask"], ["places"]),
        helper.make_node("Reshape", ["rows", "shape"], ["cut"]),
        helper.make_node("MatMul", ["cut", "w"], ["y"]),
    ]
    kinds = {"x": [6, 4], "w": [4, 3], "mask": [6], "shape": [2]}
    elems = {"mask": TensorProto.BOOL, "shape": TensorProto.INT64}
    exe = compiled(model(nodes, {name: (elems.get(name, TensorProto.FLOAT), dims) for name, dims in kinds.items()}))
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(6, 4)).astype(np.float32), rng.normal(size=(4, 3)).astype(np.float32)
    mask, shape = np.array([1, 0, 1, 1, 0, 0], bool), np.array([3, 4])
    found = exe.run({"x": x, "w": w, "mask": mask, "shape": shape})["y"]
    np.testing.assert_allclose(found, x[mask] @ w, rtol=1e-5, atol=1e-6)


def test_a_content_that_cannot_be_is_refused_in_the_words_of_the_run() -> None:
    exe = compiled(reduction())
    with pytest.raises(glowviz.Problem, match=r"ax[ie]s"):
        exe.run(axes(7))
    np.testing.assert_array_equal(exe.run(axes(2))["y"], X.sum(2))


def test_the_interpreter_takes_any_content_as_it_is() -> None:
    exe = compiled(reduction(), target="interpreter")
    np.testing.assert_array_equal(exe.run(axes(1))["y"], X.sum(1))
    assert len(exe.specializations) == 1
