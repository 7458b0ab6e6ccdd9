"""What onnxruntime's quantizer writes (com.microsoft): between dequantizing and quantizing stands the ordinary op."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from glowviz.compiler.importer.quirks import op, quirk
from glowviz.compiler.importer.site import NotTaken, Site
from glowviz.compiler.importer.writer import Writer
from glowviz.compiler.ops.base import Op

MICROSOFT = "com.microsoft"


def real(do: Writer, index: int, axis: int = 1) -> str:
    """Operands index, +1 and +2 (value, scale, zero point) as real numbers."""
    site = do.site
    return do("DequantizeLinear", site.need(index), site.need(index + 1), site.operand(index + 2), axis=axis)


def quantized(site: Site, value: str, scale: int, like: str) -> Op:
    """The value with the scale and zero point of two operands; without a zero point, 0 of another value's kind."""
    zero = site.operand(scale + 1)
    if zero is None:
        zero = site.const(0, "nothing", site.type(like).dtype)
    return op("QuantizeLinear", value, site.need(scale), zero)


def unary(index: int, make: Callable[[Writer, str], str]) -> Callable[[Site], Op]:
    """A quirk for (x, scale, zero, y_scale, y_zero), whose op `make` writes."""

    def read(site: Site) -> Op:
        do = Writer(site)
        return quantized(site, make(do, real(do, 0)), index, site.need(0))

    return read


@quirk(f"{MICROSOFT}::QuantizeLinear")
def quantize(site: Site) -> Op:
    """ONNX's op under another roof."""
    zero = site.operand(2)
    return op("QuantizeLinear", site.need(0), site.need(1), zero, axis=int(site.number("axis", 1)))


@quirk(f"{MICROSOFT}::DequantizeLinear")
def dequantize(site: Site) -> Op:
    """ONNX's op under another roof."""
    return op("DequantizeLinear", site.need(0), site.need(1), site.operand(2), axis=int(site.number("axis", 1)))


@quirk(f"{MICROSOFT}::QLinearAdd", f"{MICROSOFT}::QLinearMul")
def two(site: Site) -> Op:
    """Sum or product of two quantized values."""
    do = Writer(site)
    value = do(site.kind.removeprefix("QLinear"), real(do, 0), real(do, 3))
    return quantized(site, value, 6, site.need(0))


quirk(f"{MICROSOFT}::QLinearSigmoid")(unary(3, lambda do, x: do("Sigmoid", x)))


@quirk(f"{MICROSOFT}::QLinearLeakyRelu")
def leaky(site: Site) -> Op:
    """LeakyRelu of a quantized value."""
    alpha = float(site.number("alpha", 0.01))
    return unary(3, lambda do, x: do("LeakyRelu", x, alpha=alpha))(site)


@quirk(f"{MICROSOFT}::QLinearSoftmax")
def softmax(site: Site) -> Op:
    """Softmax of a quantized value; for opsets before 13 over all dims from the axis on."""
    axis = int(site.number("axis", -1))

    def make(do: Writer, x: str) -> str:
        rank = do.site.rank(x)
        if int(site.number("opset", 13)) >= 13 or axis == -1 or axis + 1 == rank:
            return do("Softmax", x, axis=axis)
        soft = do("Softmax", do("Flatten", x, axis=axis), axis=1)
        return do("Reshape", soft, do("Shape", x))

    return unary(3, make)(site)


@quirk(f"{MICROSOFT}::QLinearGlobalAveragePool")
def global_pool(site: Site) -> Op:
    """The mean of every plane."""
    if site.number("channels_last", 0):
        raise NotTaken("its channels stand last")
    return unary(3, lambda do, x: do("GlobalAveragePool", x))(site)


