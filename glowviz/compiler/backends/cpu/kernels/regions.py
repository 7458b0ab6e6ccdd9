"""Pictures read at run-time places: GridSample, RoiAlign and MaxRoiPool, calculated in double precision."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

from glowviz.compiler.backends.cpu.kernels.cells import Cells, Tensor
from glowviz.compiler.backends.cpu.kernels.draft import supported
from glowviz.compiler.backends.cpu.kernels.elements import convert, saturated
from glowviz.compiler.backends.cpu.kernels.reduction import lowest
from glowviz.compiler.backends.cpu.registry import KernelCode, kernel
from glowviz.compiler.backends.cpu.values import Index, Value, vector_of
from glowviz.compiler.ops.grid import SHARPNESS
from glowviz.compiler.program import Instr, Program
from glowviz.compiler.target import Target

FAR = 1e9
TOGETHER = 4
"""Channels that GridSample calculates at once."""
MOST_SAMPLES = 4
"""Samples along a side of a cell whose corners are kept."""


@kernel("grid_sample")
@supported
def grid_sample(instr: Instr, program: Program, target: Target) -> KernelCode:
    """Places and weights once for each place of the grid, then all channels."""
    cells = Cells(instr, program, target)
    x, goal = cells.tensor(instr.op.x), cells.result_tensor()
    n, channels, *out = goal.dims
    sample, em = _Sample(cells), cells.em

    def body(at: list[Index]) -> None:
        taps = [(weight, good, _Channels(x, at[0], places)) for weight, good, places in sample.taps(at)]
        results = _Channels(goal, at[0], at[1:])

        def some(first: Index, count: int) -> None:
            total = em.constant(0.0, vector_of("double", count))
            for weight, good, elements in taps:
                value = convert(em, elements.read(first, count), "double")
                kept = em.select(em.splat(good, count), value, value.match(0.0))
                total = total + kept * em.splat(weight, count)
            results.write(first, convert(em, total, goal.kind), count)

        whole = channels // TOGETHER * TOGETHER
        for low, high, count in ((0, whole, TOGETHER), (whole, channels, 1)):
            if low < high:
                with em.loop(low, high, count) as loop:
                    some(loop.index, count)

    cells.over([n, *out], body, channels * len(sample.steps))
    return cells.finish(f"{instr.op.mode}: {len(sample.steps)} neighbours", taps=len(sample.steps))


class _Channels:
    """One place of a map in all channels; where they are evenly far apart, its address is calculated once."""

    def __init__(self, tensor: Tensor, image: Index, places: Sequence[Index]) -> None:
        self.tensor, self.image, self.places = tensor, image, list(places)
        self.even = tensor.strides.tile[1] == 1
        self.start = tensor.address([image, 0, *places]) if self.even else None

    def _address(self, channel: Index) -> Value:
        if self.start is None:
            return self.tensor.address([self.image, channel, *self.places])
        return self.tensor.em.offset(self.start, channel * self.tensor.strides.outer[1])

    def read(self, first: Index, count: int) -> Value:
        """The elements of neighbouring channels side by side."""
        em: Any = self.tensor.em
        found = [self.tensor.read_at(self._address(first + n)) for n in range(count)]
        value = found[0] if count == 1 else em.splat(found[0], count)
        for n, one in enumerate(found[1:], 1):
            value = em.value(value.type, f"insertelement {value!r}, {one!r}, i32 {n}", value.unsigned)
        return value

    def write(self, first: Index, values: Value, count: int) -> None:
        """Calculated numbers become the elements of neighbouring channels."""
        for n in range(count):
            one = values if count == 1 else self.tensor.em.lane(values, n)
            self.tensor.write_at(self._address(first + n), one)


class _Sample:
    """Where GridSample reads, as its op defines it."""

    def __init__(self, cells: Cells) -> None:
        self.cells, self.em, self.m, self.op = cells, cells.em, cells.em.m, cells.instr.op
        self.grid = cells.tensor(self.op.grid)
        self.sizes = cells.tensor(self.op.x).dims[2:]
        reach: Sequence[int] = {"nearest": (0,), "linear": (0, 1), "cubic": (-1, 0, 1, 2)}[self.op.mode]
        self.steps = list(product(reach, repeat=len(self.sizes)))

    def taps(self, at: Sequence[Index]) -> list[tuple[Value, Value, list[Index]]]:
        """Weight, whether it is read at all, and place of every neighbour."""
        places = [self._place(at, axis, size) for axis, size in enumerate(self.sizes)]
        one = self.em.constant(1.0, "double")
        if self.op.mode == "nearest":
            return [(one, *self._read([self._whole(self.m.round(p)) for p in places]))]
        bases = [self.m.floor(p) for p in places]
        parts = [p - b for p, b in zip(places, bases, strict=True)]
        found: list[tuple[Value, Value, list[Index]]] = []
        for steps in self.steps:
            weight = one
            for step, part in zip(steps, parts, strict=True):
                weight = weight * self._weight(step, part)
            index = [self._whole(base) + step for base, step in zip(bases, steps, strict=True)]
            found.append((weight, *self._read(index)))
        return found

    def _whole(self, place: Value) -> Value:
        return saturated(self.em, place, "i64")

    def _place(self, at: Sequence[Index], axis: int, size: int) -> Value:
        """From [-1, 1] to a place in x, inside its borders where the padding wants that."""
        last = len(self.sizes) - 1 - axis
        grid = convert(self.em, self.grid.read([*at, last]), "double")
        scaled = (grid + 1.0) * float(size - 1 if self.op.align_corners else size)
        place = (scaled if self.op.align_corners else scaled - 1.0) * 0.5
        place = self.m.where(abs(place) < self.m.inf, place, place.match(-100.0 * size))
        if self.op.mode == "cubic" or self.op.padding_mode == "zeros":
            return self.m.clip(place, -FAR, FAR)
        return self._inside(place, size)

    def _inside(self, place: Value, size: int) -> Value:
        edge = float(size - 1)
        if self.op.padding_mode == "border":
            return self.m.clip(place, 0.0, edge)
        if size == 1:
            return place.match(0.0)
        low, high = (0.0, edge) if self.op.align_corners else (-0.5, size - 0.5)
        span = high - low
        far = place - low
        far = far - self.m.floor(far * (0.5 / span)) * (2 * span)
        return self.m.clip(self.m.where(far > span, 2 * span - far, far) + low, 0.0, edge)

    def _weight(self, step: int, part: Value) -> Value:
        if self.op.mode == "linear":
            return part if step else 1.0 - part
        far, a = abs(part - float(step)), SHARPNESS
        near = ((a + 2) * far - (a + 3)) * far * far + 1.0
        return self.m.where(far <= 1.0, near, ((a * far - 5 * a) * far + 8 * a) * far - 4 * a)

    def _read(self, index: list[Value]) -> tuple[Value, list[Index]]:
        """Whether the place is read, and the place within x."""
        em, good = self.em, self.em.constant(True, "i1")
        found: list[Index] = []
        for place, size in zip(index, self.sizes, strict=True):
            if self.op.padding_mode == "zeros":
                good = good & (place >= 0) & (place < size)
            elif self.op.mode == "cubic":
                place = self._whole(self.m.round(self._inside(em.convert("sitofp", place, "double"), size)))
            found.append(em.smaller(em.larger(place, 0), size - 1))
        return good, found


@kernel("roi_align")
@supported
def roi_align(instr: Instr, program: Program, target: Target) -> KernelCode:
    """The mean or the largest of the samples of every cell of every box."""
    op = instr.op
    cells = Cells(instr, program, target, checks=True)
    em, x, goal = cells.em, cells.tensor(op.x), cells.result_tensor()
    rois, pictures = cells.tensor(op.rois), cells.tensor(op.batch_indices)
    mean = op.mode == "avg"
    if mean and 0 < op.sampling_ratio <= MOST_SAMPLES and x.strides.tile[1] == goal.strides.tile[1] == 1:
        return _mean_of_samples(cells)

    def body(at: list[Index]) -> None:
        box = [convert(em, rois.read([at[0], n]), "double") * op.spatial_scale for n in range(4)]
        plane = [cells.inside(pictures.index([at[0]]), x.dims[0]), at[1]]
        rows = _Line(cells, (box[1], box[3]), at[2], op.output_height, x.dims[2])
        columns = _Line(cells, (box[0], box[2]), at[3], op.output_width, x.dims[3])
        first = em.constant(0.0 if mean else -float("inf"), "double")

        def step(number: list[Index], values: list[Value]) -> list[Value]:
            value = _corners(cells, x, plane, rows.tap(number[0]), columns.tap(number[1]), mean)
            return [values[0] + value if mean else em.m.max(values[0], value)]

        total = cells.fold([rows.count, columns.count], [first], step)[0]
        if mean:
            total = total / em.convert("sitofp", rows.count * columns.count, "double")
        goal.write(at, convert(em, total, goal.kind))

    cells.over(goal.dims, body, 16)
    return cells.finish(f"{op.mode} of the samples of every cell", samples=op.sampling_ratio)


def _mean_of_samples(cells: Cells) -> KernelCode:
    """Places and weights of all corners of a cell once, then all channels."""
    op, em = cells.instr.op, cells.em
    x, goal, rois = cells.tensor(op.x), cells.result_tensor(), cells.tensor(op.rois)
    pictures = cells.tensor(op.batch_indices)
    count = op.sampling_ratio**2
    cells.scratch = -(-count * 4 * 16 // 64) * 64
    area = em.offset(em.argument(len(cells.operands)), em.worker * cells.scratch)

    def body(at: list[Index]) -> None:
        box = [convert(em, rois.read([at[0], n]), "double") * op.spatial_scale for n in range(4)]
        picture = cells.inside(pictures.index([at[0]]), x.dims[0])
        rows = _Line(cells, (box[1], box[3]), at[1], op.output_height, x.dims[2])
        columns = _Line(cells, (box[0], box[2]), at[2], op.output_width, x.dims[3])

        def sample(number: list[Index], values: list[Value]) -> list[Value]:
            row, column = rows.tap(number[0]), columns.tap(number[1])
            here = em.offset(area, values[0] * 64)
            for n, (place, other, weight) in enumerate(_corner_places(row, column)):
                distance = em.index(place * x.strides.outer[2] + other * x.strides.outer[3])
                em.store(distance, em.offset(here, 16 * n))
                em.store(weight, em.offset(here, 16 * n + 8))
            # a sample outside is written over by the next one
            return [values[0] + em.convert("zext", row[3] & column[3], "i64")]

        inside = cells.fold([op.sampling_ratio] * 2, [em.constant(0, "i64")], sample)[0]
        source, result = x.address([picture, 0, 0, 0]), goal.address([at[0], 0, at[1], at[2]])

        def channel(c: list[Index]) -> None:
            total = _sum_of_corners(x, em.offset(source, c[0] * x.strides.outer[1]), area, inside)
            mean = convert(em, total / float(count), goal.kind)
            goal.write_at(em.offset(result, c[0] * goal.strides.outer[1]), mean)

        cells.nest([x.dims[1]], channel)

    cells.over([goal.dims[0], *goal.dims[2:]], body, 16 * x.dims[1])
    return cells.finish("corners of the samples of a cell once, then all channels", samples=op.sampling_ratio)


def _sum_of_corners(x: Tensor, plane: Value, area: Value, samples: Value) -> Value:
    """The corners of so many samples of a plane, whose places and weights lie in `area`."""
    em = x.em
    with em.loop(0, samples, carry=[em.constant(0.0, "double")]) as loop:
        total = loop.carry[0]
        for n in range(4):
            here = em.offset(area, loop.index * 64 + 16 * n)
            value = convert(em, x.read_at(em.offset(plane, em.load(here, "i64"))), "double")
            total = total + value * em.load(em.offset(here, 8), "double")
        loop.next = [total]
    return loop.results[0]


class _Line:
    """The samples of one cell along one dim of RoiAlign."""

    def __init__(self, cells: Cells, edges: tuple[Value, Value], cell: Index, cells_out: int, size: int) -> None:
        self.em, self.size, op = cells.em, size, cells.instr.op
        half = op.coordinate_transformation_mode == "half_pixel"
        start, end = (edge - 0.5 if half else edge for edge in edges)
        length = end - start
        length = length if half else self.em.m.max(length, 1.0)
        self.each = length / float(cells_out)
        counted = saturated(self.em, self.em.m.ceil(self.each), "i64")
        self.count: Value = self.em.index(op.sampling_ratio or self.em.larger(counted, 1))
        self.start = start + self.each * self.em.convert("sitofp", self.em.index(cell), "double")

    def tap(self, number: Index) -> tuple[Value, Value, Value, Value]:
        """Lower and upper neighbour, the upper one's weight, and whether the sample is inside."""
        em = self.em
        share = (em.convert("sitofp", em.index(number), "double") + 0.5) * self.each
        place = self.start + share / em.convert("sitofp", self.count, "double")
        inside = (place >= -1.0) & (place <= float(self.size))
        place = em.m.clip(em.m.where(inside, place, place.match(0.0)), 0.0, float(self.size - 1))
        low = em.m.floor(place)
        index = saturated(em, low, "i64")
        return index, em.index(em.smaller(index + 1, self.size - 1)), place - low, inside


