"""compile, run, bench and serve do what they are told, and say so in one place."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glowviz import open_recording
from glowviz.cli.sources import source
from glowviz.compiler.interpreter import run_graph
from tests.cli.conftest import SMALL, Command


def reference(x: np.ndarray) -> np.ndarray:
    return run_graph(source(str(SMALL)), {"x": x})["y"]


def test_compile_writes_a_recording_of_every_step(glowviz: Command) -> None:
    ran = glowviz("compile", "small.glow", "-o", "small.glowrec")
    assert (ran.status, ran.out) == (0, "")
    assert ran.err.startswith("small.glowrec: ")
    assert ran.err.count("\n") == 1
    assert "host calls" not in ran.err
    recording = open_recording("small.glowrec")
    assert sum(row["fired"] for row in recording.passes() if row["name"] == "fold_batchnorm") == 1
    assert recording.passes()[-1]["name"] == "plan_memory"
    assert all(kernel["assembly"] and kernel["llvm"] for kernel in recording.kernels())
    assert not any(kernel["spans"] for kernel in recording.kernels())


def test_compile_obeys_its_options(glowviz: Command) -> None:
    chosen = ["--disable", "fold_batchnorm", "--disable", "cse", "--option", "fuse.max_inputs=2", "--threads", "2",
              "--target", "cpu-avx2", "--shape", "x=1x3x8x8", "--time", "4"]
    assert glowviz("compile", "small.glow", "-o", "small.glowrec", *chosen).status == 0
    recording = open_recording("small.glowrec")
    assert {row["status"] for row in recording.passes() if row["name"] in ("fold_batchnorm", "cse")} == {"off"}
    assert [row["options"] for row in recording.passes() if row["name"] == "fuse"] == [{"max_inputs": 2}]
    meta = recording.meta
    assert (meta["target"], meta["threads"], meta["disabled"]) == ("cpu-avx2", 2, ["cse", "fold_batchnorm"])
    assert meta["options"]["bind_shapes"]["shapes"] == {"x": [1, 3, 8, 8]}
    assert all(len(kernel["spans"][0]["samples"]) == 4 for kernel in recording.kernels())


def test_run_reads_and_writes_arrays(glowviz: Command, folder: Path) -> None:
    x = np.random.default_rng(5).standard_normal((1, 3, 8, 8)).astype(np.float32)
    np.savez("in.npz", x=x)
    assert glowviz("run", "small.glow", "--inputs", "in.npz", "--outputs", "results").status == 0
    with np.load(folder / "results") as out:
        assert out.files == ["y"]
        np.testing.assert_allclose(out["y"], reference(x), rtol=0, atol=2e-5 * np.abs(out["y"]).max())


def test_run_without_inputs_says_that_the_answers_mean_nothing(glowviz: Command) -> None:
    ran = glowviz("run", "small.glow", "--target", "interpreter")
    assert ran.status == 0
    assert ran.out.startswith("y\tfloat32[1x5]\tmin ")
    assert "the answers mean nothing" in ran.err


def test_run_binds_free_dimensions(glowviz: Command, free: Path) -> None:
    ran = glowviz("run", "free.onnx", "--shape", "x=2x7")
    assert ran.status == 0
    assert "float32[2x7]" in ran.out


def test_a_gallery_model_is_named(glowviz: Command) -> None:
    assert "float32[5x1]" in glowviz("run", "gallery:ring", "--shape", "point=5x2").out
    ran = glowviz("run", "gallery:digit")
    assert ran.status == 0
    assert ran.err == "input: the sample 'a 0'; the right answer is 0\n"
    assert ran.out.splitlines()[1].endswith("largest at 0")


def test_quiet_on_a_terminal(glowviz: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert "fuse" in glowviz("run", "small.glow").err
    assert "fuse" not in glowviz("run", "small.glow", "--quiet").err


def test_bench_compares_answers(glowviz: Command, free: Path) -> None:
    import json

    ran = glowviz("bench", free, "--seconds", "0.1", "--shape", "x=1x8", "--json")
    assert ran.status == 0
    told = json.dumps(json.loads(ran.out))
    assert "glowviz" in told
    assert "onnxruntime" in told


def test_the_app_gets_what_the_command_line_says(glowviz: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[dict[str, Any]] = []
    monkeypatch.setattr("glowviz.app.server.serve", lambda **given: called.append(given) or 0)
    assert glowviz("small.glow", "--port", "8099", "--no-browser", "--shape", "x=1x3x8x8").status == 0
    assert glowviz().status == 0
    assert glowviz("serve", "gallery:ring", "--host", "::1").status == 0
    assert called[0] == {"model": "small.glow", "shapes": {"x": (1, 3, 8, 8)}, "host": "127.0.0.1", "port": 8099,
                         "browser": False, "load": [], "cluster": None}
    assert [one["model"] for one in called] == ["small.glow", None, "gallery:ring"]
    assert (called[1]["host"], called[1]["port"], called[1]["browser"]) == ("127.0.0.1", 8050, True)


def test_any_compilation_can_be_recorded(glowviz: Command, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLOWVIZ_RECORD", str(folder / "spy.glowrec"))
    assert glowviz("run", "small.glow").status == 0
    assert open_recording("spy.glowrec").passes()[-1]["name"] == "plan_memory"


def test_debugging_says_more_at_each_level(glowviz: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    said = []
    for level in "1234":
        monkeypatch.setenv("GLOWVIZ_DEBUG", level)
        said.append(glowviz("run", "small.glow").err)
    assert [len(text) for text in said] == sorted(len(text) for text in said)
    assert "fold_batchnorm: " in said[0]
    assert "graph @small(" not in said[0]
    assert "graph @small(" in said[1]
    assert "conv_bn at %norm: " in said[2]
    assert "conv_bn at %norm: " not in said[1]
    refused = re.compile(r"^  (?:keep|miss) \w+ ×\d+: ", re.MULTILINE)
    assert [bool(refused.search(text)) for text in said] == [False, False, False, True]
