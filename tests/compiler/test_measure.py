"""Every value of a measured run has statistics, however large and equal its numbers are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import glowviz


@pytest.mark.parametrize("numbers", [np.full(4, 1e30, np.float32), np.array([2**60, 2**60 + 512], np.int64)])
def test_numbers_far_from_0_have_a_histogram(numbers: np.ndarray, tmp_path: Path) -> None:
    elem = helper.np_dtype_to_tensor_dtype(numbers.dtype)
    node = helper.make_node("Add", ["x", "huge"], ["y"], name="far")
    whole = [helper.make_tensor_value_info(name, elem, list(numbers.shape)) for name in ("x", "y")]
    graph = helper.make_graph([node], "far", whole[:1], whole[1:], [numpy_helper.from_array(numbers, "huge")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.checker.check_model(model)
    path = tmp_path / "far.glowrec"
    glowviz.compile(model, target="interpreter", record=path, measured_runs=1)
    found = glowviz.open_recording(path).query("SELECT * FROM statistics WHERE value = 'y'")
    assert found
