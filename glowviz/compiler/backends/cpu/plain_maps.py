"""Convolutions that no blocked kernel takes run on row-major maps with their padding made by a pad before them.

Those of bytes always do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from glowviz.compiler.graph import Payload
from glowviz.compiler.ops import Conv, ConvInteger, Pad, QLinearConv, Reorder
from glowviz.compiler.ops.windows import Windows
from glowviz.compiler.program import Alloc, Buffer, Dealloc, Instr, Statement
from glowviz.compiler.recording.records import Change, log
from glowviz.compiler.target import Target
from glowviz.compiler.types import Type

BYTE_CONVS = (ConvInteger, QLinearConv)
NewBuffer = Callable[..., str]
"""`new(name, **facts)` adds a Buffer under a free name and gives that."""


def on_plain_maps(instr: Instr, buffers: dict[str, Buffer], new: NewBuffer) -> Iterator[Statement]:
    """conv %y, %x {pads}  ->  pad %x.padded, %x; conv %y, %x.padded {no pads}; a blocked %y gets a reorder behind."""
    op: Any = instr.op
    x, y = buffers[op.x], buffers[instr.outs[0]]
    windows = _windows(op, buffers)
    padded = any((*windows.begins, *windows.ends)) or x.type.order is not None
    facts: dict[str, Any] = {"kind": "activation", "origin": instr.origin}
    if padded:
        op = op.evolve(
            x=new(f"{x.name}.padded", type=_padded(x.type, windows.begins, windows.ends), **facts),
            pads=(0,) * 2 * len(windows.kernel), auto_pad="NOTSET",
        )  # fmt: skip
        numbers = np.array([0, 0, *windows.begins, 0, 0, *windows.ends], np.int64)
        pads = new(f"{x.name}.pads", type=Type("i64", numbers.shape), kind="weight", payload=Payload(numbers))
        value = None
        if isinstance(op, BYTE_CONVS) and op.x_zero is not None:
            zero = buffers[op.x_zero].payload
            assert zero is not None, "the caller looked"
            single = zero.array.reshape(())
            value = new(f"{x.name}.fill", type=Type(x.type.elem, ()), kind="weight", payload=Payload(single))
        yield Alloc(op.x)
        yield Instr(Pad(x.name, pads, value), (op.x,), instr.origin, value=op.x)
        reason = f"{instr.name} on {x.type} has no blocked kernel: its padding is a copy before it"
        log().change(Change("pad_apart", instr.value or y.name, reason, added=(op.x,)))
    goal = y.name if y.type.order is None else new(f"{y.name}.plain", type=y.type.logical, **facts)
    if goal != y.name:
        yield Alloc(goal)
    yield instr.evolve(op=op, outs=(goal,))
    if padded:
        yield Dealloc(op.x)
    if goal != y.name:
        yield Instr(Reorder(goal, y.type.order), (y.name,), instr.origin, value=f"{goal}.blocks")
        yield Dealloc(goal)


def wants_padding_apart(instr: Instr, buffers: dict[str, Buffer], target: Target) -> bool:
    """Whether an instruction is a convolution of bytes whose fast kernel reads padded maps, and the fill is known."""
    op: Any = instr.op
    if not isinstance(op, BYTE_CONVS) or not target.has_vnni or buffers[op.x].type.rank not in (3, 4):
        return False
    windows = _windows(op, buffers)
    zero = None if op.x_zero is None else buffers[op.x_zero]
    known = zero is None or (zero.kind == "weight" and zero.payload is not None and zero.type.count == 1)
    return known and buffers[op.x].type.order is None and any((*windows.begins, *windows.ends))


def _windows(op: Any, buffers: dict[str, Buffer]) -> Windows:
    conv = Conv("x", "w", None, op.strides, op.pads, op.dilations, op.group, op.auto_pad)
    return conv.windows(buffers[op.x].type.dims, buffers[op.w].type.dims)


def _padded(type_: Type, begins: tuple[int, ...], ends: tuple[int, ...]) -> Type:
    grown = (n + b + e for n, b, e in zip(type_.dims[2:], begins, ends, strict=True))
    return Type(type_.elem, (*type_.dims[:2], *grown))
