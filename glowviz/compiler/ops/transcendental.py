"""Roots, exponentials and circular functions of each element."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from glowviz.compiler.ops.base import Case, Value, case
from glowviz.compiler.ops.cases import floats, positive
from glowviz.compiler.ops.elementwise import FloatUnary


class Sqrt(FloatUnary):
    """The square root; NaN below 0."""

    x: Value
    onnx = "Sqrt"

    def scalar(self, m: Any, x: Any) -> Any:
        return m.sqrt(x)


class Exp(FloatUnary):
    """e to the power x."""

    x: Value
    onnx = "Exp"

    def scalar(self, m: Any, x: Any) -> Any:
        return m.exp(x)


class Log(FloatUnary):
    """The natural logarithm; -inf at 0, NaN below."""

    x: Value
    onnx = "Log"

    def scalar(self, m: Any, x: Any) -> Any:
        return m.log(x)

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield case(positive(rng, (2, 17)))
        yield case(np.array([0.0, -1.0, np.inf, np.nan, 1e-40], np.float32))


class Erf(FloatUnary):
    """The error function 2/√π ∫₀ˣ exp(-t²) dt."""

    x: Value
    onnx = "Erf"

    def scalar(self, m: Any, x: Any) -> Any:
        return m.erf(x)


class Sin(FloatUnary):
    """The sine of an angle in radians."""

    x: Value
    onnx = "Sin"

    def scalar(self, m: Any, x: Any) -> Any:
        return m.sin(x)


class Cos(FloatUnary):
    """The cosine of an angle in radians."""

    x: Value
    onnx = "Cos"

    def scalar(self, m: Any, x: Any) -> Any:
        return m.cos(x)


class Tan(FloatUnary):
    """The tangent of an angle in radians."""

    x: Value
    onnx = "Tan"

    def scalar(self, m: Any, x: Any) -> Any:
        return m.tan(x)


class Tanh(FloatUnary):
    """The hyperbolic tangent."""

    x: Value
    onnx = "Tanh"

    def scalar(self, m: Any, x: Any) -> Any:
        return m.tanh(x)


class Sinh(FloatUnary):
    """The hyperbolic sine."""

    x: Value
    onnx = "Sinh"

    def scalar(self, m: Any, x: Any) -> Any:
        return m.sinh(x)


class Cosh(FloatUnary):
    """The hyperbolic cosine."""

    x: Value
    onnx = "Cosh"

    def scalar(self, m: Any, x: Any) -> Any:
        return m.cosh(x)


class InverseUnary(FloatUnary, abstract=True):
    """An inverse circular or hyperbolic function, sampled inside -1 … 1."""

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield case(rng.uniform(-0.95, 0.95, size=(2, 3, 5)).astype(np.float32))
        yield case(np.array([0.0, np.nan], np.float32))


class Asin(InverseUnary):
    """The angle in radians whose sine is x; NaN outside -1 … 1."""

    x: Value
    onnx = "Asin"

    def scalar(self, m: Any, x: Any) -> Any:
        return m.asin(x)


class Acos(InverseUnary):
    """The angle in radians whose cosine is x; NaN outside -1 … 1."""

    x: Value
    onnx = "Acos"

    def scalar(self, m: Any, x: Any) -> Any:
        return m.acos(x)


class Atan(InverseUnary):
    """The angle in radians whose tangent is x."""

    x: Value
    onnx = "Atan"

    def scalar(self, m: Any, x: Any) -> Any:
        return m.atan(x)


class Asinh(InverseUnary):
    """The inverse of sinh."""

    x: Value
    onnx = "Asinh"

    def scalar(self, m: Any, x: Any) -> Any:
        return m.asinh(x)


class Acosh(FloatUnary):
    """The inverse of cosh; NaN below 1."""

    x: Value
    onnx = "Acosh"

    def scalar(self, m: Any, x: Any) -> Any:
        return m.acosh(x)

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield case(1 + np.abs(floats(rng, (2, 17))))


class Atanh(InverseUnary):
    """The inverse of tanh; NaN outside -1 … 1."""

    x: Value
    onnx = "Atanh"

    def scalar(self, m: Any, x: Any) -> Any:
        return m.atanh(x)
