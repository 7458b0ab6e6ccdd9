"""Products of bytes by vpdpbusd give what numpy gives, bit for bit: every sign, zero point, step and group."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
import pytest

from glowviz.compiler.backends.cpu import cpu_targets
from glowviz.compiler.backends.cpu.build import build
from glowviz.compiler.backends.cpu.machine_code import hot_spills
from glowviz.compiler.backends.cpu.objects import ObjectCache
from glowviz.compiler.ops import OPS
from glowviz.compiler.ops.base import Case, case
from tests.compiler.backends.guarded import run_fenced
from tests.compiler.backends.one_instruction import expected, plan_of, program_of

TARGET = cpu_targets.host_target()
KINDS = (np.uint8, np.int8)
needs_dots = pytest.mark.skipif(not TARGET.has_vnni, reason="this processor multiplies no bytes in groups of four")
WEIGHTS = frozenset({"x_zero", "w", "w_scale", "w_zero", "a_zero", "b_scale", "b_zero", "y_scale", "y_zero", "b"})
SHAPES = [
    # channels, features, height, width, kernel, stride, dilation, group, a zero point for each feature
    (3, 5, 9, 11, 3, 1, 1, 1, True), (8, 70, 15, 15, 3, 2, 1, 2, False), (5, 33, 7, 7, 1, 1, 1, 1, True),
    (16, 26, 7, 70, 3, 1, 2, 1, False), (1, 4, 20, 3, 2, 3, 1, 1, True), (16, 300, 4, 4, 1, 1, 1, 1, False),
    (6, 6, 5, 5, 3, 1, 1, 6, True), (6, 12, 15, 37, 3, 2, 1, 6, True), (4, 4, 9, 40, 5, 1, 1, 4, False),
]  # fmt: skip
PRODUCTS = [((), 1, 7, 5), ((), 3, 4, 64), ((2,), 33, 130, 77), ((2, 3), 5, 3, 20), ((), 2, 2, 2), ((), 129, 65, 130)]


def octets(rng: np.random.Generator, kind: type, *shape: int) -> np.ndarray:
    """Any bytes."""
    limits = np.iinfo(kind)
    return rng.integers(limits.min, limits.max + 1, shape).astype(kind)


def convolutions(left: type, right: type) -> Iterator[tuple[str, Case]]:
    """Both convolutions of bytes, of maps without padding."""
    rng = np.random.default_rng(0)
    for c, o, h, w, k, s, d, g, per in SHAPES:
        x, weights = octets(rng, left, 2, c, h, w), octets(rng, right, o, c // g, k, k)
        facts = {"strides": (s, s), "dilations": (d, d), "group": g}
        zero, zeros = octets(rng, left), octets(rng, right, *((o,) if per else ()))
        yield "ConvInteger", case(x, weights, zero, octets(rng, right), **facts)
        scales = rng.uniform(0.001, 0.01, (o,) if per else ()).astype(np.float32)
        out = (np.float32(0.4), octets(rng, np.int8), rng.integers(-3000, 3000, o).astype(np.int32))
        operands = (np.float32(0.03), zero, weights, scales, zeros, *out)
        yield "QLinearConv", case(x, *map(np.asarray, operands), **facts)


def matrices(left: type, right: type) -> Iterator[tuple[str, Case]]:
    """Both products of matrices of bytes."""
    rng = np.random.default_rng(0)
    for number, (lead, m, k, n) in enumerate(PRODUCTS):
        a, b = octets(rng, left, *lead, m, k), octets(rng, right, k, n)
        zeros = octets(rng, left), octets(rng, right, *((n,) if number % 2 else ()))
        yield "MatMulInteger", case(a, b, *zeros)
        scales = np.float32(0.02), rng.uniform(0.001, 0.02, (n,) if number % 2 else ()).astype(np.float32)
        rest = (np.float32(0.4), octets(rng, np.uint8))
        operands = (scales[0], zeros[0], b, scales[1], zeros[1], *rest)
        yield "QLinearMatMul", case(a, *map(np.asarray, operands))


@needs_dots
@pytest.mark.parametrize(("left", "right"), list(product(KINDS, KINDS)))
@pytest.mark.parametrize("constant", [True, False])
def test_sums_are_exact(left: type, right: type, constant: bool, objects: ObjectCache) -> None:
    for name, one in (*convolutions(left, right), *matrices(left, right)):
        weights = WEIGHTS & {slot.name for slot in OPS[name].slots()} if constant else frozenset()
        weights -= {"b"} if name == "QLinearMatMul" else set()
        program, arrays = program_of(OPS[name], one, weights)
        executable = build(program, plan_of(program), TARGET, 3, objects)
        code = executable.bindings[0].code
        assert code is not None, (name, one)
        assert "four" in code.why, (name, one, code.why)
        found, wanted = executable.run(arrays)["y0"], expected(program, arrays)["y0"]
        assert np.array_equal(found, wanted), (name, one)
        if constant:
            assert np.array_equal(run_fenced(executable, True)["y0"], wanted), (name, one)


@needs_dots
def test_the_inner_loops_keep_their_sums_in_registers(objects: ObjectCache) -> None:
    rng = np.random.default_rng(0)
    x, w = octets(rng, np.uint8, 1, 64, 16, 16), octets(rng, np.int8, 64, 64, 3, 3)
    a, b = octets(rng, np.uint8, 48, 256), octets(rng, np.int8, 256, 128)
    for name, one in (("ConvInteger", case(x, w)), ("MatMulInteger", case(a, b))):
        program, _ = program_of(OPS[name], one)
        (listing,) = build(program, plan_of(program), TARGET, 1, objects).listing()
        text = listing.make_assembly()
        assert "vpdpbusd" in text
        assert not hot_spills(text), hot_spills(text)[:5]
