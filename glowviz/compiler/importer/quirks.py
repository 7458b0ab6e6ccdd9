"""ONNX history in arithmetic: a function per op whose old or n:1 forms are not those of our class."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

import numpy as np
from onnx import TensorProto

from glowviz.compiler.importer.convert import class_of, convert
from glowviz.compiler.importer.site import NotTaken, Site
from glowviz.compiler.importer.tensors import array_of, dense_of
from glowviz.compiler.ops.activations import Clip, Identity
from glowviz.compiler.ops.base import OPS, Op
from glowviz.compiler.ops.elementwise import Max, Min
from glowviz.compiler.types import ELEMENTS, INTEGERS

Quirk = Callable[[Site], Op | None]
"""The op that defines the site's results; None where the quirk has defined them itself."""

QUIRKS: dict[str, Quirk] = {}
"""By ONNX op, with `domain::` before it outside the default one; what is not here is converted as it stands."""


def quirk(*op_types: str) -> Callable[[Quirk], Quirk]:
    """Declare how these ONNX ops are read."""

    def declare(function: Quirk) -> Quirk:
        QUIRKS.update(dict.fromkeys(op_types, function))
        return function

    return declare


def plain(site: Site, op_type: str = "") -> Op:
    """The site as its own class after all (or as that of another ONNX op)."""
    cls = class_of("", op_type or site.kind)
    if cls is None:
        raise NotTaken("there is no such op here")
    return convert(cls, site)


def op(name: str, *operands: Any, **attributes: Any) -> Op:
    """An op by its class name, for what a quirk writes."""
    return OPS[name](*operands, **attributes)  # type: ignore[call-arg]  # fields are those of the class


@quirk("Add", "Sub", "Mul", "Div", "And", "Or", "Xor", "Equal", "Less", "Greater", "Pow", "Gemm")
def old_broadcast(site: Site) -> Op:
    """Before opset 7 the second operand is aligned at `axis`; trailing ones make it today's broadcast."""
    axis = int(site.number("axis", 0)) if "axis" in site.attrs else None
    wide = site.attrs.pop("broadcast", 0)
    site.attrs.pop("axis", None)
    if site.version >= 7 or not wide or axis is None or site.kind == "Gemm":
        return plain(site)
    x, y = site.need(0), site.need(1)
    rank, narrow = site.rank(x), site.rank(y)
    if rank is None or narrow is None:
        raise NotTaken("it broadcasts at an axis of a value of unknown rank")
    trailing = rank - (axis % rank if rank else 0) - narrow
    if trailing > 0:
        y = site.add(op("Unsqueeze", y, axes=tuple(range(narrow, narrow + trailing))), "aligned")
        site.operands = (x, y)
    return plain(site)


@quirk("PRelu")
def old_slope(site: Site) -> Op:
    """Before opset 7 a slope [C] belongs to the channels of x, not to its last axis."""
    x, slope = site.need(0), site.need(1)
    rank = site.rank(x)
    if site.version < 7 and site.rank(slope) == 1 and rank is not None and rank > 2:
        shape = site.type(slope).shape
        if shape != (1,):
            slope = site.add(op("Unsqueeze", slope, axes=tuple(range(1, rank - 1))), "aligned")
            site.operands = (x, slope)
    return plain(site)


@quirk("Max", "Min")
def chained(site: Site) -> Op:
    """Max(a, b, c) -> Max(Max(a, b), c); of one operand it is that operand."""
    cls = Max if site.kind == "Max" else Min
    first, *others = [site.need(i) for i in range(len(site.operands))] or [site.need(0)]
    if not others:
        return Identity(first)
    for number, other in enumerate(others[:-1]):
        first = site.add(cls(first, other), f"of{number + 2}")
    return cls(first, others[-1])


@quirk("Clip")
def limits(site: Site) -> Op:
    """Limits were attributes before opset 11; constant operands become attributes, others Max and Min."""
    x = site.need(0)
    if site.version < 11:
        low = site.number("min", -inf) if "min" in site.given else -inf
        high = site.number("max", inf) if "max" in site.given else inf
        return Clip(x, float(low), float(high))
    if all(_is_limit(site, i) for i in (1, 2) if site.operand(i) is not None):
        low, high = (_limit(site, i, default) for i, default in ((1, -inf), (2, inf)))
        return Clip(x, low, high)
    low, high = site.operand(1), site.operand(2)
    if low is None:
        return Min(x, site.need(2))
    return Max(x, low) if high is None else Min(site.add(Max(x, low), "raised"), high)


def _is_limit(site: Site, index: int) -> bool:
    array = site.known(index)
    if array is None or array.size != 1:
        return False
    return array.dtype.kind not in "iu" or abs(int(array.reshape(-1)[0])) < 1 << 53


def _limit(site: Site, index: int, default: float) -> float:
    if site.operand(index) is None:
        return default
    array = site.absorbed(index, "limits").reshape(-1)
    return float(str(array[0])) if array.dtype == np.float32 else float(array[0])


