"""The vertices of every row stand in an order with few crossings, found only where there are crossings."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from itertools import pairwise

from glowviz.layouts.crossings import count_crossings

Rows = list[list[int]]
Links = list[list[int]]

REACHES = (8, 40)  # rows reordered above and below a crossing, first try and second
SWEEPS = 12
SWEEP_WORK = 60_000  # vertices looked at per window, so that huge windows get fewer sweeps
MISSES = 3  # sweeps in a row that each bring less than …
WORTH = 0.01  # … this part of the crossings: then the window is done
SWAP_PASSES = 6
HOPEFUL = 0.25  # crossings per vertex up to which it is worth starting from another order
RESTARTED = 3000  # vertices of a window up to which sweeping starts again from other orders


def best_order(vertices: list[int], row: list[int], up: Links, down: Links, place: list[int]) -> Rows:
    """The rows, ordered from left to right with few crossings; `place` is set for them.

    Depth-first walks from the top and from the bottom, first links first and last links first, give the
    orders to start from. The next one is tried only while there are crossings left, but not hopelessly many.
    """
    best: Rows = []
    fewest = -1
    for rows in _first_orders(vertices, row, up, down, place):
        crossings = reduce_crossings(rows, up, down, place)
        if fewest < 0 or crossings < fewest:
            best, fewest = rows, crossings
        if not fewest or crossings > HOPEFUL * len(vertices):
            break
    number(best, place)
    return best


def _first_orders(vertices: list[int], row: list[int], up: Links, down: Links, place: list[int]) -> list[Rows]:
    """Orders to start from, the one with the fewest crossings first; one without crossings is enough."""
    found: list[tuple[int, Rows]] = []
    for onward, back in ((down, up), (up, down)):
        starts = [vertex for vertex in vertices if not back[vertex]]
        for step in (-1, 1):
            rows = _walk(starts, row, onward, step)
            crossings = sum(recount(rows, down, place))
            if not crossings:
                return [rows]
            found.append((crossings, rows))
    return [rows for _, rows in sorted(found, key=lambda order: order[0])]


def _walk(starts: list[int], row: list[int], links: Links, step: int) -> Rows:
    seen: set[int] = set()
    found: dict[int, list[int]] = {}
    for start in starts:
        stack = [start]
        while stack:
            vertex = stack.pop()
            if vertex not in seen:
                seen.add(vertex)
                found.setdefault(row[vertex], []).append(vertex)
                stack.extend(links[vertex][::step])
    return [found.get(number, []) for number in range(max(found, default=-1) + 1)]


def number(rows: Rows, place: list[int]) -> None:
    """Set every vertex's place in its row."""
    for line in rows:
        for position, vertex in enumerate(line):
            place[vertex] = position


def recount(rows: Rows, down: Links, place: list[int]) -> list[int]:
    """Set every vertex's place in its row; the crossings between each row and the next."""
    number(rows, place)
    return _count(rows, 0, len(rows) - 1, down, place)


def reduce_crossings(rows: Rows, up: Links, down: Links, place: list[int]) -> int:
    """Reorder the rows in place; returns the crossings left.

    Sweeps by barycentre run in windows of rows around the crossings, the rows at a window's edge held
    fast. A window keeps a new order only if it has fewer crossings.
    """
    counts = recount(rows, down, place)
    tried: set[tuple[int, int]] = set()
    for reach in REACHES:
        for first, last in [window for window in _windows(rows, counts, reach) if window not in tried]:
            tried.add((first, last))
            _improve(rows, first, last, up, down, place)
            counts[first:last] = _count(rows, first, last, down, place)
    for first, last in list(_windows(rows, counts, 1)):
        _swap_neighbours(rows, first, last, up, down, place)
        counts[first:last] = _count(rows, first, last, down, place)
    return sum(counts)


def _windows(rows: Rows, counts: list[int], reach: int) -> Iterator[tuple[int, int]]:
    """Runs of rows (first, last) around crossings; a row of one vertex ends a run: no order passes it."""
    first = last = -1
    for gap, count in enumerate(counts):
        if not count:
            continue
        low, high = _stretch(rows, gap, reach)
        if low < last:
            last = high
            continue
        if last >= 0:
            yield first, last
        first, last = low, high
    if last >= 0:
        yield first, last


def _stretch(rows: Rows, gap: int, reach: int) -> tuple[int, int]:
    low, high = gap, gap + 1
    while low > 0 and gap - low < reach and len(rows[low]) > 1:
        low -= 1
    while high < len(rows) - 1 and high - gap <= reach and len(rows[high]) > 1:
        high += 1
    return low, high


