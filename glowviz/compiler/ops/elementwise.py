"""Arithmetic on each element: one line of it runs in numpy and in every code generator."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from glowviz.compiler.ops.base import Builder, Case, Elementwise, Value, Work, case
from glowviz.compiler.ops.cases import PAIRS, floats, integers
from glowviz.compiler.types import FLOATS, Type, TypeProblem


class Binary(Elementwise, abstract=True):
    """Two operands of one element type that broadcast."""

    inplace = ("x", "y")

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        for left, right in PAIRS:
            yield case(floats(rng, left), floats(rng, right))
        yield case(integers(rng, (2, 3), 1, 9), integers(rng, (3,), 1, 9))
        yield case(floats(rng, (2, 3), "f64"), floats(rng, (1, 3), "f64"))


class Unary(Elementwise, abstract=True):
    """One operand, one result of its type."""

    inplace = ("x",)

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        for shape in ((2, 3), (1, 17, 5), (0, 3), ()):
            yield case(floats(rng, shape))
        yield case(floats(rng, (7,), "f64"))
        yield case(np.array([0.0, -0.0, np.nan, 1e-30, 3.5], np.float32))


class FloatUnary(Unary, abstract=True):
    """One floating-point operand."""

    def element_operand(self, operands: list[Type]) -> Type:
        if operands[0].elem not in FLOATS:
            raise TypeProblem(f"the operand must be floating-point, got {operands[0]}; Cast it first")
        return operands[0]


class Add(Binary):
    """x + y; integers wrap around."""

    x: Value
    y: Value
    onnx = "Add"

    def scalar(self, m: Any, x: Any, y: Any) -> Any:
        return x + y


class Sub(Binary):
    """x - y; integers wrap around."""

    x: Value
    y: Value
    onnx = "Sub"

    def scalar(self, m: Any, x: Any, y: Any) -> Any:
        return x - y


class Mul(Binary):
    """x · y; integers wrap around."""

    x: Value
    y: Value
    onnx = "Mul"

    def scalar(self, m: Any, x: Any, y: Any) -> Any:
        return x * y


class Div(Binary):
    """x / y. For integers: "the result is computed using truncating division (rounding toward zero)"."""

    x: Value
    y: Value
    onnx = "Div"

    def scalar(self, m: Any, x: Any, y: Any) -> Any:
        return x / y

    def reference(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        if not np.issubdtype(np.asarray(x).dtype, np.integer):
            return super().reference(x, y)
        with np.errstate(all="ignore"):
            below, rest = np.divmod(x, y)
            return below + ((rest != 0) & ((x < 0) != (y < 0)))

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield from super().samples(rng)
        yield case(np.array([1, -1, 0], np.float32), np.zeros(3, np.float32))
        yield case(np.array([-7, 7, -8, 8], np.int64), np.array([2, -2, 3, -3], np.int64))


class Pow(Binary):
    """x to the power y; the result has the type of x, y may be of another."""

    x: Value
    y: Value
    onnx = "Pow"
    inplace = ("x",)

    def element_operand(self, operands: list[Type]) -> Type:
        return operands[0]

    def scalar(self, m: Any, x: Any, y: Any) -> Any:
        return m.pow(x, y)

    def reference(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        kind = np.asarray(x).dtype
        if not np.issubdtype(kind, np.integer):
            return super().reference(x, np.asarray(y).astype(kind))
        with np.errstate(all="ignore"):
            if np.issubdtype(np.asarray(y).dtype, np.integer) and np.all(np.asarray(y) >= 0):
                return np.asarray(np.power(x, y)).astype(kind)
            return np.power(x.astype(np.float64), y).astype(kind)

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield case(np.abs(floats(rng, (2, 3))), floats(rng, (3,)))
        yield case(floats(rng, (2, 3)), np.array(2.0, np.float32))
        yield case(floats(rng, (2, 3)), np.array([3, 0, -1], np.int64))
        yield case(integers(rng, (4,), -3, 4), np.array([2], np.int64))
        yield case(integers(rng, (4,), 1, 4).astype(np.int32), np.array([2.0], np.float32))


class Mod(Binary):
    """The rest of x / y: with the sign of y (`fmod` false), or with the sign of x as C's fmod (`fmod` true)."""

    x: Value
    y: Value
    fmod: bool = False
    onnx = "Mod"

    def scalar(self, m: Any, x: Any, y: Any) -> Any:
        return m.fmod(x, y) if self.fmod else m.mod(x, y)

    def lower(self, b: Builder) -> str | None:
        """Floats: the rest with the sign of x, moved by y where the signs differ."""
        if self.fmod or b.type(self.x).elem not in FLOATS:
            return None
        zero = b.const(0, like=self.x, name="zero")
        rest = b.one(Mod(self.x, self.y, fmod=True))
        other = b.xor(b.less(rest, zero), b.less(self.y, zero))
        return b.where(b.equal(rest, zero), rest, b.where(other, b.one(Add(rest, self.y)), rest))

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        signed = np.array([-7, 7, -8, 8, 5], np.int64)
        yield case(signed, np.array([3, -3, 5, -5, 5], np.int64))
        yield case(signed, np.array([3, -3, 5, -5, 5], np.int64), fmod=True)
        yield case(floats(rng, (2, 3)) * 9, floats(rng, (3,)), fmod=True)
        yield case(floats(rng, (2, 3)) * 9, floats(rng, (3,)))


