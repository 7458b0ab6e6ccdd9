"""Results whose elements come from places that tables beside the code name: any Resize, any Pad."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from math import prod

import numpy as np

from glowviz.compiler.backends.cpu.kernels.boxes import Unsupported
from glowviz.compiler.backends.cpu.kernels.cells import Cells, Tensor
from glowviz.compiler.backends.cpu.kernels.draft import constant_of, supported
from glowviz.compiler.backends.cpu.kernels.elements import convert
from glowviz.compiler.backends.cpu.registry import KernelCode, general
from glowviz.compiler.backends.cpu.values import Index, Value
from glowviz.compiler.ops.sampling import Taps
from glowviz.compiler.program import Instr, Program
from glowviz.compiler.target import Target

LONGEST_TABLE = 1 << 16


@general("resize")
@supported
def resize(instr: Instr, program: Program, target: Target) -> KernelCode:
    """Weighted sums of any number of neighbours, axis by axis in the order of the definition."""
    op = instr.op
    cells = Cells(instr, program, target, instr.ins[:1])
    x, goal = cells.tensor(op.x), cells.result_tensor()
    contents = [None if o is None else constant_of(program, o) for o in (op.roi, op.scales, op.sizes)]
    grid = op.grid(x.dims, *contents)
    axes = op.changed_axes(x.dims, grid)
    samples = [_Axis(cells, axis, op.taps_of(grid, axis, x.dims[axis])) for axis in axes]
    em = cells.em
    kind = x.kind if op.mode == "nearest" else _wide(x)

    def body(at: list[Index]) -> None:
        value = _sum(cells, x, samples, list(at), kind)
        outside = em.constant(False, "i1")
        for sample in samples:
            outside = outside | sample.outside(at)
        value = em.select(outside, value.match(op.extrapolation_value), value)
        goal.write(at, _as_kind(cells, goal, value))

    cells.over(goal.dims, body, prod(s.count for s in samples))
    return cells.finish(f"{op.mode}: neighbours from tables", axes=axes)


def _wide(x: Tensor) -> str:
    """The kind that weighted sums of x are calculated in."""
    return "double" if x.buffer.type.dtype.itemsize >= 4 and x.elem != "f32" else "float"


def _as_kind(cells: Cells, goal: Tensor, value: Value) -> Value:
    if value.type == goal.kind:
        return value
    unsigned = goal.elem.startswith("u")
    if not goal.buffer.type.is_float:
        limits = np.iinfo(goal.buffer.type.dtype)
        value = cells.em.m.clip(value, float(limits.min), float(limits.max))
        wide = convert(cells.em, value, "i64")  # u64 beyond 2^63 has no signed form
        return convert(cells.em, wide, goal.kind, unsigned)
    return convert(cells.em, value, goal.kind, unsigned)


class _Axis:
    """One resampled axis: for every result index whether it lies outside, and (place, weight) pairs."""

    def __init__(self, cells: Cells, axis: int, taps: Taps) -> None:
        self.cells, self.axis = cells, axis
        rows, self.count = taps.places.shape
        if rows * self.count > LONGEST_TABLE:
            raise Unsupported("a table so long")
        self.weighted = taps.weights is not None
        self.some_outside = bool(taps.outside.any())
        weights = np.ones(taps.places.shape) if taps.weights is None else taps.weights
        numbers: list[int] = []
        for row in range(rows):
            numbers.append(int(taps.outside[row]))
            for tap in range(self.count):
                numbers += [int(taps.places[row, tap]), struct.unpack("<q", struct.pack("<d", weights[row, tap]))[0]]
        self.table = cells.em.table(numbers or [0])

    def _row(self, at: Sequence[Index]) -> Value:
        return self.cells.em.offset(self.table, at[self.axis] * (8 + 16 * self.count))

    def outside(self, at: Sequence[Index]) -> Value:
        """Whether the result index lies outside x."""
        em = self.cells.em
        return em.load(self._row(at), "i64") != 0 if self.some_outside else em.constant(False, "i1")

    def pair(self, at: Sequence[Index], tap: Index) -> tuple[Value, Value]:
        """The place of a tap, and its weight as a double."""
        em = self.cells.em
        here = em.offset(em.offset(self._row(at), 8), tap * 16)
        return em.load(here, "i64"), em.load(em.offset(here, 8), "double")


def _sum(cells: Cells, x: Tensor, samples: list[_Axis], at: list[Index], kind: str) -> Value:
    """The sum over the taps of the last sampled axis; each term is the sum over the axes before it."""
    em = cells.em
    if not samples:
        return convert(em, x.read(at), kind)
    *before, last = samples
    if not last.weighted:
        place, _ = last.pair(at, 0)
        return _sum(cells, x, before, [*at[: last.axis], place, *at[last.axis + 1 :]], kind)
    with em.loop(0, last.count, carry=[em.constant(0.0, kind)]) as loop:
        place, weight = last.pair(at, loop.index)
        term = _sum(cells, x, before, [*at[: last.axis], place, *at[last.axis + 1 :]], kind)
        loop.next = [loop.carry[0] + term * convert(em, weight, kind)]
    return loop.results[0]


@general("pad")
@supported
def pad(instr: Instr, program: Program, target: Target) -> KernelCode:
    """Every result element asks the tables of all axes where it comes from; the value may be a run-time one."""
    op = instr.op
    value = None if op.value is None else op.value
    cells = Cells(instr, program, target, [op.x] if value is None else [op.x, value])
    x, goal = cells.tensor(op.x), cells.result_tensor()
    lists = [[] if o is None else [int(n) for n in constant_of(program, o).reshape(-1)] for o in (op.pads, op.axes)]
    tables = [_origins(cells, n, side, op.mode) for n, side in zip(x.dims, op.sides(len(x.dims), *lists), strict=True)]
    em = cells.em

    def body(at: list[Index]) -> None:
        places = [em.load(em.offset(table, index * 8), "i64") for table, index in zip(tables, at, strict=True)]
        inside = em.constant(True, "i1")
        for place in places:
            inside = inside & (place >= 0)
        kept = [em.select(place >= 0, place, place.match(0)) for place in places]
        bits = x.bits(kept) if 0 not in x.dims else None
        fill = cells.tensor(value).bits([0] * len(cells.tensor(value).dims)) if value is not None else None
        if bits is None:
            goal.put_bits(at, fill if fill is not None else em.constant(0, f"i{8 * x.buffer.type.dtype.itemsize}"))
        else:
            goal.put_bits(at, em.select(inside, bits, fill if fill is not None else bits.match(0)))

    cells.over(goal.dims, body)
    return cells.finish(f"{op.mode} borders from tables", mode=op.mode)


def _origins(cells: Cells, size: int, side: tuple[int, int], mode: str) -> Value:
    """For every result index where it comes from; -1 for the fill value."""
    before, after = side
    inside = np.arange(size)[max(-before, 0) : size - max(-after, 0)]
    grow = (max(before, 0), max(after, 0))
    more = {"constant_values": -1} if mode == "constant" else {}
    found = np.pad(inside, grow, mode=mode, **more)  # type: ignore[call-overload]  # infer checked the mode
    if found.size > LONGEST_TABLE:
        raise Unsupported("a table so long")
    return cells.em.table([int(n) for n in found] or [0])
