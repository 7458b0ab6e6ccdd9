"""What onnxruntime's optimizer fuses (com.microsoft) is taken apart again: our own passes fuse what pays here."""

from __future__ import annotations

from typing import Any

import numpy as np

from glowviz.compiler.importer.quirks import op, quirk
from glowviz.compiler.importer.quirks_quantized import MICROSOFT
from glowviz.compiler.importer.site import NotTaken, Site
from glowviz.compiler.importer.writer import Writer
from glowviz.compiler.ops.base import Op


@quirk(f"{MICROSOFT}::FusedMatMul", f"{MICROSOFT}::TransposeMatMul")
def fused_matmul(site: Site) -> Op:
    """alpha · a · b, either side turned before."""
    if site.number("transBatchA", 0) or site.number("transBatchB", 0):
        raise NotTaken("it turns the batch dims")
    do = Writer(site)
    sides = []
    for index, name in ((0, "transA"), (1, "transB")):
        value = site.need(index)
        rank = site.rank(value) or 0
        if site.number(name, 0) and rank > 1:
            value = do("Transpose", value, perm=(*range(rank - 2), rank - 1, rank - 2))
        sides.append(value)
    alpha = float(site.number("alpha", 1.0))
    product = op("MatMul", *sides)
    return product if alpha == 1 else op("Mul", site.add(product, "product"), do.const(alpha, like=sides[0]))


ACTIVATIONS = {"LeakyRelu": ("alpha",), "HardSigmoid": ("alpha", "beta"), "Clip": ("low", "high")}


def activated(site: Site, value: Op, kind: str, numbers: tuple[float, ...]) -> Op:
    """The value behind an activation with its parameters."""
    if not kind:
        return value
    if kind not in ("Relu", "Tanh", "Sigmoid", "LeakyRelu", "HardSigmoid", "Clip"):
        raise NotTaken(f"its activation {kind} is not known here")
    named = dict(zip(ACTIVATIONS.get(kind, ()), map(float, numbers), strict=False))
    return op(kind, site.add(value, "before"), **named)


@quirk(f"{MICROSOFT}::FusedConv")
def fused_conv(site: Site) -> Op:
    """A convolution, another value added, an activation."""
    names = ("strides", "pads", "dilations")
    windows: dict[str, Any] = {name: site.ints(name) for name in names}
    windows["group"] = int(site.number("group", 1))
    windows["auto_pad"] = str(site.attrs.get("auto_pad", "NOTSET"))
    value = op("Conv", site.need(0), site.need(1), site.operand(2), **windows)
    if site.operand(3) is not None:
        value = op("Add", site.add(value, "conv"), site.need(3))
    numbers: Any = site.attrs.get("activation_params", ())
    return activated(site, value, str(site.attrs.get("activation", "")), numbers)


@quirk(f"{MICROSOFT}::FusedGemm")
def fused_gemm(site: Site) -> Op:
    """A Gemm and its activation."""
    value = op(
        "Gemm", site.need(0), site.need(1), site.operand(2), alpha=float(site.number("alpha", 1.0)),
        beta=float(site.number("beta", 1.0)), trans_a=bool(site.number("transA", 0)),
        trans_b=bool(site.number("transB", 0)),
    )
    numbers = [site.given[n] for n in ("activation_alpha", "activation_beta", "activation_gamma") if n in site.given]
    return activated(site, value, str(site.attrs.get("activation", "")), tuple(numbers))


@quirk(f"{MICROSOFT}::Gelu", f"{MICROSOFT}::BiasGelu", f"{MICROSOFT}::FastGelu")
def gelu(site: Site) -> Op:
    """Gelu of x or of x plus a bias; the fast one by tanh."""
    x = site.need(0)
    if site.operand(1) is not None:
        x = site.add(op("Add", x, site.need(1)), "biased")
    return op("Gelu", x, approximate="tanh" if site.kind == "FastGelu" else "none")


@quirk(f"{MICROSOFT}::QuickGelu")
def quick_gelu(site: Site) -> Op:
    """x · sigmoid(alpha · x)."""
    return op("Swish", site.need(0), alpha=float(site.number("alpha", 1.702)))


