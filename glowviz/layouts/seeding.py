"""Boxes that were in the previous drawing keep their rows, and rows for new ones are put in between."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from glowviz.layouts.layering import sink
from glowviz.layouts.placed import Placed
from glowviz.layouts.problem import Problem
from glowviz.layouts.routing import RowWish

ENOUGH = 0.4  # part of the boxes that must survive, or the drawing is made afresh


def survivors(problem: Problem, previous: Placed, lineage: Mapping[Any, Any]) -> dict[int, Any]:
    """Node -> the box of the previous drawing that it continues; each box is continued at most once.

    A node that keeps its name continues itself, unless `lineage` says otherwise; names come before lineage.
    """
    kept = {
        number: node
        for number, node in enumerate(problem.nodes)
        if node in previous.x and lineage.get(node, node) == node
    }
    taken = set(kept.values())
    for number, node in enumerate(problem.nodes):
        old = lineage.get(node)
        if number not in kept and old in previous.x and old not in taken:
            taken.add(old)
            kept[number] = old
    return kept


@dataclass(slots=True)
class SeededRows:
    """node -> row; the survivors that kept their row; and for each row where it was, None for a new row."""

    rows: list[int]
    pinned: list[int]
    wishes: list[RowWish | None]


def keep_rows(problem: Problem, kept: Mapping[int, Any], previous: Placed) -> SeededRows:
    """Survivors stay in their rows. Where new nodes need room, whole rows are put in between, so that all
    that is below moves down alike, until a row without boxes takes the push up; else such rows stay as holes.
    Constants follow their consumers, and a survivor whose edges now contradict its old row is placed like a
    new node."""
    old_row = {node: previous.layers[old] for node, old in kept.items()}
    level = [-1] * len(problem.nodes)
    loose: dict[int, list[int]] = {}
    standing: dict[int, list[int]] = {}
    for node in problem.order:
        floor = max([level[source] for source in problem.above[node]], default=-1)
        row = old_row.get(node, -1)
        if floor < row and not problem.pulled[node]:
            level[node] = row
            standing.setdefault(row, []).append(node)
        else:
            level[node] = floor
            loose.setdefault(floor, []).append(node)
    rows, shifts = _insert_rows(problem, standing, loose, len(previous.rows))
    fixed = {node for nodes in standing.values() for node in nodes}
    sink(problem, rows, [node not in fixed for node in range(len(rows))])
    pinned = [node for node, old in old_row.items() if rows[node] == old + shifts[old]]
    wishes: list[RowWish | None] = [None] * (1 + max(rows, default=-1))
    for row, shift in enumerate(shifts):
        if row + shift < len(wishes):
            wishes[row + shift] = RowWish(previous.rows[row], row == 0 or shift >= shifts[row - 1])
    return SeededRows(rows, pinned, wishes)


def _insert_rows(
    problem: Problem, standing: dict[int, list[int]], loose: dict[int, list[int]], old_rows: int
) -> tuple[list[int], list[int]]:
    """New rows of all nodes, and by how many rows each old row moved down."""
    rows = [0] * len(problem.nodes)

    def lowest_free(node: int) -> int:
        return 1 + max([rows[source] for source in problem.above[node]], default=-1)

    shifts: list[int] = []
    shift = 0
    for old in range(-1, old_rows):
        here = standing.get(old, [])
        if not here and shift:
            shift -= 1
        shift = max([shift, *[lowest_free(node) - old for node in here]])
        for node in here:
            rows[node] = old + shift
        for node in loose.get(old, []):
            rows[node] = lowest_free(node)
        if old >= 0:
            shifts.append(shift)
    return rows, shifts
