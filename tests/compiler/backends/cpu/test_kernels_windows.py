"""Depthwise convolutions and pools equal a float64 definition on every CPU level."""

from collections.abc import Callable

import numpy as np
import pytest
from kernel_harness import Loaded, aligned, check_code, check_guards, close, guarded, targets

from glowviz.compiler.backends.cpu.kernels import depthwise, pool
from glowviz.compiler.backends.cpu.kernels.epilogue import Epilogue, Extra, add_relu_step
from glowviz.compiler.backends.cpu.kernels.geometry import Map
from glowviz.compiler.backends.cpu.registry import KernelCode
from glowviz.compiler.target import Target

Windows = list[tuple[int, int, int, int, np.ndarray]]


def compare(code: KernelCode, target: Target, arrays: list[np.ndarray], result: Map, expected: np.ndarray) -> None:
    check_code(code, target)
    kernel, bits = Loaded(code, target), []
    for pieces in (1, 4):
        out, whole = guarded(result.size // 4)
        kernel.run([out, *arrays], pieces)
        check_guards(whole)
        close(result.read(out), expected, 9)
        bits.append(out.tobytes())
    assert bits[0] == bits[1]


# channels, height, width, kernel, strides, dilations, pads
DEPTHWISE = {
    "3x3": (32, 14, 14, (3, 3), (1, 1), (1, 1), (1, 1, 1, 1)),
    "3x3 stride": (19, 15, 17, (3, 3), (2, 2), (1, 1), (1, 1, 1, 1)),
    "5x5": (8, 9, 30, (5, 5), (1, 1), (1, 1), (2, 2, 2, 2)),
    "5x5 stride": (8, 9, 30, (5, 5), (2, 2), (1, 1), (2, 2, 2, 2)),
    "7x7": (5, 10, 11, (7, 7), (1, 1), (1, 1), (3, 3, 3, 3)),
    "dilated": (5, 12, 13, (3, 3), (1, 1), (2, 3), (2, 3, 2, 3)),
    "1x31": (4, 1, 40, (1, 31), (1, 1), (1, 1), (0, 15, 0, 15)),
    "one column": (40, 6, 1, (3, 1), (1, 1), (1, 1), (1, 0, 1, 0)),
}


@pytest.mark.parametrize("target", targets(), ids=lambda t: t.name)
@pytest.mark.parametrize("case", DEPTHWISE)
def test_depthwise(case: str, target: Target) -> None:
    c, h, w, k, s, d, pads = DEPTHWISE[case]
    rng, block = np.random.default_rng(3), target.vector_width
    oh, ow = ((n + pads[i] + pads[i + 2] - d[i] * (k[i] - 1) - 1) // s[i] + 1 for i, n in ((0, h), (1, w)))
    result = Map(2, c, oh, ow, block, (1, 0, 1, 1))
    residual_map = Map(2, c, oh, ow, block)
    spec = depthwise.DepthwiseSpec(
        Map(2, c, h, w, block, pads), result, k, s, d, pads[:2],
        Epilogue(True, "add relu", (Extra(residual_map),)),
    )  # fmt: skip
    x, weights = rng.normal(size=(2, c, h, w)).astype(np.float32), rng.normal(size=(c, 1, *k)).astype(np.float32)
    bias, residual = rng.normal(size=c).astype(np.float32), rng.normal(size=(2, c, oh, ow)).astype(np.float32)
    padded = np.pad(x.astype(float), ((0, 0), (0, 0), (pads[0], pads[2]), (pads[1], pads[3])))
    expected = bias[:, None, None] + residual.astype(float)
    for y in range(k[0]):
        for z in range(k[1]):
            rows = padded[:, :, y * d[0] : y * d[0] + (oh - 1) * s[0] + 1 : s[0]]
            expected = (
                expected + rows[..., z * d[1] : z * d[1] + (ow - 1) * s[1] + 1 : s[1]] * weights[:, :, y, z, None]
            )
    schedule, why = depthwise.choose(spec, target)
    assert why
    code = depthwise.emit(spec, schedule, target, "depthwise_kernel", add_relu_step)
    arrays = [
        spec.source.write(x), depthwise.pack_depthwise_weights(weights, spec), bias,
        residual_map.write(residual),
    ]  # fmt: skip
    compare(code, target, [aligned(a) for a in arrays], result, np.maximum(expected, 0))


# channels, height, width, kernel, strides, dilations, pads, ceil
POOLS = {
    "3x3 stride 2": (20, 15, 15, (3, 3), (2, 2), (1, 1), (1, 1, 1, 1), False),
    "2x2": (8, 8, 10, (2, 2), (2, 2), (1, 1), (0, 0, 0, 0), False),
    "ceil": (8, 8, 9, (3, 3), (2, 2), (1, 1), (0, 0, 0, 0), True),
    "ceil and pads": (8, 10, 7, (3, 2), (3, 3), (1, 1), (1, 0, 1, 1), True),
    "dilated": (6, 12, 20, (3, 3), (1, 1), (2, 2), (2, 2, 2, 2), False),
    "5x5 same": (6, 9, 30, (5, 5), (1, 1), (1, 1), (2, 2, 2, 2), False),
    "whole": (33, 7, 7, (7, 7), (1, 1), (1, 1), (0, 0, 0, 0), False),
    "whole narrow": (5, 4, 3, (4, 3), (1, 1), (1, 1), (0, 0, 0, 0), False),
}


def out_size(n: int, k: int, s: int, d: int, before: int, after: int, ceil: bool) -> int:
    reach = n + before + after - d * (k - 1) - 1
    size = (reach + s - 1) // s + 1 if ceil else reach // s + 1
    return size - 1 if ceil and (size - 1) * s >= n + before else size


def windows_of(
    n: int, out: int, k: int, s: int, d: int, before: int, after: int
) -> list[tuple[list[int], int]]:  # fmt: skip
    """For each result: the elements in the map, and how many of its window lie in the map and its pads."""
    found = []
    for o in range(out):
        taps = [o * s - before + t * d for t in range(k)]
        found.append(([t for t in taps if 0 <= t < n], sum(-before <= t < n + after for t in taps)))
    return found


@pytest.mark.parametrize("target", targets(), ids=lambda t: t.name)
@pytest.mark.parametrize("kind", ["max", "average", "average with pads"])
@pytest.mark.parametrize("case", POOLS)
def test_pool(case: str, kind: str, target: Target) -> None:
    c, h, w, k, s, d, pads, ceil = POOLS[case]
    oh = out_size(h, k[0], s[0], d[0], pads[0], pads[2], ceil)
    ow = out_size(w, k[1], s[1], d[1], pads[1], pads[3], ceil)
    x = np.random.default_rng(4).normal(size=(2, c, h, w)).astype(np.float32)
    rows = windows_of(h, oh, k[0], s[0], d[0], pads[0], pads[2])
    columns = windows_of(w, ow, k[1], s[1], d[1], pads[1], pads[3])
    include = kind.endswith("pads")
    join: Callable[..., np.ndarray] = np.max if kind == "max" else np.sum
    expected = np.zeros((2, c, oh, ow))
    for i, (inside_rows, all_rows) in enumerate(rows):
        for j, (inside_columns, all_columns) in enumerate(columns):
            window = x[:, :, inside_rows][..., inside_columns].astype(float)
            count = all_rows * all_columns if include else len(inside_rows) * len(inside_columns)
            expected[:, :, i, j] = join(window, axis=(2, 3)) / (1 if kind == "max" else count)
    source, result = Map(2, c, h, w, target.vector_width, (0, 1, 2, 0)), Map(2, c, oh, ow, target.vector_width)
    spec = pool.PoolSpec("max" if kind == "max" else "average", source, result, k, s, d, pads, include)
    schedule, why = pool.choose(spec, target)
    assert why
    code = pool.emit(spec, schedule, target, "pool_kernel")
    compare(code, target, [aligned(source.write(x, fill=1e9))], result, expected)


@pytest.mark.parametrize("target", targets(), ids=lambda t: t.name)
@pytest.mark.parametrize("size", [3, 7])
def test_max_pool_keeps_nan(size: int, target: Target) -> None:
    source, result = (Map(1, 4, n, n, target.vector_width) for n in (7, 8 - size))
    spec = pool.PoolSpec("max", source, result, (size, size))
    x = np.ones((1, 4, 7, 7), np.float32)
    x[0, 1, 3, 3] = np.nan
    code = pool.emit(spec, pool.choose(spec, target)[0], target, "pool_kernel")
    out, _ = guarded(result.size // 4)
    Loaded(code, target).run([out, aligned(source.write(x))])
    pooled = result.read(out)
    assert np.isnan(pooled[0, 1, 3 if size == 3 else 0, 3 if size == 3 else 0])
    assert not np.isnan(pooled[0, 0]).any()
