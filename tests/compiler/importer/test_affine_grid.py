"""A grid of a known size is that of onnxruntime, of one plane too, whose batch ONNX's own body loses."""

from __future__ import annotations

import numpy as np
import pytest

from glowviz.compiler.interpreter import run_graph
from tests.compiler.importer.small import by_runtime, model, node, read, value


@pytest.mark.parametrize("corners", [0, 1])
@pytest.mark.parametrize("size", [(1, 1, 4, 5), (2, 3, 2, 3), (1, 1, 2, 3, 4), (2, 1, 3, 2, 2)])
def test_as_in_onnxruntime(size: tuple[int, ...], corners: int) -> None:
    dims = len(size) - 2
    theta = np.random.default_rng(0).normal(size=(size[0], dims, dims + 1)).astype(np.float32)
    one = node("AffineGrid", ["theta", "size"], ["y"], align_corners=corners)
    constants = {"size": np.array(size, np.int64)}
    proto = model([one], [value("theta", theta.shape)], ["y"], constants, opset=20)
    (wanted,) = by_runtime(proto, {"theta": theta})
    found = run_graph(read(proto), {"theta": theta})["y"]
    assert found.shape == wanted.shape == (size[0], *size[2:], dims)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
