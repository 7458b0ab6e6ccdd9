"""A matrix product by Strassen's scheme as two instructions of a Program: the sums of blocks of A, and the products."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import numpy as np

from glowviz.compiler.backends.cpu.kernels.geometry import Matrix
from glowviz.compiler.backends.cpu.kernels.strassen import StrassenSpec, pack_strassen, unpack_strassen
from glowviz.compiler.backends.cpu.kernels.strassen_scheme import LEFT, PRODUCTS, RESULT, nested, sums_of
from glowviz.compiler.ops.base import INSTRUCTIONS, Case, Op, Value, Work, case
from glowviz.compiler.ops.cases import floats
from glowviz.compiler.types import Type


def spec_of(m: int, n: int, k: int, levels: int, lanes: int) -> StrassenSpec:
    """The product of dense matrices."""
    return StrassenSpec(m, n, k, Matrix.dense(m, k), Matrix.dense(m, n), levels, lanes)


class StrassenSums(Op, abstract=True):
    """The left factors of all products, sums of blocks of the rows of x: [row of a block, product, column]."""

    x: Value
    levels: int = 1
    family = "linear"

    def infer(self, x: Type) -> Type:
        spec = spec_of(prod(x.dims[:-1]), 1, x.dims[-1], self.levels, 1)
        return Type(x.elem, (spec.rows, spec.products, spec.depth))

    def reference(self, x: np.ndarray) -> np.ndarray:
        spec = spec_of(int(prod(x.shape[:-1])), 1, x.shape[-1], self.levels, 1)
        sums = sums_of(x.reshape(-1, x.shape[-1]), nested(LEFT, self.levels), spec.rows, spec.depth)
        return np.ascontiguousarray(sums.transpose(1, 0, 2))

    def work(self, operands: tuple[Type, ...], results: tuple[Type, ...]) -> Work:
        return Work(5 * results[0].count // PRODUCTS, sum(t.bytes for t in (*operands, *results)))

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield case(floats(rng, (2, 5, 24)), levels=1)
        yield case(floats(rng, (7, 20)), levels=2)


class StrassenProduct(Op, abstract=True):
    """x · B [K, columns] + b, from s = StrassenSums(x) and the sums of blocks of B packed in w.

    `shape` is the result's, its last number the columns of B. A panel of w has `vectors` times `lanes` columns, of
    which `turns` rows of all products lie together. See kernels/strassen.py.
    """

    s: Value
    w: Value
    b: Value | None = None
    shape: tuple[int, ...] = ()
    levels: int = 1
    vectors: int = 1
    turns: int = 128
    lanes: int = 1
    family = "linear"

    def spec(self, depth: int) -> StrassenSpec:
        """The geometry for blocks of A with so many columns."""
        return spec_of(prod(self.shape[:-1]), self.shape[-1], depth << self.levels, self.levels, self.lanes)

    def infer(self, s: Type, w: Type, b: Type | None) -> Type:
        return Type(s.elem, self.shape)

    def reference(self, s: np.ndarray, w: np.ndarray, b: np.ndarray | None) -> np.ndarray:
        spec = self.spec(s.shape[-1])
        right = unpack_strassen(w, spec, self.vectors, self.turns)
        products = s.transpose(1, 0, 2) @ right
        blocks = np.tensordot(nested(RESULT, self.levels).astype(s.dtype), products, ((0,), (0,)))
        whole = blocks.transpose(0, 2, 1, 3).reshape(spec.side * spec.rows, -1)
        y = np.ascontiguousarray(whole[: spec.m, : spec.n]).reshape(self.shape)
        return y if b is None else y + b

    def work(self, operands: tuple[Type, ...], results: tuple[Type, ...]) -> Work:
        flops = self.spec(operands[0].dims[-1]).flops
        return Work(flops, sum(t.bytes for t in (*operands, *results)))

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        for shape, depth, levels, turns in (((2, 5, 13), 24, 1, 128), ((7, 40), 20, 2, 2)):
            op = StrassenProduct("s", "w", None, shape, levels, 2, turns, 4)
            spec = op.spec(depth >> op.levels)
            x, b = floats(rng, (prod(shape[:-1]), depth)), floats(rng, (depth, shape[-1]))
            s = StrassenSums("x", op.levels).reference(x)
            yield case(s, pack_strassen(b, spec, op.vectors, op.turns), **op.attributes)


# instructions of Programs only: no Graph has them, and no table of ops names them
INSTRUCTIONS |= {op.instruction: op for op in (StrassenSums, StrassenProduct)}
