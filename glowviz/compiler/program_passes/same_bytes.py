"""Which bytes of its operand a movement gives back unchanged, so that its result can be a view."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from glowviz.compiler.ops import Flatten, Identity, Reshape, Slice, Split, Squeeze, Transpose, Unsqueeze
from glowviz.compiler.ops.shape import Movement
from glowviz.compiler.program import Instr, Program
from glowviz.compiler.types import Type

WHOLE = (Reshape, Flatten, Squeeze, Unsqueeze, Identity)


class NotTheSameBytes(Exception):
    """Why a movement has to move: the text stands in a reason, after a colon."""


def source_of(instr: Instr) -> str | None:
    """The buffer whose bytes the instruction may give back; None where it is no movement of that kind."""
    op = instr.op
    return op.x if isinstance(op, (*WHOLE, Slice, Split, Transpose)) and isinstance(op, Movement) else None


def offsets(program: Program, instr: Instr) -> tuple[int, ...]:
    """Where in its operand each result begins, in bytes; NotTheSameBytes says why it is nowhere in there."""
    op, x = instr.op, program.buffers[instr.op.x].type
    if x.order is not None or any(program.buffers[o].type.order is not None for o in instr.outs):
        raise NotTheSameBytes("it is not in row-major order")
    if isinstance(op, Transpose):
        return (_unmoved(op.order_of(x.rank), x),)
    if isinstance(op, Slice):
        return (_begin(x, _starts(program, op, x), program.buffers[instr.outs[0]].type.dims),)
    if isinstance(op, Split):
        return _parts(program, instr, x)
    return (0,)


def _unmoved(perm: Sequence[int], x: Type) -> int:
    order = [axis for axis in perm if x.dims[axis] != 1]
    if order != sorted(order):
        raise NotTheSameBytes("it moves data")
    return 0


def _starts(program: Program, op: Slice, x: Type) -> list[int]:
    """First index along every axis; only steps of 1 leave bytes together."""
    fields = [_content(program, name) for name in (op.starts, op.ends, op.axes, op.steps)]
    starts, ends, axes, steps = fields
    cuts = op.cuts(x.dims, starts, ends, axes, steps)
    ranges = [range(n)[cut] for n, cut in zip(x.dims, cuts, strict=True)]
    if any(len(r) > 1 and r.step != 1 for r in ranges):
        raise NotTheSameBytes("it takes steps")
    return [r.start for r in ranges]


def _content(program: Program, name: str | None) -> list[int]:
    if name is None:
        return []
    payload = program.root(name).payload
    if payload is None:
        raise NotTheSameBytes(f"%{name} is known only when it runs")
    return [int(n) for n in np.asarray(payload.array).reshape(-1)]


def _begin(x: Type, starts: Sequence[int], sizes: Sequence[int]) -> int:
    if not is_contiguous(x.dims, sizes):
        raise NotTheSameBytes("its elements do not lie one behind the other")
    strides = [prod(x.dims[k + 1 :]) for k in range(x.rank)]
    return sum(s * n for s, n in zip(strides, starts, strict=True)) * x.dtype.itemsize


def _parts(program: Program, instr: Instr, x: Type) -> tuple[int, ...]:
    axis, found, start = instr.op.axis % x.rank, [], 0
    for name in instr.outs:
        dims = program.buffers[name].type.dims
        found.append(_begin(x, [start if a == axis else 0 for a in range(x.rank)], dims))
        start += dims[axis]
    return tuple(found)


def is_contiguous(shape: Sequence[int], part: Sequence[int]) -> bool:
    """Whether a box of sizes `part` in a row-major tensor of `shape` is one run of elements."""
    cut = [k for k, (whole, size) in enumerate(zip(shape, part, strict=True)) if size != whole]
    return not cut or all(size == 1 for size in part[: cut[-1]])
