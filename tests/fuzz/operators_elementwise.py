"""Element-wise operators: what each may read, and where its results lie."""

from __future__ import annotations

import numpy as np

from tests.fuzz.growing import ELEMENTS, FLOATS, INTEGERS, WIDE, Growing, NotValid, Shape, Val
from tests.fuzz.registry import operator

ARITHMETIC = ("f32", "f64", "i32", "i64", "f16", "u8", "i8", "u32", "u64", "i16", "u16")
SIGNED = ("f32", "f64", "f16", "i8", "i16", "i32", "i64")


def partner(g: Growing, first: Val, low: float = -2.0, high: float = 2.0, exact: bool = False) -> Val:
    """An operand of the same element that broadcasts with the first."""

    def broadcasts(v: Val) -> bool:
        pairs = zip(reversed(v.shape), reversed(first.shape), strict=False)
        return all(a == b or 1 in (a, b) for a, b in pairs)

    if g.flag(30):
        return g.value((first.elem,), broadcasts, low=low, high=high, exact=exact, shape=shrunk(g, first.shape))
    return g.value((first.elem,), broadcasts, low=low, high=high, exact=exact, shape=first.shape)


def shrunk(g: Growing, shape: Shape) -> Shape:
    """A shape that broadcasts to this one: leading dims gone, some dims 1."""
    kept = shape[g.number(0, len(shape)) :]
    return tuple(1 if g.flag(30) else d for d in kept)


@operator("Add", "Sub", "Mul")
def arithmetic(g: Growing, op: str) -> None:
    x = g.value(ARITHMETIC, lambda v: max(abs(v.low), abs(v.high)) < 40)
    y = partner(g, x)
    sizes = [abs(a) for v in (x, y) for a in (v.low, v.high)]
    bound = max(sizes) ** 2 if op == "Mul" else 2 * max(sizes)
    g.node(op, [x, y], low=-bound, high=bound)


@operator("Div")
def divide(g: Growing, op: str) -> None:
    x = g.value(ARITHMETIC)
    above = 1.0 if x.elem in INTEGERS else 0.3
    y = g.fresh(x.elem, shrunk(g, x.shape), above, 7.0)
    g.node(op, [x, y], low=-10, high=10)


@operator("Pow")
def power(g: Growing, op: str) -> None:
    x = g.value(WIDE, lambda v: v.low > 0, low=0.2, high=2.0)
    g.node(op, [x, partner(g, x)], low=-1, high=9)


@operator("Mod")
def modulo(g: Growing, op: str) -> None:
    # onnxruntime takes fmod of integers through doubles, which do not hold the extremes
    x = g.value(("i32", "i64", "i8", "u8", "u32", "f32", "f64"), lambda v: v.is_float or not v.special, exact=True)
    y = g.fresh(x.elem, shrunk(g, x.shape), 1.0, 7.0)
    g.node(op, [x, y], fmod=int(x.is_float or g.flag()), exact=True)


@operator("Max", "Min")
def extremes(g: Growing, op: str) -> None:
    x = g.value(("f32", "f64", "f16", "i32", "i64", "u32", "u64"))
    more = [partner(g, x) for _ in range(g.number(0, 2))]
    g.node(op, [x, *more], exact=True)


@operator("Sum", "Mean")
def several(g: Growing, op: str) -> None:
    x = g.value(("f32",))
    g.node(op, [x, *(partner(g, x) for _ in range(g.number(0, 2)))], low=-8, high=8)


@operator("Neg", "Abs", "Sign")
def signs(g: Growing, op: str) -> None:
    # the sign of NaN is NaN here; onnxruntime says 0 where the kind is f16
    x = g.value(SIGNED, exact=op == "Sign", fits=lambda v: op != "Sign" or not v.special)
    g.node(op, [x], exact=True, low=min(-x.high, x.low), high=max(-x.low, x.high))


@operator("Floor", "Ceil", "Round")
def rounding(g: Growing, op: str) -> None:
    g.node(op, [g.value(WIDE, exact=True)], exact=True)


@operator("Sqrt", "Log", "Reciprocal")
def of_positive(g: Growing, op: str) -> None:
    x = g.value(WIDE, lambda v: v.low > 0.05, low=0.2, high=2.0)
    g.node(op, [x], low=-3, high=10)


@operator(
    "Exp",
    "Sigmoid",
    "Tanh",
    "Erf",
    "Softplus",
    "Softsign",
    "HardSigmoid",
    "HardSwish",
    "Elu",
    "Selu",
    "Mish",
    "Sin",
    "Cos",
    "Atan",
    "Sinh",
    "Cosh",
    "Asinh",
    "Tan",
    "Gelu",
)
def smooth(g: Growing, op: str) -> None:
    if op in ("Gelu", "Mish") and g.opset < 20:
        raise NotValid
    high = 1.3 if op == "Tan" else 3.0
    elems = (
        ("f32",)
        if op
        in (
            "Erf",
            "Gelu",
            "HardSwish",
            "Mish",
            "Softsign",
            "Tan",
            "Sinh",
            "Cosh",
            "Asinh",
            "Atan",
            "Selu",
            "Elu",
            "Softplus",
            "HardSigmoid",
        )
        else WIDE
    )
    x = g.value(elems, lambda v: v.high <= high and v.low >= -high)
    attributes = {"approximate": g.one_of(("none", "tanh"))} if op == "Gelu" else {}
    g.node(op, [x], low=-25, high=25, **attributes)


