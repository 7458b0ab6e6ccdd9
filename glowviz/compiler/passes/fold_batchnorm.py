"""After this pass scales and shifts per channel are part of the weights before them wherever that costs nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from glowviz.compiler.graph import Graph, Node
from glowviz.compiler.ops import (
    Add,
    BatchNormalization,
    Conv,
    ConvTranspose,
    Div,
    Gemm,
    MatMul,
    Mul,
    Reshape,
    Slice,
    Sub,
)
from glowviz.compiler.ops.base import Op
from glowviz.compiler.passes.clean_concat_slice import piece_of, slice_of
from glowviz.compiler.rewrite import Edit, Keep, Rewrite, apply, expect, graph_pass, rule
from glowviz.compiler.rewrite.facts import (
    bytes_text,
    compact,
    constant_side,
    named,
    need_constant,
    need_only_user,
    ready,
    splat_of,
    stored_bytes,
    twice,
    users_text,
)

WIDE = 64 << 20
"""Bytes of weights up to which the product is rounded once, from double."""


@dataclass(frozen=True)
class Affine:
    """scale[c] · x + shift[c] for every channel c of `x`, with the words the reason uses."""

    x: str
    scale: np.ndarray
    shift: np.ndarray
    formula: str


@rule(BatchNormalization)
def conv_bn(edit: Edit, node: Node) -> Rewrite | None:
    """BatchNormalization(Conv | ConvTranspose | Gemm | MatMul(x, w, b)) -> the same with w·s and b·s + t"""
    kinds = (Conv, ConvTranspose, Gemm, MatMul)
    expect(edit, node.op.x, *kinds, role="directly before BatchNormalization")
    affine = of_batchnorm(edit, node)
    return into_weights(edit, node, affine)


@rule(Mul, Div, Add, Sub)
def conv_arithmetic(edit: Edit, node: Node) -> Rewrite | None:
    """Conv(x, w, b) · c, / c, + c, - c with one constant c per channel -> Conv with c in its weights"""
    found = constant_side(edit, node.op)
    heavy = edit.op(found[0]) if found else None
    if not isinstance(heavy, (Conv, ConvTranspose, Gemm, MatMul)) or not ready(edit, node):
        return None
    if edit.constant(heavy.b if isinstance(heavy, (Gemm, MatMul)) else heavy.w) is None:
        return None
    if isinstance(heavy, MatMul) and not isinstance(node.op, (Mul, Div)):
        return None
    affine = of_arithmetic(edit, node, axis=-1 if isinstance(heavy, MatMul) else 1)
    return None if affine is None else into_weights(edit, node, affine)


@rule(BatchNormalization, Mul, Div, Add, Sub)
def bn_chain(edit: Edit, node: Node) -> Rewrite | None:
    """BatchNormalization and · c or + c per channel, in either order, or two of them -> one BatchNormalization"""
    is_bn = isinstance(node.op, BatchNormalization)
    found = (node.op.x, "") if is_bn else constant_side(edit, node.op)
    inner = edit.maker(found[0]) if found else None
    if inner is None or not ready(edit, node):
        return None
    inner_is_bn = isinstance(inner.op, BatchNormalization)
    if not inner_is_bn and not (is_bn and isinstance(inner.op, (Mul, Div, Add, Sub))):
        return None
    first = of_batchnorm(edit, inner) if inner_is_bn else of_arithmetic(edit, inner, axis=1)
    second = of_batchnorm(edit, node) if is_bn else of_arithmetic(edit, node, axis=1)
    if first is None or second is None:
        return None
    need_only_user(edit, inner, "Merging would compute both from the start and save nothing.")
    scale, shift = first.scale * second.scale, first.shift * second.scale + second.shift
    build = edit.build(node)
    normal: Any = node.op if is_bn else inner.op
    zeros, ones = np.zeros(scale.shape), np.ones(scale.shape)
    names = [
        build.const(array, like=normal.scale, name=name)
        for name, array in (("scale", scale), ("bias", shift), ("mean", zeros), ("var", ones))
    ]
    reason = f"{second.formula} of {named(node)} joined with {named(inner)}: all parameters are constant"
    return Rewrite(BatchNormalization(first.x, *names, epsilon=0.0), reason, absorbs=(inner,))


@rule(BatchNormalization)
def identity_bn(edit: Edit, node: Node) -> Rewrite | None:
    """BatchNormalization with scale 1 and shift 0 -> x"""
    if any(edit.constant(v) is None for v in node.op.operands[1:]):
        return None
    affine = of_batchnorm(edit, node)
    kind = node.type.dtype
    if not bool((affine.scale.astype(kind) == 1).all() and (affine.shift.astype(kind) == 0).all()):
        return None
    return Rewrite(node.op.x, f"γ/√(σ²+ε) is 1 and β - μ·γ/√(σ²+ε) is 0 for all channels: %{node.name} is %{node.op.x}")


@rule(Conv)
def bn_before_conv(edit: Edit, node: Node) -> Rewrite | None:
    """Conv(BatchNormalization(x), w, b) -> Conv(x, w·s, b + Σ w·t) where the Conv pads nothing"""
    inner = edit.maker(node.op.x)
    if inner is None or not isinstance(inner.op, BatchNormalization) or not ready(edit, node):
        return None
    need_only_user(edit, inner, "Merging would leave the BatchNormalization where it is.")
    affine = of_batchnorm(edit, inner)
    op = node.op
    w = _weights(edit, op.w, node)
    bias = 0.0 if op.b is None else need_constant(edit, op.b, "The bias").astype(np.float64)
    if any(op.windows(edit.type(op.x).dims, w.shape).pads) and affine.shift.any():
        raise Keep(f"{named(node)} pads with zeros, where {named(inner)} would have put its shift.")
    spatial = (1,) * (w.ndim - 2)
    # w[m, c] reads channel group(m)·C/group + c
    chosen = np.arange(op.group).repeat(w.shape[0] // op.group)[:, None] * w.shape[1] + np.arange(w.shape[1])
    new_bias = bias + (w.astype(np.float64).sum(axis=tuple(range(2, w.ndim))) * affine.shift[chosen]).sum(axis=1)
    build = edit.build(node)
    names = (
        build.const(w * affine.scale[chosen].reshape(*chosen.shape, *spatial), like=op.w, name="w"),
        build.const(new_bias, like=op.w, name="b"),
    )
    reason = f"{affine.formula} of {named(inner)} put into the weights of {named(node)}, which pads nothing"
    return Rewrite(op.evolve(x=inner.op.x, w=names[0], b=names[1]), reason, absorbs=(inner,))


@rule(BatchNormalization)
def bn_above_reshape(edit: Edit, node: Node) -> Rewrite | None:
    """BatchNormalization(Reshape(Conv(x))) -> Reshape(BatchNormalization(Conv(x))) where N and C stay"""
    reshape = edit.maker(node.op.x)
    if reshape is None or not isinstance(reshape.op, Reshape) or not ready(edit, reshape):
        return None
    source = edit.type(reshape.op.x)
    if not isinstance(edit.op(reshape.op.x), (Conv, ConvTranspose, BatchNormalization)):
        return None
    if source.rank < 2 or source.dims[:2] != reshape.type.dims[:2]:
        raise Keep(f"{named(reshape)} moves the channels of {source} to {reshape.type}.")
    need_only_user(edit, reshape, "Both sides of the Reshape would be needed.")
    build = edit.build(node)
    normal = build.one(node.op.evolve(x=reshape.op.x))
    reason = f"{named(reshape)} keeps N and C, so {named(node)} may run before it, next to what it can merge with"
    return Rewrite(build.one(reshape.op.evolve(x=normal)), reason, absorbs=(reshape,))


@rule(Slice)
def bn_below_slice(edit: Edit, node: Node) -> Rewrite | None:
    """Slice(BatchNormalization(x)) -> BatchNormalization(Slice(x)), with as many channels as are left"""
    inner = edit.maker(node.op.x)
    if inner is None or not isinstance(inner.op, BatchNormalization):
        return None
    piece = piece_of(edit, node.name)
    if piece is None or node.type.count == inner.type.count:
        return None
    need_only_user(edit, inner, f"Below {named(node)} it would be computed twice.")
    op, build = inner.op, edit.build(node)
    changes: dict[str, str] = {"x": build.one(node.op.evolve(x=op.x))}
    chosen = slice_of(piece.ranges[1], edit.type(op.x).dims[1])
    if node.type.dims[1] != inner.type.dims[1]:
        for role in ("scale", "bias", "mean", "var"):
            whole = need_constant(edit, getattr(op, role), f"The {role}")
            changes[role] = build.const(whole[chosen], name=role)
    reason = f"after {named(node)} {named(inner)} has {node.type.count} elements instead of {inner.type.count}"
    return Rewrite(op.evolve(**changes), reason, absorbs=(inner,), continues={inner.name: node.name})


# what is merged ----------------------------------------------------------------------------------


def of_batchnorm(edit: Edit, node: Node) -> Affine:
    """Scale and shift of a BatchNormalization; Keep where its parameters are not constant."""
    op = node.op
    roles = (("scale", op.scale), ("bias", op.bias), ("mean", op.mean), ("var", op.var))
    scale, bias, mean, var = (
        need_constant(edit, value, f"The {role}").astype(np.float64) for role, value in roles
    )
    with np.errstate(all="ignore"):
        factor = scale / np.sqrt(var + op.epsilon)
        shift = bias - mean * factor
    if not (np.isfinite(factor).all() and np.isfinite(shift).all()):
        raise Keep(f"γ/√(σ²+ε) of {named(node)} is not finite for every channel: see its variances.")
    return Affine(op.x, factor, shift, "γ/√(σ²+ε)")


def of_arithmetic(edit: Edit, node: Node, axis: int) -> Affine | None:
    """Scale and shift of · c, / c, + c or - c; None where c is not one number per index of `axis`."""
    found = constant_side(edit, node.op)
    if found is None:
        return None
    x, fixed = found
    dims, array = edit.type(x).dims, edit.constant_array(fixed)
    if array is None or node.type.dims != dims or not node.type.is_float or len(dims) < 2:
        return None
    axis %= len(dims)
    padded = (1,) * (len(dims) - array.ndim) + array.shape
    if any(n != 1 for a, n in enumerate(padded) if a != axis):
        return None
    c = np.broadcast_to(array.astype(np.float64).reshape(-1), (dims[axis],))
    one, zero = np.ones_like(c), np.zeros_like(c)
    op = node.op
    with np.errstate(all="ignore"):
        scale, shift = {
            Mul: (c, zero), Add: (one, c), Div: (1 / c, zero), Sub: (one, -c) if x == op.x else (-one, c),
        }[type(op)]  # fmt: skip
    if (isinstance(op, Div) and x != op.x) or not np.isfinite(scale).all() or not np.isfinite(shift).all():
        return None
    return Affine(x, scale, shift, f"The {op.name} by %{fixed}")


# what it is merged into --------------------------------------------------------------------------


def into_weights(edit: Edit, node: Node, affine: Affine) -> Rewrite:
    """The heavy op before `node` with scale and shift in its weights; Keep says what is in the way."""
    heavy = edit.maker(affine.x)
    assert heavy is not None
    op = heavy.op
    w_name = op.b if isinstance(op, (Gemm, MatMul)) else op.w
    w = need_constant(edit, w_name, "The weight")
    b_name = {MatMul: None, Gemm: getattr(op, "c", None)}.get(type(op), getattr(op, "b", None))
    b = None if b_name is None else _features(op, need_constant(edit, b_name, "The bias"), affine)
    need_only_user(edit, heavy, twice(edit, heavy))
    _check_axis(edit, node, heavy)
    build = edit.build(node)
    if not bool((affine.scale == 1).all()):
        w = _weights(edit, w_name, heavy)
        w_name = build.const(scaled_weights(op, w, affine.scale), like=w_name, name="w")
    shift = affine.shift if b is None else b * affine.scale + affine.shift
    b_name = build.const(shift, like=w_name, name="b") if b is not None or shift.any() else None
    reason = (
        f"{affine.formula} of {named(node)} is part of the weights of {named(heavy)} now. Possible because"
        f" both sets of weights are constant and %{heavy.name} has one user"
    )
    result = _with_weights(build, op, w_name, b_name)
    return Rewrite(result, reason, absorbs=(heavy,), continues={heavy.name: node.name})


def _with_weights(build: Any, op: Any, w: str, b: str | None) -> Op | str:
    if isinstance(op, MatMul):
        product = MatMul(op.a, w)
        return product if b is None else build.one(Add(build.one(product), b))
    if isinstance(op, Gemm):
        return op.evolve(b=w, c=b, beta=1.0)
    return op.evolve(w=w, b=b)


def _features(op: Any, bias: np.ndarray, affine: Affine) -> np.ndarray:
    """The bias as one number per feature, in double."""
    wide = bias.astype(np.float64) * (op.beta if isinstance(op, Gemm) else 1.0)
    if isinstance(op, Gemm) and wide.ndim == 2 and wide.shape[0] > 1:
        raise Keep(f"The bias %{op.c} differs from row to row, so it is not one number per feature.")
    return np.broadcast_to(wide.reshape(-1), affine.scale.shape)


def _check_axis(edit: Edit, node: Node, heavy: Node) -> None:
    if isinstance(node.op, BatchNormalization) and isinstance(heavy.op, MatMul) and node.type.rank != 2:
        raise Keep(f"{named(node)} scales axis 1 of {node.type}, the features of {named(heavy)} are its last axis.")


def _weights(edit: Edit, name: str, heavy: Node) -> np.ndarray:
    """The weights to be scaled; Keep where others read them too and a copy would cost memory."""
    w = need_constant(edit, name, "The weight")
    if edit.use_count(name) > 1 and splat_of(w) is None:
        size = bytes_text(stored_bytes(w))
        raise Keep(f"{users_text(edit, name)}. Scaling them for {named(heavy)} alone would store them twice (+{size}).")
    return w


def scaled_weights(op: Any, w: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """w with every output feature times its scale, rounded once."""
    if isinstance(op, Conv):
        factor = scale.reshape(-1, *(1,) * (w.ndim - 1))
    elif isinstance(op, ConvTranspose):
        # w[c, m]: input channel c belongs to group c / (C / group), feature m of that group
        by_group = scale.reshape(op.group, -1).repeat(w.shape[0] // op.group, axis=0)
        factor = by_group.reshape(*by_group.shape, *(1,) * (w.ndim - 2))
    elif isinstance(op, Gemm) and op.trans_b:
        factor = scale[:, None]
    else:
        factor = scale
    if w.ndim == 1:
        raise Keep("The weight is a vector: the product has no features.")
    wide = np.float64 if w.nbytes <= WIDE else w.dtype
    scaled = np.empty(w.shape, w.dtype)
    np.multiply(w, factor.astype(wide), out=scaled, dtype=wide, casting="same_kind")  # no wide copy of all weights
    return compact(scaled)


@graph_pass(
    rules=(conv_bn, conv_arithmetic, identity_bn, bn_chain, bn_above_reshape, bn_below_slice, bn_before_conv),
    tolerance=1e-5,
)
def fold_batchnorm(graph: Graph) -> Graph:
    """BatchNormalization(Conv(x, w, b)) -> Conv(x, w·s, b·s + t), s = γ/√(σ²+ε), t = β - μ·s; also · c and + c."""
    return apply(graph, fold_batchnorm.rules)
