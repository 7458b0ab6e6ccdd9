"""Another size of an open dimension is compiled for once, with a warning; what is fixed is refused as ever."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import glowviz
from glowviz.compiler.backends.base import InputProblem
from glowviz.compiler.specialize import CompiledAgain
from glowviz.compiler.text import parse_graph

GRAPH = """graph @g(%x: f32[nx4], %y: f32[nx4], %k: f32[4]) {
  %s: f32[nx4] = Add(%x, %y)
  %t: f32[nx4] = Mul(%s, %k)
  return "t"=%t
}"""


def feeds(n: int, other: int | None = None, k: int = 4) -> dict[str, np.ndarray]:
    ones = np.ones((n, 4), np.float32)
    return {"x": ones, "y": np.full((n if other is None else other, 4), 2, np.float32), "k": np.ones(k, np.float32)}


def compiled(**options: Any) -> Any:
    return glowviz.compile(parse_graph(GRAPH), shapes={"x": (2, 4), "y": (2, 4)}, **options)


@pytest.mark.parametrize("target", ["interpreter", "cpu"])
def test_another_size_is_compiled_once_and_says_so(target: str) -> None:
    said: list[str] = []
    exe = compiled(target=target, progress=said.append)
    assert exe.run(feeds(2))["t"].shape == (2, 4)
    assert len(exe.specializations) == 1
    with pytest.warns(CompiledAgain, match=r"for --shape x=5x4 --shape y=5x4"):
        found = exe.run(feeds(5))["t"]
    np.testing.assert_array_equal(found, np.full((5, 4), 3, np.float32))
    assert "Shapes: compiling again for --shape x=5x4 --shape y=5x4" in said
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert exe.run(feeds(5))["t"].shape == (5, 4)
        assert exe.run(feeds(2))["t"].shape == (2, 4)
    first, second = exe.specializations
    assert (first.shapes["x"], second.shapes["x"]) == ((2, 4), (5, 4))
    assert second.seconds > 0
    assert second.executable.program.buffers["x"].type.dims == (5, 4)
    exe.close()


def test_a_sweep_over_batches() -> None:
    exe = compiled(target="interpreter")
    with pytest.warns(CompiledAgain):
        sums = [float(exe.run(feeds(n))["t"].sum()) for n in (1, 2, 3, 2, 1)]
    assert sums == [12.0, 24.0, 36.0, 24.0, 12.0]
    assert len(exe.specializations) == 3


@pytest.mark.parametrize("given", [feeds(5, other=6), feeds(2, k=3), {**feeds(2), "x": np.ones((2, 3), np.float32)}])
def test_what_does_not_fit_the_model_is_refused_as_ever(given: dict[str, np.ndarray]) -> None:
    exe = compiled(target="interpreter")
    with pytest.raises(InputProblem, match="the shape is"):
        exe.run(given)
    assert len(exe.specializations) == 1


def test_a_file_says_itself_what_is_open(tmp_path: Path) -> None:
    value = helper.make_tensor_value_info
    inputs = [value("x", TensorProto.FLOAT, ["batch", 3])]
    node = helper.make_node("Relu", ["x"], ["y"])
    graph = helper.make_graph([node], "g", inputs, [value("y", TensorProto.FLOAT, None)])
    path = tmp_path / "relu.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    exe: Any = glowviz.compile(path, record=tmp_path / "run.glowrec")
    before = (tmp_path / "run.glowrec").read_bytes()
    with pytest.warns(CompiledAgain):
        assert exe.run({"x": np.ones((7, 3), np.float32)})["y"].shape == (7, 3)
    assert (tmp_path / "run.glowrec").read_bytes() == before, "the recording is that of the first shapes"
    with pytest.raises(InputProblem):
        exe.run({"x": np.ones((7, 4), np.float32)})


def test_states_keep_to_their_first_shapes() -> None:
    text = GRAPH.replace("{\n", "{\n  state %w: f32[4] = splat 0.0\n", 1)
    text = text.replace("  return", "  next %w = %k\n  return")
    exe = glowviz.compile(parse_graph(text), shapes={"x": (2, 4), "y": (2, 4)}, target="interpreter")
    with pytest.raises(InputProblem):
        exe.run(feeds(3))


def test_timings_are_those_of_the_shapes_given() -> None:
    exe = compiled(target="interpreter")
    with pytest.warns(CompiledAgain):
        assert exe.timings(1, feeds(3))
    assert len(exe.specializations) == 2
