"""place() draws a DAG in rows, edges leading down: layers, lanes, few crossings, straight lines, routes."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import ceil
from typing import Any

import networkx as nx

from glowviz.layouts.alignment import flatten
from glowviz.layouts.columns import Columns
from glowviz.layouts.coordinates import centres
from glowviz.layouts.hugging import hug
from glowviz.layouts.layering import layer
from glowviz.layouts.leaves import insert_leaves, split_leaves
from glowviz.layouts.ordering import best_order, number, recount, reduce_crossings
from glowviz.layouts.packing import parts, shelves
from glowviz.layouts.placed import Placed, Size
from glowviz.layouts.ports import place_ports
from glowviz.layouts.problem import Problem, read
from glowviz.layouts.routing import Router, RowWish, find_gaps, place_rows
from glowviz.layouts.seeding import ENOUGH, keep_rows, survivors
from glowviz.layouts.strata import Strata, build


def place(
    digraph: nx.DiGraph,
    sizes: Mapping[Any, Size],
    *,
    previous: Placed | None = None,
    lineage: Mapping[Any, Any] | None = None,
    stub_span: int = 40,
) -> Placed:
    """Draw `digraph`, with boxes of `sizes` (node -> (w, h), px), in rows from top to bottom.

    Node attribute `pull`: a constant, placed just above its first consumer. Edge attribute `ports`: a pair
    (source port, target port) of any hashable values; edges with one source port leave from one point and
    share their way like a wire, each target port is entered at a point of its own. Edge attribute `back`:
    this edge may lead upwards. Edges over more than `stub_span` rows become stubs.
    Raises CycleError, and LayoutError for a missing or impossible size or port pair.
    """
    with _collector_paused():
        problem = read(digraph, sizes)
        if previous is not None:
            kept = survivors(problem, previous, lineage or {})
            if kept and len(kept) >= ENOUGH * len(problem.nodes):
                return _continue(problem, kept, previous, stub_span)
        strata = build(problem, layer(problem), stub_span)
        x, crossings = _arrange(problem, strata)
        return _finish(problem, strata, x, crossings)


def _continue(problem: Problem, kept: dict[int, Any], previous: Placed, stub_span: int) -> Placed:
    """Draw on from the previous drawing: the boxes in `kept` stay where they were."""
    seeded = keep_rows(problem, kept, previous)
    strata, x = Columns(problem, seeded, kept, previous).place(stub_span)
    outside = -min([centre - width / 2 for centre, width in zip(x, problem.widths, strict=False)], default=0.0)
    if outside > 0:  # a box at the left border grew: all move alike
        x = [centre + ceil(outside) for centre in x]
    lines: list[list[int]] = [[] for _ in seeded.wishes]
    for vertex, row in enumerate(strata.row):
        lines[row].append(vertex)
    for line in lines:
        line.sort(key=x.__getitem__)
    crossings = sum(recount(lines, strata.down, [0] * len(x)))
    return _finish(problem, strata, x, crossings, seeded.wishes)


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Thousands of small lists and no cycles: searching them for garbage would double the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _arrange(problem: Problem, strata: Strata) -> tuple[list[float], int]:
    """Centre x of every vertex, and the crossings; moves the rows of parts that stand on lower shelves."""
    x = [0.0] * len(strata.row)
    widths = problem.widths + [0.0] * len(strata.net_of)
    scratch = [0] * len(x)
    crossings = 0
    found: list[tuple[list[int], float, int]] = []
    leaves, up = split_leaves(strata)
    for members in _parts_with_lanes(problem, strata):
        if len(members) == 1:
            x[members[0]] = ceil(widths[members[0]] / 2)
            found.append((members, widths[members[0]], 1))
            continue
        rest = [vertex for vertex in members if vertex not in leaves]
        rows = best_order(rest, strata.row, up, strata.down, scratch)
        insert_leaves(rows, [vertex for vertex in members if vertex in leaves], strata, scratch)
        left = sum(recount(rows, strata.down, scratch))
        if left < len(members):  # otherwise there is no order to save
            left = reduce_crossings(rows, strata.up, strata.down, scratch)
        crossings += left
        _straighten(problem, strata, rows, x, widths, scratch)
        found.append((members, max([x[vertex] + widths[vertex] / 2 for vertex in members]), len(rows)))
    if len(found) > 1:
        _shelve(found, strata, x)
    return x, crossings


def _straighten(
    problem: Problem,
    strata: Strata,
    rows: list[list[int]],
    x: list[float],
    widths: list[float],
    scratch: list[int],
) -> None:
    """Set x for the vertices of the ordered rows."""
    flat = flatten(rows, strata, problem, scratch)
    places = centres(flat, [widths[vertex] for vertex in flat.vertices]).tolist()
    for vertex, centre in zip(flat.vertices, places, strict=True):
        x[vertex] = centre
    number(rows, scratch)
    hug(rows, strata, x, widths, scratch)


def _parts_with_lanes(problem: Problem, strata: Strata) -> list[list[int]]:
    """Parts by all edges, stubs too: the ends of a stub must not land on different shelves."""
    found = parts(problem.above, problem.below)
    if len(found) == 1:
        return [list(range(len(strata.row)))]
    part_of = {node: part for part in found for node in part}
    for lane, net in enumerate(strata.net_of, strata.count):
        part_of[strata.net_tail[net]].append(lane)
    return found


def _shelve(found: list[tuple[list[int], float, int]], strata: Strata, x: list[float]) -> None:
    corners = shelves([(width, rows) for _, width, rows in found])
    for (members, _, _), (left, top) in zip(found, corners, strict=True):
        for vertex in members:
            x[vertex] += left
            strata.row[vertex] += top


def _finish(
    problem: Problem,
    strata: Strata,
    x: list[float],
    crossings: int,
    wishes: Sequence[RowWish | None] | None = None,
) -> Placed:
    row_count = 1 + max(strata.row, default=-1)
    heights = [0.0] * row_count
    for node in range(strata.count):
        row = strata.row[node]
        heights[row] = max(heights[row], problem.heights[node])
    ports = place_ports(problem, strata, x)
    gaps = find_gaps(problem, strata, x, ports, row_count)
    rows = place_rows(heights, gaps, wishes or [None] * row_count)
    routes = Router(problem, strata, x, ports, gaps, rows, heights).routes()
    left = [x[i] - w / 2 for i, w in enumerate(problem.widths)]
    top = [rows[strata.row[i]] - h / 2 for i, h in enumerate(problem.heights)]
    right = max([a + w for a, w in zip(left, problem.widths, strict=True)], default=0.0)
    lanes = max(x[strata.count :], default=0.0)
    bottom = rows[-1] + heights[-1] / 2 if rows else 0.0
    nodes = problem.nodes
    return Placed(
        x=dict(zip(nodes, left, strict=True)),
        y=dict(zip(nodes, top, strict=True)),
        layers=dict(zip(nodes, strata.row, strict=False)),
        routes=routes,
        width=max(right, lanes),
        height=bottom,
        sizes=dict(zip(nodes, zip(problem.widths, problem.heights, strict=True), strict=True)),
        rows=tuple(rows),
        crossings=crossings,
    )
