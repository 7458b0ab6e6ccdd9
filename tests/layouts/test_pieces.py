"""Each stage of the layered layout does what it says, seen alone or on the smallest graph that shows it."""

from __future__ import annotations

from itertools import combinations, permutations

import networkx as nx
import numpy as np
import pytest

from glowviz.layouts import CycleError, LayoutError, Placed, Stub, place
from glowviz.layouts.columns import RowSpace
from glowviz.layouts.crossings import FENWICK_FROM, count_crossings, inversions
from glowviz.layouts.packing import shelves
from glowviz.layouts.ports import spread
from glowviz.layouts.problem import read
from glowviz.layouts.strata import LANES_AT_LEAST, LANES_PER_NODE, build
from glowviz.layouts.tracks import Trunk, stack_tracks
from tests.layouts import checks, graph_families
from tests.layouts.graph_families import box_sizes


def draw(*edges: tuple[str, str]) -> Placed:
    graph = nx.DiGraph(edges)
    return place(graph, box_sizes(graph))


@pytest.mark.parametrize("count", [0, 1, 2, 50, FENWICK_FROM - 1, FENWICK_FROM, 900])
def test_inversions_are_counted_exactly(count: int) -> None:
    ends = np.random.default_rng(count).integers(0, max(1, count // 2), count).tolist()
    assert inversions(ends) == sum(a > b for a, b in combinations(ends, 2))


def test_edges_that_share_an_end_do_not_cross() -> None:
    down = [[10, 11, 12], [10, 12], [11]]
    place_of = [0] * 10 + [0, 1, 2]
    assert count_crossings([0, 1, 2], down, place_of) == 2 + 1 + 1


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        ([("a", "b"), ("b", "a")], "layouts need a DAG: found cycle a→b→a"),
        ([("a", "a")], "layouts need a DAG: found cycle a→a"),
        ([("s", "a"), ("a", "b"), ("b", "c"), ("c", "a"), ("c", "t")], "layouts need a DAG: found cycle a→b→c→a"),
    ],
)
def test_a_cycle_is_named(edges: list[tuple[str, str]], message: str) -> None:
    with pytest.raises(CycleError) as error:
        draw(*edges)
    assert str(error.value) == message


def test_a_long_cycle_is_told_in_short() -> None:
    graph = nx.cycle_graph(5000, create_using=nx.DiGraph)
    with pytest.raises(CycleError, match=r"found cycle 0→1→2→3→4→5→… 4989 more …→4995→") as error:
        place(graph, box_sizes(graph))
    assert len(error.value.cycle) == 5000


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ({}, "no size was given for box a"),
        ({"a": (float("nan"), 28)}, "box a has size"),
        ({"a": (-1, 28)}, "not below"),
    ],
)
def test_a_missing_or_impossible_size_is_refused(sizes: dict[str, tuple[float, float]], words: str) -> None:
    graph = nx.DiGraph()
    graph.add_node("a")
    with pytest.raises(LayoutError, match=words):
        place(graph, sizes)


def test_bad_ports_and_undirected_graphs_are_refused() -> None:
    graph = nx.DiGraph()
    graph.add_edge("a", "b", ports=3)
    with pytest.raises(LayoutError, match="expected a pair"):
        place(graph, box_sizes(graph))
    with pytest.raises(LayoutError, match="no directions"):
        place(nx.Graph([("a", "b")]), {"a": (96, 28), "b": (96, 28)})


def test_an_empty_graph_is_an_empty_drawing() -> None:
    placed = place(nx.DiGraph(), {})
    assert (placed.x, placed.routes, placed.width, placed.height, placed.rows) == ({}, {}, 0, 0, ())
    assert placed.as_arrays([])["boxes"].shape == (0, 4)
    again = place(nx.DiGraph(), {}, previous=placed)
    assert again.x == {}


def test_parts_without_edges_between_them_stand_apart() -> None:
    graph = nx.disjoint_union_all([graph_families.resnet(1), *(graph_families.chain(n) for n in range(1, 30))])
    placed = place(graph, box_sizes(graph))
    assert checks.overlapping_boxes(placed, gap=24) == []
    assert checks.edges_not_down(graph, placed) == []
    assert checks.boxes_crossed(placed) == []
    assert 0.3 < placed.width / placed.height < 3


def test_the_largest_part_comes_first() -> None:
    graph = nx.DiGraph([("small", "part")])
    nx.add_path(graph, "abcdef")
    placed = place(graph, box_sizes(graph))
    assert placed.x["a"] == placed.y["a"] == 0
    assert placed.x["small"] > 0


