"""Integers as rows of bits: logic on every bit, shifts, and the same bits read as another element kind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from glowviz.compiler.ops.base import Case, Elementwise, Op, Value, Work, case
from glowviz.compiler.ops.cases import floats, integers
from glowviz.compiler.types import ELEMENTS, INTEGERS, Type, TypeProblem


class Bitwise(Elementwise, abstract=True):
    """Integer operands of one element type."""

    inplace = ("x",)

    def element_operand(self, operands: list[Type]) -> Type:
        if operands[0].elem not in INTEGERS:
            raise TypeProblem(f"operands must be integers, got {operands[0]}")
        return super().element_operand(operands)

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield case(integers(rng, (2, 3), -99, 99), integers(rng, (3,), -99, 99))
        yield case(integers(rng, (5,), 0, 255, "u8"), integers(rng, (1,), 0, 255, "u8"))


class BitwiseAnd(Bitwise):
    """Bits that both have."""

    x: Value
    y: Value
    onnx = "BitwiseAnd"

    def scalar(self, m: Any, x: Any, y: Any) -> Any:
        return x & y


class BitwiseOr(Bitwise):
    """Bits that at least one has."""

    x: Value
    y: Value
    onnx = "BitwiseOr"

    def scalar(self, m: Any, x: Any, y: Any) -> Any:
        return x | y


class BitwiseXor(Bitwise):
    """Bits that exactly one has."""

    x: Value
    y: Value
    onnx = "BitwiseXor"

    def scalar(self, m: Any, x: Any, y: Any) -> Any:
        return x ^ y


class BitwiseNot(Bitwise):
    """Every bit turned."""

    x: Value
    onnx = "BitwiseNot"

    def scalar(self, m: Any, x: Any) -> Any:
        return ~x

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield case(integers(rng, (2, 3), -99, 99))
        yield case(integers(rng, (5,), 0, 255, "u8"))


class BitShift(Op):
    """Bits moved by y places; what leaves is lost, and a signed right shift brings in copies of the sign.

    "If Y is negative, or is greater than or equal to the number of bits of T, then the result is whatever the
    sign bit extension alone produces."
    """

    x: Value
    y: Value
    direction: str
    onnx = "BitShift"
    family = "elementwise"
    inplace = ("x",)

    def infer(self, x: Type, y: Type) -> Type:
        if self.direction not in ("LEFT", "RIGHT"):
            raise TypeProblem(f"direction must be LEFT or RIGHT, got {self.direction!r}")
        if x.elem not in INTEGERS or x.elem != y.elem:
            raise TypeProblem(f"operands must be integers of one type, got {x} and {y}")
        return Type(x.elem, np.broadcast_shapes(x.dims, y.dims))

    def may_overwrite(self, operands: tuple[Type, ...], results: tuple[Type, ...]) -> tuple[str, ...]:
        return (self.x,) if operands[0] == results[0] else ()

    def reference(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        bits = x.dtype.itemsize * 8
        within = (y >= 0) & (y < bits)
        by = np.where(within, y, 0).astype(x.dtype)
        if self.direction == "LEFT":
            return np.where(within, np.left_shift(x, by), 0).astype(x.dtype)
        sign = np.where(x < 0, -1, 0).astype(x.dtype)  # beside a u64, an i64 would make both of them floats
        return np.where(within, np.right_shift(x, by), sign)

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        for direction in ("LEFT", "RIGHT"):
            yield case(integers(rng, (2, 3), 0, 99, "u32"), integers(rng, (3,), 0, 31, "u32"), direction=direction)
            yield case(integers(rng, (4,), 0, 99, "u8"), integers(rng, (4,), 0, 7, "u8"), direction=direction)
            yield case(np.array([2**64 - 1, 1], np.uint64), np.array([3, 1], np.uint64), direction=direction)


class BitCast(Op):
    """The same bytes read as another element kind of the same size."""

    x: Value
    to: str
    onnx = "BitCast"
    family = "quant"

    def infer(self, x: Type) -> Type:
        if self.to not in ELEMENTS or ELEMENTS[self.to].itemsize != x.dtype.itemsize or "string" in (self.to, x.elem):
            raise TypeProblem(f"to={self.to!r} must have elements as large as those of x {x}")
        return Type(self.to, x.shape)

    def reference(self, x: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(x).reshape(-1).view(ELEMENTS[self.to]).reshape(x.shape)

    def work(self, operands: tuple[Type, ...], results: tuple[Type, ...]) -> Work:
        return Work(0, 2 * results[0].bytes)

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield case(floats(rng, (2, 3)), to="i32")
        yield case(integers(rng, (2, 3), -9, 9), to="f64")
