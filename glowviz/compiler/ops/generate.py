"""Tensors made from a shape or a few numbers."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

import numpy as np

from glowviz.compiler.ops.base import Case, Op, Value, Work, case
from glowviz.compiler.ops.cases import floats, integers, ints
from glowviz.compiler.ops.shape import Known, Movement, numbers
from glowviz.compiler.types import ELEMENTS, KnownAtRunTime, Type, TypeProblem


class ConstantOfShape(Movement):
    """One value of one element kind everywhere."""

    shape: Value
    value: float | int | bool = 0.0
    elem: str = "f32"
    onnx = "ConstantOfShape"

    def infer(self, shape: Type, *, known: Known) -> Type:
        dims = numbers(known, "shape", "the shape")
        if any(n < 0 for n in dims):
            raise TypeProblem(f"the shape may not hold negative numbers, got {list(dims)}")
        return Type(self.elem, dims)

    def reference(self, shape: np.ndarray) -> np.ndarray:
        return np.full(tuple(int(n) for n in shape.reshape(-1)), self.value, ELEMENTS[self.elem])

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield case(ints(2, 3), value=0.5)
        yield case(ints(), value=7, elem="i64")
        yield case(ints(0, 2))
        yield case(ints(3), value=True, elem="bool")


class Range(Op):
    """start, start + delta, … as long as it stays before limit: max(ceil((limit - start) / delta), 0) numbers."""

    start: Value
    limit: Value
    delta: Value
    onnx = "Range"
    family = "shape"

    def infer(self, start: Type, limit: Type, delta: Type, *, known: Known) -> Type:
        if not start.elem == limit.elem == delta.elem:
            raise TypeProblem(f"operands must have one element type, got {start}, {limit} and {delta}")
        contents = [known[name] for name in ("start", "limit", "delta")]
        if any(c is None for c in contents):
            raise KnownAtRunTime("start, limit and delta must be known when compiling; make them constants")
        return Type(start.elem, (_length(*(np.asarray(c) for c in contents)),))

    def reference(self, start: np.ndarray, limit: np.ndarray, delta: np.ndarray) -> np.ndarray:
        first, step = np.asarray(start).reshape(()), np.asarray(delta).reshape(())
        steps = np.arange(_length(start, limit, delta)).astype(first.dtype)
        return (first + steps * step).astype(first.dtype)

    def work(self, operands: tuple[Type, ...], results: tuple[Type, ...]) -> Work:
        return Work(0, results[0].bytes)

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        for start, limit, delta in ((0, 5, 1), (10, 4, -2), (3, 3, 1), (5, 0, 1)):
            yield case(*(np.array(n, np.int64) for n in (start, limit, delta)))
        yield case(*(np.array(n, np.float32) for n in (1.0, 2.1, 0.5)))


def _length(start: np.ndarray, limit: np.ndarray, delta: np.ndarray) -> int:
    first, last, step = (np.asarray(a).reshape(()).item() for a in (start, limit, delta))
    if step == 0:
        raise TypeProblem("delta may not be 0")
    return max(ceil((last - first) / step), 0)


class Trilu(Movement):
    """The upper (or lower) triangle of the last two dims, the rest 0; k moves the diagonal."""

    x: Value
    k: Value | None = None
    upper: bool = True
    onnx = "Trilu"

    def infer(self, x: Type, k: Type | None) -> Type:
        if x.rank < 2:
            raise TypeProblem(f"x must have at least two dims, got {x}")
        return Type(x.elem, x.shape)

    def reference(self, x: np.ndarray, k: np.ndarray | None) -> np.ndarray:
        diagonal = 0 if k is None else int(np.asarray(k).reshape(()))
        return np.triu(x, diagonal) if self.upper else np.tril(x, diagonal)

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        x = floats(rng, (2, 4, 5))
        yield case(x)
        yield case(x, upper=False)
        yield case(x, np.array(1, np.int64))
        yield case(x, np.array(-2, np.int64), upper=False)
        yield case(integers(rng, (3, 3), 1, 9), np.array(7, np.int64))