@quirk("Dropout")
def dropout(site: Site) -> Op | None:
    """At inference nothing is dropped; before opset 7 a node that says it is training is refused."""
    training = site.operand(2) is not None and site.version >= 12
    if training and bool(np.any(site.absorbed(2, "training mode"))):
        from glowviz.compiler.importer.quirks_training import dropped  # it declares quirks of its own

        return dropped(site)
    if site.version < 7 and not site.attrs.get("is_test", 0):
        raise NotTaken("it is in training mode, where its results are random")
    if site.version >= 12:
        site.drop(1)
    site.operands = site.operands[:1]
    return plain(site)


@quirk("Softmax", "LogSoftmax")
def flattened(site: Site) -> Op:
    """Before opset 13 it works on x flattened at `axis` (default 1), over all dims from there on."""
    if site.version >= 13:
        return plain(site)
    x, axis = site.need(0), int(site.number("axis", 1))
    last = _one_axis(site, x, axis)
    if last is not None:
        return op(site.kind, x, axis=last)
    flat = site.add(op("Flatten", x, axis=axis), "flat")
    soft = site.add(op(site.kind, flat, axis=1), "soft")
    return op("Reshape", soft, site.add(op("Shape", x), "shape"))


def _one_axis(site: Site, x: str, axis: int) -> int | None:
    """The only axis that counts where all dims behind `axis` are 1; None where they are not, or not known."""
    rank = site.rank(x)
    if rank is None:
        return axis if axis == -1 else None
    if not -rank <= axis <= rank:
        raise site.problem(f"Axis {axis} of {site.kind} does not exist", f"-{rank} to {rank}")
    axis = axis + rank if axis < 0 else axis
    rest = (site.type(x).shape or ())[axis + 1 :]
    return axis if axis < rank and all(d == 1 for d in rest) else None


@quirk("BatchNormalization")
def batch_normalization(site: Site) -> Op:
    """At inference the old results for training are empty; statistics are per channel."""
    training = site.attrs.get("training_mode", 0) or (site.version < 7 and not site.attrs.get("is_test", 0))
    if training:
        from glowviz.compiler.importer.quirks_training import batch_statistics  # it declares quirks of its own

        return batch_statistics(site)
    if not site.attrs.get("spatial", 1):
        raise NotTaken("its statistics are per element (spatial=0), not per channel")
    return plain(site)


@quirk("GroupNormalization")
def group_normalization(site: Site) -> Op:
    """Before opset 21 scale and bias are per group."""
    if site.version < 21:
        raise NotTaken("its scale and bias are per group, not per channel")
    return plain(site)


@quirk("Cast")
def cast(site: Site) -> Op:
    """Before opset 6 the element type is a text, `FLOAT`."""
    to = site.attrs.get("to")
    if isinstance(to, str):
        if to not in TensorProto.DataType.keys():  # noqa: SIM118  # an enum, no dict
            raise site.problem(f"Cast to {to!r}", "a name of an ONNX element type")
        site.attrs["to"] = TensorProto.DataType.Value(to)
    return plain(site)


@quirk("Conv", "ConvTranspose")
def kernel_shape(site: Site) -> Op:
    """`kernel_shape` repeats the shape of the weights; where it does not, the file is wrong."""
    wanted, weights = site.ints("kernel_shape"), site.type(site.need(1))
    if wanted and weights.static and tuple(weights.dims[2:]) != wanted:
        raise site.problem(
            f"{site.kind} says kernel_shape {list(wanted)}, its weights are {weights}",
            f"kernel_shape {list(weights.dims[2:])}",
        )
    return plain(site)


@quirk("MaxPool")
def max_pool(site: Site) -> Op:
    """`storage_order` only speaks of the indices; where nobody takes them it goes."""
    if len(site.results) == 1:
        site.attrs.pop("storage_order", None)
    return plain(site)


@quirk("Constant")
def constant(site: Site) -> None:
    """The node becomes a constant of the graph."""
    site.sketch.add_constant(site.results[0], _content(site), site.origin, site.where)


def _content(site: Site) -> np.ndarray:
    for name, value in site.attrs.items():
        if name == "value" and hasattr(value, "data_type"):
            return array_of(value, site.source, site.where)
        if name == "sparse_value":
            return dense_of(value, site.source, site.where)
        if name in _CONSTANTS and site.given.keys() == {name}:
            return np.asarray(value, _CONSTANTS[name])
    raise site.problem("A Constant has no content", "one attribute that gives it")


_CONSTANTS: dict[str, Any] = {
    "value_float": np.float32, "value_floats": np.float32, "value_int": np.int64, "value_ints": np.int64,
    "value_string": object, "value_strings": object,
}


@quirk("ConstantOfShape")
def constant_of_shape(site: Site) -> Op:
    """The value is a tensor of one element; without it, 0.0 in f32."""
    tensor = site.attrs.get("value")
    if tensor is None:
        return op("ConstantOfShape", site.need(0), value=0.0, elem="f32")
    array = array_of(tensor, site.source, site.where)
    if array.size != 1:
        raise site.problem(f"The value of ConstantOfShape has {array.size} elements", "one")
    elem = next(e for e, dtype in ELEMENTS.items() if dtype == array.dtype)
    value = array.reshape(-1)[0]
    number = bool(value) if elem == "bool" else int(value) if elem in INTEGERS else _shortest(value)
    return op("ConstantOfShape", site.need(0), value=number, elem=elem)


def _shortest(value: Any) -> float:
    return float(str(value)) if value.dtype == np.float32 else float(value)
