"""Every edge leaves and enters its boxes at a point of its own net, port or edge, in the order of the other ends."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from glowviz.layouts.problem import Problem
from glowviz.layouts.strata import Strata

PORT_GAP = 12.0  # px between the ports of one side, less where the box is narrow
CORNER = 8.0  # px of a side that stay free at its ends
STUB = float("inf")  # where the other end of a stub counts as being: ports of stubs come last


@dataclass(slots=True)
class Ports:
    """x of the point where a net leaves its box, where its stubs leave, and where each edge enters."""

    exit: list[float]
    stub_exit: list[float]
    entry: list[float]


def place_ports(problem: Problem, strata: Strata, x: list[float]) -> Ports:
    """Ports for every edge; `x` holds the centre of every vertex of the strata."""
    count = 1 + max(strata.outlet, default=-1)
    exits, stubs = _place_exits(problem, strata, x, count)
    ports = Ports([exits[i] for i in strata.outlet], [stubs[i] for i in strata.outlet], [0.0] * len(strata.net))
    _place_entries(problem, strata, x, ports)
    return ports


def _place_exits(problem: Problem, strata: Strata, x: list[float], count: int) -> tuple[list[float], list[float]]:
    """Where each outlet's nets leave, and where its stubs leave."""
    reached: list[list[float]] = [[] for _ in range(count)]
    cut = [False] * count
    tails = [0] * count
    for edge, net in enumerate(strata.net):
        outlet = strata.outlet[net]
        tails[outlet] = strata.net_tail[net]
        if strata.last[edge] < 0:
            cut[outlet] = True
        elif strata.last[edge] < strata.count:
            reached[outlet].append(x[problem.heads[edge]])
    for lane, net in enumerate(strata.net_of, strata.count):
        if strata.up[lane][0] < strata.count:
            reached[strata.outlet[net]].append(x[lane])
    leaving: list[list[tuple[float, int, bool]]] = [[] for _ in range(strata.count)]
    for outlet, tail in enumerate(tails):
        if reached[outlet]:
            leaving[tail].append((_nearest(reached[outlet], x[tail]), outlet, False))
        if cut[outlet]:
            leaving[tail].append((STUB, outlet, True))
    exits, stubs = [0.0] * count, [0.0] * count
    for node, wishes in enumerate(leaving):
        wishes.sort()
        places = (
            spread([wish for wish, _, _ in wishes], x[node], problem.widths[node]) if len(wishes) > 1 else [x[node]]
        )
        for (_, outlet, stub), place in zip(wishes, places, strict=False):
            (stubs if stub else exits)[outlet] = place
    return exits, stubs


def _nearest(ends: list[float], centre: float) -> float:
    """The end that a straight line should lead to: the one closest to straight below."""
    return ends[0] if len(ends) == 1 else min(ends, key=lambda end: abs(end - centre))


def _place_entries(problem: Problem, strata: Strata, x: list[float], ports: Ports) -> None:
    entering: list[list[tuple[float, int]]] = [[] for _ in range(strata.count)]
    for edge, last in enumerate(strata.last):
        other = STUB if last < 0 else ports.exit[strata.net[edge]] if last < strata.count else x[last]
        entering[problem.heads[edge]].append((other, edge))
    for node, wishes in enumerate(entering):
        if len(wishes) == 1:
            (wish, edge), width = wishes[0], problem.widths[node]
            ports.entry[edge] = wish if abs(wish - x[node]) <= width / 2 - CORNER else x[node]
        elif wishes:
            _place_entries_of(problem, node, wishes, x[node], ports)


def _place_entries_of(
    problem: Problem, node: int, wishes: list[tuple[float, int]], centre: float, ports: Ports
) -> None:
    groups: dict[Hashable, list[tuple[float, int]]] = {}
    for wish, edge in wishes:
        port = problem.ports[edge][1]
        groups.setdefault(("edge", edge) if port is None else ("port", port), []).append((wish, edge))
    shared = sorted((_nearest([wish for wish, _ in group], centre), group[0][1], group) for group in groups.values())
    places = spread([wish for wish, _, _ in shared], centre, problem.widths[node])
    for (_, _, group), place in zip(shared, places, strict=True):
        for _, edge in group:
            ports.entry[edge] = place


def spread(wishes: list[float], centre: float, width: float) -> list[float]:
    """Places on one side of a box for ascending wishes: straight where that is possible, at least a gap apart.

    The wish closest to the centre is granted first, the others stand beside it in order.
    """
    reach = max(0.0, width / 2 - CORNER)
    count = len(wishes)
    middle = min(range(count), key=lambda i: abs(wishes[i] - centre))
    if abs(wishes[middle] - centre) > reach:
        gap = min(PORT_GAP, 2 * reach / max(1, count - 1))
        return [centre + gap * (i - (count - 1) / 2) for i in range(count)]
    low, high = centre - reach, centre + reach
    left = _beside([-wish for wish in wishes[:middle][::-1]], -wishes[middle], -low)
    right = _beside(wishes[middle + 1 :], wishes[middle], high)
    return [-place for place in left[::-1]] + [wishes[middle]] + right


def _beside(wishes: list[float], start: float, limit: float) -> list[float]:
    """Ascending places between start and limit, straight below their wishes where that leaves room."""
    gap = min(PORT_GAP, (limit - start) / max(1, len(wishes)))
    places: list[float] = []
    last = start
    for i, wish in enumerate(wishes):
        room = limit - gap * (len(wishes) - 1 - i)
        last = max(last + gap, min(wish, room)) if wish <= limit else last + gap
        places.append(last)
    return places
