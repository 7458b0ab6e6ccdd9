"""Which values need a halo: padded reads see a border in the buffer instead of branching in the kernel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from glowviz.compiler.graph import Graph, Node
from glowviz.compiler.program import Halo
from glowviz.compiler.types import Type


def halos(graph: Graph) -> dict[str, Halo]:
    """Value to the largest halo that its readers need. Readers say so by their op's `padding`."""
    wanted: dict[str, Halo] = {}
    for node in graph:
        for value, need in needs(node, graph):
            wanted[value] = need if value not in wanted else widest(wanted[value], need)
    return wanted


def needs(node: Node, graph: Graph) -> Iterator[tuple[str, Halo]]:
    """The operands of a node that are read beyond their border, and how far."""
    if node.kind == "Fused":
        inner = dict(zip(node.op.body.inputs, node.op.xs, strict=True))
        for part in node.op.body:
            for value, need in needs(part, node.op.body):
                if value in inner:
                    yield inner[value], need
        return
    for value, sides in _paddings(node, graph).items():
        if any(sides):
            yield value, Halo(*sides)


def _paddings(node: Node, graph: Graph) -> Mapping[str, tuple[int, int, int, int]]:
    operands: tuple[Type, ...] = tuple(graph.type(o) for o in node.op.operands)
    if any(type_.held for type_ in operands):
        return {}
    return node.op.padding(operands, node.types)


def widest(a: Halo, b: Halo) -> Halo:
    """A halo that serves both."""
    return Halo(max(a.top, b.top), max(a.left, b.left), max(a.bottom, b.bottom), max(a.right, b.right), a.fill)
