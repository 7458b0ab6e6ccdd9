"""Batch norms that cannot be merged, or whose numbers are not finite, keep their meaning."""

from __future__ import annotations

import numpy as np
import pytest

import glowviz
from glowviz.compiler.interpreter import run_graph
from glowviz.compiler.rewrite import PASSES
from glowviz.compiler.text import parse_graph

GRAPH = """graph @g(%x: f32[1x2x3], %y: f32[1x2x3]) {{
  const %g: f32[2] = [1.5, 0.5]
  const %m: f32[2] = [0.25, -1.0]
  %s: f32[1x2x3] = {op}(%x, %y)
  %n: f32[1x2x3] = BatchNormalization(%s, %g, %m, %m, %g)
  return "z"=%n
}}"""


@pytest.mark.parametrize("op", ["Add", "Sub", "Mul", "Div"])
def test_both_sides_are_computed(op: str) -> None:
    graph = parse_graph(GRAPH.format(op=op))
    after, _ = PASSES["fold_batchnorm"].run(graph)
    inputs = {n: np.linspace(1, 2, 6, dtype=np.float32).reshape(1, 2, 3) for n in "xy"}
    np.testing.assert_allclose(run_graph(after, inputs)["z"], run_graph(graph, inputs)["z"], rtol=1e-6)


def test_an_infinite_scale_makes_infinities_and_no_nan() -> None:
    graph = parse_graph("""graph @g(%x: f32[1x2x3]) {
  const %g: f32[2] = [1.5, -inf]
  const %m: f32[2] = [0.25, 1.0]
  %n: f32[1x2x3] = BatchNormalization(%x, %g, %m, %m, %m)
  return "z"=%n
}""")
    x = np.linspace(-1, 2, 6, dtype=np.float32).reshape(1, 2, 3)
    found = glowviz.compile(graph).run({"x": x})["z"]
    wanted = run_graph(graph, {"x": x})["z"]
    assert np.isinf(wanted[0, 1]).any()
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
