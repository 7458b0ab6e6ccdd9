"""After this pass a GELU that was written out with erf or tanh is one Gelu."""

from __future__ import annotations

from math import pi, sqrt

from glowviz.compiler.graph import Graph, Node
from glowviz.compiler.ops import Add, Erf, Gelu, Mul, Pow, Tanh
from glowviz.compiler.rewrite import Edit, Keep, Rewrite, graph_pass, rule
from glowviz.compiler.rewrite.facts import (
    apply_if,
    is_splat,
    named,
    only_user,
    product_terms,
    same,
    sides,
    splat,
    sum_terms,
)

CLOSE = 1e-3
"""Relative difference up to which a constant counts as the one of the formula: files round √2 to 1.4142."""


@rule(Mul)
def erf_gelu(edit: Edit, node: Node) -> Rewrite | None:
    """0.5 · x · (1 + Erf(x / √2)) -> Gelu(x)"""
    found = _half_x_times_bend(edit, node, Erf)
    if found is None:
        return None
    x, bend, inner = found
    argument = edit.maker(edit.op(bend).x)
    scale = _scale_of(edit, argument, x)
    if scale is None or abs(scale - sqrt(0.5)) > CLOSE * sqrt(0.5):
        raise Keep(f"Erf %{bend} reads %{edit.op(bend).x}, which is not %{x} / √2.")
    return _folded(edit, node, x, "none", (*inner, edit.maker(bend), argument))


@rule(Mul)
def tanh_gelu(edit: Edit, node: Node) -> Rewrite | None:
    """0.5 · x · (1 + Tanh(√(2/π) · (x + 0.044715 · x³))) -> Gelu(x, approximate="tanh")"""
    found = _half_x_times_bend(edit, node, Tanh)
    if found is None:
        return None
    x, bend, inner = found
    argument = edit.maker(edit.op(bend).x)
    if argument is None or not isinstance(argument.op, Mul):
        return None
    terms = product_terms(edit, argument)
    polynomial = edit.maker(terms.values[0]) if len(terms.values) == 1 else None
    if polynomial is None or abs(terms.number - sqrt(2 / pi)) > CLOSE:
        raise Keep(f"Tanh %{bend} reads %{argument.name}, which is not √(2/π) times one value.")
    cubic = _cubic_term(edit, polynomial, x)
    if cubic is None:
        raise Keep(f"%{polynomial.name} is not %{x} + 0.044715 · %{x}³.")
    return _folded(edit, node, x, "tanh", (*inner, edit.maker(bend), argument, *terms.inner, polynomial, *cubic))


def _half_x_times_bend(
    edit: Edit, node: Node, kind: type[Erf] | type[Tanh]
) -> tuple[str, str, tuple[Node | None, ...]] | None:
    """x, the value made by `kind`, and the nodes between, where `node` is 0.5 · x · (1 + kind(…))."""
    terms = product_terms(edit, node)
    if len(terms.values) != 2 or abs(terms.number - 0.5) > CLOSE * 0.5:
        return None
    for x, sum_value in (terms.values, terms.values[::-1]):
        plus = edit.maker(sum_value)
        if plus is None or not isinstance(plus.op, Add):
            continue
        one = sum_terms(edit, plus)
        if one.number == 1 and len(one.values) == 1 and isinstance(edit.op(one.values[0]), kind):
            if not only_user(edit, sum_value):
                raise Keep(f"%{sum_value} has other users and would still be computed.")
            return x, one.values[0], (*terms.inner, plus, *one.inner)
    return None


def _scale_of(edit: Edit, node: Node | None, x: str) -> float | None:
    """c where the node computes c · x."""
    if node is None or node.kind not in ("Mul", "Div"):
        return None
    terms = product_terms(edit, node)
    return terms.number if len(terms.values) == 1 and same(edit, terms.values[0], x) else None


def _cubic_term(edit: Edit, polynomial: Node, x: str) -> tuple[Node | None, ...] | None:
    """The nodes of 0.044715 · x³ where the polynomial is x + 0.044715 · x³ or x · (1 + 0.044715 · x²)."""
    if not isinstance(polynomial.op, Add):
        return None
    for linear, other in sides(polynomial.op):
        cubic = edit.maker(other)
        if not same(edit, linear, x) or cubic is None or not isinstance(cubic.op, Mul):
            continue
        terms = product_terms(edit, cubic)
        if abs(terms.number - 0.044715) > CLOSE * 0.044715:
            continue
        powers = [_power(edit, value, x) for value in terms.values]
        if None not in powers and sum(p for p in powers if p) == 3:
            return (cubic, *terms.inner, *(edit.maker(v) for v in terms.values if not same(edit, v, x)))
    return None


def _power(edit: Edit, value: str, x: str) -> int | None:
    """n where the value is xⁿ."""
    if same(edit, value, x):
        return 1
    op = edit.op(value)
    if isinstance(op, Pow) and same(edit, op.x, x) and splat(edit, op.y) in (2, 3):
        return 2 if is_splat(edit, op.y, 2) else 3
    if isinstance(op, Mul):
        left, right = _power(edit, op.x, x), _power(edit, op.y, x)
        return None if left is None or right is None else left + right
    return None


def _folded(edit: Edit, node: Node, x: str, approximate: str, inner: tuple[Node | None, ...]) -> Rewrite | None:
    if edit.type(x) != node.type:
        return None
    # users before what they read, so that each is unused when its turn comes
    order = {n.name: n for n in inner if n is not None and n.name != x}
    kind = "tanh" if approximate == "tanh" else "erf"
    reason = f"{named(node)} and the {len(order)} nodes before it are %{x} · Φ(%{x}), written with {kind}"
    return Rewrite(Gelu(x, approximate=approximate), reason, absorbs=tuple(order.values()))


@graph_pass(rules=(erf_gelu, tanh_gelu), tolerance=1e-3)
def fold_gelu(graph: Graph) -> Graph:
    """0.5 · x · (1 + Erf(x / √2)) -> Gelu(x); the form with tanh -> Gelu(x, approximate="tanh")."""
    return apply_if(graph, fold_gelu.rules, Erf, Tanh)
