"""From pass to pass, boxes that survive stay where they are; what is new fits in between."""

from __future__ import annotations

from itertools import combinations

import networkx as nx
import numpy as np
import pytest

from glowviz.layouts import Placed, place
from tests.layouts import checks, graph_families
from tests.layouts.graph_families import Sizes, box_sizes

ROW = 44.0  # px: a box and a gap


def bypass(graph: nx.DiGraph, victims: list[str]) -> nx.DiGraph:
    """The graph after a pass that folds each victim, with its own constants, into what is above it."""
    graph = graph.copy()
    for victim in victims:
        sources = list(graph.predecessors(victim))
        kept = [source for source in sources if not graph.nodes[source].get("pull")]
        for target in list(graph.successors(victim)):
            graph.add_edge(kept[0], target, ports=(0, graph.edges[victim, target]["ports"][1]))
        graph.remove_nodes_from([victim, *(s for s in sources if s not in kept and graph.out_degree(s) == 1)])
    return graph


def insert(graph: nx.DiGraph, edges: list[tuple[str, str]], name: str) -> nx.DiGraph:
    """The graph with a new node in the middle of each edge."""
    graph = graph.copy()
    for number, (tail, head) in enumerate(edges):
        new = f"{name}{number}"
        data = graph.edges[tail, head]
        graph.remove_edge(tail, head)
        graph.add_edge(tail, new, ports=(0, 0))
        graph.add_edge(new, head, **data)
    return graph


def foldable(graph: nx.DiGraph) -> list[str]:
    return [v for v in graph if not graph.nodes[v].get("pull") and graph.in_degree(v) and graph.out_degree(v)]


def displacements(before: Placed, after: Placed) -> tuple[np.ndarray, np.ndarray]:
    """How far the centres of the survivors moved to the right, and down, px."""
    moved = np.array([np.subtract(after.centre(v), before.centre(v)) for v in after.x if v in before.x])
    return moved[:, 0], moved[:, 1]


def rank_changes(before: Placed, after: Placed) -> int:
    """Survivors of one row that changed sides, if they still share a row."""
    rows: dict[int, list[str]] = {}
    for node in after.x:
        if node in before.x:
            rows.setdefault(before.layers[node], []).append(node)
    return sum(
        (before.x[a] < before.x[b]) != (after.x[a] < after.x[b])
        for nodes in rows.values()
        for a, b in combinations(nodes, 2)
        if after.layers[a] == after.layers[b]
    )


def check_drawing(graph: nx.DiGraph, placed: Placed) -> None:
    assert checks.overlapping_boxes(placed, gap=24) == []
    assert checks.edges_not_down(graph, placed) == []
    assert checks.loose_ends(placed) == []
    assert checks.boxes_crossed(placed) == []
    assert min(placed.x.values()) >= 0


FAMILIES = {
    "resnet": graph_families.resnet(),
    "resnet without constants": graph_families.resnet(constants=False),
    "densenet": graph_families.densenet(),
    "inception": graph_families.inception(),
    "transformer": graph_families.transformer(),
    "low level": graph_families.low_level(),
}
family = pytest.mark.parametrize("graph", FAMILIES.values(), ids=FAMILIES.keys())


@family
def test_an_unchanged_graph_keeps_its_drawing(graph: nx.DiGraph) -> None:
    before = place(graph, box_sizes(graph))
    after = place(graph, box_sizes(graph), previous=before)
    assert (after.x, after.y, after.layers, after.routes) == (before.x, before.y, before.layers, before.routes)


@family
def test_passes_that_fold_nodes_away_move_nothing(graph: nx.DiGraph) -> None:
    rng = np.random.default_rng(0)
    sizes = box_sizes(graph)
    before = place(graph, sizes)
    for _ in range(4):
        graph = bypass(graph, [v for v in foldable(graph) if rng.random() < 0.08 and _has_source(graph, v)])
        after = place(graph, sizes, previous=before)
        x, y = displacements(before, after)
        assert np.quantile(np.abs(x), [0.5, 0.95]).tolist() == [0, 0]
        assert np.quantile(np.abs(y), [0.5, 0.95]).tolist() == [0, 0]
        assert rank_changes(before, after) == 0
        assert after.width <= before.width + 48
        check_drawing(graph, after)
        before = after


def _has_source(graph: nx.DiGraph, node: str) -> bool:
    return any(not graph.nodes[source].get("pull") for source in graph.predecessors(node))