@quirk(f"{MICROSOFT}::BiasSoftmax")
def bias_softmax(site: Site) -> Op:
    """Softmax of a sum over the last dim."""
    x = site.need(0)
    axis, rank = int(site.number("axis", 1)), site.rank(x)
    if axis not in (-1, (rank or 0) - 1):
        raise NotTaken("it works over several dims")
    return op("Softmax", site.add(op("Add", x, site.need(1)), "sum"), axis=-1)


def normalized(do: Writer, x: str, scale: str, bias: str | None, simple: bool) -> str:
    """LayerNormalization over the last dim, or without the mean."""
    epsilon = float(do.site.number("epsilon", 1e-5 if simple else 1e-12))
    if not simple:
        return do("LayerNormalization", x, scale, bias, axis=-1, epsilon=epsilon)
    square = do("ReduceMean", do("Mul", x, x), axes=(-1,), keepdims=True)
    root = do("Sqrt", do("Add", square, do.const(epsilon, like=x)))
    return do("Mul", do("Div", x, root), scale)


@quirk(f"{MICROSOFT}::SkipLayerNormalization", f"{MICROSOFT}::SkipSimplifiedLayerNormalization")
def skip_layer_normalization(site: Site) -> None:
    """The sum of two values (and a bias) normalized; the sum itself is the fourth result."""
    do, simple = Writer(site), "Simplified" in site.kind
    total = do("Add", site.need(0), site.need(1))
    bias = site.operand(3 if simple else 4)
    if bias is not None:
        total = do("Add", total, bias)
    beta = None if simple else site.operand(3)
    do.finish(normalized(do, total, site.need(2), beta, simple), None, None, total)


@quirk("SimplifiedLayerNormalization", f"{MICROSOFT}::SimplifiedLayerNormalization")
def simplified(site: Site) -> None:
    """RMS normalization over the last dim."""
    if int(site.number("axis", -1)) not in (-1, (site.rank(site.need(0)) or 0) - 1):
        raise NotTaken("it normalizes over several dims")
    do = Writer(site)
    do.finish(normalized(do, site.need(0), site.need(1), None, simple=True))


@quirk(f"{MICROSOFT}::EmbedLayerNormalization")
def embed_layer_normalization(site: Site) -> None:
    """Word, position and segment embeddings added up and normalized; where the mask ends, per row."""
    do = Writer(site)
    ids = site.need(0)
    total = do("Gather", site.need(2), ids, axis=0)
    total = do("Add", total, _positions(do, site, ids))
    if site.operand(1) is not None and site.operand(4) is not None:
        total = do("Add", total, do("Gather", site.need(4), site.need(1), axis=0))
    epsilon = float(site.number("epsilon", 1e-12))
    y = do("LayerNormalization", total, site.need(5), site.need(6), axis=-1, epsilon=epsilon)
    mask = site.operand(7)
    ends = None if mask is None else do("ReduceSum", mask, axes=(1,), keepdims=False)
    do.finish(y, ends, total)


def _positions(do: Writer, site: Site, ids: str) -> str:
    """Embeddings of the given positions, or of 0, 1, 2 …"""
    if site.operand(8) is not None:
        return do("Gather", site.need(3), site.need(8), axis=0)
    length = do("Shape", ids, start=1, end=2)
    places = (do.const([0]), length, do.const([0]))
    return do("Unsqueeze", do("Slice", site.need(3), *places), axes=(0,))


