"""A user's own file that replaces fold_batchnorm by one that forgets the shift: every result after it is wrong."""

from dataclasses import replace

from glowviz.compiler.graph import Graph, Node
from glowviz.compiler.ops import Relu
from glowviz.compiler.ops.elementwise import Abs
from glowviz.compiler.rewrite import PASSES, Edit, Rewrite, apply, rule


@rule(Relu)
def relu_to_abs(edit: Edit, node: Node) -> Rewrite | None:
    """`Relu(x)` -> `Abs(x)`: wrong wherever x is negative. Only the second one, so that the first is innocent."""
    if node.name != "wrong":
        return None
    return Rewrite(Abs(node.op.x), "both are never negative")


def broken(graph: Graph) -> Graph:
    """Try the rule everywhere."""
    return apply(graph, (relu_to_abs,))


PASSES["merge_pad"] = replace(PASSES["merge_pad"], function=broken, rules=(relu_to_abs,))
