"""What rules ask about values is answered for values, not for the ops that make them."""

from __future__ import annotations

from glowviz.compiler.passes.fold_swish import fold_swish
from glowviz.compiler.rewrite import Edit
from glowviz.compiler.rewrite.facts import same
from glowviz.compiler.text import parse_graph
from glowviz.compiler.validate import compare

GLU = """
graph @glu(%x: f32[5x6]) {
  %a: f32[5x3], %b: f32[5x3] = Split(%x) {axis=-1, num_outputs=2}
  %c: f32[5x3], %d: f32[5x3] = Split(%x) {axis=-1, num_outputs=2}
  %s: f32[5x3] = Sigmoid(%b)
  %y: f32[5x3] = Mul(%a, %s)
  return "y"=%y, "c"=%c, "d"=%d
}
"""


def test_two_results_of_one_node_are_not_the_same_value() -> None:
    edit = Edit(parse_graph(GLU))
    assert not same(edit, "a", "b")
    assert same(edit, "a", "c")
    assert not same(edit, "a", "d")


def test_the_gate_of_a_glu_is_no_swish() -> None:
    graph = parse_graph(GLU)
    after, _ = fold_swish.run(graph)
    assert after is graph
    assert compare(graph, after).exact
