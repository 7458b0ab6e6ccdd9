"""Two recordings are joined by the values they compute; steps of two ledgers correspond along both of them."""

from __future__ import annotations

from pathlib import Path

import pytest

import glowviz
import glowviz.compiler.pipeline  # registers ops and passes
from glowviz.app.reader import SceneRequest
from glowviz.app.recordings import JobProgress, RecordingReader
from glowviz.app.theme import CHANGES
from glowviz.app.union import aligned, difference, in_order
from glowviz.app.views.compare import compare
from glowviz.compiler.recording.reader import Recording
from glowviz.compiler.text import parse_graph
from tests.small_network import TEXT

STATES = [mark.key for mark in CHANGES]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("union")
    paths = folder / "whole.glowrec", folder / "without.glowrec"
    for path, off in zip(paths, ((), ("fold_batchnorm",)), strict=True):
        glowviz.compile(parse_graph(TEXT), target="interpreter", record=path, disable=off)
    return paths


def at(recording: Recording, name: str) -> int:
    return next(step["snapshot"] for step in recording.passes() if step["name"] == name)


def test_steps_correspond_by_name_along_both_ledgers(both: tuple[Path, Path]) -> None:
    whole, without = map(Recording, both)
    for name in ("bind_shapes", "fold_batchnorm", "lower", "irgen", "plan_memory"):
        assert aligned(without, whole, at(whole, name)) == at(without, name)


def test_what_one_run_merged_says_into_what(both: tuple[Path, Path]) -> None:
    whole, without = map(Recording, both)
    step = at(whole, "fold_batchnorm")
    here = {node.name: node for node in whole.nodes(step)}
    there = {node.name: node for node in without.nodes(step)}
    found = difference(there, here, whole, step)
    assert set(found.removed) == {"c1", "c2"}
    assert found.merged == {"c1": "n1", "c2": "n2"}
    assert found.added == ()
    assert set(found.changed) == {"n1", "n2"}
    ordered = in_order(there, here)
    names = sorted([*here.values(), *(ordered[name] for name in found.removed)], key=lambda node: node.rank)
    order = [node.name for node in names]
    assert order.index("c1") < order.index("n1") < order.index("r1") < order.index("c2")


def test_the_picture_has_the_states_and_says_which_run(both: tuple[Path, Path]) -> None:
    readers = [RecordingReader(path, {}, lambda: JobProgress("done")) for path in both]
    step = at(readers[0].recording, "fold_batchnorm")
    scene = readers[0].scene_against(readers[1], SceneRequest(step, fold="none"))
    boxes = scene["boxes"]
    found = dict(zip(boxes["name"], (STATES[state] for state in boxes["state"]), strict=True))
    assert found["c1"] == found["n1"] == "merged"
    assert found["t3"] == "same"
    assert scene["against"] == {"snapshot": step, "name": "fold_batchnorm", "run": "without fold_batchnorm, 1 thread"}
    program = readers[0].scene_against(readers[1], SceneRequest(len(readers[0].recording) - 1, fold="none"))
    states = {STATES[state] for state in program["boxes"]["state"]}
    assert states > {"same"}


def test_graphs_memory_and_choices_are_compared(both: tuple[Path, Path]) -> None:
    whole, without = map(Recording, both)
    told = compare(without, whole)
    assert ["Switched off", "none", "fold_batchnorm"] in told["facts"]
    assert {row["label"] for row in told["memory"]} >= {"Weights", "Activations"}
    row = next(row for row in told["ledger"] if row["name"] == "fold_batchnorm" and row["different"])
    assert row["after"] == "off"
    assert "→" in row["cells"]["work"]
    assert sum(state["count"] for state in told["graph"]["states"]) > 0
    same = compare(whole, whole)
    assert same["facts"] == []
    assert all(state["count"] == 0 for state in same["graph"]["states"])
