"""Sums of 8-bit products become 8-bit results: round(f32(total · factor)) + zero in vectors."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import Any

from glowviz.compiler.backends.cpu.kernels.boxes import Unsupported
from glowviz.compiler.backends.cpu.kernels.cells import Cells, Tensor
from glowviz.compiler.backends.cpu.kernels.elements import convert
from glowviz.compiler.backends.cpu.values import Index, Value, vector_of
from glowviz.compiler.ops.quantize import INTEGER_RANGES

LANES = 16


@dataclass
class Requantizer:
    """The factor is left · right / result, in double precision.

    `left` belongs to rows and `right` to rows too (features of a convolution), or to columns where `by_columns`.
    """

    cells: Cells
    left: str
    right: str
    result: str
    zero: str
    by_columns: bool = False
    em: Any = field(init=False)

    def __post_init__(self) -> None:
        self.em = self.cells.em
        self._left, self._right, self._result, self._zero = (
            self.cells.tensor(name) for name in (self.left, self.right, self.result, self.zero)
        )
        self.along = self.by_columns and prod(self._right.dims) > 1
        if prod(self._result.dims) > 1 or prod(self._zero.dims) > 1:
            raise Unsupported("a scale of the result for each row")
        if self.along and prod(self._left.dims) > 1:
            raise Unsupported("scales along rows and columns")
        if self.cells.result.type.elem not in INTEGER_RANGES:
            raise Unsupported("small floats")

    def row_factor(self, row: Index) -> Value:
        """The factor of a row, f64; where factors go by columns, nothing that counts."""
        if self.along:
            return self.em.constant(0.0, "double")
        product = f64_of(self.em, self._left, row) * f64_of(self.em, self._right, row)
        return product / f64_of(self.em, self._result, 0)

    def start(self) -> None:
        """What all lanes share is read here: to be called before `lanes`, once for a tile."""
        em = self.em
        low, high = INTEGER_RANGES[self.cells.result.type.elem]
        zero = convert(em, self._zero.read([0] * len(self._zero.dims)), "i32")
        number = convert(em, zero, "float")
        self._low, self._high = (em.splat(em.constant(float(n), "float") - number, LANES) for n in (low, high))
        self._offset = em.splat(zero, LANES)

    def lanes(self, total: Value, factor: Value, column: Index, count: int) -> Value:
        """The results for 16 sums (i32); `factor` is where the row's factor lies, `column` the first column."""
        em, half = self.em, LANES // 2
        parts = []
        for n in range(2):
            part = em.convert("sitofp", em.shuffle(total, total, range(n * half, (n + 1) * half)), "double")
            parts.append(em.convert("fptrunc", part * self._factors(factor, column, count, n), "float"))
        scaled = em.m.round(em.shuffle(parts[0], parts[1], range(LANES)))
        held = em.select(scaled > self._low, scaled, self._low)
        held = em.select(held < self._high, held, self._high)
        return em.convert("trunc", em.convert("fptosi", held, "i32") + self._offset, "i8")

    def _factors(self, factor: Value, column: Index, count: int, n: int) -> Value:
        em, half = self.em, LANES // 2
        if not self.along:
            return em.load_splat(factor, half, "double")
        here = max(0, min(half, count - n * half))
        start = em.offset(self._right.pointer, (column + n * half) * 4)
        scales = em.load_lanes(start, em.first_lanes(here, half), vector_of("float", half))
        left = em.splat(f64_of(em, self._left, 0), half)
        return em.convert("fpext", scales, "double") * left / em.splat(f64_of(em, self._result, 0), half)


def f64_of(em: Any, tensor: Tensor, index: Index) -> Value:
    """Scale number `index`, or the only one, in double precision."""
    if len([n for n in tensor.dims if n != 1]) > 1:
        raise Unsupported("scales of several dims")
    return convert(em, tensor.read([index if n != 1 else 0 for n in tensor.dims]), "double")
