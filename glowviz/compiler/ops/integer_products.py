"""Products of integers summed up in i32, and the quantized forms that scale such sums back."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from glowviz.compiler.ops.base import Builder, Case, Op, Value, Work, case
from glowviz.compiler.ops.cases import floats, integers, positive
from glowviz.compiler.ops.conv import Conv
from glowviz.compiler.ops.elementwise import Add
from glowviz.compiler.ops.quantize import INTEGER_RANGES, quantized
from glowviz.compiler.types import Type, TypeProblem, of_array

EIGHT = ("i8", "u8")


def check_eight(**operands: Type) -> None:
    """Refuse what is not of 8 bits."""
    for name, operand in operands.items():
        if operand.elem not in EIGHT:
            raise TypeProblem(f"{name} must be i8 or u8, got {operand}")


def moved(x: np.ndarray, zero: np.ndarray | None, axis: int | None = None) -> np.ndarray:
    """x - zero as doubles, exact for sums of 8-bit products; a 1-D zero point stands along the axis."""
    if zero is None:
        return x.astype(np.float64)
    if zero.ndim == 1 and zero.size > 1 and axis is not None:
        zero = zero.reshape([-1 if i == axis % x.ndim else 1 for i in range(x.ndim)])
    elif zero.size == 1:
        zero = zero.reshape(())
    return x.astype(np.float64) - zero.astype(np.float64)


EXACT_TERMS = (1 << 24) // (255 * 255)
"""Products of 8-bit numbers whose sum f32 holds exactly."""


def _moved(b: Builder, x: str, zero: str | None, column: bool) -> str:
    """x - zero in f32; a 1-D zero point as a column."""
    value = b.cast(x, to="f32")
    if zero is None:
        return value
    shift = b.cast(zero, to="f32")
    if b.type(zero).rank == 1 and column and b.type(zero).count > 1:
        shift = b.reshape(shift, b.const(np.array([-1, 1], np.int64), name="shape"))
    return b.sub(value, shift)


def _cut(b: Builder, x: str, axis: int, start: int, depth: int) -> str:
    """A slice of EXACT_TERMS along an axis."""
    if depth <= EXACT_TERMS:
        return x
    end = min(start + EXACT_TERMS, depth)
    places = (b.const(np.array([n], np.int64), name="place") for n in (start, end, axis))
    return b.slice(x, *places)


class MatMulInteger(Op):
    """(a - a_zero) · (b - b_zero) in i32; a 1-D a_zero stands for the rows of a, a 1-D b_zero for the columns of b."""

    a: Value
    b: Value
    a_zero: Value | None = None
    b_zero: Value | None = None
    onnx = "MatMulInteger"
    family = "linear"

    def infer(self, a: Type, b: Type, a_zero: Type | None, b_zero: Type | None) -> Type:
        check_eight(a=a, b=b)
        return Type("i32", product_shape(a, b))

    def reference(
        self, a: np.ndarray, b: np.ndarray, a_zero: np.ndarray | None, b_zero: np.ndarray | None
    ) -> np.ndarray:
        return np.matmul(moved(a, a_zero, -2), moved(b, b_zero, -1)).astype(np.int64).astype(np.int32)

    def lower(self, b: Builder) -> str | None:
        """MatMuls of f32 over so few columns that their sums are exact (below 2^24), added up in i32."""
        if b.type(self.a).rank < 2 or b.type(self.b).rank < 2:
            return None
        left = _moved(b, self.a, self.a_zero, column=True)
        right = _moved(b, self.b, self.b_zero, column=False)
        depth = b.type(self.a).dims[-1]
        parts = [
            b.cast(b.mat_mul(_cut(b, left, -1, k, depth), _cut(b, right, -2, k, depth)), to="i32")
            for k in range(0, max(depth, 1), EXACT_TERMS)
        ]
        total = parts[0]
        for part in parts[1:]:
            total = b.one(Add(total, part))
        return total

    def work(self, operands: tuple[Type, ...], results: tuple[Type, ...]) -> Work:
        return Work(2 * results[0].count * operands[0].dims[-1], sum(t.bytes for t in (*operands, *results)))

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        a, b = integers(rng, (4, 3), 0, 255, "u8"), integers(rng, (3, 2), 0, 255, "u8")
        yield case(a, b)
        yield case(a, b, np.array(12, np.uint8), np.array(3, np.uint8))
        yield case(integers(rng, (2, 4, 300), 0, 255, "u8"), integers(rng, (300, 5), -127, 127, "i8"))
        yield case(a, b.astype(np.int8), np.array(12, np.uint8), np.array([3, -1], np.int8))


def product_shape(a: Type, b: Type) -> tuple[int, ...]:
    """The shape of a matrix product, as numpy's matmul has it."""
    left, right = np.broadcast_to(np.int8(0), a.dims), np.broadcast_to(np.int8(0), b.dims)
    if not a.rank or not b.rank or left.shape[-1] != right.shape[-2 if b.rank > 1 else -1]:
        raise TypeProblem(f"a {a} and b {b} do not fit for a product")
    rows = a.dims[-2:-1] if a.rank > 1 else ()
    columns = b.dims[-1:] if b.rank > 1 else ()
    try:
        return (*np.broadcast_shapes(a.dims[:-2], b.dims[:-2]), *rows, *columns)
    except ValueError:
        raise TypeProblem(f"a {a} and b {b} do not fit for a product") from None


