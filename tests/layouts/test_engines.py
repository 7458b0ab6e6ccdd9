"""Every engine answers the same call; the layered one repeats itself in another process."""

from __future__ import annotations

import os
import subprocess
import sys

import networkx as nx
import numpy as np
import pytest

from glowviz.layouts import ENGINES, CycleError, LayoutError, from_networkx, place
from tests.layouts import graph_families
from tests.layouts.graph_families import box_sizes

engine = pytest.mark.parametrize("name", list(ENGINES))


def test_the_layered_engine_is_the_first() -> None:
    assert next(iter(ENGINES)) == "layered"
    assert ENGINES["layered"] is place


@engine
def test_boxes_do_not_overlap(name: str) -> None:
    graph = graph_families.inception(3)
    placed = ENGINES[name](graph, box_sizes(graph))
    corners = np.array([(placed.x[v], placed.y[v], *placed.sizes[v]) for v in graph])
    for i, (x, y, w, h) in enumerate(corners):
        others = np.delete(corners, i, axis=0)
        apart_x = (others[:, 0] >= x + w + 23) | (x >= others[:, 0] + others[:, 2] + 23)
        apart_y = (others[:, 1] >= y + h + 15) | (y >= others[:, 1] + others[:, 3] + 15)
        assert (apart_x | apart_y).all()
    assert corners[:, :2].min() >= -1e-6
    assert (corners[:, 0] + corners[:, 2]).max() <= placed.width + 1e-6


@engine
def test_every_edge_has_a_route_that_touches_both_boxes(name: str) -> None:
    graph = graph_families.random_dag(40)
    placed = ENGINES[name](graph, box_sizes(graph), stub_span=40)
    assert set(placed.routes) == set(graph.edges)
    for (tail, head), route in placed.routes.items():
        for node, (x, y) in ((tail, route[0]), (head, route[-1])):
            assert placed.x[node] - 1e-6 <= x <= placed.x[node] + placed.sizes[node][0] + 1e-6
            assert placed.y[node] - 1e-6 <= y <= placed.y[node] + placed.sizes[node][1] + 1e-6
    assert placed.as_arrays(graph)["boxes"].shape == (40, 4)


@engine
def test_small_and_empty_graphs(name: str) -> None:
    assert ENGINES[name](nx.DiGraph(), {}).width == 0
    graph = nx.DiGraph()
    graph.add_node("only")
    placed = ENGINES[name](graph, {"only": (96, 28)})
    assert (placed.x, placed.y, placed.width, placed.height) == ({"only": 0}, {"only": 0}, 96, 28)


@engine
def test_cycles_are_refused(name: str) -> None:
    graph = nx.DiGraph([("a", "b"), ("b", "a")])
    with pytest.raises(CycleError):
        ENGINES[name](graph, box_sizes(graph))


def test_multipartite_shows_rows() -> None:
    graph = graph_families.chain(5)
    placed = ENGINES["multipartite"](graph, box_sizes(graph))
    assert [placed.y[v] for v in graph] == sorted(placed.y.values())


def test_an_engine_from_outside_plugs_in_and_keeps_its_limit() -> None:
    shell = from_networkx("shell", lambda graph, problem: nx.shell_layout(graph), 10)
    graph = graph_families.chain(11)
    assert shell(graph_families.chain(10), box_sizes(graph)).width > 96
    with pytest.raises(LayoutError, match="layout shell draws at most 10 boxes, this graph has 11"):
        shell(graph, box_sizes(graph))


def test_positions_serve_networkx_drawing() -> None:
    graph = graph_families.chain(3)
    positions = place(graph, box_sizes(graph)).positions()
    assert positions[0][1] > positions[1][1] > positions[2][1]


SCRIPT = """
import hashlib
from glowviz.layouts import place, union_place
from tests.layouts import graph_families as f
graphs = [f.inception(3), f.transformer(3), f.resnet(3)]
drawings = [place(graph, f.box_sizes(graph)) for graph in graphs]
drawings.append(union_place(graphs, {v: (96.0, 28.0) for graph in graphs for v in graph}, previous=drawings[2]))
text = repr([(drawing.x, drawing.y, drawing.routes) for drawing in drawings])
print(hashlib.sha256(text.encode()).hexdigest())
"""


def test_drawings_do_not_depend_on_the_process() -> None:
    """String hashes differ between processes: nothing may follow the order of a set."""
    found = {
        subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1
