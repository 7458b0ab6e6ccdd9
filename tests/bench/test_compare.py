"""The harness measures what it says: ratios, differences, crashes and missing engines, each told in its own row."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from glowviz.bench import Comparison, Report, Row, compare
from glowviz.bench.clock import window
from glowviz.bench.compare import largest_difference
from glowviz.bench.engine import Request, Signature, bound, load
from glowviz.bench.feeds import random_feed
from glowviz.bench.sweep import growth, sweep, swept_shapes
from glowviz.bench.worker import signature_from, signature_to
from glowviz.compiler.backends import backend_named
from glowviz.compiler.problem import Problem
from glowviz.gallery.writer import Net

ODD, SLOW, WRONG = "tests.bench.odd_engines", "tests.bench.slow_engine", "tests.bench.wrong_engine"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two products over a free batch and a free length."""
    net = Net("small")
    x = net.input("x", ["batch", "length", 16])
    x = net.add("Relu", net.linear(x, (16, 16), name="a"), name="relu")
    net.output("y", net.linear(x, (16, 4), name="b"), ["batch", "length", 4])
    path = tmp_path_factory.mktemp("bench") / "small.onnx"
    onnx.save(net.model(), path)
    return path


def compared(model: Path, *engines: str, seconds: float = 0.3,
             shapes: dict[str, tuple[int, ...]] | None = None) -> Comparison:
    return compare([model], engines, seconds=seconds, shapes=shapes).comparisons[0]


def test_an_engine_beside_itself_is_as_fast_and_agrees(model: Path) -> None:
    result = compared(model, "onnxruntime", "onnxruntime", seconds=0.5, shapes={"x": (1, 64, 16)})
    first, second = result.rows
    ratio = result.ratio(second)
    assert ratio is not None
    assert 0.5 < ratio < 2
    assert first.difference == 0
    assert second.difference is None  # it is the reference
    assert len(first.rounds) == len(second.rounds) >= 5
    assert min(len(times) for times in first.rounds) >= 1
    assert result.inputs == {"x": [1, 64, 16]}
    assert first.peak > 10e6
    assert first.load_cpu > 0
    assert first.first_wall > 0


def test_the_peak_is_the_engines_own_not_ours(model: Path) -> None:
    ours = np.ones(60_000_000)  # 480 MB in this process while the engines start
    peak = compared(model, ODD, seconds=0.1).rows[0].peak
    assert ours.nbytes > 400e6 > peak > 10e6


def test_a_slower_engine_gets_its_ratio(model: Path) -> None:
    result = compared(model, ODD, SLOW)
    ratio = result.ratio(result.rows[1])
    assert ratio == pytest.approx(4, rel=0.4)
    assert result.rows[0].least >= 1
    assert result.rows[1].least >= 4


def test_a_wrong_engine_gets_its_difference(model: Path) -> None:
    result = compared(model, WRONG, ODD)
    assert result.rows[0].difference == pytest.approx(0.001 / 3, rel=0.7)


