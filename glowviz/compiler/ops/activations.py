"""Activation functions: one line of arithmetic each, and the smaller ops they are made of."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf, pi, sqrt
from typing import Any

import numpy as np

from glowviz.compiler.ops.base import Builder, Case, Elementwise, Op, Value, Work, case
from glowviz.compiler.ops.cases import floats, integers
from glowviz.compiler.ops.elementwise import Abs, Add, Div, FloatUnary, Max, Min, Mul, Neg, Unary
from glowviz.compiler.ops.logic import Less, Where
from glowviz.compiler.ops.transcendental import Erf, Exp, Tanh
from glowviz.compiler.types import Type, TypeProblem


class Identity(Op):
    """x itself."""

    x: Value
    onnx = "Identity"
    inplace = ("x",)
    takes_held = True

    def infer(self, x: Type) -> Type:
        return x

    def reference(self, x: np.ndarray) -> np.ndarray:
        return x

    def lower(self, b: Builder) -> str:
        return self.x

    def work(self, operands: tuple[Type, ...], results: tuple[Type, ...]) -> Work:
        return Work(0, 0)

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield case(floats(rng, (2, 3)))
        yield case(integers(rng, (0,), 0, 9))


class Dropout(Op):
    """x itself: glowviz compiles inference, where nothing is dropped; the mask is all true."""

    x: Value
    onnx = "Dropout"
    outputs = ("y", "mask")
    inplace = ("x",)

    def infer(self, x: Type) -> tuple[Type, ...]:
        return x, Type("bool", x.shape)

    def reference(self, x: np.ndarray) -> tuple[np.ndarray, ...]:
        return x, np.ones(x.shape, np.bool_)

    def lower(self, b: Builder) -> tuple[str, ...]:
        return self.x, b.const(np.ones(b.type(self.x).dims, np.bool_), name="mask")

    def work(self, operands: tuple[Type, ...], results: tuple[Type, ...]) -> Work:
        return Work(0, 0)

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield case(floats(rng, (2, 3, 5)))


class Relu(Unary):
    """max(x, 0); NaN stays NaN."""

    x: Value
    onnx = "Relu"

    def scalar(self, m: Any, x: Any) -> Any:
        return m.max(x, 0)

    def lower(self, b: Builder) -> str:
        return b.one(Max(self.x, b.const(0, like=self.x, name="zero")))


class LeakyRelu(FloatUnary):
    """x where x >= 0, otherwise alpha · x."""

    x: Value
    alpha: float = 0.01
    onnx = "LeakyRelu"

    def scalar(self, m: Any, x: Any) -> Any:
        return m.where(x >= 0, x, x * self.alpha)

    def lower(self, b: Builder) -> str:
        scaled = b.one(Mul(self.x, b.const(self.alpha, like=self.x, name="alpha")))
        # with alpha = 0 an infinite x would give inf · 0 = NaN, and with alpha > 1 the maximum is the wrong one
        if 0 < self.alpha <= 1:
            return b.one(Max(self.x, scaled))
        return _negative_part(b, self.x, scaled)

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield from super().samples(rng)
        for alpha in (0.1, 0.0, 1.5, -0.5):
            yield case(floats(rng, (2, 5)), alpha=alpha)
        yield case(np.array([np.inf, -np.inf, np.nan, -0.0], np.float32), alpha=0.0)


class PRelu(Elementwise):
    """x where x >= 0, otherwise slope · x; the slope broadcasts to x ("unidirectional")."""

    x: Value
    slope: Value
    onnx = "PRelu"
    instruction = "prelu"
    inplace = ("x",)

    def infer(self, x: Type, slope: Type) -> Type:
        result = super().infer(x, slope)
        if result.shape != x.shape:
            raise TypeProblem(f"the slope must broadcast to the shape of x, got slope {slope} and x {x}")
        return result

    def scalar(self, m: Any, x: Any, slope: Any) -> Any:
        return m.where(x >= 0, x, x * slope)

    def lower(self, b: Builder) -> str:
        return _negative_part(b, self.x, b.one(Mul(self.x, self.slope)))

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield case(floats(rng, (2, 3, 4)), floats(rng, (3, 1)))
        yield case(floats(rng, (2, 3)), floats(rng, (1,)))
        yield case(floats(rng, (5, 0)), floats(rng, (1,)))


def _negative_part(b: Builder, x: str, below: str) -> str:
    """`below` where x < 0, x elsewhere (NaN included)."""
    return b.one(Where(b.one(Less(x, b.const(0, like=x, name="zero"))), below, x))


class Elu(FloatUnary):
    """x where x >= 0, otherwise alpha · (exp(x) - 1)."""

    x: Value
    alpha: float = 1.0
    onnx = "Elu"

    def scalar(self, m: Any, x: Any) -> Any:
        return m.where(x >= 0, x, m.expm1(m.min(x, 0)) * self.alpha)

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield from super().samples(rng)
        yield case(floats(rng, (3, 7)), alpha=0.3)


class Celu(FloatUnary):
    """max(0, x) + min(0, alpha · (exp(x / alpha) - 1))."""

    x: Value
    alpha: float = 1.0
    onnx = "Celu"

    def scalar(self, m: Any, x: Any) -> Any:
        return m.max(x, 0) + m.min(m.expm1(x / self.alpha) * self.alpha, 0)

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield case(floats(rng, (3, 7)))
        yield case(floats(rng, (3, 7)), alpha=2.0)


class Selu(FloatUnary):
    """gamma · x where x > 0, otherwise gamma · alpha · (exp(x) - 1)."""

    x: Value
    alpha: float = 1.67326319217681884765625
    gamma: float = 1.05070102214813232421875
    onnx = "Selu"

    def scalar(self, m: Any, x: Any) -> Any:
        return m.where(x > 0, x, m.expm1(m.min(x, 0)) * self.alpha) * self.gamma

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield from super().samples(rng)
        yield case(floats(rng, (3, 7)), alpha=0.3, gamma=2.0)


class ThresholdedRelu(FloatUnary):
    """x where x > alpha, otherwise 0."""

    x: Value
    alpha: float = 1.0
    onnx = "ThresholdedRelu"

    def scalar(self, m: Any, x: Any) -> Any:
        return m.where(x > self.alpha, x, m.like(x, 0))

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield case(floats(rng, (3, 7)))
        yield case(floats(rng, (3, 7)), alpha=0.2)


class Sigmoid(FloatUnary):
    """1 / (1 + exp(-x))."""

    x: Value
    onnx = "Sigmoid"

    def scalar(self, m: Any, x: Any) -> Any:
        return 1.0 / (m.exp(-x) + 1.0)

    def lower(self, b: Builder) -> str:
        one = b.const(1, like=self.x, name="one")
        return b.one(Div(one, b.one(Add(b.one(Exp(b.one(Neg(self.x)))), one))))


class HardSigmoid(FloatUnary):
    """max(0, min(1, alpha · x + beta))."""

    x: Value
    alpha: float = 0.2
    beta: float = 0.5
    onnx = "HardSigmoid"

    def scalar(self, m: Any, x: Any) -> Any:
        return m.max(m.min(x * self.alpha + self.beta, 1), 0)

    def lower(self, b: Builder) -> str:
        scaled = b.one(Mul(self.x, b.const(self.alpha, like=self.x, name="alpha")))
        moved = b.one(Add(scaled, b.const(self.beta, like=self.x, name="beta")))
        below = b.one(Min(moved, b.const(1, like=self.x, name="one")))
        return b.one(Max(below, b.const(0, like=self.x, name="zero")))

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield from super().samples(rng)
        yield case(floats(rng, (3, 7)) * 4, alpha=1 / 6, beta=0.4)


class HardSwish(FloatUnary):
    """x · max(0, min(6, x + 3)) / 6."""

    x: Value
    onnx = "HardSwish"

    def scalar(self, m: Any, x: Any) -> Any:
        return x * m.max(m.min(x + 3, 6), 0) / 6  # one rounding fewer than with 1/6, which f32 cannot hold

    def lower(self, b: Builder) -> str:
        moved = b.one(Add(self.x, b.const(3, like=self.x, name="three")))
        below = b.one(Min(moved, b.const(6, like=self.x, name="six")))
        gate = b.one(Max(below, b.const(0, like=self.x, name="zero")))
        return b.one(Div(b.one(Mul(self.x, gate)), b.const(6, like=self.x, name="sixth")))


class Swish(FloatUnary):
    """x / (1 + exp(-alpha · x))."""

    x: Value
    alpha: float = 1.0
    onnx = "Swish"

    def scalar(self, m: Any, x: Any) -> Any:
        return x / (m.exp(x * -self.alpha) + 1.0)

    def lower(self, b: Builder) -> str:
        power = self.x if self.alpha == 1 else b.one(Mul(self.x, b.const(self.alpha, like=self.x, name="alpha")))
        return b.one(Mul(self.x, b.one(Sigmoid(power))))

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield from super().samples(rng)
        yield case(floats(rng, (3, 7)), alpha=1.7)


class Gelu(FloatUnary):
    """x · Φ(x): with erf exactly (`none`), or approximately with tanh (`tanh`)."""

    x: Value
    approximate: str = "none"
    onnx = "Gelu"

    def element_operand(self, operands: list[Type]) -> Type:
        if self.approximate not in ("none", "tanh"):
            raise TypeProblem(f"approximate must be 'none' or 'tanh', got {self.approximate!r}")
        return super().element_operand(operands)

    def scalar(self, m: Any, x: Any) -> Any:
        if self.approximate == "tanh":
            return x * 0.5 * (m.tanh((x + x * x * x * 0.044715) * sqrt(2 / pi)) + 1.0)
        return x * 0.5 * (m.erf(x * sqrt(0.5)) + 1.0)

    def lower(self, b: Builder) -> str:
        x = self.x
        if self.approximate == "tanh":
            cubed = b.one(Mul(b.one(Mul(x, x)), x))
            inner = b.one(Add(x, b.one(Mul(cubed, b.const(0.044715, like=x, name="cubic")))))
            bend = b.one(Tanh(b.one(Mul(inner, b.const(sqrt(2 / pi), like=x, name="scale")))))
        else:
            bend = b.one(Erf(b.one(Mul(x, b.const(sqrt(0.5), like=x, name="scale")))))
        half = b.one(Mul(x, b.const(0.5, like=x, name="half")))
        return b.one(Mul(half, b.one(Add(bend, b.const(1, like=x, name="one")))))

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield from super().samples(rng)
        yield case(floats(rng, (3, 7)), approximate="tanh")


class Softplus(FloatUnary):
    """log(1 + exp(x)), written so that exp cannot overflow."""

    x: Value
    onnx = "Softplus"

    def scalar(self, m: Any, x: Any) -> Any:
        return m.max(x, 0) + m.log1p(m.exp(-m.abs(x)))


class Softsign(FloatUnary):
    """x / (1 + |x|)."""

    x: Value
    onnx = "Softsign"

    def scalar(self, m: Any, x: Any) -> Any:
        return x / (m.abs(x) + 1.0)

    def lower(self, b: Builder) -> str:
        return b.one(Div(self.x, b.one(Add(b.one(Abs(self.x)), b.const(1, like=self.x, name="one")))))


class Mish(FloatUnary):
    """x · tanh(log(1 + exp(x)))."""

    x: Value
    onnx = "Mish"

    def scalar(self, m: Any, x: Any) -> Any:
        return x * m.tanh(m.max(x, 0) + m.log1p(m.exp(-m.abs(x))))

    def lower(self, b: Builder) -> str:
        return b.one(Mul(self.x, b.one(Tanh(b.one(Softplus(self.x))))))


class Clip(Unary):
    """min(max(x, low), high); NaN stays NaN. The importer turns run-time limits into Max and Min."""

    x: Value
    low: float = -inf
    high: float = inf
    onnx = "Clip"

    def scalar(self, m: Any, x: Any) -> Any:
        above = x if self.low == -inf else m.max(x, m.like(x, self.low))
        return above if self.high == inf else m.min(above, m.like(x, self.high))

    def lower(self, b: Builder) -> str:
        value = self.x
        if self.low != -inf:
            value = b.one(Max(value, b.const(self.low, like=value, name="low")))
        if self.high != inf:
            value = b.one(Min(value, b.const(self.high, like=value, name="high")))
        return value

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        x = floats(rng, (2, 3, 5)) * 5
        for low, high in ((0.0, 6.0), (-1.0, inf), (-inf, 1.5), (2.0, 1.0), (-inf, inf)):
            yield case(x, low=low, high=high)
        yield case(integers(rng, (7,), -9, 9), low=-2.0, high=3.0)
        yield case(np.array([np.nan, 1.0], np.float32), low=0.0, high=0.5)
