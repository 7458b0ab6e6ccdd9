"""After this pass a layer normalization that was written out in arithmetic is one LayerNormalization."""

from __future__ import annotations

from typing import Any

import numpy as np

from glowviz.compiler.graph import Graph, Node
from glowviz.compiler.ops import (
    Add,
    Div,
    LayerNormalization,
    Mul,
    Pow,
    Reciprocal,
    ReduceMean,
    Relu,
    Sqrt,
    Sub,
)
from glowviz.compiler.rewrite import Build, Edit, Keep, Rewrite, apply, expect, graph_pass, rule
from glowviz.compiler.rewrite.facts import (
    constant_side,
    dims,
    is_splat,
    makers,
    named,
    need_only_user,
    ready,
    reduction,
    same,
    shape_text,
    shortest,
    sides,
)


@rule(Div, Mul)
def standardized(edit: Edit, node: Node) -> Rewrite | None:
    """d / Sqrt(v + ε), d = x - ReduceMean(x), v = ReduceMean(d²) or E[x²] - E[x]² -> LayerNormalization(x, 1)"""
    found = _deviation_and_root(edit, node)
    if found is None or not ready(edit, node):
        return None
    deviation, root_value = found
    sub = edit.op(deviation)
    mean = reduction(edit, sub.y, ReduceMean)
    root = expect(edit, root_value, Sqrt, role="of the variance")
    shifted = expect(edit, root.x, Add, role="of ε to the variance")
    split = constant_side(edit, shifted)
    epsilon = None if split is None else shortest(edit, split[1])
    if split is None or epsilon is None:
        raise Keep(f"Add %{root.x} adds no single constant ε to the variance.")
    variance, between = _variance(edit, split[0], deviation)
    rank = edit.type(sub.x).rank
    axes = mean.positive_axes(rank)
    if axes != variance.positive_axes(rank) or axes != tuple(range(rank - len(axes), rank)):
        raise Keep(f"The mean is over axes {list(axes)}, the variance over {list(variance.positive_axes(rank))}:"
                   " LayerNormalization takes the last axes for both.")
    if not (mean.keepdims and variance.keepdims):
        raise Keep("The mean or the variance drops its axes, so it does not line up with the operand.")
    build = edit.build(node)
    shape = dims(edit, sub.x)[axes[0] :]
    ones = build.const(np.broadcast_to(np.ones((), node.type.dtype), shape), name="scale")
    # users before what they read, so that each is unused when its turn comes
    inverse = [o for o in node.op.operands if o != deviation]
    absorbed = makers(edit, *inverse, root_value, root.x, split[0], *between, deviation, sub.y)
    reason = f"%{deviation} is %{sub.x} without its mean over axes {list(axes)}, divided by its deviation"
    result = LayerNormalization(sub.x, ones, axis=axes[0] - rank, epsilon=epsilon)
    return Rewrite(result, reason, absorbs=absorbed)


@rule(Mul)
def layernorm_scale(edit: Edit, node: Node) -> Rewrite | None:
    """LayerNormalization(x, s, b) · c -> LayerNormalization(x, s·c, b·c), c over the normalized axes"""
    for value, factor in sides(node.op):
        norm = edit.maker(value)
        if norm is None or not isinstance(norm.op, LayerNormalization):
            continue
        _check(edit, node, norm, factor)
        op, build = norm.op, edit.build(node)
        scale = factor if is_splat(edit, op.scale, 1) and _shape_fits(edit, norm, factor) else None
        if scale is None:
            scale = _product(edit, build, norm, op.scale, factor, "scale")
        bias = None if op.bias is None else _product(edit, build, norm, op.bias, factor, "bias")
        reason = f"%{factor} has the shape of the normalized axes, and %{value} has one user"
        return Rewrite(op.evolve(scale=scale, bias=bias), reason, absorbs=(norm,), continues={value: node.name})
    return None


@rule(Add)
def layernorm_bias(edit: Edit, node: Node) -> Rewrite | None:
    """LayerNormalization(x, s) + c -> LayerNormalization(x, s, c), c over the normalized axes"""
    for value, term in sides(node.op):
        norm = edit.maker(value)
        if norm is None or not isinstance(norm.op, LayerNormalization):
            continue
        _check(edit, node, norm, term)
        op, bias = norm.op, term
        if op.bias is not None or not _shape_fits(edit, norm, term):
            left = np.zeros(()) if op.bias is None else edit.constant_array(op.bias)
            right = edit.constant_array(term)
            if left is None or right is None:
                raise Keep(f"Its bias and %{term} are not both constant.")
            total = np.broadcast_to(left.astype(np.float64) + right, _normalized(edit, norm))
            bias = edit.build(node).const(total, like=op.scale, name="bias")
        reason = f"%{term} has the shape of the normalized axes, and %{value} has one user"
        return Rewrite(op.evolve(bias=bias), reason, absorbs=(norm,), continues={value: node.name})
    return None


