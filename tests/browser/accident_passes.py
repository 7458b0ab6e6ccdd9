"""A user's own file that replaces the pass cse: on graphs of these names it crashes, loops or eats memory."""

import ctypes
from dataclasses import replace

from glowviz.compiler.graph import Graph, Node
from glowviz.compiler.ops import Relu
from glowviz.compiler.rewrite import PASSES, Edit, apply, rule


@rule(Relu)
def accident(edit: Edit, node: Node) -> None:
    """Nothing good."""
    if node.name != "c":  # the third of four, so that the place of the crash is a finding
        return
    kind = edit.graph.name
    if kind == "crash":
        ctypes.string_at(0)
    while kind == "loop":
        pass
    if kind == "eat":
        bytearray(1 << 40)


def accidents(graph: Graph) -> Graph:
    """Try the rule everywhere."""
    return apply(graph, (accident,))


PASSES["cse"] = replace(PASSES["cse"], function=accidents, rules=(accident,))
