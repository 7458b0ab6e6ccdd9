"""Findings are peculiarities of a model: what, where, what it costs, and what can be done about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from glowviz.compiler.graph import Graph, Node
from glowviz.compiler.importer.names import fixed_values
from glowviz.compiler.importer.nodes import Notes
from glowviz.compiler.ops import Conv, ConvTranspose, Opaque, Transpose
from glowviz.compiler.types import Type

EXAMPLES = 20
"""Names that a finding carries; `count` goes on."""
HUGE = 256 << 20
"""Bytes of one constant that are worth a remark."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One peculiarity. `where` holds the first names of nodes or values, `count` how many there are."""

    kind: str
    what: str
    where: tuple[str, ...]
    count: int
    cost: str
    do: str

    def plain(self) -> dict[str, Any]:
        """The finding as data for the recording."""
        return asdict(self)


def finding(kind: str, what: str, names: list[str], cost: str, do: str) -> Finding:
    """A finding about these names; `{n}` in the text is their number, `(s)` the plural."""
    told = what.replace("{n}", f"{len(names):,}").replace("(s)", "s" if len(names) != 1 else "")
    return Finding(kind, told, tuple(names[:EXAMPLES]), len(names), cost, do)


def findings_of(graph: Graph, notes: Notes, inputs: list[str], guessed: tuple[str, ...]) -> tuple[Finding, ...]:
    """All that is worth knowing, the costly first. `inputs` are the initializers listed as inputs."""
    found: list[Finding] = []
    for look in (_opaque, _float64, _transposes, _dead, _huge, _unordered, _made_constants, _functions, _silent):
        found.extend(look(graph, notes))
    if inputs:
        found.append(finding(
            "inputs", "{n} initializer(s) listed as inputs", inputs,
            "none: they are taken as constants, so they cannot be changed while the model runs",
            "Export with keep_initializers_as_inputs=False",
        ))
    if guessed:
        found.append(finding(
            "types", "{n} value(s) of unknown element type", list(guessed),
            "they are shown with the type of an operand", "Add value_info with onnx.shape_inference",
        ))
    return tuple(found)


Look = Callable[[Graph, Notes], Iterator[Finding]]


def _names(notes: Notes, kind: str) -> list[str]:
    return [name for name, _ in notes.found.get(kind, ())]


def _opaque(graph: Graph, notes: Notes) -> Iterator[Finding]:
    kinds: dict[str, list[str]] = {}
    for node in graph:
        if isinstance(node.op, Opaque):
            kinds.setdefault(node.op.full_name, []).append(node.origin.names[0])
    reasons = dict(notes.found.get("opaque", ()))
    for kind, names in kinds.items():
        reason = reasons.get(names[0], "glowviz does not know it")
        yield finding(
            "opaque", "{n} × " + kind, names,
            f"the model can be looked at, not compiled: {reason}", "Replace the op in the model, or add it as an op",
        )


def _float64(graph: Graph, notes: Notes) -> Iterator[Finding]:
    nodes = [n for n in graph if any(t.elem == "f64" for t in n.types)]
    if nodes and len(nodes) < len(graph):
        yield finding(
            "f64", "{n} node(s) in f64, the rest in narrower types", [n.name for n in nodes],
            "twice the memory, half the arithmetic per instruction", "Export these nodes in float32",
        )
    elif nodes:
        yield finding(
            "f64", "All {n} node(s) in f64", [n.name for n in nodes], "twice the memory of f32",
            "Export the model in float32",
        )


def _transposes(graph: Graph, notes: Notes) -> Iterator[Finding]:
    around = [n for n in graph if isinstance(n.op, Transpose) and _beside_conv(graph, n)]
    if around:
        moved = 2 * sum(_bytes(n.type) for n in around)
        yield finding(
            "transposes", "{n} Transpose(s) beside convolutions (the model was made in NHWC)",
            [n.name for n in around], f"{moved / 2**20:.1f} MiB moved" if moved else "their tensors are moved",
            "The passes sink and cancel them where they can; exporting in NCHW leaves none",
        )


