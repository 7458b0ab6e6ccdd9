"""A row is ranked by 64-bit keys, value before index: one comparison tells which of two elements comes first."""

from __future__ import annotations

from typing import Any

from glowviz.compiler.backends.cpu.kernels.cells import Cells, Tensor
from glowviz.compiler.backends.cpu.kernels.elements import fetch
from glowviz.compiler.backends.cpu.kernels.nest import Lanes
from glowviz.compiler.backends.cpu.values import Index, Value, is_float

SMALL = ("float", "i8", "i16", "i32")
"""Kinds whose values fit the upper half of a key."""
LAST, LOW = (1 << 63) - 1, (1 << 32) - 1
MOST = 1 << 16
"""Keys of a heap: it lies in the worker's scratch area."""


class RankedRow:
    """The row of x along `axis`; its heap has the worst of the best `count` keys on top and LAST behind them."""

    def __init__(self, cells: Cells, x: Tensor, axis: int, count: int, largest: bool) -> None:
        self.cells, self.x, self.axis, self.count, self.largest = cells, x, axis, count, largest
        self.em: Any = cells.em
        self.size = x.dims[axis]
        step = x.buffer.type.dtype.itemsize
        side_by_side = x.strides.tile[axis] == 1 and x.strides.outer[axis] == step
        self.width = 2 * cells.em.lanes if side_by_side else 1
        cells.scratch = -(-8 * (2 * count + 2) // 64) * 64
        self.heap = self.em.offset(self.em.argument(len(cells.operands)), self.em.worker * cells.scratch)

    @staticmethod
    def fits(x: Tensor, axis: int, count: int) -> bool:
        """Whether values and indices fit a key."""
        return x.kind in SMALL and x.dims[axis] <= LOW and count <= MOST

    def rank(self, rest: list[Index], goals: tuple[Tensor, Tensor]) -> None:
        """The best `count` elements of one row, best first, into values and places."""
        em, count = self.em, self.count
        with em.loop(0, count) as loop:
            em.store(self._key(rest, loop.index), self._slot(loop.index))
        with em.loop(count, 2 * count + 2) as loop:
            em.store(em.constant(LAST, "i64"), self._slot(loop.index))
        with em.loop(0, count // 2) as loop:
            start = (count // 2 - 1) - em.index(loop.index)
            self._sink(start, em.load(self._slot(start), "i64"))
        self._enter_all(rest)
        with em.loop(0, count) as loop:
            last = (count - 1) - em.index(loop.index)
            self._show(rest, goals, last, em.load(self.heap, "i64"))
            moved = em.load(self._slot(last), "i64")
            em.store(em.constant(LAST, "i64"), self._slot(last))
            self._sink(em.index(0), em.select(last == 0, moved.match(LAST), moved))

    # -- keys -------------------------------------------------------------------------------------
    def _at(self, rest: list[Index], n: Index) -> list[Index]:
        return [*rest[: self.axis], n, *rest[self.axis :]]

    def _key(self, rest: list[Index], n: Index) -> Value:
        value = self.em.convert("sext", self._ordered(self.x.read(self._at(rest, n))), "i64")
        return (value << 32) | (LOW - self.em.index(n))

    def _ordered(self, value: Value) -> Value:
        """Signed integers in the order of the values: better ones are greater; NaN counts as the largest number."""
        em = self.em
        if is_float(value.type):
            bits = em.convert("bitcast", value + 0.0, "i32")  # both zeros are one number
            found = bits ^ ((bits >> 31) & (LAST >> 32))
            found = em.select(em.unordered(value), found.match(LAST >> 32), found)
        else:
            found = self._widened(value)
        return found if self.largest else ~found

    def _widened(self, value: Value) -> Value:
        if value.type.rstrip(">").endswith("i32"):
            flipped = value ^ (-(1 << 31)) if value.unsigned else value
            return Value(self.em, flipped.text, flipped.type)
        return self.em.convert("zext" if value.unsigned else "sext", value, "i32")

    # -- the heap ---------------------------------------------------------------------------------
    def _slot(self, n: Index) -> Value:
        return self.em.offset(self.heap, n * 8)

    def _sink(self, start: Value, key: Value) -> None:
        """The key, put at `start`, goes down until no child is smaller."""
        em = self.em
        with em.repeat([start, em.constant(True, "i1")]) as loop:
            at = loop.carry[0]
            left = at * 2 + 1
            one, other = em.load(self._slot(left), "i64"), em.load(self._slot(left + 1), "i64")
            second = other < one
            small = em.select(second, other, one)
            going = small < key
            with em.when(going):
                em.store(small, self._slot(at))
            loop.next = [em.select(going, em.select(second, left + 1, left), at), going]
        em.store(key, self._slot(loop.results[0]))

    def _enter_all(self, rest: list[Index]) -> None:
        """Every element behind the first ones that is better than the root takes its place."""
        em, start = self.em, self.count
        whole = (self.size - start) // self.width * self.width if self.width > 1 else 0
        if whole:
            with em.loop(start, start + whole, self.width) as loop:
                self._enter_some(rest, loop.index)
        if start + whole < self.size:
            with em.loop(start + whole, self.size) as loop:
                self._enter(rest, loop.index)

    def _enter_some(self, rest: list[Index], first: Index) -> None:
        """Of some neighbours only those are looked at that are better than the root was before them."""
        em = self.em
        lanes = Lanes([self.x.address(self._at(rest, first))], self.width, None, (self.x.buffer.type.dtype.itemsize,))
        found = self._ordered(fetch(em, self.x.elem, lanes, 0))
        root = em.convert("trunc", em.load(self.heap, "i64") >> 32, "i32")
        better = em.bits_as(found > em.splat(root, self.width), f"i{self.width}")
        with em.when(better != 0), em.repeat([better, em.constant(True, "i1")]) as loop:
            self._enter(rest, em.index(first) + em.convert("zext", _first_bit(em, loop.carry[0]), "i64"))
            more = loop.carry[0] & (loop.carry[0] - 1)
            loop.next = [more, more != 0]

    def _enter(self, rest: list[Index], n: Index) -> None:
        key = self._key(rest, n)
        with self.em.when(key > self.em.load(self.heap, "i64")):
            self._sink(self.em.index(0), key)

    def _show(self, rest: list[Index], goals: tuple[Tensor, Tensor], n: Index, key: Value) -> None:
        place = LOW - (key & LOW)
        goals[0].put_bits(self._at(rest, n), self.x.bits(self._at(rest, place)))
        goals[1].write(self._at(rest, n), place)


def _first_bit(em: Any, word: Value) -> Value:
    name = f"llvm.cttz.{word.type}"
    em.declarations[name] = f"declare {word.type} @{name}({word.type}, i1)"
    return em.value(word.type, f"call {word.type} @{name}({word!r}, i1 true)")
