"""The k best elements of every row in order, kept in a heap of keys, or of pairs inside the results themselves."""

from __future__ import annotations

from collections.abc import Callable

from glowviz.compiler.backends.cpu.kernels.boxes import Unsupported
from glowviz.compiler.backends.cpu.kernels.cells import Cells, Tensor
from glowviz.compiler.backends.cpu.kernels.draft import supported
from glowviz.compiler.backends.cpu.kernels.ranked_keys import RankedRow
from glowviz.compiler.backends.cpu.registry import KernelCode, kernel
from glowviz.compiler.backends.cpu.values import Index, Value, is_float
from glowviz.compiler.program import Instr, Program
from glowviz.compiler.target import Target


@kernel("top_k")
@supported
def top_k(instr: Instr, program: Program, target: Target) -> KernelCode:
    """The first k elements make a heap with the worst on top; each better one replaces it; then the heap is emptied.

    Elements are ordered by value and, where equal, by index, so there is only one right result. NaN counts as the
    largest number, as in numpy.
    """
    op = instr.op
    if len(instr.outs) != 2:
        raise Unsupported("one result alone")
    cells = Cells(instr, program, target, [op.x])
    x, values, places = cells.tensor(op.x), cells.result_tensor(0), cells.result_tensor(1)
    axis = op.axis % len(x.dims)
    count, size = values.dims[axis], x.dims[axis]
    kept = [n for a, n in enumerate(x.dims) if a != axis]

    if count and RankedRow.fits(x, axis, count):
        ranked = RankedRow(cells, x, axis, count, bool(op.largest))
        cells.over(kept, lambda rest: ranked.rank(rest, (values, places)), size)
        return cells.finish(f"a heap of {count} keys for each row", axis=axis, k=count)

    def row(rest: list[Index]) -> None:
        heap = _Heap(cells, (values, places), lambda n: [*rest[:axis], n, *rest[axis:]], op.largest)
        heap.fill(lambda n: x.read([*rest[:axis], n, *rest[axis:]]), count, size)
        heap.empty(count)

    if count:
        cells.over(kept, row, size)
    return cells.finish(f"a heap of {count} for each row", axis=axis, k=count)


class _Heap:
    """A binary heap of (value, index) pairs inside two tensors; the root is the one that everything else beats."""

    def __init__(
        self, cells: Cells, tensors: tuple[Tensor, Tensor], at: Callable[[Index], list[Index]], largest: bool
    ) -> None:
        self.cells, self.em, self.at, self.largest = cells, cells.em, at, largest
        self.values, self.places = tensors

    def fill(self, source: Callable[[Index], Value], count: int, size: int) -> None:
        """The best `count` of source(0) … source(size - 1)."""
        em = self.em
        with em.loop(0, count) as loop:
            self._write(loop.index, source(loop.index), em.index(loop.index))
        with em.loop(0, count // 2) as loop:
            start = (count // 2 - 1) - em.index(loop.index)
            self._sink(start, *self._read(start), em.index(count))
        if size > count:
            with em.loop(count, size) as loop:
                new, place = source(loop.index), em.index(loop.index)
                with em.when(self._better(new, place, *self._read(0))):
                    self._sink(em.index(0), new, place, em.index(count))

    def empty(self, count: int) -> None:
        """Heap sort: the worst goes to the end, again and again."""
        em = self.em
        if count < 2:
            return
        with em.loop(1, count) as loop:
            last = count - em.index(loop.index)
            moved = self._read(last)
            self._write(last, *self._read(0))
            self._sink(em.index(0), *moved, last)

    def _read(self, at: Index) -> tuple[Value, Value]:
        return self.values.read(self.at(at)), self.places.read(self.at(at))

    def _write(self, at: Index, value: Value, place: Value) -> None:
        self.values.write(self.at(at), value)
        self.places.write(self.at(at), place)

    def _better(self, value: Value, place: Value, other: Value, other_place: Value) -> Value:
        """Whether the first pair comes before the second in the result."""
        wins = value > other if self.largest else value < other
        equal = value == other
        if is_float(value.type):
            nan, other_nan = self.em.unordered(value), self.em.unordered(other)
            wins = wins | (nan & ~other_nan if self.largest else other_nan & ~nan)
            equal = equal | (nan & other_nan)
        return wins | (equal & (place < other_place))

    def _sink(self, start: Value, value: Value, place: Value, count: Value) -> None:
        """The pair, put at `start` of a heap of `count`, goes down until no child is worse."""
        em = self.em
        with em.repeat([start, em.constant(True, "i1")]) as loop:
            at = loop.carry[0]
            left = at * 2 + 1
            right = left + 1
            child = em.smaller(left, count - 1)
            other = em.smaller(right, count - 1)
            pair, other_pair = self._read(child), self._read(other)
            worse = self._better(*pair, *other_pair)
            child = em.select(worse, em.index(other), em.index(child))
            best = tuple(em.select(worse, b, a) for a, b in zip(pair, other_pair, strict=True))
            # what stands above must be worse than its children
            going = (left < count) & self._better(value, place, *best)
            with em.when(going):
                self._write(at, *best)
            loop.next = [em.select(going, child, at), going]
        self._write(loop.results[0], value, place)
