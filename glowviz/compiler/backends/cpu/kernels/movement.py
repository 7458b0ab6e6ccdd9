"""Instructions that only move elements: each says which affine walks lead from its operands to its results."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np

from glowviz.compiler.backends.cpu.kernels.boxes import Access, Axis, Unsupported, direct
from glowviz.compiler.backends.cpu.kernels.draft import Draft, constant_of, supported
from glowviz.compiler.backends.cpu.kernels.moves import fill, move
from glowviz.compiler.backends.cpu.registry import KernelCode, kernel
from glowviz.compiler.program import Buffer, Instr, Program
from glowviz.compiler.target import Target

MOST_PLACES = 8
"""Rows of a block up to which every place in it gets a walk of its own."""


def along(axis: int, coefficient: int = 1, offset: int = 0) -> Axis:
    """The operand axis follows one iteration axis."""
    return Axis(offset, ((axis, coefficient),))


def _shifted(buffer: Buffer, axis: int, offset: int) -> Access:
    return Access(buffer, tuple(along(a, 1, offset if a == axis else 0) for a in range(buffer.type.rank)))


@kernel("copy", "identity", "reorder", "dropout")
@supported
def copy(instr: Instr, program: Program, target: Target) -> KernelCode:
    """The same elements, perhaps in another order or with another halo."""
    draft = Draft(instr, program, target, instr.ins[:1])
    if len(instr.outs) > 1:
        raise Unsupported("the mask of a Dropout")
    if draft.operands[0] == instr.ins[0]:
        return draft.finish("already there")
    source, goal = draft.buffers[1], draft.result
    move(draft, goal.type.dims, (0, direct(goal)), (1, direct(source)))
    return draft.finish(f"from {source.type.order or 'row-major'} to {goal.type.order or 'row-major'}")


@kernel("reshape", "flatten", "squeeze", "unsqueeze")
@supported
def reshape(instr: Instr, program: Program, target: Target) -> KernelCode:
    """The same bytes under another shape."""
    draft = Draft(instr, program, target, instr.ins[:1])
    if draft.operands[0] == instr.ins[0]:
        return draft.finish("already there")
    source, goal = draft.buffers[1], draft.result
    if any(b.type.order or b.halo for b in (source, goal)):
        raise Unsupported("a reshape of a tensor that is not row-major")
    flat = [b.evolve(type=b.type.with_shape((goal.type.count,))) for b in (goal, source)]
    move(draft, (goal.type.count,), (0, direct(flat[0])), (1, direct(flat[1])))
    return draft.finish("a copy of the bytes")


@kernel("transpose")
@supported
def transpose(instr: Instr, program: Program, target: Target) -> KernelCode:
    """Result axis a is operand axis perm[a]."""
    draft = Draft(instr, program, target)
    source, goal = draft.buffers[1], draft.result
    rank = goal.type.rank
    perm = instr.op.perm or tuple(reversed(range(rank)))
    axes = tuple(along(perm.index(a)) for a in range(rank))
    move(draft, goal.type.dims, (0, direct(goal)), (1, Access(source, axes)))
    return draft.finish("blocks turned in registers where rows become columns", perm=list(perm))


@kernel("expand")
@supported
def expand(instr: Instr, program: Program, target: Target) -> KernelCode:
    """Axes of size 1 are repeated."""
    draft = Draft(instr, program, target, instr.ins[:1])
    goal = draft.result
    move(draft, goal.type.dims, (0, direct(goal)), (1, direct(draft.buffers[1], goal.type.rank)))
    return draft.finish("repeats what has size 1")


@kernel("tile")
@supported
def tile(instr: Instr, program: Program, target: Target) -> KernelCode:
    """Result index = repeat · size + operand index."""
    draft = Draft(instr, program, target, instr.ins[:1])
    source, goal = draft.buffers[1], draft.result
    sizes, rank = source.type.dims, source.type.rank
    repeats = [n // m if m else 0 for n, m in zip(goal.type.dims, sizes, strict=True)]
    axes = tuple(Axis(0, ((a, sizes[a]), (rank + a, 1))) for a in range(rank))
    inner = tuple(along(rank + a) for a in range(rank))
    move(draft, (*repeats, *sizes), (0, Access(goal, axes)), (1, Access(source, inner)))
    return draft.finish("one copy for each repeat", repeats=repeats)


@kernel("concat")
@supported
def concat(instr: Instr, program: Program, target: Target) -> KernelCode:
    """Every operand into its range of the axis."""
    draft = Draft(instr, program, target)
    goal, at = draft.result, 0
    axis = instr.op.axis % goal.type.rank
    for name in instr.op.xs:
        source = program.buffers[name]
        move(draft, source.type.dims, (0, _shifted(goal, axis, at)), (draft.number(name), direct(source)))
        at += source.type.dims[axis]
    return draft.finish("one copy per operand, into its range", axis=axis)


@kernel("split")
@supported
def split(instr: Instr, program: Program, target: Target) -> KernelCode:
    """Every range of the axis into its result."""
    draft = Draft(instr, program, target, instr.ins[:1])
    source, at = program.buffers[instr.ins[0]], 0
    axis = instr.op.axis % source.type.rank
    for p in range(len(instr.outs)):
        goal = draft.buffers[p]
        move(draft, goal.type.dims, (p, direct(goal)), (draft.number(source.name), _shifted(source, axis, at)))
        at += goal.type.dims[axis]
    return draft.finish("one copy per result, from its range", axis=axis)


@kernel("slice")
@supported
def slice_(instr: Instr, program: Program, target: Target) -> KernelCode:
    """Operand index = start + step · result index."""
    op = instr.op
    draft = Draft(instr, program, target, instr.ins[:1])
    source, goal = draft.buffers[1], draft.result
    given = [_numbers(program, name) for name in (op.starts, op.ends, op.axes, op.steps)]
    ranges = [range(n)[cut] for n, cut in zip(source.type.dims, op.cuts(source.type.dims, *given), strict=True)]
    axes = tuple(along(a, r.step, r.start) for a, r in enumerate(ranges))
    move(draft, goal.type.dims, (0, direct(goal)), (1, Access(source, axes)))
    return draft.finish("a strided copy", ranges=[[r.start, r.stop, r.step] for r in ranges])


def _numbers(program: Program, name: str | None) -> list[int]:
    return [] if name is None else [int(n) for n in constant_of(program, name).reshape(-1)]


Stretch = tuple[int, int, Axis | None]
"""First result index, how many, and where they come from (None: the fill value); the axis number is put in later."""


@kernel("pad")
@supported
def pad(instr: Instr, program: Program, target: Target) -> KernelCode:
    """The inside is copied; borders are filled, or copied from where the mode says."""
    op = instr.op
    draft = Draft(instr, program, target, instr.ins[:1])
    source, goal = draft.buffers[1], draft.result
    sides = op.sides(source.type.rank, _numbers(program, op.pads), _numbers(program, op.axes))
    value = 0.0 if op.value is None else float(constant_of(program, op.value).reshape(()))
    stretches = [
        _stretches(a, n, side, op.mode) for a, (n, side) in enumerate(zip(source.type.dims, sides, strict=True))
    ]
    for chosen in product(*stretches):
        extents = [count for _, count, _ in chosen]
        place = Access(goal, tuple(along(a, 1, start) for a, (start, _, _) in enumerate(chosen)))
        origins = [axis for _, _, axis in chosen if axis is not None]
        if len(origins) < len(chosen):
            fill(draft, extents, (0, place), value)
        else:
            move(draft, extents, (0, place), (1, Access(source, tuple(origins))))
    return draft.finish(f"{op.mode} borders around a copy", sides=[list(s) for s in sides])


def _stretches(axis: int, size: int, side: tuple[int, int], mode: str) -> list[Stretch]:
    before, after = side
    inside = size + min(before, 0) + min(after, 0)
    start = max(before, 0)
    middle: Stretch = (start, inside, along(axis, 1, max(-before, 0)))
    found: list[Stretch] = [middle] if inside > 0 else []
    if mode in ("reflect", "wrap") and max(before, after) > inside - (mode == "reflect"):
        raise Unsupported("a border wider than what it repeats")
    if mode != "constant" and min(before, after) < 0:
        raise Unsupported("cropping and repeating at once")
    if before > 0:
        origin = {"constant": None, "edge": Axis(0), "reflect": along(axis, -1, before),
                  "wrap": along(axis, 1, size - before)}[mode]  # fmt: skip
        found.insert(0, (0, before, origin))
    if after > 0:
        origin = {"constant": None, "edge": Axis(size - 1), "reflect": along(axis, -1, size - 2),
                  "wrap": along(axis, 1, 0)}[mode]  # fmt: skip
        found.append((start + max(inside, 0), after, origin))
    return found


@kernel("depth_to_space")
@supported
def depth_to_space(instr: Instr, program: Program, target: Target) -> KernelCode:
    """One walk for each place in a block, so that channels may be tiled."""
    draft = Draft(instr, program, target)
    source, goal, block = draft.buffers[1], draft.result, instr.op.blocksize
    n, c, h, w = source.type.dims
    each = c // block**2
    rows, columns, channels = (block * each, each, 1) if instr.op.mode == "DCR" else (block, 1, block * block)
    for row, column in _places(block):
        origin = (along(0), along(1, channels, row * rows + column * columns), along(2), along(3))
        place = (along(0), along(1), along(2, block, row), along(3, block, column))
        move(draft, (n, each, h, w), (0, Access(goal, place)), (1, Access(source, origin)))
    return draft.finish("one strided copy for each place in a block", block=block)


@kernel("space_to_depth")
@supported
def space_to_depth(instr: Instr, program: Program, target: Target) -> KernelCode:
    """One walk for each place in a block, so that channels may be tiled."""
    draft = Draft(instr, program, target)
    source, goal, block = draft.buffers[1], draft.result, instr.op.blocksize
    n, c, h, w = source.type.dims
    for row, column in _places(block):
        origin = (along(0), along(1), along(2, block, row), along(3, block, column))
        place = (along(0), along(1, 1, (row * block + column) * c), along(2), along(3))
        extents = (n, c, h // block, w // block)
        move(draft, extents, (0, Access(goal, place)), (1, Access(source, origin)))
    return draft.finish("one strided copy for each place in a block", block=block)


def _places(block: int) -> list[tuple[int, int]]:
    if block > MOST_PLACES:
        raise Unsupported("blocks so large")
    return list(product(range(block), range(block)))


@kernel("constant_of_shape")
@supported
def constant_of_shape(instr: Instr, program: Program, target: Target) -> KernelCode:
    """One number everywhere."""
    draft = Draft(instr, program, target, ())
    fill(draft, draft.result.type.dims, (0, direct(draft.result)), float(instr.op.value))
    return draft.finish("a fill")


@kernel("fill_halo")
@supported
def fill_halo(instr: Instr, program: Program, target: Target) -> KernelCode:
    """The border of every plane gets the fill value; spare lanes of it get 0."""
    draft = Draft(instr, program, target)
    goal = draft.result
    halo = goal.halo
    if halo is None:
        return draft.finish("no halo")
    dims = goal.type.dims
    wide, high = dims[3] + halo.width, dims[2]
    # (first row, rows, first column, columns)
    borders = [
        (-halo.top, halo.top, -halo.left, wide), (high, halo.bottom, -halo.left, wide),
        (0, high, -halo.left, halo.left), (0, high, dims[3], halo.right),
    ]  # fmt: skip
    for row, rows, column, columns in borders:
        for first, count, number in _channel_ranges(goal, halo.fill):
            axes = (along(0), along(1, 1, first), along(2, 1, row), along(3, 1, column))
            fill(draft, (dims[0], count, rows, columns), (0, Access(goal, axes)), number)
    draft.clear_padding = lambda: None  # the inside belongs to the instruction that writes it
    return draft.finish(f"{halo}")


def _channel_ranges(buffer: Buffer, number: float) -> Sequence[tuple[int, int, float]]:
    channels = buffer.type.dims[1]
    tile = buffer.type.order.tile(1) if buffer.type.order else 1
    spare = -channels % tile
    if not spare or (number == 0 and not np.signbit(number)):
        return [(0, channels + spare, number)]
    return [(0, channels, number), (channels, spare, 0.0)]
