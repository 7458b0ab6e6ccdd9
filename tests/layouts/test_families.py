"""Drawings of graphs shaped like networks: no overlaps, edges down, few crossings, narrow, and the same each time."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import networkx as nx
import pytest

from glowviz.layouts import Placed, Stub, place
from tests.layouts import checks, graph_families
from tests.layouts.graph_families import box_sizes


@dataclass(frozen=True)
class Case:
    """A graph and the most that its drawing may have: crossings, and width over that of its fullest row."""

    name: str
    graph: nx.DiGraph
    crossings: int
    width: float
    orthogonal: bool = True


CASES = [
    Case("resnet", graph_families.resnet(), 0, 1.05),
    Case("resnet without constants", graph_families.resnet(constants=False), 0, 1.05),
    Case("densenet", graph_families.densenet(), 0, 1.1),
    Case("densenet without constants", graph_families.densenet(constants=False), 0, 1.3),
    Case("all-to-all concat", graph_families.all_to_all_concat(30), 900, 2.6, orthogonal=False),
    Case("inception", graph_families.inception(), 0, 1.1),
    Case("transformer", graph_families.transformer(), 0, 1.4),
    Case("unet", graph_families.unet(), 0, 1.3),
    Case("low level", graph_families.low_level(), 0, 1.05),
    Case("random 60", graph_families.random_dag(60, 1.3, 1), 20, 1.5),
    Case("random 100", graph_families.random_dag(100), 95, 1.6),
    Case("random 200", graph_families.random_dag(200, 1.4, 3), 480, 1.5, orthogonal=False),
    Case("chain", graph_families.chain(50), 0, 1.0),
]


@pytest.fixture(params=CASES, ids=lambda case: case.name, scope="module")
def drawn(request: pytest.FixtureRequest) -> tuple[Case, Placed]:
    case = request.param
    return case, place(case.graph, box_sizes(case.graph))


def test_boxes_keep_their_distance(drawn: tuple[Case, Placed]) -> None:
    assert checks.overlapping_boxes(drawn[1], gap=24) == []


def test_rows_keep_their_distance(drawn: tuple[Case, Placed]) -> None:
    rows = drawn[1].rows
    assert all(lower - upper >= 28 + 16 for upper, lower in pairwise(rows))


def test_edges_lead_down(drawn: tuple[Case, Placed]) -> None:
    case, placed = drawn
    assert checks.edges_not_down(case.graph, placed) == []


def test_every_edge_has_a_route_between_its_boxes(drawn: tuple[Case, Placed]) -> None:
    case, placed = drawn
    assert list(placed.routes) == list(case.graph.edges())
    assert checks.loose_ends(placed) == []


def test_routes_pass_no_box(drawn: tuple[Case, Placed]) -> None:
    assert checks.boxes_crossed(drawn[1]) == []


def test_routes_run_at_right_angles(drawn: tuple[Case, Placed]) -> None:
    case, placed = drawn
    slanted = checks.slanted(placed)
    assert bool(slanted) != case.orthogonal
    assert all(y2 - y1 <= 64 for _, y1, _, y2, _ in slanted), "slanted pieces stay within one gap"


def test_routes_of_different_boxes_do_not_lie_on_each_other(drawn: tuple[Case, Placed]) -> None:
    case, placed = drawn
    assert checks.overlaid(placed) <= (0 if case.crossings < 50 else 3)


def test_crossings_are_few(drawn: tuple[Case, Placed]) -> None:
    case, placed = drawn
    assert placed.crossings <= case.crossings
    if not case.crossings:
        assert checks.straight_crossings(placed) == 0


def test_the_drawing_is_narrow(drawn: tuple[Case, Placed]) -> None:
    """The random graphs are those whose straight blocks make stairs, which must be cut."""
    case, placed = drawn
    assert placed.width <= case.width * checks.fullest_row(placed)


def test_everything_lies_within_the_bounds(drawn: tuple[Case, Placed]) -> None:
    placed = drawn[1]
    corners = [checks.box(placed, node) for node in placed.x]
    points = [point for route in placed.routes.values() for point in route]
    assert min(left for left, *_ in corners) >= 0
    assert min(top for _, top, *_ in corners) == 0
    assert max(right for *_, right, _ in corners) <= placed.width
    assert max(bottom for *_, bottom in corners) == placed.height
    assert all(0 <= x <= placed.width and 0 <= y <= placed.height for x, y in points)


def test_the_same_graph_gives_the_same_drawing(drawn: tuple[Case, Placed]) -> None:
    case, placed = drawn
    again = place(case.graph, box_sizes(case.graph))
    assert (again.x, again.y, again.routes) == (placed.x, placed.y, placed.routes)


def test_the_main_line_is_straight() -> None:
    """Every operator of resnet's trunk stands in one column, shortcuts run beside it."""
    graph = graph_families.resnet(constants=False)
    placed = place(graph, box_sizes(graph))
    trunk = nx.dag_longest_path(graph)
    assert len({placed.centre(node)[0] for node in trunk}) == 1


