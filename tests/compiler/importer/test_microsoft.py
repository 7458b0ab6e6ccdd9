"""Ops of onnxruntime's quantizer and optimizer (com.microsoft) compute what onnxruntime computes."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import NodeProto

from glowviz.compiler.interpreter import run_graph
from tests.compiler.importer.small import by_runtime, model, node, read, value

RNG = np.random.default_rng(0)
F = {np.dtype(np.float32): 1, np.dtype(np.uint8): 2, np.dtype(np.int8): 3, np.dtype(np.int32): 6, np.dtype(np.int64): 7,
     np.dtype(np.bool_): 9}  # fmt: skip


def f32(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


def u8(*shape: int) -> np.ndarray:
    return RNG.integers(0, 255, shape).astype(np.uint8)


def i8(*shape: int) -> np.ndarray:
    return RNG.integers(-127, 127, shape).astype(np.int8)


def scale(number: float) -> np.ndarray:
    return np.array(number, np.float32)


def zero(number: int, dtype: Any = np.uint8) -> np.ndarray:
    return np.array(number, dtype)


Case = tuple[NodeProto, dict[str, np.ndarray]]


def one(kind: str, *operands: np.ndarray | None, results: int = 1, **attributes: Any) -> Case:
    names = ["" if o is None else f"i{k}" for k, o in enumerate(operands)]
    made = node(kind, names, [f"y{k}" for k in range(results)], domain="com.microsoft", **attributes)
    return made, {n: o for n, o in zip(names, operands, strict=True) if o is not None}


def group_query(
    new: int, seen: int, lengths: tuple[int, int] | None = None, turned: int = 0, packed: bool = False, **more: Any
) -> Case:  # fmt: skip
    """4 heads of 16 numbers share 2; `seen` keys lie in the cache, of which each sequence uses `lengths` - 1."""
    batch, size = 1 if new > 1 and seen else 2, 16
    parts = [f32(batch, new, heads * size) for heads in (4, 2, 2)]
    operands = [np.concatenate(parts, -1), None, None] if packed else parts
    past = [f32(batch, 2, seen, size) for _ in range(2)] if seen else [None, None]
    ends = np.array(lengths or (seen + new - 1,) * batch, np.int32)
    tables = [f32(16, turned), f32(16, turned)] if turned else []
    return one(
        "GroupQueryAttention", *operands, *past, ends, np.array(seen + new, np.int32), *tables, results=3, num_heads=4,
        kv_num_heads=2, do_rotary=int(bool(turned)), **more,
    )  # fmt: skip


Q = (scale(0.02), zero(120), scale(0.03), zero(128))
X4, W4 = u8(1, 3, 6, 6), i8(4, 3, 3, 3)
B, S, H = 2, 5, 8
CASES = {
    "DynamicQuantizeMatMul": one("DynamicQuantizeMatMul", f32(4, 6), i8(6, 3), scale(0.02), zero(0, np.int8), f32(3)),
    "MatMulIntegerToFloat": one(
        "MatMulIntegerToFloat", u8(4, 6), i8(6, 3), scale(0.1), scale(0.02), zero(9), zero(0, np.int8), f32(3)
    ),
    "QLinearAdd": one("QLinearAdd", u8(2, 3), *Q[:2], u8(3), *Q[2:], scale(0.05), zero(100)),
    "QLinearMul": one("QLinearMul", u8(2, 3), *Q[:2], u8(3), *Q[2:], scale(0.05), zero(100)),
    "QLinearSigmoid": one("QLinearSigmoid", u8(2, 3), *Q[:2], scale(1 / 256), zero(0)),
    "QLinearLeakyRelu": one("QLinearLeakyRelu", u8(2, 3), *Q, alpha=0.2),
    "QLinearSoftmax": one("QLinearSoftmax", u8(2, 3), *Q[:2], scale(1 / 256), zero(0), axis=-1, opset=13),
    "QLinearAveragePool": one("QLinearAveragePool", X4, *Q, kernel_shape=[2, 2], strides=[2, 2]),
    "QLinearGlobalAveragePool": one("QLinearGlobalAveragePool", X4, *Q, channels_last=0),
    "QLinearConcat": one("QLinearConcat", *Q[2:], u8(2, 3), *Q[:2], u8(2, 2), *Q[2:], axis=1),
    "NhwcMaxPool": one("NhwcMaxPool", u8(1, 6, 6, 3), kernel_shape=[2, 2], strides=[2, 2]),
    "QGemm": one(
        "QGemm", u8(4, 6), *Q[:2], i8(6, 3), scale(0.02), zero(0, np.int8), RNG.integers(-99, 99, 3).astype(np.int32),
        scale(0.3), zero(128), alpha=1.0,
    ),
    "QGemm of real numbers": one("QGemm", u8(4, 6), *Q[:2], i8(3, 6), scale(0.02), zero(0, np.int8), transB=1),
    "MatMulNBits": one("MatMulNBits", f32(2, 32), u8(3, 2, 8), f32(6), K=32, N=3, bits=4, block_size=16),
    "MatMulNBits with zeros": one(
        "MatMulNBits", f32(2, 32), u8(3, 2, 8), f32(6), u8(3), K=32, N=3, bits=4, block_size=16
    ),
    "GatherBlockQuantized": one(
        "GatherBlockQuantized", u8(5, 16), np.array([3, 0]), f32(5, 2), bits=4, block_size=16, quantize_axis=1,
        gather_axis=0,
    ),
    "FusedMatMul": one("FusedMatMul", f32(2, 4, 3), f32(2, 5, 4), alpha=0.5, transA=1, transB=1),
    "FusedConv": one(
        "FusedConv", f32(1, 3, 6, 6), f32(4, 3, 3, 3), f32(4), f32(1, 4, 4, 4), activation="Relu", kernel_shape=[3, 3]
    ),
    "FusedGemm": one("FusedGemm", f32(2, 3), f32(3, 4), f32(4), activation="LeakyRelu", activation_alpha=0.3),
    "Gelu": one("Gelu", f32(2, 3)),
    "BiasGelu": one("BiasGelu", f32(2, 3), f32(3)),
    "FastGelu": one("FastGelu", f32(2, 3), f32(3)),
    "QuickGelu": one("QuickGelu", f32(2, 3)),
    "SkipLayerNormalization": one(
        "SkipLayerNormalization", f32(B, S, H), f32(B, S, H), f32(H), f32(H), f32(H), epsilon=1e-5
    ),
    "SkipSimplifiedLayerNormalization": one(
        "SkipSimplifiedLayerNormalization", f32(B, S, H), f32(B, S, H), f32(H), epsilon=1e-5
    ),
    "EmbedLayerNormalization": one(
        "EmbedLayerNormalization", RNG.integers(0, 9, (B, S)).astype(np.int32),
        RNG.integers(0, 2, (B, S)).astype(np.int32), f32(9, H), f32(7, H), f32(2, H), f32(H), f32(H),
        np.array([[1] * 5, [1, 1, 1, 0, 0]], np.int32), results=2,
    ),
    "Attention": one("Attention", f32(B, S, H), f32(H, 3 * H), f32(3 * H), num_heads=2),
    "Attention with a mask": one(
        "Attention", f32(B, S, H), f32(H, 3 * H), f32(3 * H), np.array([[1] * 5, [1, 1, 1, 0, 0]], np.int32),
        num_heads=2,
    ),
    "Attention of ends": one(
        "Attention", f32(B, S, H), f32(H, 3 * H), f32(3 * H), np.array([5, 3], np.int32), num_heads=2
    ),
    "Attention to the past": one("Attention", f32(B, S, H), f32(H, 3 * H), f32(3 * H), num_heads=2, unidirectional=1),
    "QAttention": one(
        "QAttention", u8(B, S, H), i8(H, 3 * H), f32(3 * H), scale(0.02), scale(0.02), None, zero(128),
        zero(0, np.int8), num_heads=2,
    ),
    "MultiHeadAttention": one("MultiHeadAttention", f32(B, S, H), f32(B, 4, H), f32(B, 4, H), f32(3 * H), num_heads=2),
    "Attention with a past": one(
        "Attention", f32(B, S, H), f32(H, 3 * H), f32(3 * H), None, f32(2, B, 2, 3, 4), results=2, num_heads=2,
        unidirectional=1,
    ),
    "Attention with a past and a mask": one(
        "Attention", f32(B, S, H), f32(H, 3 * H), f32(3 * H), np.array([[0, 1] * 4, [1] * 8], np.int32),
        f32(2, B, 2, 3, 4), results=2, num_heads=2,
    ),
    "MultiHeadAttention with a past": one(
        "MultiHeadAttention", f32(B, S, H), f32(B, S, H), f32(B, S, H), f32(3 * H), None, None, f32(B, 2, 3, 4),
        f32(B, 2, 3, 4), results=3, num_heads=2, unidirectional=1,
    ),
    "MultiHeadAttention over keys with heads": one(
        "MultiHeadAttention", f32(B, S, H), f32(B, 2, 6, 4), f32(B, 2, 6, 4), None, None, f32(B, 2, S, 6), num_heads=2,
    ),
    "MultiHeadAttention with padding": one(
        "MultiHeadAttention", f32(B, S, H), f32(B, 4, H), f32(B, 4, H), None,
        np.array([[1, 1, 1, 0], [1] * 4], np.int32),
        num_heads=2, scale=0.3,
    ),
    "GroupQueryAttention of a prompt": group_query(S, 0),
    "GroupQueryAttention of one token": group_query(1, 6),
    "GroupQueryAttention of several tokens": group_query(3, 6),
    "GroupQueryAttention with turned positions": group_query(1, 6, turned=8),
    "GroupQueryAttention with pairs turned in part": group_query(S, 0, turned=8, rotary_interleaved=1),
    "GroupQueryAttention of sequences of several lengths": group_query(1, 6, lengths=(6, 3), turned=8),
    "GroupQueryAttention through a window": group_query(1, 6, local_window_size=3),
    "GroupQueryAttention with a soft limit": group_query(S, 0, softcap=1.5, scale=0.4),
    "GroupQueryAttention, all in one": group_query(1, 6, packed=True, turned=8),
    "RotaryEmbedding": one("RotaryEmbedding", f32(B, S, 12), np.array([2]), f32(9, 2), f32(9, 2)),
    "RotaryEmbedding of heads": one(
        "RotaryEmbedding", f32(B, 3, S, 8), RNG.integers(0, 9, (B, S)), f32(9, 4), f32(9, 4), interleaved=1
    ),
}  # fmt: skip
CACHES = {"GroupQueryAttention of sequences of several lengths"}
TABLES = {"GatherBlockQuantized"}
"""Ops whose first operand is a constant in every model."""


def made(name: str) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    """The model, one operand an input and the others constants."""
    proto, arrays = CASES[name]
    first = "i1" if name in TABLES else "i0"
    inputs = [value(first, arrays[first].shape, F[arrays[first].dtype])]
    constants = {n: a for n, a in arrays.items() if n != first}
    return model([proto], inputs, list(proto.output), constants, domains={"com.microsoft": 1}), {first: arrays[first]}


@pytest.mark.parametrize("name", CASES)
def test_as_in_onnxruntime(name: str) -> None:
    proto, given = made(name)
    wanted = by_runtime(proto, given)
    graph = read(proto)
    assert "Opaque" not in {n.kind for n in graph}
    found = run_graph(graph, given)
    for output, theirs in zip(graph.outputs, wanted, strict=True):
        ours = found[output.public]
        if name in CACHES and output.public != "y0":
            ours = np.where(theirs == 0, theirs, ours)  # behind a sequence's end anything may lie
        assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
        # a quantized result may lie one step beside theirs, where the real number is halfway
        loose = {"rtol": 0, "atol": 1} if ours.dtype.kind in "iu" else {"rtol": 1e-4, "atol": 2e-5}
        np.testing.assert_allclose(ours.astype(np.float64), theirs.astype(np.float64), **loose)
