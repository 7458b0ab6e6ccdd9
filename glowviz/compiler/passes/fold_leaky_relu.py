"""After this pass a leaky ReLU that was written as Max, Where or PRelu with one slope is one LeakyRelu."""

from __future__ import annotations

from glowviz.compiler.graph import Graph, Node
from glowviz.compiler.ops import Greater, GreaterOrEqual, LeakyRelu, Less, Max, Mul, PRelu, Where
from glowviz.compiler.rewrite import Edit, Keep, Rewrite, apply, graph_pass, rule
from glowviz.compiler.rewrite.facts import constant_side, is_splat, shortest, sides


@rule(Max)
def max_of_scaled(edit: Edit, node: Node) -> Rewrite | None:
    """Max(x, x · α) with 0 <= α <= 1 -> LeakyRelu(x, α)"""
    for x, scaled in sides(node.op):
        alpha = _scale(edit, scaled, x)
        if alpha is None or not node.type.is_float:
            continue
        if not 0 <= alpha <= 1:
            raise Keep(f"α = {alpha:g} is not in [0, 1]: Max takes %{scaled} where %{x} is positive.")
        return _leaky(edit, node, x, alpha, scaled)
    return None


@rule(Where)
def chosen_by_sign(edit: Edit, node: Node) -> Rewrite | None:
    """Where(x > 0, x, x · α), Where(x < 0, x · α, x) -> LeakyRelu(x, α)"""
    test, op = edit.op(node.op.condition), node.op
    if not isinstance(test, (Greater, GreaterOrEqual, Less)) or not is_splat(edit, test.y, 0):
        return None
    kept, scaled = (op.y, op.x) if isinstance(test, Less) else (op.x, op.y)
    alpha = _scale(edit, scaled, kept) if kept == test.x else None
    if alpha is None or not node.type.is_float:
        return None
    return _leaky(edit, node, kept, alpha, scaled, op.condition)


@rule(PRelu)
def single_slope(edit: Edit, node: Node) -> Rewrite | None:
    """PRelu(x, slope) with one slope for all -> LeakyRelu(x, slope)"""
    alpha = shortest(edit, node.op.slope)
    if alpha is None:
        if edit.constant(node.op.slope) is None:
            raise Keep(f"The slope %{node.op.slope} is not constant.")
        raise Keep(f"The slope %{node.op.slope} differs from channel to channel.")
    return _leaky(edit, node, node.op.x, alpha)


def _scale(edit: Edit, scaled: str, x: str) -> float | None:
    """α where the value is x · α."""
    op = edit.op(scaled)
    found = constant_side(edit, op) if isinstance(op, Mul) else None
    return shortest(edit, found[1]) if found is not None and found[0] == x else None


def _leaky(edit: Edit, node: Node, x: str, alpha: float, *inner: str) -> Rewrite | None:
    if edit.type(x) != node.type:
        return None
    absorbed = tuple(n for v in inner if (n := edit.maker(v)) is not None)
    reason = f"%{node.name} is %{x} where that is positive and {alpha:g} · %{x} elsewhere"
    return Rewrite(LeakyRelu(x, alpha=alpha), reason, absorbs=absorbed)


@graph_pass(rules=(max_of_scaled, chosen_by_sign, single_slope))
def fold_leaky_relu(graph: Graph) -> Graph:
    """Max(x, x · α), Where(x > 0, x, x · α), PRelu(x, one slope) -> LeakyRelu(x, α)."""
    return apply(graph, fold_leaky_relu.rules)
