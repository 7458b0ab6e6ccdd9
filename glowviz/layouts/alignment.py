"""Every vertex knows which neighbours it would like to stand exactly below or above (Brandes and Köpf 2001)."""

from __future__ import annotations

from dataclasses import dataclass

from glowviz.layouts.problem import Problem
from glowviz.layouts.strata import Strata

Wishes = tuple[list[int], list[int]]  # per vertex: left median and right median, -1 where there is none


@dataclass(slots=True)
class Flat:
    """Part of the strata with vertices renumbered row by row, left to right: in a row, order is number order.

    vertices   number -> vertex of the strata;  spans: the numbers [start, stop) of each row
    up, down   number -> the numbers of the neighbours it may align with
    lane       number -> is it a lane;  main: is it on a longest way through this part
    """

    vertices: list[int]
    spans: list[tuple[int, int]]
    up: list[list[int]]
    down: list[list[int]]
    lane: list[bool]
    main: list[bool]


def flatten(rows: list[list[int]], strata: Strata, problem: Problem, number: list[int]) -> Flat:
    """Renumber the rows; `number` is scratch for the whole strata (vertex -> number)."""
    vertices: list[int] = []
    spans: list[tuple[int, int]] = []
    for line in rows:
        spans.append((len(vertices), len(vertices) + len(line)))
        vertices += line
    for position, vertex in enumerate(vertices):
        number[vertex] = position
    count, pulled = strata.count, problem.pulled
    up = [_preferred(vertex, strata.up[vertex], count, pulled, problem.depth) for vertex in vertices]
    down = [_preferred(vertex, strata.down[vertex], count, pulled, problem.height) for vertex in vertices]
    for links in (up, down):
        for near in links:
            near[:] = [number[other] for other in near]
            if len(near) > 1:
                near.sort()
    lane = [vertex >= count for vertex in vertices]
    longest = max([problem.depth[v] for v in vertices if v < count])
    main = [v < count and problem.depth[v] + problem.height[v] == longest for v in vertices]
    return Flat(vertices, spans, up, down, lane, main)


def _preferred(vertex: int, near: list[int], count: int, pulled: list[bool], far: list[int]) -> list[int]:
    """Lanes want to go on as lanes; boxes want the box on the longest way through the graph, then lanes,
    then constants: so the main line is straight."""
    if len(near) < 2:
        return list(near)
    lanes = [other for other in near if other >= count]
    if vertex >= count and lanes:
        return lanes
    boxes = [other for other in near if other < count and not pulled[other]]
    if len(boxes) > 1:
        farthest = max([far[box] for box in boxes])
        return [box for box in boxes if far[box] == farthest]
    return boxes or lanes or list(near)


def wishes(flat: Flat) -> tuple[Wishes, Wishes]:
    """Upward and downward wishes: one of the two middle neighbours, if that one wishes the same.

    A lane or constant must not take the place below or above that a box wants, and an outer branch that
    aligned with its fork would make stairs: the join below stands under another branch.
    """
    upward, downward = _medians(flat.up), _medians(flat.down)
    kept = _mutual(upward, downward), _mutual(downward, upward)
    _drop_conflicts(flat, *kept)
    return kept


def _medians(links: list[list[int]]) -> Wishes:
    left = [near[(len(near) - 1) // 2] if near else -1 for near in links]
    right = [near[len(near) // 2] if near else -1 for near in links]
    return left, right


def _mutual(mine: Wishes, theirs: Wishes) -> Wishes:
    left, right = theirs

    def kept(side: list[int]) -> list[int]:
        return [u if u >= 0 and (left[u] == v or right[u] == v) else -1 for v, u in enumerate(side)]

    return kept(mine[0]), kept(mine[1])


def _drop_conflicts(flat: Flat, upward: Wishes, downward: Wishes) -> None:
    """Type-1 conflicts: where a wish crosses a piece of lane inside a long edge, the lane wins; but where
    that wish is on the main line, the lane gives way."""
    for start, stop in flat.spans:
        inner = [(flat.up[v][0], v) for v in range(start, stop) if flat.lane[v] and _is_inner(flat, v)]
        if not inner:
            continue
        mains = [(u, v) for v in range(start, stop) if flat.main[v] for u in flat.up[v] if flat.main[u]]
        for above, lane in inner:
            if any((above < u) != (lane < v) for u, v in mains):
                _forget(upward, lane, above)
                _forget(downward, above, lane)
        inner = [(above, lane) for above, lane in inner if upward[0][lane] == above]
        _drop_row_conflicts(flat, inner, start, stop, upward, downward)


def _is_inner(flat: Flat, lane: int) -> bool:
    return bool(flat.up[lane]) and flat.lane[flat.up[lane][0]]


def _drop_row_conflicts(
    flat: Flat, inner: list[tuple[int, int]], start: int, stop: int, upward: Wishes, downward: Wishes
) -> None:
    bounds = [above for above, _ in inner]
    following = 0
    low = -1
    for v in range(start, stop):
        while following < len(inner) and inner[following][1] < v:
            low = bounds[following]
            following += 1
        at_inner = following < len(inner) and inner[following][1] == v
        high = bounds[following] if following < len(inner) else len(flat.vertices)
        for u in flat.up[v]:
            if (u < low or u > high) and not at_inner:
                _forget(upward, v, u)
                _forget(downward, u, v)


def _forget(wishes: Wishes, vertex: int, wish: int) -> None:
    for side in wishes:
        if side[vertex] == wish:
            side[vertex] = -1


def align(spans: list[tuple[int, int]], wished: Wishes, leftmost: bool) -> list[int]:
    """Grant wishes row by row so that none cross; vertex -> the root of its block, all of one x.

    `spans` in the order of the walk (from the top with upward wishes). `leftmost` prefers left medians.
    """
    count = len(wished[0])
    root = list(range(count))
    first, second = wished if leftmost else wished[::-1]
    for start, stop in spans:
        if leftmost:
            limit = -1
            for v in range(start, stop):
                u = first[v]
                if u <= limit:
                    u = second[v]
                if u > limit:
                    root[v], limit = root[u], u
        else:
            limit = count
            for v in range(stop - 1, start - 1, -1):
                u = first[v]
                if u < 0 or u >= limit:
                    u = second[v]
                if 0 <= u < limit:
                    root[v], limit = root[u], u
    return root
