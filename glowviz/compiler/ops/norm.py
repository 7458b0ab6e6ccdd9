"""Normalizations and softmax: numbers brought to a common scale along some dims."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import numpy as np

from glowviz.compiler.ops.base import Builder, Case, Op, Value, Work, case
from glowviz.compiler.ops.cases import floats, positive
from glowviz.compiler.ops.elementwise import Add, Div, Mul, Pow, Reciprocal, Sub
from glowviz.compiler.ops.transcendental import Exp, Log, Sqrt
from glowviz.compiler.types import FLOATS, Type, TypeProblem


class Normalization(Op, abstract=True):
    """Some arithmetic per element and the result of x's type."""

    family = "norm"
    flops_per_element = 8

    def work(self, operands: tuple[Type, ...], results: tuple[Type, ...]) -> Work:
        moved = sum(t.bytes for t in (*operands, *results))
        return Work(self.flops_per_element * operands[0].count, moved)


def check_float(x: Type) -> None:
    """Refuse integers."""
    if x.elem not in FLOATS:
        raise TypeProblem(f"x must be floating-point, got {x}; Cast it first")


def check_per_channel(x: Type, **operands: Type) -> None:
    """Refuse operands that are not one number per channel of x."""
    check_float(x)
    if x.rank < 2:
        raise TypeProblem(f"x must have at least N and C, got {x}")
    for name, operand in operands.items():
        if operand.dims != (x.dims[1],):
            raise TypeProblem(f"{name} must be [{x.dims[1]}], one number per channel of x {x}, got {operand}")


def check_axis(axis: int, rank: int) -> int:
    """The axis counted from 0; TypeProblem where there is none."""
    if not -rank <= axis < max(rank, 1):
        raise TypeProblem(f"axis must be in [{-rank}, {rank - 1}], got {axis}")
    return axis % rank if rank else 0


def wide(x: np.ndarray) -> np.ndarray:
    """Narrow floats as f32: sums of many would lose their tail."""
    return x.astype(np.promote_types(x.dtype, np.float32), copy=False)


def column(b: Builder, value: str, rank: int) -> str:
    """A per-channel [C] as [C, 1, 1 …], so that it broadcasts over x[N, C, …] of `rank`."""
    if rank <= 2:
        return value
    shape = b.const(np.array([-1] + [1] * (rank - 2), np.int64), name="shape")
    return b.reshape(value, shape)


class BatchNormalization(Normalization):
    """(x - mean) / sqrt(var + epsilon) · scale + bias with one number of each per channel (inference)."""

    x: Value
    scale: Value
    bias: Value
    mean: Value
    var: Value
    epsilon: float = 1e-5
    onnx = "BatchNormalization"
    inplace = ("x",)
    flops_per_element = 2

    def infer(self, x: Type, scale: Type, bias: Type, mean: Type, var: Type) -> Type:
        check_per_channel(x, scale=scale, bias=bias, mean=mean, var=var)
        return x

    def reference(
        self, x: np.ndarray, scale: np.ndarray, bias: np.ndarray, mean: np.ndarray, var: np.ndarray
    ) -> np.ndarray:
        spread = (-1, *(1,) * (x.ndim - 2))
        with np.errstate(all="ignore"):
            factor = (wide(scale) / np.sqrt(wide(var) + wide(scale).dtype.type(self.epsilon))).reshape(spread)
            y = (wide(x) - mean.reshape(spread)) * factor + bias.reshape(spread)
        return y.astype(x.dtype)

    def lower(self, b: Builder) -> str:
        """x · (scale / sqrt(var + epsilon)) + (bias - mean · that)."""
        root = b.one(Sqrt(b.one(Add(self.var, b.const(self.epsilon, like=self.var, name="epsilon")))))
        factor = b.one(Div(self.scale, root))
        rank = b.type(self.x).rank
        contents = [b.known(value) for value in (self.scale, self.bias, self.mean, self.var)]
        if any(content is not None and not np.isfinite(content).all() for content in contents):
            # an infinite factor in the shift too would be infinity less infinity
            moved = b.one(Sub(self.x, column(b, self.mean, rank)))
            return b.one(Add(b.one(Mul(moved, column(b, factor, rank))), column(b, self.bias, rank)))
        shift = b.one(Sub(self.bias, b.one(Mul(self.mean, factor))))
        return b.one(Add(b.one(Mul(self.x, column(b, factor, rank))), column(b, shift, rank)))

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        for shape in ((2, 3, 4, 5), (1, 3, 7), (4, 3)):
            per_channel = [floats(rng, (3,)) for _ in range(3)]
            yield case(floats(rng, shape), *per_channel, positive(rng, (3,)))
        per_channel = [floats(rng, (3,)) for _ in range(3)]
        yield case(floats(rng, (2, 3, 2)), *per_channel, positive(rng, (3,)), epsilon=0.1)