@operator("Asin", "Acos", "Atanh")
def of_unit(g: Growing, op: str) -> None:
    g.node(op, [g.value(("f32",), lambda v: v.low >= -0.95 and v.high <= 0.95, low=-0.9, high=0.9)], low=-3, high=3.2)


@operator("Acosh")
def above_one(g: Growing, op: str) -> None:
    g.node(op, [g.fresh("f32", g.shape(), 1.1, 5.0)], low=0, high=3)


@operator("Relu")
def relu(g: Growing, op: str) -> None:
    x = g.value(("f32", "f64", "f16", "i32", "i8"), fits=lambda v: g.opset >= 14 or v.is_float)
    g.node(op, [x], exact=True, low=0, high=max(x.high, 0))


@operator("LeakyRelu", "ThresholdedRelu", "Celu", "Shrink")
def kinked(g: Growing, op: str) -> None:
    jumps = op in ("ThresholdedRelu", "Shrink")
    x = g.value(("f32",), exact=jumps)
    attributes = {"lambd": 0.7, "bias": 0.2} if op == "Shrink" else {"alpha": g.one_of((0.1, 0.5, 1.3))}
    g.node(op, [x], **attributes)


@operator("PRelu")
def prelu(g: Growing, op: str) -> None:
    x = g.value(("f32",))
    g.node(op, [x, g.fresh("f32", shrunk(g, x.shape))], low=-8, high=8)


@operator("Clip")
def clip(g: Growing, op: str) -> None:
    x = g.value(("f32", "f64", "f16", "i32", "i64", "u8", "i8"))
    dtype = {"f32": "f4", "f64": "f8", "f16": "f2", "i32": "i4", "i64": "i8", "u8": "u1", "i8": "i1"}[x.elem]
    low = g.constant(np.array(0 if x.elem[0] == "u" else -1, dtype)) if g.flag(80) else ""
    high = g.constant(np.array(1, dtype)) if g.flag(70) else ""
    g.node(op, [x, low, high], exact=True, low=min(x.low, -1), high=max(x.high, 1))


@operator("Equal", "Less", "Greater", "LessOrEqual", "GreaterOrEqual")
def compare(g: Growing, op: str) -> None:
    elems = ("f32", "f64", "i32", "i64", "bool") if op == "Equal" else ("f32", "f64", "i32", "i64")
    x = g.value(elems, exact=True)
    g.node(op, [x, partner(g, x, exact=True)])


@operator("And", "Or", "Xor")
def logic(g: Growing, op: str) -> None:
    x = g.value(("bool",))
    g.node(op, [x, partner(g, x)])


@operator("Not")
def negation(g: Growing, op: str) -> None:
    g.node(op, [g.value(("bool",))])


@operator("IsNaN", "IsInf")
def odd_numbers(g: Growing, op: str) -> None:
    g.node(op, [g.value(WIDE, exact=True)])


@operator("Where")
def where(g: Growing, op: str) -> None:
    x = g.value(("f32", "f64", "i32", "i64", "u8"))
    y = partner(g, x)
    condition = g.value(("bool",), shape=shrunk(g, x.shape))
    g.node(op, [condition, x, y], exact=True, low=min(x.low, y.low), high=max(x.high, y.high))


CAST_TO = {
    "f32": ("f64", "f16", "i32", "i64", "i8", "u8", "bool"), "f64": ("f32", "i32", "i64", "bool"),
    "f16": ("f32", "f64"), "bool": ("f32", "i32", "u8", "i64"),
}  # fmt: skip


@operator("Cast")
def cast(g: Growing, op: str) -> None:
    x = g.value((*FLOATS, *INTEGERS, "bool"), exact=True, fits=lambda v: not v.special and not _extreme(g, v))
    to = g.one_of(CAST_TO.get(x.elem, ("f32", "f64", "i64", "i32", "u8", "i8", "bool", "u32", "i16")))
    if x.is_float and to[0] == "u" and x.low < 0:
        raise NotValid  # a negative float to an unsigned integer is undefined in C and in ONNX
    g.node(op, [x], to=ELEMENTS[to], exact=True, low=x.low, high=x.high)


def _extreme(g: Growing, v: Val) -> bool:
    """A value whose numbers may leave what a narrower integer holds on the way from a float."""
    return v.is_float and max(abs(v.low), abs(v.high)) > 100


@operator("BitwiseAnd", "BitwiseOr", "BitwiseXor")
def bits(g: Growing, op: str) -> None:
    if g.opset < 18:
        raise NotValid
    x = g.value(INTEGERS)
    g.node(op, [x, partner(g, x)])


@operator("BitwiseNot")
def bits_not(g: Growing, op: str) -> None:
    if g.opset < 18:
        raise NotValid
    g.node(op, [g.value(INTEGERS)])


@operator("BitShift")
def shift(g: Growing, op: str) -> None:
    x = g.value(("u8", "u32", "u64"))
    y = g.fresh(x.elem, x.shape, 0, 7)
    g.node(op, [x, y], direction=g.one_of(("LEFT", "RIGHT")))


@operator("Identity", "Dropout")
def unchanged(g: Growing, op: str) -> None:
    x = g.value((*WIDE, "i64", "bool") if op == "Identity" else WIDE)
    g.node(op, [x], exact=True, low=x.low, high=x.high)
