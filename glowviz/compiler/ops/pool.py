"""Pools: the largest or the mean of every window, or of the whole plane."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

import numpy as np

from glowviz.compiler.ops.base import Builder, Case, Op, Value, Work, case
from glowviz.compiler.ops.cases import floats, integers
from glowviz.compiler.ops.windows import Ints, Windows, padded, slide, tap_slices
from glowviz.compiler.types import FLOATS, Type, TypeProblem


def _spatial(x: Type) -> None:
    if x.rank < 3:
        raise TypeProblem(f"x must have N, C and at least one spatial dim, got {x}")


def lowest(dtype: np.dtype) -> float | int | bool:
    """What every other number of the kind is at least as large as."""
    if dtype == np.bool_:
        return False
    return int(np.iinfo(dtype).min) if np.issubdtype(dtype, np.integer) else -np.inf


def highest(dtype: np.dtype) -> float | int | bool:
    """What every other number of the kind is at most as large as."""
    if dtype == np.bool_:
        return True
    return int(np.iinfo(dtype).max) if np.issubdtype(dtype, np.integer) else np.inf


class Pool(Op, abstract=True):
    """Windows over the spatial dims of x[N, C, spatial…]."""

    family = "pool"

    def windows(self, x: Sequence[int]) -> Windows:
        """The geometry for a logical shape of x, with everything explicit."""
        at: Any = self  # every pool has these attributes, each class behind its own operands
        return slide(tuple(x[2:]), at.kernel, at.strides, at.pads, at.dilations, at.auto_pad, at.ceil_mode)

    def work(self, operands: tuple[Type, ...], results: tuple[Type, ...]) -> Work:
        taps = prod(self.windows(operands[0].dims).kernel)
        return Work(results[0].count * taps, sum(t.bytes for t in (*operands, *results)))


class MaxPool(Pool):
    """The largest element of every window; padding is never chosen, NaN always.

    `indices` is the place of the maximum in x flattened, "Indices of the maximum values … the dimensions of
    output tensor"; with storage_order=1 the plane is counted column by column.
    """

    x: Value
    kernel: tuple[int, ...]
    strides: tuple[int, ...] = ()
    pads: tuple[int, ...] = ()
    dilations: tuple[int, ...] = ()
    ceil_mode: bool = False
    auto_pad: str = "NOTSET"
    storage_order: int = 0
    onnx = "MaxPool"
    outputs = ("y", "indices")

    def infer(self, x: Type) -> tuple[Type, ...]:
        _spatial(x)
        shape = (*x.dims[:2], *self.windows(x.dims).out)
        return Type(x.elem, shape, x.quant, x.order), Type("i64", shape)

    def reference(self, x: np.ndarray) -> tuple[np.ndarray, ...]:
        windows = self.windows(x.shape)
        wide = padded(x, windows, lowest(x.dtype))
        places = padded(self._places(x.shape), windows, -1)
        best, index = _first_tap(wide, places, windows)
        for _, cuts in tap_slices(windows)[1:]:
            value = wide[(slice(None), slice(None), *cuts)]
            place = places[(slice(None), slice(None), *cuts)]
            # padding (place -1) gives way even to another -inf; NaN beats numbers
            better = (value > best) | ((index < 0) & (place >= 0)) | ((value != value) & (best == best))
            best = np.where(better, value, best)
            index = np.where(better, place, index)
        return best, np.ascontiguousarray(index)

    def _places(self, shape: Sequence[int]) -> np.ndarray:
        spatial = tuple(shape[2:])
        plane = np.arange(prod(spatial), dtype=np.int64).reshape(spatial)
        if self.storage_order:
            plane = np.arange(prod(spatial), dtype=np.int64).reshape(spatial[::-1]).T
        base = np.arange(shape[0] * shape[1], dtype=np.int64).reshape(*shape[:2], *(1,) * len(spatial))
        return base * prod(spatial) + plane

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        for shape, attributes in _pool_shapes():
            yield case(floats(rng, shape), **attributes)
        yield case(floats(rng, (1, 1, 8, 8)), kernel=(2, 2), dilations=(3, 2), strides=(1, 2))
        yield case(floats(rng, (1, 2, 5, 6)), kernel=(2, 3), storage_order=1)
        yield case(integers(rng, (1, 2, 5, 5), -9, 9, "i8"), kernel=(3, 3), pads=(1, 1, 1, 1))
        yield case(np.array([[[1, np.nan, -np.inf, -np.inf, 2]]], np.float32), kernel=(2,), pads=(1, 0))
        yield case(floats(rng, (1, 2, 3, 2)), kernel=(9, 7), strides=(9, 7), ceil_mode=True)


def _first_tap(x: np.ndarray, places: np.ndarray, windows: Windows) -> tuple[np.ndarray, np.ndarray]:
    cuts = tap_slices(windows)[0][1]
    at = (slice(None), slice(None), *cuts)
    return x[at].copy(), places[at].copy()


def _pool_shapes() -> Iterator[tuple[Ints, dict[str, object]]]:
    yield (1, 3, 8, 8), {"kernel": (2, 2), "strides": (2, 2)}
    yield (2, 2, 7, 9), {"kernel": (3, 2), "strides": (2, 1), "pads": (1, 0, 1, 1)}
    yield (1, 1, 7, 7), {"kernel": (3, 3), "strides": (2, 2), "ceil_mode": True, "pads": (1, 1, 1, 1)}
    yield (1, 2, 6, 5), {"kernel": (2, 2), "strides": (2, 2), "ceil_mode": True}
    yield (1, 1, 2, 2), {"kernel": (1, 1), "strides": (2, 2), "ceil_mode": True}
    for auto_pad in ("SAME_UPPER", "SAME_LOWER", "VALID"):
        yield (1, 2, 7, 6), {"kernel": (3, 2), "strides": (2, 2), "auto_pad": auto_pad}
    yield (1, 2, 9), {"kernel": (4,), "strides": (3,)}
    yield (1, 1, 4, 5, 4), {"kernel": (2, 2, 2), "strides": (1, 2, 2)}


class AveragePool(Pool):
    """The mean of every window; padding counts as zeros with count_include_pad, else not at all."""

    x: Value
    kernel: tuple[int, ...]
    strides: tuple[int, ...] = ()
    pads: tuple[int, ...] = ()
    dilations: tuple[int, ...] = ()
    ceil_mode: bool = False
    auto_pad: str = "NOTSET"
    count_include_pad: bool = False
    onnx = "AveragePool"

    def infer(self, x: Type) -> Type:
        _spatial(x)
        if x.elem not in FLOATS:
            raise TypeProblem(f"x must be floating-point, got {x}; Cast it first")
        return Type(x.elem, (*x.dims[:2], *self.windows(x.dims).out), order=x.order)

    def counts(self, x: Sequence[int]) -> np.ndarray:
        """How many elements each window's sum is divided by, [out…]; those that ceil_mode adds never count."""
        windows = self.windows(x)
        inside = np.ones((1, 1, *x[2:]), np.int64)
        if self.count_include_pad:
            sides = zip(windows.begins, windows.ends, strict=True)
            inside = np.pad(inside, [(0, 0), (0, 0), *sides], constant_values=1)
            size = inside.shape[2:]
            zero = (0,) * len(size)
            windows = Windows(
                size, windows.kernel, windows.strides, windows.dilations, zero, zero, windows.out
            )
        wide = padded(inside, windows, 0)
        return sum(wide[(0, 0, *cuts)] for _, cuts in tap_slices(windows))  # type: ignore[return-value]  # an array

    def reference(self, x: np.ndarray) -> np.ndarray:
        windows = self.windows(x.shape)
        wide = padded(x, windows, 0)
        total = np.zeros((*x.shape[:2], *windows.out), np.promote_types(x.dtype, np.float32))
        for _, cuts in tap_slices(windows):
            total += wide[(slice(None), slice(None), *cuts)]
        return (total / self.counts(x.shape)).astype(x.dtype)

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        for shape, attributes in _pool_shapes():
            yield case(floats(rng, shape), **attributes)
        for shape, attributes in _pool_shapes():
            yield case(floats(rng, shape), count_include_pad=True, **attributes)
        yield case(floats(rng, (1, 1, 8, 8)), kernel=(2, 2), dilations=(3, 2), strides=(1, 2))
        for counted in (False, True):
            yield case(floats(rng, (1, 2, 3, 2)), kernel=(9, 7), strides=(9, 7), ceil_mode=True,
                       count_include_pad=counted)