@quirk(f"{MICROSOFT}::QLinearAveragePool")
def average_pool(site: Site) -> Op:
    """The mean of every window."""
    if site.number("channels_last", 0):
        raise NotTaken("its channels stand last")
    windows = {
        "kernel": site.ints("kernel_shape"), "strides": site.ints("strides"), "pads": site.ints("pads"),
        "ceil_mode": bool(site.number("ceil_mode", 0)), "auto_pad": str(site.attrs.get("auto_pad", "NOTSET")),
        "count_include_pad": bool(site.number("count_include_pad", 0)),
    }
    return unary(3, lambda do, x: do("AveragePool", x, **windows))(site)


@quirk(f"{MICROSOFT}::QLinearReduceMean")
def mean(site: Site) -> Op:
    """The mean over some axes."""
    axes, keep = site.ints("axes"), bool(site.number("keepdims", 1))
    return unary(3, lambda do, x: do("ReduceMean", x, axes=axes, keepdims=keep))(site)


@quirk(f"{MICROSOFT}::QLinearConcat")
def concat(site: Site) -> Op:
    """Values with scales of their own beside each other under one scale."""
    do = Writer(site)
    parts = tuple(real(do, i) for i in range(2, len(site.operands), 3))
    return quantized(site, do("Concat", parts, axis=int(site.number("axis", 0))), 0, site.need(2))


@quirk(f"{MICROSOFT}::QLinearWhere")
def where(site: Site) -> Op:
    """One quantized value or another."""
    do = Writer(site)
    return quantized(site, do("Where", site.need(0), real(do, 1), real(do, 4)), 7, site.need(1))


@quirk(f"{MICROSOFT}::QLinearConv")
def conv(site: Site) -> Op:
    """ONNX's op under another roof, unless channels stand last."""
    if site.number("channels_last", 0):
        raise NotTaken("its channels stand last")
    names = ("strides", "pads", "dilations")
    windows: dict[str, Any] = {name: site.ints(name) for name in names}
    windows["group"] = int(site.number("group", 1))
    windows["auto_pad"] = str(site.attrs.get("auto_pad", "NOTSET"))
    return op("QLinearConv", *(site.need(i) for i in range(8)), site.operand(8), **windows)


@quirk(f"{MICROSOFT}::NhwcMaxPool")
def channels_last_pool(site: Site) -> Op:
    """MaxPool between two transposes."""
    do, rank = Writer(site), site.rank(site.need(0)) or 4
    windows = {"kernel": site.ints("kernel_shape"), "strides": site.ints("strides"), "pads": site.ints("pads")}
    windows |= {"dilations": site.ints("dilations")}
    first = do("Transpose", site.need(0), perm=(0, rank - 1, *range(1, rank - 1)))
    ceil_mode, auto_pad = bool(site.number("ceil_mode", 0)), str(site.attrs.get("auto_pad", "NOTSET"))
    pooled = do("MaxPool", first, ceil_mode=ceil_mode, auto_pad=auto_pad, **windows)
    return op("Transpose", pooled, perm=(0, *range(2, rank), 1))


@quirk(f"{MICROSOFT}::QGemm")
def gemm(site: Site) -> Op:
    """alpha · (a · b) + c, quantized again where a scale for the result is given; c has the scale of the product."""
    do = Writer(site)
    a, b = real(do, 0), real(do, 3, axis=0 if site.number("transB", 0) else 1)
    c = site.operand(6)
    if c is not None:
        scale = do("Mul", site.need(1), site.need(4))
        c = do("Mul", do("Cast", c, to="f32"), scale)
    product = op(
        "Gemm", a, b, c, alpha=float(site.number("alpha", 1.0)), beta=1.0, trans_a=bool(site.number("transA", 0)),
        trans_b=bool(site.number("transB", 0)),
    )
    if site.operand(7) is None:
        return product
    return quantized(site, site.add(product, "product"), 7, site.need(0))


def scaled(do: Writer, total: str, scales: tuple[str, str], bias: str | None) -> str:
    """i32 sums as real numbers, plus a bias."""
    value = do("Mul", do("Cast", total, to="f32"), do("Mul", *scales))
    return value if bias is None else do("Add", value, bias)


