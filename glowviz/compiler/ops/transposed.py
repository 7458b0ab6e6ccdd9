"""ConvTranspose in terms of Conv: without overlap as channels spread over blocks, else over x with zeros between."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import numpy as np

from glowviz.compiler.ops.arrange import DepthToSpace, Pad, Slice
from glowviz.compiler.ops.base import Builder
from glowviz.compiler.ops.cases import ints
from glowviz.compiler.ops.elementwise import Add
from glowviz.compiler.ops.norm import column
from glowviz.compiler.ops.shape import Reshape, Transpose

if TYPE_CHECKING:
    from glowviz.compiler.ops.conv import ConvTranspose, Spread


def _shaped(b: Builder, x: str, *shape: int) -> str:
    return b.one(Reshape(x, b.const(ints(*shape), name="shape"), allowzero=True))


def as_depth_to_space(op: ConvTranspose, b: Builder) -> str | None:
    """ConvTranspose(x, w) with kernel = strides -> DepthToSpace(Conv(x, w as 1x1), CRD); None where it does not fit."""
    x, w = b.type(op.x).dims, b.type(op.w).dims
    spread = op.spread(x, w)
    block = w[-1]
    square = len(w) == 4 and w[2] == w[3] and spread.strides == w[2:] and spread.dilations == (1, 1)
    whole = spread.out == tuple(n * block for n in x[2:]) and not any(spread.begins)
    if not (square and whole and op.group == 1):
        return None
    rows = b.one(Transpose(_shaped(b, op.w, w[0], w[1] * block * block), perm=(1, 0)))
    kernel = _shaped(b, rows, w[1] * block * block, w[0], 1, 1)
    blocks = b.conv(op.x, kernel, strides=(1, 1), pads=(0, 0, 0, 0), dilations=(1, 1))
    y = b.one(DepthToSpace(blocks, blocksize=block, mode="CRD"))
    return y if op.b is None else b.one(Add(y, column(b, op.b, 4)))


def as_convolution(op: ConvTranspose, b: Builder) -> str | None:
    """ConvTranspose(x, w) -> Conv(x with zeros between, w turned round); None where the padding would be negative."""
    x, w = b.type(op.x).dims, b.type(op.w).dims
    spread = op.spread(x, w)
    extents = [(k - 1) * d for k, d in zip(spread.kernel, spread.dilations, strict=True)]
    begins = [e - p for e, p in zip(extents, spread.begins, strict=True)]
    dense = [(n - 1) * s + 1 for n, s in zip(x[2:], spread.strides, strict=True)]
    ends = [o + e - n - a for o, e, n, a in zip(spread.out, extents, dense, begins, strict=True)]
    if min(*begins, *ends, *x) < 0 or 0 in x:
        return None
    kernel = _turned(op, b, w, spread)
    return b.conv(
        _with_zeros(b, op.x, x, spread.strides), kernel, op.b,
        strides=(1,) * len(extents), pads=(*begins, *ends), dilations=spread.dilations, group=op.group,
    )


def _turned(op: ConvTranspose, b: Builder, w: tuple[int, ...], spread: Spread) -> str:
    """w[C, M/g, k…] as [M, C/g, k…] with every tap axis reversed."""
    rank, group = len(spread.kernel), op.group
    split = _shaped(b, op.w, group, w[0] // group, w[1], *spread.kernel)
    swapped = b.one(Transpose(split, perm=(0, 2, 1, *range(3, 3 + rank))))
    rows = _shaped(b, swapped, group * w[1], w[0] // group, *spread.kernel)
    axes = range(2, 2 + rank)
    return b.one(
        Slice(
            rows,
            b.const(ints(*(-1,) * rank), name="last"),
            b.const(np.full(rank, np.iinfo(np.int64).min, np.int64), name="first"),
            b.const(ints(*axes), name="axes"),
            b.const(ints(*(-1,) * rank), name="back"),
        )
    )


def _with_zeros(b: Builder, x: str, dims: tuple[int, ...], strides: tuple[int, ...]) -> str:
    """stride - 1 zeros between neighbours along every spatial dim, none behind the last."""
    if prod(strides) == 1:
        return x
    apart: list[int] = list(dims[:2])
    after: list[int] = [0, 0]
    for n, s in zip(dims[2:], strides, strict=True):
        apart += [n, 1]
        after += [0, s - 1]
    wide = b.one(Pad(_shaped(b, x, *apart), b.const(ints(*(0,) * len(after), *after), name="zeros")))
    together = [*dims[:2], *(n * s for n, s in zip(dims[2:], strides, strict=True))]
    rank = len(strides)
    return b.one(
        Slice(
            _shaped(b, wide, *together),
            b.const(ints(*(0,) * rank), name="first"),
            b.const(ints(*((n - 1) * s + 1 for n, s in zip(dims[2:], strides, strict=True))), name="last"),
            b.const(ints(*range(2, 2 + rank)), name="axes"),
        )
    )
