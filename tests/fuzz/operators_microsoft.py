"""What onnxruntime's quantizer, optimizer and exporters write (com.microsoft)."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.fuzz.growing import Growing, NotValid, Shape, Val
from tests.fuzz.operators_heavy import tame
from tests.fuzz.operators_rare import scalar
from tests.fuzz.registry import operator

MS = "com.microsoft"


def ms(g: Growing, op: str, operands: list[Any], *types: tuple[str, Shape], **more: Any) -> list[Val]:
    return g.node(op.split("::")[-1], operands, domain=MS, types=types, **more)


def side(g: Growing, scale: float = 0.05, zero: int | None = None) -> list[str]:
    """A scale and a zero point of u8."""
    return [scalar(g, scale, "f4"), scalar(g, g.number(90, 160) if zero is None else zero, "u1")]


def i8_weights(g: Growing, *shape: int) -> Val:
    return g.fresh("i8", shape, -100, 100, constant=True)


def plain(g: Growing, *shape: int, constant: bool | None = None) -> Val:
    """New ordinary numbers."""
    made = g.fresh("f32", shape, constant=constant)
    if made.special:
        raise NotValid
    return made


@operator(f"{MS}::Gelu", f"{MS}::BiasGelu", f"{MS}::FastGelu", f"{MS}::QuickGelu")
def gelus(g: Growing, op: str) -> None:
    x = g.value(("f32",), lambda v: tame(v) and v.count > 0, least=1)
    more = [plain(g, x.shape[-1])] if "Bias" in op or ("Fast" in op and g.flag()) else []
    at = {"alpha": 1.5} if "Quick" in op else {}
    ms(g, op, [x, *more], ("f32", x.shape), low=-15, high=15, **at)


@operator(f"{MS}::BiasSoftmax")
def bias_softmax(g: Growing, op: str) -> None:
    shape = (g.number(1, 3), g.number(1, 5), g.number(2, 9))
    x = g.value(("f32",), tame, shape=shape)
    bias = plain(g, *shape)
    ms(g, op, [x, bias], ("f32", shape), axis=2, is_inner_broadcast=0)


@operator(f"{MS}::FusedMatMul", f"{MS}::TransposeMatMul")
def fused_matmul(g: Growing, op: str) -> None:
    m, k, n, a, b = g.number(1, 9), g.number(1, 17), g.one_of((1, 3, 16)), g.number(0, 1), g.number(0, 1)
    x = g.value(("f32",), tame, shape=(2, k, m) if a else (2, m, k))
    y = plain(g, *((2, n, k) if b else (2, k, n)))
    ms(g, op, [x, y], ("f32", (2, m, n)), transA=a, transB=b, alpha=g.one_of((1.0, 0.5)), low=-60, high=60)


ACTIVATIONS: tuple[tuple[str, list[float]], ...] = (
    ("Relu", []), ("Tanh", []), ("Sigmoid", []), ("LeakyRelu", [0.3]), ("HardSigmoid", [0.2, 0.5]),
    ("Clip", [-1.0, 1.0]),
)  # fmt: skip


@operator(f"{MS}::FusedConv")
def fused_conv(g: Growing, op: str) -> None:
    channels, features = g.one_of((1, 3, 16)), g.one_of((1, 4, 17))
    x, w = plain(g, 1, channels, 6, 7), g.fresh("f32", (features, channels, 3, 3), -0.4, 0.4, constant=True)
    kind, params = g.one_of(ACTIVATIONS)
    at: dict[str, Any] = {"activation_params": params} if params else {}
    more = [plain(g, features, constant=True)]
    ms(g, op, [x, w, *more], ("f32", (1, features, 6, 7)), kernel_shape=[3, 3], pads=[1] * 4, activation=kind, low=-40,
       high=40, **at)  # fmt: skip


@operator(f"{MS}::FusedGemm")
def fused_gemm(g: Growing, op: str) -> None:
    m, k, n = g.number(1, 9), g.number(1, 17), g.one_of((1, 3, 16))
    kind, params = g.one_of(ACTIVATIONS[:4])
    at: dict[str, Any] = {"activation_alpha": params[0]} if params else {}
    x = g.value(("f32",), tame, shape=(m, k))
    ms(g, op, [x, plain(g, k, n), plain(g, n)], ("f32", (m, n)), activation=kind, low=-60, high=60, **at)


@operator(f"{MS}::SkipLayerNormalization", f"{MS}::SkipSimplifiedLayerNormalization",
          f"{MS}::SimplifiedLayerNormalization", "SimplifiedLayerNormalization")  # fmt: skip
def norms(g: Growing, op: str) -> None:
    shape = (g.number(1, 3), g.number(1, 5), g.one_of((4, 8, 17)))
    x = g.value(("f32",), tame, shape=shape)
    parts = [plain(g, shape[2], constant=True) for _ in range(2)]
    at: dict[str, Any] = {"types": [("f32", shape)], "low": -12, "high": 12, "epsilon": 1e-2}
    if "Skip" not in op:
        g.node("SimplifiedLayerNormalization", [x, parts[0]], domain=MS if "::" in op else "", axis=-1, **at)
    else:
        skip = plain(g, *shape)
        g.node(op.split("::")[1], [x, skip, *parts[: 1 if "Simplified" in op else 2]], domain=MS, **at)


@operator(f"{MS}::EmbedLayerNormalization")
def embedded(g: Growing, op: str) -> None:
    batch, steps, size = g.number(1, 2), g.number(1, 5), 8
    ids, kinds = g.fresh("i32", (batch, steps), 0, 8), g.fresh("i32", (batch, steps), 0, 1)
    tables = [plain(g, n, size, constant=True) for n in (9, 7, 2)]
    parts = [plain(g, size, constant=True) for _ in range(2)]
    ms(g, op, [ids, kinds, *tables, *parts], ("f32", (batch, steps, size)), ("i32", (batch,)), low=-12, high=12,
       epsilon=1e-2)  # fmt: skip


@operator(f"{MS}::Attention", f"{MS}::QAttention")
def attention(g: Growing, op: str) -> None:
    batch, steps, heads, size = g.number(1, 2), g.number(1, 5), g.one_of((1, 2)), 4
    hidden = heads * size
    at = {"num_heads": heads, "unidirectional": g.number(0, 1)}
    bias = plain(g, 3 * hidden, constant=True)
    if "QAttention" in op:
        x, w = g.fresh("u8", (batch, steps, hidden), 0, 200), i8_weights(g, hidden, 3 * hidden)
        numbers = [scalar(g, 0.01, "f4"), scalar(g, 0.01, "f4"), "", scalar(g, 99, "u1"), scalar(g, 0, "i1")]
        ms(g, op, [x, w, bias, *numbers], ("f32", (batch, steps, hidden)), low=-60, high=60, **at)
        return
    x, w = plain(g, batch, steps, hidden), plain(g, hidden, 3 * hidden, constant=True)
    if g.flag():
        ms(g, op, [x, w, bias], ("f32", x.shape), low=-60, high=60, **at)
    else:
        seen = g.number(1, 3)
        past = plain(g, 2, batch, heads, seen, size)
        present = (2, batch, heads, seen + steps, size)
        ms(g, op, [x, w, bias, "", past], ("f32", x.shape), ("f32", present), low=-60, high=60, **at)


@operator(f"{MS}::MultiHeadAttention")
def multi_head(g: Growing, op: str) -> None:
    batch, steps, heads, size = g.number(1, 2), g.number(1, 5), g.one_of((1, 2)), 4
    q, k, v = (plain(g, batch, steps, heads * size) for _ in range(3))
    bias: list[Any] = [plain(g, 3 * heads * size)] if g.flag() else [""]
    at = {"num_heads": heads, "unidirectional": g.number(0, 1), "low": -60, "high": 60}
    if g.flag():
        ms(g, op, [q, k, v, *bias], ("f32", q.shape), **at)
    else:
        past = [plain(g, batch, heads, 3, size) for _ in range(2)]
        present = ("f32", (batch, heads, 3 + steps, size))
        ms(g, op, [q, k, v, *bias, "", "", *past], ("f32", q.shape), present, present, **at)


@operator(f"{MS}::GroupQueryAttention")
def group_query(g: Growing, op: str) -> None:
    batch, groups, share, size = g.number(1, 2), g.number(1, 2), g.number(1, 3), 16
    seen = g.one_of((0, 5))
    new = 1 if seen else g.number(2, 5)
    q, k, v = (plain(g, batch, new, n * size) for n in (groups * share, groups, groups))
    past: list[Any] = [plain(g, batch, groups, seen, size) for _ in range(2)] if seen else ["", ""]
    ends = [g.constant(np.full(batch, seen + new - 1, np.int32)), g.constant(np.array(seen + new, np.int32))]
    turns = g.number(0, 1)
    tables = [plain(g, 16, size // 2, constant=True) for _ in range(2)] if turns else []
    present = ("f32", (batch, groups, seen + new, size))
    at = {"num_heads": groups * share, "kv_num_heads": groups, "do_rotary": turns, "rotary_interleaved": g.number(0, 1),
          "local_window_size": g.one_of((-1, -1, 3)), "softcap": g.one_of((0.0, 2.0))}  # fmt: skip
    ms(g, op, [q, k, v, *past, *ends, *tables], ("f32", q.shape), present, present, low=-60, high=60, **at)


@operator(f"{MS}::RotaryEmbedding")
def rotary(g: Growing, op: str) -> None:
    steps, half = g.number(1, 5), g.one_of((2, 4))
    x = plain(g, 2, g.number(1, 3), steps, 2 * half)
    places = g.constant(np.arange(2 * steps, dtype=np.int64).reshape(2, steps) % 7)
    tables = [plain(g, 9, half, constant=True) for _ in range(2)]
    ms(g, op, [x, places, *tables], ("f32", x.shape), interleaved=g.number(0, 1), low=-8, high=8)


@operator(f"{MS}::QuantizeLinear", f"{MS}::DequantizeLinear")
def quantizing(g: Growing, op: str) -> None:
    if "Dequantize" in op:
        x = g.value(("u8",))
        ms(g, op, [x, *side(g)], ("f32", x.shape), low=-8, high=8, exact=True)
    else:
        x = g.value(("f32",), tame, exact=True)
        ms(g, op, [x, *side(g, 0.043)], ("u8", x.shape), exact=True)


@operator(f"{MS}::DynamicQuantizeMatMul", f"{MS}::MatMulIntegerToFloat", f"{MS}::QGemm")
def quantized_products(g: Growing, op: str) -> None:
    m, k, n = g.number(1, 5), g.number(1, 17), g.one_of((1, 3, 16))
    w, w_side = i8_weights(g, k, n), [scalar(g, 0.02, "f4"), scalar(g, 0, "i1")]
    if "Dynamic" in op:
        x = g.fresh("f32", (m, k))
        if x.special:
            raise NotValid
        # dividing by the scale may round to either side of a half: eight bits of x are not held to more
        made = ms(g, op, [x, w, *w_side], ("f32", (m, n)), low=-99, high=99)
    elif "QGemm" in op:
        x = g.fresh("u8", (m, k), 0, 200)
        made = ms(g, op, [x, *side(g), w, *w_side], ("f32", (m, n)), low=-999, high=999, alpha=1.0)
    else:
        x = g.fresh("u8", (m, k), 0, 200)
        numbers = [scalar(g, 0.1, "f4"), scalar(g, 0.02, "f4"), scalar(g, 9, "u1"), scalar(g, 0, "i1")]
        made = ms(g, op, [x, w, *numbers], ("f32", (m, n)), low=-999, high=999)
    assert made[0].shape == (m, n)


@operator(f"{MS}::MatMulNBits", f"{MS}::GatherBlockQuantized")
def few_bits(g: Growing, op: str) -> None:
    if "Gather" in op:
        table, scales = g.fresh("u8", (5, 16), 0, 255, constant=True), plain(g, 5, 2, constant=True)
        places = g.fresh("i64", (g.number(1, 4),), 0, 4)
        ms(g, op, [table, places, scales], ("f32", (*places.shape, 32)), bits=4, block_size=16, quantize_axis=1,
           gather_axis=0, low=-40, high=40)  # fmt: skip
        return
    n = g.number(1, 5)
    x, w = plain(g, g.number(1, 4), 32), g.fresh("u8", (n, 2, 8), 0, 255, constant=True)
    ms(g, op, [x, w, plain(g, 2 * n, constant=True)], ("f32", (x.shape[0], n)), K=32, N=n, bits=4, block_size=16,
       low=-999, high=999)  # fmt: skip


@operator(f"{MS}::QLinearAdd", f"{MS}::QLinearMul", f"{MS}::QLinearSigmoid", f"{MS}::QLinearLeakyRelu",
          f"{MS}::QLinearSoftmax", f"{MS}::QLinearConcat", f"{MS}::QLinearWhere")  # fmt: skip
def quantized_elements(g: Growing, op: str) -> None:
    x, name = g.fresh("u8", (g.number(1, 5), g.number(2, 9)), 0, 255), op.split("::")[1]
    last, at = side(g, 0.043), dict[str, Any]()
    shape = x.shape
    if name in ("QLinearAdd", "QLinearMul"):
        operands = [x, *side(g), g.fresh("u8", x.shape, 0, 255), *side(g, 0.031), *side(g, 0.071)]
    elif name == "QLinearConcat":
        y = g.fresh("u8", (x.shape[0], 3), 0, 255)
        operands, shape, at = [*last, x, *side(g), y, *side(g, 0.031)], (x.shape[0], x.shape[1] + 3), {"axis": 1}
    elif name == "QLinearWhere":
        condition = g.fresh("bool", x.shape)
        operands = [condition, x, *side(g), g.fresh("u8", x.shape, 0, 255), *side(g, 0.031), *last]
    else:
        at = {"QLinearLeakyRelu": {"alpha": 0.2}, "QLinearSoftmax": {"axis": -1, "opset": 13}}.get(name, {})
        operands = [x, *side(g), *(last if name == "QLinearLeakyRelu" else side(g, 1 / 256, 0))]
    steps(g, ms(g, op, operands, ("u8", shape), exact=False, **at))


@operator(f"{MS}::QLinearConv", f"{MS}::QLinearAveragePool", f"{MS}::QLinearGlobalAveragePool",
          f"{MS}::QLinearReduceMean", f"{MS}::NhwcMaxPool")  # fmt: skip
def quantized_maps(g: Growing, op: str) -> None:
    channels, name = g.one_of((1, 3, 16)), op.split("::")[1]
    x = g.fresh("u8", (1, channels, 6, 6), 0, 255)
    two: dict[str, Any] = {"kernel_shape": [2, 2], "strides": [2, 2]}
    if name == "NhwcMaxPool":
        x = g.fresh("u8", (1, 6, 6, channels), 0, 255)
        ms(g, op, [x], ("u8", (1, 3, 3, channels)), exact=True, **two)
    elif name == "QLinearConv":
        w = i8_weights(g, 4, channels, 3, 3)
        operands = [x, *side(g), w, scalar(g, 0.02, "f4"), scalar(g, 0, "i1"), *side(g, 0.43)]
        steps(g, ms(g, op, operands, ("u8", (1, 4, 4, 4)), kernel_shape=[3, 3]))
    else:
        shape = (1, channels, 3, 3) if name == "QLinearAveragePool" else (1, channels, 1, 1)
        at = {"QLinearAveragePool": two, "QLinearReduceMean": {"axes": [2, 3], "keepdims": 1}}.get(name, {})
        steps(g, ms(g, op, [x, *side(g), *side(g, 0.043)], ("u8", shape), **at))


def steps(g: Growing, results: list[Val]) -> None:
    """Nobody reads these: a real number halfway between two steps may become either."""
    for result in results:
        g.values.remove(result)
        g.values.append(Val(result.name, result.elem, result.shape, False, alone=True))
