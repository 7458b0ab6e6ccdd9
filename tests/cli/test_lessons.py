"""Lessons are listed and built from the command line; one that is not true is refused with the step's number."""

from pathlib import Path

from tests.cli.conftest import Command

TEXT = """title: T
summary: S
minutes: 5
graph: |
  graph @g(%x: f32[4]) {{
    %a: f32[4] = Relu(%x)
    %b: f32[4] = Relu(%a)
    return "y"=%b
  }}
steps:
  - caption: Two boxes, of which clean_clips leaves 1 box.
    view: {{state: 0}}
    facts: {{imported.nodes: 2, clean_clips.nodes: {left}}}
"""


def test_a_lesson_becomes_one_file(glowviz: Command, folder: Path) -> None:
    (folder / "mine.yaml").write_text(TEXT.format(left=1))
    ran = glowviz("lesson", "build", "mine.yaml", "-o", "mine.html")
    assert (ran.status, ran.out) == (0, "")
    assert "without server" in ran.err
    page = (folder / "mine.html").read_text(encoding="utf-8")
    assert '"title":"T"' in page
    assert len(page) < 3 << 20


def test_a_lesson_that_is_not_true_is_refused(glowviz: Command, folder: Path) -> None:
    (folder / "mine.yaml").write_text(TEXT.format(left=2))
    ran = glowviz("lesson", "build", "mine.yaml", "-o", "mine.html")
    assert ran.status != 0
    assert "Step 1 says clean_clips.nodes is 2; the recording says 1." in ran.err
    assert not (folder / "mine.html").exists()


def test_the_list_names_them(glowviz: Command) -> None:
    assert "3_memory_planning\t30 min" in glowviz("lesson", "list").out
    assert glowviz("lesson", "build").status != 0
    assert "There is no lesson" in glowviz("lesson", "build", "nothing", "-o", "x.html").err