class Max(Binary):
    """The larger of x and y; NaN where either is NaN."""

    x: Value
    y: Value
    onnx = "Max"

    def scalar(self, m: Any, x: Any, y: Any) -> Any:
        return m.max(x, y)

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield from super().samples(rng)
        yield case(np.array([np.nan, 1, np.inf], np.float32), np.array([1, np.nan, -np.inf], np.float32))


class Min(Binary):
    """The smaller of x and y; NaN where either is NaN."""

    x: Value
    y: Value
    onnx = "Min"

    def scalar(self, m: Any, x: Any, y: Any) -> Any:
        return m.min(x, y)

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield from super().samples(rng)
        yield case(np.array([np.nan, 1, np.inf], np.float32), np.array([1, np.nan, -np.inf], np.float32))


class Variadic(Elementwise, abstract=True):
    """One or more operands of one element type that broadcast."""

    def infer(self, xs: tuple[Type, ...]) -> Type:
        if not xs:
            raise TypeProblem("needs at least one operand, got none")
        return super().infer(xs)

    def work(self, operands: tuple[Type, ...], results: tuple[Type, ...]) -> Work:
        moved = sum(t.bytes for t in (*operands, *results))
        return Work(results[0].count * max(len(operands) - 1, 0), moved)

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield case((floats(rng, (2, 3)),))
        yield case((floats(rng, (2, 3)), floats(rng, (3,)), floats(rng, (2, 1))))
        yield case((floats(rng, (4, 0)), floats(rng, (1,))))


class Sum(Variadic):
    """x0 + x1 + …, added from the left."""

    xs: tuple[Value, ...]
    onnx = "Sum"

    def scalar(self, m: Any, *xs: Any) -> Any:
        total = xs[0]
        for x in xs[1:]:
            total = total + x
        return total

    def lower(self, b: Builder) -> str:
        total = self.xs[0]
        for x in self.xs[1:]:
            total = b.one(Add(total, x))
        return total


class Mean(Variadic):
    """(x0 + x1 + …) / n."""

    xs: tuple[Value, ...]
    onnx = "Mean"

    def element_operand(self, operands: list[Type]) -> Type:
        if operands[0].elem not in FLOATS:
            raise TypeProblem(f"operands must be floating-point, got {operands[0]}; Cast them first")
        return super().element_operand(operands)

    def scalar(self, m: Any, *xs: Any) -> Any:
        total = xs[0]
        for x in xs[1:]:
            total = total + x
        return total / m.like(total, len(xs))

    def lower(self, b: Builder) -> str:
        if len(self.xs) == 1:
            return self.xs[0]
        total = self.xs[0]
        for x in self.xs[1:]:
            total = b.one(Add(total, x))
        return b.one(Div(total, b.const(len(self.xs), like=total, name="count")))


class Neg(Unary):
    """-x."""

    x: Value
    onnx = "Neg"

    def scalar(self, m: Any, x: Any) -> Any:
        return -x


class Abs(Unary):
    """|x|."""

    x: Value
    onnx = "Abs"

    def scalar(self, m: Any, x: Any) -> Any:
        return m.abs(x)


class Sign(Unary):
    """-1, 0 or 1; NaN stays NaN."""

    x: Value
    onnx = "Sign"

    def scalar(self, m: Any, x: Any) -> Any:
        return m.sign(x)


class Reciprocal(FloatUnary):
    """1 / x."""

    x: Value
    onnx = "Reciprocal"

    def scalar(self, m: Any, x: Any) -> Any:
        return 1.0 / x


class Floor(FloatUnary):
    """The largest integer not above x."""

    x: Value
    onnx = "Floor"

    def scalar(self, m: Any, x: Any) -> Any:
        return m.floor(x)


class Ceil(FloatUnary):
    """The smallest integer not below x."""

    x: Value
    onnx = "Ceil"

    def scalar(self, m: Any, x: Any) -> Any:
        return m.ceil(x)


class Round(FloatUnary):
    """The nearest integer; "in case of halves, the rule is to round them to the nearest even integer"."""

    x: Value
    onnx = "Round"

    def scalar(self, m: Any, x: Any) -> Any:
        return m.round(x)

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield from super().samples(rng)
        yield case(np.array([0.5, 1.5, -0.5, -2.5, 2.4999998], np.float32))
