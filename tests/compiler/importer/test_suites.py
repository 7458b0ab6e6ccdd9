"""The models that PyTorch wrote for the onnx package (opsets 6 to 12) compute their stored results."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

from glowviz.compiler.importer import read_model
from glowviz.compiler.verify import verify_graph
from tests.compiler.importer.small import by_us

FOLDER = Path(onnx.__file__).parent / "backend" / "test" / "data"
KINDS = ("pytorch-converted", "pytorch-operator", "simple")
CASES = sorted(path for kind in KINDS for path in FOLDER.glob(f"{kind}/*"))
NOT_ARRAYS = ("test_sequence", "test_strnorm")
"""Sequences and strings: tests/conformance runs them."""


def array(path: Path) -> np.ndarray:
    return numpy_helper.to_array(TensorProto.FromString(path.read_bytes()))


def test_there_are_many() -> None:
    assert len(CASES) >= 130


@pytest.mark.parametrize("case", CASES, ids=lambda p: p.name)
def test_case(case: Path) -> None:
    graph = read_model(case / "model.onnx")
    verify_graph(graph)
    assert "Opaque" not in {n.kind for n in graph}
    if case.name.startswith(NOT_ARRAYS):
        return
    for data in sorted(case.glob("test_data_set_*")):
        inputs = [array(data / f"input_{i}.pb") for i in range(len(list(data.glob("input_*.pb"))))]
        expected = [array(data / f"output_{i}.pb") for i in range(len(list(data.glob("output_*.pb"))))]
        found = by_us(graph, dict(zip(graph.inputs, inputs, strict=False)))
        for ours, stored in zip(found, expected, strict=False):
            assert (ours.shape, ours.dtype) == (stored.shape, stored.dtype)
            np.testing.assert_allclose(ours, stored, rtol=1e-3, atol=1e-5)
