"""Reductions: many elements become one along some axes."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np

from glowviz.compiler.ops.base import Builder, Case, Op, Value, Work, case
from glowviz.compiler.ops.cases import floats, integers, positive
from glowviz.compiler.ops.elementwise import Abs, Add, Div, Mul, Sub
from glowviz.compiler.ops.norm import check_axis, wide
from glowviz.compiler.ops.pool import highest, lowest
from glowviz.compiler.ops.transcendental import Exp, Log, Sqrt
from glowviz.compiler.types import FLOATS, Type, TypeProblem

Axes = tuple[int, ...]


class Reduction(Op, abstract=True):
    """One number per remaining index; `axes` () means all of them; `keepdims` leaves them as ones."""

    family = "norm"
    x: Value
    axes: tuple[int, ...] = ()
    keepdims: bool = True

    def positive_axes(self, rank: int) -> Axes:
        """The axes counted from 0, sorted."""
        if not self.axes:
            return tuple(range(rank))
        found = sorted({check_axis(a, rank) for a in self.axes})
        if len(found) != len(self.axes):
            raise TypeProblem(f"axes {list(self.axes)} name one axis twice")
        return tuple(found)

    def infer(self, x: Type) -> Type:
        axes = self.positive_axes(x.rank)
        if self.keepdims:
            shape = tuple(1 if i in axes else n for i, n in enumerate(x.dims))
        else:
            shape = tuple(n for i, n in enumerate(x.dims) if i not in axes)
        return Type(x.elem, shape)

    def reference(self, x: np.ndarray) -> np.ndarray:
        axes = self.positive_axes(x.ndim)
        with np.errstate(all="ignore"):
            source = x if x.dtype.kind in "biu" else wide(x)
            return np.asarray(self.reduced(source, axes)).astype(x.dtype)

    def reduced(self, x: np.ndarray, axes: Axes) -> Any:
        """The reduction itself, in numpy."""
        raise NotImplementedError(f"{self.name} does not say its reduction")

    def again(self, b: Builder, kind: type[Reduction], x: str) -> str:
        """Another reduction over the same axes."""
        return b.one(kind(x, axes=self.axes, keepdims=self.keepdims))

    def work(self, operands: tuple[Type, ...], results: tuple[Type, ...]) -> Work:
        return Work(operands[0].count, sum(t.bytes for t in (*operands, *results)))

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield case(self.sampled(rng, (2, 3, 5)))
        yield case(self.sampled(rng, (2, 3, 5)), axes=(-1,), keepdims=False)
        yield case(self.sampled(rng, (2, 3, 4, 5)), axes=(1, 3))
        yield case(self.sampled(rng, (2, 3, 4, 5)), axes=(2, 3), keepdims=True)
        yield case(self.sampled(rng, (17, 33)), axes=(0,), keepdims=False)
        yield case(self.sampled(rng, ()), keepdims=False)

    def sampled(self, rng: np.random.Generator, shape: Axes) -> np.ndarray:
        """What the samples reduce."""
        return floats(rng, shape)


class ReduceSum(Reduction):
    """The sum; 0 of nothing."""

    onnx = "ReduceSum"

    def reduced(self, x: np.ndarray, axes: Axes) -> Any:
        return x.sum(axes, keepdims=self.keepdims, dtype=x.dtype)

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield from super().samples(rng)
        yield case(integers(rng, (3, 4), -9, 9), axes=(1,))
        yield case(np.zeros((2, 0), np.float32), axes=(1,))


class ReduceMean(Reduction):
    """The mean."""

    onnx = "ReduceMean"

    def reduced(self, x: np.ndarray, axes: Axes) -> Any:
        if np.issubdtype(x.dtype, np.integer):
            return np.trunc(x.mean(axes, keepdims=self.keepdims))
        return x.mean(axes, keepdims=self.keepdims)

    def lower(self, b: Builder) -> str | None:
        x = b.type(self.x)
        if x.elem not in FLOATS:
            return None
        count = prod(x.dims[a] for a in self.positive_axes(x.rank))
        return b.one(Div(self.again(b, ReduceSum, self.x), b.const(count, like=self.x, name="count")))


class ReduceMax(Reduction):
    """The largest; NaN where there is one."""

    onnx = "ReduceMax"

    def reduced(self, x: np.ndarray, axes: Axes) -> Any:
        return x.max(axes, keepdims=self.keepdims, initial=lowest(x.dtype))

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield from super().samples(rng)
        yield case(integers(rng, (3, 4), -9, 9, "i32"), axes=(0,))
        yield case(np.array([[1, np.nan], [-np.inf, 2]], np.float32), axes=(1,))
        yield case(np.zeros((2, 0), np.float32), axes=(1,))


class ReduceMin(Reduction):
    """The smallest; NaN where there is one."""

    onnx = "ReduceMin"

    def reduced(self, x: np.ndarray, axes: Axes) -> Any:
        return x.min(axes, keepdims=self.keepdims, initial=highest(x.dtype))

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield from super().samples(rng)
        yield case(integers(rng, (3, 4), -9, 9, "i32"), axes=(0,))
        yield case(np.array([[1, np.nan], [-np.inf, 2]], np.float32), axes=(1,))


class ReduceProd(Reduction):
    """The product; 1 of nothing."""

    onnx = "ReduceProd"

    def reduced(self, x: np.ndarray, axes: Axes) -> Any:
        return x.prod(axes, keepdims=self.keepdims, dtype=x.dtype)

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield from super().samples(rng)
        yield case(integers(rng, (2, 3), -3, 4), axes=(1,))


class ReduceL1(Reduction):
    """Σ |x|."""

    onnx = "ReduceL1"

    def reduced(self, x: np.ndarray, axes: Axes) -> Any:
        return np.abs(x).sum(axes, keepdims=self.keepdims, dtype=x.dtype)

    def lower(self, b: Builder) -> str:
        return self.again(b, ReduceSum, b.one(Abs(self.x)))


class ReduceSumSquare(Reduction):
    """Σ x²."""

    onnx = "ReduceSumSquare"

    def reduced(self, x: np.ndarray, axes: Axes) -> Any:
        return (x * x).sum(axes, keepdims=self.keepdims, dtype=x.dtype)

    def lower(self, b: Builder) -> str:
        return self.again(b, ReduceSum, b.one(Mul(self.x, self.x)))


class ReduceL2(Reduction):
    """√ Σ x²."""

    onnx = "ReduceL2"

    def reduced(self, x: np.ndarray, axes: Axes) -> Any:
        return np.sqrt((x * x).sum(axes, keepdims=self.keepdims, dtype=x.dtype))

    def lower(self, b: Builder) -> str | None:
        if b.type(self.x).elem not in FLOATS:
            return None
        return b.one(Sqrt(self.again(b, ReduceSum, b.one(Mul(self.x, self.x)))))


class ReduceLogSum(Reduction):
    """log Σ x."""

    onnx = "ReduceLogSum"

    def reduced(self, x: np.ndarray, axes: Axes) -> Any:
        return np.log(x.sum(axes, keepdims=self.keepdims, dtype=x.dtype))

    def lower(self, b: Builder) -> str | None:
        if b.type(self.x).elem not in FLOATS:
            return None
        return b.one(Log(self.again(b, ReduceSum, self.x)))

    def sampled(self, rng: np.random.Generator, shape: Axes) -> np.ndarray:
        return positive(rng, shape)


class ReduceLogSumExp(Reduction):
    """log Σ exp(x), shifted by the maximum so that exp cannot overflow."""

    onnx = "ReduceLogSumExp"

    def reduced(self, x: np.ndarray, axes: Axes) -> Any:
        limit = np.finfo(x.dtype).max
        top = np.clip(x.max(axes, keepdims=True, initial=-np.inf), -limit, limit)
        total = np.log(np.exp(x - top).sum(axes, keepdims=self.keepdims))
        return total + top.reshape(total.shape)

    def lower(self, b: Builder) -> str | None:
        """A finite shift: with the maximum ±inf itself, inf - inf would give NaN."""
        elem = b.type(self.x).elem
        if elem not in ("f32", "f64"):
            return None
        limit = float(np.finfo(b.type(self.x).dtype).max)
        top = b.clip(b.reduce_max(self.x, axes=self.axes, keepdims=True), low=-limit, high=limit)
        powers = b.one(Exp(b.one(Sub(self.x, top))))
        total = b.one(Log(self.again(b, ReduceSum, powers)))
        if not self.keepdims:
            top = b.reshape(top, b.const(np.array(b.type(total).dims, np.int64), name="shape"))
        return b.one(Add(total, top))

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield from super().samples(rng)
        yield case(np.array([[100.0, 101.0], [-np.inf, -np.inf], [np.inf, 1.0]], np.float32), axes=(1,))