@quirk(f"{MICROSOFT}::Attention", f"{MICROSOFT}::QAttention")
def attention(site: Site) -> None:
    """Queries, keys and values by one product from the input, then attention over heads."""
    do = Writer(site)
    if site.kind == "QAttention":
        weights = do("DequantizeLinear", site.need(1), site.need(4), site.operand(7), axis=1)
        x = do("DequantizeLinear", site.need(0), site.need(3), site.operand(6))
        mask, past, extra = site.operand(5), site.operand(8), None
    else:
        x, weights = site.need(0), site.need(1)
        mask, past, extra = site.operand(3), site.operand(4), site.operand(5)
    if past is not None or site.number("do_rotary", 0) or len(site.results) > 1 or len(site.operands) > 9:
        raise NotTaken("it keeps what it saw before, or turns positions")
    product = do("MatMul", x, weights)
    if site.operand(2) is not None:
        product = do("Add", product, site.need(2))
    width = do.static(weights)[1]
    sizes = site.ints("qkv_hidden_sizes") or (width // 3,) * 3
    q, k, v = do.several(3, op("Split", product, do.const(sizes), axis=-1, num_outputs=3))
    do.finish(attended(do, q, k, v, mask, extra))


@quirk(f"{MICROSOFT}::MultiHeadAttention")
def multi_head_attention(site: Site) -> None:
    """Attention over heads of given queries, keys and values."""
    if any(site.operand(i) is not None for i in range(6, 10)) or len(site.results) > 1 or site.operand(2) is None:
        raise NotTaken("it keeps what it saw before, or packs keys and values")
    do = Writer(site)
    parts = [site.need(i) for i in range(3)]
    if any(site.rank(p) != 3 for p in parts):
        raise NotTaken("its operands have heads already")
    if site.operand(3) is not None:
        sizes = [do.static(p)[2] for p in parts]
        biases = do.several(3, op("Split", site.need(3), do.const(sizes), axis=0, num_outputs=3))
        parts = [do("Add", p, b) for p, b in zip(parts, biases, strict=True)]
    q, k, v = parts
    do.finish(attended(do, q, k, v, site.operand(4), site.operand(5)))


def attended(do: Writer, q: str, k: str, v: str, mask: str | None, extra: str | None) -> str:
    """softmax(q · kᵀ · scale + mask) · v over heads, the heads beside each other again."""
    heads = int(do.site.number("num_heads", 1))
    q, k, v = (_heads(do, value, heads) for value in (q, k, v))
    size = do.static(q)[3]
    scale = do.site.number("scale", 0.0) or 1 / np.sqrt(size)
    scores = do("Mul", do("MatMul", q, do("Transpose", k, perm=(0, 1, 3, 2))), do.const(scale, like=q))
    if extra is not None:
        scores = do("Add", scores, extra)
    if do.site.number("unidirectional", 0):
        rows, columns = do.static(scores)[2:]
        future = np.triu(np.ones((rows, columns)), 1 + columns - rows)
        scores = do("Add", scores, do.const(future * _low(do), like=q))
    if mask is not None:
        scores = do("Add", scores, _masked(do, mask, scores, q))
    mixed = do("Transpose", do("MatMul", do("Softmax", scores, axis=-1), v), perm=(0, 2, 1, 3))
    return do("Reshape", mixed, do.const([0, 0, -1]))


def _low(do: Writer) -> float:
    """What a masked score gets added."""
    return float(do.site.number("mask_filter_value", -10000.0))


def _heads(do: Writer, value: str, heads: int) -> str:
    return do("Transpose", do("Reshape", value, do.const([0, 0, heads, -1])), perm=(0, 2, 1, 3))


def _masked(do: Writer, mask: str, scores: str, like: str) -> str:
    """0 where a key counts, a large negative number where it does not: [B, K], [B, Q, K], or how many keys [B]."""
    rank = do.site.rank(mask)
    length = do.static(scores)[3]
    batch = do.static(scores)[0]
    if rank == 1 and do.static(mask) == (batch,):
        ends = do("Unsqueeze", mask, axes=(1,))
        places = do.const(np.arange(length)[None], like=mask)
        mask = do("Cast", do("Less", places, ends), to="i32")
        rank = 2
    if rank not in (2, 3):
        raise NotTaken("its mask has a form that is not known here")
    number = do("Cast", mask, to=do.type(like).elem)
    masked = do("Mul", do("Sub", do.const(1, like=like), number), do.const(_low(do), like=like))
    return do("Unsqueeze", masked, axes=(1, 2) if rank == 2 else (1,))
