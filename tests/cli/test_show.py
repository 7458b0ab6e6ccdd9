"""show says what the app says: passes, changes with reasons, lives, refusals, memory, kernels and their code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from glowviz import open_recording
from glowviz.cli.show import PARTS
from tests.cli.conftest import Command


def test_passes_are_the_default(glowviz: Command, recorded: Path) -> None:
    ran = glowviz("show", recorded)
    assert (ran.status, ran.err) == (0, "")
    rows = ran.out.splitlines()[1:]
    assert len(rows) == len(open_recording(recorded))
    (folded,) = [row for row in rows if " fold_batchnorm " in row and "Conv + BatchNormalization → Conv" in row]
    assert "1 of 1" in folded
    assert "−1" in folded


def test_changes_say_why(glowviz: Command, recorded: Path) -> None:
    ran = glowviz("show", recorded, "changes", "fold_batchnorm")
    assert ran.out.startswith("fold_batchnorm: 1 change by 1 rule")
    assert "both sets of weights are constant" in " ".join(ran.out.split())
    assert glowviz("show", recorded, "changes", "--at", "fold_batchnorm").out == ran.out


def test_the_life_of_a_value_and_of_one_that_is_gone(glowviz: Command, recorded: Path) -> None:
    lives = glowviz("show", recorded, "life", "act").out
    assert "Born at import" in lives
    assert "fuse took" in lives
    assert "Now: instruction" in lives
    gone = glowviz("show", recorded, "life", "conv").out
    assert gone.splitlines()[0].endswith("· gone")


def test_why_not(glowviz: Command) -> None:
    text = Path("small.glow").read_text().replace('return "y"=%y', 'return "y"=%y, "conv"=%conv')
    Path("two.glow").write_text(text)
    glowviz("compile", "two.glow", "-o", "two.glowrec")
    told = " ".join(glowviz("show", "two.glowrec", "why", "norm").out.split())
    assert "fold_batchnorm" in told
    assert "2 users" in told


def test_texts_of_both_levels(glowviz: Command, recorded: Path) -> None:
    assert glowviz("show", recorded, "text", "0").out.startswith("graph @")
    assert glowviz("show", recorded, "text").out.startswith("program @")
    assert "BatchNormalization" not in glowviz("show", recorded, "text", "fold_batchnorm").out


def test_memory_has_the_bound_and_every_buffer(glowviz: Command, recorded: Path) -> None:
    told = glowviz("show", recorded, "memory").out
    assert "no plan for this order of instructions is smaller" in told
    for buffer in open_recording(recorded).buffers():
        if buffer["size"]:
            assert buffer["name"] in told


def test_kernels_with_times_and_code(glowviz: Command, recorded: Path) -> None:
    table, _, summary = glowviz("show", recorded, "kernels").out.partition("\n\n")
    rows = table.splitlines()[1:]
    assert "sum of instructions" in summary
    assert "measured peaks" in summary
    kernels = open_recording(recorded).kernels()
    assert len(rows) == len(kernels)
    assert all("(n=3)" in row for row in rows)
    name = next(kernel["name"] for kernel in kernels if kernel["name"].startswith("conv"))
    code = glowviz("show", recorded, "kernel", name).out
    assert code.startswith(name)
    llvm, assembly = code.split("\n\n")[1:3]
    assert "define void" in llvm
    numbered = [line for line in assembly.splitlines() if line[:5].strip()]
    assert len(numbered) > 20
    assert all(1 <= int(line[:5]) <= len(llvm.splitlines()) for line in numbered)


@pytest.mark.parametrize("part", PARTS)
def test_the_same_as_json(glowviz: Command, recorded: Path, part: str) -> None:
    kernel = open_recording(recorded).kernels()[0]["name"]
    name = {"life": ["norm"], "why": ["norm"], "kernel": [kernel]}.get(part, [])
    assert isinstance(json.loads(glowviz("show", recorded, part, *name, "--json").out), dict)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["life"], ["life", "none is named", "NAME"]),
        (["life", "nobody"], ["nobody"]),
        (["kernel", "nobody"], ["nobody"]),
        (["changes", "nobody"], ["'nobody'", "name of a pass"]),
        (["changes", "fold_batchnrm"], ["Did you mean 'fold_batchnorm'?"]),
        (["nobody"], ["'nobody'", "passes"]),
    ],
)
def test_refused(glowviz: Command, recorded: Path, arguments: list[str], words: list[str]) -> None:
    refusal = glowviz("show", recorded, *arguments).refusal
    assert all(word in refusal for word in words), refusal
