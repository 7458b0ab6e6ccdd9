"""Large graphs are drawn without recursion, and the work grows with their size, counted in lanes, points and sweeps."""

from __future__ import annotations

import gc
import inspect
import sys
from itertools import pairwise

import networkx as nx
import pytest

from glowviz.layouts import Placed, Stub, ordering, place
from tests.layouts import checks, graph_families
from tests.layouts.graph_families import box_sizes


def test_a_chain_of_100000_nodes() -> None:
    graph = graph_families.chain(100_000)
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack(0)) + 100)
    try:
        placed = place(graph, dict.fromkeys(graph, (96.0, 28.0)))
    finally:
        sys.setrecursionlimit(limit)
    assert placed.width == 96
    assert len(placed.rows) == 100_000
    assert all(len(route) == 2 for route in placed.routes.values())
    assert gc.isenabled()


def test_a_node_with_5000_consumers() -> None:
    graph = nx.star_graph(5000, create_using=nx.DiGraph)
    placed = place(graph, box_sizes(graph))
    assert checks.overlapping_boxes(placed, gap=24) == []
    assert checks.loose_ends(placed) == []
    assert placed.crossings == 0
    assert len({route[0] for route in placed.routes.values()}) == 1
    again = place(graph, box_sizes(graph), previous=placed)
    assert (again.x, again.y) == (placed.x, placed.y)


def test_a_node_with_5000_sources() -> None:
    graph = nx.star_graph(5000, create_using=nx.DiGraph).reverse()
    placed = place(graph, box_sizes(graph))
    assert len({route[-1] for route in placed.routes.values()}) == 5000
    assert checks.loose_ends(placed) == []


def test_a_node_read_at_5000_depths_is_cut_to_stubs() -> None:
    graph = graph_families.chain(5000)
    graph.add_edges_from((0, i) for i in range(2, 5000))
    placed = place(graph, box_sizes(graph))
    assert sum(isinstance(route, Stub) for route in placed.routes.values()) == 5000 - 41
    assert placed.width < 300


def test_2000_blocks_deep() -> None:
    graph = graph_families.resnet(2000, constants=False)
    placed = place(graph, box_sizes(graph))
    assert placed.crossings == 0
    assert placed.width < 400
    assert len({placed.centre(v)[0] for v in nx.dag_longest_path(graph)}) == 1


def _points(placed: Placed) -> int:
    return sum(map(len, placed.routes.values()))


@pytest.mark.parametrize("family", [graph_families.transformer, graph_families.inception, graph_families.resnet])
def test_work_grows_with_the_size(family: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Doubling a network doubles the crossings counted and the points drawn, within 1.3."""
    counted: list[int] = []
    count = ordering.count_crossings

    def counting(row: list[int], down: list[list[int]], place_of: list[int]) -> int:
        counted[-1] += len(row)
        return count(row, down, place_of)

    monkeypatch.setattr(ordering, "count_crossings", counting)
    points: list[int] = []
    for blocks in (20, 40, 80):
        graph = family(blocks)  # type: ignore[operator]
        counted.append(0)
        points.append(_points(place(graph, box_sizes(graph))))
    for figures in (counted, points):
        assert all(0 < larger < 2.6 * smaller for smaller, larger in pairwise(figures)), figures


def test_windows_leave_out_what_has_no_crossings(monkeypatch: pytest.MonkeyPatch) -> None:
    """One knot in a long network: only the rows around it are sorted."""
    sorted_rows: list[int] = []
    sort = ordering._by_barycentre

    def watching(line: list[int], *rest: object) -> None:
        sorted_rows.append(1)
        sort(line, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(ordering, "_by_barycentre", watching)
    graph = graph_families.densenet((200,), constants=False)
    nodes = list(graph)
    for i in range(600, 603):
        graph.add_edge(nodes[i], f"k{i}")
        for j in range(3):
            graph.add_edge(f"k{i}", f"j{j}")
    place(graph, box_sizes(graph))
    assert 0 < len(sorted_rows) < 15_000 < len(graph) * ordering.SWEEPS
