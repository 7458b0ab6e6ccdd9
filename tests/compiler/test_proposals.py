"""Shapes that are proposed for what a model leaves open are shapes that the model takes, on every trained model."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from glowviz.app import work
from glowviz.cli import main
from glowviz.compiler.importer import inspect_model, read_model
from glowviz.compiler.interpreter import run_graph, sample_inputs
from glowviz.compiler.passes.bind_shapes import bind_shapes, proposals
from glowviz.compiler.shapes import ShapeProblem, fitting_shapes, proposed_shapes
from glowviz.compiler.text import parse_graph
from glowviz.compiler.types import Symbol, Type
from tests.models import TRAINED, trained

pytestmark = pytest.mark.timeout(60)


@pytest.mark.models
@pytest.mark.parametrize("name", TRAINED)
def test_a_trained_model_runs_with_what_is_proposed(name: str) -> None:
    path = trained(name)
    shapes = proposals(read_model(path), {})
    assert all(one.name in shapes for one in inspect_model(path).inputs if one.free)
    bound = bind_shapes.function(read_model(path, shapes), shapes=shapes)
    rate = {"sr": np.array(16000)} if "sr" in bound.inputs else {}
    outputs = run_graph(bound, {**sample_inputs(bound), **rate})
    assert all(np.isfinite(array).all() for array in outputs.values())


@pytest.mark.models
@pytest.mark.parametrize("name", ["ppocr_rec", "silero_half"])
def test_command_line_and_app_propose_what_fits(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = trained(name)
    fits = proposals(read_model(path), {})
    assert fits != inspect_model(path).shapes, "the usual sizes do not fit this model"
    assert main(["run", str(path)]) == 2
    told = dict(re.findall(r"--shape (\w+)=([0-9x]+)", capsys.readouterr().err))
    assert {n: tuple(map(int, dims.split("x"))) for n, dims in told.items()}.items() <= fits.items()
    seen = work.inspect(str(path), {})
    assert {n: list(dims) for n, dims in fits.items()} == {
        one["name"]: one["proposed"] for one in seen["inputs"] if one["open"]
    }
    asked = {(one["input"], one["position"]): one["default"] for one in seen["asks"]}
    assert asked == {place: fits[place[0]][place[1]] for place in asked} != {}


def test_the_usual_sizes_stay_where_they_fit_or_nothing_does() -> None:
    inputs = {"x": Type("f32", (Symbol("batch"), 3, Symbol("h"), Symbol("w")))}
    assert fitting_shapes(inputs, lambda _: 0) == {"x": (1, 3, 224, 224)} == proposed_shapes(inputs)
    assert fitting_shapes(inputs, lambda _: None) == {"x": (1, 3, 224, 224)}


def test_one_size_is_changed_before_two_and_branches_that_fit_are_counted() -> None:
    inputs = {"x": Type("f32", (Symbol("batch"), 3, Symbol("h"), Symbol("w")))}
    assert fitting_shapes(inputs, lambda s: 0 if s["x"][2] == 48 else None) == {"x": (1, 3, 48, 224)}
    assert fitting_shapes(inputs, lambda s: 0 if s["x"][2:] == (64, 32) else None) == {"x": (1, 3, 64, 32)}
    assert fitting_shapes(inputs, lambda s: 1 if s["x"][3] < 300 else 2 if s["x"][2] < 300 else None) == {
        "x": (1, 3, 224, 224)
    }


def test_a_state_is_of_one_batch() -> None:
    inputs = {"hidden_in": Type("f32", (2, Symbol("a"), 64)), "h0": Type("f32", (1, Symbol("b"), 8)),
              "cellular": Type("f32", (1, Symbol("c"), 8))}
    assert proposed_shapes(inputs) == {"hidden_in": (2, 1, 64), "h0": (1, 1, 8), "cellular": (1, 128, 8)}


def test_what_is_given_is_kept_while_the_rest_is_sought() -> None:
    graph = parse_graph("""graph @g(%x: f32[nx4], %y: f32[16xk]) {
      const %c: f32[256] = splat 1.0
      %s: f32[16xk] = Add(%y, %c)
      %t: f32[nx4] = Relu(%x)
      return "s"=%s, "t"=%t
    }""")
    assert proposals(graph, {"x": (3, 4)}, {"y": graph.inputs["y"]}) == {"y": (16, 256)}
    with pytest.raises(ShapeProblem, match="--shape y=16x256,"):
        bind_shapes.function(graph, shapes={"x": (3, 4)})


def test_the_refusal_names_shapes_that_fit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A window of 300 over time: 128 would be too short."""
    value = helper.make_tensor_value_info
    weight = onnx.numpy_helper.from_array(np.ones((2, 1, 300), np.float32), "w")
    node = helper.make_node("Conv", ["sound", "w"], ["y"])
    inputs = [value("sound", TensorProto.FLOAT, ["n", 1, "time"])]
    graph = helper.make_graph([node], "g", inputs, [value("y", TensorProto.FLOAT, None)], [weight])
    path = tmp_path / "long.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    assert main(["compile", str(path), "-o", str(tmp_path / "run.glowrec")]) == 2
    assert "Give --shape sound=1x1x512, or other numbers" in capsys.readouterr().err
