"""Products by Strassen's scheme equal float64 ones on every CPU level, one and two deep, with blocks half full."""

import numpy as np
import pytest
from kernel_harness import Loaded, aligned, check_code, check_guards, guarded, targets

from glowviz.compiler.backends.cpu.kernels import strassen, strassen_sums
from glowviz.compiler.backends.cpu.kernels.choose_strassen import choose, plain_error, ranked, scheme_error
from glowviz.compiler.backends.cpu.kernels.epilogue import Epilogue, Extra, add_relu_step
from glowviz.compiler.backends.cpu.kernels.geometry import Matrix
from glowviz.compiler.backends.cpu.kernels.strassen import StrassenSchedule, StrassenSpec, pack_strassen
from glowviz.compiler.backends.cpu.kernels.strassen_scheme import LEFT, RESULT, RIGHT, nested
from glowviz.compiler.backends.cpu.machine_code import assembly, hot_spills, object_code
from glowviz.compiler.target import Target

SHAPES = [  # rows, columns, depth, levels
    (16, 64, 32, 1), (17, 70, 34, 1), (1, 3, 2, 1), (33, 100, 40, 2), (6, 130, 8, 2), (64, 192, 96, 2),
]  # fmt: skip
MOST_BYTES = 32 << 10  # several bodies: long and short tiles, whole and narrow panels
ERROR = 2e-6
"""Largest difference to the definition as a part of the largest result."""


def spec_of(m: int, n: int, k: int, levels: int, target: Target) -> StrassenSpec:
    epilogue = Epilogue(True, "add relu", (Extra(matrix=Matrix.dense(m, n)),))
    return StrassenSpec(m, n, k, Matrix.dense(m, k), Matrix.dense(m, n), levels, target.vector_width, epilogue)


def schedules(spec: StrassenSpec, target: Target) -> list[StrassenSchedule]:
    """The default, and one whose tiles, parts and groups leave rests."""
    rows = 4 if target.registers > 16 else 3
    return [choose(spec, target)[0], StrassenSchedule(spec.levels, rows, 1, 5, 2, prefetch=True)]


def test_the_scheme_is_the_product_of_two_matrices() -> None:
    for levels in (1, 2):
        left, right, result = (nested(table, levels) for table in (LEFT, RIGHT, RESULT))
        terms = np.einsum("pab,pcd,pef->abcdef", left, right, result)
        side = np.eye(1 << levels, dtype=int)
        assert np.array_equal(terms, np.einsum("bc,ae,df->abcdef", side, side, side))


@pytest.mark.parametrize("target", targets(), ids=lambda t: t.name)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_it_is_the_product(shape: tuple[int, int, int, int], target: Target) -> None:
    m, n, k, _ = shape
    spec, rng = spec_of(*shape, target), np.random.default_rng(m * n + k)
    a, b = (rng.normal(size=size).astype(np.float32) for size in ((m, k), (k, n)))
    bias, residual = rng.normal(size=n).astype(np.float32), rng.normal(size=(m, n)).astype(np.float32)
    wanted = np.maximum(a.astype(np.float64) @ b + bias + residual, 0)
    for schedule in schedules(spec, target):
        weights = aligned(pack_strassen(b, spec, schedule.vectors, schedule.turns))
        bits = [computed(spec, schedule, target, [aligned(a), weights, aligned(bias), aligned(residual)], pieces)
                for pieces in (1, 3)]  # fmt: skip
        assert np.array_equal(bits[0], bits[1])
        assert np.abs(bits[0].reshape(m, n) - wanted).max() <= ERROR * np.abs(wanted).max(), schedule


def computed(
    spec: StrassenSpec, schedule: StrassenSchedule, target: Target, operands: list[np.ndarray], pieces: int
) -> np.ndarray:
    """The result; sums and scratch are NaN before, so nothing unwritten may be read."""
    result, whole = guarded(spec.m * spec.n)
    first = strassen_sums.emit(spec, schedule, target, "sums")
    second = strassen.emit(spec, schedule, target, "products", add_relu_step if spec.epilogue.text else None)
    sums = junk(spec.rows * spec.sum_row)
    a, *rest = operands
    Loaded(first, target).run([sums, a], pieces)
    Loaded(second, target).run([result, sums, *rest, junk(second.scratch)], pieces)
    check_guards(whole)
    return result.copy()


def junk(size: int) -> np.ndarray:
    return aligned(np.full(size // 4, np.nan, np.float32))


@pytest.mark.parametrize("target", targets(), ids=lambda t: t.name)
@pytest.mark.parametrize("levels", [1, 2])
@pytest.mark.parametrize(("m", "n", "k"), [(128, 1536, 384), (64, 768, 3072), (197, 384, 384)])
def test_code_is_small_and_keeps_to_its_registers(m: int, n: int, k: int, levels: int, target: Target) -> None:
    spec = spec_of(m, n, k, levels, target)
    schedule, why = choose(spec, target)
    assert "FMA rate of the plain product" in why
    assert ranked(spec, target, 3)[0] == schedule
    for made in (strassen_sums.emit, strassen.emit):
        code = made(spec, schedule, target, "kernel", add_relu_step)
        check_code(code, target, spills=False)
        assert not hot_spills(assembly(code.text, target))  # between loops of 96 turns a sum may rest on the stack
        assert len(object_code(code.text, target)) <= MOST_BYTES
        assert code.split_tiles > 1


def test_errors_grow_with_the_depth_and_with_uneven_columns() -> None:
    target = targets()[0]
    weights = np.random.default_rng(2).normal(size=(384, 200)).astype(np.float32)
    plain = plain_error(384, target)
    one, two = (scheme_error(weights, spec_of(64, 200, 384, levels, target), 96) for levels in (1, 2))
    assert 0.9 < one / plain < 1.2
    assert 1.8 < two / plain < 2.2
    weights[:, :50] *= 100  # what the others share of these columns' roundings is large for them
    assert scheme_error(weights, spec_of(64, 200, 384, 2, target), 96) > 20 * two


@pytest.mark.parametrize("levels", [1, 2])
def test_the_estimate_is_the_error_that_is_measured(levels: int) -> None:
    target, rng = targets()[0], np.random.default_rng(3)
    m, n, k = 64, 128, 384
    spec = StrassenSpec(m, n, k, Matrix.dense(m, k), Matrix.dense(m, n), levels, target.vector_width)
    a, b = (rng.normal(size=size).astype(np.float32) for size in ((m, k), (k, n)))
    schedule, _ = choose(spec, target)
    weights = aligned(pack_strassen(b, spec, schedule.vectors, schedule.turns))
    exact = a.astype(np.float64) @ b
    difference = computed(spec, schedule, target, [aligned(a), weights], 1).reshape(m, n) - exact
    measured = np.sqrt(np.mean(difference**2) / np.mean(exact**2))
    assert 0.7 * measured < scheme_error(b, spec, schedule.turns) < 1.5 * measured


def test_columns_that_make_no_equal_blocks_are_refused() -> None:
    with pytest.raises(ValueError, match="33 columns of A side by side do not make 2 equal blocks"):
        spec_of(8, 8, 33, 1, targets()[0])