class ConvInteger(Op):
    """The convolution of x - x_zero with w - w_zero in i32."""

    x: Value
    w: Value
    x_zero: Value | None = None
    w_zero: Value | None = None
    strides: tuple[int, ...] = ()
    pads: tuple[int, ...] = ()
    dilations: tuple[int, ...] = ()
    group: int = 1
    auto_pad: str = "NOTSET"
    onnx = "ConvInteger"
    family = "linear"

    def _conv(self) -> Conv:
        return Conv("x", "w", None, self.strides, self.pads, self.dilations, self.group, self.auto_pad)

    def infer(self, x: Type, w: Type, x_zero: Type | None, w_zero: Type | None) -> Type:
        check_eight(x=x, w=w)
        return Type("i32", self._conv().infer(x.with_elem("f64"), w.with_elem("f64"), None).shape)

    def reference(
        self, x: np.ndarray, w: np.ndarray, x_zero: np.ndarray | None, w_zero: np.ndarray | None
    ) -> np.ndarray:
        return self._conv().reference(moved(x, x_zero), moved(w, w_zero, 0), None).astype(np.int64).astype(np.int32)

    def work(self, operands: tuple[Type, ...], results: tuple[Type, ...]) -> Work:
        taps = int(np.prod(operands[1].dims[1:]))
        return Work(2 * results[0].count * taps, sum(t.bytes for t in (*operands, *results)))

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        x, w = integers(rng, (1, 2, 5, 5), 0, 255, "u8"), integers(rng, (3, 2, 3, 3), 0, 255, "u8")
        yield case(x, w, np.array(7, np.uint8))
        yield case(x, w, np.array(7, np.uint8), np.array(3, np.uint8), pads=(1, 1, 1, 1), strides=(2, 2))


