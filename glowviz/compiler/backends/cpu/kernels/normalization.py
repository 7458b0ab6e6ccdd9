"""Normalizations: over rows (layer, instance, group), over neighbouring channels, and with fixed statistics."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from glowviz.compiler.backends.cpu.kernels.boxes import Access, Axis, Unsupported, boxes, direct, strides_of
from glowviz.compiler.backends.cpu.kernels.draft import Draft, supported
from glowviz.compiler.backends.cpu.kernels.elements import calculated_kind, fetch, put
from glowviz.compiler.backends.cpu.kernels.nest import Lanes, box_pieces
from glowviz.compiler.backends.cpu.kernels.rows import Row, Rows, Sums
from glowviz.compiler.backends.cpu.registry import KernelCode, kernel
from glowviz.compiler.backends.cpu.values import Value
from glowviz.compiler.program import Buffer, Instr, Program
from glowviz.compiler.target import Target

WHY = "mean, then the mean square of what is left, then scaled: three visits of a row that stays in the first cache"


def per_channel(buffer: Buffer, axis: Axis) -> Access:
    """One number per channel."""
    return Access(buffer, (axis,))


@kernel("layer_normalization")
@supported
def layer_normalization(instr: Instr, program: Program, target: Target) -> KernelCode:
    """Standardized over the last axes, scaled and shifted; mean and 1/deviation too, where wanted."""
    draft = Draft(instr, program, target)
    op, x = instr.op, program.buffers[instr.op.x]
    rank = x.type.rank
    axes = frozenset(op.axes(rank))
    operands = [(draft.number(op.x), direct(x)), (0, direct(draft.result))]
    operands += [(draft.number(n), direct(program.buffers[n], rank)) for n in (op.scale, op.bias) if n is not None]
    first_statistic = len(operands)
    operands += [(p, direct(draft.buffers[p])) for p in range(1, len(instr.outs))]
    rows = Rows(draft, x.type.dims, axes, operands)

    def body(row: Row) -> None:
        mean, inverse = standardize(draft, row, x.type.elem, rows.count, op.epsilon)
        _scaled(draft, rows, row, (mean, inverse), 2, 3 if op.bias is not None else None)
        for p, value in zip(range(first_statistic, len(operands)), (mean, inverse), strict=False):
            put(draft.em, rows.operands[p][1].buffer.type.elem, row.one(), p, value)

    draft.pieces = rows.pieces(body)
    return draft.finish(WHY, axes=sorted(axes), count=rows.count)


def standardize(draft: Draft, row: Row, elem: str, count: int, epsilon: float) -> tuple[Value, Value]:
    """Mean and 1 / sqrt(variance + epsilon) of operand 0 of a row."""
    em, kind = draft.em, calculated_kind(elem)

    def add(sums: Sums, lanes: Lanes) -> Sums:
        return [sums[0] + fetch(em, elem, lanes, 0)]

    def join(one: Sums, other: Sums) -> Sums:
        return [one[0] + other[0]]

    mean = row.fold([(0, kind)], add, join, careful=True)[0] / float(count)

    def add_square(sums: Sums, lanes: Lanes) -> Sums:
        moved = fetch(em, elem, lanes, 0) - row.spread(mean, lanes)
        return [em.fma(moved, moved, sums[0])]

    squares = row.fold([(0, kind)], add_square, join, careful=True)[0]
    return mean, 1.0 / em.m.sqrt(squares / float(count) + epsilon)


def _scaled(
    draft: Draft, rows: Rows, row: Row, statistics: tuple[Value, Value], scale: int, bias: int | None
) -> None:
    """(x - mean) · inverse · scale + bias into operand 1."""
    em = draft.em
    elems = [access.buffer.type.elem for _, access in rows.operands]
    mean, inverse = statistics

    def store(lanes: Lanes) -> None:
        y = (fetch(em, elems[0], lanes, 0) - row.spread(mean, lanes)) * row.spread(inverse, lanes)
        y = y * fetch(em, elems[scale], lanes, scale)
        put(em, elems[1], lanes, 1, y if bias is None else y + fetch(em, elems[bias], lanes, bias))

    row.walk(store)


@kernel("instance_normalization", "group_normalization")
@supported
def group_normalization(instr: Instr, program: Program, target: Target) -> KernelCode:
    """Standardized over each group of channels with its plane (an instance is a group of one channel)."""
    draft = Draft(instr, program, target)
    op, x = instr.op, program.buffers[instr.op.x]
    n, channels, *plane = x.type.dims
    groups = channels if instr.name == "instance_normalization" else op.num_groups
    each = channels // groups
    channel = Axis(0, ((1, each), (2, 1)) if each > 1 else ((1, 1),))
    spatial = tuple(Axis(0, ((3 + a, 1),)) for a in range(len(plane)))
    whole = (Axis(0, ((0, 1),)), channel, *spatial)
    operands = [(draft.number(op.x), Access(x, whole)), (0, Access(draft.result, whole))]
    operands += [(draft.number(v), per_channel(program.buffers[v], channel)) for v in (op.scale, op.bias)]
    rows = Rows(draft, (n, groups, each, *plane), frozenset(range(2, 3 + len(plane))), operands)

    def body(row: Row) -> None:
        _scaled(draft, rows, row, standardize(draft, row, x.type.elem, rows.count, op.epsilon), 2, 3)

    draft.pieces = rows.pieces(body)
    return draft.finish(WHY, groups=groups, count=rows.count)


@kernel("batch_normalization")
@supported
def batch_normalization(instr: Instr, program: Program, target: Target) -> KernelCode:
    """(x - mean) · scale / sqrt(var + epsilon) + bias, one visit."""
    draft = Draft(instr, program, target)
    op, em = instr.op, draft.em
    names = (op.x, op.scale, op.bias, op.mean, op.var)
    numbers = [0, *(draft.number(name) for name in names)]
    buffers = [draft.result, *(program.buffers[name] for name in names)]
    dims = draft.result.type.dims
    accesses = [direct(b) for b in buffers[:2]] + [per_channel(b, Axis(0, ((1, 1),))) for b in buffers[2:]]

    def body(lanes: Lanes) -> None:
        x, scale, bias, mean, var = (fetch(em, buffers[p].type.elem, lanes, p) for p in range(1, 6))
        factor = scale / em.m.sqrt(var + op.epsilon)
        put(em, buffers[0].type.elem, lanes, 0, (x - mean) * factor + bias)

    for box in boxes(dims, accesses):
        draft.pieces += box_pieces(em, box, [draft.pointers[p] for p in numbers], draft.sizes(numbers), body)
    return draft.finish("one visit, four numbers per channel")


@kernel("lrn")
@supported
def lrn(instr: Instr, program: Program, target: Target) -> KernelCode:
    """For every element the squares of its channel's neighbours are summed again: they are in the first cache."""
    draft = Draft(instr, program, target)
    op, x = instr.op, program.buffers[instr.op.x]
    n, channels, *plane = x.type.dims
    step = _channel_step(x)
    source = draft.number(op.x)
    for first, count, low, size in _windows(channels, *op.sides):
        here, window = _channel_from(len(plane), first), _channel_from(len(plane), low)
        numbers = [0, source, source]
        accesses = [Access(draft.result, here), Access(x, here), Access(x, window)]
        body = partial(_one_window, draft, x.type.elem, size, step)
        for box in boxes((n, count, *plane), accesses):
            pointers = [draft.pointers[p] for p in numbers]
            draft.pieces += box_pieces(draft.em, box, pointers, draft.sizes(numbers), body)
    return draft.finish("a sum over the window for each element", size=op.size)


