"""After this pass no arithmetic with 0, 1 or two constants in a row is left that the rules of arithmetic settle."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from glowviz.compiler.graph import Graph, Node
from glowviz.compiler.ops import Abs, Add, Cast, Div, Mul, Neg, Not, Pow, Reciprocal, Sqrt, Sub
from glowviz.compiler.rewrite import Edit, Keep, Rewrite, apply, graph_pass, rule
from glowviz.compiler.rewrite.facts import constant_side, named, need_only_user, shape_text, sides, splat
from glowviz.compiler.types import INTEGERS


@rule(Add, Sub, Mul, Div, Pow)
def neutral_operand(edit: Edit, node: Node) -> Rewrite | None:
    """x + 0, x - 0, x · 1, x / 1, x ^ 1 -> x"""
    neutral = 0 if isinstance(node.op, (Add, Sub)) else 1
    for x, fixed in sides(node.op) if isinstance(node.op, (Add, Mul)) else ((node.op.x, node.op.y),):
        if splat(edit, fixed) != neutral:
            continue
        if edit.type(x) != node.type:
            raise Keep(f"%{fixed} is {neutral}, but it spreads %{x} from {shape_text(edit.type(x))} to "
                       f"{shape_text(node.type)}.")
        return Rewrite(x, f"%{fixed} is {neutral}: %{node.name} is %{x}")
    return None


@rule(Mul, Div)
def times_zero(edit: Edit, node: Node) -> Rewrite | None:
    """x · 0, 0 / x -> 0 where x is surely finite (and for / surely not 0)"""
    for x, fixed in sides(node.op):
        if splat(edit, fixed) != 0:
            continue
        if isinstance(node.op, Div):
            if fixed != node.op.x:
                return None
            raise Keep(f"%{fixed} is 0, but 0 / %{x} is NaN wherever %{x} is 0 or NaN.")
        if not _finite(edit, x):
            raise Keep(f"%{fixed} is 0, but %{x} · 0 is NaN wherever %{x} is infinite or NaN.")
        return _zeros(edit, node, f"%{fixed} is 0 and %{x} is finite")
    return None


@rule(Sub, Div)
def same_operands(edit: Edit, node: Node) -> Rewrite | None:
    """x - x -> 0 where x is surely finite"""
    if node.op.x != node.op.y:
        return None
    x = node.op.x
    if isinstance(node.op, Div):
        raise Keep(f"%{x} / %{x} is NaN, not 1, wherever %{x} is 0, infinite or NaN.")
    if not _finite(edit, x):
        raise Keep(f"%{x} - %{x} is NaN, not 0, wherever %{x} is infinite or NaN.")
    return _zeros(edit, node, f"%{x} is finite, so %{x} - %{x} is 0")


@rule(Neg, Not)
def double_negation(edit: Edit, node: Node) -> Rewrite | None:
    """Neg(Neg(x)), Not(Not(x)) -> x"""
    inner = edit.op(node.op.x)
    if type(inner) is not type(node.op):
        return None
    return Rewrite(inner.x, f"{node.kind} twice: %{node.name} is %{inner.x}", absorbs=_absorbed(edit, node))


@rule(Abs)
def abs_of_neg(edit: Edit, node: Node) -> Rewrite | None:
    """Abs(Neg(x)), Abs(Abs(x)) -> Abs(x)"""
    inner = edit.op(node.op.x)
    if not isinstance(inner, (Neg, Abs)):
        return None
    reason = f"the sign that %{node.op.x} gives %{inner.x} is dropped"
    return Rewrite(Abs(inner.x), reason, absorbs=_absorbed(edit, node))


@rule(Add, Sub)
def add_of_neg(edit: Edit, node: Node) -> Rewrite | None:
    """x + Neg(y) -> x - y; x - Neg(y) -> x + y; 0 - x -> Neg(x)"""
    op = node.op
    if isinstance(op, Sub) and splat(edit, op.x) == 0 and edit.type(op.y) == node.type:
        return Rewrite(Neg(op.y), f"%{op.x} is 0")
    for x, y in sides(op) if isinstance(op, Add) else ((op.x, op.y),):
        inner = edit.op(y)
        if isinstance(inner, Neg):
            result = Sub(x, inner.x) if isinstance(op, Add) else Add(x, inner.x)
            absorbed = tuple(n for n in (edit.maker(y),) if n is not None)
            return Rewrite(result, f"%{y} is -%{inner.x}", absorbs=absorbed)
    return None


@rule(Pow)
def small_power(edit: Edit, node: Node) -> Rewrite | None:
    """x ^ 2 -> x · x; x ^ 0.5 -> Sqrt(x); x ^ -1 -> 1 / x; x ^ 0 -> 1"""
    exponent = splat(edit, node.op.y)
    x = node.op.x
    if exponent is None or edit.type(x) != node.type:
        return None
    reason = f"%{node.op.y} is {exponent:g}"
    if exponent == 2:
        return Rewrite(Mul(x, x), reason)
    if exponent == 0.5 and node.type.is_float:
        return Rewrite(Sqrt(x), reason)
    if exponent == -1 and node.type.is_float:
        return Rewrite(Reciprocal(x), reason)
    if exponent == 0:
        build = edit.build(node)
        return Rewrite(build.const(np.broadcast_to(np.ones((), node.type.dtype), node.type.dims)), reason)
    return None


@rule(Div)
def exact_reciprocal(edit: Edit, node: Node) -> Rewrite | None:
    """x / c -> x · (1/c) where every 1/c is exact (c a power of two)"""
    array = edit.constant_array(node.op.y)
    if array is None or not node.type.is_float or array.size > 1 << 16:
        return None
    wide = array.astype(np.float64)
    mantissa, exponent = np.frexp(wide)
    if not bool(np.all((np.abs(mantissa) == 0.5) & (np.abs(exponent) < 14))):
        raise Keep(f"1 / %{node.op.y} is not exact: multiplying instead would change the last digit.")
    build = edit.build(node)
    inverse = build.const(1 / wide, like=node.op.y, name="inverse")
    return Rewrite(Mul(node.op.x, inverse), f"every element of %{node.op.y} is a power of two, so 1 / it is exact")


@rule(Add, Sub, Mul, Div)
def chained_constants(edit: Edit, node: Node) -> Rewrite | None:
    """(x + c1) - c2 -> x + (c1 - c2); (x · c1) / c2 -> x · (c1 / c2); c2 - (c1 + x) -> (c2 - c1) - x …"""
    sums = isinstance(node.op, (Add, Sub))
    outer = _term(edit, node.op)
    middle = None if outer is None else edit.maker(outer.x)
    if outer is None or middle is None or not isinstance(middle.op, (Add, Sub) if sums else (Mul, Div)):
        return None
    inner = _term(edit, middle.op)
    if inner is None or not (sums or node.type.is_float or -1 not in (*inner.signs, *outer.signs)):
        return None
    need_only_user(edit, middle, "Joining the constants would save nothing.")
    array = _join(edit, node, inner, outer, sums)
    build = edit.build(node)
    constant = build.const(array, like=inner.constant, name="joined")
    straight = inner.sign * outer.sign > 0
    if straight:
        result = Add(inner.x, constant) if sums else Mul(inner.x, constant)
    else:
        result = Sub(constant, inner.x) if sums else Div(constant, inner.x)
    reason = f"%{inner.constant} and %{outer.constant} are constants, and %{middle.name} has one user"
    return Rewrite(result, reason, absorbs=(middle,))


@dataclass(frozen=True)
class _Term:
    """sign · x + constant_sign · constant, or the same with powers and a product."""

    x: str
    sign: int
    constant: str
    constant_sign: int

    @property
    def signs(self) -> tuple[int, int]:
        return self.sign, self.constant_sign


def _term(edit: Edit, op: Any) -> _Term | None:
    found = constant_side(edit, op)
    if found is None:
        return None
    x, constant = found
    if isinstance(op, (Add, Mul)):
        return _Term(x, 1, constant, 1)
    return _Term(x, 1, constant, -1) if x == op.x else _Term(x, -1, constant, 1)


def _join(edit: Edit, node: Node, inner: _Term, outer: _Term, sums: bool) -> np.ndarray:
    """The one constant; Keep where it would be larger than both, or digits would be lost or come back."""
    a, b = (np.asarray(edit.constant_array(v)) for v in (inner.constant, outer.constant))
    shape = np.broadcast_shapes(a.shape, b.shape)
    both = f"%{inner.constant} {list(a.shape)} and %{outer.constant} {list(b.shape)}"
    if prod(shape) > max(a.size, b.size):
        raise Keep(f"{both} would join to a larger constant {list(shape)}.")
    if not node.type.is_float:
        return _signed(outer.sign * inner.constant_sign, a) + _signed(outer.constant_sign, b) if sums else a * b
    kind, a, b = a.dtype, a.astype(np.float64), b.astype(np.float64)
    with np.errstate(all="ignore"):
        if sums:
            joined = _signed(outer.sign * inner.constant_sign, a) + _signed(outer.constant_sign, b)
        else:
            joined = a ** (inner.constant_sign * outer.sign) * b**outer.constant_sign
        narrow = joined.astype(kind).astype(np.float64)
    if sums and a.size and np.abs(a).max() + np.abs(b).max() > 16 * np.abs(joined).max():
        raise Keep(f"{both} nearly cancel: the sum between them rounds digits away that would come back.")
    if not np.isfinite(narrow).all() or (not sums and bool((narrow == 0).any())):
        raise Keep(f"{both} joined do not fit into {node.type.elem}.")
    return joined


def _signed(sign: int, array: np.ndarray) -> np.ndarray:
    return array if sign > 0 else np.negative(array)


def _absorbed(edit: Edit, node: Node) -> tuple[Node, ...]:
    inner = edit.maker(node.op.x)
    return () if inner is None else (inner,)


def _zeros(edit: Edit, node: Node, reason: str) -> Rewrite:
    build = edit.build(node)
    zeros = np.broadcast_to(np.zeros((), node.type.dtype), node.type.dims)
    return Rewrite(build.const(zeros, name="zero"), f"{reason}: {named(node)} is 0")


def _finite(edit: Edit, value: str) -> bool:
    """No element can be infinite or NaN: integers, constants that are not, and what Cast makes of integers."""
    if edit.type(value).elem in INTEGERS or edit.type(value).elem == "bool":
        return True
    array = edit.constant_array(value)
    if array is not None:
        return bool(np.isfinite(array.astype(np.float64)).all())
    maker = edit.op(value)
    narrow = ("i8", "u8", "i16", "u16", "bool")
    return isinstance(maker, Cast) and edit.type(maker.x).elem in (*narrow, "i32", "i64") and maker.to in ("f32", "f64")


@graph_pass(
    rules=(
        neutral_operand, times_zero, same_operands, double_negation, abs_of_neg, add_of_neg, small_power,
        chained_constants, exact_reciprocal,
    ),
    tolerance=2e-6,
)  # fmt: skip
def arithmetic(graph: Graph) -> Graph:
    """x + 0, x · 1, x - x, Neg(Neg(x)), x ^ 2, (x + c1) + c2 … -> what the rules of arithmetic make of them."""
    return apply(graph, arithmetic.rules)