def _beside_conv(graph: Graph, node: Node) -> bool:
    maker = graph.maker(node.op.operands[0])
    near = [maker, *graph.users.get(node.name, ())]
    return any(n is not None and isinstance(n.op, Conv | ConvTranspose) for n in near)


def _bytes(type_: Type) -> int:
    return type_.bytes if type_.static else 0


def _dead(graph: Graph, notes: Notes) -> Iterator[Finding]:
    useful: set[str] = set(graph.returned)
    dead: list[str] = []
    for node in reversed(list(graph)):
        if useful.isdisjoint(node.results):
            dead.append(node.name)
        else:
            useful.update(node.op.operands)
    if dead:
        yield finding(
            "dead", "{n} node(s) without a part in any output", dead[::-1], "dce removes them",
            "Nothing; or list their results as outputs if they were meant to be",
        )
    unused = [c.name for c in graph.constants.values() if c.name not in useful]
    if unused:
        size = sum(graph.constants[n].type.bytes for n in unused)
        yield finding(
            "unused", "{n} constant(s) without a part in any output", unused, f"{size / 2**20:.1f} MiB of the file",
            "Nothing to do: the pass dce removes what nobody reads",
        )
    idle = [name for name in graph.inputs if name not in useful]
    if idle:
        yield finding("idle", "{n} input(s) without a part in any output", idle, "none", "They must still be given")


def _huge(graph: Graph, notes: Notes) -> Iterator[Finding]:
    huge = [c for c in graph.constants.values() if c.type.bytes >= HUGE]
    if huge:
        size = sum(c.type.bytes for c in huge)
        yield finding(
            "huge", "{n} weight(s) larger than 256 MiB", [c.name for c in huge],
            f"{size / 2**30:.1f} GiB, mapped from the file, not copied", "Quantize them, or store them as f16",
        )


def _unordered(graph: Graph, notes: Notes) -> Iterator[Finding]:
    names = _names(notes, "unordered")
    if names:
        yield finding(
            "order", "The nodes do not stand in the order they run in", names,
            "none here; other tools refuse the file", "Export it again, or save it with glowviz export",
        )


def _made_constants(graph: Graph, notes: Notes) -> Iterator[Finding]:
    nodes = sorted({c.origin.names[0] for c in graph.constants.values() if c.origin.names})
    if nodes:
        yield finding(
            "constants", "{n} constant(s) written as nodes, not as initializers", nodes,
            "none: they are taken as constants", "Nothing",
        )
    fixed = fixed_values(graph)
    made = [n.name for n in graph if n.name in fixed]
    if made:
        yield finding(
            "computed", "{n} node(s) computing with constants only", made, "none: fold_constants does it once",
            "Nothing; constant folding in the exporter makes the file smaller to read",
        )


def _functions(graph: Graph, notes: Notes) -> Iterator[Finding]:
    calls = notes.found.get("function", ())
    if calls:
        kinds = ", ".join(dict.fromkeys(kind for _, kind in calls))
        yield finding(
            "functions", "{n} function call(s) written out", [name for name, _ in calls],
            f"one box in the file is several here: {kinds}", "Nothing",
        )
    branches = _names(notes, "branch")
    if branches:
        yield finding(
            "branches", "{n} If node(s) with a constant condition", branches, "none: only the branch taken is kept",
            "Export the model for inference",
        )


def _silent(graph: Graph, notes: Notes) -> Iterator[Finding]:
    names = _names(notes, "silent")
    if names:
        yield finding("silent", "{n} node(s) without a named result", names, "none: they were left out", "Nothing")
    sparse = _names(notes, "sparse")
    if sparse:
        yield finding(
            "sparse", "{n} weight(s) stored sparsely", sparse, "they are written out in full", "Store them densely"
        )


def plain(findings: tuple[Finding, ...]) -> list[dict[str, Any]]:
    """Findings as data."""
    return [f.plain() for f in findings]
