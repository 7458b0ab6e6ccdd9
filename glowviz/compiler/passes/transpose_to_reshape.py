"""After this pass a Transpose that only moves axes of size 1 is a Reshape, which moves no data."""

from __future__ import annotations

from glowviz.compiler.graph import Graph, Node
from glowviz.compiler.ops import Transpose
from glowviz.compiler.passes.clean_reshapes import reshaped
from glowviz.compiler.passes.merge_transposes import permutation
from glowviz.compiler.rewrite import Edit, Keep, Rewrite, apply, graph_pass, rule
from glowviz.compiler.rewrite.facts import named, ready, shape_text


@rule(Transpose)
def moves_no_data(edit: Edit, node: Node) -> Rewrite | None:
    """Transpose(x, p) where the axes larger than 1 keep their order -> Reshape(x)"""
    if not ready(edit, node):
        return None
    source = edit.type(node.op.x)
    order = [axis for axis in permutation(edit, node.op) if source.dims[axis] != 1]
    if order != sorted(order):
        raise Keep(f"{named(node)} reorders axes {order} of {shape_text(source)}, which are larger than 1.")
    build = edit.build(node)
    result = reshaped(build, node.op.x, node.type.dims)
    return Rewrite(result, f"{named(node)} only moves axes of size 1 of {shape_text(source)}")


@graph_pass(rules=(moves_no_data,))
def transpose_to_reshape(graph: Graph) -> Graph:
    """Transpose(x, p) that only moves axes of size 1 -> Reshape(x)."""
    return apply(graph, transpose_to_reshape.rules)
