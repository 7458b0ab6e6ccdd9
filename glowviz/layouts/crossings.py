"""Crossings between two adjacent rows are counted exactly, in O(e log e)."""

from __future__ import annotations

from bisect import bisect_right, insort

FENWICK_FROM = 512


def count_crossings(row: list[int], down: list[list[int]], place: list[int]) -> int:
    """Crossings of the edges from `row`, given left to right, to the next row, where vertices have `place`."""
    if len(row) < 2:
        return 0
    ends: list[int] = []
    for vertex in row:
        targets = down[vertex]
        if len(targets) == 1:
            ends.append(place[targets[0]])
        elif targets:
            ends.extend(sorted([place[target] for target in targets]))
    return inversions(ends)


def inversions(ends: list[int]) -> int:
    """How many pairs stand in the wrong order. Few: a sorted list; many: a Fenwick tree."""
    if len(ends) >= FENWICK_FROM:
        return _inversions_fenwick(ends)
    seen: list[int] = []
    total = 0
    for end in ends:
        if not seen or end >= seen[-1]:
            seen.append(end)
        else:
            total += len(seen) - bisect_right(seen, end)
            insort(seen, end)
    return total


def _inversions_fenwick(ends: list[int]) -> int:
    size = max(ends) + 1
    tree = [0] * (size + 1)
    total = 0
    for before, end in enumerate(ends):
        not_greater, i = 0, end + 1
        while i:
            not_greater += tree[i]
            i &= i - 1
        total += before - not_greater
        i = end + 1
        while i <= size:
            tree[i] += 1
            i += i & -i
    return total
