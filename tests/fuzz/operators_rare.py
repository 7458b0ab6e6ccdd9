"""Operators that few models have: windows of sound, regions of pictures, losses, chance, caches, newer ones."""

from __future__ import annotations

import io

import numpy as np
from onnx import numpy_helper

from tests.fuzz.growing import ELEMENTS, Growing, NotValid, Val
from tests.fuzz.operators_heavy import tame
from tests.fuzz.registry import operator


def since(g: Growing, opset: int) -> None:
    if g.opset < opset:
        raise NotValid


def scalar(g: Growing, number: float, kind: str = "i8") -> str:
    return g.constant(np.array(number, kind))


@operator("HannWindow", "HammingWindow", "BlackmanWindow")
def window(g: Growing, op: str) -> None:
    since(g, 17)
    # ten and more: shorter ones of this formula divide by almost nothing
    g.node(op, [scalar(g, g.number(10, 40))], periodic=g.number(0, 1), low=-1, high=1)


@operator("MelWeightMatrix")
def mel(g: Growing, op: str) -> None:
    since(g, 17)
    operands = [scalar(g, g.number(2, 9)), scalar(g, g.one_of((16, 32, 64))), scalar(g, 8192)]
    g.node(op, [*operands, scalar(g, 0.0, "f4"), scalar(g, 4096.0, "f4")], low=0, high=1)


@operator("DFT")
def dft(g: Growing, op: str) -> None:
    since(g, 17)
    x = g.fresh("f32", (g.number(1, 3), g.one_of((4, 5, 8, 16)), 1))
    if x.special:
        raise NotValid  # how far a NaN spreads depends on the order of a transform's sums
    at = {"onesided": g.number(0, 1)}
    if g.opset < 20:
        g.node(op, [x], low=-60, high=60, axis=1, **at)
    else:
        g.node(op, [x, "", scalar(g, 1)], low=-60, high=60, **at)


@operator("STFT")
def stft(g: Growing, op: str) -> None:
    since(g, 17)
    length = g.one_of((4, 8, 16))
    x = g.fresh("f32", (g.number(1, 2), g.number(length, 40), 1))
    if x.special:
        raise NotValid  # as for DFT
    window = g.fresh("f32", (length,), 0.2, 1.0, constant=True)
    g.node(op, [x, scalar(g, g.number(1, length)), window], onesided=g.number(0, 1), low=-60, high=60)


@operator("AffineGrid")
def affine_grid(g: Growing, op: str) -> None:
    since(g, 20)
    batch, spatial = g.number(1, 2), [g.number(2, 5) for _ in range(g.number(2, 3))]
    theta = g.fresh("f32", (batch, len(spatial), len(spatial) + 1))
    g.node(op, [theta, g.ints(batch, 1, *spatial)], align_corners=g.number(0, 1), low=-8, high=8)


@operator("CenterCropPad")
def crop_pad(g: Growing, op: str) -> None:
    since(g, 18)
    x = g.value(("f32", "i64"), least=1)
    g.node(op, [x, g.ints(*(g.number(0, 9) for _ in x.shape))], exact=True, low=min(x.low, 0), high=max(x.high, 0))


@operator("Col2Im")
def col2im(g: Growing, op: str) -> None:
    since(g, 18)
    block, image = (g.number(1, 2), g.number(1, 3)), (g.number(3, 6), g.number(3, 6))
    places = (image[0] - block[0] + 1) * (image[1] - block[1] + 1)
    x = g.fresh("f32", (1, g.number(1, 3) * block[0] * block[1], places))
    g.node(op, [x, g.ints(*image), g.ints(*block)], low=-12, high=12)


@operator("Constant")
def constant(g: Growing, op: str) -> None:
    array = np.array([g.number(-9, 9) for _ in range(g.number(0, 5))], g.one_of(("f4", "i8", "f8")))
    g.node(op, [], exact=True, low=-9, high=9, value=numpy_helper.from_array(array))


@operator("CastLike")
def cast_like(g: Growing, op: str) -> None:
    since(g, 15)
    x = g.value(("f32", "i32", "bool", "u8"), lambda v: not v.special and v.high < 100, exact=True)
    g.node(op, [x, g.fresh(g.one_of(("f32", "f64", "i64", "i32")), (1,))], exact=True, low=x.low, high=x.high)


