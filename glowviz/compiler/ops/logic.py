"""Comparisons, truth values, choices and changes of element kind, element by element."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from glowviz.compiler.ops.base import Case, Elementwise, Value, case
from glowviz.compiler.ops.cases import PAIRS, booleans, floats, integers
from glowviz.compiler.ops.narrow import ROUND_MODES, narrowed
from glowviz.compiler.types import ELEMENTS, Type, TypeProblem, broadcast


class Comparison(Elementwise, abstract=True):
    """Two operands of one element type, a bool result; anything compared with NaN is false."""

    result_elem = "bool"

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        for left, right in PAIRS:
            yield case(np.round(floats(rng, left)), np.round(floats(rng, right)))
        yield case(integers(rng, (2, 3), 0, 3), integers(rng, (3,), 0, 3))
        yield case(np.array([np.nan, 1, np.inf], np.float32), np.array([np.nan, 1, np.nan], np.float32))


class Equal(Comparison):
    """x == y."""

    x: Value
    y: Value
    onnx = "Equal"

    def scalar(self, m: Any, x: Any, y: Any) -> Any:
        return x == y


class Less(Comparison):
    """x < y."""

    x: Value
    y: Value
    onnx = "Less"

    def scalar(self, m: Any, x: Any, y: Any) -> Any:
        return x < y


class LessOrEqual(Comparison):
    """x <= y."""

    x: Value
    y: Value
    onnx = "LessOrEqual"

    def scalar(self, m: Any, x: Any, y: Any) -> Any:
        return x <= y


class Greater(Comparison):
    """x > y."""

    x: Value
    y: Value
    onnx = "Greater"

    def scalar(self, m: Any, x: Any, y: Any) -> Any:
        return x > y


class GreaterOrEqual(Comparison):
    """x >= y."""

    x: Value
    y: Value
    onnx = "GreaterOrEqual"

    def scalar(self, m: Any, x: Any, y: Any) -> Any:
        return x >= y


class Logical(Elementwise, abstract=True):
    """Bool operands, a bool result."""

    result_elem = "bool"
    inplace = ("x", "y")

    def element_operand(self, operands: list[Type]) -> Type:
        for operand in operands:
            if operand.elem != "bool":
                raise TypeProblem(f"operands must be bool, got {operand}; compare or Cast it first")
        return operands[0]

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        for left, right in PAIRS:
            yield case(booleans(rng, left), booleans(rng, right))


class And(Logical):
    """Both are true."""

    x: Value
    y: Value
    onnx = "And"

    def scalar(self, m: Any, x: Any, y: Any) -> Any:
        return m.logical_and(x, y)


class Or(Logical):
    """At least one is true."""

    x: Value
    y: Value
    onnx = "Or"

    def scalar(self, m: Any, x: Any, y: Any) -> Any:
        return m.logical_or(x, y)


class Xor(Logical):
    """Exactly one is true."""

    x: Value
    y: Value
    onnx = "Xor"

    def scalar(self, m: Any, x: Any, y: Any) -> Any:
        return m.logical_xor(x, y)


class Not(Logical):
    """It is false."""

    x: Value
    onnx = "Not"
    inplace = ("x",)

    def scalar(self, m: Any, x: Any) -> Any:
        return m.logical_not(x)

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield case(booleans(rng, (2, 17)))
        yield case(np.array(True))


class IsNaN(Elementwise):
    """Whether x is NaN."""

    x: Value
    onnx = "IsNaN"
    instruction = "is_nan"
    result_elem = "bool"

    def scalar(self, m: Any, x: Any) -> Any:
        return m.isnan(x)

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield case(np.array([np.nan, 1, np.inf, -np.inf], np.float32))


class IsInf(Elementwise):
    """Whether x is infinite, with a sign that is looked for."""

    x: Value
    detect_negative: bool = True
    detect_positive: bool = True
    onnx = "IsInf"
    result_elem = "bool"

    def scalar(self, m: Any, x: Any) -> Any:
        if self.detect_negative and self.detect_positive:
            return m.isinf(x)
        if not (self.detect_negative or self.detect_positive):
            return m.logical_and(m.isinf(x), m.isnan(x))
        return x == m.like(x, float("inf") if self.detect_positive else float("-inf"))

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        x = np.array([np.nan, 1, np.inf, -np.inf], np.float32)
        for negative in (False, True):
            for positive in (False, True):
                yield case(x, detect_negative=negative, detect_positive=positive)


class Where(Elementwise):
    """x where the condition is true, y elsewhere; all three broadcast."""

    condition: Value
    x: Value
    y: Value
    onnx = "Where"
    inplace = ("x", "y")

    def element_operand(self, operands: list[Type]) -> Type:
        condition, x, y = operands
        if condition.elem != "bool":
            raise TypeProblem(f"the condition must be bool, got {condition}; compare or Cast it first")
        return super().element_operand([x, y])

    def infer(self, condition: Type, x: Type, y: Type) -> Type:
        self.element_operand([condition, x, y])
        shape = broadcast(condition.shape or (), x.shape or (), y.shape or ())
        orders = {t.order for t in (condition, x, y) if t.shape == shape}
        return Type(x.elem, shape, order=orders.pop() if len(orders) == 1 else None)

    def scalar(self, m: Any, condition: Any, x: Any, y: Any) -> Any:
        return m.where(condition, x, y)

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield case(booleans(rng, (2, 3)), floats(rng, (2, 3)), floats(rng, (2, 3)))
        yield case(booleans(rng, (4, 1)), floats(rng, (3,)), floats(rng, ()))
        yield case(booleans(rng, ()), integers(rng, (2,), 0, 9), integers(rng, (3, 1), 0, 9))
        yield case(booleans(rng, (0, 2)), floats(rng, (2,)), floats(rng, (1,)))


class Cast(Elementwise):
    """The same numbers as another element kind, `to`.

    Float to integer: "truncation toward zero"; to bool: everything but 0 is true. What does not fit into an
    integer is undefined in ONNX; here it is what numpy gives. `saturate` and `round_mode` are for floats of 8 bits.
    """

    x: Value
    to: str = "f32"
    saturate: bool = True
    round_mode: str = "up"
    onnx = "Cast"
    family = "quant"

    def infer(self, x: Type) -> Type:
        if self.to not in ELEMENTS:
            raise TypeProblem(f"to={self.to!r} is no element type; known are {', '.join(ELEMENTS)}")
        if self.round_mode not in ROUND_MODES:
            raise TypeProblem(f"round_mode must be one of {', '.join(ROUND_MODES)}, got {self.round_mode!r}")
        return Type(self.to, x.shape, order=x.order)

    def scalar(self, m: Any, x: Any) -> Any:
        return m.cast(x, self.to)

    def reference(self, x: np.ndarray) -> np.ndarray:
        return narrowed(np.asarray(x), self.to, self.saturate, self.round_mode)

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        x = np.array([[-2.7, -0.5, 0.0], [0.9, 2.5, 100.0]], np.float32)
        for to in ("f32", "f64", "f16", "bf16", "i8", "i32", "i64", "bool"):
            yield case(x, to=to)
        yield case(integers(rng, (5,), 0, 9), to="f32")
        yield case(integers(rng, (5,), -9, 300), to="u8")
        yield case(booleans(rng, (2, 0)), to="i32")
        yield case(booleans(rng, (4,)), to="f32")


