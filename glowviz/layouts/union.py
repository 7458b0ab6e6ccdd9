"""Several snapshots of a graph share one drawing, in which nothing moves from one snapshot to the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import networkx as nx

from glowviz.layouts.layered import place
from glowviz.layouts.placed import LayoutError, Placed, Size


def union(digraphs: Sequence[nx.DiGraph]) -> nx.DiGraph:
    """All nodes and edges of the snapshots, given oldest first; attributes are those of the newest that has them.

    Every node and edge gets the attribute `snapshots`, the tuple of the positions of the snapshots it is in.
    The newest snapshot keeps its directions; an edge of an older one that would close a cycle with them is
    marked `back`, so that it may lead upwards. Raises LayoutError when there is no snapshot.
    """
    if not digraphs:
        raise LayoutError("a union needs at least one graph: the list of snapshots is empty")
    whole = digraphs[-1].__class__()
    for position, digraph in reversed(list(enumerate(digraphs))):
        for node, data in digraph.nodes(data=True):
            _merge(whole.nodes, node, data, position, lambda node: whole.add_node(node))
        for edge, data in _edges(digraph):
            _merge(whole.edges, edge, data, position, lambda edge: whole.add_edge(*edge))
    _mark_back_edges(whole, len(digraphs) - 1)
    return whole


def union_place(
    digraphs: Sequence[nx.DiGraph],
    sizes: Mapping[Any, Size],
    *,
    previous: Placed | None = None,
    lineage: Mapping[Any, Any] | None = None,
    stub_span: int = 40,
) -> Placed:
    """One drawing for all snapshots (oldest first): `place` on their `union`, same arguments and errors."""
    return place(union(digraphs), sizes, previous=previous, lineage=lineage, stub_span=stub_span)


def _edges(digraph: nx.DiGraph) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
    if isinstance(digraph, nx.MultiDiGraph):
        return [((u, v, key), data) for u, v, key, data in digraph.edges(keys=True, data=True)]
    return [((u, v), data) for u, v, data in digraph.edges(data=True)]


def _merge(view: Any, item: Any, data: dict[str, Any], position: int, add: Any) -> None:
    if item not in view:
        add(item)
        view[item].update(data)
        view[item]["snapshots"] = ()
    known = view[item]
    known["snapshots"] = (position, *known["snapshots"])


def _mark_back_edges(whole: nx.DiGraph, newest: int) -> None:
    if nx.is_directed_acyclic_graph(whole):
        return
    for members in list(nx.strongly_connected_components(whole)):
        if len(members) > 1:
            rank = _rank(whole, members, newest)
            for edge, data in _edges(whole.subgraph(members)):
                if rank[edge[0]] > rank[edge[1]] and newest not in data["snapshots"]:
                    data["back"] = True


def _rank(whole: nx.DiGraph, members: set[Any], newest: int) -> dict[Any, int]:
    """An order of the members that obeys the newest snapshot's edges, and of the others as many as it easily can."""
    part = whole.subgraph(members)
    new, old = ({node: set() for node in whole if node in members} for _ in range(2))
    for edge, data in _edges(part):
        (new if newest in data["snapshots"] else old)[edge[1]].add(edge[0])
    rank: dict[Any, int] = {}
    left = dict.fromkeys(new)
    while left:
        # a cycle in the newest snapshot itself has no order: any will do, placing it reports it
        ready = [node for node in left if not new[node] - rank.keys()] or list(left)
        node = min(ready, key=lambda node: len(old[node] - rank.keys()))
        rank[node] = len(rank)
        del left[node]
    return rank
