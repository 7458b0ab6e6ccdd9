"""After this pass a Relu that nothing else could take in runs on the few results of the MaxPool behind it."""

from __future__ import annotations

from glowviz.compiler.graph import Graph, Node
from glowviz.compiler.ops import MaxPool, Relu
from glowviz.compiler.rewrite import Edit, Keep, Rewrite, apply, graph_pass, rule
from glowviz.compiler.rewrite.facts import heavy_before, named, need_only_user


@rule(MaxPool)
def relu_after_maxpool(edit: Edit, node: Node) -> Rewrite | None:
    """MaxPool(Relu(x)) -> Relu(MaxPool(x)): the largest of max(x, 0) is max(the largest of x, 0)"""
    relu = edit.maker(node.op.x)
    if relu is None or not isinstance(relu.op, Relu):
        return None
    if len(node.results) > 1 and edit.use_count(node.results[1]):
        raise Keep(f"%{node.results[1]} tells where the maximum is: without the Relu, negative numbers would differ.")
    need_only_user(edit, relu, "It would have to run twice.")
    before = heavy_before(edit, relu.op.x)
    if before is not None:
        raise Keep(
            f"{named(relu)} can be the epilogue of {named(before)}, which costs nothing;"
            f" after {named(node)} it would be a pass over memory of its own."
        )
    build = edit.build(node)
    pooled = build.one(node.op.evolve(x=relu.op.x))
    saved = relu.type.count - node.type.count
    reason = f"after {named(node)} the Relu has {node.type.count} elements to look at instead of {relu.type.count}"
    if saved <= 0:
        raise Keep(f"{named(node)} has as many results as operands: nothing would be saved.")
    return Rewrite(build.one(Relu(pooled)), reason, absorbs=(relu,), continues={node.name: pooled})


@graph_pass(rules=(relu_after_maxpool,))
def swap_relu_maxpool(graph: Graph) -> Graph:
    """MaxPool(Relu(x)) -> Relu(MaxPool(x)), unless the Relu can be the epilogue of what makes x."""
    return apply(graph, swap_relu_maxpool.rules)