def _deviation_and_root(edit: Edit, node: Node) -> tuple[str, str] | None:
    """d and the root it is divided by, where d = x - ReduceMean(x)."""
    pairs = ((node.op.x, node.op.y),) if isinstance(node.op, Div) else tuple(sides(node.op))
    for deviation, divisor in pairs:
        sub = edit.op(deviation)
        mean = reduction(edit, sub.y, ReduceMean) if isinstance(sub, Sub) else None
        if mean is None or not same(edit, mean.x, sub.x):
            continue
        if isinstance(node.op, Div):
            return deviation, divisor
        inverse = edit.op(divisor)
        if isinstance(inverse, Reciprocal):
            return deviation, inverse.x
        if isinstance(inverse, Div) and is_splat(edit, inverse.x, 1):
            return deviation, inverse.y
    return None


def _variance(edit: Edit, value: str, deviation: str) -> tuple[Any, tuple[str, ...]]:
    """The mean of squares in a variance, and the values below it: ReduceMean(d²), or ReduceMean(x²) - ReduceMean(x)².

    The second form may be kept from falling below 0 by a Relu: rounding makes it negative where x hardly varies.
    """
    op = edit.op(value)
    difference = op.x if isinstance(op, Relu) else value
    moments, centred = edit.op(difference), edit.op(deviation)
    if isinstance(moments, Sub):
        second = reduction(edit, moments.x, ReduceMean)
        if second is None or not _is_square(edit, second.x, centred.x):
            raise Keep(f"Sub %{difference} does not begin with the mean of the square of %{centred.x}.")
        if not _is_square(edit, moments.y, centred.y):
            raise Keep(f"Sub %{difference} does not take away the square of the mean %{centred.y}.")
        return second, (difference, moments.y, moments.x, second.x)
    mean = reduction(edit, value, ReduceMean) or expect(edit, value, ReduceMean, role="of the squares")
    if not _is_square(edit, mean.x, deviation):
        raise Keep(f"ReduceMean %{value} is not the mean of the square of %{deviation}.")
    return mean, (mean.x, *edit.op(mean.x).operands)


def _is_square(edit: Edit, value: str, of: str) -> bool:
    op = edit.op(value)
    if isinstance(op, Pow):
        return same(edit, op.x, of) and is_splat(edit, op.y, 2)
    return isinstance(op, Mul) and same(edit, op.x, of) and same(edit, op.y, of)


def _normalized(edit: Edit, norm: Node) -> tuple[int, ...]:
    return tuple(norm.type.dims[a] for a in norm.op.axes(norm.type.rank))


def _shape_fits(edit: Edit, norm: Node, value: str) -> bool:
    return dims(edit, value) == _normalized(edit, norm)


def _check(edit: Edit, node: Node, norm: Node, value: str) -> None:
    need_only_user(edit, norm, "It would have to be computed twice.")
    if len(norm.results) > 1:
        raise Keep(f"{named(norm)} also gives its mean, which stays as it is.")
    shape = dims(edit, value)
    normalized = _normalized(edit, norm)
    before = shape[: max(len(shape) - len(normalized), 0)]
    fits = node.type.dims == norm.type.dims and np.broadcast_shapes(shape[-len(normalized) :], normalized) == normalized
    if not fits or any(n != 1 for n in before):
        raise Keep(f"%{value} {shape_text(edit.type(value))} is not one number per place of the normalized axes "
                   f"{list(normalized)}.")
    if len(shape) > len(normalized) and edit.constant(value) is None:
        raise Keep(f"%{value} {shape_text(edit.type(value))} has axes before the normalized ones and is not constant.")


def _product(edit: Edit, build: Build, norm: Node, left: str, right: str, name: str) -> str:
    a, b = edit.constant_array(left), edit.constant_array(right)
    if a is None or b is None:
        raise Keep(f"%{left} and %{right} are not both constant.")
    shape = _normalized(edit, norm)
    both = a.reshape(a.shape[-len(shape):]).astype(np.float64) * b.reshape(b.shape[-len(shape):])
    return build.const(np.broadcast_to(both, shape), like=norm.op.scale, name=name)


@graph_pass(rules=(standardized, layernorm_scale, layernorm_bias), tolerance=1e-5)
def fold_layernorm(graph: Graph) -> Graph:
    """(x - mean) / √(variance + ε) · s + b, written out -> LayerNormalization(x, s, b)."""
    return apply(graph, fold_layernorm.rules)
