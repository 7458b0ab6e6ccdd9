"""The hunt for wrong values names the first one beyond a tolerance, and the first NaN and infinity, in order."""

from pathlib import Path

import numpy as np
import pytest

import glowviz
import glowviz.compiler.pipeline  # registers ops and passes
from glowviz.app.views.values import hunt, hunt_lines
from glowviz.compiler.recording.reader import Recording
from glowviz.compiler.text import parse_graph
from glowviz.compiler.trial_run import TrialRun

TEXT = """graph @g(%x: f32[4]) {
  %a: f32[4] = Abs(%x)
  %b: f32[4] = Sqrt(%x)
  %c: f32[4] = Mul(%a, %b)
  return "y"=%c, "a"=%a
}"""


@pytest.fixture
def recording(tmp_path: Path) -> Recording:
    x = np.array([1, 4, 9, -1], np.float32)
    glowviz.compile(parse_graph(TEXT), target="interpreter", record=tmp_path / "a.glowrec", measured_runs=1,
                    trial=TrialRun({"x": x}, {"a": np.abs(x) * 1.25}))
    return Recording(tmp_path / "a.glowrec")


def test_the_first_bad_value_is_named(recording: Recording) -> None:
    found = hunt(recording)
    rows = found["rows"]
    assert rows["name"][0] == "x"
    assert dict(zip(rows["name"], rows["nans"], strict=True))["b"] == 1
    assert found["against"] == "the given input; against what was expected"
    lines = hunt_lines(found, 1e-4)
    assert lines[1] == "First: a, 0.2."
    assert lines[2] == ("2 values hold NaN; the first is b (1), by Sqrt b, as the model has it. "
                        "It reads x (−1 … 9).")
    assert "First" not in " ".join(hunt_lines(found, 0.3))
    assert "--expected" in hunt_lines({"rows": {"name": []}}, 1.0)[0]
