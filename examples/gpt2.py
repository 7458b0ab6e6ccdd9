"""A GPT-2-like decoder: token and position embeddings, one merged QKV projection, causal mask, tanh GELU."""

from math import sqrt

import numpy as np
import onnx

from glowviz.gallery.build_transformer import Shape, gelu_tanh, layer_norm
from glowviz.gallery.writer import Net


def _embed(net: Net, tokens: str, vocabulary: int, shape: Shape) -> str:
    table = net.normal("token_embedding", (vocabulary, shape.width), 1.0)
    x = net.add("Gather", table, tokens, name="embed", axis=0)
    positions = net.normal("position_embedding", (1, shape.sequence, shape.width), 0.3)
    return net.add("Add", x, positions, name="embedded")


def _split_heads(net: Net, x: str, shape: Shape, *, name: str) -> list[str]:
    """One projection to 3 × width, split into Q, K and V, each cut into heads (K transposed)."""
    merged = net.linear(x, (shape.width, 3 * shape.width), name=f"{name}.qkv")
    parts = [f"{name}.{letter}" for letter in "qkv"]
    sizes = net.integers(f"{name}.sizes", [shape.width] * 3)
    node = onnx.helper.make_node("Split", [merged, sizes], parts, name=f"{name}.split", axis=-1)
    net.nodes.append(node)
    cut = net.integers(f"{name}.cut", [shape.batch, shape.sequence, shape.heads, shape.head])
    perms = ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3])
    heads = [net.add("Reshape", part, cut, name=f"{part}.cut") for part in parts]
    return [net.add("Transpose", head, name=f"{part}.heads", perm=perm)
            for head, part, perm in zip(heads, parts, perms, strict=True)]


def _attention(net: Net, x: str, shape: Shape, *, name: str) -> str:
    """The mask is chosen with Where, as GPT-2 exports have it."""
    query, key, value = _split_heads(net, x, shape, name=name)
    scores = net.add("MatMul", query, key, name=f"{name}.scores")
    scores = net.add("Div", scores, net.scalar(f"{name}.root", sqrt(shape.head)), name=f"{name}.scaled")
    seen = np.tril(np.ones((1, 1, shape.sequence, shape.sequence), np.bool_))
    scores = net.add("Where", net.weight(f"{name}.seen", seen), scores, net.scalar(f"{name}.never", -1e4),
                     name=f"{name}.masked")
    mixed = net.add("MatMul", net.add("Softmax", scores, name=f"{name}.softmax", axis=-1), value, name=f"{name}.mix")
    back = net.add("Transpose", mixed, name=f"{name}.back", perm=[0, 2, 1, 3])
    joined = net.integers(f"{name}.joined", [shape.batch, shape.sequence, shape.width])
    flat = net.add("Reshape", back, joined, name=f"{name}.join")
    return net.linear(flat, (shape.width, shape.width), name=f"{name}.project")


def build(layers: int = 4, width: int = 256, heads: int = 4, sequence: int = 64, vocabulary: int = 1000,
          seed: int = 0) -> onnx.ModelProto:
    """int64[1 × sequence] token numbers below `vocabulary` -> f32[1 × sequence × vocabulary] scores."""
    net = Net("gpt2", seed, opset=18)
    shape = Shape(sequence, width, heads)
    x = _embed(net, net.input("tokens", [1, sequence], onnx.TensorProto.INT64), vocabulary, shape)
    for i in range(layers):
        name = f"layer{i}"
        y = layer_norm(net, x, width, name=f"{name}.norm1", whole=True)
        x = net.add("Add", x, _attention(net, y, shape, name=f"{name}.attention"), name=f"{name}.residual1")
        y = layer_norm(net, x, width, name=f"{name}.norm2", whole=True)
        y = gelu_tanh(net, net.linear(y, (width, 4 * width), name=f"{name}.up"), name=f"{name}.gelu")
        y = net.linear(y, (4 * width, width), name=f"{name}.down", gain=2.0)
        x = net.add("Add", x, y, name=f"{name}.residual2")
    x = layer_norm(net, x, width, name="norm", whole=True)
    net.output("scores", net.linear(x, (width, vocabulary), name="head"), [1, sequence, vocabulary])
    return net.model()
