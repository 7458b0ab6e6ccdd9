"""Pools and normalizations by the p-norm, running products, and the one largest element of a row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from glowviz.compiler.ops.base import Builder, Case, Op, Value, case
from glowviz.compiler.ops.cases import floats, integers
from glowviz.compiler.ops.norm import Normalization, check_axis, check_float, wide
from glowviz.compiler.ops.pool import Pool
from glowviz.compiler.ops.windows import padded, tap_slices
from glowviz.compiler.types import Type, TypeProblem


class LpPool(Pool):
    """The p-norm of every window; padding counts as zeros."""

    x: Value
    kernel: tuple[int, ...]
    strides: tuple[int, ...] = ()
    pads: tuple[int, ...] = ()
    dilations: tuple[int, ...] = ()
    ceil_mode: bool = False
    auto_pad: str = "NOTSET"
    p: int = 2
    onnx = "LpPool"

    def infer(self, x: Type) -> Type:
        check_float(x)
        if x.rank < 3:
            raise TypeProblem(f"x must have N, C and at least one spatial dim, got {x}")
        return Type(x.elem, (*x.dims[:2], *self.windows(x.dims).out))

    def reference(self, x: np.ndarray) -> np.ndarray:
        windows = self.windows(x.shape)
        powers = padded(np.abs(wide(x)) ** self.p, windows, 0)
        taps = (powers[(slice(None), slice(None), *cuts)] for _, cuts in tap_slices(windows))
        return (sum(taps, np.zeros((), powers.dtype)) ** (1 / self.p)).astype(x.dtype)

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield case(floats(rng, (1, 3, 8, 8)), kernel=(2, 2), strides=(2, 2))
        yield case(floats(rng, (2, 2, 7, 9)), kernel=(3, 2), pads=(1, 0, 1, 1), p=3)
        yield case(floats(rng, (1, 2, 9)), kernel=(4,), strides=(3,), p=1)
        yield case(floats(rng, (1, 2, 7, 6)), kernel=(3, 2), strides=(2, 2), auto_pad="SAME_UPPER")


class GlobalLpPool(Op):
    """The p-norm over all spatial dims, which stay as ones."""

    x: Value
    p: int = 2
    onnx = "GlobalLpPool"
    family = "pool"

    def infer(self, x: Type) -> Type:
        check_float(x)
        return Type(x.elem, (*x.dims[:2], *(1,) * (x.rank - 2)))

    def reference(self, x: np.ndarray) -> np.ndarray:
        axes = tuple(range(2, x.ndim))
        return ((np.abs(wide(x)) ** self.p).sum(axes, keepdims=True) ** (1 / self.p)).astype(x.dtype)

    def lower(self, b: Builder) -> str | None:
        axes = tuple(range(2, b.type(self.x).rank))
        if self.p > 2:
            return None
        return (b.reduce_l1 if self.p == 1 else b.reduce_l2)(self.x, axes=axes, keepdims=True)

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        for p in (1, 2, 3):
            yield case(floats(rng, (2, 3, 5, 7)), p=p)


class LpNormalization(Normalization):
    """x divided by the sum of its magnitudes (p=1) or by the root of its squares' sum (p=2) along an axis."""

    x: Value
    axis: int = -1
    p: int = 2
    onnx = "LpNormalization"
    flops_per_element = 3

    def infer(self, x: Type) -> Type:
        check_float(x)
        check_axis(self.axis, x.rank)
        if self.p not in (1, 2):
            raise TypeProblem(f"p must be 1 or 2, got {self.p}")
        return Type(x.elem, x.shape)

    def reference(self, x: np.ndarray) -> np.ndarray:
        size = np.linalg.norm(wide(x), self.p, self.axis, keepdims=True)
        return np.where(size == 0, 0, wide(x) / np.where(size == 0, 1, size)).astype(x.dtype)

    def lower(self, b: Builder) -> str:
        """A row of zeros stays one: it is divided by 1."""
        norm = b.reduce_l1 if self.p == 1 else b.reduce_l2
        size = norm(self.x, axes=(self.axis % b.type(self.x).rank,), keepdims=True)
        nothing = b.equal(size, b.const(0, like=self.x, name="zero"))
        return b.div(self.x, b.where(nothing, b.const(1, like=self.x, name="one"), size))

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        for p in (1, 2):
            yield case(floats(rng, (2, 3, 5)), p=p)
            yield case(floats(rng, (2, 3, 5)), p=p, axis=1)


class Hardmax(Op):
    """1 where the first largest element along an axis is, 0 elsewhere."""

    x: Value
    axis: int = -1
    onnx = "Hardmax"
    family = "norm"

    def infer(self, x: Type) -> Type:
        check_float(x)
        check_axis(self.axis, x.rank)
        return Type(x.elem, x.shape)

    def reference(self, x: np.ndarray) -> np.ndarray:
        y = np.zeros_like(x)
        if x.size:
            np.put_along_axis(y, np.expand_dims(np.argmax(x, self.axis), self.axis), 1, self.axis)
        return y

    def lower(self, b: Builder) -> str:
        """The index of the largest one, held against the indices of all."""
        x = b.type(self.x)
        axis = self.axis % x.rank
        best = b.arg_max(self.x, axis=axis, keepdims=True)
        places = np.arange(x.dims[axis], dtype=np.int64).reshape([-1 if i == axis else 1 for i in range(x.rank)])
        return b.cast(b.equal(b.const(places, name="places"), best), to=x.elem)

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        ties = np.round(floats(rng, (2, 3, 5)))
        yield case(ties)
        yield case(ties, axis=1)


class CumProd(Op):
    """Running products along an axis (an operand); without the element itself if exclusive, from the end if reverse."""

    x: Value
    axis: Value
    exclusive: bool = False
    reverse: bool = False
    onnx = "CumProd"
    family = "norm"

    def infer(self, x: Type, axis: Type, *, known: Mapping[str, np.ndarray | None]) -> Type:
        content = known["axis"]
        if axis.count != 1:
            raise TypeProblem(f"axis must be one number, got {axis}")
        if content is not None:
            check_axis(int(content.reshape(())), x.rank)
        return Type(x.elem, x.shape)

    def reference(self, x: np.ndarray, axis: np.ndarray) -> np.ndarray:
        place = int(np.asarray(axis).reshape(())) % x.ndim
        source = np.flip(x, place) if self.reverse else x
        if self.exclusive and x.shape[place]:
            first = np.ones_like(np.take(source, [0], place))
            source = np.concatenate([first, np.take(source, range(x.shape[place] - 1), place)], place)
        products = np.cumprod(source, place, dtype=x.dtype)
        return np.ascontiguousarray(np.flip(products, place) if self.reverse else products)

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        x = floats(rng, (2, 3, 4))
        yield case(x, np.array(1, np.int64))
        yield case(x, np.array(-1, np.int32), exclusive=True)
        yield case(integers(rng, (6,), 1, 5), np.array(0, np.int64), exclusive=True, reverse=True)
