"""After this pass a hard sigmoid or hard swish that was written out with Clip is one HardSigmoid or HardSwish."""

from __future__ import annotations

from glowviz.compiler.graph import Graph, Node
from glowviz.compiler.ops import Add, Clip, Div, HardSigmoid, HardSwish, Mul
from glowviz.compiler.rewrite import Edit, Keep, Rewrite, graph_pass, rule
from glowviz.compiler.rewrite.facts import apply_if, constant_side, is_splat, product_terms, same, sides

CLOSE = 1e-4
"""Relative difference up to which a constant counts as 1/6: files round it to 0.16667."""


@rule(Mul, Div)
def clip_hardswish(edit: Edit, node: Node) -> Rewrite | None:
    """x · Clip(x + 3, 0, 6) / 6, in any grouping -> HardSwish(x)"""
    terms = product_terms(edit, node)
    if len(terms.values) != 2 or abs(terms.number - 1 / 6) > CLOSE / 6:
        return None
    for x, clipped in (terms.values, terms.values[::-1]):
        inner = _clipped_sum(edit, clipped)
        if inner is None:
            continue
        if not same(edit, inner[0], x):
            raise Keep(f"Clip %{clipped} reads %{inner[0]} + 3, the other factor is %{x}.")
        if edit.type(x) != node.type:
            return None
        absorbed = (*terms.inner, *inner[1])
        return Rewrite(HardSwish(x), f"%{node.name} is %{x} · Clip(%{x} + 3, 0, 6) / 6", absorbs=absorbed)
    return None


@rule(Mul, Div)
def clip_hardsigmoid(edit: Edit, node: Node) -> Rewrite | None:
    """Clip(x + 3, 0, 6) / 6 -> HardSigmoid(x, 1/6, 1/2)"""
    terms = product_terms(edit, node)
    if len(terms.values) != 1 or abs(terms.number - 1 / 6) > CLOSE / 6:
        return None
    inner = _clipped_sum(edit, terms.values[0])
    if inner is None or edit.type(inner[0]) != node.type:
        return None
    absorbed = (*terms.inner, *inner[1])
    result = HardSigmoid(inner[0], alpha=1 / 6, beta=0.5)
    return Rewrite(result, f"%{node.name} is Clip(%{inner[0]} + 3, 0, 6) / 6", absorbs=absorbed)


@rule(Mul)
def hardsigmoid_times_x(edit: Edit, node: Node) -> Rewrite | None:
    """x · HardSigmoid(x, 1/6, 1/2) -> HardSwish(x)"""
    for x, gate in sides(node.op):
        op, maker = edit.op(gate), edit.maker(gate)
        if not isinstance(op, HardSigmoid) or not same(edit, op.x, x) or maker is None:
            continue
        if abs(op.alpha - 1 / 6) > CLOSE / 6 or abs(op.beta - 0.5) > CLOSE:
            raise Keep(f"HardSigmoid %{gate} has alpha={op.alpha:g} and beta={op.beta:g}, HardSwish 1/6 and 1/2.")
        return Rewrite(HardSwish(x), f"HardSigmoid %{gate} reads %{x} too", absorbs=(maker,))
    return None


def _clipped_sum(edit: Edit, value: str) -> tuple[str, tuple[Node, ...]] | None:
    """x and the nodes, where the value is Clip(x + 3, 0, 6)."""
    clip = edit.maker(value)
    if clip is None or not isinstance(clip.op, Clip) or (clip.op.low, clip.op.high) != (0, 6):
        return None
    plus = edit.maker(clip.op.x)
    if plus is None or not isinstance(plus.op, Add):
        return None
    found = constant_side(edit, plus.op)
    if found is None or not is_splat(edit, found[1], 3):
        return None
    return found[0], (clip, plus)


@graph_pass(rules=(clip_hardswish, clip_hardsigmoid, hardsigmoid_times_x), tolerance=2e-4)
def fold_hardswish(graph: Graph) -> Graph:
    """x · Clip(x + 3, 0, 6) / 6 -> HardSwish(x); Clip(x + 3, 0, 6) / 6 -> HardSigmoid(x)."""
    return apply_if(graph, fold_hardswish.rules, Clip, HardSigmoid)
