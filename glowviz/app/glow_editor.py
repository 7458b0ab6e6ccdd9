"""Passes run on the text of a graph: text, picture and reasons for the .glow editor."""

import ast
import re
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from glowviz.app.problem import Problem
from glowviz.app.reader import Payload
from glowviz.app.theme import CHANGE_INDEX, family_index
from glowviz.app.wording import shape_of
from glowviz.compiler import loading
from glowviz.compiler.graph import Graph
from glowviz.compiler.program import Program
from glowviz.compiler.recording.records import Change
from glowviz.compiler.rewrite import PassProblem
from glowviz.compiler.target import Target
from glowviz.layouts import Stub, place

LONGEST = 200_000
"""Characters of text that are parsed while somebody types."""


def worked_examples() -> list[dict[str, str]]:
    """Return the golden tests as {passes, caption, text}: what to run, what it shows, and the graph before it."""
    package = Path(str(resources.files("glowviz")))
    installed, beside = package / "golden", package.parent / "tests" / "golden"
    folder = installed if installed.is_dir() else beside
    return [_example(path) for path in sorted(folder.glob("*/*.glow"))]


def _example(path: Path) -> dict[str, str]:
    head, *sections = re.split(r"^--- *", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    caption = head.split("\n")[0].removeprefix("//").strip()
    passes = sections[0].split("\n")[0].strip() if sections else path.parent.name
    return {"passes": passes, "caption": caption or path.stem, "text": head.strip() + "\n"}


def run_passes(text: str, passes: list[str], load: Sequence[str] = ()) -> Payload:
    """Return {text, reasons, scene} after `passes` (each `name` or `name{option=1}`); scene is None for a program.

    `load` names files with ops and passes of the user's own.
    A comment `// target: fuses=Conv keeps=Relu orders=Conv:NCHW16c width=16` describes the machine.
    Raises Problem with the place of an error.
    """
    import glowviz.compiler.ops
    import glowviz.compiler.passes
    import glowviz.compiler.program_passes  # noqa: F401  # registers ops and passes
    from glowviz.compiler.text import TextProblem, print_graph, print_program

    loading.load(load)
    if len(text) > LONGEST:
        raise Problem("This text is too long to follow while typing.", expected=f"at most {LONGEST:,} characters",
                      remedy="Save it as a .glow file and open that.")
    try:
        before = _parsed(text)
        after, changes, lines = _run(before, passes, _target(text))
    except (TextProblem, PassProblem) as problem:
        raise Problem(str(problem), "the text", "a graph in the printed form", "Correct the line.") from problem
    if isinstance(after, Program) or isinstance(before, Program):
        return {"text": print_program(after), "reasons": lines, "scene": None}
    return {"text": print_graph(after), "reasons": lines, "scene": _scene(before, after, changes)}


def _parsed(text: str) -> Graph | Program:
    from glowviz.compiler.text import parse_graph, parse_program

    return parse_program(text) if re.search(r"^program @", text, re.MULTILINE) else parse_graph(text)


def _run(ir: Any, passes: list[str], target: Target) -> tuple[Any, list[Change], list[str]]:
    from glowviz.compiler.rewrite import PASSES
    from glowviz.compiler.verify import verify_graph, verify_program

    changes: list[Change] = []
    lines: list[str] = []
    for spec in passes:
        name, options = _spec(spec)
        known = sorted(one.name for one in PASSES.values() if (one.level == "program") == isinstance(ir, Program))
        if name not in known:
            what = f"There is no pass “{name}” for this text."
            raise Problem(what, "the list of passes", ", ".join(known), "Take one of these.")
        ir, log = PASSES[name].run(ir, target, **options)
        verify_program(ir) if isinstance(ir, Program) else verify_graph(ir)
        changes += log.changes
        lines += [f"{name}: {change.reason or change.rule}" for change in log.changes]
        lines += [f"{name} left %{one.anchor}: {one.reason}" for group in log.groups.values() for one in group.examples]
    return ir, changes, lines


def _spec(spec: str) -> tuple[str, dict[str, Any]]:
    """Take `fuse{max_inputs=2}` apart; the values are literals."""
    found = re.fullmatch(r"\s*(\w+)\s*(?:\{(.*)\})?\s*", spec)
    if found is None:
        raise Problem(f"“{spec}” is no pass.", "the list of passes", "name or name{option=1}")
    pairs = (pair.split("=", 1) for pair in re.split(r",(?![^(\[{]*[)\]}])", found.group(2) or "") if "=" in pair)
    try:
        return found.group(1), {key.strip(): ast.literal_eval(value.strip()) for key, value in pairs}
    except (ValueError, SyntaxError) as error:
        raise Problem(f"An option of {found.group(1)} is no value: {error}.", spec, "name{option=1}") from error


def _target(text: str) -> Target:
    """Return the machine that a comment in the text describes."""
    found = re.search(r"^// target: *(.*)$", text, re.MULTILINE)
    facts = dict(pair.split("=", 1) for pair in (found.group(1) if found else "").split() if "=" in pair)
    parts = (part.partition(":") for part in facts.get("orders", "").split("+") if part)
    keeps, fuses = (frozenset(filter(None, facts.get(key, "").split("+"))) for key in ("keeps", "fuses"))
    width = int(facts["width"]) if facts.get("width", "").isdigit() else 16
    return Target("editor", vector_width=width, keeps=keeps, fuses=fuses,
                  orders=tuple((op, name) for op, _, name in parts))


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
