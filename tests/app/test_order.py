"""The order of passes is data: it is read, written and changed, refused with a reason, and a what-if run uses it."""

import time
from pathlib import Path

import pytest

import glowviz
from glowviz.app.order import moved, order_of, order_text, read_order
from glowviz.app.problem import Problem
from glowviz.app.store import Store
from glowviz.app.views.why import why
from glowviz.app.workshop import JobWorkshop
from glowviz.compiler import ops  # noqa: F401  # the parser needs every op class
from glowviz.compiler.recording.reader import Recording
from glowviz.compiler.recording.records import PassLog, Refusal
from glowviz.compiler.recording.writer import Recorder, Step
from glowviz.compiler.rewrite import PassProblem
from glowviz.compiler.text import parse_graph
from tests.app.test_recordings import TEXT

BEFORE = """graph @g(%x: f32[1x3x8x8]) {
  const %w: f32[4x3x3x3] = normal(seed=7)
  const %g: f32[4] = [1.0, 2.0, 0.5, 1.5]
  %c: f32[1x4x8x8] = Conv(%x, %w) {strides=[1, 1], pads=[1, 1, 1, 1]}
  %n: f32[1x4x8x8] = BatchNormalization(%c, %g, %g, %g, %g)
  return "y"=%n
}"""
AFTER = BEFORE.replace("  %n:", "  %t: f32[1x4x8x8] = Neg(%c)\n  %n:").replace("(%c, %g", "(%t, %g")


def test_an_order_survives_its_text() -> None:
    order = order_of({})
    assert read_order(order_text(order)) == order


def test_a_pass_is_moved_before_another() -> None:
    order = {"A": ["one", "two"], "B": ["three", "two"]}
    assert moved(order, "three", 1) == {"A": ["one", "three", "two"], "B": ["two"]}
    assert moved(order, "two", 2) == {"A": ["one", "two"], "B": ["two", "three"]}
    with pytest.raises(Problem, match="does not run after"):
        moved(order, "one", 1)


@pytest.mark.parametrize(("text", "words"), [
    ("- a", "stages with lists"), ("{", "no YAML"), ("A: [nonsense]", "no graph pass"),
    ("A: [bind_shapes, fuse, lower]", "must run after lower"), ("A: [cse]", "leaves out bind_shapes"),
    ("A: [bind_shapes, share_buffers]", "no graph pass")])
def test_an_order_that_cannot_be_is_refused_with_the_reason(text: str, words: str) -> None:
    with pytest.raises(Problem, match=words):
        read_order(text)


def test_the_compiler_runs_the_order_it_is_given(tmp_path: Path) -> None:
    order = order_of({})
    order["Simplify"] = ["fold_batchnorm", *(name for name in order["Simplify"] if name != "fold_batchnorm")]
    record = tmp_path / "run.glowrec"
    glowviz.compile(parse_graph(TEXT), target="interpreter", record=record, order=order)
    steps = glowviz.open_recording(record).passes()
    assert next(step["name"] for step in steps if step["stage"] == "Simplify") == "fold_batchnorm"
    with pytest.raises(PassProblem, match="leaves out"):
        glowviz.compile(parse_graph(TEXT), target="interpreter", order={"Import": ["cse"]})


@pytest.fixture
def broken_pattern(tmp_path: Path) -> Recording:
    """A made-up run in which sink_transposes puts a node between a Conv and its BatchNormalization."""
    recorder = Recorder(tmp_path / "w.glowrec", {"state": "running", "disabled": [], "model": "m", "target": "cpu"})
    graph, later = parse_graph(BEFORE), parse_graph(AFTER)
    for name, stage, one in (("import", "Import", graph), ("bind_shapes", "Import", graph),
                             ("sink_transposes", "Simplify", later)):
        recorder.step(Step(name, stage, "graph"), graph=one)
    log = PassLog()
    log.refuse(Refusal("conv_bn", "n", "miss", "not here", "Conv", "Neg", "t"), "not here")
    recorder.step(Step("fold_batchnorm", "Simplify", "graph", log=log), graph=later)
    recorder.finish("done")
    return Recording(tmp_path / "w.glowrec")


def test_why_not_says_in_which_order_a_rule_would_fire(broken_pattern: Recording) -> None:
    (remark,) = [one for one in why(broken_pattern, 3, "n")["remarks"] if one["rule"] == "conv_bn"]
    assert remark["would"] == "Would fire if fold_batchnorm ran before sink_transposes (pass 2)."
    assert remark["action"]["before"] == {"pass": "fold_batchnorm", "snapshot": 2}
    assert remark["action"]["label"] == "Try it"


def test_a_what_if_run_moves_the_pass(tmp_path: Path) -> None:
    workshop = JobWorkshop(Store(tmp_path / "store"))
    path = tmp_path / "small.glow"
    path.write_text(TEXT)
    first = workshop.open_path(path)["recording"]
    names = [step for steps in order_of({}).values() for step in steps]
    place = names.index("sink_transposes")
    made = workshop.compile({"recording": first, "before": {"pass": "fold_batchnorm", "snapshot": place + 1}})
    assert made["recording"] != first
    end = time.monotonic() + 60
    while workshop.job(made["recording"])["state"] in ("queued", "running") and time.monotonic() < end:
        time.sleep(0.05)
    steps = glowviz.open_recording(workshop.store.recording_path(made["recording"])).passes()
    assert [step["name"] for step in steps[place + 1 : place + 3]] == ["fold_batchnorm", "sink_transposes"]
    assert "fold_batchnorm, eliminate_noop" not in workshop.order(first)["yaml"]
    assert read_order(workshop.order(made["recording"])["yaml"]) != read_order(workshop.order(first)["yaml"])
    workshop.close()
