"""Kernels of bf16 pairs: vdpbf16ps for each sum, no spills, small objects, the numbers of rounded operands."""

from __future__ import annotations

from dataclasses import replace

import ml_dtypes
import numpy as np
import pytest
from kernel_harness import Loaded, aligned, check_code, check_guards, close, guarded

from glowviz.compiler.backends.cpu.cpu_targets import avx512, host_target
from glowviz.compiler.backends.cpu.kernels import choose_conv, choose_gemm, conv, gemm
from glowviz.compiler.backends.cpu.kernels.conv import ConvSpec
from glowviz.compiler.backends.cpu.kernels.epilogue import Epilogue, Extra, add_relu_step
from glowviz.compiler.backends.cpu.kernels.gemm import GemmSpec
from glowviz.compiler.backends.cpu.kernels.geometry import Map, Matrix
from glowviz.compiler.backends.cpu.machine_code import assembly, object_code
from glowviz.compiler.types import channel_blocked

TARGET = replace(avx512(), cpu="cooperlake", has_bf16=True)
LARGEST_OBJECT = 16 << 10
here = pytest.mark.skipif(not host_target().has_bf16, reason="this processor has no avx512_bf16")
RNG = np.random.default_rng(0)


def bf16(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(ml_dtypes.bfloat16)


def product(m: int, n: int, k: int, number: int) -> GemmSpec:
    """Row-major A of bf16; the result and a residual of `number` bytes."""
    result = Matrix(n * number, number, (), number)
    residual = Extra(matrix=Matrix(n * 2, 2, (), 2))
    return GemmSpec(
        m, n, k // 2, Matrix(k * 2), result, epilogue=Epilogue(True, "add relu", (residual,)), pairs=True
    )  # fmt: skip


def convolution(channels: int, features: int, size: int, kernel: int, stride: int) -> ConvSpec:
    pad = kernel // 2
    source = Map(1, channels, size, size, 16, (pad, pad, pad, pad), 2)
    out = (size + 2 * pad - kernel) // stride + 1
    result = Map(1, features, out, out, 16, number=2)
    epilogue = Epilogue(True, "add relu", (Extra(map=result),))
    shape = ((kernel, kernel), (stride, stride), (1, 1), (pad, pad))
    return ConvSpec(source.in_pairs, result, *shape, epilogue=epilogue, pairs=True)


PRODUCTS = [(128, 768, 768, 2), (128, 3072, 768, 4), (1, 1000, 2048, 4), (7, 45, 770, 2)]
CONVOLUTIONS = [
    (64, 256, 56, 1, 1),
    (128, 128, 28, 3, 1),
    (512, 512, 7, 3, 1),
    (256, 512, 28, 1, 2),
    (37, 41, 13, 3, 2),
]


@pytest.mark.parametrize("shape", PRODUCTS)
def test_code_of_products(shape: tuple[int, int, int, int]) -> None:
    spec = product(*shape)
    code = gemm.emit(spec, choose_gemm.choose(spec, TARGET)[0], TARGET, "wide_product", add_relu_step)
    check_code(code, TARGET)
    assert "vdpbf16ps" in assembly(code.text, TARGET)
    assert len(object_code(code.text, TARGET)) <= LARGEST_OBJECT


@pytest.mark.parametrize("shape", CONVOLUTIONS)
def test_code_of_convolutions(shape: tuple[int, int, int, int, int]) -> None:
    spec = convolution(*shape)
    code = conv.emit(spec, choose_conv.choose(spec, TARGET)[0], TARGET, "wide_convolution", add_relu_step)
    check_code(code, TARGET)
    assert {"vdpbf16ps", "vcvtneps2bf16"} <= set(assembly(code.text, TARGET).split())
    assert len(object_code(code.text, TARGET)) <= LARGEST_OBJECT


@here
@pytest.mark.parametrize(("m", "n", "k"), [(1, 10, 32), (5, 64, 34), (17, 19, 16), (64, 250, 8), (30, 33, 1032)])
def test_products(m: int, n: int, k: int) -> None:
    target, spec = host_target(), product(m, n, k, 4)
    schedule, _ = choose_gemm.choose(spec, target)
    a, b, residual = bf16(m, k), bf16(k, n), bf16(m, n)
    bias = RNG.normal(size=n).astype(np.float32)
    packed = aligned(gemm.gemm_b_order(schedule, target, pairs=True).pack(b))
    code = gemm.emit(spec, schedule, target, "wide_product", add_relu_step)
    kernel, bits = Loaded(code, target), []
    expected = np.maximum(a.astype(float) @ b.astype(float) + bias + residual.astype(float), 0)
    for pieces in (1, 3):
        out, whole = guarded(m * n)
        kernel.run([out, aligned(a), packed, aligned(bias), aligned(residual)], pieces)
        check_guards(whole)
        close(out.reshape(m, n), expected, k)
        bits.append(out.tobytes())
    assert bits[0] == bits[1]


@here
@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("channels", [15, 32, 40])
def test_convolutions(channels: int, kernel: int) -> None:
    """Results of bf16 lie within half a unit in the last place of the exact sums, and spare lanes are zero."""
    target, spec = host_target(), convolution(channels, 21, 9, kernel, 1)
    schedule, _ = choose_conv.choose(spec, target)
    pad, order = kernel // 2, channel_blocked(4, 16)
    x, w = bf16(1, channels, 9, 9), bf16(21, channels, kernel, kernel)
    bias, residual = RNG.normal(size=32).astype(np.float32), bf16(1, 21, 9, 9)
    source = order.pack(np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad))))
    weights = conv.conv_weight_order(spec, schedule).pack(w)
    out = aligned(np.zeros((1, 2, 9, 9, 16), ml_dtypes.bfloat16))
    code = conv.emit(spec, schedule, target, "wide_convolution", add_relu_step)
    arrays = (source, weights, bias, order.pack(residual))
    Loaded(code, target).run([out, *map(aligned, arrays)], 2)
    wide = np.lib.stride_tricks.sliding_window_view(
        np.pad(x.astype(float), ((0, 0), (0, 0), (pad, pad), (pad, pad))), (kernel, kernel), axis=(2, 3)
    )  # fmt: skip
    exact = np.einsum("ncyxhw,ochw->noyx", wide, w.astype(float)) + bias[:21, None, None] + residual.astype(float)
    exact = np.maximum(exact, 0)
    found = order.unpack(out, (1, 21, 9, 9)).astype(float)
    assert (np.abs(found - exact) <= np.abs(exact) * 2.0**-8 + 1e-5 * exact.max()).all()
    assert not out[:, 1, :, :, 5:].astype(float).any()