@operator("BitCast")
def bit_cast(g: Growing, op: str) -> None:
    since(g, 26)
    x = g.value(("i32", "u32", "i64", "u64"))
    to = {"i32": "u32", "u32": "i32", "i64": "u64", "u64": "i64"}[x.elem]
    g.node(op, [x], to=ELEMENTS[to], exact=True)


@operator("CumProd")
def running_product(g: Growing, op: str) -> None:
    since(g, 26)
    x = g.fresh("f32", g.shape(least=1), 0.7, 1.3)
    axis = scalar(g, g.number(-len(x.shape), len(x.shape) - 1))
    g.node(op, [x, axis], low=-99999, high=99999, exclusive=g.number(0, 1), reverse=g.number(0, 1))


@operator("Det")
def determinant(g: Growing, op: str) -> None:
    n = g.number(1, 4)
    g.node(op, [g.fresh("f32", (*g.shape(g.number(0, 1), empty=False), n, n))], low=-200, high=200)


@operator("EyeLike")
def eye(g: Growing, op: str) -> None:
    at = {"dtype": ELEMENTS[g.one_of(("f32", "i64", "f64"))]} if g.flag() else {}
    g.node(op, [g.value(("f32", "i32", "i64"), rank=2)], exact=True, low=0, high=1, k=g.number(-2, 2), **at)


@operator("DeformConv")
def deform_conv(g: Growing, op: str) -> None:
    since(g, 19)
    channels, features, size = g.one_of((2, 3, 4)), g.one_of((1, 3, 17)), g.number(4, 7)
    x = g.fresh("f32", (1, channels, size, size))
    w = g.fresh("f32", (features, channels, 2, 2), -0.4, 0.4, constant=True)
    offset = g.fresh("f32", (1, 8, size - 1, size - 1), -0.9, 0.9)
    g.node(op, [x, w, offset], kernel_shape=[2, 2], pads=[0] * 4, low=-12, high=12)


@operator("ImageDecoder")
def image(g: Growing, op: str) -> None:
    from PIL import Image

    since(g, 20)
    pixels = np.random.default_rng(g.number(0, 99)).integers(0, 255, (g.number(1, 6), g.number(1, 6), 3)).astype("u1")
    written = io.BytesIO()
    Image.fromarray(pixels).save(written, g.one_of(("PNG", "BMP")))
    data = g.constant(np.frombuffer(written.getvalue(), np.uint8))
    g.node(op, [data], exact=True, types=[("u8", pixels.shape)], pixel_format=g.one_of(("RGB", "BGR")))


@operator("MaxRoiPool")
def roi_pool(g: Growing, op: str) -> None:
    x = g.fresh("f32", (1, g.number(1, 3), 6, 7))
    rois = g.constant(np.array([[0, 0, 0, 3, 4], [0, 1, 2, 5, 5]], np.float32)[: g.number(1, 2)])
    g.node(op, [x, rois], exact=not x.special, pooled_shape=[g.number(1, 3), 2], spatial_scale=1.0)


@operator("RoiAlign")
def roi_align(g: Growing, op: str) -> None:
    since(g, 16)
    x = g.fresh("f32", (1, g.number(1, 3), 6, 7))
    if x.special:
        raise NotValid  # 0 · NaN of a neighbour without weight
    rois = g.constant(np.array([[0, 0, 3.3, 4.1], [1.2, 2, 5, 5]], np.float32)[: g.number(1, 2)])
    places = g.constant(np.zeros(len(g.constants[rois]), np.int64))
    at = {"coordinate_transformation_mode": g.one_of(("half_pixel", "output_half_pixel"))}
    g.node(op, [x, rois, places], mode="avg", output_height=2, output_width=3, sampling_ratio=2, **at)


@operator("MaxUnpool")
def unpool(g: Growing, op: str) -> None:
    x = g.fresh("f32", (1, g.number(1, 3), 4, 6))
    if x.special:
        raise NotValid
    pooled, places = g.node("MaxPool", [x], results=2, exact=True, kernel_shape=[2, 2], strides=[2, 2])
    g.node(op, [pooled, places], exact=True, kernel_shape=[2, 2], strides=[2, 2])


