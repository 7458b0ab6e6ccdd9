"""Depthwise convolutions of bytes: a feature sees one plane, and a shuffle puts four taps of a row into every lane."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from glowviz.compiler.backends.cpu.kernels.boxes import Unsupported
from glowviz.compiler.backends.cpu.kernels.byte_products import BYTES, FLIP, LANES, WIDE, dot_bytes
from glowviz.compiler.backends.cpu.kernels.cells import Cells, Tensor
from glowviz.compiler.backends.cpu.kernels.requantize import Requantizer
from glowviz.compiler.backends.cpu.kernels.zero_points import Zero
from glowviz.compiler.backends.cpu.values import Index, Value, vector_of
from glowviz.compiler.ops.windows import Windows

WIDEST = 64  # bytes that one load brings


@dataclass(frozen=True)
class Four:
    """Up to four taps of one row of a kernel, from (row, column) on."""

    row: int
    column: int
    taps: int


@dataclass
class Planes:
    """Writes the kernel; `x` must hold its padding, `rows` and `columns` are the zero points of w and x."""

    cells: Cells
    windows: Windows
    x: Tensor
    w: Tensor
    rows: Zero
    columns: Zero
    requantizer: Requantizer | None
    bias: Tensor | None
    each_out: int

    def __post_init__(self) -> None:
        self.em: Any = self.cells.em
        rank = len(self.windows.kernel)
        lead = (1,) * (2 - rank)
        self.kernel, self.strides, self.dilations, self.out = (
            (*lead, *values) for values in (
                self.windows.kernel, self.windows.strides, self.windows.dilations, self.windows.out,
            )
        )  # fmt: skip
        self.row = self.x.dims[-1]
        self.lanes = min(LANES, self.out[1])
        self.fours = [
            Four(y, x, min(4, self.kernel[1] - x)) for y in range(self.kernel[0]) for x in range(0, self.kernel[1], 4)
        ]
        if self._touched(self.fours[0]) > WIDEST:
            raise Unsupported("large steps")
        self.cells.scratch = 64
        self.factor = self.em.offset(self.em.argument(len(self.cells.operands)), self.em.worker * 64)

    def _touched(self, four: Four) -> int:
        return (self.lanes - 1) * self.strides[1] + (four.taps - 1) * self.dilations[1] + 1

    def write(self) -> None:
        """One task for each feature of each image."""
        goal, features = self.cells.result_tensor(), self.w.dims[0]
        rest = [0] * len(self.windows.kernel)

        def body(at: list[Index]) -> None:
            image, feature = at
            plane = self.x.address([image, self.em.divide(feature, self.each_out), *rest])
            self._feature(feature, plane, goal.address([image, feature, *rest]))

        self.cells.over([self.x.dims[0], features], body, 1 << 20)

    def _feature(self, feature: Index, plane: Value, goal: Value) -> None:
        em, size = self.em, self.cells.result.type.dtype.itemsize
        words, total = self._words(feature)
        zero, column = self.rows.at(em, feature), self.columns.at(em, 0)
        addend = em.constant(0, "i32") if self.bias is None else self.bias.read([feature])
        addend = em.splat(addend - column * (total - zero * (self.kernel[0] * self.kernel[1])), LANES)
        if self.requantizer is not None:
            em.store(self.requantizer.row_factor(feature), self.factor)
            self.requantizer.start()
        with em.loop(0, self.out[0]) as rows, em.loop(0, -(-self.out[1] // self.lanes)) as parts:
            x = em.smaller(parts.index * self.lanes, self.out[1] - self.lanes)
            start = em.offset(plane, rows.index * (self.strides[0] * self.row) + x * self.strides[1])
            value = self._sum(start, words, zero) + addend
            if self.requantizer is not None:
                value = self.requantizer.lanes(value, self.factor, x, self.lanes)
            here = em.offset(goal, (rows.index * self.out[1] + x) * size)
            if self.lanes == LANES:
                em.store(value, here)
            else:
                em.store_lanes(value, here, em.first_lanes(self.lanes, LANES))

    def _words(self, feature: Index) -> tuple[list[Value], Value]:
        """The weights as signed bytes, four in every lane, and their sum."""
        em = self.em
        start = self.w.address([feature, *[0] * (len(self.w.dims) - 1)])
        words, total = [], em.constant(0, "i32")
        for four in self.fours:
            word = em.constant(0, "i32")
            for n in range(four.taps):
                byte = em.load(em.offset(start, four.row * self.kernel[1] + four.column + n), "i8")
                byte = byte ^ -FLIP if self.rows.shift else byte
                total = total + em.convert("sext", byte, "i32")
                word = word | (em.convert("zext", byte, "i32") << 8 * n)
            words.append(em.bits_as(em.splat(word, LANES), BYTES))
        return words, total

    def _sum(self, start: Value, words: Sequence[Value], zero: Value) -> Value:
        em = self.em
        total, seen = em.constant(0, WIDE), em.constant(0, WIDE)
        for four, word in zip(self.fours, words, strict=True):
            taps = self._spread(start, four)
            total = dot_bytes(em, total, taps, word)
            if self.rows.always != 0:
                ones = sum(1 << 8 * n for n in range(four.taps))
                seen = dot_bytes(em, seen, taps, em.bits_as(em.constant(ones, WIDE), BYTES))
        return total if self.rows.always == 0 else total - em.splat(zero, LANES) * seen

    def _spread(self, start: Value, four: Four) -> Value:
        """The taps of a row in every lane, as unsigned bytes; what lies behind them meets zeros."""
        em, touched = self.em, self._touched(four)
        size = next(n for n in (16, 32, 64) if n >= touched)
        here = em.offset(start, four.row * self.dilations[0] * self.row + four.column * self.dilations[1])
        found = em.load_lanes(here, em.first_lanes(touched, size), vector_of("i8", size))
        order = [
            min(lane * self.strides[1] + n * self.dilations[1], size - 1) for lane in range(LANES) for n in range(4)
        ]
        taps = em.shuffle(found, found, order)
        return taps ^ em.constant(-FLIP, BYTES) if self.columns.shift else taps