def _standardized(b: Builder, x: str, axes: tuple[int, ...], epsilon: float) -> tuple[str, str, str]:
    """(x - mean) / sqrt(variance + epsilon) over some axes, the mean, and the reciprocal of the root."""
    mean = b.reduce_mean(x, axes=axes, keepdims=True)
    moved = b.one(Sub(x, mean))
    variance = b.reduce_mean(b.one(Mul(moved, moved)), axes=axes, keepdims=True)
    shifted = b.one(Add(variance, b.const(epsilon, like=x, name="epsilon")))
    inverse = b.one(Reciprocal(b.one(Sqrt(shifted))))
    return b.one(Mul(moved, inverse)), mean, inverse


def _standardize(x: np.ndarray, axes: tuple[int, ...], epsilon: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    x = wide(x)
    with np.errstate(all="ignore"):
        mean = x.mean(axes, keepdims=True)
        moved = x - mean
        inverse = 1 / np.sqrt((moved * moved).mean(axes, keepdims=True) + x.dtype.type(epsilon))
        return moved * inverse, mean, inverse


class LayerNormalization(Normalization):
    """x standardized over the dims from `axis` on, times scale, plus bias; also the means and 1/deviations."""

    x: Value
    scale: Value
    bias: Value | None = None
    axis: int = -1
    epsilon: float = 1e-5
    onnx = "LayerNormalization"
    outputs = ("y", "mean", "inv_std_dev")

    def axes(self, rank: int) -> tuple[int, ...]:
        """The dims that are standardized together."""
        return tuple(range(check_axis(self.axis, rank), rank))

    def infer(self, x: Type, scale: Type, bias: Type | None) -> tuple[Type, ...]:
        check_float(x)
        axes = self.axes(x.rank)
        for name, operand in (("scale", scale), ("bias", bias)):
            if operand is None:
                continue
            try:
                fits = np.broadcast_shapes(operand.dims, x.dims) == x.dims
            except ValueError:
                fits = False
            if not fits:
                raise TypeProblem(f"{name} must broadcast to x {x}, got {operand}")
        one = tuple(1 if i in axes else n for i, n in enumerate(x.dims))
        statistic = Type("f64" if x.elem == "f64" else "f32", one)
        return Type(x.elem, x.shape), statistic, statistic

    def reference(self, x: np.ndarray, scale: np.ndarray, bias: np.ndarray | None) -> tuple[np.ndarray, ...]:
        y, mean, inverse = _standardize(x, self.axes(x.ndim), self.epsilon)
        y = y.astype(x.dtype) * scale
        return (y if bias is None else y + bias).astype(x.dtype), mean, inverse

    def lower(self, b: Builder) -> str | tuple[str, ...] | None:
        if b.type(self.x).elem not in ("f32", "f64"):
            return None
        axes = self.axes(b.type(self.x).rank)
        y, mean, inverse = _standardized(b, self.x, axes, self.epsilon)
        y = b.one(Mul(y, self.scale))
        return (y if self.bias is None else b.one(Add(y, self.bias))), mean, inverse

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield case(floats(rng, (2, 5, 8)), floats(rng, (8,)), floats(rng, (8,)))
        yield case(floats(rng, (2, 5, 8)), floats(rng, (8,)))
        yield case(floats(rng, (2, 3, 4)), floats(rng, (3, 4)), floats(rng, (3, 4)), axis=1, epsilon=1e-3)
        yield case(floats(rng, (1, 17)) + 3, floats(rng, (17,)), floats(rng, (17,)))
        yield case(floats(rng, (2, 3, 4)), floats(rng, (4,)), axis=-2)


class InstanceNormalization(Normalization):
    """x standardized over the spatial dims of every sample and channel, times scale[C], plus bias[C]."""

    x: Value
    scale: Value
    bias: Value
    epsilon: float = 1e-5
    onnx = "InstanceNormalization"

    def infer(self, x: Type, scale: Type, bias: Type) -> Type:
        check_per_channel(x, scale=scale, bias=bias)
        if x.rank < 3:
            raise TypeProblem(f"x must have N, C and at least one spatial dim, got {x}")
        return Type(x.elem, x.shape)

    def reference(self, x: np.ndarray, scale: np.ndarray, bias: np.ndarray) -> np.ndarray:
        spread = (-1, *(1,) * (x.ndim - 2))
        y, _, _ = _standardize(x, tuple(range(2, x.ndim)), self.epsilon)
        return (y * scale.reshape(spread) + bias.reshape(spread)).astype(x.dtype)

    def lower(self, b: Builder) -> str | None:
        rank = b.type(self.x).rank
        y, _, _ = _standardized(b, self.x, tuple(range(2, rank)), self.epsilon)
        return b.one(Add(b.one(Mul(y, column(b, self.scale, rank))), column(b, self.bias, rank)))

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        for shape in ((2, 3, 4, 5), (1, 3, 9)):
            yield case(floats(rng, shape), floats(rng, (3,)), floats(rng, (3,)))
        yield case(floats(rng, (1, 3, 4, 4)), floats(rng, (3,)), floats(rng, (3,)), epsilon=0.01)


class GroupNormalization(Normalization):
    """x standardized over each group of channels with its spatial dims, times scale[C], plus bias[C]."""

    x: Value
    scale: Value
    bias: Value
    num_groups: int
    epsilon: float = 1e-5
    onnx = "GroupNormalization"

    def infer(self, x: Type, scale: Type, bias: Type) -> Type:
        check_per_channel(x, scale=scale, bias=bias)
        if self.num_groups < 1 or x.dims[1] % self.num_groups:
            raise TypeProblem(f"the {x.dims[1]} channels of x do not divide into {self.num_groups} groups")
        return Type(x.elem, x.shape)

    def reference(self, x: np.ndarray, scale: np.ndarray, bias: np.ndarray) -> np.ndarray:
        spread = (-1, *(1,) * (x.ndim - 2))
        grouped = x.reshape(x.shape[0], self.num_groups, prod(x.shape[1:]) // self.num_groups)
        y = _standardize(grouped, (2,), self.epsilon)[0].reshape(x.shape)
        return (y * scale.reshape(spread) + bias.reshape(spread)).astype(x.dtype)

    def lower(self, b: Builder) -> str:
        x = b.type(self.x)
        each = prod(x.dims[1:]) // self.num_groups
        grouped = b.reshape(self.x, b.const(np.array([x.dims[0], self.num_groups, each], np.int64), name="groups"))
        y, _, _ = _standardized(b, grouped, (2,), self.epsilon)
        y = b.reshape(y, b.const(np.array(x.dims, np.int64), name="shape"))
        return b.one(Add(b.one(Mul(y, column(b, self.scale, x.rank))), column(b, self.bias, x.rank)))

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        for groups in (1, 2, 6):
            yield case(floats(rng, (2, 6, 3, 5)), floats(rng, (6,)), floats(rng, (6,)), num_groups=groups)


class LRN(Normalization):
    """x / (bias + alpha / size · Σ x² over `size` neighbouring channels) ^ beta.

    "square_sum[n, c, d1, ..., dk] = sum(X[n, i, d1, ..., dk] ^ 2), where
    max(0, c - floor((size - 1) / 2)) <= i <= min(C - 1, c + ceil((size - 1) / 2))".
    """

    x: Value
    size: int
    alpha: float = 0.0001
    beta: float = 0.75
    bias: float = 1.0
    onnx = "LRN"

    def infer(self, x: Type) -> Type:
        check_per_channel(x)
        if self.size < 1:
            raise TypeProblem(f"size must be at least 1, got {self.size}")
        return Type(x.elem, x.shape)

    @property
    def sides(self) -> tuple[int, int]:
        """Neighbours before and after a channel."""
        return (self.size - 1) // 2, self.size - 1 - (self.size - 1) // 2

    def reference(self, x: np.ndarray) -> np.ndarray:
        before, after = self.sides
        squares = np.pad(wide(x) ** 2, [(0, 0), (before, after)] + [(0, 0)] * (x.ndim - 2))
        channels = x.shape[1]
        total = sum(squares[:, i : i + channels] for i in range(self.size))
        kind = squares.dtype.type
        base = kind(self.bias) + kind(self.alpha / self.size) * total
        return (x / base ** kind(self.beta)).astype(x.dtype)

    def lower(self, b: Builder) -> str:
        """The sum over channels is an AveragePool over them, seen as one plane [1, C, everything else]."""
        x = b.type(self.x)
        before, after = self.sides
        plane = np.array([x.dims[0], 1, x.dims[1], prod(x.dims[2:])], np.int64)
        squares = b.reshape(b.one(Mul(self.x, self.x)), b.const(plane, name="plane"))
        mean = b.average_pool(
            squares, kernel=(self.size, 1), strides=(1, 1), pads=(before, 0, after, 0), dilations=(1, 1),
            count_include_pad=True,
        )
        mean = b.reshape(mean, b.const(np.array(x.dims, np.int64), name="shape"))
        scaled = b.one(Mul(mean, b.const(self.alpha, like=self.x, name="alpha")))
        base = b.one(Add(scaled, b.const(self.bias, like=self.x, name="bias")))
        return b.one(Div(self.x, b.one(Pow(base, b.const(self.beta, like=self.x, name="beta")))))

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield case(floats(rng, (1, 7, 3, 4)), size=5)
        yield case(floats(rng, (2, 4, 3, 3)), size=3, alpha=0.9, beta=0.5, bias=2.0)
        yield case(floats(rng, (1, 5, 2)), size=4, alpha=0.5)


class Softmax(Normalization):
    """exp(x) / Σ exp(x) along one axis; shifted by the maximum so that exp cannot overflow."""

    x: Value
    axis: int = -1
    onnx = "Softmax"
    inplace = ("x",)
    flops_per_element = 5

    def infer(self, x: Type) -> Type:
        check_float(x)
        check_axis(self.axis, x.rank)
        return Type(x.elem, x.shape, order=x.order)

    def reference(self, x: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            e = np.exp(wide(x) - wide(x).max(self.axis, keepdims=True, initial=-np.inf))
            return (e / e.sum(self.axis, keepdims=True)).astype(x.dtype)

    def lower(self, b: Builder) -> str:
        e = b.one(Exp(_below_maximum(b, self.x, self.axis)))
        return b.one(Div(e, b.reduce_sum(e, axes=(self.axis,), keepdims=True)))

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield from _softmax_cases(rng)


class LogSoftmax(Normalization):
    """x - max - log Σ exp(x - max) along one axis."""

    x: Value
    axis: int = -1
    onnx = "LogSoftmax"
    inplace = ("x",)
    flops_per_element = 5

    def infer(self, x: Type) -> Type:
        check_float(x)
        check_axis(self.axis, x.rank)
        return Type(x.elem, x.shape, order=x.order)

    def reference(self, x: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            moved = wide(x) - wide(x).max(self.axis, keepdims=True, initial=-np.inf)
            return (moved - np.log(np.exp(moved).sum(self.axis, keepdims=True))).astype(x.dtype)

    def lower(self, b: Builder) -> str:
        moved = _below_maximum(b, self.x, self.axis)
        total = b.reduce_sum(b.one(Exp(moved)), axes=(self.axis,), keepdims=True)
        return b.one(Sub(moved, b.one(Log(total))))

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield from _softmax_cases(rng)


def _below_maximum(b: Builder, x: str, axis: int) -> str:
    return b.one(Sub(x, b.reduce_max(x, axes=(axis,), keepdims=True)))


def _softmax_cases(rng: np.random.Generator) -> Iterator[Case]:
    yield case(floats(rng, (3, 17)))
    yield case(floats(rng, (2, 3, 5)) * 30, axis=1)
    yield case(floats(rng, (2, 3, 5)), axis=0)
    yield case(floats(rng, (4, 1)))
    yield case(np.array([[1e4, -1e4, 9999.0]], np.float32))
    yield case(np.zeros((2, 0), np.float32))
