"""Lanes that stand free are drawn up to the boxes that they connect, as far as their neighbours in the rows allow."""

from __future__ import annotations

from math import ceil, floor
from statistics import median_low

from glowviz.layouts.coordinates import LANE_GAP
from glowviz.layouts.strata import Strata


def hug(rows: list[list[int]], strata: Strata, x: list[float], widths: list[float], place: list[int]) -> None:
    """Move upright runs of lanes sideways, inner ones first; `place`: vertex -> place in its row."""
    moves: list[tuple[float, float, list[int]]] = []
    for line in rows:
        for vertex in line:
            if vertex >= strata.count and not _continues(strata, x, vertex):
                run = _run(strata, x, vertex)
                ends = _ends(strata, x, run)
                wish = median_low(ends)
                if x[vertex] not in ends and wish != x[vertex]:
                    moves.append((abs(wish - x[vertex]), wish, run))
    for _, wish, run in sorted(moves, key=lambda move: (move[0], move[2][0])):
        low, high = _room(rows, strata, x, widths, place, run)
        here = x[run[0]]
        target = min(max(wish, min(low, here)), max(high, here))
        for lane in run:
            x[lane] = target


def _continues(strata: Strata, x: list[float], lane: int) -> bool:
    above = strata.up[lane][0]
    return above >= strata.count and x[above] == x[lane]


def _run(strata: Strata, x: list[float], lane: int) -> list[int]:
    run = [lane]
    while below := [v for v in strata.down[run[-1]] if v >= strata.count and x[v] == x[lane]]:
        run.append(below[0])
    return run


def _ends(strata: Strata, x: list[float], run: list[int]) -> list[float]:
    inside = set(run)
    return [x[strata.up[run[0]][0]]] + [x[v] for lane in run for v in strata.down[lane] if v not in inside]


def _room(
    rows: list[list[int]], strata: Strata, x: list[float], widths: list[float], place: list[int], run: list[int]
) -> tuple[float, float]:
    """How far left and right the run can move."""
    low, high = 0.0, float("inf")
    for lane in run:
        line, at = rows[strata.row[lane]], place[lane]
        if at > 0:
            left = line[at - 1]
            low = max(low, x[left] + widths[left] / 2 + LANE_GAP)
        if at + 1 < len(line):
            right = line[at + 1]
            high = min(high, x[right] - widths[right] / 2 - LANE_GAP)
    return ceil(low), floor(high) if high < float("inf") else high