def test_folding_all_batchnorms_of_resnet_moves_nothing() -> None:
    graph = graph_families.resnet()
    before = place(graph, box_sizes(graph))
    folded = bypass(graph, [v for v in graph if v.endswith("_bn")])
    after = place(folded, box_sizes(graph), previous=before)
    assert len(folded) < 0.6 * len(graph)
    assert all(after.x[v] == before.x[v] and after.y[v] == before.y[v] for v in folded)
    assert after.crossings == 0
    for tail, head in nx.utils.pairwise(nx.dag_longest_path(folded)):
        if not graph.nodes[tail].get("pull"):
            assert len(after.routes[tail, head]) == 2, "the main line runs straight through the holes"


def test_the_main_line_runs_straight_beside_a_skip_of_the_same_box() -> None:
    """With relu folded into sum, sum feeds both the next block, through a hole, and the skip beside it."""
    graph = graph_families.resnet(6, constants=False)
    before = place(graph, box_sizes(graph))
    folded = bypass(graph, [v for v in graph if v.endswith("_out")])
    after = place(folded, box_sizes(graph), previous=before)
    for block in range(4):
        assert len(after.routes[f"b{block}_sum", f"b{block + 1}_x_conv"]) == 2
        assert after.routes[f"b{block}_sum", f"b{block + 1}_x_conv"][0][0] == after.centre("pool")[0]
    assert after.crossings == 0


def test_a_new_long_edge_runs_straight_into_a_box_where_it_can() -> None:
    graph = nx.DiGraph()
    nx.add_path(graph, ["top", *(f"m{i}" for i in range(6)), "end"])
    nx.add_path(graph, ["top", *(f"s{i}" for i in range(6)), "end"])
    before = place(graph, box_sizes(graph))
    longer = graph.copy()
    longer.remove_nodes_from(["s1", "s2", "s3", "s4"])
    longer.add_edge("top", "s5")
    after = place(longer, box_sizes(graph), previous=before)
    assert {x for x, _ in after.routes["top", "s5"]} >= {after.centre("s5")[0]}
    assert len(after.routes["top", "s5"]) == 4


@pytest.mark.parametrize("name", ["resnet", "resnet without constants", "densenet", "transformer"])
def test_new_nodes_fill_holes_and_the_rest_stays(name: str) -> None:
    rng = np.random.default_rng(1)
    graph = FAMILIES[name]
    sizes = box_sizes(graph)
    victims = [v for v in foldable(graph) if rng.random() < 0.15 and _has_source(graph, v)]
    before = place(graph, sizes)
    graph = bypass(graph, victims)
    before = place(graph, sizes, previous=before)
    edges = [edge for edge in graph.edges if not graph.nodes[edge[0]].get("pull")]
    for step in range(2):
        chosen = [edges[i] for i in rng.choice(len(edges), 4, replace=False) if graph.has_edge(*edges[i])]
        graph = insert(graph, chosen, f"new{step}_")
        after = place(graph, sizes | box_sizes(graph), previous=before)
        x, y = displacements(before, after)
        assert np.quantile(np.abs(x), [0.5, 0.95]).tolist() == [0, 0]
        assert np.median(np.abs(y)) == 0
        assert np.quantile(np.abs(y), 0.95) <= ROW
        assert rank_changes(before, after) == 0
        check_drawing(graph, after)
        before = after


def test_nodes_put_into_a_shorter_branch_move_nothing() -> None:
    """b0's shortcut has room beside the three convolutions."""
    graph = graph_families.resnet(4, constants=False)
    before = place(graph, box_sizes(graph))
    longer = insert(graph, [("pool", "b0_s_conv")], "new")
    longer = insert(longer, [("pool", "new0")], "newer")
    after = place(longer, box_sizes(longer), previous=before)
    x, y = displacements(before, after)
    assert not x.any()
    assert not y.any()
    assert after.crossings == 0
    check_drawing(longer, after)


def test_a_node_put_into_the_main_line_moves_what_is_below_by_one_row() -> None:
    graph = graph_families.resnet(8)
    before = place(graph, box_sizes(graph))
    longer = insert(graph, [("b4_y_bn", "b4_y_relu")], "new")
    after = place(longer, box_sizes(longer), previous=before)
    cut = before.layers["b4_y_relu"]
    for node in graph:
        if not graph.nodes[node].get("pull"):
            assert after.layers[node] == before.layers[node] + (before.layers[node] >= cut)
            assert after.x[node] == before.x[node]
    _, y = displacements(before, after)
    assert set(np.round(y).tolist()) <= {0.0, ROW}
    check_drawing(longer, after)