def _corners(
    cells: Cells, x: Tensor, plane: list[Index], row: tuple[Value, ...], column: tuple[Value, ...], mean: bool
) -> Value:
    """The four weighted corners of a sample: their sum, or the largest of them; 0 outside."""
    em = cells.em
    parts: list[Value] = []
    for place, other, weight in _corner_places(row, column):
        parts.append(convert(em, x.read([*plane, place, other]), "double") * weight)
    total = parts[0]
    for part in parts[1:]:
        total = total + part if mean else em.m.max(total, part)
    return em.select(row[3] & column[3], total, total.match(0.0))


def _corner_places(row: tuple[Value, ...], column: tuple[Value, ...]) -> Iterator[tuple[Value, Value, Value]]:
    """Row, column and weight of the four corners of a sample."""
    for place, weight in ((row[0], 1.0 - row[2]), (row[1], row[2])):
        for other, other_weight in ((column[0], 1.0 - column[2]), (column[1], column[2])):
            yield place, other, weight * other_weight


@kernel("max_roi_pool")
@supported
def max_roi_pool(instr: Instr, program: Program, target: Target) -> KernelCode:
    """The largest element of every cell, 0 where a cell is empty."""
    op = instr.op
    cells = Cells(instr, program, target, checks=True)
    em, x, goal, rois = cells.em, cells.tensor(op.x), cells.result_tensor(), cells.tensor(op.rois)

    def body(at: list[Index]) -> None:
        picture = cells.inside(saturated(em, rois.read([at[0], 0]), "i64"), x.dims[0])
        corners = [_scaled(cells, rois.read([at[0], 1 + n]), op.spatial_scale) for n in range(4)]
        top, bottom = _cell(cells, (corners[1], corners[3]), at[2], op.pooled_shape[0], x.dims[2])
        left, right = _cell(cells, (corners[0], corners[2]), at[3], op.pooled_shape[1], x.dims[3])

        def step(number: list[Index], values: list[Value]) -> list[Value]:
            return [em.m.max(values[0], x.read([picture, at[1], top + number[0], left + number[1]]))]

        best = cells.fold([bottom - top, right - left], [x.number(lowest(x.elem))], step)[0]
        goal.write(at, em.select((bottom <= top) | (right <= left), x.number(0), best))

    cells.over(goal.dims, body, 16)
    return cells.finish("the largest element of every cell")


def _scaled(cells: Cells, corner: Value, scale: float) -> Value:
    wide = convert(cells.em, corner, "double") * scale + 0.5
    return saturated(cells.em, cells.em.m.floor(wide), "i64")


def _cell(cells: Cells, edges: tuple[Value, Value], cell: Index, count: int, size: int) -> tuple[Value, Value]:
    """First and last-plus-one element of a cell along one dim."""
    em: Any = cells.em
    start, end = edges
    each = em.convert("sitofp", em.index(em.larger(end - start + 1, 1)), "double") / float(count)
    number = em.convert("sitofp", em.index(cell), "double")
    low = saturated(em, em.m.floor(number * each), "i64") + start
    high = saturated(em, em.m.ceil((number + 1.0) * each), "i64") + start
    first, last = (em.index(em.smaller(em.larger(place, 0), size)) for place in (low, high))
    return first, last
