"""Operators that add up: convolutions, products, pools, reductions, normalizations, resizing, quantizing."""

from __future__ import annotations

import numpy as np

from tests.fuzz.growing import WIDE, Growing, NotValid, Val
from tests.fuzz.operators_elementwise import shrunk
from tests.fuzz.registry import operator


def tame(v: Val) -> bool:
    return not v.special and max(abs(v.low), abs(v.high)) <= 12


@operator("MatMul")
def matmul(g: Growing, op: str) -> None:
    x = g.value(("f32", "f64", "i32", "i64", "u32"), tame, least=1)
    k, n = x.shape[-1], g.one_of((1, 2, 3, 7, 16, 17, 33))
    batch = shrunk(g, x.shape[:-2]) if g.flag(40) else ()
    shape = (k,) if g.flag(15) and not batch else (*batch, k, n)
    g.node(op, [x, g.value((x.elem,), tame, shape=shape)], low=-60, high=60)


@operator("Gemm")
def gemm(g: Growing, op: str) -> None:
    a = g.value(("f32", "f64"), tame, rank=2)
    flip_a, flip_b = g.number(0, 1), g.number(0, 1)
    m, k = a.shape if not flip_a else a.shape[::-1]
    n = g.one_of((1, 3, 8, 17, 32))
    b = g.value((a.elem,), tame, shape=(n, k) if flip_b else (k, n))
    c = [g.value((a.elem,), tame, shape=g.one_of(((n,), (1, n), (m, 1), (m, n), ())))] if g.flag(70) else []
    g.node(op, [a, b, *c], transA=flip_a, transB=flip_b, alpha=g.one_of((1.0, 0.5)), beta=g.one_of((1.0, 2.0)),
           low=-60, high=60)  # fmt: skip


@operator("Einsum")
def einsum(g: Growing, op: str) -> None:
    equation, ranks = g.one_of((("ij,jk->ik", ("ij", "jk")), ("bij,bkj->bik", ("bij", "bkj")), ("ij->ji", ("ij",)),
                                ("ij,ij->", ("ij", "ij")), ("abc->ac", ("abc",)), ("i,j->ij", ("i", "j"))))  # fmt: skip
    sizes = {letter: g.one_of((1, 2, 3, 5, 8)) for letter in "abcijk"}
    operands = [g.value(("f32",), tame, shape=tuple(sizes[c] for c in letters)) for letters in ranks]
    g.node(op, operands, equation=equation, low=-60, high=60)


def windows(g: Growing, spatial: tuple[int, ...], transposed: bool = False) -> dict[str, list[int]]:
    """Kernel, strides, dilations and pads that leave at least one window."""
    kernel = [g.one_of([k for k in (1, 2, 3, 5) if k <= s]) for s in spatial]
    dilations = [g.one_of((1, 2)) if (k - 1) * 2 + 1 <= s else 1 for k, s in zip(kernel, spatial, strict=True)]
    reach = [(k - 1) * d for k, d in zip(kernel, dilations, strict=True)]
    pads = [g.number(0, min(k - 1, 2)) for _ in range(2) for k in kernel]
    if transposed:
        pads = [0 if r < 2 else g.number(0, 1) for _ in range(2) for r in reach]
    return {"kernel_shape": kernel, "strides": [g.one_of((1, 2)) for _ in spatial], "dilations": dilations,
            "pads": pads}  # fmt: skip


def picture(g: Growing, channels: int | None = None, rank: int | None = None) -> Val:
    """A batch of maps with one to three spatial dims."""
    spatial = rank or g.one_of((1, 2, 2, 2, 3))
    there = [v for v in g.values if v.elem == "f32" and tame(v) and len(v.shape) == spatial + 2 and v.count
             and channels in (None, v.shape[1])]  # fmt: skip
    if there and g.flag(80):
        return there[-1]
    channels = channels or g.one_of((1, 2, 3, 4, 6, 8, 16, 17, 20, 32))
    sizes = {1: (5, 9, 16), 2: (3, 5, 7, 8, 11), 3: (3, 4, 5)}[spatial]
    return g.fresh("f32", (g.one_of((1, 1, 2)), channels, *(g.one_of(sizes) for _ in range(spatial))))


