"""Elements picked and placed by indices."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np

from glowviz.compiler.ops.base import Builder, Case, Op, Value, case
from glowviz.compiler.ops.cases import booleans, floats, integers, ints
from glowviz.compiler.ops.norm import check_axis
from glowviz.compiler.ops.shape import Known, Movement
from glowviz.compiler.types import KnownAtRunTime, Symbol, Type, TypeProblem

REDUCTIONS = ("none", "add", "mul", "max", "min")


def _check_indices(indices: Type) -> None:
    if indices.elem not in ("i32", "i64"):
        raise TypeProblem(f"indices must be i32 or i64, got {indices}")


def within(indices: np.ndarray, size: int) -> np.ndarray:
    """Indices counted from 0; IndexError names one that is out of range."""
    wrong = (indices < -size) | (indices >= size)
    if np.any(wrong):
        raise IndexError(f"index {int(indices[wrong].flat[0])} is out of range for {size} elements")
    return np.where(indices < 0, indices + size, indices)


class Gather(Movement):
    """The slices of x along an axis that the indices name; negative ones count from the end."""

    x: Value
    indices: Value
    axis: int = 0
    onnx = "Gather"

    def infer(self, x: Type, indices: Type) -> Type:
        _check_indices(indices)
        if not x.rank:
            raise TypeProblem("x must have at least one dim, got a scalar")
        axis = check_axis(self.axis, x.rank)
        return Type(x.elem, (*x.dims[:axis], *indices.dims, *x.dims[axis + 1 :]))

    def reference(self, x: np.ndarray, indices: np.ndarray) -> np.ndarray:
        return np.take(x, within(indices, x.shape[self.axis]), self.axis)

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        x = floats(rng, (4, 3, 5))
        yield case(x, integers(rng, (2, 2), -4, 4))
        yield case(x, integers(rng, (6,), 0, 3, "i32"), axis=1)
        yield case(x, np.array(-1, np.int64), axis=2)
        yield case(x, np.zeros((0,), np.int64), axis=-1)
        yield case(integers(rng, (5,), 0, 99), ints(3))


class GatherElements(Movement):
    """result[i, j, …] = x[i, …, indices[i, j, …], …], the index standing at the axis."""

    x: Value
    indices: Value
    axis: int = 0
    onnx = "GatherElements"

    def infer(self, x: Type, indices: Type) -> Type:
        _check_indices(indices)
        axis = check_axis(self.axis, x.rank)
        pairs = zip(indices.dims, x.dims, strict=False)
        if x.rank != indices.rank or any(n > m for i, (n, m) in enumerate(pairs) if i != axis):
            raise TypeProblem(f"indices {indices} must have the rank of x {x} and fit into it but for axis {axis}")
        return Type(x.elem, indices.shape)

    def reference(self, x: np.ndarray, indices: np.ndarray) -> np.ndarray:
        axis = self.axis % x.ndim
        fit = tuple(slice(None) if i == axis else slice(n) for i, n in enumerate(indices.shape))
        return np.take_along_axis(x[fit], within(indices, x.shape[axis]), axis)

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        x = floats(rng, (4, 3, 5))
        yield case(x, integers(rng, (2, 3, 5), -4, 4))
        yield case(x, integers(rng, (3, 7, 2), 0, 3), axis=1)
        yield case(x, integers(rng, (4, 3, 1), 0, 5, "i32"), axis=-1)


class GatherND(Movement):
    """The slices of x that the rows of indices name, after batch_dims dims that both share."""

    x: Value
    indices: Value
    batch_dims: int = 0
    onnx = "GatherND"

    def infer(self, x: Type, indices: Type) -> Type:
        _check_indices(indices)
        batch = self.batch_dims
        if not indices.rank or batch >= min(x.rank, indices.rank) or x.dims[:batch] != indices.dims[:batch]:
            raise TypeProblem(f"x {x} and indices {indices} must share their first {batch} dims and have more")
        depth = indices.dims[-1]
        if depth > x.rank - batch:
            raise TypeProblem(f"indices of {depth} numbers are too long for the {x.rank - batch} last dims of x {x}")
        return Type(x.elem, (*indices.dims[:-1], *x.dims[batch + depth :]))

    def reference(self, x: np.ndarray, indices: np.ndarray) -> np.ndarray:
        batch, depth = self.batch_dims, indices.shape[-1]
        lead = x.shape[:batch]
        flat = x.reshape(prod(lead), *x.shape[batch:])
        rows = indices.reshape(prod(lead), -1, depth) if indices.size else indices.reshape(prod(lead), 0, depth)
        picks = [within(rows[..., i], x.shape[batch + i]) for i in range(depth)]
        found = flat[(np.arange(prod(lead))[:, None], *picks)]
        return found.reshape(*indices.shape[:-1], *x.shape[batch + depth :])

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        x = floats(rng, (2, 3, 4))
        yield case(x, np.array([[0, 1], [1, -1]], np.int64))
        yield case(x, np.array([[[0]], [[1]]], np.int64))
        yield case(x, np.array([[1], [0]], np.int64), batch_dims=1)
        yield case(x, np.array([[1, 2, 3]], np.int64))


def _combined(reduction: str, target: np.ndarray, places: tuple[Any, ...], updates: np.ndarray) -> None:
    """Put updates into target; the same place twice counts twice, except that the last one wins for `none`."""
    with np.errstate(all="ignore"):
        if reduction == "none":
            target[places] = updates
        else:
            ufunc = {"add": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum}[reduction]
            ufunc.at(target, places, updates)


def _check_reduction(reduction: str) -> None:
    if reduction not in REDUCTIONS:
        raise TypeProblem(f"reduction must be one of {', '.join(REDUCTIONS)}, got {reduction!r}")


class ScatterElements(Movement):
    """x with x[i, …, indices[i, j, …], …] replaced by (or combined with) updates[i, j, …]."""

    x: Value
    indices: Value
    updates: Value
    axis: int = 0
    reduction: str = "none"
    onnx = "ScatterElements"

    def infer(self, x: Type, indices: Type, updates: Type) -> Type:
        _check_indices(indices)
        _check_reduction(self.reduction)
        check_axis(self.axis, x.rank)
        if x.rank != indices.rank or updates.dims != indices.dims or updates.elem != x.elem:
            raise TypeProblem(
                f"indices {indices} and updates {updates} must have one shape, the rank of x and its element type {x}"
            )
        return Type(x.elem, x.shape)

    def reference(self, x: np.ndarray, indices: np.ndarray, updates: np.ndarray) -> np.ndarray:
        axis = self.axis % x.ndim
        places: list[Any] = list(np.indices(indices.shape, sparse=True))
        places[axis] = within(indices, x.shape[axis])
        y = x.copy()
        _combined(self.reduction, y, tuple(places), updates)
        return y

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        x = floats(rng, (3, 5))
        yield case(x, np.array([[1, 0, 2, -1, 0]], np.int64), floats(rng, (1, 5)))
        yield case(x, np.array([[1, 3], [0, -1]], np.int64), floats(rng, (2, 2)), axis=1)
        for reduction in ("add", "mul", "max", "min"):
            yield case(x, np.array([[1, 1]], np.int64), floats(rng, (1, 2)), axis=1, reduction=reduction)


class ScatterND(Movement):
    """x with the slices that the rows of indices name replaced by (or combined with) updates."""

    x: Value
    indices: Value
    updates: Value
    reduction: str = "none"
    onnx = "ScatterND"

    def infer(self, x: Type, indices: Type, updates: Type) -> Type:
        _check_indices(indices)
        _check_reduction(self.reduction)
        depth = indices.dims[-1] if indices.rank else 0
        if not indices.rank or depth > x.rank:
            raise TypeProblem(f"the last dim of indices {indices} must be at most the rank of x {x}")
        wanted = (*indices.dims[:-1], *x.dims[depth:])
        if updates.dims != wanted or updates.elem != x.elem:
            raise TypeProblem(f"updates must be {Type(x.elem, wanted)}, got {updates}")
        return Type(x.elem, x.shape)

    def reference(self, x: np.ndarray, indices: np.ndarray, updates: np.ndarray) -> np.ndarray:
        places = tuple(within(indices[..., i], x.shape[i]) for i in range(indices.shape[-1]))
        y = x.copy()
        _combined(self.reduction, y, places, updates)
        return y

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        x = floats(rng, (4, 3, 2))
        yield case(x, np.array([[0], [2]], np.int64), floats(rng, (2, 3, 2)))
        yield case(x, np.array([[0, 1], [3, -1]], np.int64), floats(rng, (2, 2)))
        for reduction in ("add", "mul", "max", "min"):
            yield case(x, np.array([[1], [1]], np.int64), floats(rng, (2, 3, 2)), reduction=reduction)


class OneHot(Op):
    """values = [off, on]: on where the new axis' index is the given one (negative from the end), off elsewhere."""

    indices: Value
    depth: Value
    values: Value
    axis: int = -1
    onnx = "OneHot"
    family = "shape"

    def infer(self, indices: Type, depth: Type, values: Type, *, known: Known) -> Type:
        content = known["depth"]
        if content is None:
            raise KnownAtRunTime("depth must be known when compiling; make it a constant")
        if values.dims != (2,):
            raise TypeProblem(f"values must be [off, on], two numbers, got {values}")
        axis = check_axis(self.axis, indices.rank + 1)
        size = int(np.asarray(content).reshape(()))
        return Type(values.elem, (*indices.dims[:axis], size, *indices.dims[axis:]))

    def reference(self, indices: np.ndarray, depth: np.ndarray, values: np.ndarray) -> np.ndarray:
        size = int(np.asarray(depth).reshape(()))
        axis = self.axis % (indices.ndim + 1)
        whole = indices.astype(np.int64)
        whole = np.where(whole < 0, whole + size, whole)
        spread = [1] * (indices.ndim + 1)
        spread[axis] = size
        hot = np.expand_dims(whole, axis) == np.arange(size).reshape(spread)
        return np.where(hot, values[1], values[0]).astype(values.dtype)

    def lower(self, b: Builder) -> str | None:
        """Where(indices = 0, 1, 2 … along the new axis, on, off), where the depth is known."""
        content = b.known(self.depth)
        if content is None or not b.type(self.indices).static or b.type(self.values).elem == "str":
            return None
        size, indices = int(np.asarray(content).reshape(())), self.indices
        if b.type(indices).elem != "i64":
            indices = b.cast(indices, to="i64")
        from_end = b.sub(indices, b.const(-size, like=indices, name="size"))
        whole = b.where(b.less(indices, b.const(0, like=indices, name="zero")), from_end, indices)
        rank = b.type(indices).rank + 1
        axis = self.axis % rank
        places = np.arange(size).reshape([size if n == axis else 1 for n in range(rank)])
        hot = b.equal(b.unsqueeze(whole, axes=(axis,)), b.const(places, name="places"))
        off, on = (b.gather(self.values, b.const(np.array(n, np.int64), name="side"), axis=0) for n in (0, 1))
        return b.where(hot, on, off)

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        values = np.array([-0.5, 2.0], np.float32)
        yield case(integers(rng, (2, 3), -5, 7), np.array(5, np.int64), values)
        yield case(integers(rng, (3,), 0, 4), ints(4), np.array([0, 1], np.int64), axis=0)


class NonZero(Op):
    """The indices of all elements that are not 0, one row for every dim; their number shows only at run time."""

    x: Value
    onnx = "NonZero"
    family = "shape"
    takes_held = True

    def infer(self, x: Type, *, known: Known) -> Type:
        if x.shape is None:
            return Type("i64", None)
        content = known["x"]
        if content is not None:
            return Type("i64", (x.rank, int(np.count_nonzero(content))))
        return Type("i64", (x.rank, Symbol(f"{self.x}.nonzero", x.count if x.static else None)))

    def reference(self, x: np.ndarray) -> np.ndarray:
        return np.array(np.nonzero(np.atleast_1d(x)), np.int64)[: x.ndim]

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield case(np.round(floats(rng, (3, 4))))
        yield case(booleans(rng, (7,)))
