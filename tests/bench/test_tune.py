"""tune tries at most four schedules a kernel, keeps what is faster, and later compilations find it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

import glowviz
from glowviz.bench.tune import Tried, told, tune
from glowviz.cli import main
from glowviz.compiler.backends.cpu.tuned import MOST, fitting, keep_tuned, load_tuned, tuned_file
from glowviz.compiler.problem import Problem
from glowviz.gallery.writer import Net


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two equal products and a cache of their own."""
    monkeypatch.setenv("GLOWVIZ_CACHE", str(tmp_path / "cache"))
    net = Net("small")
    x = net.input("x", [1, 48, 64])
    for name in "ab":
        x = net.add("Relu", net.linear(x, (64, 64), name=name), name=f"{name}.relu")
    net.output("y", x, [1, 48, 64])
    path = tmp_path / "small.onnx"
    onnx.save(net.model(), path)
    return path


def test_every_kernel_is_tried_and_what_is_kept_is_used(model: Path) -> None:
    said: list[str] = []
    (tried,) = tune(model, progress=said.append)
    assert tried.uses == 2
    assert 1 < len(tried.schedules) == len(tried.times) <= MOST
    assert all(time > 0 for time in tried.times)
    assert [told(schedule) for schedule in tried.schedules] == list(dict.fromkeys(map(told, tried.schedules)))
    assert tried.text().count("µs") == len(tried.schedules)
    assert str(tuned_file()) in said[-1]
    mine = tried.schedules[-1] | {"why": "tuned: by this test"}
    keep_tuned({tried.key: mine})
    x = {"x": np.random.default_rng(0).normal(size=(1, 48, 64)).astype(np.float32)}
    used = glowviz.compile(model)
    assert [listing.why for listing in used.listing()] == ["tuned: by this test"] * 2
    plain = glowviz.compile(model, options={"choose_schedules": {"tuned": False}})
    assert not any("tuned" in listing.why for listing in plain.listing())
    assert np.allclose(used.run(x)["y"], plain.run(x)["y"], atol=1e-5)
    keep_tuned({tried.key: None})
    assert load_tuned() == {}


def test_the_default_keeps_its_place_in_a_draw() -> None:
    tried = Tried("y", 1, "key", ({"rows": 1}, {"rows": 2}), (100.0, 99.0))
    assert tried.best == 0
    assert replace(tried, times=(100.0, 90.0)).best == 1
    assert replace(tried, times=(100.0, 90.0)).text().splitlines()[2].startswith("> ")


def test_tiles_that_were_not_chosen_are_not_brought_back_by_the_cache() -> None:
    tiles, direct = {"algorithm": "winograd", "outputs": 4}, {"algorithm": "direct"}
    assert fitting(tiles, None) is None
    assert fitting(tiles, {"outputs": 2}) is None
    assert fitting(tiles, {"outputs": 4}) is tiles
    assert fitting(direct, {"outputs": 4}) is direct


def test_a_broken_cache_is_an_empty_one(model: Path) -> None:
    tuned_file().parent.mkdir(parents=True, exist_ok=True)
    for text in ("no json", "[1]", '{"key": 3}'):
        tuned_file().write_text(text)
        assert load_tuned() == {}
    assert glowviz.compile(model).listing()


def test_targets_without_schedules_are_refused(model: Path) -> None:
    with pytest.raises(Problem, match="no schedules to try"):
        tune(model, target="interpreter")


def test_the_command_says_what_it_tried(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tune", str(model), "--quiet"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith(" x2")
    assert "of 1 kernels have a faster schedule" in lines[-1]
