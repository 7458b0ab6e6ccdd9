"""The three parts of a Winograd kernel: tiles of a map into points, products per point, points into pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from glowviz.compiler.backends.cpu.emitter import Emitter
from glowviz.compiler.backends.cpu.kernels.geometry import FLOAT, Cut
from glowviz.compiler.backends.cpu.kernels.numbers import read
from glowviz.compiler.backends.cpu.kernels.tile import Ahead, Level, Tile, multiply
from glowviz.compiler.backends.cpu.kernels.winograd_transforms import Filtering, from_points, into_points
from glowviz.compiler.backends.cpu.kernels.write_back import Goal, write_back
from glowviz.compiler.backends.cpu.values import Index, Value

if TYPE_CHECKING:
    from glowviz.compiler.backends.cpu.kernels.winograd import WinogradSchedule, WinogradSpec


def place_of(em: Emitter, spec: WinogradSpec, tile: Index) -> tuple[Index, Index, Index]:
    """Image, row and column of a tile by its number."""
    rows, columns = spec.grid
    image, rest = em.divide(tile, rows * columns), em.remainder(tile, rows * columns)
    return image, em.divide(rest, columns), em.remainder(rest, columns)


class InputTiles:
    """Writes the input transform of one tile and channel block.

    Results lie as [point][channel block][tile][channel], `stride` tiles for each channel block. What lies beyond
    the reach of the convolution counts as zero and is not read.
    """

    def __init__(self, em: Emitter, spec: WinogradSpec, source: Value, scratch: Value, stride: int) -> None:
        self.em, self.spec, self.source, self.stride = em, spec, source, stride
        self.size, self.vector = spec.filtering.size, em.lanes * FLOAT
        self.half, self.zeros = scratch, em.offset(scratch, spec.points * self.vector)

    @staticmethod
    def scratch_bytes(filtering: Filtering, lanes: int) -> int:
        """For the half-transformed tile and a row of zeros."""
        return (filtering.size + 1) * filtering.size * lanes * FLOAT

    def clear(self) -> None:
        """Make the row of zeros, once a call."""
        for n in range(self.size):
            self.em.store(self.em.zeros(), self.em.offset(self.zeros, n * self.vector))

    def transform(self, tile: Index, goal: Value, number: Index, block: Index) -> None:
        """Transform tile `tile` of channel block `block`; it is number `number` in `goal`."""
        em, spec, step = self.em, self.spec, self.spec.filtering.outputs
        image, row, column = place_of(em, spec, tile)
        top, left = spec.source.halo[0] - spec.pads[0], spec.source.halo[1] - spec.pads[1]
        start = em.offset(self.source, top * spec.source.row + left * spec.source.pixel)
        start = em.offset(start, image * spec.source.image + block * spec.source.plane)
        start = em.offset(start, row * (step * spec.source.row) + column * (step * spec.source.pixel))
        reach = spec.filtering.taps - 1
        rows = self._rows(start, em.smaller(spec.result.height + reach - row * step, self.size))
        columns = em.smaller(spec.result.width + reach - column * step, self.size)
        self._into_half(rows, columns)
        goal = em.offset(goal, block * (self.stride * self.vector) + number * self.vector)
        self._out_of_half(goal)

    def _rows(self, start: Value, count: Index) -> list[Value]:
        """Where each row of the tile begins: below the map, in the row of zeros."""
        em, spec = self.em, self.spec
        found = [em.offset(start, y * spec.source.row) for y in range(self.size)]
        if spec.result.height % spec.filtering.outputs == 0:
            return found
        least = spec.filtering.taps  # rows that every tile has
        counted = em.index(count)
        return [r if y < least else em.select(counted > y, r, self.zeros) for y, r in enumerate(found)]

    def _into_half(self, rows: list[Value], columns: Index) -> None:
        em, spec = self.em, self.spec
        if spec.result.width % spec.filtering.outputs == 0:
            columns = self.size
        with em.loop(0, columns) as loop:
            at, number = loop.index * spec.source.pixel, spec.source.number
            line = [read(em, em.offset(row, at), number) for row in rows]
            self._store_column(loop.index, into_points(line, spec.filtering))
        if not isinstance(columns, int):
            with em.loop(columns, self.size) as loop:
                self._store_column(loop.index, [em.zeros()] * self.size)

    def _store_column(self, column: Index, line: list[Value]) -> None:
        at = self.em.offset(self.half, column * self.vector)
        for y, value in enumerate(line):
            self.em.store(value, self.em.offset(at, y * self.size * self.vector))

    def _out_of_half(self, goal: Value) -> None:
        em, size = self.em, self.size
        point = self.spec.source.blocks * self.stride * self.vector
        with em.loop(0, size) as loop:
            at = em.offset(self.half, loop.index * (size * self.vector))
            line = [em.load(em.offset(at, n * self.vector)) for n in range(size)]
            there = em.offset(goal, loop.index * (size * point))
            for n, value in enumerate(into_points(line, self.spec.filtering)):
                em.store(value, em.offset(there, n * point))


class Products:
    """Writes, for every point, the product of transformed tiles and transformed weights of one panel."""

    def __init__(self, em: Emitter, spec: WinogradSpec, schedule: WinogradSchedule, stride: int) -> None:
        self.em, self.spec, self.schedule = em, spec, schedule
        vector = em.lanes * FLOAT
        self.block_bytes = stride * vector
        self.point_bytes = spec.source.blocks * self.block_bytes
        self.row_bytes = schedule.vectors * vector
        self.blocks = -(-spec.depth // em.lanes)
        self.weight_bytes = self.blocks * em.lanes * self.row_bytes
        self.panel_bytes = spec.points * self.weight_bytes

    def write(self, source: Value, weights: Value, goal: Value, vectors: int, count: int) -> None:
        """Products [point][vector][tile][lane] of `count` tiles."""
        em, vector = self.em, self.em.lanes * FLOAT
        cut = Cut(count, self.schedule.rows)
        with em.loop(0, self.spec.points) as point:
            here = em.offset(source, point.index * self.point_bytes)
            matrix = em.offset(weights, point.index * self.weight_bytes)
            there = em.offset(goal, point.index * (vectors * count * vector))
            start = 0
            for rows, many in cut.sizes.items():
                with em.loop(0, many) as group:
                    first = group.index * rows + start
                    tile = Tile([n * vector for n in range(rows)], vectors)
                    ahead = self._ahead(matrix, group.index, many, start)
                    sums = self._sums(tile, em.offset(here, first * vector), matrix, ahead)
                    at = em.offset(there, first * vector)
                    for index, value in enumerate(sums):
                        n, v = divmod(index, vectors)
                        em.store(value, em.offset(at, (v * count + n) * vector))
                start += rows * many

    def _ahead(self, weights: Value, group: Index, groups: int, start: int) -> Ahead | None:
        """The part of the next point's weights that one register tile of the first kind asks for."""
        if not self.schedule.prefetch or start:
            return None
        share = -(-self.row_bytes // groups)
        at = group * (share * self.spec.depth) + self.weight_bytes
        return Ahead(self.em.offset(weights, at), share)

    def _sums(self, tile: Tile, source: Value, weights: Value, ahead: Ahead | None) -> list[Value]:
        em, lanes = self.em, self.em.lanes
        zeros = [em.zeros() for _ in range(tile.count)]
        with em.loop(0, self.blocks, carry=zeros) as loop:
            here = em.offset(source, loop.index * self.block_bytes)
            rows = em.offset(weights, loop.index * (lanes * self.row_bytes))
            turns = em.smaller(self.spec.depth - loop.index * lanes, lanes) if self.spec.depth % lanes else lanes
            level = Level(0, turns, FLOAT, self.row_bytes)
            later = None if ahead is None else ahead.behind(loop.index * lanes)
            loop.next = multiply(em, tile, here, rows, loop.carry, [level], 1, later)
        return loop.results


class ResultTiles:
    """Writes the output transform of a panel and a block of tiles, with the epilogue."""

    def __init__(self, em: Emitter, spec: WinogradSpec, goal: Goal, scratch: Value, limit: int) -> None:
        self.em, self.spec, self.goal, self.half = em, spec, goal, scratch
        self.vector, self.limit = em.lanes * FLOAT, limit

    def write(self, products: Value, first: Index, count: int, block: Index, vectors: int) -> None:
        """Turn products [point][vector][tile][lane] of tiles first..first+count into pixels."""
        em = self.em
        with em.loop(0, count) as tile:
            image, row, column = place_of(em, self.spec, tile.index + first)
            with em.loop(0, vectors) as v:
                at = em.offset(products, v.index * (count * self.vector) + tile.index * self.vector)
                self._into_half(at, vectors * count * self.vector)
                self._pixels((image, row, column), v.index + block)

    def _into_half(self, products: Value, point: int) -> None:
        em, size = self.em, self.spec.filtering.size
        with em.loop(0, size) as loop:
            at = em.offset(products, loop.index * point)
            line = [em.load(em.offset(at, n * size * point)) for n in range(size)]
            there = em.offset(self.half, loop.index * self.vector)
            for y, value in enumerate(from_points(line, self.spec.filtering)):
                em.store(value, em.offset(there, y * size * self.vector))

    def _pixels(self, place: tuple[Index, Index, Index], block: Index) -> None:
        em, spec, (image, row, column) = self.em, self.spec, place
        step, across = spec.filtering.outputs, spec.grid[1]
        rows: Index = step
        if spec.result.height % step:
            rows = em.smaller(spec.result.height - row * step, step)
        ragged = spec.result.width % step
        with em.loop(0, rows) as loop:
            at = em.offset(self.half, loop.index * (spec.filtering.size * self.vector))
            line = [em.load(em.offset(at, n * self.vector)) for n in range(spec.filtering.size)]
            pixels = from_points(line, spec.filtering)
            here = (image, row * step + loop.index, column * step)
            for columns, low, high in ((step, 0, across - bool(ragged)), (ragged, across - 1, across)):
                if columns and low < high:
                    with em.among(column, low, high, across):
                        write_back(em, self.goal, pixels[:columns], 1, columns, 1, here, block)
