"""Products of bf16 numbers that are summed up in f32: what precision="bf16" makes of Conv, MatMul and Gemm."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

import numpy as np

from glowviz.compiler.ops.base import Builder, Case, Op, case
from glowviz.compiler.ops.cases import floats
from glowviz.compiler.ops.conv import Conv
from glowviz.compiler.ops.linear import Gemm, MatMul
from glowviz.compiler.types import Type, TypeProblem


class WideMatMul(MatMul):
    """MatMul of bf16 numbers in f32: every product is exact, sums are rounded to f32.

    A machine's own instruction (vdpbf16ps) may sum in another order, and takes numbers below 2^-126 as zero.
    """

    onnx = None
    instruction = "wide_matmul"

    def infer(self, a: Type, b: Type) -> Type:
        _need_bf16(a, b)
        return super().infer(a, b).with_elem("f32")

    def lower(self, b: Builder) -> str:
        """MatMul of Casts to f32: the same numbers."""
        return b.one(MatMul(*(b.cast(x, to="f32") for x in (self.a, self.b))))

    def reference(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return super().reference(widened(a), widened(b))

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield case(floats(rng, (3, 4), "bf16"), floats(rng, (4, 5), "bf16"))
        yield case(floats(rng, (2, 17, 34), "bf16"), floats(rng, (34, 19), "bf16"))


class WideGemm(Gemm):
    """Gemm of bf16 numbers a and b in f32, as WideMatMul; c is f32."""

    onnx = None

    def infer(self, a: Type, b: Type, c: Type | None) -> Type:
        _need_bf16(a, b)
        return super().infer(a.with_elem("f32"), b.with_elem("f32"), c)

    def lower(self, b: Builder) -> str:
        """Gemm of Casts to f32: the same numbers."""
        left, right = (b.cast(x, to="f32") for x in (self.a, self.b))
        return b.one(Gemm(left, right, self.c, self.alpha, self.beta, self.trans_a, self.trans_b))

    def reference(self, a: np.ndarray, b: np.ndarray, c: np.ndarray | None) -> np.ndarray:
        return super().reference(widened(a), widened(b), c)

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        a, b = floats(rng, (3, 6), "bf16"), floats(rng, (6, 4), "bf16")
        yield case(a, b)
        yield case(a, b.T.copy(), floats(rng, (4,)), trans_b=True, alpha=0.5)


class WideConv(Conv):
    """Conv of bf16 numbers x and w in f32, as WideMatMul; b is f32."""

    onnx = None

    def infer(self, x: Type, w: Type, b: Type | None) -> Type:
        _need_bf16(x, w)
        return super().infer(x, w, b).with_elem("f32")

    def lower(self, b: Builder) -> str:
        """Conv of Casts to f32: the same numbers."""
        x, w = (b.cast(v, to="f32") for v in (self.x, self.w))
        return b.one(Conv(x, w, self.b, self.strides, self.pads, self.dilations, self.group, self.auto_pad))

    def reference(self, x: np.ndarray, w: np.ndarray, b: np.ndarray | None) -> np.ndarray:
        return super().reference(widened(x), widened(w), b)

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        x, w = floats(rng, (1, 6, 5, 6), "bf16"), floats(rng, (4, 6, 3, 3), "bf16")
        yield case(x, w, pads=(1, 1, 1, 1))
        yield case(x, w, floats(rng, (4,)), strides=(2, 2))


def plain_of(op: Op) -> Op:
    """The op of f32 that a wide op is, on the same operands."""
    plain = next(cls for cls in (Conv, Gemm, MatMul) if isinstance(op, cls))
    return plain(**{f.name: getattr(op, f.name) for f in fields(plain)})  # type: ignore[arg-type]  # a dataclass


def widened(array: np.ndarray) -> np.ndarray:
    """bf16 numbers as f32, which holds them all; doubles, where every float is one, stay."""
    return array if array.dtype == np.float64 else array.astype(np.float32)


def _need_bf16(*types: Type) -> None:
    if any(t.elem != "bf16" for t in types):
        raise TypeProblem(f"operands must be bf16, got {' and '.join(map(str, types))}; Cast them first")
