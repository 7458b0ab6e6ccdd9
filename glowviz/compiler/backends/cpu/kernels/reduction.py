"""Reductions over any axes in any order, softmax and its logarithm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import inf

import numpy as np

from glowviz.compiler.backends.cpu.kernels.boxes import Access, Axis, Unsupported, direct
from glowviz.compiler.backends.cpu.kernels.draft import Draft, supported
from glowviz.compiler.backends.cpu.kernels.elements import calculated_kind, convert, fetch, put
from glowviz.compiler.backends.cpu.kernels.moves import fill
from glowviz.compiler.backends.cpu.kernels.nest import Lanes
from glowviz.compiler.backends.cpu.kernels.rows import Row, Rows, Sums
from glowviz.compiler.backends.cpu.registry import KernelCode, general, kernel
from glowviz.compiler.backends.cpu.values import Index, Value, element_of, is_float, vector_of
from glowviz.compiler.backends.cpu.vector_math import EXP, ROUNDING
from glowviz.compiler.program import Buffer, Instr, Program
from glowviz.compiler.target import Target
from glowviz.compiler.types import ELEMENTS, INTEGERS

LEAST_POWER = -87.0
"""Where e^x leaves the normal numbers of f32."""
Unary = Callable[[Draft, Value], Value]
Binary = Callable[[Draft, Value, Value], Value]


@dataclass(frozen=True)
class Fold:
    """A reduction in three parts: what an element contributes, how contributions join, what becomes of them."""

    neutral: Callable[[str], float]
    join: Binary
    prepare: Unary = lambda draft, x: x
    finish: Callable[[Draft, Value, int], Value] = lambda draft, total, count: total
    careful: bool = True


def _mean(draft: Draft, total: Value, count: int) -> Value:
    if is_float(total.type):
        return total * (1.0 / count) if count & (count - 1) == 0 else total / float(count)
    return total / count


def lowest(elem: str) -> float:
    """What every other number of the kind is at least as large as."""
    if elem == "bool":
        return False
    return -inf if elem not in INTEGERS else int(np.iinfo(_dtype(elem)).min)


def highest(elem: str) -> float:
    """What every other number of the kind is at most as large as."""
    if elem == "bool":
        return True
    return inf if elem not in INTEGERS else int(np.iinfo(_dtype(elem)).max)


def _dtype(elem: str) -> np.dtype:
    return ELEMENTS[elem]


def _add(draft: Draft, one: Value, other: Value) -> Value:
    return one + other


def _larger(draft: Draft, one: Value, other: Value) -> Value:
    return one | other if element_of(one.type) == "i1" else draft.em.m.max(one, other)


def _smaller(draft: Draft, one: Value, other: Value) -> Value:
    return one & other if element_of(one.type) == "i1" else draft.em.m.min(one, other)


SUM = Fold(lambda elem: 0, _add)
FOLDS = {
    "reduce_sum": SUM,
    "reduce_mean": Fold(lambda elem: 0, _add, finish=_mean),
    "reduce_max": Fold(lowest, _larger, careful=False),
    "reduce_min": Fold(highest, _smaller, careful=False),
    "reduce_prod": Fold(lambda elem: 1, lambda d, a, b: a * b),
    "reduce_l1": Fold(lambda elem: 0, _add, lambda d, x: abs(x)),
    "reduce_l2": Fold(lambda elem: 0, _add, lambda d, x: x * x, lambda d, t, n: d.em.m.sqrt(t)),
    "reduce_sum_square": Fold(lambda elem: 0, _add, lambda d, x: x * x),
    "reduce_log_sum": Fold(lambda elem: 0, _add, finish=lambda d, t, n: d.em.m.log(t)),
}


TRUTHS = ("reduce_max", "reduce_min")
"""Folds that truth values have too: any and all."""


def reduced_access(buffer: Buffer, axes: tuple[int, ...], keepdims: bool, rank: int) -> Access:
    """The result of a reduction, over the iteration space of its operand."""
    if keepdims:
        return Access(buffer, tuple(Axis() if a in axes else Axis(0, ((a, 1),)) for a in range(rank)))
    kept = [a for a in range(rank) if a not in axes]
    return Access(buffer, tuple(Axis(0, ((a, 1),)) for a in kept))


def _rows(draft: Draft, axes: tuple[int, ...], keepdims: bool, wide: int = 1) -> Rows:
    x = draft.buffers[1]
    goal = reduced_access(draft.result, axes, keepdims, x.type.rank)
    return Rows(draft, x.type.dims, frozenset(axes), [(1, direct(x)), (0, goal)], wide=wide)


@kernel(*FOLDS)
@supported
def reduction(instr: Instr, program: Program, target: Target) -> KernelCode:
    """One number per kept index."""
    axes = instr.op.positive_axes(program.buffers[instr.ins[0]].type.rank)
    return _folded(Draft(instr, program, target), instr.name, axes, instr.op.keepdims)


@general("global_average_pool", "global_max_pool")
@supported
def global_pool(instr: Instr, program: Program, target: Target) -> KernelCode:
    """The mean or the largest over all dims behind the channels."""
    axes = tuple(range(2, program.buffers[instr.op.x].type.rank))
    name = "reduce_max" if instr.name == "global_max_pool" else "reduce_mean"
    return _folded(Draft(instr, program, target), name, axes, keepdims=True)


def _folded(draft: Draft, name: str, axes: tuple[int, ...], keepdims: bool) -> KernelCode:
    x, fold = draft.buffers[1], FOLDS[name]
    # sums of neighbouring rows are kept in as many registers as there are for four of each
    wide = draft.target.registers // 8 if x.type.dtype.itemsize <= 4 and draft.target.registers > 16 else 1
    rows, elem = _rows(draft, axes, keepdims, wide), x.type.elem
    if elem == "bool" and name not in TRUTHS:
        raise Unsupported(f"{name} of {elem}")
    if name == "reduce_mean" and elem in INTEGERS and not rows.count:
        raise Unsupported(f"{name} of {elem}")
    first = [(fold.neutral(elem), calculated_kind(elem))]

    def body(row: Row) -> None:
        def step(sums: Sums, lanes: Lanes) -> Sums:
            return [fold.join(draft, sums[0], fold.prepare(draft, fetch(draft.em, elem, lanes, 0)))]

        total = row.fold(first, step, lambda a, b: [fold.join(draft, a[0], b[0])], fold.careful)[0]
        total = Value(draft.em, total.text, total.type, elem.startswith("u"))
        put(draft.em, elem, row.one(), 1, fold.finish(draft, total, rows.count))

    draft.pieces = rows.pieces(body)
    return draft.finish(_why(rows), axes=list(axes), count=rows.count)


def _why(rows: Rows) -> str:
    if rows.along:
        return "vectors along the row, four accumulators, then the lanes"
    return "vectors across neighbouring rows where they are contiguous, four accumulators"


@kernel("reduce_log_sum_exp")
@supported
def log_sum_exp(instr: Instr, program: Program, target: Target) -> KernelCode:
    """Shifted by the largest finite element, so that exp cannot overflow."""
    draft = Draft(instr, program, target)
    x, em = draft.buffers[1], draft.em
    axes = instr.op.positive_axes(x.type.rank)
    rows = _rows(draft, axes, instr.op.keepdims)
    limit = float(np.finfo(np.float32).max)

    def body(row: Row) -> None:
        top = em.m.clip(_largest(draft, row), -limit, limit)
        total = _sum_of_exp(draft, row, top, None, em.m.exp)  # what is above the largest finite number stays infinite
        put(em, x.type.elem, row.one(), 1, em.m.log(total) + top)

    draft.pieces = rows.pieces(body)
    return draft.finish(_why(rows), axes=list(axes))


def _largest(draft: Draft, row: Row) -> Value:
    """The largest element that is a number: a NaN comes back through the sum of exponentials."""
    em, elem = draft.em, draft.buffers[1].type.elem

    def larger(one: Value, other: Value) -> Value:
        return em.select(one > other, one, other)

    def step(sums: Sums, lanes: Lanes) -> Sums:
        return [larger(fetch(em, elem, lanes, 0), sums[0])]

    first = [(-inf, calculated_kind(elem))]
    return row.fold(first, step, lambda a, b: [larger(a[0], b[0])])[0]


def _sum_of_exp(
    draft: Draft, row: Row, top: Value, keep: int | None, exp: Callable[[Value], Value] | None = None
) -> Value:
    """Σ exp(x - top); with `keep`, every exp is stored into that operand too."""
    em, elem = draft.em, draft.buffers[1].type.elem
    exp = exp or partial(_exp_below_one, draft)

    def step(sums: Sums, lanes: Lanes) -> Sums:
        power = exp(fetch(em, elem, lanes, 0) - row.spread(top, lanes))
        if keep is not None:
            put(em, elem, lanes, keep, power)
        return [sums[0] + power]

    return row.fold([(0, calculated_kind(elem))], step, lambda a, b: [a[0] + b[0]], careful=True)[0]


def _exp_below_one(draft: Draft, x: Value) -> Value:
    """e^x for x <= 0 and NaN; what would be a denormal number is 0."""
    em, m = draft.em, draft.em.m
    if element_of(x.type) != "float":
        return m.exp(x)
    low = em.select(x < LEAST_POWER, x.match(LEAST_POWER), x)
    shifted = em.fma(low, x.match(1.4426950408889634), x.match(ROUNDING))
    count = shifted - ROUNDING
    rest = em.fma(count, x.match(-0.693359375), low)
    rest = em.fma(count, x.match(2.12194440e-4), rest)
    series = em.fma(m.polynomial(rest, EXP), rest * rest, rest) + 1.0
    exponent = (em.convert("bitcast", shifted, "i32") << 23) + (127 << 23)
    power = series * em.convert("bitcast", exponent, "float")
    return em.select(x < LEAST_POWER, x.match(0.0), power)


@kernel("softmax", "log_softmax")
@supported
def softmax(instr: Instr, program: Program, target: Target) -> KernelCode:
    """Largest, then exponentials and their sum, then scaled: three visits of a row that stays in the first cache."""
    draft = Draft(instr, program, target)
    x, goal = draft.program.buffers[instr.ins[0]], draft.result
    draft.buffers, draft.pointers = _source_second(draft, x)
    axis = instr.op.axis % x.type.rank if x.type.rank else 0
    rows = Rows(draft, x.type.dims, frozenset([axis]), [(1, direct(x)), (0, direct(goal))])
    body = _softmax_row if instr.name == "softmax" else _log_softmax_row
    draft.pieces = rows.pieces(lambda row: body(draft, row))
    return draft.finish(_why(rows), axis=axis, count=rows.count)


def _source_second(draft: Draft, x: Buffer) -> tuple[list[Buffer], list[Value]]:
    # working in place, operand and result are one pointer
    if len(draft.buffers) == 1:
        return [draft.result, x], [draft.pointers[0]] * 2
    return draft.buffers, draft.pointers


def _softmax_row(draft: Draft, row: Row) -> None:
    em, elem = draft.em, draft.buffers[1].type.elem
    top = _largest(draft, row)
    stored = elem in ("f32", "f64")  # a narrow result would round every exponential before it is scaled
    factor = 1.0 / _sum_of_exp(draft, row, top, 1 if stored else None)

    def scale(lanes: Lanes) -> None:
        power = fetch(em, elem, lanes, 1 if stored else 0)
        if not stored:
            power = _exp_below_one(draft, power - row.spread(top, lanes))
        put(em, elem, lanes, 1, power * row.spread(factor, lanes))

    row.walk(scale)


def _log_softmax_row(draft: Draft, row: Row) -> None:
    em, elem = draft.em, draft.buffers[1].type.elem
    top = _largest(draft, row)
    total = em.m.log(_sum_of_exp(draft, row, top, None))

    def shift(lanes: Lanes) -> None:
        x = fetch(em, elem, lanes, 0)
        put(em, elem, lanes, 1, x - row.spread(top, lanes) - row.spread(total, lanes))

    row.walk(shift)


@kernel("arg_max", "arg_min")
@supported
def extreme(instr: Instr, program: Program, target: Target) -> KernelCode:
    """The place of the extreme along one axis; of equals the first wins, or the last if asked for, lanes included."""
    draft = Draft(instr, program, target)
    x, em, op = draft.buffers[1], draft.em, instr.op
    if not x.type.rank or x.type.elem == "bool":
        raise Unsupported("no axis, or truth values")
    axis = op.axis % x.type.rank
    goal = reduced_access(draft.result, (axis,), op.keepdims, x.type.rank)
    rows = Rows(draft, x.type.dims, frozenset([axis]), [(1, direct(x)), (0, goal)], may_run_along=False)
    if len(rows.reduced) != 1 or len(rows.reduced[0].dims) > 1:
        raise Unsupported("an axis that is tiled")
    step, size = rows.reduced[0].dims[0].steps[0] if rows.reduced[0].dims else 0, x.type.dtype.itemsize

    def body(row: Row) -> None:
        one = row.one()
        first, best, place = 1, fetch(em, x.type.elem, one, 0), em.constant(0, "i64")
        if one.count == 1 and step == size and x.type.dims[axis] >= em.lanes:
            first, best, place = _along_lanes(draft, row.pointers[0], axis)
        place = em.splat(place, one.count)
        with em.loop(first, x.type.dims[axis], carry=[best, place]) as loop:
            at = Lanes([em.offset(p, loop.index * s) for p, s in zip(row.pointers, (step, 0), strict=True)],
                       one.count, one.mask, one.steps)  # fmt: skip
            new = fetch(em, x.type.elem, at, 0)
            better = _better(draft, new, loop.carry[0], instr.name == "arg_max", op.select_last_index)
            index = row.spread(em.index(loop.index), one)
            loop.next = [em.select(better, new, loop.carry[0]), em.select(better, index, loop.carry[1])]
        put(em, "i64", one, 1, loop.results[1])

    if x.type.dims[axis] == 1:
        fill(draft, draft.result.type.dims, (0, direct(draft.result)), 0)
    else:
        draft.pieces = rows.pieces(body)
    return draft.finish("vectors across rows or along the row, whichever is contiguous", axis=axis)


def _along_lanes(draft: Draft, pointer: Value, axis: int) -> tuple[int, Value, Value]:
    """How many elements of a contiguous row whole vectors take, the extreme among them, and its place."""
    em, op, x = draft.em, draft.instr.op, draft.buffers[1].type
    width, largest, last = em.lanes, draft.instr.name == "arg_max", bool(op.select_last_index)
    whole = x.dims[axis] // width * width

    def load(index: Index) -> Value:
        return fetch(em, x.elem, Lanes([em.offset(pointer, index * x.dtype.itemsize)], width, None, (1,)), 0)

    with em.loop(0, whole, width, carry=[load(0), em.constant(0, vector_of("i32", width))]) as loop:
        new, index = load(loop.index), convert(em, em.index(loop.index), "i32")
        better = _better(draft, new, loop.carry[0], largest, last)
        loop.next = [
            em.select(better, new, loop.carry[0]), em.select(better, em.splat(index, width), loop.carry[1])
        ]  # fmt: skip
    best, place = em.lane(loop.results[0], 0), em.lane(loop.results[1], 0)
    for n in range(1, width):
        new, index = em.lane(loop.results[0], n), em.lane(loop.results[1], n) + n
        wins, loses = (_better(draft, *pair, largest, False) for pair in ((new, best), (best, new)))
        earlier = index > place if last else index < place
        taken = wins | (~loses & earlier)
        best, place = em.select(taken, new, best), em.select(taken, index, place)
    return whole, best, convert(em, place, "i64")


def _better(draft: Draft, new: Value, old: Value, largest: bool, last: bool) -> Value:
    better = (new >= old if last else new > old) if largest else (new <= old if last else new < old)
    if not is_float(new.type):
        return better
    nan_new, nan_old = draft.em.unordered(new), draft.em.unordered(old)
    # the first (or last) NaN wins over every number
    return (nan_new & (nan_new | ~nan_old) if last else nan_new & ~nan_old) | (better & ~nan_old)
