"""ONNX's own node tests, for every op we have: same kind, same shape, same numbers as stored there."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from glowviz.compiler.graph import Graph
from glowviz.compiler.importer import read_model
from glowviz.compiler.interpreter import run_graph
from glowviz.compiler.ops import Opaque
from glowviz.compiler.problem import Problem

AT_LEAST = 1000
"""Cases that must have run; of onnx 1.23.2 it is 1,251, and other versions have other cases."""
FIRST_IS_KNOWN = ("Range", "OneHot", "ConstantOfShape")


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray | np.generic)


def half_precision(case: Any) -> bool:
    """Long formulas in f16 and bf16 round after every step, in an order that ONNX leaves open."""
    return case.name.endswith(("_fp16", "_bf16", "_fp16_expanded", "_bf16_expanded"))


def cases() -> Iterator[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.case.node import collect_testcases

        found = collect_testcases(None)
    for case in found:
        if case.model is None or not case.data_sets or half_precision(case):
            continue
        if all(_is_array(a) for half in case.data_sets[0] for a in half):
            yield case


def graph_of(case: Any) -> Graph | None:
    """The case as a graph; operands that types depend on are made constants. None where an op is not ours."""
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    for opset in model.opset_import:
        # the newest opset is newer than the importer takes; where the op only gained element kinds, that is no matter
        opset.version = min(opset.version, 26)
    for fixed in (0, 1):
        try:
            graph = read_model(_with_constants(model, case.data_sets[0][0]) if fixed else model)
        except Problem:
            return None
        if not any(isinstance(node.op, Opaque) for node in graph):
            return graph
    return None


def _with_constants(model: onnx.ModelProto, arrays: list[Any]) -> onnx.ModelProto:
    found = onnx.ModelProto()
    found.CopyFrom(model)
    first = 0 if len(arrays) < 2 or model.graph.node[0].op_type in FIRST_IS_KNOWN else 1
    for info, array in list(zip(model.graph.input, arrays, strict=False))[first:]:
        found.graph.initializer.append(numpy_helper.from_array(np.asarray(array), info.name))
    for info in list(found.graph.input)[first:]:
        found.graph.input.remove(info)
    return found


def wrong(case: Any, graph: Graph) -> str:
    """What differs from the stored results; empty where nothing does."""
    arrays, expected = case.data_sets[0]
    names = [info.name for info in case.model.graph.input]
    given = {name: np.asarray(a) for name, a in zip(names, arrays, strict=False) if name in graph.inputs}
    found = run_graph(graph, given)
    for info, one in zip(case.model.graph.output, expected, strict=False):
        mine, wanted = found[info.name], np.asarray(one)
        if (mine.dtype, mine.shape) != (wanted.dtype, wanted.shape):
            return f"{mine.dtype}{mine.shape}, not {wanted.dtype}{wanted.shape}"
        if wanted.dtype == object or wanted.dtype.kind == "c":
            same = bool(np.all(mine == wanted))
        else:
            wide = mine.astype(np.float64), wanted.astype(np.float64)
            same = np.allclose(*wide, rtol=1e-3, atol=1e-7, equal_nan=True)
        if not same:
            return "other numbers"
    return ""


@pytest.mark.slow
def test_onnx_node_cases() -> None:
    ran, bad = 0, {}
    for case in cases():
        graph = graph_of(case)
        if graph is None:
            continue
        ran += 1
        told = wrong(case, graph)
        if told:
            bad[case.name] = told
    assert bad == {}
    assert ran >= AT_LEAST
