"""validate and bisect find a planted miscompile, down to the rewrite, and save it; diff says what differs."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from glowviz.cli.sources import source
from glowviz.compiler.interpreter import run_graph
from tests.cli.conftest import Command


def test_validate_holds_every_pass_to_its_promise(glowviz: Command) -> None:
    ran = glowviz("validate", "small.glow")
    assert ran.status == 0
    lines = ran.out.splitlines()
    assert lines[0].split() == ["pass", "found", "promised"]
    assert all(line.endswith(" ok") for line in lines[1:])
    assert [line.split()[0] for line in lines if line.startswith("fold_batchnorm")] == ["fold_batchnorm"]
    assert any("irgen" in line for line in lines)


def test_validate_names_the_broken_pass(glowviz: Command, wrong_rule: Path) -> None:
    ran = glowviz("validate", "small.glow", "--load", wrong_rule)
    assert ran.status == 1
    broken = [line for line in ran.out.splitlines() if line.endswith("BROKEN")]
    assert [line.split()[0] for line in broken] == ["arithmetic"]
    assert "output 'y' differs by" in broken[0]


def test_bisect_finds_nothing_where_nothing_is_wrong(glowviz: Command) -> None:
    ran = glowviz("bisect", "small.glow")
    assert (ran.status, ran.err) == (0, "")
    assert ran.out == "no pass breaks its promise\n"
    ran = glowviz("bisect", "small.glow", "--tolerance", "1e-4")
    assert (ran.status, ran.out) == (0, "no pass changes a result by more than 0.0001 of its largest value\n")


def test_bisect_names_pass_and_rewrite_and_saves_the_cut_out(glowviz: Command, wrong_rule: Path, folder: Path) -> None:
    ran = glowviz("bisect", "small.glow", "--load", wrong_rule, "--save", "cut.onnx", "--seed", "3")
    assert ran.status == 1
    first, second, third, fourth, fifth = ran.out.splitlines()
    assert first.startswith("arithmetic is the first pass whose result is wrong: output 'y' differs by ")
    assert second == "rewrite 2: relu_is_abs at %act: %act was thought to be never negative"
    assert third == "  %act: f32[1x4x8x8] = Relu(%norm) became Abs(%norm)"
    assert re.fullmatch(r"%act\[0, \d, \d, \d\]: expected 0, found [\d.]+", fourth)
    assert fifth == "cut.onnx, cut.glow, test_cut.py: 1 node that arithmetic still gets wrong"
    assert 'PASSES["arithmetic"]' in (folder / "test_cut.py").read_text()
    onnx.checker.check_model(str(folder / "cut.onnx"), full_check=True)
    cut = source("cut.glow")
    assert [node.kind for node in cut.nodes.values()] == ["Relu"]
    rng = np.random.default_rng(1)
    feeds = {name: rng.standard_normal(kind.dims).astype(np.float32) for name, kind in cut.inputs.items()}
    theirs = onnxruntime.InferenceSession("cut.onnx").run(None, feeds)
    for ours, other in zip(run_graph(cut, feeds).values(), theirs, strict=True):
        np.testing.assert_allclose(ours, other, rtol=0, atol=1e-5 * np.abs(other).max())


def test_the_saved_text_shows_the_same_fault(glowviz: Command, wrong_rule: Path) -> None:
    glowviz("bisect", "small.glow", "--load", wrong_rule, "--save", "cut.onnx")
    assert glowviz("bisect", "cut.glow", "--load", wrong_rule).status == 1
    assert glowviz("bisect", "cut.onnx", "--load", wrong_rule).status == 1


def test_a_fault_beside_the_rules_is_narrowed_to_the_node(glowviz: Command, wrong_rule: Path) -> None:
    harm = """nodes = dict(graph.nodes)
    nodes["act"] = nodes["act"].evolve(op=Abs(nodes["act"].op.x))
    return graph.evolve(nodes=nodes)"""
    text = wrong_rule.read_text()
    wrong_rule.write_text(text.replace("return apply(graph, (times_one, relu_is_abs))", harm))
    ran = glowviz("bisect", "small.glow", "--load", wrong_rule)
    assert ran.status == 1
    assert "rewrite 1: arithmetic at %act: %act: f32[1x4x8x8] = Relu(%same) became Abs(%same)" in ran.out


def test_bisect_by_pattern_and_by_memory(glowviz: Command, folder: Path) -> None:
    ran = glowviz("bisect", "small.glow", "--pattern", "Conv > BatchNormalization", "--absent", "--save", "part.onnx")
    assert ran.status == 1
    assert ran.out.startswith("fold_batchnorm (pass ")
    assert "rewrite 1: conv_bn at %" in ran.out
    assert "part.onnx" in ran.out
    assert {"part.onnx", "part.glow", "test_part.py"} <= {path.name for path in folder.iterdir()}
    assert glowviz("bisect", "small.glow", "--peak", "100").out == "no pass does that\n"
    refused = glowviz("bisect", "small.glow", "--pattern", "Konv")
    assert refused.status == 2
    assert "There is no op 'Konv'" in refused.err


def test_diff_of_two_recordings(glowviz: Command) -> None:
    glowviz("compile", "small.glow", "-o", "a.glowrec")
    glowviz("compile", "small.glow", "-o", "b.glowrec", "--disable", "fold_batchnorm", "--target", "interpreter")
    ran = glowviz("diff", "a.glowrec", "b.glowrec")
    assert (ran.status, ran.err) == (0, "")
    lines = ran.out.splitlines()
    row = next(line for line in lines if line.startswith("fold_batchnorm"))
    assert "→ off" in row
    assert "1 of 1, 5 left → off" in row
    assert any(line.startswith("pack_weights") and "–" in line for line in lines)
    assert "Switched off: none → fold_batchnorm" in lines
    assert "Target: cpu → interpreter" in lines
    assert any(line.split()[:1] == ["Memory"] and "KiB" in line for line in lines)


def test_diff_of_a_recording_with_itself_says_so(glowviz: Command) -> None:
    glowviz("compile", "small.glow", "-o", "a.glowrec")
    assert "→" not in glowviz("diff", "a.glowrec", "a.glowrec").out
