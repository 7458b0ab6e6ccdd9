"""After this pass a softmax that was written out as exp, sum and division is one Softmax."""

from __future__ import annotations

from glowviz.compiler.graph import Graph, Node
from glowviz.compiler.ops import Div, Exp, Mul, Reciprocal, ReduceMax, ReduceSum, Softmax, Sub
from glowviz.compiler.rewrite import Edit, Keep, Rewrite, apply, expect, graph_pass, rule
from glowviz.compiler.rewrite.facts import makers, ready, reduction, same


@rule(Div, Mul)
def exp_sum_div(edit: Edit, node: Node) -> Rewrite | None:
    """Exp(x) / ReduceSum(Exp(x), axis) -> Softmax(x, axis); the maximum subtracted from x first goes with it"""
    parts = _numerator_and_sum(edit, node)
    if parts is None or not ready(edit, node):
        return None
    exp_value, sum_value, *inverse = parts
    total = reduction(edit, sum_value, ReduceSum) or expect(edit, sum_value, ReduceSum, role="of the same Exp")
    if not same(edit, total.x, exp_value):
        raise Keep(f"ReduceSum %{sum_value} adds up %{total.x}, not %{exp_value}.")
    rank = node.type.rank
    axes = total.positive_axes(rank)
    if len(axes) != 1:
        raise Keep(f"ReduceSum %{sum_value} adds up along {len(axes)} axes {list(axes)}, Softmax has one.")
    if not total.keepdims and axes != (0,):
        raise Keep(f"ReduceSum %{sum_value} drops axis {axes[0]}, so its sums do not line up with %{exp_value}.")
    x = argument = edit.op(exp_value).x
    shift = edit.op(x)
    highest = reduction(edit, shift.y, ReduceMax) if isinstance(shift, Sub) else None
    if highest is not None and highest.keepdims and highest.positive_axes(rank) == axes:
        x = shift.x if same(edit, highest.x, shift.x) else x
    safety = () if x == argument else (argument, shift.y)
    # users before what they read, so that each is unused when its turn comes
    absorbed = makers(edit, *inverse, sum_value, exp_value, *safety)
    reason = f"%{exp_value} divided by its sum along axis {axes[0]} is the softmax of %{x}"
    return Rewrite(Softmax(x, axis=axes[0]), reason, absorbs=absorbed, continues={exp_value: node.name})


def _numerator_and_sum(edit: Edit, node: Node) -> tuple[str, ...] | None:
    """The Exp, the sum it is divided by, and the reciprocal between them if there is one."""
    if isinstance(node.op, Div):
        return (node.op.x, node.op.y) if isinstance(edit.op(node.op.x), Exp) else None
    for numerator, inverse in ((node.op.x, node.op.y), (node.op.y, node.op.x)):
        inner = edit.op(inverse)
        if isinstance(edit.op(numerator), Exp) and isinstance(inner, Reciprocal):
            return numerator, inner.x, inverse
    return None


@graph_pass(rules=(exp_sum_div,), tolerance=1e-6)
def fold_softmax(graph: Graph) -> Graph:
    """Exp(x) / ReduceSum(Exp(x)) -> Softmax(x), with or without the maximum subtracted."""
    return apply(graph, fold_softmax.rules)
