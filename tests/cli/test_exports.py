"""Every export of a recording is a file that others read, and says the same as the recording."""

from __future__ import annotations

import base64
import json
import re
import sqlite3
import xml.etree.ElementTree as ElementTree
import zlib
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from glowviz import open_recording
from glowviz.cli.sources import source
from glowviz.compiler.interpreter import run_graph
from tests.cli.conftest import SMALL, Command


def test_an_optimised_model_is_checked_and_runs_elsewhere(glowviz: Command, recorded: Path, folder: Path) -> None:
    ran = glowviz("export", recorded, "-o", "optimised.onnx")
    assert ran.status == 0
    assert re.match(r"optimised.onnx: \d+ nodes; against the imported model: ", ran.err)
    onnx.checker.check_model(str(folder / "optimised.onnx"), full_check=True)
    x = np.random.default_rng(2).standard_normal((1, 3, 8, 8)).astype(np.float32)
    (theirs,) = onnxruntime.InferenceSession("optimised.onnx").run(None, {"x": x})
    ours = run_graph(source(str(SMALL)), {"x": x})["y"]
    np.testing.assert_allclose(theirs, ours, rtol=0, atol=2e-5 * np.abs(ours).max())


def test_any_graph_of_the_way_leaves_as_onnx(glowviz: Command, recorded: Path, folder: Path) -> None:
    assert "exactly equal" in glowviz("export", recorded, "-o", "first.onnx", "--snapshot", "0").err
    glowviz("export", recorded, "-o", "folded.onnx", "--snapshot", "fold_batchnorm")
    kinds = [{node.op_type for node in onnx.load(folder / name).graph.node} for name in ("first.onnx", "folded.onnx")]
    assert "BatchNormalization" in kinds[0]
    assert "BatchNormalization" not in kinds[1]


def test_texts_of_both_levels(glowviz: Command, recorded: Path, folder: Path) -> None:
    for name, snapshot, start in (("a", "0", "graph @"), ("b", "fuse", "graph @"), ("c", "plan_memory", "program @")):
        assert glowviz("export", recorded, "-o", f"{name}.glow", "--snapshot", snapshot).status == 0
        assert (folder / f"{name}.glow").read_text().startswith(start)
        assert not (folder / f"{name}.npz").exists()


def test_a_text_with_its_weights_runs(glowviz: Command, recorded: Path) -> None:
    ran = glowviz("export", recorded, "-o", "folded.glow", "--snapshot", "fold_batchnorm", "--weights")
    assert "folded.npz" in ran.err
    assert glowviz("run", "folded.glow").out == glowviz("run", "small.glow", "--disable", "cse").out
    np.savez("folded.npz", nothing=np.zeros(1))
    assert "sha256:" in glowviz("run", "folded.glow").refusal


def test_a_trace_has_passes_and_kernels(glowviz: Command, recorded: Path, folder: Path) -> None:
    assert glowviz("export", recorded, "-o", "trace.json").status == 0
    all_events = json.loads((folder / "trace.json").read_text())["traceEvents"]
    assert {e["args"]["name"].split()[0] for e in all_events if e["ph"] == "M"} == {"passes", "kernels,"}
    events = [e for e in all_events if e["ph"] == "X"]
    for e in events:  # what Chrome's trace event format asks of a complete event
        assert isinstance(e["name"], str)
        assert isinstance(e["cat"], str)
        assert all(isinstance(e[key], int) for key in ("pid", "tid"))
        assert all(isinstance(e[key], float) and e[key] >= 0 for key in ("ts", "dur"))
    recording = open_recording(recorded)
    assert [e["name"] for e in events if e["pid"] == 1] == [row["name"] for row in recording.passes()]
    kernels = [e for e in events if e["pid"] == 2]
    assert [e["args"]["value"] for e in kernels] == [kernel["value"] for kernel in recording.kernels()]
    assert all(e["dur"] > 0 and e["args"]["samples"] == 3 for e in kernels)
    assert [e["ts"] for e in kernels] == sorted(e["ts"] for e in kernels)


@pytest.mark.parametrize("snapshot", ["0", "fuse", "plan_memory"])
def test_a_picture_names_its_nodes(glowviz: Command, recorded: Path, folder: Path, snapshot: str) -> None:
    assert glowviz("export", recorded, "-o", "graph.svg", "--snapshot", snapshot).status == 0
    tree = ElementTree.parse(folder / "graph.svg")
    texts = [one.text for one in tree.iter("{http://www.w3.org/2000/svg}text")]
    assert any("pool" in str(text) for text in texts)


