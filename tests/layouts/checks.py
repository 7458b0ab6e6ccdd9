"""What every drawing must satisfy, as functions that return the offenders."""

from __future__ import annotations

from itertools import combinations, pairwise
from typing import Any

import networkx as nx

from glowviz.layouts import Placed, Stub

Segment = tuple[float, float, float, float, Any]  # x1 <= x2, y1 <= y2, tail of the edge


def box(placed: Placed, node: Any) -> tuple[float, float, float, float]:
    """left, top, right, bottom."""
    w, h = placed.sizes[node]
    return placed.x[node], placed.y[node], placed.x[node] + w, placed.y[node] + h


def overlapping_boxes(placed: Placed, gap: float = 0.0) -> list[tuple[Any, Any]]:
    """Pairs of boxes with less than `gap` px between them sideways, or that overlap."""
    rows: dict[float, list[Any]] = {}
    for node in placed.x:
        rows.setdefault(placed.layers[node], []).append(node)
    found = []
    floor = float("-inf")
    for row in sorted(rows):
        nodes = sorted(rows[row], key=placed.x.__getitem__)
        found += [(a, b) for a, b in pairwise(nodes) if placed.x[b] - box(placed, a)[2] < gap - 1e-6]
        found += [(row, node) for node in nodes if placed.y[node] < floor - 1e-6]
        floor = max(box(placed, node)[3] for node in nodes)
    return found


def edges_not_down(graph: nx.DiGraph, placed: Placed) -> list[tuple[Any, Any]]:
    """Edges whose head is not in a later row and lower."""
    return [
        (u, v) for u, v in graph.edges() if placed.layers[u] >= placed.layers[v] or box(placed, u)[3] >= placed.y[v]
    ]


def loose_ends(placed: Placed) -> list[Any]:
    """Edges that do not leave on the lower side of their tail and arrive on the upper side of their head."""
    found = []
    for key, route in placed.routes.items():
        (x1, y1), (x2, y2) = route[0], route[-1]
        tail, head = box(placed, key[0]), box(placed, key[1])
        leaves = tail[0] <= x1 <= tail[2] and abs(y1 - tail[3]) < 1e-6
        arrives = head[0] <= x2 <= head[2] and abs(y2 - head[1]) < 1e-6
        if not (leaves and arrives):
            found.append(key)
    return found


def segments(placed: Placed) -> list[Segment]:
    """Every straight piece of every route, once per tail."""
    found = set()
    for key, route in placed.routes.items():
        if not isinstance(route, Stub):
            for (x1, y1), (x2, y2) in pairwise(route):
                found.add((min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2), key[0]))
    return sorted(found, key=lambda segment: segment[:4])


def slanted(placed: Placed) -> list[Segment]:
    """Pieces that are neither upright nor level."""
    return [s for s in segments(placed) if s[2] - s[0] > 1.0 and s[3] - s[1] > 1e-6]


def boxes_crossed(placed: Placed) -> list[tuple[Segment, Any]]:
    """Pieces of routes that pass through the inside of a box."""
    by_row: dict[int, list[Any]] = {}
    for node in placed.x:
        by_row.setdefault(placed.layers[node], []).append(node)
    found = []
    for segment in segments(placed):
        x1, y1, x2, y2, _ = segment
        for row, nodes in by_row.items():
            if y1 - 1 < placed.rows[row] < y2 + 1:
                found += [
                    (segment, node)
                    for node in nodes
                    if x1 < box(placed, node)[2] - 0.5 and x2 > box(placed, node)[0] + 0.5
                ]
    return found


def overlaid(placed: Placed) -> int:
    """Pairs of level or upright pieces of different tails that lie on each other for more than a pixel."""
    lines: dict[tuple[bool, float], list[tuple[float, float, Any]]] = {}
    for x1, y1, x2, y2, tail in segments(placed):
        if y2 - y1 < 1e-6:
            lines.setdefault((True, round(y1, 3)), []).append((x1, x2, tail))
        elif x2 - x1 < 1e-6:
            lines.setdefault((False, round(x1, 3)), []).append((y1, y2, tail))
    return sum(
        a[2] != b[2] and min(a[1], b[1]) - max(a[0], b[0]) > 1
        for pieces in lines.values()
        for a, b in combinations(pieces, 2)
    )


def fullest_row(placed: Placed, gap: float = 24.0) -> float:
    """Width of the boxes of the fullest row, side by side, px: no drawing in these rows can be narrower."""
    widths: dict[int, float] = {}
    for node, row in placed.layers.items():
        widths[row] = widths.get(row, -gap) + placed.sizes[node][0] + gap
    return max(widths.values())


def straight_crossings(placed: Placed) -> int:
    """Crossings of level with upright pieces of different tails, as the eye counts them."""
    pieces = segments(placed)
    level = [s for s in pieces if s[3] - s[1] < 1e-6]
    upright = [s for s in pieces if s[2] - s[0] < 1e-6]
    return sum(
        a[4] != b[4] and a[0] < b[0] - 0.5 and b[0] + 0.5 < a[2] and b[1] < a[1] - 1e-6 and a[1] + 1e-6 < b[3]
        for a in level
        for b in upright
    )