def _one_window(draft: Draft, elem: str, size: int, step: int, lanes: Lanes) -> None:
    em, op = draft.em, draft.instr.op
    x = fetch(em, elem, lanes, 1)
    with em.loop(0, size, carry=[em.constant(0, x.type)]) as loop:
        at = em.offset(lanes.pointers[2], loop.index * step)
        near = fetch(em, elem, Lanes([at], lanes.count, lanes.mask, lanes.steps[2:]), 0)
        loop.next = [em.fma(near, near, loop.carry[0])]
    base = loop.results[0] * (op.alpha / op.size) + op.bias
    put(em, elem, lanes, 0, x / _positive_power(draft, base, op.beta))


def _positive_power(draft: Draft, base: Value, power: float) -> Value:
    """base^power for a base above 0; quarters by square roots."""
    m = draft.em.m
    root = m.sqrt(base)
    if power in (0.5, 0.75):
        return root if power == 0.5 else root * m.sqrt(root)
    return m.exp(m.log(base) * power)


def _channel_from(planes: int, first: int) -> tuple[Axis, ...]:
    return (Axis(0, ((0, 1),)), Axis(first, ((1, 1),)), *(Axis(0, ((2 + a, 1),)) for a in range(planes)))


def _channel_step(x: Buffer) -> int:
    strides = strides_of(x)
    if strides.tile[1] != 1:
        raise Unsupported("a window over tiled channels")
    return strides.outer[1]


def _windows(channels: int, before: int, after: int) -> Sequence[tuple[int, int, int, int]]:
    """(first channel, how many, first neighbour of the first, window size) where the window keeps its size."""
    found: list[tuple[int, int, int, int]] = []
    for c in range(channels):
        low, high = max(c - before, 0), min(c + after, channels - 1)
        size = high - low + 1
        if found:
            first, count, start, known = found[-1]
            if known == size and low - start == c - first:
                found[-1] = (first, count + 1, start, size)
                continue
        found.append((c, 1, low, size))
    return found
