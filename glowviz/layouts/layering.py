"""Every node has a row below all its sources, and side chains and constants stand close to their consumers."""

from __future__ import annotations

from glowviz.layouts.problem import Problem


def layer(problem: Problem) -> list[int]:
    """Longest-path rows from the top, then every node that is not drawn upwards sinks to its consumers."""
    rows = list(problem.depth)
    sink(problem, rows, [True] * len(rows))
    return rows


def sink(problem: Problem, rows: list[int], free: list[bool]) -> None:
    """Move each free node down to its first consumer, unless more edges would get longer than shorter.

    Constants (`pull`) and other nodes without sources do not hold it: they follow. A tie sinks, so that a whole
    side chain moves to where it is needed instead of trailing a long edge from the top.
    """
    above, below, pulled = problem.above, problem.below, problem.pulled
    for node in reversed(problem.order):
        targets = below[node]
        if targets and free[node]:
            lowest = min([rows[target] for target in targets]) - 1
            if lowest > rows[node]:
                holding = sum([bool(above[source]) and not pulled[source] for source in above[node]])
                if pulled[node] or len(targets) >= holding:
                    rows[node] = lowest