@operator("NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss")
def loss(g: Growing, op: str) -> None:
    x = g.value(("f32",), lambda v: tame(v) and v.count > 0, shape=(g.number(1, 4), g.number(2, 7)))
    target = g.fresh("i64", x.shape[:1], 0, x.shape[1] - 1)
    weights = [g.fresh("f32", x.shape[1:], 0.2, 1.5, constant=True)] if g.flag(30) else []
    g.node(op, [x, target, *weights], reduction=g.one_of(("none", "mean", "sum")), low=-90, high=90)


@operator("NonMaxSuppression")
def suppression(g: Growing, op: str) -> None:
    rng = np.random.default_rng(g.number(0, 999))
    corner = rng.uniform(0, 5, (1, 6, 2))
    boxes = g.constant(np.concatenate([corner, corner + rng.uniform(0.5, 3, (1, 6, 2))], -1).astype("f4"))
    scores = g.fresh("f32", (1, g.number(1, 2), 6), 0.0, 1.0)
    numbers = [scalar(g, g.number(0, 4)), scalar(g, 0.4, "f4"), scalar(g, 0.3, "f4")]
    g.node(op, [boxes, scores, *numbers], exact=True)


@operator("QLinearConv", "QLinearMatMul")
def quantized(g: Growing, op: str) -> None:
    x_side = [scalar(g, 0.05, "f4"), scalar(g, g.number(0, 200), "u1")]
    w_side = [scalar(g, 0.03, "f4"), scalar(g, g.number(0, 200), "u1")]
    y_side = [scalar(g, 0.37, "f4"), scalar(g, 120, "u1")]
    if op == "QLinearMatMul":
        x = g.value(("u8",), rank=2)
        w = g.fresh("u8", (x.shape[1], g.one_of((1, 3, 17))), 0, 200, constant=True)
    else:
        x = g.fresh("u8", (1, g.one_of((1, 3, 4)), 6, 5), 0, 200)
        w = g.fresh("u8", (g.one_of((1, 5, 16)), x.shape[1], 3, 3), 0, 200, constant=True)
    at = {} if op == "QLinearMatMul" else {"pads": [1] * 4}
    # where the real number lies halfway, one step up or down are both right: scales keep clear of it
    g.node(op, [x, *x_side, w, *w_side, *y_side], **at)


@operator("RandomUniform", "RandomNormal", "RandomUniformLike", "RandomNormalLike", "Bernoulli")
def chance(g: Growing, op: str) -> None:
    """What is random is not compared; that it is between 2 and 3, or a number, is."""
    at = {"low": 2.0, "high": 3.0} if "Uniform" in op else {}
    if op == "Bernoulli":
        since(g, 15)
        (made,) = g.node(op, [g.fresh("f32", g.shape(), 0.0, 1.0)], exact=False)
    elif op.endswith("Like"):
        (made,) = g.node(op, [g.value(("f32",))], exact=False, **at)
    else:
        (made,) = g.node(op, [], exact=False, shape=list(g.shape(least=1)), **at)
    g.values.remove(made)
    told = "Floor" if "Uniform" in op else "IsNaN"
    g.values.append(Val(made.name, made.elem, made.shape, True))
    (after,) = g.node(told, [g.values[-1]], exact=True)
    g.values.remove(next(v for v in g.values if v.name == made.name))
    assert after.shape == made.shape


@operator("Multinomial")
def drawn(g: Growing, op: str) -> None:
    classes = g.number(2, 5)
    logits = np.full((g.number(1, 3), classes), -1e4, np.float32)
    logits[:, g.number(0, classes - 1)] = 0
    g.node(op, [g.constant(logits)], exact=True, sample_size=g.number(1, 4))


@operator("Scatter")
def scatter(g: Growing, op: str) -> None:
    if g.opset > 10:
        raise NotValid
    x = g.value(("f32", "i64"), lambda v: v.count > 0, rank=2)
    order = np.argsort([g.number(0, 9) for _ in range(x.shape[0])], kind="stable")[:1]
    indices = np.repeat(order[:, None], x.shape[1], 1).astype(np.int64)
    g.node(op, [x, g.constant(indices), g.value((x.elem,), shape=indices.shape)], exact=True, axis=0)


