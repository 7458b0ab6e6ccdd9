"""After every pass the graph can be written as ONNX: onnxruntime loads it and computes the same, and it comes back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from glowviz.compiler.exporter import to_onnx
from glowviz.compiler.graph import Graph
from glowviz.compiler.importer import read_model
from glowviz.compiler.interpreter import run_graph
from glowviz.compiler.pipeline import snapshots
from glowviz.compiler.validate import inputs_of
from glowviz.gallery import card, cards
from tests.compiler.importer.small import by_runtime, model, node, value
from tests.compiler.test_trained_models import inputs as inputs_made_for
from tests.models import TRAINED, exported, trained

GALLERY = tuple(one.name for one in cards())
QUICK = ("ring", "digit", "everything", "transformer_block")
EXPORTS = ("detector", "tagger", "bert", "t5_encoder", "swin", "steps", "choice")
TOLERANCE = 1e-4
"""Largest difference to the imported model's results, of the largest number of an output."""
LEAST = 1e-3
"""Below this an output is compared with less than its own size: a Sigmoid of onnxruntime ends in 0 at 1e-8."""
Shapes = Mapping[str, tuple[int, ...]]


def stages(source: Any, shapes: Shapes | None) -> Iterator[tuple[str, Graph]]:
    """(pass, graph) where a pass changed something, the bound graph first."""
    before: Graph | None = None
    for name, graph in snapshots(source, shapes=shapes):
        if isinstance(graph, Graph) and graph is not before and (before is not None or name == "bind_shapes"):
            yield name, graph
            before = graph


def check(source: Any, shapes: Shapes | None = None, feed: Mapping[str, Any] | None = None) -> int:
    """Export, run and read back after every pass; returns how many graphs that were."""
    done, wanted = 0, {}
    given: Mapping[str, Any] = {}
    for name, graph in stages(source, shapes):
        if not done:
            given = feed or inputs_of(graph)
            wanted = run_graph(graph, given)
        proto = to_onnx(graph)
        for output, found in zip(graph.outputs, by_runtime(proto, given), strict=True):
            assert_alike(np.asarray(found), wanted[output.public], f"{output.public} after {name}")
        again = read_model(proto.SerializeToString())
        assert [o.public for o in again.outputs] == [o.public for o in graph.outputs], name
        once = to_onnx(again).SerializeToString()
        assert to_onnx(read_model(once)).SerializeToString() == once, f"exported twice after {name}"
        done += 1
    return done


def assert_alike(found: np.ndarray, wanted: np.ndarray, where: str) -> None:
    assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype), where
    if wanted.dtype.kind != "f":
        np.testing.assert_array_equal(found, wanted, err_msg=where)
        return
    scale = np.abs(wanted[np.isfinite(wanted)]).max(initial=0)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=TOLERANCE * max(scale, LEAST), err_msg=where)


@pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in GALLERY])
def test_the_gallery(name: str) -> None:
    assert check(str(card(name).path()), card(name).shapes() or None) >= 2


@pytest.mark.models
@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINED)
def test_trained_models(name: str) -> None:
    feed = inputs_made_for(name)
    assert check(trained(name), {n: np.shape(a) for n, a in feed.items()}, feed) >= 5


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPORTS)
def test_what_torch_exports(name: str) -> None:
    path: Path = exported(name)
    with np.load(path.with_suffix(".npz")) as arrays:
        wanted = read_model(path).inputs
        feed = {n: arrays[n] for n in arrays.files if n in wanted}
    assert check(path, {n: a.shape for n, a in feed.items()}, feed) >= 2


@pytest.mark.slow
def test_eight_bits() -> None:
    """Held against onnxruntime without its own rewriting, which moves results by whole steps of eight bits."""
    path = exported("centerface_qdq")
    with np.load(path.with_suffix(".npz")) as arrays:
        feed = {name: arrays[name] for name in arrays.files}
    for name, graph in stages(path, None):
        ours = run_graph(graph, feed)
        for output, theirs in zip(graph.outputs, by_runtime(to_onnx(graph), feed, optimized=False), strict=True):
            assert np.corrcoef(np.ravel(theirs), ours[output.public].ravel())[0, 1] > 0.999, name


def test_a_branch_that_does_not_fit_loads_and_refuses_only_when_taken() -> None:
    def branch(name: str, *nodes: onnx.NodeProto) -> onnx.GraphProto:
        return helper.make_graph(nodes, name, [], [onnx.ValueInfoProto(name="o")])

    fits, other = branch("then", node("Add", ["x", "x"], ["o"])), branch("else", node("MatMul", ["x", "x"], ["o"]))
    proto = model([node("If", ["c"], ["y"], then_branch=fits, else_branch=other)],
                  [value("x", (2, 3)), value("c", (), TensorProto.BOOL)], ["y"])
    graph = read_model(proto, {"x": (2, 3)})
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    for exported_model in (to_onnx(graph), to_onnx(read_model(to_onnx(graph)))):
        np.testing.assert_array_equal(by_runtime(exported_model, {"x": x, "c": np.array(True)})[0], x + x)
        with pytest.raises(Exception, match="out of"):
            by_runtime(exported_model, {"x": x, "c": np.array(False)})
