"""Whatever the graph and whatever it was before: no overlaps, edges down, routes from box to box past all others."""

from __future__ import annotations

import networkx as nx
from hypothesis import given, settings
from hypothesis import strategies as st

from glowviz.layouts import Placed, place
from tests.layouts import checks

Sizes = dict[int, tuple[float, float]]
NODES = 14


@st.composite
def graphs(draw: st.DrawFn) -> tuple[nx.MultiDiGraph, Sizes]:
    """A multigraph on some of 14 names in an order of its own, with ports, constants and any sizes."""
    names = draw(st.permutations(range(NODES)))[: draw(st.integers(1, NODES))]
    graph = nx.MultiDiGraph()
    graph.add_nodes_from(names)
    pairs = st.tuples(st.integers(0, len(names) - 1), st.integers(0, len(names) - 1))
    for i, j in draw(st.lists(pairs, max_size=30)):
        if i != j:
            port = draw(st.none() | st.tuples(st.integers(0, 1), st.integers(0, 2)))
            graph.add_edge(names[min(i, j)], names[max(i, j)], **({} if port is None else {"ports": port}))
    for name in names:
        graph.nodes[name]["pull"] = graph.in_degree(name) == 0 and draw(st.booleans())
    width, height = st.integers(17, 300).map(float), st.sampled_from([28.0, 60.0, 5.0])
    return graph, {name: (draw(width), draw(height)) for name in names}


def check(graph: nx.MultiDiGraph, placed: Placed) -> None:
    assert checks.overlapping_boxes(placed, gap=23.5) == []
    assert all(placed.layers[u] < placed.layers[v] for u, v in graph.edges())
    assert all(checks.box(placed, u)[3] < placed.y[v] for u, v in graph.edges())
    assert checks.loose_ends(placed) == []
    assert checks.boxes_crossed(placed) == []
    assert min(placed.x.values()) >= 0
    assert min(placed.y.values()) >= 0


@settings(deadline=None, max_examples=150)
@given(graphs(), st.integers(1, 12))
def test_any_graph_is_drawn_well(drawn: tuple[nx.MultiDiGraph, Sizes], stub_span: int) -> None:
    graph, sizes = drawn
    check(graph, place(graph, sizes, stub_span=stub_span))


@settings(deadline=None, max_examples=150)
@given(graphs(), graphs(), st.dictionaries(st.integers(0, NODES - 1), st.integers(0, NODES - 1)))
def test_any_graph_is_drawn_well_after_any_other(
    before: tuple[nx.MultiDiGraph, Sizes], after: tuple[nx.MultiDiGraph, Sizes], lineage: dict[int, int]
) -> None:
    previous = place(*before)
    check(after[0], place(*after, previous=previous, lineage=lineage))
