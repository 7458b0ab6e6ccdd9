"""After this pass no two pure nodes compute the same thing and no two constants have the same content."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from glowviz.compiler.graph import Constant, Graph, Node
from glowviz.compiler.ops import Add, And, Equal, Max, Min, Mul, Or, Xor
from glowviz.compiler.ops.base import Op
from glowviz.compiler.rewrite import Change, Edit, Keep, Rewrite, graph_pass, log, rule
from glowviz.compiler.rewrite.facts import named
from glowviz.compiler.rewrite.rules import attempt, perform

COMMUTATIVE = (Add, Mul, Max, Min, And, Or, Xor, Equal)


@rule(Op)
def equal_node(edit: Edit, node: Node) -> Rewrite | None:
    """y1 = op(x), y2 = op(x) -> y1 = op(x), and y2 is y1"""
    if not node.op.operands:
        return None
    key = _key(node.op)
    for twin in edit.users(min(node.op.operands, key=edit.use_count)):
        if twin is node:
            return None
        if key is not None and _key(twin.op) == key:
            return merge(edit, node, twin)
    return None


def merge(edit: Edit, node: Node, twin: Node) -> Rewrite | None:
    """`node` computes what `twin` before it computes; None where an attribute only looks equal (0.0 and -0.0)."""
    if repr(node.op.attributes) != repr(twin.op.attributes):
        return None
    if not node.op.pure:
        raise Keep(f"{named(node)} and {named(twin)} look equal, but {node.kind} gives other results each time.")
    if len(node.results) > len(twin.results):
        raise Keep(f"{named(twin)} has the same operands, but {len(twin.results)} of the {len(node.results)} results.")
    if node.types != twin.types[: len(node.types)]:
        return None
    operands = ", ".join(f"%{o}" for o in node.op.operands)
    reason = f"{named(twin)} has the same operands ({operands}) and attributes: %{node.name} is %{twin.name}"
    return Rewrite(twin.results[: len(node.results)], reason, continues={node.name: twin.name})


@graph_pass(rules=(equal_node,))
def cse(graph: Graph) -> Graph:
    """y1 = op(x), y2 = op(x) -> y2 is y1; constants of one type with the same bits (NaN included) are one."""
    edit = Edit(graph)
    _merge_constants(edit, graph.constants.values())
    first: dict[Any, str] = {}
    log().tried += len(graph.nodes)
    for name in graph.nodes:
        node = edit.node(name)
        key = None if node is None else _key(node.op)
        if node is None or key is None:
            continue
        twin = edit.node(first.setdefault(key, name))
        if twin is not None and twin is not node:
            _merge_nodes(edit, node, twin)
    return edit.finish()


def _merge_nodes(edit: Edit, node: Node, twin: Node) -> None:
    found = replace(equal_node, function=lambda edit, node: merge(edit, node, twin))
    rewrite = attempt(edit, node, found)
    if rewrite is not None:
        perform(edit, node, found, rewrite)


def _key(op: Any) -> Any:
    """What equal nodes have in common; None for an op whose attributes cannot be compared."""
    try:
        hash(op)
    except TypeError:
        return None
    if isinstance(op, COMMUTATIVE) and op.y < op.x:
        return op.evolve(x=op.y, y=op.x)
    return op


def _merge_constants(edit: Edit, constants: Iterable[Constant]) -> None:
    """Contents are hashed only where type and a few sampled bytes agree: most weights are never read."""
    groups: dict[Any, list[Constant]] = {}
    for constant in constants:
        groups.setdefault((constant.type, _sample(constant)), []).append(constant)
    for group in groups.values():
        first: dict[str, Constant] = {}
        for constant in group if len(group) > 1 else ():
            kept = first.setdefault(constant.payload.digest, constant)
            if kept is not constant:
                _merge_constant(edit, constant, kept)


def _merge_constant(edit: Edit, constant: Constant, kept: Constant) -> None:
    if not edit.use_count(constant.name):
        return
    edit.rewire(constant.name, kept.name)
    reason = f"%{constant.name} has the content of %{kept.name} ({constant.type}), bit for bit"
    continues = {constant.name: kept.name}
    log().change(Change("equal_constant", constant.name, reason, changed=(kept.name,), continues=continues))


def _sample(constant: Constant) -> Any:
    array = constant.array
    if array.dtype == object or array.size == 0:
        return array.size
    return tuple(array[(position,) * array.ndim].tobytes() for position in (0, -1))