def test_a_densenet_does_not_drift() -> None:
    """Its skips once pushed each block beside the last: 30,000 px wide."""
    graph = graph_families.densenet((6, 12, 24, 16, 60), constants=False)
    assert place(graph, box_sizes(graph)).width < 400


def test_lanes_are_straight() -> None:
    """A wish that crosses a piece of lane gives way: without that this drawing has 518 corners."""
    graph = graph_families.random_dag(200, 1.1, 7)
    placed = place(graph, box_sizes(graph))
    assert sum(len(route) - 2 for route in placed.routes.values()) <= 490


def test_lanes_hug_the_boxes_that_they_pass() -> None:
    """Short skips beside the main line, a long one far to the left of them: they do not drift towards it."""
    graph = nx.DiGraph()
    nx.add_path(graph, range(12))
    graph.add_edges_from([(0, "far"), ("far", 11), (2, 4), (6, 8)])
    for i in range(6):
        nx.add_path(graph, [(0, f"wide{i}"), f"wide{i}", 11])
    placed = place(graph, box_sizes(graph) | {"far": (400.0, 28.0)})
    for skip in ((2, 4), (6, 8)):
        sideways = {abs(x - placed.centre(3)[0]) for x, _ in placed.routes[skip]}
        assert max(sideways) == 48 + 12


def test_a_mask_read_by_all_layers_is_cut_to_stubs() -> None:
    graph = graph_families.transformer(24)
    placed = place(graph, box_sizes(graph))
    cut = [key for key, route in placed.routes.items() if isinstance(route, Stub)]
    assert {tail for tail, _ in cut} == {"mask_scaled"}
    assert all(placed.layers[head] - placed.layers[tail] > 40 for tail, head in cut)
    assert len(cut) == 21


def test_stub_span_decides_what_is_cut() -> None:
    graph = graph_families.unet(5)
    for span in (40, 10):
        placed = place(graph, box_sizes(graph), stub_span=span)
        for (tail, head), route in placed.routes.items():
            assert isinstance(route, Stub) == (placed.layers[head] - placed.layers[tail] > span)


def test_constants_stand_just_above_their_first_consumer() -> None:
    graph = graph_families.resnet()
    graph.add_edge("b9_x_conv_w0", "b11_x_conv")
    placed = place(graph, box_sizes(graph))
    for node, data in graph.nodes(data=True):
        if data.get("pull"):
            assert placed.layers[node] == min(placed.layers[user] for user in graph.successors(node)) - 1


def test_a_side_branch_with_its_source_stands_close_to_its_consumer() -> None:
    graph = graph_families.chain(20)
    nx.add_path(graph, ["scale", "cast", "reshape", 15])
    placed = place(graph, box_sizes(graph))
    assert [placed.layers[node] for node in ("scale", "cast", "reshape", 15)] == [12, 13, 14, 15]
