"""Two runs side by side: a difference in time is one only beyond the spread; findings rank and say what to try."""

from pathlib import Path

import pytest

import glowviz
from glowviz.app import findings as findings_view
from glowviz.app import kernel_pairs
from glowviz.app.findings import findings
from glowviz.app.measured import Runs
from glowviz.app.views import compare as view
from glowviz.compiler import ops  # noqa: F401  # the parser needs every op class
from glowviz.compiler.recording.reader import Recording
from glowviz.compiler.text import parse_graph
from tests.app.test_recordings import TEXT


def recorded(folder: Path, name: str, disable: tuple[str, ...] = ()) -> Recording:
    path = folder / f"{name}.glowrec"
    glowviz.compile(parse_graph(TEXT), target="interpreter", record=path, disable=disable, measured_runs=3)
    return glowviz.open_recording(path)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Recording, Recording]:
    folder = tmp_path_factory.mktemp("compare")
    return recorded(folder, "all"), recorded(folder, "without", ("fold_batchnorm",))


@pytest.mark.parametrize(("before", "after", "told"), [
    ([1.0, 1.1, 1.2, 1.3], [1.05, 1.15, 1.25, 1.35], []),
    ([1.0, 1.0, 1.0], [2.0, 2.0, 2.0], [("k 1 s", "k 2 s", "+1 s")]),
    ([2.0, 2.0, 2.0], [], [("k 2 s", "–", "−2 s")])])
def test_kernels_are_told_where_their_times_really_differ(
    monkeypatch: pytest.MonkeyPatch, before: list[float], after: list[float], told: list[tuple[str, str, str]]
) -> None:
    rest = {"rest": ("r", [1.0, 1.0, 1.0])}
    timed = iter([{"v": ("k", before), **rest}, {"v": ("k", after), **rest} if after else rest])
    monkeypatch.setattr(kernel_pairs, "_kernels", lambda _: next(timed))
    rows = kernel_pairs.kernel_pairs(None, None)  # type: ignore[arg-type]  # what is read from them is given above
    assert [(row["before"], row["after"], row["difference"]) for row in rows] == told


def test_no_kernel_is_compared_with_a_run_that_is_not_timed_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    timed = iter([{"v": ("k", [2.0])}, {}])
    monkeypatch.setattr(kernel_pairs, "_kernels", lambda _: next(timed))
    assert kernel_pairs.kernel_pairs(None, None) == []  # type: ignore[arg-type]  # as above


@pytest.mark.parametrize(("before", "after", "verdict", "words"), [
    ([1.0, 1.1, 1.2, 1.3], [1.05, 1.15, 1.25, 1.35], "same", "within the spread"),
    ([1.0, 1.0, 1.0, 1.01], [2.0, 2.0, 2.0, 2.01], "more", "+1 s (+100%)"),
    ([2.0, 2.0, 2.0, 2.01], [1.0, 1.0, 1.0, 1.01], "less", "−1 s (−50%)")])
def test_a_time_differs_only_beyond_the_spread(
    both: tuple[Recording, Recording], monkeypatch: pytest.MonkeyPatch, before: list[float], after: list[float],
    verdict: str, words: str
) -> None:
    samples = {id(both[0]): before, id(both[1]): after}
    monkeypatch.setattr(view, "whole_runs", lambda one: Runs(samples[id(one)], 1, ""))
    row = view.compare(both[1], both[0])["rows"][0]
    assert row["verdict"] == verdict
    assert words in row["difference"]


def test_passes_that_did_the_same_are_left_out(both: tuple[Recording, Recording]) -> None:
    told = view.compare(both[1], both[0])
    assert told["titles"] == ["all passes, 1 thread", "without fold_batchnorm, 1 thread"]
    (fold,) = {row["after"] for row in told["passes"] if row["name"] == "fold_batchnorm"}
    assert fold == "off"
    assert "bind_shapes" not in {row["name"] for row in told["passes"]}
    same = view.compare(both[0], both[0])
    assert same["passes"] == []
    assert {row["verdict"] for row in same["rows"]} == {"same"}


def test_findings_rank_what_was_left_out_first(both: tuple[Recording, Recording]) -> None:
    found = findings(both[1])
    assert found[0]["text"] == "fold_batchnorm was switched off in this run."
    assert found[0]["action"] == {"label": "Run with it", "request": {"disable": []}}
    assert len(found) <= 5
    calls = [one for one in findings(both[0]) if "the interpreter runs them" in one["text"]]
    assert calls  # this target has no machine code at all


@pytest.mark.parametrize(("seconds", "offered"), [(1e-7, False), (1e-4, True)])
def test_threads_are_offered_only_where_they_could_help(
    both: tuple[Recording, Recording], monkeypatch: pytest.MonkeyPatch, seconds: float, offered: bool
) -> None:
    rows = both[0].query("SELECT position FROM kernels")
    monkeypatch.setattr(findings_view, "instruction_times", lambda _: {row["position"]: seconds for row in rows})
    monkeypatch.setattr(findings_view.os, "cpu_count", lambda: 64)
    labels = [one["action"]["label"] for one in findings(both[0]) if one["action"]]
    assert ("Try 64 threads" in labels) == offered
