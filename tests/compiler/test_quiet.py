"""One process of a machine times at once; a timing that was not alone says so, and the machine's peaks are sane."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import glowviz
import glowviz.compiler.pipeline  # registers ops and passes
from glowviz.compiler.quiet import Quiet, alone
from glowviz.compiler.text import parse_graph

HOLDER = """
import sys, time
from pathlib import Path
from glowviz.compiler.quiet import alone
with alone(lock=Path(sys.argv[1])) as quiet:
    print(quiet.sole, flush=True)
    sys.stdin.readline()
"""
TEXT = """graph @timed(%x: f32[1x8x16x16]) {
  const %w: f32[16x8x3x3] = normal(seed=1)
  %c: f32[1x16x16x16] = Conv(%x, %w) {strides=[1, 1], pads=[1, 1, 1, 1]}
  %y: f32[1x16x16x16] = Relu(%c)
  return "y"=%y
}
"""


def test_a_second_timing_waits_and_then_says_that_it_is_not_alone(tmp_path: Path) -> None:
    lock, waited = tmp_path / "lock", list[str]()
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "True\n"
        with alone(waited.append, patience=0.2, lock=lock) as quiet:
            assert not quiet.sole
        assert waited == ["Kernels: waiting for another timing on this machine"]
        assert not quiet.alone
        assert "another timing" in str(quiet)
        other.communicate("go\n")
    with alone(waited.append, lock=lock) as quiet:
        assert quiet.sole
    assert len(waited) == 1


def test_a_lock_that_cannot_be_had_is_told(tmp_path: Path) -> None:
    with alone(lock=tmp_path / "no folder" / "lock") as quiet:
        pass
    assert not quiet.sole
    assert not quiet.alone


@pytest.mark.parametrize(
    ("quiet", "told"),
    [
        (Quiet(True, 0.05), "timed alone"),
        (Quiet(True, 1.5), "not alone: other processes used 1.5 of"),
        (Quiet(True, None), "not known"),
        (Quiet(False, 0.0), "another timing may have run"),
    ],
)
def test_what_is_told(quiet: Quiet, told: str) -> None:
    assert told in str(quiet)


def test_a_recording_says_whether_it_was_timed_alone_and_has_measured_peaks(tmp_path: Path) -> None:
    path = tmp_path / "timed.glowrec"
    glowviz.compile(parse_graph(TEXT), record=path, measured_runs=2)
    recording = glowviz.open_recording(path)
    timing, facts = recording.meta["timing"], recording.meta["target_facts"]
    assert timing["alone"] in (True, False)
    assert recording.query("SELECT note FROM runs")[0][0].endswith(timing["told"])
    assert facts["peak_gflops"] > 1
    assert list(facts["peak_gbytes"])[-1] == "memory"
    assert all(rate > 0.5 for rate in facts["peak_gbytes"].values())
    (halo,) = recording.query("SELECT bytes, why FROM kernels WHERE instruction = 'fill_halo'")
    assert 0 < halo["bytes"] < 8 * 16 * 16 * 4  # the border alone: what is inside stays
