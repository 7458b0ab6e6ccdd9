"""Buffers of a Program become the Maps and Matrices that heavy kernels read, or Unsupported says why not."""

from __future__ import annotations

from collections.abc import Collection
from math import prod

from glowviz.compiler.backends.cpu.kernels.boxes import Unsupported
from glowviz.compiler.backends.cpu.kernels.geometry import FLOAT, Map, Matrix, Steps
from glowviz.compiler.program import Buffer, Program
from glowviz.compiler.types import channel_blocked

NUMBERS = {"f32": FLOAT, "bf16": 2}
"""Bytes of what heavy kernels write and what their epilogues read."""


def map_of(buffer: Buffer, block: int, elems: tuple[str, ...] = ("f32",)) -> Map:
    """The buffer [N, C, H, W] (or [N, C, L] as one row) with `block` channels innermost, or plain; of these elems."""
    type_ = buffer.type
    if type_.elem not in elems or not type_.static or type_.rank not in (3, 4) or 0 in type_.dims:
        raise Unsupported(f"%{buffer.name} is {type_}: heavy kernels work on f32 maps of rank 3 or 4")
    n, c, *spatial = type_.dims
    height, width = spatial if len(spatial) == 2 else (1, spatial[0])
    halo = buffer.halo
    sides = (halo.top, halo.left, halo.bottom, halo.right) if halo else (0, 0, 0, 0)
    if type_.order is None:
        return Map(n, c, height, width, 1, sides, NUMBERS[type_.elem])
    if type_.order != channel_blocked(type_.rank, block):
        raise Unsupported(f"%{buffer.name} lies in @{type_.order}, the kernel wants blocks of {block} channels")
    return Map(n, c, height, width, block, sides, NUMBERS[type_.elem])


def steps_of(buffer: Buffer, result: Map) -> Steps:
    """How an operand that broadcasts to `result` is walked; Unsupported where its channels do not lie in a row."""
    dims = (1,) * (4 - buffer.type.rank) + buffer.type.dims if buffer.type.rank < 4 else buffer.type.dims
    if buffer.type.elem not in NUMBERS or len(dims) != 4:
        raise Unsupported(f"%{buffer.name} is {buffer.type}: an epilogue reads f32 or bf16 of rank 4 at most")
    wanted = (result.batch, result.channels, result.height, result.width)
    if any(have not in (1, want) for have, want in zip(dims, wanted, strict=True)):
        raise Unsupported(f"%{buffer.name} {buffer.type} does not broadcast to {wanted}")
    halo = buffer.halo
    sides = (halo.top, halo.left, halo.bottom, halo.right) if halo else (0, 0, 0, 0)
    blocked = buffer.type.order is not None
    if blocked and buffer.type.order != channel_blocked(buffer.type.rank, result.block):
        raise Unsupported(f"%{buffer.name} lies in @{buffer.type.order}, not in blocks of {result.block} channels")
    one_pixel = dims[2] == dims[3] == 1 and not any(sides)
    if not blocked and dims[1] > 1 and not one_pixel:
        raise Unsupported(f"%{buffer.name} is row-major: its channels do not lie side by side")
    number = NUMBERS[buffer.type.elem]
    layout = Map(*dims, result.block if blocked else 1, sides, number)  # type: ignore[arg-type]  # four numbers
    image = layout.image if dims[0] > 1 else 0
    plane = result.block * number if not blocked else layout.plane
    return Steps(
        layout.origin, image, plane if dims[1] > 1 else 0, layout.row if dims[2] > 1 else 0,
        layout.pixel if dims[3] > 1 else 0, splat=dims[1] == 1, number=number,
    )  # fmt: skip


def plain(program: Program, name: str, elems: Collection[str] = ("f32",)) -> tuple[int, ...]:
    """The dims of a row-major buffer of one of these elems; Unsupported for any other."""
    buffer = program.buffers[name]
    type_ = buffer.type
    if type_.elem not in elems or type_.order is not None or buffer.halo is not None:
        raise Unsupported(f"%{name} is {type_}: a matrix product reads row-major {' or '.join(elems)}")
    if 0 in type_.dims:
        raise Unsupported(f"%{name} is empty")
    return type_.dims


def strides(dims: tuple[int, ...], number: int = FLOAT) -> tuple[int, ...]:
    """Bytes per index of a row-major tensor; 0 for dims of size 1."""
    return tuple(0 if n == 1 else prod(dims[axis + 1 :]) * number for axis, n in enumerate(dims))


def matrix_of(dims: tuple[int, ...], batch: tuple[int, ...], columns: bool = True, number: int = FLOAT) -> Matrix:
    """A tensor [..., M, N] that broadcasts to a batch of products: its strides and one offset per matrix."""
    steps = strides(dims, number)
    lead = (0,) * (len(batch) + 2 - len(dims)) + steps
    offsets = [0]
    for step, count in zip(lead, batch, strict=False):
        offsets = [o + n * step for o in offsets for n in range(count)]
    row, column = lead[-2], lead[-1]
    if columns and column == 0 and dims and dims[-1] == 1:
        column = number  # a single column is a column all the same
    return Matrix(row, column, tuple(offsets) if any(offsets) else (), number)