class GlobalAveragePool(Op):
    """The mean over all spatial dims, which stay as ones."""

    x: Value
    onnx = "GlobalAveragePool"
    family = "pool"

    def infer(self, x: Type) -> Type:
        _spatial(x)
        return Type(x.elem, (*x.dims[:2], *(1,) * (x.rank - 2)), order=x.order)

    def reference(self, x: np.ndarray) -> np.ndarray:
        wide = np.promote_types(x.dtype, np.float32)
        with np.errstate(all="ignore"):
            return x.mean(tuple(range(2, x.ndim)), keepdims=True, dtype=wide).astype(x.dtype)

    def lower(self, b: Builder) -> str:
        axes = tuple(range(2, b.type(self.x).rank))
        return b.reduce_mean(self.x, axes=axes, keepdims=True)

    def work(self, operands: tuple[Type, ...], results: tuple[Type, ...]) -> Work:
        return Work(operands[0].count, sum(t.bytes for t in (*operands, *results)))

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        for shape in ((2, 3, 5, 7), (1, 4, 6), (1, 2, 3, 4, 5)):
            yield case(floats(rng, shape))


class GlobalMaxPool(Op):
    """The largest over all spatial dims, which stay as ones."""

    x: Value
    onnx = "GlobalMaxPool"
    family = "pool"

    def infer(self, x: Type) -> Type:
        _spatial(x)
        return Type(x.elem, (*x.dims[:2], *(1,) * (x.rank - 2)), order=x.order)

    def reference(self, x: np.ndarray) -> np.ndarray:
        return x.max(tuple(range(2, x.ndim)), keepdims=True, initial=lowest(x.dtype))

    def lower(self, b: Builder) -> str:
        return b.reduce_max(self.x, axes=tuple(range(2, b.type(self.x).rank)), keepdims=True)

    def work(self, operands: tuple[Type, ...], results: tuple[Type, ...]) -> Work:
        return Work(operands[0].count, sum(t.bytes for t in (*operands, *results)))

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        for shape in ((2, 3, 5, 7), (1, 4, 6)):
            yield case(floats(rng, shape))
