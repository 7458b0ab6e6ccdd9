"""The editor runs passes on text: every golden test opens in it, and errors are told with their place."""

import pytest

from glowviz.app.glow_editor import run_passes, worked_examples
from glowviz.app.problem import Problem
from glowviz.compiler.problem import Problem as CompilerProblem

RELUS = """graph @g(%x: f32[4]) {
  %a: f32[4] = Relu(%x)
  %b: f32[4] = Relu(%x)
  %c: f32[4] = Add(%a, %b)
  return "y"=%c
}
"""


@pytest.mark.parametrize("example", worked_examples(), ids=lambda one: f"{one['passes'][:30]} {one['caption'][:40]}")
def test_every_golden_test_opens_in_the_editor(example: dict[str, str]) -> None:
    answer = run_passes(example["text"], [example["passes"].removeprefix("then ")])
    assert answer["text"]
    assert example["caption"]
    if answer["scene"] is not None:
        boxes = answer["scene"]["boxes"]
        assert len({len(column) for column in boxes.values()}) == 1


def test_text_picture_and_reasons_follow() -> None:
    answer = run_passes(RELUS, ["cse"])
    assert answer["text"].count("Relu") == 1
    assert any(line.startswith("cse: ") for line in answer["reasons"])
    state = dict(zip(answer["scene"]["boxes"]["name"], answer["scene"]["boxes"]["state"], strict=True))
    assert state["b"] == 2
    assert set(state) == {"a", "b", "c"}


@pytest.mark.parametrize(("text", "passes", "words"), [
    ("nonsense", [], "line 1"),
    (RELUS, ["share_buffers"], "no pass"),
    (RELUS, ["cse{"], "no pass"),
    (RELUS, ["cse{x=!}"], "no value"),
    (RELUS, ["cse{nothing=1}"], "nothing"),
    ("x" * 300_000, [], "too long"),
])
def test_errors_are_told(text: str, passes: list[str], words: str) -> None:
    with pytest.raises((Problem, CompilerProblem)) as refused:
        run_passes(text, passes)
    assert words in str(refused.value)
