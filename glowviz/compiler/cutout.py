"""The part of a graph around one node, as a graph of its own that can be read, run and mailed."""

from __future__ import annotations

from glowviz.compiler.graph import Graph, Node, Output
from glowviz.compiler.types import Type

DISTANCE = 2
"""Steps along edges, up and down, that belong to the neighbourhood."""


def cut_out(graph: Graph, name: str, distance: int = DISTANCE) -> Graph:
    """The nodes within `distance` steps of the one that makes `name`.

    What they read from outside becomes an input, what others read (or nobody) becomes an output.
    KeyError when no node makes that value.
    """
    centre = graph.maker(name)
    if centre is None:
        raise KeyError(f"no node of @{graph.name} makes %{name}")
    chosen = _neighbourhood(graph, centre, distance)
    kept = {n: node for n, node in graph.nodes.items() if n in chosen}
    made = {r for node in kept.values() for r in node.results}
    read = dict.fromkeys(o for node in kept.values() for o in node.op.operands if o not in made)
    constants = {v: graph.constants[v] for v in read if v in graph.constants}
    inputs: dict[str, Type] = {v: graph.type(v) for v in read if v not in constants}
    outputs = tuple(Output(v, v) for node in kept.values() for v in node.results if _leaves(graph, v, chosen))
    return Graph(f"{graph.name}.cut", inputs, constants, kept, outputs)


def _neighbourhood(graph: Graph, centre: Node, distance: int) -> set[str]:
    chosen = {centre.name}
    edge = [centre]
    for _ in range(distance):
        near = [m for node in edge for o in node.op.operands if (m := graph.maker(o)) is not None]
        near += [user for node in edge for r in node.results for user in graph.users.get(r, ())]
        edge = [node for node in near if node.name not in chosen]
        chosen.update(node.name for node in edge)
    return chosen


def _leaves(graph: Graph, value: str, chosen: set[str]) -> bool:
    users = graph.users.get(value, ())
    return value in graph.returned or not users or any(u.name not in chosen for u in users)
