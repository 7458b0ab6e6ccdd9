"""A recorded run on given arrays: what they show is in the recording, and what does not fit is refused in words."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

import glowviz
import glowviz.compiler.pipeline  # registers ops and passes
from glowviz.compiler.problem import Problem
from glowviz.compiler.recording.reader import Recording
from glowviz.compiler.text import parse_graph
from glowviz.compiler.trial_run import TrialRun

TEXT = """graph @g(%x: f32[4]) {
  %a: f32[4] = Exp(%x)
  %b: f32[4] = Tanh(%a)
  return "y"=%b
}"""
X = np.array([1, 3, 5, 2], np.float32)


def run(path: Path, inputs: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]) -> Recording:
    glowviz.compile(parse_graph(TEXT), record=path, measured_runs=1, trial=TrialRun(inputs, expected))
    return Recording(path)


def rows(recording: Recording, snapshot: int) -> dict[str, tuple[float, float | None]]:
    found = recording.query("SELECT value, high, error FROM statistics WHERE snapshot = ?", snapshot)
    return {row["value"]: (row["high"], row["error"]) for row in found}


def test_values_come_from_the_given_input(tmp_path: Path) -> None:
    recording = run(tmp_path / "a.glowrec", {"x": X}, {})
    assert rows(recording, 0)["x"] == (5.0, None)
    assert rows(recording, 0)["a"][0] == pytest.approx(np.exp(5), rel=1e-6)
    assert recording.meta["errors"] == "the given input; against the interpreter right after bind_shapes"
    assert recording.passes()[1]["error"] == 0.0


def test_errors_are_measured_against_what_is_expected(tmp_path: Path) -> None:
    wanted = np.tanh(np.exp(X))
    wanted[0] = 0.5  # what another framework would say
    recording = run(tmp_path / "a.glowrec", {"x": X}, {"y": wanted})
    apart = float(np.tanh(np.exp(X))[0] - 0.5)
    assert recording.passes()[1]["error"] == pytest.approx(apart, rel=1e-5)
    assert recording.passes()[-1]["error"] == pytest.approx(apart, rel=1e-5)
    assert rows(recording, 0)["b"][1] == pytest.approx(apart, rel=1e-5)
    assert recording.meta["errors"].endswith("what was expected")


def test_inner_values_can_be_expected_too(tmp_path: Path) -> None:
    recording = run(tmp_path / "a.glowrec", {"x": X}, {"a": np.exp(X) * 1.25})
    assert rows(recording, 0)["a"][1] == pytest.approx(0.2, rel=1e-5)
    assert rows(recording, 0)["b"][1] is None
    assert recording.passes()[1]["error"] == 0.0


@pytest.mark.parametrize(("inputs", "expected", "words"), [
    ({"z": X}, {}, "no array for x"), ({"x": X, "z": X}, {}, "no input is called z"),
    ({"x": X.astype(np.int64)}, {}, "elements are i64"), ({"x": X[:2]}, {}, r"shape is \[2\]"),
    ({}, {"q": X}, "no value q"), ({}, {"y": X[:2]}, r"expected of y has the shape \[2\]")])
def test_what_does_not_fit_is_refused(
    tmp_path: Path, inputs: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray], words: str
) -> None:
    with pytest.raises(Problem, match=words):
        run(tmp_path / "a.glowrec", inputs, expected)
