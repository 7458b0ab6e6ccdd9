"""Boxes that were in the previous drawing keep their x; new boxes and lanes fill the room between them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from math import ceil
from typing import Any

from glowviz.layouts.coordinates import COLUMN_GAP, LANE_GAP
from glowviz.layouts.placed import Placed, Stub
from glowviz.layouts.ports import CORNER
from glowviz.layouts.problem import Problem
from glowviz.layouts.seeding import SeededRows
from glowviz.layouts.strata import Strata, build

FEW = 3  # heads of a net that are tried as the place of its lanes


@dataclass(slots=True)
class RowSpace:
    """What is taken in one row: boxes, side by side; lanes; and both with the room that a box must leave them."""

    lefts: list[float] = field(default_factory=list)
    rights: list[float] = field(default_factory=list)
    lanes: list[float] = field(default_factory=list)
    starts: list[float] = field(default_factory=list)
    stops: list[float] = field(default_factory=list)

    def take_box(self, centre: float, half: float) -> None:
        """Put a box there."""
        at = bisect_left(self.lefts, centre - half)
        self.lefts.insert(at, centre - half)
        self.rights.insert(at, centre + half)
        self._block(centre, half + COLUMN_GAP)

    def take_lane(self, x: float) -> None:
        """Put a lane there."""
        insort(self.lanes, x)
        self._block(x, LANE_GAP)

    def _block(self, centre: float, reach: float) -> None:
        insort(self.starts, centre - reach)
        insort(self.stops, centre + reach)

    def nearest_for_box(self, wish: float, half: float) -> float:
        """The centre closest to the wish at which a box fits, its left side not below 0."""
        right = max(wish, half)
        at = bisect_right(self.stops, right - half)
        while at < len(self.starts) and self.starts[at] < right + half:
            right = max(right, self.stops[at] + half)
            at += 1
        left = wish
        at = bisect_left(self.starts, left + half) - 1
        while at >= 0 and self.stops[at] > left - half:
            left = min(left, self.starts[at] - half)
            at -= 1
        return left if left >= half and wish - left < right - wish else right

    def next_for_lane(self, x: float, step: int) -> float:
        """The first x, going right (step 1) or left (-1), that keeps a lane's distance from all here."""
        while True:
            moved = self._clear_of_boxes(x, step)
            near = self.lanes[bisect_right(self.lanes, moved - LANE_GAP) : bisect_left(self.lanes, moved + LANE_GAP)]
            if near:
                moved = near[-1] + LANE_GAP if step > 0 else near[0] - LANE_GAP
            if moved == x:
                return x
            x = moved

    def _clear_of_boxes(self, x: float, step: int) -> float:
        at = bisect_left(self.lefts, x + LANE_GAP) - 1
        if at < 0 or self.rights[at] + LANE_GAP <= x:
            return x
        return self.rights[at] + LANE_GAP if step > 0 else self.lefts[at] - LANE_GAP


