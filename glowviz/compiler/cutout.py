"""The part of a graph around some nodes, as a graph of its own that can be read, run and mailed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from glowviz.compiler.graph import Graph, Node, Output
from glowviz.compiler.types import Type

DISTANCE = 2
"""Steps along edges, up and down, that belong to the neighbourhood."""
DISTANCES = (0, 1, 2, 4, 8, 16)
"""Neighbourhoods that are tried for the smallest one."""
TRIES = 60
"""How often a node is left out on trial."""


def cut_out(graph: Graph, name: str, distance: int = DISTANCE) -> Graph:
    """The nodes within `distance` steps of the one that makes `name`.

    What they read from outside becomes an input, what others read (or nobody) becomes an output.
    KeyError when no node makes that value.
    """
    centre = graph.maker(name)
    if centre is None:
        raise KeyError(f"no node of @{graph.name} makes %{name}")
    return _part(graph, _neighbourhood(graph, [centre], distance))


def smallest_cut(graph: Graph, names: Iterable[str], shows: Callable[[Graph], bool]) -> Graph | None:
    """The fewest nodes around those that make `names` for which `shows` holds, and without any of which it does not.

    None where it holds for no part of the graph, nor for all of it. At most TRIES nodes are left out on trial.
    """
    centres = [node for name in names if (node := graph.maker(name)) is not None]
    sizes = [_neighbourhood(graph, centres, distance) for distance in DISTANCES] if centres else []
    tried: set[int] = set()
    for chosen in (*sizes, set(graph.nodes)):
        if len(chosen) in tried:
            continue  # they grow: one of the same size is the same
        tried.add(len(chosen))
        if shows(_part(graph, chosen)):
            return _part(graph, _fewer(graph, chosen, shows))
    return None


def _fewer(graph: Graph, chosen: set[str], shows: Callable[[Graph], bool]) -> set[str]:
    """As many nodes as possible are left out one by one, from both ends inwards, until none can be."""
    tries, before = TRIES, None
    while before != chosen and tries > 0:
        before = chosen
        order = [name for name in graph.nodes if name in chosen]
        ends = [name for pair in zip(order, reversed(order), strict=True) for name in pair]
        for name in list(dict.fromkeys(ends))[:tries]:
            rest = chosen - {name}
            if rest and shows(_part(graph, rest)):
                chosen = rest
        tries -= len(order)
    return chosen


def _part(graph: Graph, chosen: Collection[str]) -> Graph:
    kept = {n: node for n, node in graph.nodes.items() if n in chosen}
    made = {r for node in kept.values() for r in node.results}
    read = dict.fromkeys(o for node in kept.values() for o in node.op.operands if o not in made)
    constants = {v: graph.constants[v] for v in read if v in graph.constants}
    inputs: dict[str, Type] = {v: graph.type(v) for v in read if v not in constants}
    outputs = tuple(Output(v, v) for node in kept.values() for v in node.results if _leaves(graph, v, chosen))
    return Graph(f"{graph.name}.cut", inputs, constants, kept, outputs)


def _neighbourhood(graph: Graph, centres: Iterable[Node], distance: int) -> set[str]:
    edge = list(centres)
    chosen = {node.name for node in edge}
    for _ in range(distance):
        near = [m for node in edge for o in node.op.operands if (m := graph.maker(o)) is not None]
        near += [user for node in edge for r in node.results for user in graph.users.get(r, ())]
        edge = [node for node in near if node.name not in chosen]
        chosen.update(node.name for node in edge)
    return chosen


def _leaves(graph: Graph, value: str, chosen: Collection[str]) -> bool:
    users = graph.users.get(value, ())
    return value in graph.returned or not users or any(u.name not in chosen for u in users)