def test_a_box_that_unfolds_moves_nothing_above_it() -> None:
    graph = nx.DiGraph()
    nx.add_path(graph, ["stem", "block0", "block1", "block2", "head", "out"])
    before = place(graph, box_sizes(graph))
    unfolded = graph.copy()
    unfolded.remove_node("block1")
    nx.add_path(unfolded, ["block0", "conv1", "relu", "conv2", "sum", "block2"])
    nx.add_path(unfolded, ["block0", "shortcut", "sum"])
    after = place(unfolded, box_sizes(unfolded), previous=before)
    for node in ("stem", "block0"):
        assert (after.x[node], after.y[node]) == (before.x[node], before.y[node])
    for node in ("block2", "head", "out"):
        assert after.x[node] == before.x[node]
        assert after.y[node] - before.y[node] == 3 * ROW
    check_drawing(unfolded, after)


def test_lineage_gives_a_new_name_the_old_place() -> None:
    graph = graph_families.resnet(4)
    before = place(graph, box_sizes(graph))
    names = {v: f"{v}_fused" for v in graph if v.endswith("_conv")}
    renamed = nx.relabel_nodes(graph, names)
    sizes: Sizes = {v: before.sizes[graph_name] for graph_name, v in zip(graph, renamed, strict=True)}
    after = place(renamed, sizes, previous=before, lineage={new: old for old, new in names.items()})
    for node in graph:
        assert after.centre(names.get(node, node)) == before.centre(node)


def test_lineage_comes_before_the_free_choice_of_places() -> None:
    graph = nx.DiGraph([("top", "a"), ("top", "b"), ("top", "c")])
    before = place(graph, box_sizes(graph))
    renamed = nx.DiGraph([("top", "p"), ("top", "q"), ("top", "r")])
    for old in (("a", "b", "c"), ("c", "a", "b")):
        lineage = dict(zip("pqr", old, strict=True))
        after = place(renamed, box_sizes(renamed), previous=before, lineage=lineage)
        assert all(after.centre(new) == before.centre(lineage[new]) for new in "pqr")


def test_two_nodes_from_one_share_no_place() -> None:
    """Gemm becomes MatMul and Add: the first takes the box, the second stands below."""
    graph = graph_families.chain(9)
    before = place(graph, box_sizes(graph))
    split = nx.DiGraph()
    nx.add_path(split, [0, 1, 2, 3, "matmul", "add", 5, 6, 7, 8])
    after = place(split, box_sizes(split), previous=before, lineage={"matmul": 4, "add": 4})
    assert after.centre("matmul") == before.centre(4)
    assert after.layers["add"] == after.layers["matmul"] + 1
    check_drawing(split, after)


def test_a_box_that_grows_pushes_only_its_neighbours() -> None:
    graph = nx.DiGraph([("top", name) for name in "abcdef"])
    sizes = box_sizes(graph)
    before = place(graph, sizes)
    order = sorted("abcdef", key=before.x.__getitem__)
    after = place(graph, sizes | {order[2]: (160.0, 28.0)}, previous=before)
    assert checks.overlapping_boxes(after, gap=24) == []
    assert sorted("abcdef", key=after.x.__getitem__) == order
    assert after.x["top"] == before.x["top"]


def test_a_reversed_pair_is_drawn_anew_and_the_rest_stays() -> None:
    """sink_transposes: Transpose, Relu becomes Relu, Transpose."""
    graph = nx.DiGraph()
    nx.add_path(graph, ["input", "conv", "transpose", "relu", "pool", "out"])
    swapped = nx.DiGraph()
    nx.add_path(swapped, ["input", "conv", "relu", "transpose", "pool", "out"])
    before = place(graph, box_sizes(graph))
    after = place(swapped, box_sizes(swapped), previous=before)
    check_drawing(swapped, after)
    assert all(after.y[v] == before.y[v] for v in ("input", "conv"))
    assert after.y["relu"] < after.y["transpose"]


def test_a_graph_that_is_mostly_new_is_drawn_afresh() -> None:
    graph = graph_families.resnet(2)
    other = graph_families.transformer(4)
    other.add_edge("stem_conv", "tokens")
    seeded = place(other, box_sizes(other), previous=place(graph, box_sizes(graph)))
    fresh = place(other, box_sizes(other))
    assert (seeded.x, seeded.y) == (fresh.x, fresh.y)
