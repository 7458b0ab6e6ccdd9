"""Sums of products of 8-bit integers with their zero points taken off, and what scales them back to 8 bits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

from glowviz.compiler.backends.cpu.kernels.any_windows import Taps
from glowviz.compiler.backends.cpu.kernels.boxes import Unsupported
from glowviz.compiler.backends.cpu.kernels.byte_dots import ByteDots, padded
from glowviz.compiler.backends.cpu.kernels.cells import Cells, Places, Tensor
from glowviz.compiler.backends.cpu.kernels.draft import supported
from glowviz.compiler.backends.cpu.kernels.elements import convert, saturated
from glowviz.compiler.backends.cpu.registry import KernelCode, general
from glowviz.compiler.backends.cpu.values import Index, Value, vector_of
from glowviz.compiler.ops import Conv
from glowviz.compiler.ops.integer_products import EIGHT
from glowviz.compiler.ops.quantize import INTEGER_RANGES
from glowviz.compiler.ops.windows import Windows
from glowviz.compiler.program import Instr, Program
from glowviz.compiler.target import Target

Each = Callable[[Index, Sequence[Value]], None]
COLUMNS = 4
"""Neighbouring results that share the rows of bytes they read."""
LINE = 64


class _Walk:
    """Columns of 16-bit numbers in the worker's scratch area, and rows of bytes that pass over them."""

    def __init__(self, cells: Cells, count: int, zero: Tensor | None) -> None:
        self.cells, self.em, self.count, self.zero = cells, cells.em, count, zero
        self.pitch = -(-padded(count, cells.em) * 2 // LINE) * LINE
        cells.scratch = self.pitch * COLUMNS
        area = self.em.offset(self.em.argument(len(cells.operands)), self.em.worker * cells.scratch)
        self.columns = [self.em.offset(area, n * self.pitch) for n in range(COLUMNS)]
        self.rows = 4 if cells.target.registers >= 32 else 2

    def clear(self) -> None:
        """Zeros behind the numbers of every column."""
        width = 2 * self.em.lanes
        if self.count % width:
            zeros = self.em.constant(0, vector_of("i16", width))
            for column in self.columns:
                self.em.store(zeros, self.em.offset(column, self.count // width * width * 2))

    def put(self, column: int, number: Index, value: Value, zero: Value | None, inside: Value | None = None) -> None:
        """An element of a column: value - zero, or 0 where it lies outside."""
        em = self.em
        wide = convert(em, value, "i16")
        wide = wide if zero is None else wide - zero
        wide = wide if inside is None else em.select(inside, wide, wide.match(0))
        em.store(wide, em.offset(self.columns[column], number * 2))

    def pass_over(self, tensor: Tensor, low: Index, count: int, row: Callable[[Index], Value], each: Each) -> None:
        """`each(row number, sums with all columns)` for `count` rows from `low` on; `row` gives a row's address."""
        em, whole = self.em, count // self.rows * self.rows

        def some(first: Index, rows: int) -> None:
            numbers = [first + r for r in range(rows)]
            zeros = [zero_point(self.em, self.zero, low + n) for n in numbers]
            sums = ByteDots(em, self.count, self.columns).of(
                [row(low + n) for n in numbers], tensor.elem == "u8", zeros
            )
            for n, totals in zip(numbers, sums, strict=True):
                each(low + n, totals)

        if whole:
            with em.loop(0, whole, self.rows) as loop:
                some(loop.index, self.rows)
        if whole < count:
            with em.loop(whole, count) as loop:
                some(loop.index, 1)


def zero_point(em: Any, zero: Tensor | None, per: Index) -> Value | None:
    """A zero point as i16; a row of them has one for every `per`."""
    return None if zero is None else convert(em, _of(zero, per).read(_place(zero, per)), "i16")


def _of(per_index: Tensor, per: Index) -> Tensor:
    if len(per_index.dims) > 1 and prod(per_index.dims) > 1:
        raise Unsupported("scales or zero points of several dims")
    return per_index


def _place(tensor: Tensor, per: Index) -> Places:
    """Where the number for index `per` stands: the only one, or that of a row."""
    if prod(tensor.dims) == 1:
        return [0] * len(tensor.dims)
    return [per]


@general("conv_integer", "q_linear_conv")
@supported
def conv_integer(instr: Instr, program: Program, target: Target) -> KernelCode:
    """A tile is a few neighbouring places of a group; padding has the value of the zero point, so it adds nothing."""
    op = instr.op
    cells = Cells(instr, program, target)
    em, goal, x, w = cells.em, cells.result_tensor(), cells.tensor(op.x), cells.tensor(op.w)
    x_zero, w_zero = (None if name is None else cells.tensor(name) for name in (op.x_zero, op.w_zero))
    windows = Conv("x", "w", None, op.strides, op.pads, op.dilations, op.group, op.auto_pad).windows(x.dims, w.dims)
    each_out = w.dims[0] // op.group
    if w.buffer.type.order is not None:
        raise Unsupported("weights in blocks")
    walk = _Walk(cells, w.dims[1] * prod(windows.kernel), w_zero)

    def tile(at: list[Index]) -> None:
        places = [em.index(em.smaller(at[-1] * COLUMNS + n, windows.out[-1] - 1)) for n in range(COLUMNS)]
        walk.clear()
        inner = _all_inside(cells, windows, [*at[2:-1], places[0]], [*at[2:-1], places[-1]])
        with em.when(inner):
            _gather(walk, windows, x, x_zero, at, places, False)
        with em.when(~inner):
            _gather(walk, windows, x, x_zero, at, places, True)

        def each(feature: Index, totals: Sequence[Value]) -> None:
            found = _finish(cells, feature)(totals) if instr.name == "q_linear_conv" else totals
            for place, value in zip(places, found, strict=True):
                goal.write([at[0], feature, *at[2:-1], place], value)

        walk.pass_over(w, at[1] * each_out, each_out, lambda f: w.address([f, *[0] * (len(w.dims) - 1)]), each)

    cells.over([x.dims[0], op.group, *windows.out[:-1], -(-windows.out[-1] // COLUMNS)], tile, 1 << 20)
    return cells.finish(
        f"windows of {COLUMNS} neighbours as columns, then rows of weights over them", kernel=list(windows.kernel)
    )


def _gather(
    walk: _Walk, windows: Windows, x: Tensor, x_zero: Tensor | None, at: list[Index], places: list[Value],
    checked: bool,
) -> None:  # fmt: skip
    """Fill the columns with what the windows at `places` see of one group's channels."""
    cells = walk.cells
    zero = zero_point(cells.em, x_zero, 0)
    each_in = walk.count // prod(windows.kernel)

    def tap(t: list[Index]) -> None:
        number: Index = 0
        for index, extent in zip(t, (each_in, *windows.kernel), strict=True):
            number = number * extent + index
        for n, place in enumerate(places):
            where, inside = Taps(cells, windows, [*at[2:-1], place]).at(t[1:], checked)
            value = x.read([at[0], at[1] * each_in + t[0], *where])
            walk.put(n, number, value, zero, inside if checked else None)

    cells.nest((each_in, *windows.kernel), tap)


def _all_inside(cells: Cells, windows: Windows, first: Sequence[Index], last: Sequence[Index]) -> Value:
    """Whether all windows between two places lie inside the map."""
    found = cells.em.constant(True, "i1")
    for a, size in enumerate(windows.spatial):
        low = cells.em.index(first[a] * windows.strides[a]) - windows.begins[a]
        reach = (windows.kernel[a] - 1) * windows.dilations[a] - windows.begins[a]
        found = found & (low >= 0) & (cells.em.index(last[a] * windows.strides[a]) + reach < size)
    return found


def _finish(cells: Cells, feature: Index) -> Callable[[Sequence[Value]], Sequence[Value]]:
    """What makes quantized results of sums of a feature of q_linear_conv."""
    op, goal = cells.instr.op, cells.result_tensor()
    bias = None if op.b is None else cells.tensor(op.b).read([feature])
    features = [feature] * COLUMNS
    factor = _scale(cells, op.x_scale, [0] * COLUMNS) * _scale(cells, op.w_scale, features)
    factor = factor / _scale(cells, op.y_scale, [0] * COLUMNS)
    zero = _scale(cells, op.y_zero, [0] * COLUMNS)

    def finish(totals: Sequence[Value]) -> Sequence[Value]:
        whole = totals if bias is None else [total + bias for total in totals]
        return _requantized(cells, goal, whole, factor, zero)

    return finish


def _scale(cells: Cells, name: str, per: Sequence[Index]) -> Value:
    """The scales for some indices, in double precision, as lanes."""
    tensor = cells.tensor(name)
    return _lanes(cells.em, [convert(cells.em, _of(tensor, n).read(_place(tensor, n)), "double") for n in per])


def _lanes(em: Any, numbers: Sequence[Value]) -> Value:
    """Scalars side by side."""
    kind = vector_of(numbers[0].type, len(numbers))
    found = em.splat(numbers[0], len(numbers))
    for n, number in enumerate(numbers[1:], 1):
        found = em.value(kind, f"insertelement {found!r}, {number!r}, i32 {n}")
    return found


def _requantized(cells: Cells, goal: Tensor, totals: Sequence[Value], factor: Value, zero: Value) -> list[Value]:
    """round(f32(total · factor)) + zero, within the limits of the result's kind."""
    em: Any = cells.em
    scaled = em.convert("fptrunc", em.convert("sitofp", _lanes(em, totals), "double") * factor, "float")
    shifted = em.convert("fpext", em.m.round(scaled), "double") + zero
    low, high = INTEGER_RANGES[goal.elem]
    found = convert(em, saturated(em, em.m.clip(shifted, float(low), float(high)), "i32"), goal.kind)
    return [em.lane(found, n) for n in range(len(totals))]


@general("q_linear_mat_mul")
@supported
def q_linear_mat_mul(instr: Instr, program: Program, target: Target) -> KernelCode:
    """A tile is a few columns of one matrix."""
    op = instr.op
    cells = Cells(instr, program, target)
    em, goal, a, b = cells.em, cells.result_tensor(), cells.tensor(op.a), cells.tensor(op.b)
    eight = a.elem in EIGHT and b.elem in EIGHT and goal.elem in INTEGER_RANGES
    if not eight or len(a.dims) < 2 or len(b.dims) < 2 or a.buffer.type.order is not None:
        raise Unsupported("small floats, or a row or column of one dim")
    depth, last = a.dims[-1], goal.dims[-1] - 1
    walk = _Walk(cells, depth, cells.tensor(op.a_zero))

    def tile(at: list[Index]) -> None:
        places = [em.index(em.smaller(at[-1] * COLUMNS + n, last)) for n in range(COLUMNS)]
        walk.clear()
        zeros = [zero_point(em, cells.tensor(op.b_zero), place) for place in places]
        scales = _scale(cells, op.b_scale, places)

        def element(k: list[Index]) -> None:
            for n, (place, zero) in enumerate(zip(places, zeros, strict=True)):
                walk.put(n, k[0], b.read([*_batch(b, [*at[:-1], 0, 0]), k[0], place]), zero)

        cells.nest([depth], element)

        def each(row: Index, totals: Sequence[Value]) -> None:
            rows = [row] * COLUMNS
            factor = _scale(cells, op.a_scale, rows) * scales / _scale(cells, op.y_scale, rows)
            values = _requantized(cells, goal, totals, factor, _scale(cells, op.y_zero, rows))
            for place, value in zip(places, values, strict=True):
                goal.write([*at[:-1], row, place], value)

        lead = [*at[:-1], 0, 0]
        walk.pass_over(a, 0, a.dims[-2], lambda row: a.address([*_batch(a, lead), row, 0]), each)

    if 0 not in goal.dims:
        cells.over([*goal.dims[:-2], -(-goal.dims[-1] // COLUMNS)], tile, 1 << 20)
    return cells.finish(f"{COLUMNS} columns of b at a time, then rows of a over them", depth=depth)


def _batch(tensor: Tensor, at: list[Index]) -> list[Index]:
    """The batch places of an operand that broadcasts."""
    lead = tensor.dims[:-2]
    places = at[len(at) - 2 - len(lead) : len(at) - 2]
    return [0 if n == 1 else place for n, place in zip(lead, places, strict=True)]
