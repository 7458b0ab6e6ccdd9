"""A Problem is a networkx graph with box sizes, read once into numbered lists and known to have no cycle."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import networkx as nx

from glowviz.layouts.placed import CycleError, LayoutError, Size


@dataclass(slots=True)
class Problem:
    """Nodes are 0…n-1 in the graph's order, edges 0…m-1. A `back` edge is stored turned round.

    order   every node after its sources
    depth   node -> edges on the longest way from a source to it;  height: … from it to a sink
    """

    nodes: list[Any]
    widths: list[float]
    heights: list[float]
    pulled: list[bool]
    keys: list[Any]
    tails: list[int]
    heads: list[int]
    ports: list[tuple[Any, Any]]
    turned: list[bool]
    above: list[list[int]]
    below: list[list[int]]
    order: list[int]
    depth: list[int]
    height: list[int]


def read(digraph: nx.DiGraph, sizes: Mapping[Any, Size]) -> Problem:
    """Number the graph's nodes and edges. Raises CycleError, or LayoutError for a bad size or port pair."""
    if not digraph.is_directed():
        raise LayoutError("layouts need a DAG: this graph has no directions; use networkx.DiGraph")
    nodes = list(digraph)
    index = {node: number for number, node in enumerate(nodes)}
    widths, heights = _sizes(nodes, sizes)
    pulled = [bool(data.get("pull")) for _, data in digraph.nodes(data=True)]
    keys: list[Any] = []
    tails: list[int] = []
    heads: list[int] = []
    ports: list[tuple[Any, Any]] = []
    turned: list[bool] = []
    for key, data in _edges(digraph):
        tail, head, back = index[key[0]], index[key[1]], bool(data.get("back"))
        keys.append(key)
        tails.append(head if back else tail)
        heads.append(tail if back else head)
        ports.append(_ports(key, data, back))
        turned.append(back)
    above, below = _neighbours(len(nodes), tails, heads)
    order = _topological(nodes, above, below)
    depth, height = _longest(order, above), _longest(order[::-1], below)
    return Problem(
        nodes, widths, heights, pulled, keys, tails, heads, ports, turned, above, below, order, depth, height
    )


def _edges(digraph: nx.DiGraph) -> Iterator[tuple[Any, dict[str, Any]]]:
    if isinstance(digraph, nx.MultiDiGraph):
        for u, v, key, data in digraph.edges(keys=True, data=True):
            yield (u, v, key), data
    else:
        for u, v, data in digraph.edges(data=True):
            yield (u, v), data


def _sizes(nodes: list[Any], sizes: Mapping[Any, Size]) -> tuple[list[float], list[float]]:
    widths: list[float] = []
    heights: list[float] = []
    for node in nodes:
        if node not in sizes:
            raise LayoutError(f"no size was given for box {node}: `sizes` must map every node to (w, h) in px")
        w, h = sizes[node]
        if not (0 <= w < math.inf and 0 <= h < math.inf):
            raise LayoutError(f"box {node} has size {w}×{h}: expected two finite lengths in px, not below 0")
        widths.append(w)
        heights.append(h)
    return widths, heights


def _ports(key: Any, data: dict[str, Any], back: bool) -> tuple[Any, Any]:
    pair = data.get("ports")
    if pair is None:
        return None, None
    if not (isinstance(pair, tuple | list) and len(pair) == 2):
        raise LayoutError(f"edge {key} has ports {pair!r}: expected a pair (port of the source, port of the target)")
    return (pair[1], pair[0]) if back else (pair[0], pair[1])


def _neighbours(count: int, tails: list[int], heads: list[int]) -> tuple[list[list[int]], list[list[int]]]:
    """Each node's predecessors and successors, parallel edges counted once, in edge order."""
    above: list[list[int]] = [[] for _ in range(count)]
    below: list[list[int]] = [[] for _ in range(count)]
    seen: set[int] = set()
    for tail, head in zip(tails, heads, strict=True):
        code = tail * count + head
        if code not in seen:
            seen.add(code)
            below[tail].append(head)
            above[head].append(tail)
    return above, below


def _topological(nodes: list[Any], above: list[list[int]], below: list[list[int]]) -> list[int]:
    waiting = [len(sources) for sources in above]
    order = [node for node, count in enumerate(waiting) if not count]
    for node in order:  # grows while it is read
        for target in below[node]:
            waiting[target] -= 1
            if not waiting[target]:
                order.append(target)
    if len(order) < len(nodes):
        raise CycleError([nodes[node] for node in _find_cycle(waiting, above)])
    return order


def _longest(order: list[int], sources: list[list[int]]) -> list[int]:
    depth = [0] * len(order)
    for node in order:
        for source in sources[node]:
            if depth[source] >= depth[node]:
                depth[node] = depth[source] + 1
    return depth


def _find_cycle(waiting: list[int], above: list[list[int]]) -> list[int]:
    """Walk backwards among the nodes that never became ready: each has such a source, so one comes twice."""
    node = next(number for number, count in enumerate(waiting) if count)
    steps: dict[int, int] = {}
    while node not in steps:
        steps[node] = len(steps)
        node = next(source for source in above[node] if waiting[source])
    cycle = [visited for visited, step in steps.items() if step >= steps[node]][::-1]
    start = cycle.index(min(cycle))
    return cycle[start:] + cycle[:start]
