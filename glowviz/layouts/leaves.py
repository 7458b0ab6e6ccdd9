"""Leaves (constants and other sources with one consumer) stand where their edges cross least, given all the rest."""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from glowviz.layouts.strata import Strata

COMPARED = 200_000  # edge ends looked at per row: fuller rows are put in order of their ends instead


def split_leaves(strata: Strata) -> tuple[set[int], list[list[int]]]:
    """The vertices to which nothing leads and that lead to one vertex only, and `up` without them."""
    leaves = {vertex for vertex, below in enumerate(strata.down) if len(below) == 1 and not strata.up[vertex]}
    up = list(strata.up)
    for target in {strata.down[leaf][0] for leaf in leaves}:
        up[target] = [vertex for vertex in up[target] if vertex not in leaves]
    return leaves, up


def insert_leaves(rows: list[list[int]], leaves: list[int], strata: Strata, place: list[int]) -> None:
    """Put the leaves into the ordered rows; those of one consumer stay together, in their own order.

    `place`: vertex -> its place in its row, for the rows as they are.
    """
    groups: dict[int, dict[int, list[int]]] = {}
    for leaf in leaves:
        groups.setdefault(strata.row[leaf], {}).setdefault(strata.down[leaf][0], []).append(leaf)
    for row, by_consumer in groups.items():
        line = rows[row]
        ends = [sorted([place[target] for target in strata.down[vertex]]) for vertex in line]
        full = sum(map(len, ends)) * len(by_consumer) > COMPARED
        slots: list[tuple[int, int, list[int]]] = []
        for consumer, group in by_consumer.items():
            end = place[consumer]
            slots.append(((_slot_in_order if full else _best_slot)(ends, end), end, group))
        slots.sort(key=lambda slot: slot[:2])
        rows[row] = _merge(line, slots)


def _best_slot(ends: list[list[int]], end: int) -> int:
    """The number of vertices to the left of an edge to `end` so that it crosses the fewest of their edges;
    of equals the first behind a vertex that leads to `end` too, so that constants stand right of the main line."""
    cost = best = sum([bisect_left(others, end) for others in ends])
    slot, beside = 0, False
    for number, others in enumerate(ends, 1):
        cost += len(others) - bisect_right(others, end) - bisect_left(others, end)
        here = end in others
        if cost < best or (cost == best and here and not beside):
            best, slot, beside = cost, number, here
    return slot


def _slot_in_order(ends: list[list[int]], end: int) -> int:
    return bisect_right([others[len(others) // 2] if others else -1 for others in ends], end)


def _merge(line: list[int], slots: list[tuple[int, int, list[int]]]) -> list[int]:
    merged: list[int] = []
    taken = 0
    for slot, _, group in slots:
        merged += line[taken:slot]
        merged += group
        taken = slot
    return merged + line[taken:]
