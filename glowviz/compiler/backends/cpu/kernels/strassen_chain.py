"""The products of Strassen's scheme, added up: seven on the innermost level, sets of blocks on those above."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from glowviz.compiler.backends.cpu.emitter import Emitter
from glowviz.compiler.backends.cpu.kernels.geometry import FLOAT, Cut
from glowviz.compiler.backends.cpu.kernels.strassen_scheme import BLOCKS, GOALS, PRODUCTS
from glowviz.compiler.backends.cpu.kernels.tile import Ahead, Level, Tile, multiply
from glowviz.compiler.backends.cpu.values import Index, Value


@dataclass(frozen=True)
class Task:
    """The tiles of rows of one task: `first` to `last`."""

    cut: Cut
    first: Index
    last: Index

    def kinds(self, em: Emitter) -> Iterator[tuple[int, Index, Index]]:
        """(rows, tile, its number in the task) for long and for short tiles; writes the loops."""
        start = 0
        for rows, count in self.cut.sizes.items():
            with em.loop(em.larger(self.first, start), em.smaller(self.last, start + count)) as loop:
                yield rows, loop.index, loop.index - self.first
            start += count

    def row(self, em: Emitter, tile: Index) -> Index:
        """The first row of a tile, in its block."""
        return tile * self.cut.short + em.smaller(tile, self.cut.long_tiles)

    def numbers(self, em: Emitter) -> Iterator[Index]:
        """The number in the task of every tile; writes the loop."""
        with em.loop(0, em.index(self.last) - self.first) as loop:
            yield loop.index


@dataclass(frozen=True)
class Chains:
    """All products of a task's tiles over `count` turns of the reduction, added to their blocks of the result.

    `weights`: vectors of a panel in use, bytes of a turn. `sums`: bytes from row to row and from product to product
    of the sums of blocks of A. A tile of one block takes `tile_bytes`, all of a tile's blocks `stride`. With
    `sharers` tiles in a task each of them asks for its share of the next chain's weights (0: nobody asks).
    """

    em: Emitter
    task: Task
    weights: tuple[int, int]
    sums: tuple[int, int]
    count: int
    tile_bytes: int
    stride: int
    sharers: int

    def add(self, level: int, goal: Value, source: Value, weights: Value, spare: Value) -> None:
        """Each tile's blocks += what the scheme makes of the products; `spare` is zero before and after.

        The weights of one chain of products serve all tiles before the next ones are needed.
        """
        em, step = self.em, PRODUCTS ** (level - 1)
        if level == 1:
            self._add_chains(goal, source, weights)
            return
        size = BLOCKS ** (level - 1) * self.tile_bytes
        into = em.table([sum(len(goals) for goals in GOALS[:t]) for t in range(PRODUCTS + 1)])
        blocks = em.table([block * size for goals in GOALS for block, _ in goals])
        signs = em.table([sign for goals in GOALS for _, sign in goals])
        with em.loop(0, PRODUCTS) as turn:
            lower = em.offset(source, turn.index * (step * self.sums[1]))
            panel = em.offset(weights, turn.index * (step * self.count * self.weights[1]))
            self.add(level - 1, spare, lower, panel, em.offset(spare, size))
            with em.loop(self._entry(into, turn.index), self._entry(into, turn.index + 1)) as entry:
                sign = em.splat(em.convert("sitofp", self._entry(signs, entry.index), "float"))
                self._add_sets(em.offset(goal, self._entry(blocks, entry.index)), spare, size, sign)
            for number in self.task.numbers(em):
                clear(em, em.offset(spare, number * self.stride), size)

    def _entry(self, table: Value, number: Index) -> Value:
        return self.em.load(self.em.offset(table, number * 8), "i64")

    def _add_sets(self, goal: Value, source: Value, size: int, sign: Value) -> None:
        em, line = self.em, self.em.lanes * FLOAT
        for number in self.task.numbers(em):
            ends = [em.offset(pointer, number * self.stride) for pointer in (goal, source)]
            with em.loop(0, size, BLOCKS * line) as loop:
                for n in range(BLOCKS):
                    here, there = (em.offset(pointer, loop.index + n * line) for pointer in ends)
                    em.store(em.fma(em.load(there), sign, em.load(here)), here)

    def _add_chains(self, goal: Value, source: Value, weights: Value) -> None:
        em, size = self.em, self.count * self.weights[1]
        share = -(-size // self.sharers) if self.sharers else 0
        for rows, tile, number in self.task.kinds(em):
            here = em.offset(source, self.task.row(em, tile) * self.sums[0])
            later = em.offset(weights, PRODUCTS * (number * share + size)) if share else None
            ahead = None if later is None else Ahead(later, -(-share // self.count))
            self._add_chain(em.offset(goal, number * self.stride), here, weights, rows, ahead)

    def _add_chain(self, goal: Value, source: Value, weights: Value, rows: int, ahead: Ahead | None) -> None:
        em = self.em
        shape = Tile([y * self.sums[0] for y in range(rows)], self.weights[0])
        blocks = [em.offset(goal, block * self.tile_bytes) for block in range(BLOCKS)]
        level = Level(0, self.count, FLOAT, self.weights[1])
        for number, goals in enumerate(GOALS):
            here = em.offset(weights, number * self.count * self.weights[1])
            factor = em.offset(source, number * self.sums[1])
            later = None if ahead is None else ahead.behind(number * self.count)
            single = len(goals) == 1  # the block itself can grow
            places = list(self._places(blocks[goals[0][0]], shape.count))
            before = [em.load(place) if single else em.zeros() for place in places]
            sums = multiply(em, shape, factor, here, before, [level], 1, later)
            for block, sign in goals:
                for value, place in zip(sums, self._places(blocks[block], shape.count), strict=True):
                    grown = value if single else em.load(place) + value if sign > 0 else em.load(place) - value
                    em.store(grown, place)

    def _places(self, pointer: Value, count: int) -> Iterator[Value]:
        return (self.em.offset(pointer, n * self.em.lanes * FLOAT) for n in range(count))


def clear(em: Emitter, pointer: Value, size: Index) -> None:
    """Zeros for `size` bytes, a multiple of four vectors."""
    line = em.lanes * FLOAT
    with em.loop(0, size, BLOCKS * line) as loop:
        for n in range(BLOCKS):
            em.store(em.zeros(), em.offset(pointer, loop.index + n * line))
