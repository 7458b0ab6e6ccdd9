"""Every lesson is well formed, and each of its steps can be shown on its model; malformed ones are refused in words."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

import glowviz
from glowviz.app.lesson_facts import fact, unshowable, untrue
from glowviz.app.lesson_page import recorded
from glowviz.app.lessons import LETTERS, Lesson, lesson, lessons, read_lesson, taught
from glowviz.app.problem import Problem
from glowviz.compiler import ops  # noqa: F401  # the parser needs every op class
from glowviz.compiler.rewrite import PASSES
from glowviz.compiler.text import parse_graph

GOOD = """title: T
summary: S
minutes: 5
graph: "graph @g(%x: f32[4]) {}"
steps:
  - caption: Look.
    view: {state: 0}
    question: {text: "Which?", options: [a, b, c, d], answer: B}
"""


def documented() -> Lesson:
    """The lesson that docs/lessons.md shows."""
    docs = (Path(__file__).parents[2] / "docs" / "lessons.md").read_text(encoding="utf-8")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "documented.yaml"
        path.write_text(docs.split("```yaml\n")[1].split("```")[0], encoding="utf-8")
        return read_lesson(path)


@pytest.mark.parametrize("one", [*lessons(), documented()], ids=lambda one: one.name)
def test_every_step_can_be_shown(one: Lesson, tmp_path: Path) -> None:
    graph = parse_graph(one.graph)
    assert len(graph) <= 30
    recording = recorded(one, tmp_path / "run.glowrec", runs=1)
    fired = {step["name"]: step["snapshot"] for step in reversed(recording.passes()) if step["fired"]}
    for step in one.steps:
        view = step["view"]
        at = view["state"] if "state" in view else fired[view["pass"]]
        names = {node.name for node in recording.nodes(min(at, recording.last("graph") or 0))}
        assert view.get("selected") is None or view["selected"] in names
        assert step["question"] is None or step["question"]["because"]


def test_the_first_lesson_says_what_happens(tmp_path: Path) -> None:
    one = lesson("1_fold_batchnorm")
    glowviz.compile(parse_graph(one.graph), target="interpreter", record=tmp_path / "run.glowrec")
    recording = glowviz.open_recording(tmp_path / "run.glowrec")
    (step,) = [step for step in recording.passes() if step["name"] == "fold_batchnorm" and step["fired"]]
    assert step["fired"] == 2  # answer C of the third question
    assert [row["reason"] for row in recording.refusals_at("norm3") if row["rule"] == "conv_bn"]


@pytest.mark.parametrize(("before", "after", "words"), [
    ("title: T\n", "", "lacks a field"), ("minutes: 5\n", "minutes: [\n", "no YAML"),
    ("steps:", "gallery: digit\nsteps:", "two"), ("steps:", "load: nowhere.py\nsteps:", "nowhere.py"),
    ("view:", "facts: [1]\n    view:", "facts of step 1"), ("caption", "kaption", "step 1 has no caption"),
    ("state: 0", "colr: 0", "colr"), ("d], answer: B", "d], answer: E", "question of step 1"),
    (", d]", "]", "question of step 1")])
def test_a_malformed_lesson_is_refused_in_words(tmp_path: Path, before: str, after: str, words: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(GOOD)
    assert read_lesson(path).card() == {"name": "bad", "title": "T", "summary": "S", "minutes": 5, "steps": 1,
                                        "questions": 1}
    path.write_text(GOOD.replace(before, after, 1))
    with pytest.raises(Problem, match=words):
        read_lesson(path)


def test_an_unknown_lesson_names_the_known_ones() -> None:
    with pytest.raises(Problem, match="no lesson") as caught:
        lesson("nothing")
    assert "1_fold_batchnorm" in caught.value.expected


@pytest.mark.parametrize("one", lessons(), ids=lambda one: one.name)
def test_what_a_lesson_says_is_what_happens(one: Lesson, tmp_path: Path) -> None:
    recording = recorded(one, tmp_path / "run.glowrec", runs=1)
    assert any(step["facts"] for step in one.steps)
    assert untrue(one, recording) == []


def test_a_lesson_that_is_no_longer_true_goes_red(tmp_path: Path) -> None:
    one = lesson("2_lowering_and_fusion")
    recording = recorded(one, tmp_path / "run.glowrec", runs=1)
    claims = {"fuse.nodes": "8", "why.scores": "9 users", "scheme.worst fit": "1 KiB", "fuse.peak": "48 KiB"}
    (step,) = [step for step in one.steps if step["facts"].get("fuse.fired")]
    silent = {**step, "caption": "It did something.", "facts": claims}
    (nodes, users, scheme, peak) = untrue(replace(one, steps=(silent,)), recording)
    assert nodes == "Step 1 says fuse.nodes is 8; the recording says 7."
    assert users.startswith("Step 1 says why.scores is 9 users;")
    assert scheme == "Step 1: the recording knows no scheme.worst fit."
    assert peak == "Step 1 does not say that fuse.peak is 48 KiB."


def test_a_wrong_pass_is_gone_after_its_lesson(tmp_path: Path) -> None:
    before = dict(PASSES)
    recording = recorded(lesson("4_find_the_wrong_pass"), tmp_path / "run.glowrec", runs=1)
    assert fact(recording, "wrong.pass") == "sink_elementwise"
    assert before == PASSES


def test_three_lessons_fill_ninety_minutes() -> None:
    assert sum(one.minutes for one in lessons()[:3]) == 90
    answers = {LETTERS[step["question"]["answer"]] for one in lessons() for step in one.steps if step["question"]}
    assert answers == {*LETTERS}


@pytest.mark.parametrize("name", [one.name for one in lessons()])
def test_a_lesson_takes_as_long_as_it_says(name: str) -> None:
    """By the rule of docs/lessons.md, within a tenth."""
    found = lesson(name)
    assert taught(found) == pytest.approx(found.minutes, rel=0.1)


def test_a_view_that_cannot_be_shown_is_refused_with_what_was_meant(tmp_path: Path) -> None:
    one = lesson("2_lowering_and_fusion")
    recording = recorded(one, tmp_path / "run.glowrec", runs=1)
    assert not unshowable(one, recording)
    views = ({"pass": "fold_constant"}, {"pass": "cse"}, {"state": 400}, {"state": 0, "selected": "score"})
    told = unshowable(replace(one, steps=tuple({**one.steps[0], "view": view} for view in views)), recording)
    assert told[0] == "Step 1: there is no pass fold_constant; is fold_constants meant?"
    assert told[1] == "Step 2: cse changes nothing here, so there is no state to show."
    assert told[2].startswith("Step 3: there is no state 400; the last one is ")
    assert told[3] == "Step 4: there is no value score; is scores meant?"


def test_lessons_of_ones_own_folder_are_listed_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own.yaml").write_text(GOOD)
    monkeypatch.setenv("GLOWVIZ_LESSONS", str(tmp_path))
    assert [one.name for one in lessons()][-1] == "own"
    assert lesson("own").title == "T"
