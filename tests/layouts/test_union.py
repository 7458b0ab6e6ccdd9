"""One drawing serves several snapshots, also where together they would have a cycle."""

from __future__ import annotations

import networkx as nx
import pytest

from glowviz.layouts import CycleError, LayoutError, union, union_place
from tests.layouts import checks, graph_families
from tests.layouts.graph_families import box_sizes
from tests.layouts.test_stability import bypass


def path(*nodes: str) -> nx.DiGraph:
    graph = nx.DiGraph()
    nx.add_path(graph, nodes)
    return graph


def test_a_union_holds_all_and_says_which_snapshots_have_it() -> None:
    old, new = path("x", "conv", "bn", "relu"), path("x", "conv", "relu")
    old.nodes["conv"]["label"], new.nodes["conv"]["label"] = "old", "new"
    whole = union([old, new])
    assert {v: data["snapshots"] for v, data in whole.nodes(data=True)} == {
        "x": (0, 1),
        "conv": (0, 1),
        "bn": (0,),
        "relu": (0, 1),
    }
    assert whole.edges["conv", "bn"]["snapshots"] == (0,)
    assert whole.edges["conv", "relu"]["snapshots"] == (1,)
    assert whole.nodes["conv"]["label"] == "new"
    assert "snapshots" not in old.nodes["conv"], "the snapshots are left as they were"


def test_a_pass_over_resnet_is_one_drawing_with_both_states() -> None:
    old = graph_families.resnet(4)
    new = bypass(old, [v for v in old if v.endswith("_bn")])
    placed = union_place([old, new], box_sizes(old))
    assert set(placed.x) == set(old)
    assert set(placed.routes) == set(old.edges) | set(new.edges)
    assert placed.crossings == 0
    assert checks.overlapping_boxes(placed, gap=24) == []
    assert checks.boxes_crossed(placed) == []
    assert checks.edges_not_down(old, placed) == checks.edges_not_down(new, placed) == []


def test_edges_of_older_snapshots_may_lead_up_where_a_pass_turned_them() -> None:
    """sink_transposes with the names kept: x → t → r becomes x → r → t."""
    old, new = path("x", "t", "r", "out"), path("x", "r", "t", "out")
    whole = union([old, new])
    assert [edge for *edge, back in whole.edges(data="back") if back] == [["t", "r"]]
    placed = union_place([old, new], box_sizes(whole))
    assert checks.edges_not_down(new, placed) == []
    assert placed.y["t"] > placed.y["r"]
    assert placed.routes["t", "r"][0][1] == placed.y["t"]
    assert checks.boxes_crossed(placed) == []


def test_few_edges_are_turned() -> None:
    """A whole line reversed inside a longer one: only the old inner edges lead up."""
    old = path("in", *"abcdef", "out")
    new = path("in", *"fedcba", "out")
    whole = union([old, new])
    turned = {tuple(edge) for *edge, back in whole.edges(data="back") if back}
    assert turned == set(nx.utils.pairwise("abcdef"))
    assert not any(new.has_edge(*edge) for edge in turned)


def test_multigraphs_keep_their_parallel_edges() -> None:
    old, new = nx.MultiDiGraph([("x", "mul"), ("x", "mul")]), nx.MultiDiGraph([("x", "mul")])
    whole = union([old, new])
    assert {key: data["snapshots"] for *key, data in whole.edges(keys=True, data=True) for key in [tuple(key)]} == {
        ("x", "mul", 0): (0, 1),
        ("x", "mul", 1): (0,),
    }


def test_unions_follow_each_other_without_moving() -> None:
    """Pass after pass, as the app shows them: each drawing holds the state before and after."""
    states = [graph_families.resnet(6)]
    for suffix in ("_s_bn", "_x_bn", "_y_relu"):
        states.append(bypass(states[-1], [v for v in states[-1] if v.endswith(suffix)]))
    sizes = box_sizes(states[0])
    placed = None
    for old, new in nx.utils.pairwise(states):
        following = union_place([old, new], sizes, previous=placed)
        if placed is not None:
            assert all(following.x[v] == placed.x[v] and following.y[v] == placed.y[v] for v in old)
        placed = following


def test_a_cycle_in_one_snapshot_is_still_refused() -> None:
    with pytest.raises(CycleError, match="a→b→a"):
        union_place([path("a", "b"), path("a", "b", "a")], {"a": (96, 28), "b": (96, 28)})
    with pytest.raises(LayoutError, match="at least one graph"):
        union([])
