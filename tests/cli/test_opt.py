"""opt is a Unix filter: text in, text out, piped as often as one likes; every golden file runs through it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from glowviz.cli.text_filter import pass_list
from glowviz.compiler.text import parse_graph, parse_program
from glowviz.compiler.validate import compare
from tests.cli.conftest import SMALL, Command
from tests.compiler.golden_files import ROOT, SPEC, golden_paths, read


def test_a_pass_changes_the_text(glowviz: Command) -> None:
    ran = glowviz("opt", "small.glow", "--passes", "arithmetic,fold_batchnorm,dce")
    assert (ran.status, ran.err) == (0, "")
    before = parse_graph(SMALL.read_text())
    assert "BatchNormalization" not in ran.out
    assert " Mul(" not in ran.out
    assert len(before) - 2 == ran.out.count(" = ") - ran.out.count("const ")


def test_standard_input_is_read(glowviz: Command) -> None:
    text = SMALL.read_text()
    assert glowviz("opt", "-", "--passes", "cse", stdin=text).out == glowviz("opt", "small.glow", "--passes", "cse").out


def test_no_pass_prints_the_text_in_its_one_form(glowviz: Command) -> None:
    once = glowviz("opt", "small.glow", "--passes", "").out
    assert glowviz("opt", "-", "--passes", "", stdin=once).out == once


def test_folded_weights_go_through_a_pipe_twice(glowviz: Command) -> None:
    first = glowviz("opt", "small.glow", "--passes", "arithmetic,fold_batchnorm,dce").out
    assert "sha256:" in first
    second = glowviz("opt", "-", "--passes", "fuse", stdin=first)
    assert second.status == 0
    assert "Fused(" in second.out
    third = glowviz("opt", "-", "--passes", "irgen,share_buffers,plan_memory", stdin=second.out)
    assert third.status == 0
    assert third.out.startswith("program @small {")
    assert " at 0x" in third.out


def test_a_program_is_read_and_written(glowviz: Command) -> None:
    whole = glowviz("opt", "small.glow", "--passes", "irgen,copy_elimination,plan_memory").out
    parts = glowviz("opt", "small.glow", "--passes", "irgen").out
    assert glowviz("opt", "-", "--passes", "copy_elimination,plan_memory", stdin=parts).out == whole
    assert compare(parse_graph(SMALL.read_text()), parse_program(parts)).within(1e-6)


def test_the_shell_pipes_it(folder: Path) -> None:
    command = [sys.executable, "-m", "glowviz", "opt"]
    first = subprocess.Popen([*command, "small.glow", "--passes", "arithmetic,fold_batchnorm"], stdout=subprocess.PIPE)
    second = subprocess.run([*command, "-", "--passes", "dce,fuse"], stdin=first.stdout, capture_output=True, text=True,
                            check=True)
    assert first.stdout is not None
    first.stdout.close()
    assert first.wait() == 0
    assert second.stdout.startswith("graph @small(")
    assert second.stderr == ""


def test_a_reader_that_goes_away_is_no_fault(folder: Path) -> None:
    Path("big.glow").write_text("graph @big(%x: f32[4]) {\n" + "".join(
        f"  %y{k}: f32[4] = Relu(%{'x' if k == 0 else f'y{k - 1}'})\n" for k in range(4000)) +
        '  return "y"=%y3999\n}\n')
    ran = subprocess.run(f"{sys.executable} -m glowviz opt big.glow --passes cse | head -1; exit ${{PIPESTATUS[0]}}",
                         shell=True, executable="/bin/bash", capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == "graph @big(%x: f32[4]) {\n"


def test_a_pass_from_a_file(glowviz: Command, wrong_rule: Path) -> None:
    ran = glowviz("opt", "small.glow", "--passes", "arithmetic", "--load", wrong_rule)
    assert "Abs(" in ran.out


@pytest.mark.usefixtures("own_passes")
def test_the_pass_of_the_docs(glowviz: Command, folder: Path) -> None:
    page = (ROOT.parent.parent / "docs" / "adding-a-pass.md").read_text(encoding="utf-8")
    (folder / "drop_zero.py").write_text(page.split("```python\n")[1].split("```")[0])
    text = """graph @g(%x: f32[3]) {
  const %zero: f32[3] = [0.0, 0.0, 0.0]
  %sum: f32[3] = Add(%x, %zero)
  %y: f32[3] = Relu(%sum)
  return "y"=%y
}"""
    after = glowviz("opt", "-", "--load", "drop_zero.py", "--passes", "drop_zero", stdin=text).out
    assert "%y: f32[3] = Relu(%x)" in after
    assert "Add" not in after


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("dce", [("dce", {})]),
        ("dce, fuse{a=2, b=4},cse", [("dce", {}), ("fuse", {"a": 2, "b": 4}), ("cse", {})]),
        ("a{x=1.5,y=true,z=word,w=none}", [("a", {"x": 1.5, "y": True, "z": "word", "w": None})]),
        ("", []),
    ],
)
def test_pass_lists(text: str, expected: list) -> None:
    assert pass_list(text) == expected


@pytest.mark.parametrize("path", golden_paths(), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_golden_files_run_through_opt(glowviz: Command, path: Path) -> None:
    """The first graph of every golden file, through its passes, by the command line."""
    golden = read(path.read_text())
    passes = []
    for section in golden.sections:
        found = SPEC.match(section.spec)
        assert found is not None
        passes.append(found[2] + (f"{{{found[3]}}}" if found[3] else ""))
        if not found[1]:
            passes = passes[-1:]  # the section starts from the first graph
        ran = glowviz("opt", "-", "--passes", ",".join(passes), "--target", "interpreter", stdin=golden.head)
        assert (ran.status, ran.err) == (0, "")
        if not golden.head.count("// target:") and "target" not in section.spec:
            assert ran.out.strip() == section.text


def test_every_golden_folder_is_a_pass() -> None:
    assert {path.parent for path in golden_paths()} <= {folder for folder in ROOT.iterdir() if folder.is_dir()}
    assert len(golden_paths()) > 100
