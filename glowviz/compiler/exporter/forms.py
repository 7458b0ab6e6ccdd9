"""Every op in its ONNX form: by name and attribute, or by a function of its own where ONNX spells it differently."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from math import inf
from typing import Any

import numpy as np
from onnx import GraphProto, defs, numpy_helper

from glowviz.compiler.exporter.problem import ExportProblem
from glowviz.compiler.exporter.sheet import OPSET, Sheet, element, type_proto
from glowviz.compiler.graph import Graph, Node, Region
from glowviz.compiler.onnx_words import ABSENT, CAPTURED, FIELD_OF
from glowviz.compiler.ops import (
    DFT,
    AlongAxes,
    Cast,
    Clip,
    ConstantOfShape,
    Copy,
    Dropout,
    If,
    Loop,
    Mod,
    Opaque,
    Pack,
    Reorder,
    Scan,
    Split,
    Squeeze,
    Swish,
    Unsqueeze,
    WideConv,
    WideGemm,
    WideMatMul,
)
from glowviz.compiler.ops.arrange import ChannelShuffle
from glowviz.compiler.ops.base import Op
from glowviz.compiler.ops.bodies import Controlled
from glowviz.compiler.ops.branches import Unfit
from glowviz.compiler.ops.reduce import Reduction
from glowviz.compiler.ops.wide import plain_of
from glowviz.compiler.types import ELEMENTS, Type

GraphOf = Callable[[Graph, Sheet], GraphProto]
ONNX_NAME: dict[str, str] = {field: name for name, field in FIELD_OF.items()}


def write_node(sheet: Sheet, node: Node, graph_of: GraphOf) -> None:
    """Append the ONNX nodes that compute what `node` computes, under the names of its results."""
    op = node.op
    if isinstance(op, Controlled):
        _controlled(sheet, node, graph_of)
        return
    if isinstance(op, Opaque):
        _opaque(sheet, node, graph_of)
        return
    if isinstance(op, Reorder | Pack | Copy):
        sheet.node("Identity", [sheet.value(op.operands[0])], [sheet.value(node.name)])
        return
    form = next((f for cls, f in FORMS.items() if isinstance(op, cls)), None)
    if form is not None:
        form(sheet, node)
    elif type(op).onnx is None or not defs.has(type(op).onnx, OPSET, type(op).domain):
        raise ExportProblem(
            f"ONNX has no op for {op.name} %{node.name}", _where(node), "ops of the model",
            "Export the graph before it is lowered",
        )
    else:
        plain(sheet, node, _attributes(op))


def plain(sheet: Sheet, node: Node, attributes: dict[str, Any], operands: list[str] | None = None) -> None:
    """The op under its ONNX name."""
    cls = type(node.op)
    results = [sheet.value(r) for r in node.results]
    proto = sheet.node(cls.onnx or "", operands or _operands(sheet, node), results, attributes, cls.domain)
    if cls.domain:
        sheet.domains.setdefault(cls.domain, 1)
        proto.domain = cls.domain


def _operands(sheet: Sheet, node: Node) -> list[str]:
    found: list[str] = []
    for slot in node.op.slots():
        value = getattr(node.op, slot.name)
        if slot.variadic:
            found.extend(sheet.value(v) for v in value)
        else:
            found.append("" if value is None else sheet.value(value))
    return found


def _attributes(op: Op) -> dict[str, Any]:
    """ONNX names and values; an empty list and None, and a default that the opset lacks, are left out."""
    cls = type(op)
    declared = defs.get_schema(cls.onnx or "", OPSET, cls.domain).attributes
    defaults = {f.name: f.default for f in fields(cls)}  # type: ignore[arg-type]  # a dataclass
    found: dict[str, Any] = {}
    for field, value in op.attributes.items():
        name = ONNX_NAME.get(field, field)
        if value is None or value == () or (value == defaults[field] and (name not in declared or value == "")):
            continue
        found[name] = element(value) if isinstance(value, str) and _is_int(declared.get(name)) else value
    return found


def _is_int(declared: Any) -> bool:
    """ONNX writes it as a number: an element type that is a name here."""
    return declared is not None and str(declared.type).endswith("INT")


def _where(node: Node) -> str:
    return f"%{node.name}, from {', '.join(node.origin.names) or 'no ONNX node'}"


def _first(sheet: Sheet, node: Node) -> str:
    return sheet.value(node.op.operands[0])


def _clip(sheet: Sheet, node: Node) -> None:
    """Limits are operands of the element type of x."""
    dtype = node.type.dtype
    limits = [
        "" if abs(limit) == inf else sheet.constant(np.asarray(limit).astype(dtype), f"{node.name}.{name}")
        for name, limit in (("low", node.op.low), ("high", node.op.high))
    ]
    plain(sheet, node, {}, [_first(sheet, node), *limits])


def _reduce(sheet: Sheet, node: Node) -> None:
    """Axes are an operand; none means all."""
    axes = [sheet.constant(np.array(node.op.axes, np.int64), f"{node.name}.axes")] if node.op.axes else []
    plain(sheet, node, {"keepdims": node.op.keepdims}, [_first(sheet, node), *axes])


def _squeeze(sheet: Sheet, node: Node) -> None:
    axes = [sheet.constant(np.array(node.op.axes, np.int64), f"{node.name}.axes")] if node.op.axes else []
    plain(sheet, node, {}, [_first(sheet, node), *axes])


def _split(sheet: Sheet, node: Node) -> None:
    """`num_outputs` only where no sizes are given."""
    count = len(node.results) if node.op.split is None else None
    plain(sheet, node, {"axis": node.op.axis, "num_outputs": count})


def _cast(sheet: Sheet, node: Node) -> None:
    plain(sheet, node, _attributes(node.op))


def _constant_of_shape(sheet: Sheet, node: Node) -> None:
    value = numpy_helper.from_array(np.array([node.op.value], ELEMENTS[node.op.elem]))
    plain(sheet, node, {"value": value})


def _dropout(sheet: Sheet, node: Node) -> None:
    """At inference x itself."""
    plain(sheet, node, {})


def _swish(sheet: Sheet, node: Node) -> None:
    """x · sigmoid(alpha · x): the op itself is newer than the opset."""
    x, inner = _first(sheet, node), _first(sheet, node)
    if node.op.alpha != 1:
        alpha = sheet.constant(np.asarray(node.op.alpha).astype(node.type.dtype), f"{node.name}.alpha")
        inner = sheet.fresh(f"{node.name}.scaled")
        sheet.node("Mul", [x, alpha], [inner])
    gate = sheet.fresh(f"{node.name}.gate")
    sheet.node("Sigmoid", [inner], [gate])
    sheet.node("Mul", [x, gate], [sheet.value(node.name)])


def _along_axes(sheet: Sheet, node: Node) -> None:
    """The op that it stands for."""
    op = node.op
    more = {"keepdims": op.keepdims, "noop_with_empty_axes": op.noop} if op.kind.startswith("Reduce") else {}
    sheet.node(op.kind, [sheet.value(op.x), sheet.value(op.axes)], [sheet.value(node.name)], more)


def _dft(sheet: Sheet, node: Node) -> None:
    """The axis is an operand."""
    op = node.op
    length = "" if op.dft_length is None else sheet.value(op.dft_length)
    axis = sheet.constant(np.array(op.axis, np.int64), f"{node.name}.axis")
    plain(sheet, node, {"inverse": op.inverse, "onesided": op.onesided}, [sheet.value(op.x), length, axis])


def _mod(sheet: Sheet, node: Node) -> None:
    """Of floats the opset has only C's fmod: where the signs differ, the divisor is added."""
    if node.op.fmod or not node.type.is_float:
        plain(sheet, node, _attributes(node.op))
        return
    x, y = (sheet.value(v) for v in node.op.operands)
    zero = sheet.constant(np.zeros((), node.type.dtype), f"{node.name}.zero")
    rest, below, under, differ, none, moved, chosen = (
        sheet.fresh(f"{node.name}.{part}") for part in ("rest", "below", "under", "differ", "none", "moved", "chosen")
    )
    sheet.node("Mod", [x, y], [rest], {"fmod": 1})
    sheet.node("Less", [rest, zero], [below])
    sheet.node("Less", [y, zero], [under])
    sheet.node("Xor", [below, under], [differ])
    sheet.node("Equal", [rest, zero], [none])
    sheet.node("Add", [rest, y], [moved])
    sheet.node("Where", [differ, moved, rest], [chosen])
    sheet.node("Where", [none, rest, chosen], [sheet.value(node.name)])


