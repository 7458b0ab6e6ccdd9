"""The tour says what its commands print now; `pytest tests/test_tour.py --update-golden` writes it anew."""

from __future__ import annotations

import contextlib
import io
import platform
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from glowviz.cli import main

ROOT = Path(__file__).parent.parent
TOUR = ROOT / "docs" / "tour.md"
RULES = ROOT / "glowviz" / "compiler" / "passes" / "fold_batchnorm.py"
BLOCK = re.compile(r"^```console( measured)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def run(command: str) -> str:
    """What a command prints, errors first; `| grep …` and other filters run in a shell, glowviz in this process."""
    said = ""
    text = None
    for part in command.split(" | "):
        if not part.startswith("glowviz "):
            done = subprocess.run(["/bin/sh", "-c", part], input=text, capture_output=True, text=True, check=True)
            text = done.stdout
            continue
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            patch.setattr("sys.stdin", io.StringIO(text or ""))
            assert main(shlex.split(part)[1:]) in (0, 1), f"{part}: {err.getvalue()}"
        said, text = said + err.getvalue(), out.getvalue()
    return said + (text or "")


def played(block: str) -> str:
    """The block with the output that its commands have now; blanks at line ends do not count."""
    lines: list[str] = []
    for command in (line[2:] for line in block.splitlines() if line.startswith("$ ")):
        lines += [f"$ {command}", *run(command).splitlines()]
    return "".join(f"{line.rstrip()}\n" for line in lines)


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="the tour shows code for AVX2")
def test_the_tour_is_what_the_commands_print(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.chdir(tmp_path)
    text = TOUR.read_text(encoding="utf-8")

    def again(found: re.Match[str]) -> str:
        return f"```console{found[1] or ''}\n{played(found[2])}```"

    fresh = BLOCK.sub(again, text)
    if request.config.getoption("--update-golden"):
        TOUR.write_text(fresh, encoding="utf-8")
        return
    for before, after in zip(BLOCK.finditer(text), BLOCK.finditer(fresh), strict=True):
        if before[1]:
            assert len(after[2].splitlines()) > len(re.findall(r"^\$", before[2], re.MULTILINE)) or "-o" in before[2]
        else:
            assert after[2] == before[2], "the tour is out of date: pytest tests/test_tour.py --update-golden"


def test_the_tour_shows_the_rule_as_it_is() -> None:
    source = RULES.read_text(encoding="utf-8")
    excerpts = PYTHON.findall(TOUR.read_text(encoding="utf-8"))
    assert excerpts
    assert all(excerpt in source for excerpt in excerpts)


def test_the_code_that_the_tour_explains_is_there() -> None:
    code = TOUR.read_text(encoding="utf-8").split("## Machine code")[1].split("## Time")[0]
    assert all(word in code for word in ("@llvm.fmuladd", "@llvm.masked.store", "vfmadd231ps", "vmaskmovps", "vmovups"))
