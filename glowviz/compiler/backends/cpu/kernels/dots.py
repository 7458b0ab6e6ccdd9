"""Dot products of rows in memory with a few vectors: every number that is loaded serves all that need it."""

from __future__ import annotations

from collections.abc import Sequence

from glowviz.compiler.backends.cpu.emitter import Emitter
from glowviz.compiler.backends.cpu.values import Value, lanes_of, size_of, vector_of


class Dots:
    """Sums of `count` products of floats of a kind; the same order of additions for each pair."""

    def __init__(self, em: Emitter, kind: str, count: int, vectors: Sequence[Value]) -> None:
        self.em, self.kind, self.count, self.vectors = em, kind, count, vectors
        self.size, self.wide = size_of(kind), vector_of(kind, em.lanes)

    def of(self, rows: Sequence[Value]) -> list[list[Value]]:
        """For every row (an address) its sums with all vectors, as scalars."""
        em, width = self.em, self.em.lanes
        sums = [em.constant(0.0, self.wide) for _ in range(len(rows) * len(self.vectors))]
        whole = self.count // width * width
        if whole:
            with em.loop(0, whole, width, carry=sums) as loop:
                loop.next = self._more(rows, em.index(loop.index) * self.size, loop.carry, None)
            sums = loop.results
        if whole < self.count:
            mask = em.first_lanes(self.count - whole, width)
            sums = self._more(rows, em.constant(whole * self.size, "i64"), sums, mask)
        found = joined(em, sums)
        return [found[r * len(self.vectors) : (r + 1) * len(self.vectors)] for r in range(len(rows))]

    def _more(self, rows: Sequence[Value], byte: Value, sums: Sequence[Value], mask: Value | None) -> list[Value]:
        left = [self._load(row, byte, mask) for row in rows]
        right = [self._load(vector, byte, mask) for vector in self.vectors]
        pairs = ((x, y) for x in left for y in right)
        return [self.em.fma(x, y, total) for (x, y), total in zip(pairs, sums, strict=True)]

    def _load(self, row: Value, byte: Value, mask: Value | None) -> Value:
        here = self.em.offset(row, byte)
        return self.em.load(here, self.wide) if mask is None else self.em.load_lanes(here, mask, self.wide)


def joined(em: Emitter, totals: Sequence[Value]) -> list[Value]:
    """The sum of all lanes of each vector, halves upon halves; full vectors are added up together."""
    found: list[Value] = []
    width = lanes_of(totals[0].type)
    for first in range(0, len(totals), width):
        found += _joined(em, list(totals[first : first + width]), width)
    return found


def _joined(em: Emitter, totals: list[Value], length: int) -> list[Value]:
    """Each vector holds sums in neighbouring lanes, `length` for each; two vectors become one until that is 1."""
    count = len(totals)
    held = 1  # sums in a vector
    while length > 1:
        length //= 2
        lows = [lane for s in range(held) for lane in range(2 * length * s, 2 * length * s + length)]
        if len(totals) > 1:
            totals = [*totals, totals[-1]] if len(totals) % 2 else totals
            wide = lanes_of(totals[0].type)
            lows += [wide + lane for lane in lows]
            pairs = list(zip(totals[::2], totals[1::2], strict=True))
            held *= 2
        else:
            pairs = [(totals[0], totals[0])]
        highs = [lane + length for lane in lows]
        totals = [_picked(em, *pair, lows) + _picked(em, *pair, highs) for pair in pairs]
    last = totals[0]
    return [last] if lanes_of(last.type) == 1 else [em.lane(last, n) for n in range(count)]


def _picked(em: Emitter, one: Value, other: Value, lanes: list[int]) -> Value:
    return em.lane(one, lanes[0]) if len(lanes) == 1 else em.shuffle(one, other, lanes)
