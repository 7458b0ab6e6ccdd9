"""Real models import, bind to numbers everywhere, and compute what onnxruntime computes."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from examples.build import BUILDERS
from glowviz.compiler.graph import Graph
from glowviz.compiler.importer import inspect_model, read_model
from glowviz.compiler.passes.bind_shapes import bind_shapes
from glowviz.compiler.passes.dce import dce
from glowviz.compiler.passes.fold_constants import fold_constants
from glowviz.compiler.verify import verify_graph
from tests.compiler.importer.small import by_runtime, by_us
from tests.models import example, light, light_names, picture, trained

SHAPES = {
    "magika": {"bytes": (1, 2048)}, "centerface": {"input.1": (1, 3, 64, 96)}, "ppocr_det": {"x": (1, 3, 96, 320)},
    "ppocr_rec": {"x": (1, 3, 48, 96)}, "ppocr_cls": {"x": (1, 3, 48, 192)},
}
SHAPE_OPS = {"Shape", "Size", "ConstantOfShape", "Range", "NonZero"}
NETWORKS = [name for name in BUILDERS if not name.startswith("light_")]


def static(graph: Graph) -> bool:
    return all(t.static for n in graph for t in n.types)


@pytest.mark.parametrize("name", light_names())
def test_light_models(name: str) -> None:
    graph = read_model(light(name))
    verify_graph(graph)
    assert static(graph)
    assert "Opaque" not in {n.kind for n in graph}
    folded = dce.function(fold_constants.function(bind_shapes.function(graph)))
    assert "ConstantOfShape" not in {n.kind for n in folded}


def test_counts_of_resnet50() -> None:
    """415 nodes = 239 ConstantOfShape and 176 others, 270 inputs of which one is none of the initializers."""
    graph = read_model(light("light_resnet50"))
    assert len(graph) == 415
    assert sum(n.kind == "ConstantOfShape" for n in graph) == 239
    assert list(graph.inputs) == ["gpu_0/data_0"]
    inputs = next(f for f in graph.metadata["findings"] if f["kind"] == "inputs")
    assert inputs["count"] == 269


@pytest.mark.models
@pytest.mark.parametrize("name", list(SHAPES))
def test_trained_models(name: str) -> None:
    path = trained(name)
    graph = read_model(path)
    verify_graph(graph)
    bound = bind_shapes.function(graph, shapes=SHAPES[name])
    verify_graph(bound)
    assert static(bound)
    folded = dce.function(fold_constants.function(bound))
    assert not SHAPE_OPS & {n.kind for n in folded}
    rng = np.random.default_rng(0)
    given = {n: _sample(rng, t.dims, t.dtype) for n, t in bound.inputs.items()}
    if name == "ppocr_det":  # noise holds no text: every probability would be 0
        page = picture("page")[:96, :320].astype(np.float32).transpose(2, 0, 1)
        given = {"x": (page[None] / 255 - 0.45) / 0.225}
    theirs = by_runtime(_resized(path, SHAPES[name]), given)
    for a, b in zip(by_us(graph, given), theirs, strict=True):
        assert np.abs(a - b).max() <= 2e-5 * np.abs(b).max()


def _resized(path: object, shapes: dict[str, tuple[int, ...]]) -> onnx.ModelProto:
    """The model with its inputs of the given shapes, for models that fix another one."""
    proto = onnx.load(path)  # type: ignore[arg-type]
    for value in proto.graph.input:
        for dim, number in zip(value.type.tensor_type.shape.dim, shapes.get(value.name, ()), strict=False):
            dim.dim_value = number
    for value in proto.graph.output:
        value.type.tensor_type.ClearField("shape")
    return proto


def _sample(rng: np.random.Generator, dims: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    if dtype.kind == "f":
        return (rng.normal(size=dims) * 0.5).astype(dtype)
    return rng.integers(0, 256, dims).astype(dtype)


@pytest.mark.models
@pytest.mark.parametrize("name", list(SHAPES))
def test_trained_models_bound_while_reading(name: str) -> None:
    graph = read_model(trained(name), shapes=SHAPES[name])
    assert static(bind_shapes.function(graph))


@pytest.mark.parametrize("name", NETWORKS)
def test_example_networks(name: str) -> None:
    path = example(name)
    graph = read_model(path)
    verify_graph(graph)
    bound = bind_shapes.function(graph, shapes=inspect_model(path).shapes)
    assert static(bound)
    assert "Opaque" not in {n.kind for n in bound}
    assert not SHAPE_OPS & {n.kind for n in dce.function(fold_constants.function(bound))}


def test_inspection_of_a_trained_model() -> None:
    facts = inspect_model(trained("ppocr_det"))
    assert facts.shape_option == "--shape x=1x3x224x224"
    assert [f.axis for f in facts.asks] == [2, 3]
    assert facts.opsets == {"": 12}
