"""Convolutions of volumes are made of those of pictures: the taps along the depth become channels."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from glowviz.compiler.ops.base import Builder
from glowviz.compiler.ops.elementwise import Add
from glowviz.compiler.ops.windows import Windows

DEPTH_FIRST = (0, 2, 1, 3, 4)


def conv_of_pictures(b: Builder, x: str, w: str, bias: str | None, windows: Windows) -> str:
    """Conv of x[N, C, D, H, W] with w[M, C, kD, kH, kW] as one Conv of N·D' pictures with C·kD channels."""
    (batch, channels), (features, *_) = b.type(x).dims[:2], b.type(w).dims
    depth, taps = windows.out[0], windows.kernel[0]
    if windows.out == windows.spatial and set(windows.kernel) == {1} and not any(windows.begins):
        flat = _shaped(b, x, (batch, channels, depth * windows.spatial[1], windows.spatial[2]))
        rows = _shaped(b, w, (features, channels, 1, 1)) if b.known(w) is None else _rows(b, w)
        made = b.conv(flat, rows, bias, strides=(1, 1), pads=(0, 0, 0, 0), dilations=(1, 1))
        return _shaped(b, made, (batch, features, *windows.out))
    if windows.begins[0] or windows.ends[0]:
        ends = (0, 0, windows.begins[0], 0, 0, 0, 0, windows.ends[0], 0, 0)
        x = b.pad(x, b.const(np.array(ends, np.int64), name="pads"))
    slices = b.transpose(x, perm=DEPTH_FIRST)
    parts = [_slices(b, slices, tap * windows.dilations[0], windows.strides[0], depth) for tap in range(taps)]
    joined = parts[0] if taps == 1 else b.concat(tuple(parts), axis=2)
    pictures = _shaped(b, joined, (batch * depth, channels * taps, *windows.spatial[1:]))
    pads = (*windows.begins[1:], *windows.ends[1:])
    made = b.conv(
        pictures, _rows(b, w), bias, strides=windows.strides[1:], pads=pads, dilations=windows.dilations[1:]
    )  # fmt: skip
    return b.transpose(_shaped(b, made, (batch, depth, features, *windows.out[1:])), perm=DEPTH_FIRST)


def _shaped(b: Builder, x: str, shape: Sequence[int]) -> str:
    return b.reshape(x, b.const(np.array(shape, np.int64), name="shape"))


def _slices(b: Builder, x: str, first: int, stride: int, count: int) -> str:
    """`count` slices from `first` on, `stride` apart, along axis 1."""
    end = first + (count - 1) * stride + 1
    if (first, end, stride) == (0, b.type(x).dims[1], 1):
        return x
    return b.slice(x, *(b.const(np.array([n], np.int64), name="place") for n in (first, end, 1, stride)))


def _rows(b: Builder, w: str) -> str:
    """w[M, C, kD, kH, kW] as [M, kD·C, kH, kW]."""
    features, channels, taps, *plane = b.type(w).dims
    shape, array = (features, channels * taps, *plane), b.known(w)
    if array is not None:
        return b.const(np.ascontiguousarray(array.transpose(DEPTH_FIRST)).reshape(shape), name="w")
    return _shaped(b, b.transpose(w, perm=DEPTH_FIRST), shape)


def spread_by_product(b: Builder, x: str, w: str, bias: str | None) -> str:
    """ConvTranspose whose windows lie side by side: one product gives every element, which are then put in order."""
    (batch, channels, *spatial), (_, features, *kernel) = b.type(x).dims, b.type(w).dims
    array, rank, flat = b.known(w), len(kernel), features * prod(kernel)
    if array is not None:
        rows = b.const(np.ascontiguousarray(array.reshape(channels, flat).T), name="w")
    else:
        rows = b.transpose(_shaped(b, w, (channels, flat)), perm=(1, 0))
    product = b.mat_mul(rows, _shaped(b, x, (batch, channels, prod(spatial))))
    apart = _shaped(b, product, (batch, features, *kernel, *spatial))
    pairs = [axis for n in range(rank) for axis in (2 + rank + n, 2 + n)]
    out = tuple(n * k for n, k in zip(spatial, kernel, strict=True))
    made = _shaped(b, b.transpose(apart, perm=(0, 1, *pairs)), (batch, features, *out))
    return made if bias is None else b.one(Add(made, _shaped(b, bias, (features, *(1,) * rank))))