def _count(rows: Rows, first: int, last: int, down: Links, place: list[int]) -> list[int]:
    return [count_crossings(rows[number], down, place) for number in range(first, last)]


def _movable(rows: Rows, first: int, last: int) -> range:
    """The rows of a window without those at its edges, which other windows rest on."""
    return range(first + (first > 0), last + (last == len(rows) - 1))


def _improve(rows: Rows, first: int, last: int, up: Links, down: Links, place: list[int]) -> None:
    """Sweep from the order as it is, downwards first and upwards first, then from its mirror image."""
    original = best = [line[:] for line in rows[first : last + 1]]
    fewest = sum(_count(rows, first, last, down, place))
    mirrored = [line[::-1] for line in original]
    size = sum(map(len, original))
    sweeps = max(4, min(SWEEPS, SWEEP_WORK // size))
    for start, upwards in ((original, 0), (original, 1), (mirrored, 0)):
        _restore(rows, first, start, place)
        found, crossings = _sweep(rows, first, last, (up, down), place, sweeps, upwards)
        if crossings < fewest:
            best, fewest = found, crossings
        if not fewest or size > RESTARTED:
            break
    _restore(rows, first, best, place)


def _sweep(
    rows: Rows, first: int, last: int, links: tuple[Links, Links], place: list[int], sweeps: int, upwards: int
) -> tuple[Rows, int]:
    """The best order of the rows that sweeping comes across, and its crossings."""
    movable = _movable(rows, first, last)
    best: Rows = []
    fewest = misses = 0
    for sweep in range(upwards, upwards + sweeps):
        flip = sweep % 4 > 1
        for number in reversed(movable) if sweep % 2 else movable:
            _by_barycentre(rows[number], links[sweep % 2], place, flip)
        crossings = sum(_count(rows, first, last, links[1], place))
        misses = 0 if not best or crossings < (1 - WORTH) * fewest else misses + 1
        if not best or crossings < fewest:
            best, fewest = [line[:] for line in rows[first : last + 1]], crossings
        if not fewest or misses == MISSES:
            break
    return best, fewest


def _restore(rows: Rows, first: int, lines: Rows, place: list[int]) -> None:
    for number, line in enumerate(lines, first):
        rows[number][:] = line
        for position, vertex in enumerate(line):
            place[vertex] = position


def _by_barycentre(line: list[int], links: Links, place: list[int], flip: bool) -> None:
    """Sort the vertices that have neighbours by their mean place, the others keep their slots.

    `flip` turns ties round: it lets a later sweep leave an order in which equals block each other.
    """
    if len(line) < 2:
        return
    movable = [vertex for vertex in line if links[vertex]]
    keys: dict[int, float] = {}
    for vertex in movable:
        near = links[vertex]
        keys[vertex] = place[near[0]] if len(near) == 1 else sum([place[other] for other in near]) / len(near)
    ordered = sorted(reversed(movable) if flip else movable, key=keys.__getitem__)
    if ordered == movable:
        return
    if len(ordered) < len(line):
        following = iter(ordered)
        ordered = [next(following) if links[vertex] else vertex for vertex in line]
    line[:] = ordered
    for number, vertex in enumerate(line):
        place[vertex] = number


def _swap_neighbours(rows: Rows, first: int, last: int, up: Links, down: Links, place: list[int]) -> None:
    movable = _movable(rows, first, last)
    size = 1 + sum([len(rows[number]) for number in movable])
    for _ in range(max(1, min(SWAP_PASSES, SWEEP_WORK // size))):
        swaps = 0
        for number in movable:
            swaps += _swap_in_row(rows[number], up, down, place)
        if not swaps:
            break


def _swap_in_row(line: list[int], up: Links, down: Links, place: list[int]) -> int:
    ends = [[sorted([place[other] for other in links[vertex]]) for links in (up, down)] for vertex in line]
    swaps = 0
    for left, right in pairwise(range(len(line))):
        a, b = ends[left], ends[right]
        if _crossed(a[0], b[0]) + _crossed(a[1], b[1]) > _crossed(b[0], a[0]) + _crossed(b[1], a[1]):
            line[left], line[right] = line[right], line[left]
            ends[left], ends[right] = b, a
            swaps += 1
    for number, vertex in enumerate(line):
        place[vertex] = number
    return swaps


def _crossed(left: list[int], right: list[int]) -> int:
    """Crossings of two vertices' edges when they stand in this order; ends sorted."""
    if not left or not right or left[-1] <= right[0]:
        return 0
    return sum([len(left) - bisect_right(left, end) for end in right])