@quirk(f"{MICROSOFT}::MatMulIntegerToFloat")
def integer_product(site: Site) -> Op:
    """The product of quantized matrices as real numbers."""
    do = Writer(site)
    total = do("MatMulInteger", site.need(0), site.need(1), site.operand(4), site.operand(5))
    return op("Identity", scaled(do, total, (site.need(2), site.need(3)), site.operand(6)))


@quirk(f"{MICROSOFT}::DynamicQuantizeMatMul")
def dynamic_product(site: Site) -> Op:
    """The left matrix is quantized by its own range at every run."""
    do = Writer(site)
    left, scale, zero = do.several(3, op("DynamicQuantizeLinear", site.need(0)))
    total = do("MatMulInteger", left, site.need(1), zero, site.operand(3))
    return op("Identity", scaled(do, total, (scale, site.need(2)), site.operand(4)))


def blocks(site: Site, packed: np.ndarray, bits: int, count: int) -> np.ndarray:
    """Numbers of 2, 4 or 8 bits, the lowest first in every byte, as one byte each; the last dim grows to `count`."""
    each = 8 // bits
    parts = [(packed >> (bits * i)) & ((1 << bits) - 1) for i in range(each)]
    return np.stack(parts, -1).reshape(*packed.shape[:-1], -1)[..., :count]


@quirk(f"{MICROSOFT}::MatMulNBits")
def small_weights(site: Site) -> Op:
    """Weights [N, blocks, bytes] of few bits become u8 with a scale per block; the product is an ordinary one."""
    n, k, size = (int(site.number(name, 0)) for name in ("N", "K", "block_size"))
    bits = int(site.number("bits", 4))
    packed = site.known(1)
    if packed is None or bits not in (2, 4, 8) or site.operand(4) is not None:
        raise NotTaken("its weights are computed while it runs, or it has group indices or odd bits")
    count = -(-k // size)
    weights = blocks(site, packed.reshape(n, count, -1), bits, size).reshape(n, -1)[:, :k]
    site.drop(1)
    do = Writer(site)
    scales = do("Reshape", site.need(2), do.const([n, count]))
    zero = _zeros(site, n, count, bits)
    wide = do("DequantizeLinear", site.const(weights, "weights", np.uint8), scales, zero, axis=1, block_size=size)
    product = do("MatMul", site.need(0), do("Transpose", wide, perm=(1, 0)))
    return op("Add", product, site.need(5)) if site.operand(5) is not None else op("Identity", product)


def _zeros(site: Site, n: int, count: int, bits: int) -> str:
    """Zero points [n, blocks]; the middle of the range where the file gives none."""
    given = site.known(3)
    if site.operand(3) is None:
        return site.const(np.full((n, count), 1 << (bits - 1)), "middle", np.uint8)
    if given is None or given.dtype != np.uint8:
        raise NotTaken("its zero points are no packed constants")
    site.drop(3)
    return site.const(blocks(site, given.reshape(n, -1), bits, count), "zeros", np.uint8)


@quirk(f"{MICROSOFT}::GatherBlockQuantized")
def gathered_blocks(site: Site) -> Op:
    """Rows of a table of few bits, scaled block by block."""
    bits, size = int(site.number("bits", 4)), int(site.number("block_size", 128))
    data, scales, zero = site.need(0), site.need(2), site.operand(3)
    if site.type(data).elem == "u8" and bits != 8:
        packed = site.known(0)
        if packed is None:
            raise NotTaken("its table is computed while it runs")
        data = site.const(blocks(site, packed, bits, packed.shape[-1] * 8 // bits), "table", np.uint8)
        site.drop(0)
    axis = int(site.number("quantize_axis", 1))
    do = Writer(site)
    if zero is None and site.type(data).elem == "u8":
        shape = do.static(scales)
        zero = site.const(np.full(shape, 1 << (bits - 1)), "middle", np.uint8)
    wide = do("DequantizeLinear", data, scales, zero, axis=axis, block_size=size)
    return op("Gather", wide, site.need(1), axis=int(site.number("gather_axis", 0)))