def _channel_shuffle(sheet: Sheet, node: Node) -> None:
    """The three nodes it was made of."""
    split, perm, final = node.op.steps(node.type.dims)
    shapes = [sheet.constant(np.array(n, np.int64), f"{node.name}.shape") for n in (split, final)]
    groups, turned = sheet.fresh(f"{node.name}.groups"), sheet.fresh(f"{node.name}.turned")
    sheet.node("Reshape", [_first(sheet, node), shapes[0]], [groups])
    sheet.node("Transpose", [groups], [turned], {"perm": perm})
    sheet.node("Reshape", [turned, shapes[1]], [sheet.value(node.name)])


def _wide(sheet: Sheet, node: Node) -> None:
    """The product of both operands cast to f32: the same numbers."""
    op = plain_of(node.op)
    first = [sheet.fresh(f"{node.name}.{side}") for side in ("left", "right")]
    for wide, narrow in zip(first, op.operands, strict=False):
        sheet.node("Cast", [sheet.value(narrow)], [wide], {"to": element("f32")})
    rest = [sheet.value(o) for o in op.operands[2:]]
    sheet.node(op.name, [*first, *rest], [sheet.value(node.name)], _attributes(op))


def _unfit(sheet: Sheet, node: Node) -> None:
    """What loads, and refuses where a run takes it: row 1 of one row. Chance keeps runtimes from computing it early."""
    if any(type_.elem not in ELEMENTS for type_ in node.types):
        raise ExportProblem(f"%{node.name} stands for a branch that does not fit", _where(node), "numbers", "Keep it")
    drawn, turned, place = (sheet.fresh(f"{node.name}.{part}") for part in ("drawn", "turned", "place"))
    sheet.node("RandomUniform", [], [drawn], {"low": 1.25, "high": 1.75, "shape": [1]})
    sheet.node("Cast", [drawn], [turned], {"to": element("i64")})
    sheet.node("Squeeze", [turned], [place])
    for result, type_ in zip(node.results, node.types, strict=True):
        dims = [dim if isinstance(dim, int) else 1 for dim in type_.shape or ()]
        row = sheet.constant(np.zeros((1, *dims), type_.dtype), f"{result}.row")
        sheet.node("Gather", [row, place], [sheet.value(result)]).doc_string = node.op.reason


