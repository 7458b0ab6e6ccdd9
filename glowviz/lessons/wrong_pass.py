"""The pass of lesson 4 that is wrong on purpose: it moves a factor in front of a sum and forgets one term."""

from dataclasses import replace

from glowviz.compiler.graph import Graph, Node
from glowviz.compiler.ops.elementwise import Add, Mul
from glowviz.compiler.rewrite import PASSES, Edit, Rewrite, apply, rule

RIGHT = PASSES["sink_elementwise"]


@rule(Mul)
def factor_first(edit: Edit, node: Node) -> Rewrite | None:
    """`Mul(Add(x, b), s)` -> `Add(Mul(x, s), b)`: right only where s is 1, for b has to be scaled too."""
    inner = edit.op(node.op.x)
    if not isinstance(inner, Add) or len(edit.users(node.op.x)) != 1:
        return None
    build = edit.build(node)
    scaled = build.one(Mul(inner.x, node.op.y))
    return Rewrite(Add(scaled, inner.y), "a factor moves in front of the sum, next to the product it belongs to")


def sink_elementwise(graph: Graph) -> Graph:
    """Do what the right pass does, then the wrong rule everywhere."""
    return apply(RIGHT.function(graph), (factor_first,))


PASSES[RIGHT.name] = replace(RIGHT, function=sink_elementwise, rules=(*RIGHT.rules, factor_first))
