"""explain answers for rules that were off, never reached, or whose pattern an earlier pass broke."""

from __future__ import annotations

from pathlib import Path

import pytest

from glowviz.compiler.graph import Graph
from glowviz.compiler.recording.records import PassLog
from glowviz.compiler.rewrite import PASSES, RULES, explain
from glowviz.compiler.target import Target
from glowviz.compiler.text import parse_graph, print_graph
from tests.compiler.golden_files import golden_paths, read

MACHINE = Target(
    "cpu", vector_width=4, orders=(("Conv", "NCHW4c"),), fuses=frozenset({"Conv"}), keeps=frozenset({"Relu", "Softmax"})
)
BN = """
  const %w: f32[8x8x1x1] = normal(seed=1)
  const %s: f32[8] = splat 2.0
  const %t: f32[8] = splat 0.5
  %c: f32[1x8x4x4] = Conv(%x, %w)  from conv1
  %n: f32[1x8x4x4] = BatchNormalization(%c, %s, %t, %t, %s)  from bn1
"""


def graph(body: str, head: str = "%x: f32[1x8x4x4]") -> Graph:
    return parse_graph(f"graph @g({head}) {{{body}}}")


def run(g: Graph, *names: str) -> tuple[Graph, dict[str, PassLog]]:
    """The snapshot after some passes, and what each recorded."""
    logs: dict[str, PassLog] = {}
    for name in names:
        g, logs[name] = PASSES[name].run(g, MACHINE)
    return g, logs


def test_rule_that_was_off_would_fire() -> None:
    """fold_batchnorm was switched off: the last snapshot before lower still has the pattern."""
    snapshot, _ = run(graph(BN + 'return "n"=%n'), "fold_constants", "cse", "dce")
    found = explain("conv_bn", "n", snapshot)
    assert found.verdict == "fires"
    assert "%n is part of the weights of Conv %c" in found.reason
    assert print_graph(snapshot) == print_graph(run(snapshot, "dce")[0]), "explaining changes nothing"


def test_rule_that_was_never_reached() -> None:
    """The node is of another kind, or was gone before the pass ran."""
    g = graph(BN + '%r: f32[1x8x4x4] = Relu(%n)\nreturn "r"=%r')
    other = explain("conv_bn", "r", g)
    assert (other.verdict, other.reason) == ("other anchor", "conv_bn starts at BatchNormalization; %r is Relu")
    lowered, _ = run(g, "lower", "dce")
    assert explain("conv_bn", "n", lowered).reason == "conv_bn starts at BatchNormalization; %n is Add"
    folded, logs = run(g, "fold_batchnorm")
    gone = explain("conv_bn", "c", folded)
    assert (gone.verdict, gone.reason) == ("not there", "%c is not in this snapshot")
    assert [c.anchor for c in logs["fold_batchnorm"].changes if "c" in c.removed] == ["n"]


def test_condition_that_an_earlier_pass_broke() -> None:
    """cse made one Conv of two: now it has two users, and merging would compute it twice."""
    twin = "const %u: f32[8x8x1x1] = normal(seed=1)\n%d: f32[1x8x4x4] = Conv(%x, %u)\n%r: f32[1x8x4x4] = Relu(%d)\n"
    g = graph(BN + twin + 'return "n"=%n, "r"=%r')
    assert explain("conv_bn", "n", g).verdict == "fires"
    snapshot, logs = run(g, "cse")
    found = explain("conv_bn", "n", snapshot)
    assert found.verdict == "keeps"
    assert found.reason == (
        "%c has 2 users (BatchNormalization %n and Relu %r). Merging would compute the Conv twice (+2.05 kFLOP)."
    )
    assert [c.anchor for c in logs["cse"].changes] == ["u", "d"]


def test_pattern_that_an_earlier_pass_broke() -> None:
    """choose_order put a Reorder between Conv and what fuse would have taken in; its record names the stranger."""
    g = graph(BN + '%f: f32[1x128] = Flatten(%n)\n%y: f32[1x128] = Relu(%f)\nreturn "y"=%y')
    snapshot, logs = run(g, "fold_batchnorm", "dce", "choose_order")
    found = explain("fuse_epilogue", "n", snapshot)
    assert (found.verdict, found.stranger) == ("misses", "n.plain")
    assert found.expected == "an element-wise op after Conv"
    assert found.found == "Reorder %n.plain"
    made = [name for name, log in logs.items() for c in log.changes if found.stranger in c.added]
    assert made == ["choose_order"]


def test_miss_names_the_neighbour() -> None:
    """What was looked for and what stood there, for a rule that ran and missed: the log and explain agree."""
    g = graph(BN.replace("BatchNormalization(%c", "BatchNormalization(%r").replace(
        "  %n", "  %r: f32[1x8x4x4] = Relu(%c)\n  %n") + 'return "n"=%n')
    found = explain("conv_bn", "n", g)
    assert (found.verdict, found.stranger, found.found) == ("misses", "r", "Relu %r")
    _, logs = run(g, "fold_batchnorm")
    (group,) = logs["fold_batchnorm"].groups.values()
    assert (group.rule, group.kind, group.examples[0].reason) == ("conv_bn", "miss", found.reason)


def test_kept_by_the_backend() -> None:
    """lower without a machine would take a Softmax apart; this machine keeps it, and the record says so."""
    g = graph('%y: f32[2x3] = Softmax(%x)\nreturn "y"=%y', "%x: f32[2x3]")
    after, logs = run(g, "lower")
    assert after is g
    (group,) = logs["lower"].groups.values()
    assert group.examples[0].reason == "The backend cpu keeps Softmax: it has code of its own for it."
    assert explain("lower_op", "y", g).verdict == "fires"


def test_refusals_are_grouped_by_reason() -> None:
    """One reason for many nodes is one group with a count."""
    lines = "".join(f"%p{i}: f32[1x8x4x4] = Relu(%c)\n" for i in range(5))
    outputs = ", ".join(f'"p{i}"=%p{i}' for i in range(5))
    g = graph(BN.replace("%n: f32[1x8x4x4] = BatchNormalization(%c, %s, %t, %t, %s)  from bn1", "") + lines
              + f"return {outputs}")
    _, logs = run(g, "fuse")
    (group,) = logs["fuse"].groups.values()
    assert (group.count, [e.anchor for e in group.examples]) == (6, ["p4", "p3", "p2", "p1", "p0", "c"])


GRAPHS = [p for p in golden_paths() if PASSES[p.parent.name].level != "program"]


@pytest.mark.parametrize("path", GRAPHS, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_every_rule_answers_at_every_node(path: Path) -> None:
    """Whatever is asked about whichever node, there is an answer in words, and the snapshot stays as it is."""
    g = read(path.read_text()).first
    text = print_graph(g)
    for rule in RULES.values():
        for node in g:
            found = explain(rule, node.name, g)
            assert found.reason
            assert found.verdict != "misses" or found.stranger or found.found
    assert print_graph(g) == text
