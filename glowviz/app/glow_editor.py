"""Passes run on the text of a graph: text, picture and reasons for the .glow editor."""

from glowviz.app.problem import Problem
from glowviz.app.reader import Payload
from glowviz.app.theme import CHANGE_INDEX, family_index
from glowviz.app.wording import shape_of
from glowviz.compiler.graph import Graph
from glowviz.compiler.recording.records import Change
from glowviz.layouts import Stub, place

LONGEST = 200_000
"""Characters of text that are parsed while somebody types."""


def run_passes(text: str, passes: list[str]) -> Payload:
    """Return {text, reasons, scene} after `passes`; raises Problem with the place of an error."""
    import glowviz.compiler.ops
    import glowviz.compiler.passes  # noqa: F401  # registers ops and passes
    from glowviz.compiler.text import TextProblem, parse_graph, print_graph

    if len(text) > LONGEST:
        raise Problem("This text is too long to follow while typing.", expected=f"at most {LONGEST:,} characters",
                      remedy="Save it as a .glow file and open that.")
    try:
        before = parse_graph(text)
    except TextProblem as problem:
        raise Problem(str(problem), "the text", "a graph in the printed form", "Correct the line.") from problem
    after, changes, lines = _run(before, passes)
    return {"text": print_graph(after), "reasons": lines, "scene": _scene(before, after, changes)}


def _run(graph: Graph, passes: list[str]) -> tuple[Graph, list[Change], list[str]]:
    from glowviz.compiler.rewrite import PASSES
    from glowviz.compiler.verify import verify_graph

    changes: list[Change] = []
    lines: list[str] = []
    for name in passes:
        if name not in PASSES or PASSES[name].level == "program":
            known = ", ".join(sorted(one.name for one in PASSES.values() if one.level != "program"))
            raise Problem(f"There is no graph pass “{name}”.", "the list of passes", known, "Take one of these.")
        graph, log = PASSES[name].run(graph, None)
        verify_graph(graph)
        changes += log.changes
        lines += [f"{name}: {change.reason or change.rule}" for change in log.changes]
        lines += [f"{name} left %{one.anchor}: {one.reason}" for group in log.groups.values() for one in group.examples]
    return graph, changes, lines


def _scene(before: Graph, after: Graph, changes: list[Change]) -> Payload:
    """Return the union of both graphs in the form of a scene payload."""
    import networkx as nx

    nodes = {**before.nodes, **after.nodes}
    digraph = nx.DiGraph()
    digraph.add_nodes_from(nodes)
    maker = {result: name for name, node in nodes.items() for result in node.results}
    for name, node in nodes.items():
        digraph.add_edges_from((maker[o], name) for o in node.op.operands if o in maker and maker[o] != name)
    if not nx.is_directed_acyclic_graph(digraph):  # a rewrite turned an edge round: show the result alone
        return _scene(after, after, changes)
    placed = place(digraph, dict.fromkeys(nodes, (180, 28)))
    heirs = {name for change in changes for name in (*change.changed, *change.added) if change.removed}
    names = list(nodes)
    at = {name: k for k, name in enumerate(names)}
    edges, points, start = list(digraph.edges), [], [0]
    for edge in edges:
        route = placed.routes[edge]
        points += [round(c) for point in route for c in point]
        start.append(len(points) // 2)
    count = len(names)
    columns = {
        "name": names, "title": [nodes[n].label or n for n in names],
        "detail": [f"{nodes[n].op.name}  {shape_of(str(nodes[n].types[0]))}" for n in names],
        "op": [nodes[n].op.name for n in names], "family": [family_index(nodes[n].op.name) for n in names],
        "state": [CHANGE_INDEX[_state(n, before, after, heirs)] for n in names], "kind": [0] * count,
        "x": [round(placed.x[n]) for n in names], "y": [round(placed.y[n]) for n in names], "w": [180] * count,
        "h": [28] * count, "parent": [-1] * count, "count": [1] * count, "repeat": [1] * count, "changed": [0] * count,
        "badge": [""] * count, "type": [-1] * count,
    }
    return {
        "snapshot": 1, "base": 0, "level": "graph", "size": [round(placed.width) or 1, round(placed.height) or 1],
        "boxes": columns, "members": {}, "types": [], "heat": {}, "hidden": [], "breadcrumb": [],
        "edges": {"from": [at[u] for u, _ in edges], "to": [at[v] for _, v in edges], "value": [u for u, _ in edges],
                  "state": [0] * len(edges), "stub": [int(isinstance(placed.routes[e], Stub)) for e in edges],
                  "points": points, "start": start},
    }


def _state(name: str, before: Graph, after: Graph, heirs: set[str]) -> str:
    if name not in after.nodes:
        return "removed"
    if name not in before.nodes:
        return "added"
    if before.nodes[name] is after.nodes[name]:
        return "same"
    return "merged" if name in heirs else "changed"
