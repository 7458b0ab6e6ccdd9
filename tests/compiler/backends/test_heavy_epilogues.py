"""Heavy instructions with epilogues: every way an operand may broadcast, natively and like the interpreter."""

from __future__ import annotations

import numpy as np
import pytest

from glowviz.compiler.backends.cpu import cpu_targets
from glowviz.compiler.backends.cpu.backend import missing_features
from glowviz.compiler.graph import Graph
from glowviz.compiler.pipeline import compile
from glowviz.compiler.text import parse_graph

NAMES = {16: "cpu-avx512", 8: "cpu-avx2", 4: "cpu-baseline"}
LEVELS = [t for t in (cpu_targets.avx512(), cpu_targets.avx2(), cpu_targets.baseline()) if not missing_features(t)]
GRAPHS = {
    "residual and activations": """
        graph @g(%x: f32[2x20x9x8]) {
          const %w: f32[37x20x3x3] = normal(seed=1)
          const %b: f32[37] = normal(seed=2)
          const %v: f32[37x20x1x1] = normal(seed=3)
          %c: f32[2x37x9x8] = Conv(%x, %w, %b) {pads=[1, 1, 1, 1]}
          %d: f32[2x37x9x8] = Conv(%x, %v)
          %s: f32[2x37x9x8] = Add(%c, %d)
          %h: f32[2x37x9x8] = HardSwish(%s)
          %e: f32[2x37x9x8] = Sigmoid(%h)
          return "y"=%e
        }""",
    "operands that broadcast": """
        graph @g(%x: f32[2x20x5x6], %gate: f32[2x37x1x1], %mask: f32[2x1x5x6]) {
          const %w: f32[37x20x3x3] = normal(seed=1)
          const %k: f32[1x37x1x1] = normal(seed=2)
          const %slope: f32[37x1x1] = normal(seed=4)
          %c: f32[2x37x5x6] = Conv(%x, %w) {pads=[1, 1, 1, 1]}
          %m: f32[2x37x5x6] = Mul(%c, %k)
          %n: f32[2x37x5x6] = Mul(%m, %gate)
          %o: f32[2x37x5x6] = Add(%n, %mask)
          %p: f32[2x37x5x6] = PRelu(%o, %slope)
          return "y"=%p
        }""",
    "depthwise, pool and groups": """
        graph @g(%x: f32[1x24x10x10]) {
          const %w: f32[24x1x3x3] = normal(seed=1)
          const %v: f32[24x6x3x3] = normal(seed=2)
          const %b: f32[24] = normal(seed=3)
          %c: f32[1x24x10x10] = Conv(%x, %w, %b) {pads=[1, 1, 1, 1], group=24}
          %r: f32[1x24x10x10] = Clip(%c) {low=0.0, high=6.0}
          %d: f32[1x24x10x10] = Conv(%r, %v) {pads=[1, 1, 1, 1], group=4}
          %e: f32[1x24x10x10] = Tanh(%d)
          %p: f32[1x24x5x5] = MaxPool(%e) {kernel=[2, 2], strides=[2, 2]}
          %q: f32[1x24x5x5] = Mul(%p, %p)
          %a: f32[1x24x1x1] = GlobalAveragePool(%q)
          return "y"=%a
        }""",
    "transposed": """
        graph @g(%x: f32[1x12x5x4]) {
          const %w: f32[12x7x3x3] = normal(seed=1)
          const %b: f32[7] = normal(seed=2)
          %c: f32[1x7x11x9] = ConvTranspose(%x, %w, %b) {strides=[2, 2]}
          %r: f32[1x7x11x9] = Relu(%c)
          return "y"=%r
        }""",
    "one feature": """
        graph @g(%x: f32[1x6x5x5]) {
          const %w: f32[1x6x3x3] = normal(seed=1)
          const %b: f32[1] = [0.5]
          %c: f32[1x1x5x5] = Conv(%x, %w, %b) {pads=[1, 1, 1, 1]}
          %s: f32[1x1x5x5] = Sigmoid(%c)
          return "y"=%s
        }""",
    "products": """
        graph @g(%x: f32[2x9x33], %t: f32[1x9x40]) {
          const %w: f32[33x40] = normal(seed=1)
          const %b: f32[40] = normal(seed=2)
          %m: f32[2x9x40] = MatMul(%x, %w)
          %n: f32[2x9x40] = Add(%m, %b)
          %o: f32[2x9x40] = Add(%n, %t)
          %p: f32[2x9x40] = Gelu(%o) {approximate="none"}
          return "y"=%p
        }""",
    "scores": """
        graph @g(%q: f32[1x3x7x16], %k: f32[1x3x16x10], %mask: f32[1x1x1x10]) {
          const %scale: f32[] = 0.25
          %s: f32[1x3x7x10] = MatMul(%q, %k)
          %u: f32[1x3x7x10] = Mul(%s, %scale)
          %v: f32[1x3x7x10] = Add(%u, %mask)
          return "y"=%v
        }""",
    "gemm with everything": """
        graph @g(%a: f32[19x5], %c: f32[5x1]) {
          const %b: f32[23x19] = normal(seed=1)
          %g: f32[5x23] = Gemm(%a, %b, %c) {alpha=0.5, beta=2.0, trans_a=true, trans_b=true}
          %r: f32[5x23] = LeakyRelu(%g) {alpha=0.1}
          return "y"=%r
        }""",
    "epilogue that no kernel runs": """
        graph @g(%x: f32[1x16x6x6], %keep: bool[1x16x6x6]) {
          const %w: f32[16x16x1x1] = normal(seed=1)
          const %zero: f32[] = 0.0
          %c: f32[1x16x6x6] = Conv(%x, %w)
          %d: f32[1x16x6x6] = Where(%keep, %c, %zero)
          %e: f32[1x16x6x6] = Abs(%d)
          return "y"=%e
        }""",
}


def inputs_of(graph: Graph) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(5)
    arrays = {name: rng.normal(size=type_.dims) for name, type_ in graph.inputs.items()}
    return {n: (a > 0 if graph.inputs[n].elem == "bool" else a.astype(np.float32)) for n, a in arrays.items()}


@pytest.mark.parametrize("level", LEVELS, ids=lambda t: t.name)
@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("orders", [True, False], ids=["orders", "row-major"])
def test_epilogues(name: str, orders: bool, level: cpu_targets.Target) -> None:
    graph = parse_graph(GRAPHS[name])
    arrays = inputs_of(graph)
    wanted = compile(graph, target="interpreter").run(arrays)["y"]
    executable = compile(graph, target=NAMES[level.vector_width], disable=() if orders else ("choose_order",))
    hosts = [line.instruction for line in executable.listing() if not line.native]
    assert not hosts
    found = executable.run(arrays)["y"]
    assert np.abs(found - wanted).max() <= 2e-5 * np.abs(wanted).max()
