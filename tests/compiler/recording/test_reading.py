"""A recording gives back every snapshot of a compilation, what differs between any two, and what became of a name."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glowviz.compiler.backends import backend_named
from glowviz.compiler.diff import diff_graphs
from glowviz.compiler.graph import Graph, Node, Origin, Output, Payload
from glowviz.compiler.ledger import Ledger
from glowviz.compiler.ops import Relu, Tanh
from glowviz.compiler.pipeline import import_graph, lower_to_program, optimize
from glowviz.compiler.problem import Problem
from glowviz.compiler.program import Program
from glowviz.compiler.recording.reader import Recording
from glowviz.compiler.recording.records import Change, PassLog, Refusal
from glowviz.compiler.recording.schema import VERSION, RecordingProblem
from glowviz.compiler.recording.writer import Recorder, Step
from glowviz.compiler.text import print_graph, print_program
from glowviz.compiler.types import Type
from glowviz.gallery import card

F4 = Type("f32", (4,))


@dataclass(frozen=True)
class Run:
    """A real compilation: what was recorded, and the live values of every snapshot."""

    recording: Recording
    live: list[tuple[str, Any]]
    payloads: dict[str, Payload]


@pytest.fixture(scope="module", params=["digit", "everything"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    path = tmp_path_factory.mktemp("recordings") / f"{request.param}.glowrec"
    backend = backend_named("cpu", 1)
    live: list[tuple[str, Any]] = []
    recorder = Recorder(path, {"model": request.param})
    ledger = Ledger(backend.target, recorder, snapshots=live)
    lower_to_program(optimize(import_graph(str(card(request.param).path()), None, ledger), ledger, backend),
                     ledger, backend)
    recorder.finish()
    recording = Recording(path)
    yield Run(recording, live, _payloads(live))
    recording.close()


def _payloads(live: list[tuple[str, Any]]) -> dict[str, Payload]:
    found: dict[str, Payload] = {}
    for _, ir in live:
        held = ir.constants.values() if isinstance(ir, Graph) else ir.buffers.values()
        found.update({c.payload.digest: c.payload for c in held if c.payload is not None})
    return found


def test_every_snapshot_is_the_live_value(run: Run) -> None:
    assert len(run.recording) == len(run.live)
    for i, (name, ir) in enumerate(run.live):
        assert run.recording.passes()[i]["name"] == name
        if isinstance(ir, Graph):
            read = run.recording.graph(i, run.payloads.get)
            assert print_graph(read) == print_graph(ir), f"snapshot {i}, after {name}"
            assert list(read.nodes) == list(ir.nodes)
        else:
            read = run.recording.program(i, run.payloads.get)
            assert print_program(read) == print_program(ir), f"snapshot {i}, after {name}"


def test_contents_are_zeros_of_the_same_name_where_they_are_not_at_hand(run: Run) -> None:
    live: Graph = run.live[0][1]
    read = run.recording.graph(0)
    assert print_graph(read) == print_graph(live)
    for name, constant in live.constants.items():
        assert read.constants[name].array.shape == constant.array.shape
        assert read.constants[name].payload.digest == constant.payload.digest


def test_diffs_agree_with_the_live_graphs(run: Run) -> None:
    graphs = [(i, ir) for i, (_, ir) in enumerate(run.live) if isinstance(ir, Graph)]
    pairs = [*pairwise(graphs), (graphs[0], graphs[-1]), (graphs[2], graphs[-3])]
    for (i, before), (j, after) in pairs:
        real, read = diff_graphs(before, after), run.recording.diff(i, j)
        assert set(read.added) == set(real.added), (i, j)
        assert set(read.removed) == set(real.removed), (i, j)
        assert set(read.changed) == set(real.changed), (i, j)
        assert set(read.merged) <= set(read.removed)
        assert set(read.merged.values()) <= set(after.nodes), (i, j)
        back = run.recording.diff(j, i)
        assert (set(back.added), set(back.removed)) == (set(real.removed), set(real.added))


def test_merged_nodes_have_a_heir_that_stands_for_them(run: Run) -> None:
    last = run.recording.last("graph")
    assert last is not None
    merged = run.recording.diff(0, last).merged
    first, final = run.live[0][1], run.live[last][1]
    assert merged
    for gone, heir in merged.items():
        onnx = set(first.nodes[gone].origin.names)
        assert onnx <= set(final.nodes[heir].origin.names), f"%{gone} became %{heir}"


def test_a_life_ends_where_the_node_does(run: Run) -> None:
    graphs = [ir for _, ir in run.live if isinstance(ir, Graph)]
    names = {name for graph in graphs for name in graph.nodes}
    for name in names:
        there = [i for i, graph in enumerate(graphs) if name in graph.nodes]
        events = run.recording.life(name)
        assert events[0].kind == "born"
        # a second result of a node may become a node of its own: the value is as old as its first maker
        assert events[0].snapshot == next(i for i, graph in enumerate(graphs) if graph.maker(name) is not None)
        if name not in graphs[-1].nodes:
            ends = [e for e in events if e.kind in ("removed", "merged")]
            assert ends, f"%{name} is gone and its life does not say why: {events}"
            at = [e for e in ends if e.snapshot == there[-1] + 1]  # later ones are of a constant that took its name
            assert at, f"%{name} is gone at {there[-1] + 1}: {events}"
            assert at[0].reason


def test_search_finds_what_is_gone_and_says_when(run: Run) -> None:
    graphs = [ir for _, ir in run.live if isinstance(ir, Graph)]
    gone = [name for name in graphs[0].nodes if name not in graphs[-1].nodes]
    for name in gone:
        (found,) = [f for f in run.recording.search(name) if f.name == name and f.level == "graph"]
        assert (found.born, found.died) == (0, next(i for i, g in enumerate(graphs) if name not in g.nodes))
    kept = next(name for name in graphs[0].nodes if name in graphs[-1].nodes)
    assert [f.died for f in run.recording.search(kept) if f.name == kept and f.level == "graph"] == [None]
    assert run.recording.search("no such name anywhere") == []


def test_refusals_are_kept_with_their_example(run: Run) -> None:
    groups = [(i, g) for i in range(len(run.recording)) for g in run.recording.refusals(i)]
    assert groups
    for _, group in groups:
        assert group["count"] >= len(group["examples"]) >= 1
        example = group["examples"][0]
        at = run.recording.refusals_at(example["anchor"])
        assert any(r["rule"] == group["rule"] and r["reason"] == example["reason"] for r in at)


def test_buffers_have_addresses_at_the_end(run: Run) -> None:
    program: Program = run.live[-1][1]
    rows = {row["name"]: row for row in run.recording.buffers()}
    assert set(rows) == set(program.buffers)
    for name, buffer in program.buffers.items():
        assert rows[name]["bytes"] == buffer.bytes
        assert rows[name]["planned"] == (buffer.address if buffer.base is None else None)


# what no gallery model shows ----------------------------------------------------------------------


def chain(*names: str, op: Any = Relu) -> Graph:
    nodes, previous = {}, "x"
    for name in names:
        nodes[name] = Node(op(previous), (name,), (F4,), Origin.of(f"onnx_{name}"))
        previous = name
    return Graph("g", {"x": F4}, {}, nodes, (Output("y", previous),))


def recorded(path: Path, *graphs: Graph, log: PassLog | None = None) -> Recording:
    recorder = Recorder(path, {})
    for k, graph in enumerate(graphs):
        recorder.step(Step(f"pass{k}", "Simplify", "graph", log=log if k and log else PassLog()), graph)
    recorder.finish()
    return Recording(path)


def test_nodes_that_change_places_are_read_in_the_new_order(tmp_path: Path) -> None:
    first = Graph("g", {"x": F4}, {}, {n: Node(Relu("x"), (n,), (F4,)) for n in "abcd"}, (Output("y", "a"),))
    second = first.evolve(nodes={n: first.nodes[n] for n in "dbac"})
    third = second.evolve(nodes={n: second.nodes[n] for n in "cd"})
    found = recorded(tmp_path / "r", first, second, third)
    assert [[n.name for n in found.nodes(i)] for i in range(3)] == [list("abcd"), list("dbac"), list("cd")]
    assert found.diff(0, 1).changed == ()


def test_a_place_can_be_split_for_ever(tmp_path: Path) -> None:
    """A node in front of the same node in each of 200 passes: the numbers between its neighbours run out."""
    graphs = [chain("a", "z")]
    for k in range(200):
        z = graphs[-1].nodes["z"]
        new = Node(Relu("a"), (f"n{k}",), (F4,))
        nodes = {n: node for n, node in graphs[-1].nodes.items() if n != "z"}
        graphs.append(graphs[-1].evolve(nodes=nodes | {new.name: new, "z": z}))
    found = recorded(tmp_path / "r", *graphs)
    for i, graph in enumerate(graphs):
        assert [n.name for n in found.nodes(i)] == list(graph.nodes), i


def test_names_that_need_escapes_are_found(tmp_path: Path) -> None:
    names = ('a"b', "100%", "under_score", "back\\slash", "новый", "__proto__")
    found = recorded(tmp_path / "r", chain(*names), chain("y"))
    for name in names:
        assert [f.name for f in found.search(name)] == [name]
        assert found.life(name)[-1].kind == "removed"
    assert print_graph(found.graph(0)) == print_graph(chain(*names))
    assert [f.name for f in found.search("%")] == ["100%"]


def test_life_of_a_merged_and_a_changed_node(tmp_path: Path) -> None:
    log = PassLog()
    log.change(Change("fold", "c", "%b folds into %c", removed=("b",), changed=("c",)))
    log.refuse(Refusal("fold", "a", "keep", "%a has other users"), "%… has other users")
    after = chain("a", "c").evolve(nodes=chain("a").nodes | {"c": Node(Tanh("a"), ("c",), (F4,))})
    found = recorded(tmp_path / "r", chain("a", "b", "c"), after, log=log)
    assert [(e.kind, e.snapshot, e.other) for e in found.life("b")] == [("born", 0, ("onnx_b",)), ("merged", 1, ("c",))]
    assert [e.kind for e in found.life("c")] == ["born", "absorbed"]
    assert found.life("b")[-1].reason == "%b folds into %c"
    assert found.life("nobody") == []
    assert found.diff(0, 1).merged == {"b": "c"}
    assert found.refusals_at("a")[0]["reason"] == "%a has other users"
    assert found.refusals_at("b") == []


def test_it_is_read_while_it_is_written(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "r", {"model": "m"})
    recorder.step(Step("import", "Import", "graph"), chain("a", "b"))
    reader = Recording(tmp_path / "r")
    assert print_graph(reader.graph(0)) == print_graph(chain("a", "b"))
    recorder.step(Step("dce", "Simplify", "graph"), chain("a"))
    assert len(reader) == 2
    assert [n.name for n in reader.nodes(1)] == ["a"]
    assert "state" not in reader.meta
    reader.close()
    recorder.finish()
    assert Recording(tmp_path / "r").meta["state"] == "done"
    assert [p.name for p in tmp_path.iterdir()] == ["r"], "one file is left"


def test_a_failed_pass_leaves_its_row_and_the_state_before_it(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "r", {})
    ledger = Ledger(backend_named("interpreter", 1).target, recorder, options={"fuse": {"max_inputs": "many"}})
    graph = ledger.imported(chain("a", "b"), 0.0)
    with pytest.raises(Problem):
        ledger.run("fuse", "Fusion", graph)
    recorder.finish("failed")
    found = Recording(tmp_path / "r")
    row = found.passes()[-1]
    assert (row["status"], row["name"]) == ("failed", "fuse")
    assert {"what", "where", "expected", "do"} <= set(row["problem"])
    assert print_graph(found.graph(1)) == print_graph(graph)


@pytest.mark.parametrize(("make", "message"), [
    (lambda p: None, "is not there"),
    (lambda p: p.write_bytes(b"not a database at all" * 50), "is not a recording"),
    (lambda p: p.write_bytes(b""), "is not a recording: it is another program's"),
    (lambda p: sqlite3.connect(p).execute("CREATE TABLE t(x)").connection.close(), "another program's SQLite file"),
])
def test_what_is_no_recording_is_refused(tmp_path: Path, make: Any, message: str) -> None:
    make(tmp_path / "r")
    with pytest.raises(RecordingProblem, match=message):
        Recording(tmp_path / "r")


def test_a_newer_recording_is_refused_in_one_sentence(tmp_path: Path) -> None:
    recorded(tmp_path / "r", chain("a")).close()
    connection = sqlite3.connect(tmp_path / "r")
    connection.execute(f"PRAGMA user_version={VERSION + 1}")
    connection.close()
    with pytest.raises(RecordingProblem) as refused:
        Recording(tmp_path / "r")
    assert f"format {VERSION + 1}, this one reads up to {VERSION}): update glowviz" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_it_cannot_be_written_through_a_reader(tmp_path: Path) -> None:
    reader = recorded(tmp_path / "r", chain("a"))
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.query("DELETE FROM nodes")
    assert np.array_equal([v.name for v in reader.nodes(0)], ["a"])


def test_there_is_no_program_before_irgen(tmp_path: Path) -> None:
    with pytest.raises(RecordingProblem, match="irgen makes the first one"):
        recorded(tmp_path / "r", chain("a")).program_text(0)


def test_weights_count_while_somebody_reads_them(run: Run) -> None:
    graphs = [ir for _, ir in run.live if isinstance(ir, Graph)]
    assert any(c not in graph.users for graph in graphs for c in graph.constants)  # until dce
    for row, graph in zip(run.recording.passes(), graphs, strict=False):
        read = [c for name, c in graph.constants.items() if name in graph.users or name in graph.returned]
        assert row["weights"] == sum(c.type.bytes for c in read), row["name"]
