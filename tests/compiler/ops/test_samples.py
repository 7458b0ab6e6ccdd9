"""Every op's samples: its types are those of its results, and its lowered form computes the same."""

from __future__ import annotations

import numpy as np
import pytest

from glowviz.compiler.interpreter.contents import taken
from glowviz.compiler.ops import OPS, Op, Opaque
from glowviz.compiler.ops.base import Case
from glowviz.compiler.ops.branches import Unfit
from glowviz.compiler.ops.trial import as_graph, bind, samples_of
from glowviz.compiler.rewrite import Edit
from glowviz.compiler.types import Outside, of_array


def _cases() -> list[tuple[str, int, type[Op], Case]]:
    found = []
    for name, kind in OPS.items():
        found += [(name, i, kind, case) for i, case in enumerate(samples_of(kind))]
    return found


CASES = _cases()
EACH = pytest.mark.parametrize(("kind", "case"), [c[2:] for c in CASES], ids=[f"{n}-{i}" for n, i, _, _ in CASES])


REFUSE = (Opaque, Unfit)
"""Ops that only say why they do not run."""


def close(found: np.ndarray, wanted: np.ndarray, tolerance: float) -> None:
    assert found.dtype == wanted.dtype
    assert found.shape == wanted.shape
    if wanted.dtype.kind in "biuO":
        np.testing.assert_array_equal(found, wanted)
        return
    found, wanted = found.astype(np.float64), wanted.astype(np.float64)
    finite = wanted[np.isfinite(wanted)]
    scale = np.abs(finite).max() if finite.size else 1.0
    np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerance * max(scale, 1e-30))


def test_every_op_has_samples() -> None:
    assert set(OPS) == {name for name, _, _, _ in CASES}


@EACH
def test_types_are_those_of_the_results(kind: type[Op], case: Case) -> None:
    if kind in REFUSE:
        pytest.skip("it refuses to run")
    op, arrays = bind(kind, case)
    types = op.infer_types(lambda name: of_array(arrays[name]), arrays.get)
    for result, type_ in zip(op.evaluate(arrays.__getitem__), types, strict=True):
        if isinstance(type_, Outside):
            taken(type_, result)  # refuses what does not fit
        else:
            assert of_array(result) == type_.logical


@EACH
def test_operands_stay_as_they_were(kind: type[Op], case: Case) -> None:
    if kind in REFUSE:
        pytest.skip("it refuses to run")
    op, arrays = bind(kind, case)
    before = {name: a.copy() for name, a in arrays.items()}
    op.evaluate(arrays.__getitem__)
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, before[name])


@EACH
def test_lowered_computes_the_same(kind: type[Op], case: Case) -> None:
    graph, arrays = as_graph(kind, case)
    node = graph.nodes["out"]
    edit = Edit(graph)
    build = edit.build(node)
    lowered = node.op.lower(build)
    if lowered is None:
        return
    values = dict(arrays) | {c.name: c.array for c in (*graph.constants.values(), *build.constants.values())}
    for new in build.new.values():
        results = new.op.evaluate(values.__getitem__)
        assert tuple(of_array(r) for r in results)[: len(new.types)] == new.types
        values.update(zip(new.results, results, strict=False))
    wanted = node.op.evaluate(values.__getitem__)
    found = (lowered,) if isinstance(lowered, str) else lowered
    assert len(found) == len(wanted)
    for name, array in zip(found, wanted, strict=True):
        close(values[name], array, 2e-6)
