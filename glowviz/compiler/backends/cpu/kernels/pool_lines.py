"""Windows over row-major maps of any rank, line by line: first down the lines of a window, then along one of them.

What a line of results needs of all lines above each other is gathered in the worker's scratch area, between borders
that change nothing; windows along it are then read from there, in vectors and without comparisons.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

from glowviz.compiler.backends.cpu.kernels.boxes import Unsupported
from glowviz.compiler.backends.cpu.kernels.cells import Cells, Tensor
from glowviz.compiler.backends.cpu.kernels.elements import fetch, put
from glowviz.compiler.backends.cpu.kernels.nest import Lanes
from glowviz.compiler.backends.cpu.values import Index, Value, size_of, vector_of
from glowviz.compiler.ops.windows import Windows

WIDEST_STEP = 4
LINE = 64
Combine = Callable[[Sequence[Value], Sequence[Value]], list[Value]]
Finish = Callable[[list[Index], Index, Lanes, list[Value]], None]


@dataclass
class Lines:
    """`first` are the scalars that change nothing, one for each value that is carried (the element, its place).

    `combine(old, new)` gives the values for both; `finish(places without the last, last, lanes, values)` stores.
    """

    cells: Cells
    windows: Windows
    x: Tensor
    first: Sequence[Value]
    combine: Combine
    finish: Finish

    def __post_init__(self) -> None:
        w, self.em = self.windows, self.cells.em
        if self.x.buffer.type.order is not None or self.x.buffer.halo is not None:
            raise Unsupported("a map in blocks or with a halo")
        if w.strides[-1] > WIDEST_STEP or prod(w.spatial) >= 1 << 31:
            raise Unsupported("steps or planes so large")
        self.begin, self.width, self.lanes = w.begins[-1], w.spatial[-1], self.em.lanes
        reach = max(self.begin + self.width, (w.out[-1] - 1) * w.strides[-1] + w.extents[-1])
        self.length = -(-reach // self.lanes) * self.lanes
        sizes = [size_of(v.type) * (self.length + (1 + WIDEST_STEP) * self.lanes) for v in self.first]
        sizes = [-(-size // LINE) * LINE for size in sizes]
        self.cells.scratch = sum(sizes)
        area = self.em.offset(self.em.argument(len(self.cells.operands)), self.em.worker * self.cells.scratch)
        self.areas = [self.em.offset(area, sum(sizes[:n])) for n in range(len(sizes))]

    def write(self) -> None:
        """All lines of the result, in tiles."""
        dims, w = self.cells.result.type.dims, self.windows
        self.cells.over(dims[:-1], self._line, w.out[-1] * prod(w.kernel[:-1]))

    # -- one line -----------------------------------------------------------------------------------
    def _line(self, at: list[Index]) -> None:
        ranges = [self._taps(axis, place) for axis, place in enumerate(at[2:])]
        self._fill(0, -(-self.begin // self.lanes))
        whole = self.width // self.lanes * self.lanes
        if whole:
            with self.em.loop(0, whole, self.lanes) as loop:
                self._down(at, ranges, loop.index, None)
        if whole < self.width:
            self._down(at, ranges, whole, self.em.first_lanes(self.width - whole, self.lanes))
        behind = self.begin + -(-self.width // self.lanes) * self.lanes
        self._fill(behind, -(-(self.length - behind) // self.lanes))
        self._along(at)

    def _fill(self, start: int, count: int) -> None:
        for n in range(count):
            for area, value in zip(self.areas, self.first, strict=True):
                distance = (start + n * self.lanes) * size_of(value.type)
                self.em.store(self.em.splat(value, self.lanes), self.em.offset(area, distance))

    def _taps(self, axis: int, place: Index) -> tuple[Index, Index, Index]:
        """The element of tap 0 along an axis, the first tap inside the map, and the first behind it."""
        em, w = self.em, self.windows
        start = em.index(place * w.strides[axis]) - w.begins[axis]
        if w.begins[axis] == 0 and (w.out[axis] - 1) * w.strides[axis] + w.extents[axis] <= w.spatial[axis]:
            return start, 0, w.kernel[axis]
        step = w.dilations[axis]
        low = em.divide(em.larger(0, -start + (step - 1)), step)
        high = em.divide(em.larger(0, -start + (w.spatial[axis] + step - 1)), step)
        return start, low, em.smaller(high, w.kernel[axis])

    def _down(
        self, at: list[Index], ranges: Sequence[tuple[Index, Index, Index]], column: Index, mask: Value | None
    ) -> None:
        """What the lines of a window hold at some columns, into the scratch area."""
        em, w = self.em, self.windows
        zero = [em.splat(value, self.lanes) for value in self.first]

        def level(places: list[Index], values: list[Value]) -> list[Value]:
            axis = len(places)
            if axis == len(ranges):
                return self.combine(values, self._loaded([*at[:2], *places, column], mask))
            start, low, high = ranges[axis]
            with em.loop(low, high, carry=values) as loop:
                loop.next = level([*places, start + loop.index * w.dilations[axis]], loop.carry)
            return loop.results

        for area, value, empty in zip(self.areas, level([], zero), zero, strict=True):
            kept = value if mask is None else em.select(mask, value, empty)
            em.store(kept, em.offset(area, (column + self.begin) * (size_of(kept.type) // self.lanes)))

    def _loaded(self, places: list[Index], mask: Value | None) -> list[Value]:
        """Neighbouring elements, and where asked for their places in the plane."""
        em, lanes = self.em, Lanes([self.x.address(places)], self.lanes, mask, (self.x.strides.outer[-1],))
        found = [fetch(em, self.x.elem, lanes, 0)]
        if len(self.first) > 1:
            number: Index = 0
            for place, extent in zip(places[2:], self.windows.spatial, strict=True):
                number = number * extent + place
            found.append(em.splat(em.convert("trunc", em.index(number), "i32"), self.lanes) + em.counting(self.lanes))
        return found

    def _along(self, at: list[Index]) -> None:
        em, count = self.em, self.windows.out[-1]
        whole = count // self.lanes * self.lanes
        if whole:
            with em.loop(0, whole, self.lanes) as loop:
                self._results(at, loop.index, None)
        if whole < count:
            self._results(at, whole, em.first_lanes(count - whole, self.lanes))

    def _results(self, at: list[Index], first: Index, mask: Value | None) -> None:
        w = self.windows
        values: list[Value] = []
        for tap in range(w.kernel[-1]):
            start = first * w.strides[-1] + tap * w.dilations[-1]
            new = [self._strided(a, v, start) for a, v in zip(self.areas, self.first, strict=True)]
            values = self.combine(values, new) if values else new
        size = self.cells.result.type.dtype.itemsize
        self.finish(at, first, Lanes([], self.lanes, mask, (size,)), values)

    def _strided(self, area: Value, value: Value, start: Index) -> Value:
        em, step = self.em, self.windows.strides[-1]
        here = em.offset(area, start * size_of(value.type))
        found = em.load(here, vector_of(value.type, self.lanes * step), value.unsigned)
        return found if step == 1 else em.shuffle(found, found, range(0, self.lanes * step, step))


def store_line(cells: Cells, goal: Tensor, at: list[Index], first: Index, lanes: Lanes, value: Value) -> None:
    """Neighbours of a line into a result."""
    here = Lanes([goal.address([*at, first])], lanes.count, lanes.mask, lanes.steps)
    put(cells.em, goal.elem, here, 0, value)
