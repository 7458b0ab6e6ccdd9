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
    if mask is not None:
        ends = do("ReduceSum", mask, axes=(1,), keepdims=False)
    else:
        ends = do.const(np.zeros(do.static(ids)[:1]), like=ids)
    do.finish(y, ends, total)


def _positions(do: Writer, site: Site, ids: str) -> str:
    """Embeddings of the given positions, or of 0, 1, 2 …"""
    if site.operand(8) is not None:
        return do("Gather", site.need(3), site.need(8), axis=0)
    length = do("Shape", ids, start=1, end=2)
    places = (do.const([0]), length, do.const([0]))
    return do("Unsqueeze", do("Slice", site.need(3), *places), axes=(0,))