@dataclass(slots=True)
class Columns:
    """Places boxes and lanes, the old ones first. x: vertex -> centre, as far as it is known."""

    problem: Problem
    seeded: SeededRows
    kept: Mapping[int, Any]
    previous: Placed
    x: dict[int, float] = field(default_factory=dict)
    spaces: list[RowSpace] = field(default_factory=list)
    halves: list[int] = field(default_factory=list)  # half of every width, whole px

    def place(self, stub_span: int) -> tuple[Strata, list[float]]:
        """The strata, and the centre x of each of their vertices."""
        self.spaces = [RowSpace() for _ in self.seeded.wishes]
        self.halves = [ceil(width / 2) for width in self.problem.widths]
        self._place_pinned()
        direct = self._find_direct(stub_span)
        strata = build(self.problem, self.seeded.rows, stub_span, direct)
        chains: dict[int, list[int]] = {}
        for lane, net in enumerate(strata.net_of, strata.count):
            chains.setdefault(net, []).append(lane)
        for net, wish in self._old_lanes(strata, direct).items():
            chain = chains.pop(net)
            self._take_lanes(strata, chain, self._nearest_line(strata, chain, wish))
        self._place_new()
        for net, chain in chains.items():
            self._take_lanes(strata, chain, self._best_line(strata, chain, strata.net_tail[net]))
        return strata, [self.x[vertex] for vertex in range(len(strata.row))]

    def _place_pinned(self) -> None:
        by_row: dict[int, list[int]] = {}
        for node in self.seeded.pinned:
            self.x[node] = self.previous.centre(self.kept[node])[0]
            by_row.setdefault(self.seeded.rows[node], []).append(node)
        for row, nodes in by_row.items():
            nodes.sort(key=lambda node: (self.x[node], node))
            _settle(nodes, self.halves, self.x)
            for node in nodes:
                self.spaces[row].take_box(self.x[node], self.halves[node])

    def _find_direct(self, stub_span: int) -> set[int]:
        """Long edges for which a straight line down from the middle of the tail is free: holes stay straight."""
        problem, rows = self.problem, self.seeded.rows
        direct: set[int] = set()
        for edge, (tail, head) in enumerate(zip(problem.tails, problem.heads, strict=True)):
            if not 1 < rows[head] - rows[tail] <= stub_span or tail not in self.x or head not in self.x:
                continue
            x = self.x[tail]
            between = self.spaces[rows[tail] + 1 : rows[head]]
            reaches = abs(x - self.x[head]) <= problem.widths[head] / 2 - CORNER
            if reaches and all(space.next_for_lane(x, 1) == x for space in between):
                direct.add(edge)
        return direct

    def _old_lanes(self, strata: Strata, direct: set[int]) -> dict[int, float]:
        """Net -> where its lanes were: the longest upright piece that one of its edges had in the previous
        drawing, or, for direct edges, below the tail. In this order they are placed."""
        problem = self.problem
        routes = {key[:2]: route for key, route in self.previous.routes.items()}
        straight: dict[int, float] = {}
        found: dict[int, tuple[float, float]] = {}
        for edge, net in enumerate(strata.net):
            if strata.last[edge] < strata.count:
                continue
            tail, head = problem.tails[edge], problem.heads[edge]
            if edge in direct:
                straight[net] = self.x[tail]
                continue
            ends = (head, tail) if problem.turned[edge] else (tail, head)
            route = routes.get((self.kept.get(ends[0]), self.kept.get(ends[1])))
            if route is not None and not isinstance(route, Stub):
                pieces = [(abs(b[1] - a[1]), a[0]) for a, b in pairwise(route) if a[0] == b[0]]
                found[net] = max([*pieces, found.get(net, (0.0, 0.0))], key=lambda piece: piece[0])
        return straight | {net: place for net, (length, place) in found.items() if length}

    def _place_new(self) -> None:
        problem = self.problem
        above = self._anchors(problem.order, problem.above, problem.depth)
        below = self._anchors(problem.order[::-1], problem.below, problem.height)
        waiting: list[list[int]] = [[] for _ in self.spaces]
        for node, row in enumerate(self.seeded.rows):
            if node not in self.x:
                waiting[row].append(node)
        for space, nodes in zip(self.spaces, waiting, strict=True):
            for wish, node in sorted([(self._wish(node, above, below), node) for node in nodes]):
                half = self.halves[node]
                self.x[node] = space.nearest_for_box(float(round(wish)), half)
                space.take_box(self.x[node], half)

    def _anchors(self, order: list[int], links: list[list[int]], length: list[int]) -> dict[int, int]:
        """New node -> the placed box to which new nodes lead from it, the longest way through the graph first."""
        anchors: dict[int, int] = {}
        for node in order:
            if node not in self.x:
                near = [n for n in links[node] if (n in self.x or n in anchors) and not self.problem.pulled[n]]
                if near:
                    best = max(near, key=length.__getitem__)
                    anchors[node] = anchors.get(best, best)
        return anchors

    def _wish(self, node: int, above: dict[int, int], below: dict[int, int]) -> float:
        """Where the box was; or in line with the box above or below to which new boxes lead in fewer rows."""
        if node in self.kept:
            return self.previous.centre(self.kept[node])[0]
        problem, rows = self.problem, self.seeded.rows
        up, down = above.get(node), below.get(node)
        if up is not None and (down is None or rows[node] - rows[up] <= rows[down] - rows[node]):
            sources = [near for near in problem.above[node] if near in self.x and not problem.pulled[near]]
            return self.x[max(sources, key=problem.depth.__getitem__)]
        return self.x[down] if down is not None else 0.0

    def _best_line(self, strata: Strata, chain: list[int], tail: int) -> float:
        """One x for all lanes of a new net: the one with the shortest ways to its boxes."""
        heads = [head for lane in chain for head in strata.down[lane] if head < strata.count]
        lines = [self._nearest_line(strata, chain, self.x[box]) for box in {tail, *heads[:FEW], *heads[-FEW:]}]

        def cost(line: float) -> tuple[float, float]:
            ways = sum([abs(line - self.x[head]) for head in heads])
            return abs(line - self.x[tail]) + ways / len(heads), line

        return min(lines, key=cost)

    def _nearest_line(self, strata: Strata, chain: list[int], wish: float) -> float:
        rows = [self.spaces[strata.row[lane]] for lane in chain]
        right, left = _straight(rows, wish, 1), _straight(rows, wish, -1)
        return left if left >= 0 and wish - left < right - wish else right

    def _take_lanes(self, strata: Strata, chain: list[int], x: float) -> None:
        for lane in chain:
            self.x[lane] = x
            self.spaces[strata.row[lane]].take_lane(x)


def _straight(rows: list[RowSpace], x: float, step: int) -> float:
    while True:
        start = x
        for space in rows:
            x = space.next_for_lane(x, step)
        if x == start:
            return x


def _settle(nodes: list[int], halves: list[int], x: dict[int, float]) -> None:
    """Boxes that grew push their neighbours aside as little as possible (least squares, order kept)."""
    apart = [0]
    for left, right in pairwise(nodes):
        apart.append(apart[-1] + halves[left] + halves[right] + COLUMN_GAP)
    blocks: list[tuple[float, int]] = []  # mean of x - apart, and how many boxes it stands for
    for node, distance in zip(nodes, apart, strict=True):
        mean, count = x[node] - distance, 1
        while blocks and blocks[-1][0] > mean:
            other, others = blocks.pop()
            mean, count = (mean * count + other * others) / (count + others), count + others
        blocks.append((mean, count))
    least = halves[nodes[0]] if len(nodes) > 1 else x[nodes[0]]  # a box that stands alone stays on its line
    if len(blocks) < len(nodes) or x[nodes[0]] < least:
        places = [mean for mean, count in blocks for _ in range(count)]
        for node, place, distance in zip(nodes, places, apart, strict=True):
            x[node] = float(max(round(place), least) + distance)
