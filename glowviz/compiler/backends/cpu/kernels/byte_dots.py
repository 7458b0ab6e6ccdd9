"""Dot products of rows of bytes in memory with columns of 16-bit numbers, summed up in i32 two products at a time."""

from __future__ import annotations

from collections.abc import Sequence

from glowviz.compiler.backends.cpu.emitter import Emitter
from glowviz.compiler.backends.cpu.values import Value, vector_of

INTRINSICS = {16: "llvm.x86.avx512.pmaddw.d.512", 8: "llvm.x86.avx2.pmadd.wd", 4: "llvm.x86.sse2.pmadd.wd"}
"""By lanes of the sums: x86 multiplies pairs of 16-bit numbers and adds the two products in one instruction."""


def padded(count: int, em: Emitter) -> int:
    """How many numbers a column of `count` takes: whole vectors."""
    return -(-count // (2 * em.lanes)) * 2 * em.lanes


class ByteDots:
    """Sums of `count` products; columns are i16, `padded` with zeros, and hold numbers of at most 9 bits."""

    def __init__(self, em: Emitter, count: int, columns: Sequence[Value]) -> None:
        self.em, self.count, self.columns = em, count, columns
        self.width = 2 * em.lanes

    def of(self, rows: Sequence[Value], unsigned: bool, zeros: Sequence[Value | None]) -> list[list[Value]]:
        """For every row of bytes (an address), each minus the row's zero point (i16), its sums with all columns."""
        em, whole = self.em, self.count // self.width * self.width
        wide = vector_of("i32", em.lanes)
        sums = [em.constant(0, wide) for _ in range(len(rows) * len(self.columns))]
        if whole:
            with em.loop(0, whole, self.width, carry=sums) as loop:
                loop.next = self._more(rows, unsigned, zeros, em.index(loop.index), loop.carry, None)
            sums = loop.results
        if whole < self.count:
            mask = em.first_lanes(self.count - whole, self.width)
            sums = self._more(rows, unsigned, zeros, em.constant(whole, "i64"), sums, mask)
        found = [em.reduce_add(total) for total in sums]
        return [found[r * len(self.columns) : (r + 1) * len(self.columns)] for r in range(len(rows))]

    def _more(
        self, rows: Sequence[Value], unsigned: bool, zeros: Sequence[Value | None], at: Value,
        sums: Sequence[Value], mask: Value | None,
    ) -> list[Value]:  # fmt: skip
        em = self.em
        left = [self._row(row, unsigned, zero, at, mask) for row, zero in zip(rows, zeros, strict=True)]
        right = [em.load(em.offset(column, at * 2), vector_of("i16", self.width)) for column in self.columns]
        pairs = ((x, y) for x in left for y in right)
        return [total + self._pairs(x, y) for (x, y), total in zip(pairs, sums, strict=True)]

    def _row(self, row: Value, unsigned: bool, zero: Value | None, at: Value, mask: Value | None) -> Value:
        em, kind = self.em, vector_of("i8", self.width)
        here = em.offset(row, at)
        found = em.load(here, kind) if mask is None else em.load_lanes(here, mask, kind)
        wide = em.convert("zext" if unsigned else "sext", found, "i16")
        return wide if zero is None else wide - em.splat(zero, self.width)

    def _pairs(self, x: Value, y: Value) -> Value:
        """x[2n] · y[2n] + x[2n + 1] · y[2n + 1]."""
        em = self.em
        name = INTRINSICS.get(em.lanes)
        if name is not None and em.target.triple.startswith("x86_64"):
            result = vector_of("i32", em.lanes)
            em.declarations[name] = f"declare {result} @{name}({x.type}, {x.type})"
            return em.value(result, f"call {result} @{name}({x!r}, {y!r})")
        halves = [
            [em.convert("sext", em.shuffle(v, v, range(s, self.width, 2)), "i32") for v in (x, y)] for s in (0, 1)
        ]
        return halves[0][0] * halves[0][1] + halves[1][0] * halves[1][1]
