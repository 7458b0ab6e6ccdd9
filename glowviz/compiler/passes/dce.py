"""After this pass everything in the graph is needed for a public output or for the next value of a state."""

from __future__ import annotations

from glowviz.compiler.graph import Graph, Node
from glowviz.compiler.ops.base import Op
from glowviz.compiler.rewrite import Change, Edit, Keep, Rewrite, graph_pass, log, rule
from glowviz.compiler.rewrite.facts import bytes_text, named, users_text
from glowviz.compiler.rewrite.rules import attempt, perform


@rule(Op)
def unused(edit: Edit, node: Node) -> Rewrite | None:
    """A node whose results nobody reads and the graph does not return -> nothing"""
    if any(edit.use_count(result) for result in node.results):
        read = next(r for r in node.results if edit.use_count(r))
        raise Keep(f"{users_text(edit, read)}.")
    if not node.op.pure:
        raise Keep(f"Nobody reads {named(node)}, but it does more than compute its results.")
    return Rewrite((), f"nobody reads {named(node)}, and the graph does not return it")


@graph_pass(rules=(unused,))
def dce(graph: Graph) -> Graph:
    """Nodes and constants that no public output and no next state needs -> gone. Inputs and states stay."""
    edit = Edit(graph)
    needed = needed_values(graph)
    log().tried += len(graph.nodes) + len(graph.constants)
    # users before what they read, so that each is unused when its turn comes
    for node in reversed(list(graph)):
        if needed.isdisjoint(node.results):
            rewrite = attempt(edit, node, unused)
            if rewrite is not None:
                perform(edit, node, unused, rewrite)
        elif len(node.results) > 1:
            _drop_last_results(edit, node)
    return _without_unused_constants(edit.finish())


def needed_values(graph: Graph) -> set[str]:
    """All values that a public output or the next value of a state depends on."""
    needed = set(graph.returned)
    for node in reversed(list(graph)):
        if not needed.isdisjoint(node.results) or not node.op.pure:
            needed.update(node.op.operands)
    return needed


def _drop_last_results(edit: Edit, node: Node) -> None:
    """A node gives only its first results where nobody reads the others: MaxPool need not count positions then."""
    count = max(i for i, result in enumerate(node.results, start=1) if edit.use_count(result) or i == 1)
    if count == len(node.results) or len(node.op.outputs) < len(node.results) or not node.op.pure:
        return
    gone = node.results[count:]
    edit.replace_node(node, node.evolve(results=node.results[:count], types=node.types[:count]))
    reason = f"nobody reads {' and '.join('%' + r for r in gone)} of {named(node)}"
    log().change(Change("unused_result", node.name, reason, removed=gone, changed=(node.name,)))


def _without_unused_constants(graph: Graph) -> Graph:
    gone = [c for c in graph.constants.values() if c.name not in graph.users and c.name not in graph.returned]
    if not gone:
        return graph
    for constant in gone:
        size = bytes_text(constant.type.bytes) if constant.type.elem != "string" else "strings"
        reason = f"nobody reads the constant %{constant.name} ({size})"
        log().change(Change("unused_constant", constant.name, reason, removed=(constant.name,)))
    names = {c.name for c in gone}
    return graph.evolve(constants={n: c for n, c in graph.constants.items() if n not in names})
