"""After this pass only ops are left that the machine keeps or that are small already."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from glowviz.compiler.graph import Graph, Node
from glowviz.compiler.ops.base import Op
from glowviz.compiler.rewrite import Edit, Keep, Rewrite, apply, graph_pass, rule
from glowviz.compiler.rewrite.facts import named
from glowviz.compiler.target import Target


@rule(Op)
def lower_op(edit: Edit, node: Node) -> Rewrite | None:
    """A node of an op that is made of smaller ones -> those"""
    return lowered(edit, node, frozenset(), "")


def lowered(edit: Edit, node: Node, keeps: frozenset[str], machine: str) -> Rewrite | None:
    """The rewrite for a machine that keeps these ops."""
    if type(node.op).lower is Op.lower:
        return None
    if node.kind in keeps and not _of_volumes(edit, node):
        raise Keep(f"The backend {machine} keeps {node.kind}: it has code of its own for it.")
    if any(not edit.type(o).static for o in node.op.operands):
        raise Keep(f"The shapes around {named(node)} are not bound.")
    build = edit.build(node)
    result = node.op.lower(build)
    if result is None:
        return None
    kinds = dict.fromkeys(new.kind for new in build.new.values())
    made = " and ".join([", ".join(list(kinds)[:-1]), *list(kinds)[-1:]] if len(kinds) > 1 else kinds)
    values = (result,) if isinstance(result, str) else result
    reason = f"{named(node)} is made of {made}" if kinds else f"{named(node)} is %{values[0]}"
    return Rewrite(values[: len(node.results)], reason)


def _of_volumes(edit: Edit, node: Node) -> bool:
    """Convolutions in three dimensions: the code that machines keep them for is that of pictures."""
    return node.kind in ("Conv", "ConvTranspose") and edit.type(node.op.operands[0]).rank == 5


@graph_pass(rules=(lower_op,), tolerance=2e-5)
def lower(graph: Graph, target: Target | None = None) -> Graph:
    """op(x) -> the smaller ops it is made of, as its class says, for every op that the target does not keep."""
    keeps = target.keeps if target is not None else frozenset()
    name = target.name if target is not None else ""
    asked = partial(lowered, keeps=keeps, machine=name)
    return apply(graph, (replace(lower_op, function=asked),))
