"""Every lesson is well formed, and each of its steps can be shown on its model; malformed ones are refused in words."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

import glowviz
from glowviz.app.lessons import Lesson, lesson, lessons, read_lesson
from glowviz.app.problem import Problem
from glowviz.compiler import ops  # noqa: F401  # the parser needs every op class
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
    glowviz.compile(graph, target="interpreter", record=tmp_path / "run.glowrec")
    recording = glowviz.open_recording(tmp_path / "run.glowrec")
    fired = {step["name"]: step["snapshot"] for step in reversed(recording.passes()) if step["fired"]}
    for step in one.steps:
        view = step["view"]
        at = view["state"] if "state" in view else fired[view["pass"]]
        names = {node.name for node in recording.nodes(at)}
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
    ("steps:", "gallery: digit\nsteps:", "two"), ("caption", "kaption", "step 1 has no caption"),
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
