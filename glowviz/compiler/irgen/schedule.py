"""The order of instructions is the candidate whose live set peaks lowest; the graph's own order wins ties."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from glowviz.compiler.graph import Graph, Node

EXACT_LIMIT = 20_000
"""Nodes up to which all candidate orders are tried; beyond it the graph's own order is kept."""


@dataclass(frozen=True)
class Schedule:
    """An order of nodes, the bytes its live set needs at most, and where and why."""

    nodes: tuple[Node, ...]
    peak: int
    peak_at: str
    algorithm: str
    tried: tuple[tuple[str, int], ...]
    """Every candidate with its peak in bytes."""


def schedule(graph: Graph) -> Schedule:
    """The best of: the graph's order, depth first by need (generalised Sethi-Ullman, as Glow), greedy by release."""
    own = tuple(graph)
    candidates: dict[str, tuple[Node, ...]] = {"graph order": own}
    if len(own) <= EXACT_LIMIT:
        candidates["depth first"] = tuple(depth_first(graph))
        candidates["greedy"] = tuple(greedy(graph))
    peaks = {name: live_peak(graph, order) for name, order in candidates.items()}
    best = min(candidates, key=lambda name: peaks[name][0])
    tried = tuple((name, peak) for name, (peak, _) in peaks.items())
    return Schedule(candidates[best], *peaks[best], best, tried)


def bytes_of(graph: Graph, value: str) -> int:
    """Bytes a value needs in the arena: nothing for inputs and constants, which live elsewhere."""
    node = graph.maker(value)
    if node is None:
        return 0
    type_ = node.types[node.results.index(value)]
    return type_.bytes if getattr(type_, "static", False) else 0


def live_peak(graph: Graph, order: Sequence[Node]) -> tuple[int, str]:
    """The largest sum of live values over an order, in bytes, and the node that runs then. Nothing works in place."""
    last_use: dict[str, int] = {}
    for position, node in enumerate(order):
        for operand in node.op.operands:
            last_use[operand] = position
    for value in graph.returned:
        last_use[value] = len(order)
    live = peak = 0
    peak_at = ""
    for position, node in enumerate(order):
        live += sum(bytes_of(graph, r) for r in node.results)
        if live > peak:
            peak, peak_at = live, node.name
        ending = {o for o in node.op.operands if last_use[o] == position}
        ending.update(r for r in node.results if r not in last_use)
        live -= sum(bytes_of(graph, value) for value in ending)
    return peak, peak_at


def depth_first(graph: Graph) -> Iterable[Node]:
    """Children with the largest need beyond their result first; iterative."""
    need = _needs(graph)
    done: set[str] = set()
    order: list[Node] = []

    def children(node: Node) -> list[Node]:
        makers = dict.fromkeys(m for o in node.op.operands if (m := graph.maker(o)) is not None)
        return sorted(makers, key=lambda m: need[m.name] - _result_bytes(graph, m))

    roots = [m for o in graph.outputs if (m := graph.maker(o.value)) is not None]
    roots += [m for v in graph.updates.values() if (m := graph.maker(v)) is not None]
    for root in [*roots, *graph]:
        _post_order(root, children, done, order)
    return order


def _post_order(
    root: Node, children: Callable[[Node], list[Node]], done: set[str], order: list[Node]
) -> None:
    stack: list[tuple[Node, list[Node]]] = []
    if root.name not in done:
        done.add(root.name)
        stack.append((root, children(root)))
    while stack:
        _, waiting = stack[-1]
        while waiting and waiting[-1].name in done:
            waiting.pop()
        if waiting:
            child = waiting.pop()
            done.add(child.name)
            stack.append((child, children(child)))
        else:
            order.append(stack.pop()[0])


def _result_bytes(graph: Graph, node: Node) -> int:
    return sum(bytes_of(graph, r) for r in node.results)


def _needs(graph: Graph) -> dict[str, int]:
    """Bytes needed to compute each node with the children in the best order, as if the graph were a tree."""
    need: dict[str, int] = {}
    for node in graph:
        makers = dict.fromkeys(m for o in node.op.operands if (m := graph.maker(o)) is not None)
        pairs = sorted(((need[m.name], _result_bytes(graph, m)) for m in makers), key=lambda p: p[1] - p[0])
        held = most = 0
        for inner, result in pairs:
            most = max(most, held + inner)
            held += result
        need[node.name] = max(most, held + _result_bytes(graph, node))
    return need


def greedy(graph: Graph) -> Iterable[Node]:
    """Always the ready node that grows the live set least; ties in graph order."""
    position = {node.name: k for k, node in enumerate(graph)}
    missing = {n.name: len({m.name for o in n.op.operands if (m := graph.maker(o)) is not None}) for n in graph}
    users_left = {value: len(users) for value, users in graph.users.items()}
    heap = [(_growth(graph, n, users_left), position[n.name], n) for n in graph if not missing[n.name]]
    heapq.heapify(heap)
    order: list[Node] = []
    while heap:
        growth, place, node = heapq.heappop(heap)
        now = _growth(graph, node, users_left)
        if now != growth and heap and (now, place) > heap[0][:2]:
            heapq.heappush(heap, (now, place, node))
            continue
        order.append(node)
        for operand in dict.fromkeys(node.op.operands):
            users_left[operand] -= 1
        for user in dict.fromkeys(u for r in node.results for u in graph.users.get(r, ())):
            missing[user.name] -= 1
            if not missing[user.name]:
                heapq.heappush(heap, (_growth(graph, user, users_left), position[user.name], user))
    return order


def _growth(graph: Graph, node: Node, users_left: dict[str, int]) -> int:
    freed = (o for o in dict.fromkeys(node.op.operands) if users_left[o] == 1 and o not in graph.returned)
    return _result_bytes(graph, node) - sum(bytes_of(graph, o) for o in freed)