class QLinearMatMul(Op):
    """The product of two quantized matrices, quantized again."""

    a: Value
    a_scale: Value
    a_zero: Value
    b: Value
    b_scale: Value
    b_zero: Value
    y_scale: Value
    y_zero: Value
    onnx = "QLinearMatMul"
    family = "linear"

    def infer(self, a: Type, a_scale: Type, a_zero: Type, b: Type, *rest: Type) -> Type:
        if a.elem not in INTEGER_RANGES and not a.elem.startswith("f8"):
            raise TypeProblem(f"a must be i8 or u8, got {a}")
        return Type(rest[3].elem, product_shape(a, b))

    def reference(
        self, a: np.ndarray, a_scale: np.ndarray, a_zero: np.ndarray, b: np.ndarray, b_scale: np.ndarray,
        b_zero: np.ndarray, y_scale: np.ndarray, y_zero: np.ndarray,
    ) -> np.ndarray:
        total = np.matmul(moved(a, a_zero, -2), moved(b, b_zero, -1))
        factor = _along(a_scale, a.ndim, -2) * _along(b_scale, b.ndim, -1) / _along(y_scale, total.ndim, -2)
        zero = _along(y_zero, total.ndim, -2)
        return quantized((total * factor).astype(np.float32), of_array(y_zero).elem, zero)

    def work(self, operands: tuple[Type, ...], results: tuple[Type, ...]) -> Work:
        return Work(2 * results[0].count * operands[0].dims[-1], sum(t.bytes for t in (*operands, *results)))

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        a, b = integers(rng, (4, 3), 0, 255, "u8"), integers(rng, (3, 2), 0, 255, "u8")
        one, seven = np.array(0.1, np.float32), np.array(7, np.uint8)
        yield case(a, one, seven, b, one, seven, np.array(9.3, np.float32), seven)


def _along(per: np.ndarray, rank: int, axis: int) -> np.ndarray:
    """One number, or numbers along an axis counted from the end."""
    wide = per.astype(np.float64)
    if wide.size == 1:
        return wide.reshape(())
    return wide.reshape(-1, 1) if wide.ndim == 1 and axis == -2 and rank > 1 else wide


class QLinearConv(Op):
    """The convolution of quantized x and w, quantized again; b is i32 with the scale x_scale · w_scale."""

    x: Value
    x_scale: Value
    x_zero: Value
    w: Value
    w_scale: Value
    w_zero: Value
    y_scale: Value
    y_zero: Value
    b: Value | None = None
    strides: tuple[int, ...] = ()
    pads: tuple[int, ...] = ()
    dilations: tuple[int, ...] = ()
    group: int = 1
    auto_pad: str = "NOTSET"
    onnx = "QLinearConv"
    family = "linear"

    def _conv(self) -> Conv:
        return Conv("x", "w", None, self.strides, self.pads, self.dilations, self.group, self.auto_pad)

    def infer(self, x: Type, x_scale: Type, x_zero: Type, w: Type, *rest: Type | None) -> Type:
        check_eight(x=x, w=w)
        assert rest[3] is not None
        return Type(rest[3].elem, self._conv().infer(x.with_elem("f64"), w.with_elem("f64"), None).shape)

    def reference(
        self, x: np.ndarray, x_scale: np.ndarray, x_zero: np.ndarray, w: np.ndarray, w_scale: np.ndarray,
        w_zero: np.ndarray, y_scale: np.ndarray, y_zero: np.ndarray, b: np.ndarray | None,
    ) -> np.ndarray:
        total = self._conv().reference(moved(x, x_zero), moved(w, w_zero, 0), None)
        per = (-1, *(1,) * (x.ndim - 2))
        if b is not None:
            total = total + b.astype(np.float64).reshape(per)
        factor = (x_scale.astype(np.float64).reshape(()) * w_scale.astype(np.float64)) / y_scale.astype(np.float64)
        factor = factor.reshape(per) if factor.size > 1 else factor.reshape(())
        return quantized((total * factor).astype(np.float32), of_array(y_zero).elem, y_zero.reshape(()))

    def work(self, operands: tuple[Type, ...], results: tuple[Type, ...]) -> Work:
        taps = int(np.prod(operands[3].dims[1:]))
        return Work(2 * results[0].count * taps, sum(t.bytes for t in (*operands, *results)))

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        x, w = integers(rng, (1, 2, 5, 5), 0, 255, "u8"), integers(rng, (3, 2, 3, 3), -127, 127, "i8")
        scale, seven = np.array(0.1, np.float32), np.array(7, np.uint8)
        per = positive(rng, (3,)), np.zeros(3, np.int8)
        rest = (np.array(50.0, np.float32), np.array(128, np.uint8))
        yield case(x, scale, seven, w, *per, *rest, pads=(1, 1, 1, 1))
        yield case(x, scale, seven, w, *per, *rest, floats(rng, (3,), "f64", 99).astype(np.int32), strides=(2, 2))
