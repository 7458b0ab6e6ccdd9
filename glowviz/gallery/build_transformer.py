"""Transformer pieces written to ONNX: layer norm, GELU and attention, whole or in the pieces exporters leave."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi, sqrt

import numpy as np
import onnx

from glowviz.gallery.writer import Net


@dataclass(frozen=True)
class Shape:
    """Sizes of a transformer: batch × sequence × width, and how it is cut into heads."""

    sequence: int
    width: int
    heads: int
    batch: int = 1

    @property
    def head(self) -> int:
        return self.width // self.heads


def layer_norm(net: Net, x: str, width: int, *, name: str, whole: bool) -> str:
    """Layer normalization over the last dimension; whole=False gives its nine pieces."""
    rng = net.random(name)
    scale = net.weight(f"{name}.scale", rng.uniform(0.8, 1.2, width).astype(np.float32))
    bias = net.weight(f"{name}.bias", rng.normal(0, 0.1, width).astype(np.float32))
    if whole:
        return net.add("LayerNormalization", x, scale, bias, name=name, axis=-1, epsilon=1e-5)
    mean = net.add("ReduceMean", x, name=f"{name}.mean", axes=[-1], keepdims=1)
    centred = net.add("Sub", x, mean, name=f"{name}.centred")
    square = net.add("Pow", centred, net.scalar(f"{name}.two", 2.0), name=f"{name}.square")
    variance = net.add("ReduceMean", square, name=f"{name}.variance", axes=[-1], keepdims=1)
    shifted = net.add("Add", variance, net.scalar(f"{name}.epsilon", 1e-5), name=f"{name}.shifted")
    deviation = net.add("Sqrt", shifted, name=f"{name}.deviation")
    unit = net.add("Div", centred, deviation, name=f"{name}.unit")
    scaled = net.add("Mul", unit, scale, name=f"{name}.scaled")
    return net.add("Add", scaled, bias, name=name)


def gelu_erf(net: Net, x: str, *, name: str) -> str:
    """x/2 · (1 + erf(x/√2)) in its five pieces."""
    inner = net.add("Div", x, net.scalar(f"{name}.root2", sqrt(2)), name=f"{name}.inner")
    erf = net.add("Erf", inner, name=f"{name}.erf")
    one = net.add("Add", erf, net.scalar(f"{name}.one", 1.0), name=f"{name}.shift")
    product = net.add("Mul", x, one, name=f"{name}.product")
    return net.add("Mul", product, net.scalar(f"{name}.half", 0.5), name=name)


def gelu_tanh(net: Net, x: str, *, name: str) -> str:
    """x/2 · (1 + tanh(√(2/π)·(x + 0.044715·x³))) in its eight pieces, as GPT-2 has it."""
    cube = net.add("Pow", x, net.scalar(f"{name}.three", 3.0), name=f"{name}.cube")
    small = net.add("Mul", cube, net.scalar(f"{name}.c", 0.044715), name=f"{name}.small")
    total = net.add("Add", x, small, name=f"{name}.sum")
    inner = net.add("Mul", total, net.scalar(f"{name}.k", sqrt(2 / pi)), name=f"{name}.inner")
    tanh = net.add("Tanh", inner, name=f"{name}.tanh")
    one = net.add("Add", tanh, net.scalar(f"{name}.one", 1.0), name=f"{name}.shift")
    half = net.add("Mul", x, net.scalar(f"{name}.half", 0.5), name=f"{name}.halved")
    return net.add("Mul", half, one, name=name)


def _heads(net: Net, x: str, shape: Shape, perm: list[int], *, name: str) -> str:
    cut = net.integers(f"{name}.cut", [shape.batch, shape.sequence, shape.heads, shape.head])
    return net.add("Transpose", net.add("Reshape", x, cut, name=f"{name}.cut_heads"), name=name, perm=perm)


def attention(net: Net, x: str, shape: Shape, *, name: str, causal: bool = False) -> str:
    """Multi-head self attention: softmax(Q·Kᵀ/√d [+ mask])·V, then the output projection."""
    width = (shape.width, shape.width)
    query = _heads(net, net.linear(x, width, name=f"{name}.query"), shape, [0, 2, 1, 3], name=f"{name}.q")
    key = _heads(net, net.linear(x, width, name=f"{name}.key"), shape, [0, 2, 3, 1], name=f"{name}.k")
    value = _heads(net, net.linear(x, width, name=f"{name}.value"), shape, [0, 2, 1, 3], name=f"{name}.v")
    return _attend(net, (query, key, value), shape, name=name, causal=causal)


def _attend(net: Net, qkv: tuple[str, str, str], shape: Shape, *, name: str, causal: bool) -> str:
    scores = net.add("MatMul", qkv[0], qkv[1], name=f"{name}.scores")
    scores = net.add("Div", scores, net.scalar(f"{name}.root", sqrt(shape.head)), name=f"{name}.scaled")
    if causal:
        mask = np.triu(np.full((shape.sequence, shape.sequence), -1e4, np.float32), k=1)
        scores = net.add("Add", scores, net.weight(f"{name}.mask", mask[None, None]), name=f"{name}.masked")
    weights = net.add("Softmax", scores, name=f"{name}.softmax", axis=-1)
    mixed = net.add("MatMul", weights, qkv[2], name=f"{name}.mixed")
    back = net.add("Transpose", mixed, name=f"{name}.back", perm=[0, 2, 1, 3])
    joined = net.integers(f"{name}.joined", [shape.batch, shape.sequence, shape.width])
    flat = net.add("Reshape", back, joined, name=f"{name}.join_heads")
    return net.linear(flat, (shape.width, shape.width), name=f"{name}.project")


def _feed_forward(net: Net, x: str, width: int, *, name: str) -> str:
    wide = net.linear(x, (width, 4 * width), name=f"{name}.up")
    # GELU leaves about 0.42 of the mean square, so gain 2 keeps the spread.
    return net.linear(gelu_erf(net, wide, name=f"{name}.gelu"), (4 * width, width), name=f"{name}.down", gain=2.0)


def encoder(layers: int = 6, width: int = 768, heads: int = 12, sequence: int = 128, *,
            whole_layer_norm: bool = True, seed: int = 0, opset: int = 17) -> onnx.ModelProto:
    """A BERT-like encoder over embedded tokens, f32[1 × sequence × width] -> the same shape.

    Normalization comes after the residual sum, the GELU is the erf form in pieces. Weights are seeded.
    """
    net = Net("encoder", seed, opset)
    shape = Shape(sequence, width, heads)
    x = net.input("embedded", [1, sequence, width])
    for i in range(layers):
        name = f"layer{i}"
        mixed = attention(net, x, shape, name=f"{name}.attention")
        total = net.add("Add", x, mixed, name=f"{name}.residual1")
        x = layer_norm(net, total, width, name=f"{name}.norm1", whole=whole_layer_norm)
        forward = _feed_forward(net, x, width, name=f"{name}.mlp")
        total = net.add("Add", x, forward, name=f"{name}.residual2")
        x = layer_norm(net, total, width, name=f"{name}.norm2", whole=whole_layer_norm)
    net.output("encoded", x, [1, sequence, width])
    return net.model()
