"""Memory, time and patterns are traced to the pass and the one rewrite; the part that is saved shows the same."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest

from glowviz.compiler import bisect
from glowviz.compiler.bisect import Compilation, bisect_states, bisect_time
from glowviz.compiler.graph import Graph, Node
from glowviz.compiler.ops import Relu
from glowviz.compiler.ops.elementwise import Abs, Add, Neg
from glowviz.compiler.predicates import Pattern, Peak, Predicate
from glowviz.compiler.problem import Problem
from glowviz.compiler.reproducer import predicate_test, write_part
from glowviz.compiler.rewrite import PASSES, Edit, Rewrite, apply, rule
from glowviz.compiler.text import parse_graph
from tests.small_network import TEXT


@rule(Relu)
def relu_beside(edit: Edit, node: Node) -> Rewrite | None:
    """`Relu(x)` of `wrong` -> a sum of four values that are all alive at once: memory grows."""
    if node.name != "wrong":
        return None
    build = edit.build(node)
    first, second, third = (build.one(op(node.op.x)) for op in (Relu, Abs, Neg))
    return Rewrite(Add(build.one(Add(build.one(Add(first, second)), third)), node.op.x), "made wasteful on purpose")


@pytest.fixture
def wasteful(monkeypatch: pytest.MonkeyPatch) -> None:
    def waste(graph: Graph) -> Graph:
        return apply(graph, (relu_beside,))

    monkeypatch.setitem(PASSES, "merge_pad", replace(PASSES["merge_pad"], function=waste, rules=(relu_beside,)))


def steps() -> list[tuple[str, object]]:
    return Compilation(parse_graph(TEXT)).steps()


def test_a_rise_of_the_peak_is_traced_to_the_rewrite(wasteful: None, tmp_path: Path) -> None:
    made = steps()
    peaks = [Peak().measure(state) for _, state in made]  # type: ignore[arg-type]  # graphs and programs
    found = bisect_states(made, Peak())
    assert found is not None
    assert (found.name, found.rewrite) == ("merge_pad", 1)
    assert found.change is not None
    assert found.change.rule == "relu_beside"
    assert peaks[found.position] > peaks[found.position - 1]  # type: ignore[operator]  # both are known
    assert "rose from" in found.told
    assert found.part is not None
    assert len(found.part) < 4
    limit = int(peaks[found.position] or 0) - 1
    same = bisect_states(made, Peak(limit))
    assert same is not None
    assert same.position == found.position
    assert "over the limit" in same.told
    assert bisect_states(made[:found.position], Peak()) is None


@pytest.mark.parametrize(("query", "present", "name", "rule_name"), [
    ("BatchNormalization", False, "lower", ""),
    ("Conv > BatchNormalization > Relu", False, "fold_batchnorm", "conv_bn"),
    ("Fused", True, "fuse", ""), ("max_pool", True, None, None), ("fill_halo", True, "irgen", "")])
def test_a_pattern_comes_or_goes(query: str, present: bool, name: str | None, rule_name: str | None) -> None:
    found = bisect_states(steps(), Pattern(query, present))
    assert (found.name if found is not None else None) == name
    if found is not None and rule_name:
        assert found.change is not None
        assert found.change.rule == rule_name


@pytest.mark.parametrize(("query", "words"), [("Konv", "no op 'Konv'"), ("Conv > relu", "mixes"), ("", "names no op")])
def test_a_pattern_that_cannot_be_is_refused(query: str, words: str) -> None:
    with pytest.raises(Problem, match=words):
        Pattern(query)


def test_a_type_narrows_a_pattern() -> None:
    graph = parse_graph(TEXT)
    assert Pattern("Conv").measure(graph) == 3
    assert Pattern("Conv > * > Relu type:1x16x32x32").measure(graph) == 2
    assert Pattern("Conv type:f16").measure(graph) == 0
    assert Pattern("conv").measure(graph) is None


PLAIN = """import pytest, sys
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", sys.argv[1]]))
"""


@pytest.mark.parametrize("predicate", [Pattern("Conv > BatchNormalization > Relu", False), Pattern("fill_halo")])
def test_the_files_show_the_same(predicate: Predicate, tmp_path: Path) -> None:
    found = bisect_states(steps(), predicate)
    assert found is not None
    assert found.part is not None
    test = predicate_test(found.name, found.told, predicate, "cut.glow", found.on_programs)
    written = write_part(found.part, tmp_path / "cut.onnx", test)
    assert [path.name for path in written[:3]] == ["cut.onnx", "cut.glow", "test_cut.py"]
    onnx.checker.check_model(str(tmp_path / "cut.onnx"))
    ran = subprocess.run([sys.executable, "-c", PLAIN, str(tmp_path / "test_cut.py")], capture_output=True, text=True,
                         cwd=tmp_path, check=False)
    assert ran.returncode == 1, ran.stdout + ran.stderr  # it fails as long as the pass does this
    assert "AssertionError" in ran.stdout


def test_the_pass_that_slows_a_run_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """Times are made up of the instructions there are, so that a loaded machine decides nothing."""
    def window(executable: Any, feed: object) -> float:
        return 1.0 + any(instr.name == "fused" for instr in executable.program.instructions)

    monkeypatch.setattr(bisect, "_window", window)
    assert bisect_time(Compilation(parse_graph(TEXT)), 200.0) is None
    found = bisect_time(Compilation(parse_graph(TEXT)), 5.0)
    assert found is not None
    assert found.name == "fuse"
    assert "with it" in found.told
    assert found.rewrite >= 1
    assert found.part is not None


def test_a_search_compiles_in_the_precision_of_the_run() -> None:
    names = [name for name, _ in Compilation(parse_graph(TEXT), target="interpreter", precision="bf16").steps()]
    assert "use_bf16" in names
    assert "use_bf16" not in [name for name, _ in Compilation(parse_graph(TEXT), target="interpreter").steps()]