def test_the_ends_of_a_stub_belong_together() -> None:
    """A part that hangs on the rest by a stub alone is drawn with it, not on a lower shelf."""
    graph = nx.DiGraph()
    nx.add_path(graph, ["a", "b", "c", "d"])
    graph.add_edges_from(("d", f"leaf{i}") for i in range(30))
    graph.add_edges_from(("above", f"other{i}") for i in range(20))
    graph.add_edge("above", "leaf0")
    placed = place(graph, box_sizes(graph), stub_span=2)
    assert isinstance(placed.routes["above", "leaf0"], Stub)
    assert checks.edges_not_down(graph, placed) == []


def test_many_lone_boxes_fill_a_rectangle() -> None:
    graph = nx.DiGraph()
    graph.add_nodes_from(range(400))
    placed = place(graph, box_sizes(graph))
    assert checks.overlapping_boxes(placed, gap=24) == []
    assert placed.width < 2.5 * placed.height


def test_shelves_are_filled_from_the_left() -> None:
    assert shelves([(1000, 10), (400, 4), (400, 2)]) == [(0, 0), (0, 10), (448, 10)]


def test_boxes_of_different_heights_stand_on_the_row_s_centre_line() -> None:
    graph = nx.DiGraph([("top", "low"), ("top", "tall"), ("low", "end"), ("tall", "end")])
    placed = place(graph, {"top": (96, 28), "low": (96, 28), "tall": (96, 100), "end": (96, 28)})
    assert placed.centre("low")[1] == placed.centre("tall")[1]
    assert placed.y["end"] >= placed.y["tall"] + 100 + 16
    assert checks.loose_ends(placed) == []


def test_parallel_edges_enter_at_points_of_their_own() -> None:
    graph = nx.MultiDiGraph()
    for port in range(3):
        graph.add_edge("x", "mul", ports=(0, port))
    graph.add_edge("x", "mul", ports=(1, 3))
    placed = place(graph, box_sizes(graph))
    starts = [placed.routes["x", "mul", key][0] for key in range(4)]
    ends = [placed.routes["x", "mul", key][-1] for key in range(4)]
    assert len(set(ends)) == 4
    assert len(set(starts[:3])) == 1
    assert starts[3] != starts[0]
    xs = sorted(x for x, _ in ends)
    assert min(np.diff(xs)) >= 6


def test_parallel_edges_without_ports_are_kept_apart_too() -> None:
    graph = nx.MultiDiGraph([("x", "square"), ("x", "square")])
    placed = place(graph, box_sizes(graph))
    assert placed.routes["x", "square", 0][-1] != placed.routes["x", "square", 1][-1]


def test_edges_into_one_port_meet() -> None:
    graph = nx.DiGraph()
    graph.add_edge("before", "user", ports=(0, 0))
    graph.add_edge("after", "user", ports=(0, 0))
    graph.add_edge("other", "user", ports=(0, 1))
    placed = place(graph, box_sizes(graph))
    ends = {tail: placed.routes[tail, "user"][-1] for tail in ("before", "after", "other")}
    assert ends["before"] == ends["after"] != ends["other"]


def test_edges_of_one_port_share_their_lane_like_a_wire() -> None:
    graph = graph_families.chain(8)
    graph.add_edges_from([(0, 4), (0, 6)])
    placed = place(graph, box_sizes(graph))
    lanes = [{x for x, _ in placed.routes[edge]} - {placed.centre(0)[0]} for edge in ((0, 4), (0, 6))]
    assert lanes[0] & lanes[1]


def test_a_back_edge_runs_upwards() -> None:
    graph = nx.DiGraph([("a", "b"), ("b", "c")])
    graph.add_edge("c", "a", back=True)
    placed = place(graph, box_sizes(graph))
    route = placed.routes["c", "a"]
    assert placed.y["a"] < placed.y["b"] < placed.y["c"]
    assert route[0][1] == placed.y["c"]
    assert route[-1][1] == placed.y["a"] + 28
    assert checks.boxes_crossed(placed) == []


def test_spread_grants_the_straight_wish_and_keeps_the_order() -> None:
    assert spread([100.0], 100, 96) == [100]
    assert spread([0.0, 100.0, 400.0], 100, 96) == [88, 100, 112]
    assert spread([100.0, 500.0, 600.0, 700.0, 800.0], 100, 96) == [100, 110, 120, 130, 140]
    assert spread([-10.0, -5.0], 100, 96) == [94, 106]
    crowded = spread([float(10 * i) for i in range(40)], 200, 96)
    assert crowded == sorted(crowded)
    assert min(np.diff(crowded)) > 0
    assert crowded[0] >= 160 - 1e-9
    assert crowded[-1] <= 240 + 1e-9


