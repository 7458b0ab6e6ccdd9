"""Nodes are read in an order in which every value is defined before it is used; a cycle is refused by name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from onnx import GraphProto, NodeProto

from glowviz.compiler.importer.limits import subgraphs
from glowviz.compiler.importer.problem import RE_EXPORT, ImportProblem, told


def captured(node: NodeProto) -> tuple[str, ...]:
    """Names that the bodies of a node take from outside, each once, in order; nothing for most nodes."""
    found: dict[str, None] = {}
    for body in subgraphs(node):
        found.update(dict.fromkeys(free_names(body)))
    return tuple(found)


def free_names(graph: GraphProto) -> tuple[str, ...]:
    """Names that a graph reads and does not define, bodies of its nodes included."""
    found: dict[str, None] = {}
    stack: list[tuple[GraphProto, frozenset[str]]] = [(graph, frozenset())]
    while stack:
        level, outer = stack.pop()
        local = {i.name for i in level.input} | {i.name for i in level.initializer}
        local |= {i.values.name for i in level.sparse_initializer} | {o for n in level.node for o in n.output}
        visible = outer | local
        for node in level.node:
            found.update(dict.fromkeys(name for name in node.input if name and name not in visible))
            stack.extend((body, visible) for body in subgraphs(node))
        found.update(dict.fromkeys(o.name for o in level.output if o.name not in visible))
    return tuple(found)


def in_order(nodes: Sequence[NodeProto], available: Iterable[str]) -> tuple[Sequence[NodeProto], bool]:
    """The nodes as they stand where that is an order; otherwise sorted, and True."""
    defined = set(available)
    later = {o for n in nodes for o in n.output if o} - defined
    for node in nodes:
        if not later.isdisjoint(node.input) or (node.attribute and not later.isdisjoint(captured(node))):
            return _sorted(nodes), True
        later.difference_update(node.output)
    return nodes, False


def _sorted(nodes: Sequence[NodeProto]) -> list[NodeProto]:
    makers = {o: i for i, n in enumerate(nodes) for o in n.output if o}
    waits = [{makers[v] for v in (*n.input, *captured(n)) if v in makers} for n in nodes]
    users: list[list[int]] = [[] for _ in nodes]
    for index, needed in enumerate(waits):
        for maker in needed:
            users[maker].append(index)
    missing = [len(needed) for needed in waits]
    ready = [i for i, count in enumerate(missing) if not count]
    done: list[NodeProto] = []
    for index in ready:
        done.append(nodes[index])
        for user in users[index]:
            missing[user] -= 1
            if not missing[user]:
                ready.append(user)
    if len(done) < len(nodes):
        stuck = next(n for n, count in zip(nodes, missing, strict=True) if count)
        name = stuck.name or next(iter(stuck.output), "")
        raise ImportProblem(
            f"Nodes depend on each other in a circle, {told(name)} ({told(stuck.op_type)}) among them", "",
            "a graph without cycles", RE_EXPORT,
        )
    return done
