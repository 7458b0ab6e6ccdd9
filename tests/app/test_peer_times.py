"""Onnxruntime's nodes are laid beside our kernels by the model's nodes, and what nobody can tell is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import glowviz
import glowviz.compiler.pipeline  # registers ops and passes
from glowviz.app.peer_times import Beside, beside
from glowviz.app.views.kernels import kernels
from glowviz.bench import beside as jobs
from glowviz.bench.onnxruntime_profile import given
from glowviz.compiler.exporter import save
from glowviz.compiler.problem import Problem
from glowviz.compiler.recording.peers import Peer, PeerNode, attach, peers_of
from glowviz.compiler.text import parse_graph

TEXT = """graph @residual(%x: f32[1x16x8x8]) {
  const %w1: f32[16x16x3x3] = normal(seed=1)
  const %w2: f32[16x16x3x3] = normal(seed=2)
  const %w3: f32[4x16] = normal(seed=3)
  %c1: f32[1x16x8x8] = Conv(%x, %w1) {strides=[1, 1], pads=[1, 1, 1, 1]}  from conv1
  %r1: f32[1x16x8x8] = Relu(%c1)  from relu1
  %c2: f32[1x16x8x8] = Conv(%r1, %w2) {strides=[1, 1], pads=[1, 1, 1, 1]}  from conv2
  %s: f32[1x16x8x8] = Add(%c2, %r1)  from add
  %r2: f32[1x16x8x8] = Relu(%s)  from relu2
  %p: f32[1x16x1x1] = GlobalAveragePool(%r2)  from pool
  %f: f32[1x16] = Flatten(%p)  from flat
  %y: f32[1x4] = Gemm(%f, %w3) {trans_b=true}  from scores
  return "y"=%y
}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("run") / "residual.glowrec"
    glowviz.compile(parse_graph(TEXT), record=path, measured_runs=2)
    return path


def peer(*nodes: PeerNode) -> Peer:
    return Peer("onnxruntime", "1", 1, (900.0, 1000.0, 1100.0), "made up", "given", nodes)


def joined(path: Path, *nodes: PeerNode) -> tuple[Beside, dict[str, set[str]]]:
    """The answer, and which of its nodes stand beside the kernel that computes each value."""
    recording = glowviz.open_recording(path)
    found = beside(recording, peer(*nodes))
    values = {row["position"]: row["value"] for row in recording.query("SELECT position, value FROM kernels")}
    return found, {values[at]: {node.name for node in group.nodes} for group in found.groups for at in group.kernels}


def test_fused_nodes_are_found_by_name(run: Path) -> None:
    """Its convolution is called after the value it made before it took in the sum and the second Relu."""
    names = ("r1_nchwc", "c2_nchwc", "p_nchwc", "flat", "fused scores")
    ops = ("Conv", "Conv", "GlobalAveragePool", "Flatten", "Gemm")
    nodes = [PeerNode(name, op, (), (5.0,)) for name, op in zip(names, ops, strict=True)]
    found, at = joined(run, *nodes)
    assert found.unknown == []
    assert at["r1"] == {"r1_nchwc"}
    assert at["r2"] == {"c2_nchwc"}
    assert at["p"] == {"p_nchwc"}
    assert at["y"] == {"fused scores"}


def test_values_tell_where_names_do_not(run: Path) -> None:
    found, at = joined(run, PeerNode("whatever", "Conv", ("r2",), (5.0,)), PeerNode("token_7", "Gemm", ("y",), (1.0,)))
    assert found.unknown == []
    assert at["y"] == {"token_7"}
    assert "whatever" in at["r2"]


def test_what_cannot_be_told_is_said(run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.glowrec"
    copy.write_bytes(run.read_bytes())
    attach(copy, peer(PeerNode("r1_nchwc", "Conv", (), (500.0, 700.0, 600.0)), PeerNode("Gelu", "Gelu", (), (20.0,))))
    answer = kernels(glowviz.open_recording(copy))
    told = answer["peer"]
    assert told["total"]["ms"] == 1.0
    assert told["sum_ms"] == pytest.approx(0.62)
    assert any("Gelu (Gelu)" in note and "cannot be told" in note for note in told["notes"])
    at = answer["rows"]["value"].index("r1")
    assert answer["rows"]["peer_ms"][at] == pytest.approx(0.6)
    assert answer["rows"]["peer_told"][answer["rows"]["value"].index("y")] == ""  # nothing says what its Gemm took
    own = sum(answer["rows"]["ms"][k] for k in next(group for group in told["groups"] if at in group))
    assert answer["rows"]["peer_ratio"][at] == pytest.approx(0.6 / own)
    assert kernels(glowviz.open_recording(run))["peer"] is None  # the file it was copied from has none


def test_a_peer_replaces_the_older_one_and_its_readers_keep_the_old_file(run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.glowrec"
    copy.write_bytes(run.read_bytes())
    attach(copy, peer(PeerNode("a", "Conv", ("c1",), (1.0,))))
    reader = glowviz.open_recording(copy)
    attach(copy, peer(PeerNode("b", "Conv", (), (2.0,))))
    assert [node.name for node in peers_of(reader)[0].nodes] == ["a"]
    (after,) = peers_of(glowviz.open_recording(copy))
    assert after.nodes == (PeerNode("b", "Conv", (), (2.0,)),)
    assert list(tmp_path.iterdir()) == [copy]


def event(name: str, microseconds: int, op: str = "Conv") -> dict[str, object]:
    return {"cat": "Node", "name": f"{name}_kernel_time", "dur": microseconds, "args": {"op_name": op}}


def test_a_profile_that_somebody_gives(tmp_path: Path) -> None:
    path = tmp_path / "profile.json"
    runs = [{"cat": "Session", "name": "model_run", "dur": whole} for whole in (90, 50, 60)]
    path.write_text(json.dumps([*runs, event("r1_nchwc", 30), event("r1_nchwc", 10), event("r1_nchwc", 20)]))
    found = given(path)
    assert found.whole == (50.0, 60.0)  # the first run warms up
    assert found.nodes == (PeerNode("r1_nchwc", "Conv", (), (30.0, 10.0, 20.0)),)
    assert found.source == "given"


@pytest.mark.parametrize("text", ["no JSON", "{}", "[]", '[{"cat": "Session", "name": "model_run", "dur": 3}]', "[1]"])
def test_another_file_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(Problem, match="is no profile of onnxruntime"):
        given(path)


def test_onnxruntime_is_measured_here_and_every_kernel_finds_its_nodes(run: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    copy, model = tmp_path / "copy.glowrec", tmp_path / "residual.onnx"
    copy.write_bytes(run.read_bytes())
    save(parse_graph(TEXT), model)
    jobs.measure(str(model), {}, {}, 1, str(copy), 0.0, lambda share, text: None, tmp_path)
    recording = glowviz.open_recording(copy)
    (found,) = peers_of(recording)
    assert len(found.whole) == jobs.RUNS
    assert all(len(node.samples) == jobs.RUNS for node in found.nodes)
    joins = beside(recording, found)
    heavy = {row["position"] for row in recording.query("SELECT position FROM kernels WHERE flops > 0")}
    assert heavy <= {at for group in joins.groups for at in group.kernels}