@operator("Upsample")
def upsample(g: Growing, op: str) -> None:
    if g.opset > 9:
        raise NotValid
    x = g.fresh("f32", (1, g.number(1, 3), g.number(2, 4), g.number(2, 4)))
    mode = g.one_of(("nearest", "linear"))
    if x.special and mode == "linear":
        raise NotValid
    scales = g.constant(np.array([1, 1, g.number(1, 3), g.number(1, 3)], np.float32))
    g.node(op, [x, scales], exact=mode == "nearest", mode=mode)


@operator("Attention")
def attention(g: Growing, op: str) -> None:
    since(g, 23)
    heads, size = g.one_of((1, 2, 4)), g.one_of((4, 8, 16))
    q = g.fresh("f32", (1, heads, g.number(1, 5), size))
    k, v = (g.fresh("f32", (1, heads, 5, size)) for _ in range(2))
    if any(one.special for one in (q, k, v)):
        raise NotValid
    g.node(op, [q, k, v], is_causal=g.number(0, 1))


@operator("RotaryEmbedding")
def rotary(g: Growing, op: str) -> None:
    since(g, 23)
    sequence, half = g.number(1, 5), g.one_of((2, 4))
    x = g.fresh("f32", (1, g.number(1, 3), sequence, 2 * half))
    tables = [g.fresh("f32", (1, sequence, half)) for _ in range(2)]
    g.node(op, [x, *tables], interleaved=g.number(0, 1), low=-8, high=8)


@operator("Swish", "SwiGLU")
def swish(g: Growing, op: str) -> None:
    since(g, 24 if op == "Swish" else 28)
    x = g.value(("f32",), tame)
    more = [g.fresh("f32", x.shape)] if op == "SwiGLU" else []
    g.node(op, [x, *more], alpha=g.one_of((1.0, 0.5)), low=-30, high=30)


@operator("TensorScatter")
def cache(g: Growing, op: str) -> None:
    since(g, 24)
    past, new = g.fresh("f32", (2, 3, 6, 4)), g.fresh("f32", (2, 3, 2, 4))
    g.node(op, [past, new, g.ints(g.number(0, 4), g.number(0, 4))], exact=True, mode=g.one_of(("linear", "circular")))


@operator("CausalConvWithState")
def causal(g: Growing, op: str) -> None:
    since(g, 27)
    channels, size = g.one_of((1, 3, 16)), g.number(2, 4)
    w = g.fresh("f32", (channels, 1, size), -0.5, 0.5, constant=True)
    past = [g.fresh("f32", (channels,)), g.fresh("f32", (2, channels, size - 1))] if g.flag() else []
    x = g.fresh("f32", (2, channels, g.number(1, 7)))
    g.node(op, [x, w, *past], results=2, low=-12, high=12, activation=g.one_of(("none", "silu")))


@operator("LinearAttention")
def linear_attention(g: Growing, op: str) -> None:
    since(g, 27)
    heads, size, steps = g.one_of((1, 2)), 4, g.number(1, 4)
    operands = [g.fresh("f32", (2, steps, heads * size)) for _ in range(3)]
    g.node(op, operands, results=2, low=-400, high=400, q_num_heads=heads, kv_num_heads=heads, update_rule="linear")


@operator("TfIdfVectorizer")
def tf_idf(g: Growing, op: str) -> None:
    x = g.fresh("i64", (g.number(1, 3), g.number(2, 6)), 0, 5)
    g.node(op, [x], low=0, high=9, mode=g.one_of(("TF", "IDF", "TFIDF")), min_gram_length=1, max_gram_length=2,
           max_skip_count=g.number(0, 2), ngram_counts=[0, 3], ngram_indexes=[0, 1, 2, 3, 4],
           pool_int64s=[1, 2, 4, 1, 3, 2, 5], weights=[1.0, 0.5, 2.0, 1.5, 0.25])  # fmt: skip