@operator("Conv")
def conv(g: Growing, op: str) -> None:
    x = picture(g)
    channels = x.shape[1]
    group = g.one_of([d for d in (1, 1, 2, channels) if channels % d == 0])
    out = group * g.one_of((1, 2, 3) if group > 1 else (1, 3, 8, 16, 17))
    at = windows(g, x.shape[2:])
    w = g.fresh("f32", (out, channels // group, *at["kernel_shape"]), -0.4, 0.4, constant=g.flag(85))
    bias = [g.fresh("f32", (out,), constant=g.flag(85))] if g.flag(70) else []
    if g.flag(15):
        del at["pads"]
        at["auto_pad"] = g.one_of(("SAME_UPPER", "SAME_LOWER", "VALID"))  # type: ignore[assignment]  # its own kind
    g.node(op, [x, w, *bias], group=group, low=-12, high=12, **at)


@operator("ConvTranspose")
def conv_transpose(g: Growing, op: str) -> None:
    x = picture(g, rank=g.one_of((1, 2, 2)))
    channels = x.shape[1]
    group = g.one_of([d for d in (1, 1, 2, channels) if channels % d == 0])
    at = windows(g, x.shape[2:], transposed=True)
    w = g.fresh("f32", (channels, g.one_of((1, 2, 5)), *at["kernel_shape"]), -0.4, 0.4, constant=True)
    bias = [g.fresh("f32", (w.shape[1] * group,), constant=True)] if g.flag(60) else []
    g.node(op, [x, w, *bias], group=group, low=-12, high=12, **at)


@operator("MaxPool", "AveragePool")
def pool(g: Growing, op: str) -> None:
    x = picture(g)
    if x.special:
        raise NotValid  # as for whole_pool
    at = windows(g, x.shape[2:])
    if op == "AveragePool":
        at["count_include_pad"] = g.number(0, 1)  # type: ignore[assignment]  # a number, not a list
        if g.opset < 19:
            del at["dilations"]
    at["ceil_mode"] = int(g.flag(20))  # type: ignore[assignment]  # as above
    g.node(op, [x], exact=op == "MaxPool", low=x.low, high=x.high, **at)


@operator("GlobalAveragePool", "GlobalMaxPool")
def whole_pool(g: Growing, op: str) -> None:
    x = picture(g)
    if x.special:
        raise NotValid  # ONNX does not say what a maximum makes of NaN; ours is NaN
    g.node(op, [x], exact=op == "GlobalMaxPool", low=x.low, high=x.high)


@operator("LpPool", "GlobalLpPool")
def lp_pool(g: Growing, op: str) -> None:
    x = picture(g, rank=2)
    at = windows(g, x.shape[2:]) if op == "LpPool" else {}
    if g.opset < 18:
        at.pop("dilations", None)
    g.node(op, [x], low=0, high=60, p=2, **at)


@operator("BatchNormalization")
def batch_norm(g: Growing, op: str) -> None:
    x = picture(g)
    c = (x.shape[1],)
    scale, bias, mean = (g.fresh("f32", c, constant=True) for _ in range(3))
    g.node(op, [x, scale, bias, mean, g.fresh("f32", c, 0.3, 2.0, constant=True)], low=-40, high=40, epsilon=1e-5)


@operator("InstanceNormalization")
def instance_norm(g: Growing, op: str) -> None:
    x = picture(g)
    scale, bias = (g.fresh("f32", (x.shape[1],), constant=True) for _ in range(2))
    g.node(op, [x, scale, bias], low=-12, high=12, epsilon=1e-2)


@operator("LayerNormalization", "RMSNormalization")
def layer_norm(g: Growing, op: str) -> None:
    if g.opset < (17 if op == "LayerNormalization" else 23):
        raise NotValid
    x = g.value(("f32",), lambda v: tame(v) and v.shape[-1] > 1, least=1)
    parts = [g.fresh("f32", x.shape[-1:]) for _ in range(g.number(1, 2 if op == "LayerNormalization" else 1))]
    g.node(op, [x, *parts], axis=-1, low=-12, high=12, epsilon=1e-2)


@operator("LpNormalization")
def lp_norm(g: Growing, op: str) -> None:
    x = g.value(WIDE, lambda v: tame(v) and v.low > 0, low=0.2, high=2.0, least=1)
    g.node(op, [x], axis=-1, p=g.one_of((1, 2)))


@operator("GroupNormalization")
def group_norm(g: Growing, op: str) -> None:
    if g.opset < 21:
        raise NotValid
    x = picture(g, channels=g.one_of((4, 6, 8)))
    scale, bias = (g.fresh("f32", (x.shape[1],), constant=True) for _ in range(2))
    g.node(op, [x, scale, bias], num_groups=2, low=-12, high=12, epsilon=1e-2)


@operator("LRN")
def lrn(g: Growing, op: str) -> None:
    x = picture(g, rank=2)
    if x.special:
        raise NotValid  # onnxruntime's running sum carries a NaN to channels that do not read it
    g.node(op, [x], size=g.one_of((1, 3, 5)), alpha=0.01, beta=0.75, bias=1.0)


@operator("MeanVarianceNormalization")
def mvn(g: Growing, op: str) -> None:
    x = picture(g, rank=2)
    if x.shape[0] * x.shape[2] * x.shape[3] < 4:
        raise NotValid
    g.node(op, [x], low=-12, high=12)


@operator("Softmax", "LogSoftmax", "Hardmax")
def softmax(g: Growing, op: str) -> None:
    x = g.value(WIDE, lambda v: tame(v) and v.count > 0, least=1, exact=op == "Hardmax")
    g.node(op, [x], axis=g.number(-len(x.shape), len(x.shape) - 1), low=-30, high=1, exact=op == "Hardmax")


REDUCTIONS = ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2",
              "ReduceSumSquare", "ReduceLogSumExp", "ReduceLogSum")  # fmt: skip


@operator(*REDUCTIONS)
def reduce(g: Growing, op: str) -> None:
    keeps = op in ("ReduceMax", "ReduceMin")
    elems = ("f32", "f64", "i32", "i64") if op not in ("ReduceLogSumExp", "ReduceLogSum", "ReduceL2") else WIDE
    low, high = (0.2, 2.0) if op in ("ReduceProd", "ReduceLogSum") else (-2.0, 2.0)
    # which of NaN and a number is less ONNX does not say: NaN is, here
    x = g.value(elems, lambda v: (tame(v) or (keeps and not v.is_float)) and v.count > 0
                and (op != "ReduceProd" or v.count <= 30)
                and v.low >= low, low=low, high=high)  # fmt: skip
    axes = sorted({g.number(0, len(x.shape) - 1) for _ in range(2)}) if x.shape else []
    at = {"keepdims": g.number(0, 1)}
    bound = 60.0 if not keeps else max(abs(x.low), abs(x.high))
    if g.opset >= 18 or op == "ReduceSum":
        g.node(op, [x, *([g.ints(*axes)] if axes and g.flag(80) else [])], low=-bound, high=bound,
               exact=keeps or not x.is_float, **at)  # fmt: skip
    else:
        at |= {"axes": axes} if axes and g.flag(80) else {}  # type: ignore[dict-item]  # a list here
        g.node(op, [x], low=-bound, high=bound, exact=keeps or not x.is_float, **at)


@operator("ArgMax", "ArgMin")
def arg(g: Growing, op: str) -> None:
    x = g.value(("f32", "i32", "u8"), lambda v: v.count > 0 and not v.special, least=1, exact=True)
    g.node(op, [x], axis=g.number(0, len(x.shape) - 1), keepdims=g.number(0, 1), select_last_index=g.number(0, 1))


@operator("TopK")
def top_k(g: Growing, op: str) -> None:
    x = g.value(("f32", "i64", "i32"), lambda v: v.count > 0 and not v.special, least=1, exact=True)
    axis = g.number(0, len(x.shape) - 1)
    k = g.ints(g.number(0, x.shape[axis]))
    g.node(op, [x, k], results=2, exact=True, axis=axis, largest=g.number(0, 1), sorted=1)


@operator("Resize")
def resize(g: Growing, op: str) -> None:
    x = picture(g, rank=2)
    mode = g.one_of(("nearest", "linear", "cubic"))
    if x.special and mode != "nearest":
        raise NotValid  # ONNX does not say whether a neighbour of weight 0 counts: 0 · NaN
    scales = [1.0, 1.0, g.one_of((0.5, 1.0, 1.5, 2.0, 3.0)), g.one_of((0.5, 1.0, 2.0, 2.5))]
    if any(int(d * s) < 1 for d, s in zip(x.shape, scales, strict=True)):
        raise NotValid
    where = g.one_of(("half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"))
    at = {"nearest_mode": g.one_of(("floor", "ceil", "round_prefer_floor"))} if mode == "nearest" else {}
    g.node(op, [x, "", g.constant(np.array(scales, np.float32))], exact=mode == "nearest", low=-6, high=6, mode=mode,
           coordinate_transformation_mode=where, **at)  # fmt: skip


@operator("QuantizeLinear")
def quantize(g: Growing, op: str) -> None:
    x = g.value(("f32",), lambda v: tame(v), exact=True)
    kind = g.one_of((np.int8, np.uint8))
    g.node(op, [x, g.constant(np.array(0.05, np.float32)), g.constant(np.array(3, kind))], exact=True)


@operator("DequantizeLinear")
def dequantize(g: Growing, op: str) -> None:
    x = g.value(("i8", "u8"))
    kind = np.int8 if x.elem == "i8" else np.uint8
    g.node(op, [x, g.constant(np.array(0.05, np.float32)), g.constant(np.array(3, kind))], low=-8, high=14, exact=True)


@operator("DynamicQuantizeLinear")
def dynamic_quantize(g: Growing, op: str) -> None:
    x = g.value(("f32",), lambda v: tame(v) and v.count > 0, exact=True)
    g.node(op, [x], results=3, exact=True)


@operator("MatMulInteger")
def matmul_integer(g: Growing, op: str) -> None:
    a = g.value(("u8", "i8"), rank=2)
    b = g.value(("u8", "i8"), shape=(a.shape[1], g.one_of((1, 3, 8, 17))))
    zero = np.uint8 if a.elem == "u8" else np.int8
    g.node(op, [a, b, *([g.constant(np.array(2, zero))] if g.flag() else [])])


@operator("ConvInteger")
def conv_integer(g: Growing, op: str) -> None:
    x = g.fresh("u8", (1, g.one_of((1, 3, 4)), 6, 5), 0, 20)
    w = g.fresh("u8", (3, x.shape[1], 3, 3), 0, 20, constant=True)
    g.node(op, [x, w], pads=[1, 1, 1, 1])


@operator("LSTM", "GRU", "RNN")
def recurrent(g: Growing, op: str) -> None:
    steps, batch, size, hidden = (g.number(1, 4) for _ in range(4))
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[op]
    both = g.number(1, 2)
    x = g.value(("f32",), tame, shape=(steps, batch, size))
    w = g.fresh("f32", (both, gates * hidden, size), constant=True)
    r = g.fresh("f32", (both, gates * hidden, hidden), constant=True)
    b = [g.fresh("f32", (both, 2 * gates * hidden), constant=True)] if g.flag() else []
    at = {"linear_before_reset": g.number(0, 1)} if op == "GRU" else {}
    direction = "bidirectional" if both == 2 else g.one_of(("forward", "reverse"))
    g.node(op, [x, w, r, *b], results=3 if op == "LSTM" else 2, hidden_size=hidden, direction=direction,
           low=-1, high=1, **at)  # fmt: skip


@operator("GridSample")
def grid_sample(g: Growing, op: str) -> None:
    if g.opset < 20:
        raise NotValid
    x = picture(g, rank=2)
    grid = g.fresh("f32", (x.shape[0], 3, 4, 2), -1.2, 1.2)
    g.node(op, [x, grid], low=-6, high=6, mode=g.one_of(("linear", "cubic")),
           padding_mode=g.one_of(("zeros", "border", "reflection")), align_corners=g.number(0, 1))  # fmt: skip
