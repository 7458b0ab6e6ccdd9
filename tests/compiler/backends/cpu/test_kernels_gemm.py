"""Matrix products equal float64 ones on every CPU level: packed, plain and transposed B, tails everywhere."""

from dataclasses import replace

import numpy as np
import pytest
from kernel_harness import Loaded, aligned, check_code, check_guards, close, guarded, targets

from glowviz.compiler.backends.cpu.kernels.choose_gemm import choose
from glowviz.compiler.backends.cpu.kernels.epilogue import Epilogue, Extra, add_relu_step
from glowviz.compiler.backends.cpu.kernels.gemm import GemmSchedule, GemmSpec, emit, pack_gemm_b
from glowviz.compiler.backends.cpu.kernels.geometry import Matrix
from glowviz.compiler.target import Target


def run(spec: GemmSpec, schedule: GemmSchedule, target: Target, a: np.ndarray, b: np.ndarray) -> None:
    """a [batch, m, k] and b [batch or 1, k, n] hold the logical values; strides come from the spec."""
    rng = np.random.default_rng(1)
    code = emit(spec, schedule, target, "gemm_kernel", add_relu_step if spec.epilogue.text else None)
    check_code(code, target)
    expected = a.astype(float) @ b.astype(float)
    arrays = [_laid_out(a, spec.a), _packed(b, spec, schedule, target)]
    if spec.epilogue.bias:
        bias = rng.normal(size=spec.n).astype(np.float32)
        arrays.append(aligned(bias))
        expected = expected + bias
    for _ in spec.epilogue.extras:
        residual = rng.normal(size=expected.shape).astype(np.float32)
        arrays.append(aligned(residual))
        expected = np.maximum(expected + residual, 0)
    if code.scratch:
        arrays.append(aligned(np.zeros(code.scratch // 4, np.float32)))
    kernel, bits = Loaded(code, target), []
    for pieces in (1, 3):
        out, whole = guarded(spec.batch * spec.m * spec.n)
        kernel.run([out, *arrays], pieces)
        check_guards(whole)
        close(out.reshape(expected.shape), expected, spec.k)
        bits.append(out.tobytes())
    assert bits[0] == bits[1]


def _laid_out(values: np.ndarray, matrix: Matrix) -> np.ndarray:
    return aligned(values if matrix.column == 4 else values.swapaxes(-1, -2))


def _packed(b: np.ndarray, spec: GemmSpec, schedule: GemmSchedule, target: Target) -> np.ndarray:
    if spec.b is not None:
        return _laid_out(b, spec.b)
    packed, whole = guarded(pack_gemm_b(b[0], schedule, target).size)
    packed[:] = pack_gemm_b(b[0], schedule, target)
    assert whole is not None
    return packed


def values(batch: int, m: int, n: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(m * n + k)
    a = rng.normal(size=(batch, m, k)).astype(np.float32)
    return a, rng.normal(size=(batch, k, n)).astype(np.float32)


SHAPES = [
    (1, 1, 1), (1, 10, 32), (1, 300, 77), (2, 37, 9), (5, 64, 33), (17, 19, 16), (49, 96, 24), (64, 250, 8),
    (7, 45, 768), (30, 33, 1031),
]  # fmt: skip


@pytest.mark.parametrize("target", targets(), ids=lambda t: t.name)
@pytest.mark.parametrize(("m", "n", "k"), SHAPES)
def test_packed_b(m: int, n: int, k: int, target: Target) -> None:
    a, b = values(1, m, n, k)
    extras = (Extra(matrix=Matrix.dense(m, n)),)
    spec = GemmSpec(m, n, k, Matrix.dense(m, k), Matrix.dense(m, n), epilogue=Epilogue(True, "add relu", extras))
    schedule, why = choose(spec, target)
    assert why
    run(spec, schedule, target, a, b)


@pytest.mark.parametrize("target", targets(), ids=lambda t: t.name)
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("copy", [False, True])
@pytest.mark.parametrize(("m", "n", "k"), [(1, 7, 5), (13, 37, 19), (20, 64, 32)])
def test_run_time_b(m: int, n: int, k: int, copy: bool, transposed: bool, target: Target) -> None:
    a, b = values(3, m, n, k)
    layout = Matrix.dense(n, k, 3).transposed if transposed else Matrix.dense(k, n, 3)
    spec = GemmSpec(m, n, k, Matrix.dense(m, k, 3), Matrix.dense(m, n, 3), layout, 3)
    schedule, _ = choose(spec, target)
    run(spec, replace(schedule, copy=copy or transposed), target, a, b)


@pytest.mark.parametrize("target", targets(), ids=lambda t: t.name)
def test_transposed_a_and_broadcast_b(target: Target) -> None:
    a, b = values(4, 11, 21, 18)
    size = 18 * 21 * 4
    layout = Matrix(21 * 4, 4, (0, size, 0, size))
    spec = GemmSpec(11, 21, 18, Matrix.dense(18, 11, 4).transposed, Matrix.dense(11, 21, 4), layout, 4)
    schedule, _ = choose(spec, target)
    b[2:] = b[:2]
    run(spec, schedule, target, a, b)


def test_columns_of_a_bad_result_are_refused() -> None:
    with pytest.raises(ValueError, match="side by side"):
        GemmSpec(2, 2, 2, Matrix.dense(2, 2), Matrix.dense(2, 2).transposed)