def test_every_call_has_an_input_of_its_own(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ODD_WAY", "same input")
    assert compared(model, ODD, seconds=0.2).rows[0].error == ""


def test_an_engine_that_dies_loses_its_own_row_only(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ODD_WAY", "die")
    dead, slow = compared(model, ODD, SLOW).rows
    assert "status 3" in dead.error
    assert dead.rounds == []
    assert slow.rounds


def test_outputs_of_other_shape_are_infinitely_different(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ODD_WAY", "other shape")
    assert compared(model, ODD, SLOW, seconds=0.1).rows[0].difference == float("inf")


def test_a_flat_output_is_pointed_out(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ODD_WAY", "flat")
    notes = compared(model, SLOW, ODD, seconds=0.1).notes
    assert any("output y hardly varies" in note for note in notes)


def test_loading_is_paid_in_processor_seconds(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ODD_WAY", "slow load")
    assert 0.2 <= compared(model, ODD, seconds=0.1).rows[0].load_cpu < 0.5


@pytest.mark.parametrize(("engine", "said"), [("tvm", "onnxruntime"), ("no.such.engine", "pip install")])
def test_a_missing_engine_is_one_clear_line(model: Path, engine: str, said: str) -> None:
    row = compared(model, ODD, engine, seconds=0.1).rows[1]
    assert said in row.error
    assert "\n" not in row.error
    assert row.rounds == []


def test_free_dimensions_are_asked_for_with_the_option_to_give(model: Path) -> None:
    row = compared(model, "onnxruntime", seconds=0.1).rows[0]
    assert "--shape x=1x?x16" in row.error


def test_a_missing_file_is_refused_at_once() -> None:
    with pytest.raises(Problem, match=r"nowhere\.onnx"):
        compare(["nowhere.onnx"])


def test_free_first_dimension_is_one_and_others_are_given() -> None:
    assert bound("x", ["N", 3, 8, 8], {}) == (1, 3, 8, 8)
    assert bound("x", [None, 3], {"x": (4, 3)}) == (4, 3)
    assert bound("x", [10, 3], {}) == (10, 3)
    with pytest.raises(Problem, match=r"--shape x=1x3x\?"):
        bound("x", ["N", 3, "H"], {})


def test_the_engine_binds_named_dimensions(model: Path) -> None:
    engine = load("onnxruntime", Request(str(model), {"x": (2, 5, 16)}, threads=1))
    signature = engine.signature()
    assert signature is not None
    assert signature == Signature({"x": ((2, 5, 16), "float32")}, ("y",))
    assert engine.run(random_feed(signature, 3))["y"].shape == (2, 5, 4)


def test_feeds_repeat_by_seed_and_know_masks_and_tokens() -> None:
    whole = {"input_ids": ((1, 200), "int64"), "attention_mask": ((1, 9), "int64")}
    signature = Signature({"x": ((2, 3), "float32"), **whole, "token_type_ids": ((1, 9), "int64")}, ("y",))
    one, two, other = (random_feed(signature, seed) for seed in (1, 1, 2))
    assert all((one[name] == two[name]).all() for name in one)
    assert not (one["x"] == other["x"]).any()
    assert one["input_ids"].dtype == np.int64
    assert 0 <= one["input_ids"].min() < 10 < one["input_ids"].max() < 100
    assert (one["attention_mask"] == 1).all()
    assert (one["token_type_ids"] == 0).all()


def test_signatures_travel_as_json() -> None:
    signature = Signature({"x": ((1, 2), "float32"), "s": ((), "int64")}, ("a", "b"))
    assert signature_from(json.loads(json.dumps(signature_to(signature)))) == signature


def test_a_window_calls_at_least_once_and_until_its_time_is_over() -> None:
    seen: list[int] = []
    times, _ = window(lambda feed: seen.append(int(feed["x"][0])), lambda seed: {"x": np.array([seed])}, 0.0, 10)
    assert (len(times), seen) == (1, [10, 11])
    times, _ = window(lambda feed: sum(range(20_000)), lambda seed: {}, 0.01, 0)
    assert sum(times) >= 0.01e9
    assert sum(times[:-1]) < 0.01e9


def test_differences_are_relative_to_the_largest_value() -> None:
    theirs = {"y": np.array([1.0, -10.0]), "z": np.array([1.0])}
    assert largest_difference({"y": np.array([1.5, -10.0]), "z": np.array([1.0])}, theirs) == pytest.approx(0.05)
    assert largest_difference({"y": np.array([1.0, np.nan]), "z": np.array([1.0])}, theirs) == float("inf")
    assert largest_difference({"y": np.array([1.0, -10.0])}, theirs) == float("inf")
    assert largest_difference(theirs, theirs) == 0


def test_ratio_is_the_median_over_rounds() -> None:
    ours = Row("ours", rounds=[[10, 12], [10], [1000]])
    theirs = Row("theirs", rounds=[[20], [30, 40], [1000]])
    assert Comparison("m", 1, {}, [ours, theirs]).ratio(theirs) == 2
    assert Comparison("m", 1, {}, [ours, theirs]).ratio(ours) is None


def test_the_table_has_a_line_an_engine_and_the_json_every_call() -> None:
    ours = Row("ours", "1.0", rounds=[[1_000_000, 2_000_000, 3_000_000]], difference=1e-6)
    broken = Row("theirs", error="it is not installed")
    report = Report([Comparison("net", 2, {"x": [1, 3]}, [ours, broken], ["a note"])])
    text = report.text()
    assert "net   x 1×3   2 threads" in text
    assert "1.000" in text
    assert "2.000" in text
    assert "1.0e-06" in text
    assert "theirs                it is not installed" in text
    assert "note: a note" in text
    data = json.loads(report.json())["comparisons"][0]["rows"]
    assert data[0]["rounds"] == [[1_000_000, 2_000_000, 3_000_000]]
    assert (data[0]["min_ms"], data[0]["median_ms"], data[0]["calls"]) == (1, 2, 3)
    assert "min_ms" not in data[1]


def times(engine: str, *rounds: float, difference: float | None = 0.0) -> Row:
    return Row(engine, rounds=[[round(1e6 * time)] for time in rounds], difference=difference)


def test_the_table_holds_us_against_the_fastest_right_peer() -> None:
    from benchmarks.goals import missed, table
    rows = [times("glowviz", 10), times("onnxruntime", 30, difference=None), times("openvino", 11)]
    rows.append(times("mnn", 1, difference=9))
    net = Comparison("bert", 1, {}, rows)
    assert "openvino" in table([net])
    assert "1.10" in table([net])
    assert table([net]).endswith("met")
    assert missed([net]) == []
    rows[2] = times("openvino", 10.5)
    assert table([net]).endswith("MISSED")
    assert missed([net]) == ["bert: 1.05 x the speed of openvino, must be 1.08"]
    gone = Comparison("gpt2_small", 1, {}, [Row("glowviz", error="no"), rows[1]])
    assert missed([gone]) == ["gpt2_small: glowviz gave no times: no"]
    assert "geometric mean of 1" not in table([net])
    assert "geometric mean of 2" in table([net, net])


def test_each_precision_has_its_goals() -> None:
    from benchmarks.goals import missed, table
    rows = [times("glowviz", 10, difference=1e-2), times("onnxruntime", 30, difference=None)]
    rows.append(times("openvino", 9.8, difference=2e-2))  # bf16 differs more, and is right all the same
    net = Comparison("bert", 1, {}, rows, precision="bf16")
    assert "openvino" in table([net])
    assert table([net]).endswith("met")
    assert missed([net]) == []
    assert missed([Comparison("bert", 1, {}, [rows[0], rows[1], times("openvino", 9.8)])]) != []


@pytest.mark.skipif(not backend_named("cpu").target.has_bf16, reason="this processor has no avx512_bf16")
def test_engines_of_f32_stand_beside_those_of_bf16(model: Path) -> None:
    report = compare([model], ("glowviz", "onnxruntime"), seconds=0.1, shapes={"x": (1, 4, 16)}, precision="bf16")
    ours, theirs = report.comparisons[0].rows
    assert (ours.precision, theirs.precision) == ("bf16", "f32")
    assert ours.difference is not None
    assert 1e-5 < ours.difference < 3e-2
    assert "1 thread   bf16" in report.text()


def test_rounds_whose_cores_did_not_scale_do_not_count() -> None:
    ours, peer = times("glowviz", 1, 1, 9, 1), times("onnxruntime", 2, 2, 9, 2)
    slow = Comparison("net", 2, {}, [ours, peer], slowdowns=[1.0, 1.1, 1.9, 1.0])
    assert slow.counted == [0, 1, 3]
    assert slow.ratio(peer) == 2
    nothing_scaled = Comparison("net", 2, {}, [ours, peer], slowdowns=[1.9, 1.9, 1.9, 1.0])
    assert nothing_scaled.counted == [0, 1, 2, 3]


def test_an_engine_may_have_threads_of_its_own(model: Path) -> None:
    result = compare([model], ("onnxruntime", "onnxruntime@1"), threads=2, seconds=0.1,
                     shapes={"x": (1, 4, 16)}).comparisons[0]
    assert [row.engine for row in result.rows] == ["onnxruntime", "onnxruntime@1"]
    assert len(result.slowdowns) == len(result.rows[0].rounds)
    assert all(0.3 < slowdown < 30 for slowdown in result.slowdowns)
    assert any("rounds the cores scaled" in note for note in result.notes)


def test_the_benchmark_models_exist() -> None:
    from benchmarks.run import BUILDERS, MODELS
    assert set(MODELS) <= set(BUILDERS)


def test_a_sweep_compares_every_combination_of_sizes(model: Path) -> None:
    report = sweep(model, {"batch": (1, 3), "length": (5, 8)}, seconds=0.05)
    assert [one.inputs["x"] for one in report.comparisons] == [[1, 5, 16], [1, 8, 16], [3, 5, 16], [3, 8, 16]]
    for one in report.comparisons:
        assert one.rows[0].difference is not None
        assert one.rows[0].difference < 1e-5
    lines = growth(report).splitlines()
    assert lines[0].split() == ["shapes", "glowviz", "ms", "onnxruntime", "ms", "ratio", "max", "diff", "first", "s"]
    assert [line.split()[0] for line in lines[1:]] == ["x=1x5x16", "x=1x8x16", "x=3x5x16", "x=3x8x16"]


def test_what_is_not_swept_has_its_proposed_or_given_size(model: Path) -> None:
    assert swept_shapes(model, {"batch": (2,)}, {}) == [{"x": (2, 128, 16)}]
    assert swept_shapes(model, {"batch": (2, 4)}, {"x": (1, 9, 16)}) == [{"x": (2, 9, 16)}, {"x": (4, 9, 16)}]
    with pytest.raises(Problem, match=r"no open dimension 'width'.*batch, length"):
        swept_shapes(model, {"width": (1,)}, {})
