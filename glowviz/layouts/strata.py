"""Strata are the rows as ordered lists in which every drawn edge leads from one row to the next,
because lanes stand in for long edges in the rows between and the longest edges are cut to stubs."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from glowviz.layouts.problem import Problem

LANES_PER_NODE = 3
LANES_AT_LEAST = 2000


@dataclass(slots=True)
class Strata:
    """Vertices are the problem's nodes 0…n-1, then the lanes. An outlet is one port of one node, a net is
    what leaves it together: the edges of a net share their lanes, as a wire does.

    row      vertex -> row;  up, down: vertex -> neighbours in the row above and below
    net      edge -> net;  last: edge -> the vertex above its head, -1 for a stub
    net_of   lane n + i -> its net;  net_tail: net -> the node that it leaves;  outlet: net -> outlet
    """

    count: int
    row: list[int]
    up: list[list[int]]
    down: list[list[int]]
    net: list[int]
    last: list[int]
    net_of: list[int] = field(default_factory=list)
    net_tail: list[int] = field(default_factory=list)
    outlet: list[int] = field(default_factory=list)


def build(problem: Problem, rows: list[int], stub_span: int, direct: Collection[int] = frozenset()) -> Strata:
    """Cut edges that span more than stub_span rows, and give the others a lane in every row they cross.

    Edges in `direct` leave their port together, apart from its other edges.
    """
    nets, tails, outlets = _nets(problem, direct)
    span = _affordable_span(problem, rows, nets, len(tails), stub_span)
    count = len(problem.nodes)
    strata = Strata(
        count, list(rows), [[] for _ in rows], [[] for _ in rows], nets, [-1] * len(nets), [], tails, outlets
    )
    lanes: list[list[int]] = [[] for _ in tails]
    joined: set[tuple[int, int]] = set()
    for edge, net in enumerate(nets):
        head = problem.heads[edge]
        length = rows[head] - rows[problem.tails[edge]]
        if length > span:
            continue
        chain = lanes[net]
        while len(chain) < length - 1:
            chain.append(_add_lane(strata, net, chain[-1] if chain else tails[net]))
        above = chain[length - 2] if length > 1 else tails[net]
        strata.last[edge] = above
        if (net, head) not in joined:
            joined.add((net, head))
            strata.down[above].append(head)
            strata.up[head].append(above)
    _lanes_first(strata)
    return strata


def _lanes_first(strata: Strata) -> None:
    """First orders follow these lists: lanes then run left of the main line, away from the constants."""
    for links in (strata.up, strata.down):
        for near in links:
            if len(near) > 1:
                near.sort(key=lambda vertex: vertex < strata.count)


def _nets(problem: Problem, direct: Collection[int]) -> tuple[list[int], list[int], list[int]]:
    """Edge -> net, net -> the node that it leaves, and net -> outlet."""
    numbers: dict[tuple[int, object, bool], int] = {}
    outlet_of: dict[tuple[int, object], int] = {}
    tails: list[int] = []
    outlets: list[int] = []
    nets: list[int] = []
    for edge, (tail, pair) in enumerate(zip(problem.tails, problem.ports, strict=True)):
        key = (tail, pair[0], edge in direct)
        net = numbers.get(key)
        if net is None:
            net = numbers[key] = len(tails)
            tails.append(tail)
            outlets.append(outlet_of.setdefault(key[:2], len(outlet_of)))
        nets.append(net)
    return nets, tails, outlets


def _affordable_span(problem: Problem, rows: list[int], nets: list[int], net_count: int, span: int) -> int:
    """The longest span, up to the one asked for, at which lanes stay in proportion to the nodes."""
    lengths = [rows[head] - rows[tail] for tail, head in zip(problem.tails, problem.heads, strict=True)]
    budget = LANES_PER_NODE * len(rows) + LANES_AT_LEAST
    while span > 1:
        longest = [1] * net_count
        for net, length in zip(nets, lengths, strict=True):
            if longest[net] < length <= span:
                longest[net] = length
        if sum(longest) - net_count <= budget:
            break
        span = span * 2 // 3
    return span


def _add_lane(strata: Strata, net: int, above: int) -> int:
    lane = len(strata.row)
    strata.row.append(strata.row[above] + 1)
    strata.net_of.append(net)
    strata.up.append([above])
    strata.down.append([])
    strata.down[above].append(lane)
    return lane