FORMS: dict[type, Callable[[Sheet, Node], None]] = {
    Clip: _clip, Reduction: _reduce, Squeeze: _squeeze, Unsqueeze: _squeeze, Split: _split, Cast: _cast,
    ConstantOfShape: _constant_of_shape, Dropout: _dropout, Swish: _swish, Mod: _mod, DFT: _dft, AlongAxes: _along_axes,
    ChannelShuffle: _channel_shuffle, WideConv: _wide, WideGemm: _wide, WideMatMul: _wide,
    Unfit: _unfit,
}


def _controlled(sheet: Sheet, node: Node, graph_of: GraphOf) -> None:
    """If, Loop or Scan; its bodies take what they capture by name again."""
    op = node.op
    given = [sheet.value(x) for x in op.xs]
    own, outside = given[: op.captured], given[op.captured :]
    attributes: dict[str, Any] = {n: _proto(region, sheet, outside, graph_of) for n, region in op.regions.items()}
    operands = own
    if isinstance(op, If):
        operands = [sheet.value(op.condition)]
    elif isinstance(op, Loop):
        operands = [*("" if v is None else sheet.value(v) for v in (op.trip, op.condition)), *own]
    elif isinstance(op, Scan):
        if op.batched:
            raise ExportProblem("Scan over a batch is opset 8", _where(node), "Scan as it is since opset 9", "Keep it")
        attributes |= {"num_scan_inputs": op.scanned}
        for side in ("input", "output"):
            for what in ("axes", "directions"):
                attributes[f"scan_{side}_{what}"] = getattr(op, f"{side}_{what}") or None
    sheet.node(op.name, operands, [sheet.value(r) for r in node.results], attributes)


def _opaque(sheet: Sheet, node: Node, graph_of: GraphOf) -> None:
    """What the model said of it, with bodies that take values from outside by name again."""
    op = node.op
    attributes = dict(op.attrs)
    absent, captured = set(attributes.pop(ABSENT, ())), attributes.pop(CAPTURED, 0)
    given = [sheet.value(v) for v in op.xs]
    outside, values = given[len(given) - captured :], iter(given[: len(given) - captured])
    total = len(given) - captured + len(absent)
    operands = ["" if i in absent else next(values) for i in range(total)]
    _check_version(op, node, attributes, total)
    plain_values = {name: _proto(value, sheet, outside, graph_of) for name, value in attributes.items()}
    sheet.node(op.op_type, operands, [sheet.value(r) for r in node.results], plain_values, op.domain)
    if op.domain:
        sheet.domains[op.domain] = max(op.opset, sheet.domains.get(op.domain, 1))


def _check_version(op: Opaque, node: Node, attributes: dict[str, Any], total: int) -> None:
    """An op of ONNX whose form has changed since its own opset cannot be written in ours."""
    if op.domain:
        return
    schema = defs.get_schema(op.op_type, OPSET, "") if defs.has(op.op_type, OPSET, "") else None
    if schema is None:
        return
    fits = set(attributes) <= set(schema.attributes) and schema.min_input <= total <= schema.max_input
    if op.opset > 26 or not fits:
        raise ExportProblem(
            f"{op.op_type} of opset {op.opset} has another form in opset {OPSET}", _where(node),
            "a node of the same form", "Convert the model with onnx.version_converter first",
        )


def _proto(value: Any, sheet: Sheet, outside: list[str], graph_of: GraphOf) -> Any:
    if isinstance(value, Region):
        inputs = list(value.inputs)
        names = dict(zip(inputs[len(inputs) - len(outside) :], outside, strict=True)) if outside else {}
        return graph_of(value, Sheet(sheet, names))
    if isinstance(value, np.ndarray):
        return numpy_helper.from_array(value)
    if isinstance(value, Type):
        return type_proto(value)
    if isinstance(value, tuple):
        return [_proto(v, sheet, outside, graph_of) for v in value]
    return value
