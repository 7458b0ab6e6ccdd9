"""Dot products of rows in memory with a few vectors: every number that is loaded serves all that need it."""

from __future__ import annotations

from collections.abc import Sequence

from glowviz.compiler.backends.cpu.emitter import Emitter
from glowviz.compiler.backends.cpu.values import Value, size_of, vector_of


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
        found = [self.joined(total) for total in sums]
        return [found[r * len(self.vectors) : (r + 1) * len(self.vectors)] for r in range(len(rows))]

    def _more(self, rows: Sequence[Value], byte: Value, sums: Sequence[Value], mask: Value | None) -> list[Value]:
        left = [self._load(row, byte, mask) for row in rows]
        right = [self._load(vector, byte, mask) for vector in self.vectors]
        pairs = ((x, y) for x in left for y in right)
        return [self.em.fma(x, y, total) for (x, y), total in zip(pairs, sums, strict=True)]

    def _load(self, row: Value, byte: Value, mask: Value | None) -> Value:
        here = self.em.offset(row, byte)
        return self.em.load(here, self.wide) if mask is None else self.em.load_lanes(here, mask, self.wide)

    def joined(self, total: Value) -> Value:
        """The sum of all lanes, halves upon halves."""
        em, width = self.em, self.em.lanes
        while width > 1:
            width //= 2
            low, high = (
                em.shuffle(total, total, range(s, s + width)) if width > 1 else em.lane(total, s) for s in (0, width)
            )
            total = low + high
        return total
