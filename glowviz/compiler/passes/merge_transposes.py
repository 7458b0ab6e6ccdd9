"""After this pass no Transpose reads a Transpose, and matrix products take their transposes themselves."""

from __future__ import annotations

from glowviz.compiler.graph import Graph, Node
from glowviz.compiler.ops import Gemm, MatMul, Transpose
from glowviz.compiler.rewrite import Edit, Keep, Rewrite, apply, expect, graph_pass, rule
from glowviz.compiler.rewrite.facts import named, ready

SWAPPED = (1, 0)


@rule(Transpose)
def transpose_of_transpose(edit: Edit, node: Node) -> Rewrite | None:
    """Transpose(Transpose(x, p), q) -> Transpose(x, p∘q), or x where p∘q moves nothing"""
    inner = expect(edit, node.op.x, Transpose, role="directly before Transpose")
    first, second = permutation(edit, inner), permutation(edit, node.op)
    joined = tuple(first[axis] for axis in second)
    maker = edit.maker(node.op.x)
    absorbed = () if maker is None else (maker,)
    told = f"{list(first)} of %{node.op.x} and {list(second)} of %{node.name}"
    if joined == tuple(range(len(joined))) and edit.type(inner.x) == node.type:
        return Rewrite(inner.x, f"the permutations {told} cancel: %{node.name} is %{inner.x}", absorbs=absorbed)
    reason = f"the permutations {told} are one, {list(joined)}"
    return Rewrite(Transpose(inner.x, perm=joined), reason, absorbs=absorbed)


@rule(Gemm)
def transpose_into_gemm(edit: Edit, node: Node) -> Rewrite | None:
    """Gemm(Transpose(a), b) -> Gemm(a, b, trans_a)"""
    changes: dict[str, object] = {}
    absorbed: list[Node] = []
    for side, flag in (("a", "trans_a"), ("b", "trans_b")):
        maker = edit.maker(getattr(node.op, side))
        if maker is not None and isinstance(maker.op, Transpose) and permutation(edit, maker.op) == SWAPPED:
            changes |= {side: maker.op.x, flag: not getattr(node.op, flag)}
            absorbed.append(maker)
    if not changes:
        return None
    told = " and ".join(named(m) for m in absorbed)
    reason = f"{named(node)} can read the matrix of {told} by columns"
    return Rewrite(node.op.evolve(**changes), reason, tuple(absorbed))


@rule(MatMul)
def transpose_into_matmul(edit: Edit, node: Node) -> Rewrite | None:
    """MatMul(Transpose(a), Transpose(b)) of matrices -> Transpose(MatMul(b, a))"""
    left, right = edit.maker(node.op.a), edit.maker(node.op.b)
    if left is None or right is None or not ready(edit, node):
        return None
    if not all(isinstance(m.op, Transpose) and permutation(edit, m.op) == SWAPPED for m in (left, right)):
        return None
    if any(edit.use_count(m.name) != 1 for m in (left, right)):
        raise Keep(f"{named(left)} or {named(right)} has other users and would stay.")
    build = edit.build(node)
    product = build.one(MatMul(right.op.x, left.op.x))
    reason = f"{named(left)} times {named(right)} is the transpose of %{right.op.x} · %{left.op.x}"
    return Rewrite(build.one(Transpose(product, perm=SWAPPED)), reason, (left, right))


def permutation(edit: Edit, op: Transpose) -> tuple[int, ...]:
    """The axes of x in the order of the result; without `perm` they are reversed."""
    return tuple(op.perm) or tuple(reversed(range(edit.type(op.x).rank)))


@graph_pass(rules=(transpose_of_transpose, transpose_into_gemm, transpose_into_matmul), tolerance=2e-6)
def merge_transposes(graph: Graph) -> Graph:
    """Transpose(Transpose(x, p), q) -> Transpose(x, p∘q); inverse ones cancel; Gemm takes its transposes in."""
    return apply(graph, merge_transposes.rules)
