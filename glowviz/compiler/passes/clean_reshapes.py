"""After this pass no reshape reads another: of a chain of them one is left, or none."""

from __future__ import annotations

import numpy as np

from glowviz.compiler.graph import Graph, Node
from glowviz.compiler.ops import Flatten, Reshape, Squeeze, Unsqueeze
from glowviz.compiler.rewrite import Build, Edit, Rewrite, apply, graph_pass, rule
from glowviz.compiler.rewrite.facts import named, ready, shape_text

RESHAPES = (Reshape, Flatten, Squeeze, Unsqueeze)
"""Ops that give the same elements in the same order another shape."""


@rule(*RESHAPES)
def reshape_of_reshape(edit: Edit, node: Node) -> Rewrite | None:
    """Reshape(Reshape(x)) -> Reshape(x), or x where that is the shape it has; Flatten, Squeeze, Unsqueeze alike"""
    inner = edit.maker(node.op.x)
    if inner is None or not isinstance(inner.op, RESHAPES) or not ready(edit, node) or not ready(edit, inner):
        return None
    source = inner.op.x
    if edit.type(source) == node.type:
        reason = f"{named(node)} undoes {named(inner)}: %{node.name} is %{source} {shape_text(node.type)}"
        return Rewrite(source, reason, absorbs=(inner,))
    build = edit.build(node)
    reason = f"only the last shape counts, {shape_text(node.type)}: {named(inner)} in between moves no data"
    return Rewrite(reshaped(build, source, node.type.dims), reason, absorbs=(inner,))


def reshaped(build: Build, value: str, shape: tuple[int, ...]) -> str:
    """The value in another shape of as many elements."""
    wanted = build.const(np.array(shape, np.int64), name="shape")
    return build.one(Reshape(value, wanted, allowzero=0 in shape))


@graph_pass(rules=(reshape_of_reshape,))
def clean_reshapes(graph: Graph) -> Graph:
    """Reshape(Reshape(x)) -> Reshape(x); Squeeze(Unsqueeze(x)) -> x; and all other pairs of the family."""
    return apply(graph, clean_reshapes.rules)
