"""Every op's samples against onnxruntime: same elements, same shape, same numbers."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnxruntime.capi.onnxruntime_pybind11_state import NotImplemented

from glowviz.compiler.ops import OPS, Op
from glowviz.compiler.ops.base import Case
from glowviz.compiler.ops.trial import bind, samples_of
from glowviz.compiler.types import of_array
from tests.compiler.ops.single_op_model import OPSET, model_of
from tests.compiler.ops.test_samples import close

RANDOM = {"RandomUniformLike", "RandomNormalLike", "RandomUniform", "RandomNormal", "Bernoulli", "Multinomial"}
"""Ops whose numbers are anybody's choice."""
NOT_THERE = {"ImageDecoder", "StringNormalizer"}
"""Ops that onnxruntime's CPU provider lacks, or that need a locale of the system."""
OTHERWISE = {
    "Cast-3": "onnxruntime cannot hand bf16 to numpy",
    "LRN-2": "onnxruntime takes 4-D tensors only",
    "Mod-3": "onnxruntime has no floor form for floats, which opset 28 brought",
    "Conv-13": "onnxruntime refuses dilations together with auto_pad",
    "MaxPool-13": "onnxruntime loses NaN where it is not the first tap; numpy and the paper's rule keep it",
    "ReduceMax-7": "onnxruntime ignores NaN behind a number",
    "ReduceMin-7": "the same as ReduceMax-7",
    "Resize-3": "align_corners with a fractional size: onnxruntime rounds it first, ONNX's own test data do not",
    "Resize-10": "the same as Resize-3",
    "Resize-17": "the same as Resize-3",
}
"""Samples where onnxruntime does something else, and why we do not follow it."""


def _cases() -> list[object]:
    found = []
    for name, kind in OPS.items():
        lists = kind.takes_held and kind.family == "host"
        known = kind.onnx and onnx.defs.has(kind.onnx, OPSET, kind.domain)
        if not known or lists or name in RANDOM or name in NOT_THERE:
            continue
        for i, case in enumerate(samples_of(kind)):
            label = f"{name}-{i}"
            marks = [pytest.mark.xfail(strict=True, reason=OTHERWISE[label])] if label in OTHERWISE else []
            found.append(pytest.param(kind, case, id=label, marks=marks))
    return found


def run_onnxruntime(model: bytes, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return session.run(None, feeds)


def both(op: Op, arrays: dict[str, np.ndarray]) -> tuple[tuple[np.ndarray, ...], list[np.ndarray]]:
    """Our results and onnxruntime's."""
    types = op.infer_types(lambda name: of_array(arrays[name]), arrays.get)
    model, feeds = model_of(op, arrays, types)
    return op.evaluate(arrays.__getitem__), run_onnxruntime(model, feeds)


@pytest.mark.parametrize(("kind", "case"), _cases())
def test_same_as_onnxruntime(kind: type[Op], case: Case) -> None:
    op, arrays = bind(kind, case)
    doubles = [name for name, array in arrays.items() if array.dtype == np.float64]
    try:
        mine, theirs = both(op, arrays)
    except NotImplemented:
        # onnxruntime has few kernels for doubles: the same numbers as floats then
        assert doubles
        mine, theirs = both(op, arrays | {name: arrays[name].astype(np.float32) for name in doubles})
    for found, wanted in zip(mine, theirs, strict=True):
        close(found, np.asarray(wanted), 3e-6)
