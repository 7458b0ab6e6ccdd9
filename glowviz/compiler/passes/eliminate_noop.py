"""After this pass no node is left that returns its operand unchanged."""

from __future__ import annotations

from glowviz.compiler.graph import Graph, Node
from glowviz.compiler.ops import (
    AveragePool,
    Cast,
    Clip,
    Concat,
    Dropout,
    Expand,
    Flatten,
    Identity,
    MaxPool,
    Mean,
    Pad,
    ReduceMax,
    ReduceMean,
    ReduceMin,
    ReduceProd,
    ReduceSum,
    Reshape,
    Resize,
    Slice,
    Split,
    Squeeze,
    Sum,
    Tile,
    Transpose,
    Unsqueeze,
    Where,
)
from glowviz.compiler.rewrite import Edit, Keep, Rewrite, apply, graph_pass, rule
from glowviz.compiler.rewrite.facts import shape_text, splat


@rule(Identity)
def forward_identity(edit: Edit, node: Node) -> Rewrite | None:
    """Identity(x) -> x"""
    return Rewrite(node.op.x, f"Identity: %{node.name} is %{node.op.x}")


@rule(Dropout)
def forward_dropout(edit: Edit, node: Node) -> Rewrite | None:
    """Dropout(x) -> x; a mask that somebody reads is all true"""
    reason = f"Dropout drops nothing in inference: %{node.name} is %{node.op.x}"
    if len(node.results) == 1:
        return Rewrite(node.op.x, reason)
    if edit.use_count(node.results[1]):
        raise Keep(f"Somebody reads the mask %{node.results[1]}, too: lower makes it a constant.")
    return Rewrite((node.op.x, node.op.x), reason)


@rule(Cast)
def same_cast(edit: Edit, node: Node) -> Rewrite | None:
    """Cast(x, to=the type x has) -> x"""
    return _if_same_type(edit, node, f"%{node.op.x} is {node.op.to} already")


@rule(Reshape, Flatten, Squeeze, Unsqueeze, Expand, Tile)
def same_shape(edit: Edit, node: Node) -> Rewrite | None:
    """Reshape | Flatten | Squeeze | Unsqueeze | Expand | Tile(x) to the shape x has -> x"""
    return _if_same_type(edit, node, f"%{node.op.x} has the shape {shape_text(node.type)} already")


@rule(Transpose)
def identity_transpose(edit: Edit, node: Node) -> Rewrite | None:
    """Transpose(x, perm=[0, 1, 2 …]) -> x"""
    if tuple(node.op.perm) != tuple(range(node.type.rank)):
        return None
    return _if_same_type(edit, node, "the permutation moves no axis")


@rule(Pad)
def empty_pad(edit: Edit, node: Node) -> Rewrite | None:
    """Pad(x, zeros) -> x"""
    return _if_same_type(edit, node, "it pads by 0 on every side") if splat(edit, node.op.pads) == 0 else None


@rule(Slice)
def whole_slice(edit: Edit, node: Node) -> Rewrite | None:
    """Slice(x) from beginning to end in steps of 1 -> x"""
    steps = edit.constant_array(node.op.steps)
    if node.op.steps is not None and (steps is None or not bool((steps == 1).all())):
        return None
    return _if_same_type(edit, node, f"it takes the whole of {shape_text(node.type)}")


@rule(Concat, Sum, Mean)
def of_one(edit: Edit, node: Node) -> Rewrite | None:
    """Concat | Sum | Mean(x) of a single operand -> x"""
    return Rewrite(node.op.xs[0], f"it has one operand, %{node.op.xs[0]}") if len(node.op.xs) == 1 else None


@rule(Split)
def into_one(edit: Edit, node: Node) -> Rewrite | None:
    """Split(x) into one part -> x"""
    return _if_same_type(edit, node, "the one part is the whole") if len(node.results) == 1 else None


@rule(MaxPool, AveragePool)
def pool_of_one(edit: Edit, node: Node) -> Rewrite | None:
    """MaxPool | AveragePool(x) with a window of 1 in steps of 1, unpadded -> x"""
    op = node.op
    if len(node.results) > 1 or any(k != 1 for k in op.kernel) or any(s != 1 for s in op.strides) or any(op.pads):
        return None
    return _if_same_type(edit, node, "its window holds one element")


@rule(ReduceSum, ReduceMean, ReduceMax, ReduceMin, ReduceProd)
def reduce_of_one(edit: Edit, node: Node) -> Rewrite | None:
    """Reduce…(x, keepdims=1) over axes of size 1 -> x"""
    return _if_same_type(edit, node, "every axis it reduces has the size 1")


@rule(Resize)
def same_resize(edit: Edit, node: Node) -> Rewrite | None:
    """Resize(x) to the size x has -> x"""
    if node.op.coordinate_transformation_mode == "tf_crop_and_resize":
        return None
    return _if_same_type(edit, node, f"%{node.op.x} has the size {shape_text(node.type)} already")


@rule(Clip)
def unbounded_clip(edit: Edit, node: Node) -> Rewrite | None:
    """Clip(x, -inf, inf) -> x"""
    if node.op.low != float("-inf") or node.op.high != float("inf"):
        return None
    return Rewrite(node.op.x, f"it has no bounds: %{node.name} is %{node.op.x}")


@rule(Where)
def constant_condition(edit: Edit, node: Node) -> Rewrite | None:
    """Where(true, x, y) -> x, Where(false, x, y) -> y"""
    condition = splat(edit, node.op.condition)
    if condition is None:
        return None
    chosen = node.op.x if condition else node.op.y
    if edit.type(chosen) != node.type:
        return None
    return Rewrite(chosen, f"its condition %{node.op.condition} is always {str(bool(condition)).lower()}")


def _if_same_type(edit: Edit, node: Node, reason: str) -> Rewrite | None:
    source = node.op.x
    if edit.type(source) != node.type or not node.type.static:
        return None
    return Rewrite(source, f"{reason}: %{node.name} is %{source}")


@graph_pass(
    rules=(
        forward_identity, forward_dropout, same_cast, same_shape, identity_transpose, empty_pad, whole_slice, of_one,
        into_one, pool_of_one, reduce_of_one, same_resize, unbounded_clip, constant_condition,
    )
)  # fmt: skip
def eliminate_noop(graph: Graph) -> Graph:
    """Identity, Dropout, Cast to the same type, Reshape to the same shape … (x) -> x."""
    return apply(graph, eliminate_noop.rules)
