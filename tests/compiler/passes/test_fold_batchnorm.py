"""A batch norm behind arithmetic on two computed values stays as it is, and nothing stumbles."""

from __future__ import annotations

import numpy as np
import pytest

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
