"""Pools and transposed convolutions in any number of dimensions, of any element kind and in any memory order.

One result element after the other, its window by comparisons instead of a padded copy. Blocked f32 maps have the
fast kernels of pool.py and conv_transpose.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from glowviz.compiler.backends.cpu.kernels.cells import Cells, Tensor
from glowviz.compiler.backends.cpu.kernels.draft import constant_of, supported
from glowviz.compiler.backends.cpu.kernels.nest import Lanes
from glowviz.compiler.backends.cpu.kernels.pool_lines import WIDEST_STEP, Lines, store_line
from glowviz.compiler.backends.cpu.kernels.reduction import lowest
from glowviz.compiler.backends.cpu.registry import KernelCode, general, kernel
from glowviz.compiler.backends.cpu.values import Index, Value, is_float, vector_of
from glowviz.compiler.ops.windows import Windows, slide
from glowviz.compiler.program import Instr, Program
from glowviz.compiler.target import Target


@dataclass
class Taps:
    """The window of one result element: where a tap reads, and whether that is inside the map."""

    cells: Cells
    windows: Windows
    out: Sequence[Index]

    def at(self, tap: Sequence[Index], checked: bool = True) -> tuple[list[Index], Value]:
        """The place a tap reads, brought inside the map if `checked`, and an i1 that says whether it was inside."""
        em, w = self.cells.em, self.windows
        inside = em.constant(True, "i1")
        found: list[Index] = []
        for a, size in enumerate(w.spatial):
            place = em.index(self.out[a] * w.strides[a] + tap[a] * w.dilations[a]) - w.begins[a]
            good = (place >= 0) & (place < size)
            inside = inside & good
            found.append(em.select(good, place, place.match(0)) if checked else place)
        return found, inside


@general("max_pool")
@supported
def max_pool(instr: Instr, program: Program, target: Target) -> KernelCode:
    """The first largest element of every window and, if asked for, its place; NaN beats every number."""
    cells = Cells(instr, program, target)
    op, x = instr.op, cells.tensor(instr.op.x)
    windows = op.windows(x.dims)
    if not op.storage_order and _in_lines(x, cells.result_tensor(), windows):
        return _max_lines(cells, windows, x)
    return _max_places(cells, windows, x)


def _in_lines(x: Tensor, goal: Tensor, windows: Windows) -> bool:
    """Whether the kernel that goes line by line can do it."""
    plain = all(t.buffer.type.order is None and t.buffer.halo is None for t in (x, goal))
    return plain and windows.strides[-1] <= WIDEST_STEP and prod(windows.spatial) < 1 << 31 and 0 not in goal.dims


def _max_lines(cells: Cells, windows: Windows, x: Tensor) -> KernelCode:
    em, goal = cells.em, cells.result_tensor()
    places = cells.result_tensor(1) if len(cells.instr.outs) > 1 else None
    first = [x.number(lowest(x.elem))]

    def largest(old: Sequence[Value], new: Sequence[Value]) -> list[Value]:
        return [em.m.max(old[0], new[0]) if is_float(x.kind) else em.select(new[0] > old[0], new[0], old[0])]

    def placed(old: Sequence[Value], new: Sequence[Value]) -> list[Value]:
        same = new[0] == old[0]
        if is_float(x.kind):
            same = same | (em.unordered(new[0]) & em.unordered(old[0]))
        taken = _beats(cells, new[0], old[0]) | (same & (new[1] < old[1]))
        return [em.select(taken, one, other) for one, other in zip(new, old, strict=True)]

    def finish(at: list[Index], last: Index, lanes: Lanes, values: list[Value]) -> None:
        store_line(cells, goal, at, last, lanes, values[0])
        if places is not None:
            base = em.index(at[0] * x.dims[1] + at[1]) * prod(windows.spatial)
            wide = em.convert("sext", values[1], "i64") + em.splat(base, lanes.count)
            store_line(cells, places, at, last, Lanes([], lanes.count, lanes.mask, (8,)), wide)

    if places is not None:
        first.append(em.constant((1 << 31) - 1, "i32"))
    Lines(cells, windows, x, first, largest if places is None else placed, finish).write()
    return cells.finish("down the lines of a window, then along one", kernel=list(windows.kernel))


def _max_places(cells: Cells, windows: Windows, x: Tensor) -> KernelCode:
    op, goal, em = cells.instr.op, cells.result_tensor(), cells.em
    places = cells.result_tensor(1) if len(cells.instr.outs) > 1 else None
    steps = _plane_steps(windows.spatial, bool(op.storage_order))

    def body(at: list[Index]) -> None:
        taps = Taps(cells, windows, at[2:])
        base = (at[0] * x.dims[1] + at[1]) * prod(windows.spatial)

        def step(tap: list[Index], values: list[Value]) -> list[Value]:
            best, index = values
            place, inside = taps.at(tap)
            new = x.read([*at[:2], *place])
            flat = em.index(base)
            for p, s in zip(place, steps, strict=True):
                flat = flat + p * s
            better = _beats(cells, new, best) | (index < 0)
            taken = inside & better
            return [em.select(taken, new, best), em.select(taken, flat, index)]

        best, index = cells.fold(windows.kernel, [x.number(lowest(x.elem)), em.constant(-1, "i64")], step)
        goal.write(at, best)
        if places is not None:
            places.write(at, index)

    cells.over(goal.dims, body, prod(windows.kernel))
    return cells.finish("one window after the other", kernel=list(windows.kernel))


def _plane_steps(spatial: Sequence[int], by_columns: bool) -> list[int]:
    """How far apart neighbours along each spatial dim are in a flattened plane."""
    steps = [prod(spatial[a + 1 :]) for a in range(len(spatial))]
    return [prod(spatial[:a]) for a in range(len(spatial))] if by_columns else steps


def _beats(cells: Cells, new: Value, best: Value) -> Value:
    if not is_float(new.type):
        return new > best
    return (new > best) | (cells.em.unordered(new) & ~cells.em.unordered(best))


@general("average_pool")
@supported
def average_pool(instr: Instr, program: Program, target: Target) -> KernelCode:
    """The mean of every window, over the elements that count."""
    cells = Cells(instr, program, target)
    op, x, goal = instr.op, cells.tensor(instr.op.x), cells.result_tensor()
    windows = op.windows(x.dims)
    em = cells.em
    if _in_lines(x, goal, windows):
        return _average_lines(cells, windows, x)

    def body(at: list[Index]) -> None:
        taps = Taps(cells, windows, at[2:])

        def step(tap: list[Index], values: list[Value]) -> list[Value]:
            place, inside = taps.at(tap)
            new = em.select(inside, x.read([*at[:2], *place]), x.number(0))
            return [values[0] + new]

        total = cells.fold(windows.kernel, [x.number(0)], step)[0]
        count = _counted(cells, windows, op.count_include_pad, at[2:])
        goal.write(at, total / em.convert("sitofp", count, x.kind))

    cells.over(goal.dims, body, prod(windows.kernel))
    return cells.finish("one window after the other", kernel=list(windows.kernel))


def _average_lines(cells: Cells, windows: Windows, x: Tensor) -> KernelCode:
    em, goal = cells.em, cells.result_tensor()
    counts = [em.table(_counts(windows, a, cells.instr.op.count_include_pad)) for a in range(len(windows.out))]

    def add(old: Sequence[Value], new: Sequence[Value]) -> list[Value]:
        return [old[0] + new[0]]

    def finish(at: list[Index], last: Index, lanes: Lanes, values: list[Value]) -> None:
        lead = em.constant(1, "i64")
        for table, place in zip(counts, at[2:], strict=False):
            lead = lead * em.load(em.offset(table, place * 8), "i64")
        here = em.offset(counts[-1], last * 8)
        kind = vector_of("i64", lanes.count)
        along = em.load(here, kind) if lanes.mask is None else em.load_lanes(here, lanes.mask, kind)
        count = em.splat(em.convert("sitofp", lead, x.kind), lanes.count) * em.convert("sitofp", along, x.kind)
        store_line(cells, goal, at, last, lanes, values[0] / count)

    Lines(cells, windows, x, [x.number(0)], add, finish).write()
    return cells.finish("down the lines of a window, then along one", kernel=list(windows.kernel))


def _counts(w: Windows, axis: int, include_pad: bool) -> list[int]:
    """For every place along an axis how many taps count, 1 at least."""
    before, after = (w.begins[axis], w.ends[axis]) if include_pad else (0, 0)
    taps = [t * w.dilations[axis] - w.begins[axis] for t in range(w.kernel[axis])]
    starts = range(0, w.out[axis] * w.strides[axis], w.strides[axis])
    return [max(1, sum(-before <= s + t < w.spatial[axis] + after for t in taps)) for s in starts]


def _counted(cells: Cells, w: Windows, include_pad: bool, out: Sequence[Index]) -> Value:
    """How many taps count: those inside the map, or inside the map and its pads."""
    em = cells.em
    count = em.constant(1, "i64")
    for a, size in enumerate(w.spatial):
        before, after = (w.begins[a], w.ends[a]) if include_pad else (0, 0)
        start = em.index(out[a] * w.strides[a]) - w.begins[a]
        # the first tap that is not before the map, and the first that is behind it
        low = em.larger(0, em.divide(em.larger(0, -start - before + (w.dilations[a] - 1)), w.dilations[a]))
        room = em.larger(0, (size + after) - start + (w.dilations[a] - 1))
        high = em.smaller(em.divide(room, w.dilations[a]), w.kernel[a])
        count = count * em.larger(em.index(high) - low, 0)
    return em.index(em.larger(count, 1))


@general("conv_transpose")
@supported
def conv_transpose(instr: Instr, program: Program, target: Target) -> KernelCode:
    """Every result element gathers what the definition scatters to it."""
    cells = Cells(instr, program, target)
    op, goal = instr.op, cells.result_tensor()
    x, w = cells.tensor(op.x), cells.tensor(op.w)
    bias = None if op.b is None else cells.tensor(op.b)
    spread = op.spread(x.dims, w.dims)
    each_in, each_out = x.dims[1] // op.group, w.dims[1]
    em = cells.em

    def body(at: list[Index]) -> None:
        group, feature = em.divide(at[1], each_out), em.remainder(at[1], each_out)

        def step(tap: list[Index], values: list[Value]) -> list[Value]:
            channel = group * each_in + tap[0]
            place, reached = _origin(cells, spread, x.dims[2:], at[2:], tap[1:])
            term = x.read([at[0], channel, *place]) * w.read([channel, feature, *tap[1:]])
            return [values[0] + em.select(reached, term, term.match(0))]

        total = cells.fold((each_in, *spread.kernel), [goal.number(0)], step)[0]
        goal.write(at, total if bias is None else total + bias.read([at[1]]))

    cells.over(goal.dims, body, each_in * prod(spread.kernel))
    return cells.finish("one result element after the other", kernel=list(spread.kernel), group=op.group)


def _origin(
    cells: Cells, spread: Any, spatial: Sequence[int], out: Sequence[Index], tap: Sequence[Index]
) -> tuple[list[Index], Value]:
    """Which element of x a tap brings to a result element, and whether there is one."""
    em = cells.em
    reached = em.constant(True, "i1")
    found: list[Index] = []
    for a, size in enumerate(spatial):
        far = em.index(out[a] + spread.begins[a]) - tap[a] * spread.dilations[a]
        positive = far >= 0
        far = em.select(positive, far, far.match(0))
        place = em.index(em.divide(far, spread.strides[a]))
        good = positive & (place < size) & (em.index(em.remainder(far, spread.strides[a])) == 0)
        reached = reached & good
        found.append(em.select(good, place, place.match(0)))
    return found, reached


@kernel("col2_im")
@supported
def col2_im(instr: Instr, program: Program, target: Target) -> KernelCode:
    """Every pixel gathers the columns of all windows that it lies in."""
    op = instr.op
    cells = Cells(instr, program, target, [op.x])
    x, goal, em = cells.tensor(op.x), cells.result_tensor(), cells.em
    block = tuple(int(n) for n in constant_of(program, op.block_shape))
    windows = slide(goal.dims[2:], block, op.strides, op.pads, op.dilations)

    def body(at: list[Index]) -> None:
        def step(tap: list[Index], values: list[Value]) -> list[Value]:
            place, reached = _origin(cells, windows, windows.out, at[2:], tap)
            row = em.index(at[1]) * prod(block) + _flat(cells, tap, block)
            term = x.read([at[0], row, _flat(cells, place, windows.out)])
            return [values[0] + em.select(reached, term, term.match(0))]

        goal.write(at, cells.fold(block, [goal.number(0)], step)[0])

    cells.over(goal.dims, body, prod(block))
    return cells.finish("one pixel after the other", block=list(block))


def _flat(cells: Cells, places: Sequence[Index], extents: Sequence[int]) -> Value:
    """The number of a place in row-major order."""
    found = cells.em.constant(0, "i64")
    for place, extent in zip(places, extents, strict=True):
        found = found * extent + place
    return found
