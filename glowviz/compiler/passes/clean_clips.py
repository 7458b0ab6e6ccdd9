"""After this pass no Clip, Relu, Max or Min is left that the bounds before it make needless."""

from __future__ import annotations

from math import inf

from glowviz.compiler.graph import Graph, Node
from glowviz.compiler.ops import (
    Abs,
    Clip,
    Exp,
    Flatten,
    HardSigmoid,
    Max,
    MaxPool,
    Min,
    Relu,
    Reshape,
    Sigmoid,
    Softmax,
    Softplus,
    Sqrt,
    Squeeze,
    Tanh,
    Transpose,
    Unsqueeze,
)
from glowviz.compiler.rewrite import Edit, Keep, Rewrite, apply, graph_pass, rule
from glowviz.compiler.rewrite.facts import constant_side, named, shape_text, splat

KEEPS_VALUES = (Reshape, Flatten, Squeeze, Unsqueeze, Transpose, MaxPool)
"""Ops whose results are elements of their operand."""
RANGES: dict[type, tuple[float, float]] = {
    Relu: (0, inf), Sigmoid: (0, 1), HardSigmoid: (0, 1), Softmax: (0, 1), Tanh: (-1, 1), Exp: (0, inf),
    Abs: (0, inf), Sqrt: (0, inf), Softplus: (0, inf),
}  # fmt: skip
Bounds = tuple[float, float]


@rule(Clip, Relu)
def clip_of_clip(edit: Edit, node: Node) -> Rewrite | None:
    """Clip(Clip(x, a, b), c, d) -> Clip(x, a and b brought into [c, d]); Relu is Clip(x, 0, inf)"""
    inner = edit.maker(node.op.x)
    if inner is None or not isinstance(inner.op, (Clip, Relu)):
        return None
    (a, b), (c, d) = _limits(inner.op), _limits(node.op)
    if a > b or c > d:
        raise Keep(f"{named(inner)} or {named(node)} has a lower limit above its upper one.")
    low, high = (min(max(limit, c), d) for limit in (a, b))
    result = Relu(inner.op.x) if (low, high) == (0, inf) else Clip(inner.op.x, low=low, high=high)
    reason = f"[{a:g}, {b:g}] of {named(inner)} within [{c:g}, {d:g}] of {named(node)} is [{low:g}, {high:g}]"
    return Rewrite(result, reason, absorbs=(inner,))


@rule(Clip, Relu)
def needless_clip(edit: Edit, node: Node) -> Rewrite | None:
    """Clip(x, c, d) -> x where x is surely in [c, d]; Relu(x) -> x where x >= 0"""
    low, high = bounds(edit, node.op.x)
    c, d = _limits(node.op)
    if low < c or high > d:
        return None
    return Rewrite(node.op.x, f"%{node.op.x} is in [{low:g}, {high:g}] already, {named(node)} limits to [{c:g}, {d:g}]")


@rule(Max, Min)
def min_max_to_clip(edit: Edit, node: Node) -> Rewrite | None:
    """Min(Max(x, a), b), Max(Min(x, b), a), Min(Relu(x), b) -> Clip(x, a, b); Max(x, 0) -> Relu(x)"""
    outer = _with_number(edit, node)
    if outer is None:
        return None
    value, number = outer
    if number == (-inf if isinstance(node.op, Max) else inf):
        return Rewrite(value, f"nothing is beyond {number:g}: %{node.name} is %{value}")
    inner = edit.maker(value)
    if inner is not None and isinstance(inner.op, (Max, Min, Relu)) and type(inner.op) is not type(node.op):
        found = (inner.op.x, 0.0) if isinstance(inner.op, Relu) else _with_number(edit, inner)
        if isinstance(inner.op, Relu) and isinstance(node.op, Max):
            return None
        if found is not None:
            low, high = (number, found[1]) if isinstance(node.op, Max) else (found[1], number)
            if low > high:
                raise Keep(f"The lower limit {low:g} is above the upper one {high:g}: the order of both counts.")
            reason = f"{named(inner)} and {named(node)} limit %{found[0]} to [{low:g}, {high:g}]"
            return Rewrite(Clip(found[0], low=low, high=high), reason, absorbs=(inner,))
    if isinstance(node.op, Max) and number == 0:
        return Rewrite(Relu(value), f"the larger of %{value} and 0")
    return None


def bounds(edit: Edit, value: str) -> Bounds:
    """Numbers that all elements of a value lie between, as far as the ops before it tell (NaN aside)."""
    for _ in range(8):
        op = edit.op(value)
        if not isinstance(op, KEEPS_VALUES):
            break
        value = op.x
    op = edit.op(value)
    return _limits(op) if isinstance(op, Clip) else RANGES.get(type(op), (-inf, inf))


def _limits(op: Clip | Relu) -> Bounds:
    return (0.0, inf) if isinstance(op, Relu) else (op.low, op.high)


def _with_number(edit: Edit, node: Node) -> tuple[str, float] | None:
    """The computed operand of Max or Min and the one number it is compared with."""
    found = constant_side(edit, node.op)
    number = splat(edit, found[1]) if found is not None else None
    if found is None or number is None:
        return None
    if edit.type(found[0]) != node.type:
        raise Keep(f"%{found[1]} spreads %{found[0]} to {shape_text(node.type)}, which Clip does not do.")
    return found[0], float(number)


@graph_pass(rules=(clip_of_clip, needless_clip, min_max_to_clip))
def clean_clips(graph: Graph) -> Graph:
    """Clip(Clip(x)) -> Clip(x); Relu(Sigmoid(x)) -> Sigmoid(x); Min(Max(x, a), b) -> Clip(x, a, b)."""
    return apply(graph, clean_clips.rules)
