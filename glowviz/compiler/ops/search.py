"""Where the largest elements are, the largest ones in order, and running sums."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod

import numpy as np

from glowviz.compiler.ops.base import Case, Op, Value, Work, case
from glowviz.compiler.ops.cases import floats, integers, ints
from glowviz.compiler.ops.norm import check_axis
from glowviz.compiler.types import KnownAtRunTime, Type, TypeProblem


class Extreme(Op, abstract=True):
    """The index of an extreme along one axis, the first one of equals unless select_last_index."""

    family = "norm"
    x: Value
    axis: int = 0
    keepdims: bool = True
    select_last_index: bool = False

    def infer(self, x: Type) -> Type:
        axis = check_axis(self.axis, x.rank)
        if x.rank and x.dims[axis] == 0:
            raise TypeProblem(f"there is no largest or smallest of 0 elements along axis {self.axis} of {x}")
        kept = (1,) if self.keepdims else ()
        shape = (*x.dims[:axis], *kept, *x.dims[axis + 1 :]) if x.rank else ()
        return Type("i64", shape)

    def extreme(self, x: np.ndarray, axis: int) -> np.ndarray:
        """The first index of the extreme."""
        raise NotImplementedError(f"{self.name} does not say its extreme")

    def reference(self, x: np.ndarray) -> np.ndarray:
        if not x.ndim:
            return np.zeros((), np.int64)
        axis = self.axis % x.ndim
        if self.select_last_index:
            index = x.shape[axis] - 1 - self.extreme(np.flip(x, axis), axis)
        else:
            index = self.extreme(x, axis)
        return (np.expand_dims(index, axis) if self.keepdims else np.asarray(index)).astype(np.int64)

    def work(self, operands: tuple[Type, ...], results: tuple[Type, ...]) -> Work:
        return Work(operands[0].count, sum(t.bytes for t in (*operands, *results)))

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        ties = np.round(floats(rng, (3, 4, 5)) * 2)
        yield case(ties)
        yield case(ties, axis=-1, keepdims=False)
        yield case(ties, axis=1, select_last_index=True)
        yield case(integers(rng, (2, 17), 0, 5), axis=1)


class ArgMax(Extreme):
    """The index of the largest element along one axis; the first NaN if there is one."""

    onnx = "ArgMax"

    def extreme(self, x: np.ndarray, axis: int) -> np.ndarray:
        return np.argmax(x, axis)


class ArgMin(Extreme):
    """The index of the smallest element along one axis; the first NaN if there is one."""

    onnx = "ArgMin"

    def extreme(self, x: np.ndarray, axis: int) -> np.ndarray:
        return np.argmin(x, axis)


class CumSum(Op):
    """Running sums along an axis (an operand); without the element itself if exclusive, from the end if reverse."""

    x: Value
    axis: Value
    exclusive: bool = False
    reverse: bool = False
    onnx = "CumSum"
    family = "norm"

    def infer(self, x: Type, axis: Type, *, known: Mapping[str, np.ndarray | None]) -> Type:
        if axis.count != 1:
            raise TypeProblem(f"axis must be one number, got {axis}")
        content = known["axis"]
        if content is not None:
            check_axis(int(content.reshape(())), x.rank)
        return Type(x.elem, x.shape)

    def reference(self, x: np.ndarray, axis: np.ndarray) -> np.ndarray:
        place = int(np.asarray(axis).reshape(())) % x.ndim
        source = np.flip(x, place) if self.reverse else x
        sums = np.cumsum(source, place, dtype=x.dtype)
        if self.exclusive:
            first = np.zeros_like(np.take(sums, [0], place)) if x.shape[place] else sums
            rest = [slice(None)] * x.ndim
            rest[place] = slice(0, -1)
            sums = np.concatenate([first, sums[tuple(rest)]], place)
        return np.ascontiguousarray(np.flip(sums, place) if self.reverse else sums)

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        x = floats(rng, (2, 3, 4))
        yield case(x, np.array(1, np.int64))
        yield case(x, np.array(-1, np.int32), exclusive=True)
        yield case(x, np.array(0, np.int64), reverse=True)
        yield case(integers(rng, (6,), 0, 5), np.array(0, np.int64), exclusive=True, reverse=True)


class TopK(Op):
    """The k largest (or smallest) elements along one axis with their indices; of equals the lower index first."""

    x: Value
    k: Value
    axis: int = -1
    largest: bool = True
    sorted: bool = True
    onnx = "TopK"
    family = "norm"
    outputs = ("values", "indices")

    def infer(self, x: Type, k: Type, *, known: Mapping[str, np.ndarray | None]) -> tuple[Type, ...]:
        axis = check_axis(self.axis, x.rank)
        content = known["k"]
        if content is None:
            raise KnownAtRunTime("k must be known when compiling; make it a constant")
        count = int(content.reshape(()))
        if not x.rank or not 0 <= count <= x.dims[axis]:
            raise TypeProblem(f"k must be between 0 and the size of axis {self.axis} of x {x}, got {count}")
        shape = (*x.dims[:axis], count, *x.dims[axis + 1 :])
        return Type(x.elem, shape), Type("i64", shape)

    def reference(self, x: np.ndarray, k: np.ndarray) -> tuple[np.ndarray, ...]:
        count, last = int(np.asarray(k).reshape(())), x.shape[self.axis] - 1
        rows = np.moveaxis(x, self.axis, -1)
        if self.largest:
            order = last - np.argsort(rows[..., ::-1], -1, kind="stable")[..., ::-1]
        else:
            order = np.argsort(rows, -1, kind="stable")
        order = order[..., :count]
        values = np.take_along_axis(rows, order, -1)
        moved = (np.moveaxis(a, -1, self.axis) for a in (values, order))
        return tuple(np.ascontiguousarray(a) for a in moved)

    def work(self, operands: tuple[Type, ...], results: tuple[Type, ...]) -> Work:
        x = operands[0]
        rounds = max(prod(results[0].dims) // max(x.count // max(x.dims[self.axis], 1), 1), 1).bit_length()
        return Work(x.count * rounds, sum(t.bytes for t in (*operands, *results)))

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        ties = np.round(floats(rng, (3, 4, 5)) * 2)
        yield case(ties, ints(3))
        yield case(ties, ints(2), axis=1)
        yield case(ties, ints(2), axis=0, largest=False)
        yield case(integers(rng, (2, 9), 0, 4), ints(9))
