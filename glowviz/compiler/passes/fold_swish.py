"""After this pass x · Sigmoid(α·x) is one Swish, and x · Tanh(Softplus(x)) is one Mish."""

from __future__ import annotations

from glowviz.compiler.graph import Graph, Node
from glowviz.compiler.ops import Mish, Mul, Sigmoid, Softplus, Swish, Tanh
from glowviz.compiler.rewrite import Edit, Keep, Rewrite, graph_pass, rule
from glowviz.compiler.rewrite.facts import apply_if, constant_side, only_user, same, shortest, sides, users_text


@rule(Mul)
def sigmoid_times_x(edit: Edit, node: Node) -> Rewrite | None:
    """x · Sigmoid(x), x · Sigmoid(α · x) -> Swish(x, α)"""
    for x, gate in sides(node.op):
        maker = edit.maker(gate)
        if maker is None or not isinstance(maker.op, Sigmoid) or edit.type(x) != node.type:
            continue
        inner = edit.maker(maker.op.x)
        found = constant_side(edit, inner.op) if inner is not None and isinstance(inner.op, Mul) else None
        alpha = shortest(edit, found[1]) if found is not None and same(edit, found[0], x) else None
        if not same(edit, maker.op.x, x) and alpha is None:
            continue
        if not only_user(edit, gate):
            raise Keep(f"{users_text(edit, gate)}, so the Sigmoid would still be computed.")
        absorbed = (maker,) if alpha is None or inner is None else (maker, inner)
        return Rewrite(Swish(x, alpha=1.0 if alpha is None else alpha), f"Sigmoid %{gate} reads %{x} too", absorbed)
    return None


@rule(Mul)
def softplus_tanh_times_x(edit: Edit, node: Node) -> Rewrite | None:
    """x · Tanh(Softplus(x)) -> Mish(x)"""
    for x, gate in sides(node.op):
        tanh = edit.maker(gate)
        softplus = edit.maker(tanh.op.x) if tanh is not None and isinstance(tanh.op, Tanh) else None
        if tanh is None or softplus is None or not isinstance(softplus.op, Softplus):
            continue
        if same(edit, softplus.op.x, x) and edit.type(x) == node.type:
            return Rewrite(Mish(x), f"Softplus %{softplus.name} reads %{x} too", absorbs=(tanh, softplus))
    return None


@graph_pass(rules=(sigmoid_times_x, softplus_tanh_times_x), tolerance=1e-6)
def fold_swish(graph: Graph) -> Graph:
    """x · Sigmoid(α · x) -> Swish(x, α); x · Tanh(Softplus(x)) -> Mish(x)."""
    return apply_if(graph, fold_swish.rules, Sigmoid, Tanh)
