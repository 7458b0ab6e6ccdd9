"""Sequences, optionals, texts and bodies: what goes through them comes out as tensors again."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from tests.fuzz.growing import ELEMENTS, Growing, NotValid, Shape, Val
from tests.fuzz.operators_rare import scalar, since
from tests.fuzz.registry import operator


def several(g: Growing) -> list[Val]:
    """Two or three values of one kind and shape."""
    x = g.value(("f32", "i64", "i32"), lambda v: v.count <= 400, least=1)
    return [x, *(g.value((x.elem,), shape=x.shape) for _ in range(g.number(1, 2)))]


def at(g: Growing, sequence: str, index: int, parts: list[Val], shape: Shape | None = None) -> None:
    """A tensor of the sequence of these parts becomes a value again."""
    x = parts[0]
    g.node("SequenceAt", [sequence, scalar(g, index)], exact=True, low=min(p.low for p in parts), through=parts,
           high=max(p.high for p in parts), types=[(x.elem, x.shape if shape is None else shape)])  # fmt: skip


@operator("SequenceConstruct", "SequenceAt", "SequenceInsert", "SequenceErase", "SequenceLength", "SequenceEmpty")
def sequences(g: Growing, op: str) -> None:
    parts = several(g)
    (sequence,) = g.link("SequenceConstruct", parts)
    count = len(parts)
    if op == "SequenceEmpty":
        (sequence,) = g.link(op, [], dtype=ELEMENTS[parts[0].elem])
        count = 0
    if op in ("SequenceInsert", "SequenceEmpty"):
        (sequence,) = g.link("SequenceInsert", [sequence, parts[-1], scalar(g, g.number(-count, count))])
        count += 1
    if op == "SequenceErase":
        (sequence,) = g.link(op, [sequence, scalar(g, g.number(-count, count - 1))])
        count -= 1
    if op == "SequenceLength" or not count:
        g.node("SequenceLength", [sequence], exact=True, types=[("i64", ())], low=0, high=9)
    else:
        at(g, sequence, g.number(-count, count - 1), parts)


@operator("SplitToSequence", "ConcatFromSequence")
def parts_of(g: Growing, op: str) -> None:
    x = g.value(("f32", "i64"), lambda v: v.count > 0, least=1)
    if op == "SplitToSequence":
        (sequence,) = g.link(op, [x], axis=0, keepdims=1)
        at(g, sequence, g.number(-x.shape[0], x.shape[0] - 1), [x], (1, *x.shape[1:]))
        return
    parts = [x, g.value((x.elem,), shape=x.shape)]
    (sequence,) = g.link("SequenceConstruct", parts)
    new = g.number(0, 1)
    axis = g.number(0, len(x.shape) - 1 + new)
    doubled = tuple(d * (1 + (i == axis)) for i, d in enumerate(x.shape))
    shape = (*x.shape[:axis], 2, *x.shape[axis:]) if new else doubled
    low, high = min(p.low for p in parts), max(p.high for p in parts)
    g.node(op, [sequence], exact=True, types=[(x.elem, shape)], through=parts, axis=axis, new_axis=new, low=low,
           high=high)  # fmt: skip


def info(name: str, elem: str, shape: Shape | None) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, ELEMENTS[elem], shape)


@operator("SequenceMap")
def mapped(g: Growing, op: str) -> None:
    since(g, 17)
    parts = several(g)
    x = parts[0]
    (sequence,) = g.link("SequenceConstruct", parts)
    body = helper.make_graph([helper.make_node("Neg", ["a"], ["b"])], "body", [info("a", x.elem, x.shape)],
                             [info("b", x.elem, x.shape)])  # fmt: skip
    (result,) = g.link(op, [sequence], body=body)
    high = max(max(abs(p.low), abs(p.high)) for p in parts)
    g.node("SequenceAt", [result, scalar(g, 0)], exact=True, types=[(x.elem, x.shape)], through=parts, low=-high,
           high=high)  # fmt: skip


@operator("Optional", "OptionalGetElement", "OptionalHasElement")
def optionals(g: Growing, op: str) -> None:
    since(g, 18)
    x = g.value(("f32", "i64"))
    (optional,) = g.link("Optional", [x])
    if op == "OptionalHasElement":
        g.node(op, [optional], exact=True, types=[("bool", ())])
    else:
        g.node("OptionalGetElement", [optional], exact=True, types=[(x.elem, x.shape)], through=[x], low=x.low,
               high=x.high)  # fmt: skip


@operator("StringConcat", "StringNormalizer", "StringSplit", "RegexFullMatch")
def texts(g: Growing, op: str) -> None:
    since(g, 10 if op == "StringNormalizer" else 20)
    x = g.value(("str",), lambda v: v.count > 0, shape=(g.number(1, 5),))
    if op == "StringConcat":
        g.node(op, [x, g.value(("str",), shape=x.shape)], exact=True)
    elif op == "RegexFullMatch":
        g.node(op, [x], exact=True, pattern=g.one_of(("[a-z]+", "a.*", "Apple|b")))
    elif op == "StringSplit":
        g.link_open(op, [x], ("str", "i64"), delimiter=g.one_of((",", " ")))
    else:
        case = g.one_of(("LOWER", "UPPER", "NONE"))
        g.link_open(op, [x], ("str",), case_change_action=case, is_case_sensitive=1, stopwords=["b"], locale="C")


def body(nodes: list[Any], inputs: list[Any], outputs: list[Any]) -> onnx.GraphProto:
    return helper.make_graph(nodes, "body", inputs, outputs)


@operator("If")
def branches(g: Growing, op: str) -> None:
    x = g.value(("f32",), lambda v: not v.special)
    condition = g.fresh("bool", ())
    sides = [body([helper.make_node(kind, [x.name], [f"o{n}"])], [], [info(f"o{n}", "f32", x.shape)])
             for n, kind in enumerate(("Neg", "Abs"))]  # fmt: skip
    high = max(abs(x.low), abs(x.high))
    g.read_inside.add(x.name)
    g.node(op, [condition], exact=True, types=[("f32", x.shape)], through=[x], low=-high, high=high,
           then_branch=sides[0], else_branch=sides[1])  # fmt: skip


@operator("Loop")
def loop(g: Growing, op: str) -> None:
    x = g.value(("f32", "i64"), lambda v: not v.special and v.high < 40)
    turns = g.number(0, 4)
    more = body(
        [helper.make_node("Add", ["a", "a"], ["b"]), helper.make_node("Identity", ["go"], ["on"]),
         helper.make_node("Identity", ["b"], ["seen"])],
        [info("n", "i64", ()), helper.make_tensor_value_info("go", TensorProto.BOOL, ()), info("a", x.elem, x.shape)],
        [helper.make_tensor_value_info("on", TensorProto.BOOL, ()), info("b", x.elem, x.shape),
         info("seen", x.elem, x.shape)],
    )  # fmt: skip
    count = g.constant(np.array(turns, np.int64)) if g.flag() else g.fresh("i64", (), turns, turns).name
    g.node(op, [count, "", x], exact=True, types=[(x.elem, x.shape), (x.elem, (turns, *x.shape))], low=16 * x.low,
           high=16 * x.high, body=more)  # fmt: skip


@operator("Scan")
def scan(g: Growing, op: str) -> None:
    x = g.value(("f32", "i64"), lambda v: v.count > 0 and not v.special and max(v.shape) <= 9 and v.high < 40, least=1)
    row = x.shape[1:]
    start = g.fresh(x.elem, row)
    if start.special:
        raise NotValid
    step = body(
        [helper.make_node("Add", ["a", "r"], ["b"]), helper.make_node("Identity", ["b"], ["s"])],
        [info("a", x.elem, row), info("r", x.elem, row)], [info("b", x.elem, row), info("s", x.elem, row)],
    )  # fmt: skip
    g.node(op, [start, x], exact=x.elem != "f32", types=[(x.elem, row), (x.elem, x.shape)], low=-400, high=400,
           body=step, num_scan_inputs=1)  # fmt: skip
