"""Det and EyeLike: what a square matrix spans, and a matrix with ones on a diagonal."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from glowviz.compiler.ops.base import Case, Op, Value, Work, case
from glowviz.compiler.ops.cases import floats, integers
from glowviz.compiler.ops.norm import check_float, wide
from glowviz.compiler.types import ELEMENTS, Type, TypeProblem, of_array


class Det(Op):
    """The determinant of every matrix in the last two dims."""

    x: Value
    onnx = "Det"
    family = "linear"

    def infer(self, x: Type) -> Type:
        check_float(x)
        if x.rank < 2 or x.dims[-1] != x.dims[-2]:
            raise TypeProblem(f"x must end in two equal dims, got {x}")
        return Type(x.elem, x.dims[:-2])

    def reference(self, x: np.ndarray) -> np.ndarray:
        return np.linalg.det(wide(x)).astype(x.dtype)

    def work(self, operands: tuple[Type, ...], results: tuple[Type, ...]) -> Work:
        n = operands[0].dims[-1]
        return Work(2 * operands[0].count * n // 3, sum(t.bytes for t in (*operands, *results)))

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield case(floats(rng, (3, 3)))
        yield case(floats(rng, (2, 1, 4, 4)))


class EyeLike(Op):
    """A matrix of the shape of x with ones on the k-th diagonal, in its element kind or another one."""

    x: Value
    dtype: str = ""
    k: int = 0
    onnx = "EyeLike"
    reads_types_only = True

    def infer(self, x: Type) -> Type:
        if x.rank != 2:
            raise TypeProblem(f"x must have two dims, got {x}")
        return Type(self.dtype or x.elem, x.shape)

    def reference(self, x: np.ndarray) -> np.ndarray:
        return self.from_types(of_array(x))

    def from_types(self, x: Type) -> np.ndarray:
        return np.eye(*x.dims, k=self.k).astype(ELEMENTS[self.dtype or x.elem])

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield case(floats(rng, (3, 4)))
        yield case(integers(rng, (4, 2), 0, 3), dtype="f32", k=-1)