def test_spread_ends_within_the_box() -> None:
    rng = np.random.default_rng(0)
    for count in range(1, 30):
        wishes = np.sort(rng.uniform(-200, 400, count)).tolist()
        places = spread(wishes, 100, 120)
        assert places == sorted(places)
        assert places[0] >= 48 - 1e-9
        assert places[-1] <= 152 + 1e-9


def test_tracks_of_overlapping_pieces_differ() -> None:
    rng = np.random.default_rng(0)
    for count in (2, 5, 20, 80):
        trunks = [Trunk(float(x)) for x in rng.uniform(0, 1000, count)]
        for trunk in trunks:
            trunk.reach(float(rng.uniform(0, 1000)))
        used = stack_tracks(trunks, 1000)
        assert used == 1 + max(trunk.track for trunk in trunks)
        for a, b in combinations(trunks, 2):
            if a.track == b.track:
                assert a.high < b.low or b.high < a.low


def test_tracks_are_stacked_so_that_parallel_turns_do_not_cross() -> None:
    trunks = [Trunk(0.0), Trunk(20.0), Trunk(40.0)]
    for trunk, end in zip(trunks, (100.0, 120.0, 140.0), strict=True):
        trunk.reach(end)
    assert stack_tracks(trunks, 10) == 3
    assert [trunk.track for trunk in trunks] == [2, 1, 0]


def test_row_space_finds_the_nearest_room() -> None:
    space = RowSpace()
    space.take_box(100, 50)
    space.take_box(400, 50)
    assert space.nearest_for_box(250, 50) == 250
    assert space.nearest_for_box(120, 50) == 224
    assert space.nearest_for_box(100, 50) == 224, "not left of 0"
    assert space.nearest_for_box(380, 50) == 276
    assert space.nearest_for_box(380, 100) == 574, "the room between is too small"
    space.take_lane(250)
    assert space.nearest_for_box(250, 50) == 524, "a lane needs room too"
    assert space.nearest_for_box(230, 18) == 220
    assert space.next_for_lane(100, 1) == 162
    assert space.next_for_lane(100, -1) == 38
    assert space.next_for_lane(245, 1) == 262


def test_lanes_stay_in_proportion_to_the_nodes() -> None:
    """600 nodes that each read one 39 rows above would need 23,000 lanes; they become stubs instead."""
    graph = graph_families.chain(6000)
    graph.add_edges_from((i, i + 39) for i in range(5961))
    problem = read(graph, box_sizes(graph))
    strata = build(problem, problem.depth, 40)
    assert len(strata.net_of) <= LANES_PER_NODE * len(graph) + LANES_AT_LEAST
    assert sum(last < 0 for last in strata.last) == 5961


def test_arrays_hold_the_drawing() -> None:
    graph = graph_families.transformer(24)
    placed = place(graph, box_sizes(graph))
    order = list(graph)[::-1]
    edges = list(graph.edges)[5:]
    arrays = placed.as_arrays(order, edges)
    assert arrays["boxes"][0].tolist() == [placed.x[order[0]], placed.y[order[0]], *placed.sizes[order[0]]]
    assert arrays["layers"].tolist() == [placed.layers[v] for v in order]
    for number, edge in enumerate(edges):
        points = arrays["points"][arrays["offsets"][number] : arrays["offsets"][number + 1]]
        assert np.allclose(points, placed.routes[edge])
        assert arrays["stubs"][number] == isinstance(placed.routes[edge], Stub)
    assert {name: array.dtype.name for name, array in arrays.items()} == {
        "boxes": "float32",
        "layers": "int32",
        "points": "float32",
        "offsets": "int32",
        "stubs": "uint8",
    }
    with pytest.raises(KeyError):
        placed.as_arrays(["nobody"])


def test_small_graphs_get_the_fewest_crossings_possible() -> None:
    """Against all orders of two rows of six."""
    rng = np.random.default_rng(3)
    for _ in range(5):
        edges = {(f"t{rng.integers(6)}", f"b{rng.integers(6)}") for _ in range(9)}
        graph = nx.DiGraph(sorted(edges))
        best = min(_crossings(edges, order) for order in permutations([f"t{i}" for i in range(6)]))
        assert place(graph, box_sizes(graph)).crossings == best


def _crossings(edges: set[tuple[str, str]], top: tuple[str, ...]) -> int:
    """The fewest crossings for one order of the upper row: lower neighbours pairwise in the better order."""
    ends = {b: sorted(top.index(t) for t, e in edges if e == b) for _, b in edges}
    return sum(
        min(sum(x > y for x in ends[a] for y in ends[b]), sum(x < y for x in ends[a] for y in ends[b]))
        for a, b in combinations(sorted(ends), 2)
    )