def test_one_page_holds_everything(glowviz: Command, recorded: Path, folder: Path) -> None:
    assert glowviz("export", recorded, "-o", "page.html").status == 0
    text = (folder / "page.html").read_text()
    assert text.startswith("<!DOCTYPE html>")
    packed = re.search(r'id="glowviz-payloads">([^<]+)<', text)
    assert packed is not None
    assert b"fold_batchnorm" in zlib.decompress(base64.b64decode(packed.group(1)))
    assert not re.findall(r"(?:src|href)\s*=\s*[\"']?(?:https?:|//)", text)


def test_everything_leaves_as_json(glowviz: Command, recorded: Path, folder: Path) -> None:
    assert glowviz("export", recorded, "-o", "run.json").status == 0
    answers = json.loads((folder / "run.json").read_text())
    last = len(open_recording(recorded)) - 1
    kinds = {address.split("/")[4].split("?")[0] for address in answers}
    assert kinds >= {"scene", "life", "why", "values", "text", "program", "memory", "changes", "names"}
    assert all(f"/api/r/{'0' * 32}/numbers/{at}" in answers for at in range(last + 1))
    assert all(one["same"] in answers for one in answers.values() if "same" in one)


def test_a_recording_shows_itself_in_a_notebook(recorded: Path) -> None:
    recording = open_recording(recorded)
    shown = recording._repr_html_()
    assert len(shown) < 20_000
    assert "fold_batchnorm" in shown
    tree = ElementTree.fromstring(shown)
    assert not [one for one in tree.iter() if one.tag in ("script", "img", "link", "iframe")]


def test_a_hostile_name_stays_text_in_a_notebook(recorded: Path, folder: Path) -> None:
    (folder / "hostile.glowrec").write_bytes(recorded.read_bytes())
    with sqlite3.connect(folder / "hostile.glowrec") as connection:
        name = json.dumps("<img src=x onerror=alert(1)>")
        connection.execute("UPDATE meta SET value = ? WHERE key = 'model'", (name,))
        connection.execute("UPDATE passes SET name = ? WHERE snapshot = 1", (json.loads(name),))
        connection.execute("UPDATE passes SET fired = 1 WHERE snapshot = 1")
    connection.close()
    shown = open_recording(folder / "hostile.glowrec")._repr_html_()
    assert "<img" not in shown
    assert shown.count("&lt;img src=x") == 2


def test_a_model_that_has_gone_is_told(glowviz: Command, recorded: Path, folder: Path) -> None:
    text = SMALL.read_text().replace("normal(seed=2, scale=0.2)", "splat 0.25")
    (folder / "other.glow").write_text(text)
    glowviz("export", recorded, "-o", "away.onnx")
    glowviz("compile", "away.onnx", "-o", "away.glowrec")
    (folder / "away.onnx").unlink()
    refusal = glowviz("export", "away.glowrec", "-o", "again.onnx").refusal
    assert "away.onnx is not there any more" in refusal
    assert "Put it back" in refusal
    glowviz("compile", "other.glow", "-o", "other.glowrec")
    refusal = glowviz("export", "other.glowrec", "-o", "other.onnx").refusal if "sha256" in text else None
    assert refusal is None


def test_the_bound_shapes_are_used_again(glowviz: Command, free: Path) -> None:
    assert glowviz("compile", free, "-o", "free.glowrec", "--shape", "x=3x4").status == 0
    assert "exactly equal" in glowviz("export", "free.glowrec", "-o", "bound.onnx").err
    (entry,) = onnx.load("bound.onnx").graph.input
    assert [dim.dim_value for dim in entry.type.tensor_type.shape.dim] == [3, 4]


def test_a_recording_of_a_newer_version(glowviz: Command, recorded: Path, folder: Path) -> None:
    newer = folder / "newer.glowrec"
    newer.write_bytes(recorded.read_bytes())
    with sqlite3.connect(newer) as connection:
        connection.execute("PRAGMA user_version = 999")
    connection.close()
    for command in (("export", newer, "-o", "x.json"), ("diff", newer, newer)):
        refusal = glowviz(*command).refusal
        assert "newer.glowrec was made by a newer glowviz (format 999" in refusal
        assert "update glowviz" in refusal
