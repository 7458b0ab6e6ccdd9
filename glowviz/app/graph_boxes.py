"""One graph state, or the union of two, becomes a Picture: five states, ghosts of what is gone, blocks folded."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from glowviz.app.boxes import Box, Picture, Sketch
from glowviz.app.folds import Fold, Folding
from glowviz.app.wording import op_text, shape_of
from glowviz.compiler.recording.reader import NodeVersion, SnapshotDiff

Nodes = Mapping[str, NodeVersion]


def graph_picture(
    nodes: Nodes, before: Nodes, diff: SnapshotDiff | None, folding: Folding, opened: Collection[str], constants: bool,
    inputs: Iterable[str], outputs: Mapping[str, str],
) -> Picture:
    """Draw `nodes` (by name, in order) with what `before` had and they have not; without `diff` nothing is marked.

    `inputs` and `outputs` (public name to value) get boxes of their own where the graph is shown whole.
    """
    sketch = _GraphSketch(folding, opened, diff)
    gone = [node for name, node in before.items() if name not in nodes]
    everything = sorted([*nodes.values(), *gone], key=lambda node: node.rank) if gone else nodes.values()
    merged = set(diff.merged.values()) if diff is not None else set()
    for node in everything:
        what = folding.hidden.get(node.name)
        if what is not None and not constants:
            sketch.picture.hidden[what] = sketch.picture.hidden.get(what, 0) + 1
        else:
            state = _state(node.name, diff, merged) if node.name in nodes else _end(node.name, diff)
            name = sketch.put(node, node.name, folding.path(node), state)
            sketch.box_of.update(dict.fromkeys(node.results, name))
    whole = not any(isinstance(part, Fold) for part in folding.top)
    sketch.connect(nodes.values(), set(inputs), outputs if whole else {})
    sketch.connect_ghosts(before, {node.name for node in gone})
    if diff is not None:
        for name, heir in diff.merged.items():
            if heir in diff.added:
                sketch.picture.heirs.setdefault(heir, name)
    return sketch.finish()


def _state(name: str, diff: SnapshotDiff | None, merged: Collection[str]) -> str:
    if diff is None:
        return "same"
    if name in diff.added:
        return "added"
    if name in merged:
        return "merged"
    return "changed" if name in diff.changed else "same"


def _end(name: str, diff: SnapshotDiff | None) -> str:
    return "merged" if diff is not None and name in diff.merged else "removed"


class _GraphSketch(Sketch[NodeVersion]):
    def __init__(self, folding: Folding, opened: Collection[str], diff: SnapshotDiff | None) -> None:
        super().__init__(opened)
        self.folding = folding
        self.merged_into: dict[str, int] = {}
        for heir in diff.merged.values() if diff is not None else ():
            self.merged_into[heir] = self.merged_into.get(heir, 1) + 1

    def single(self, node: NodeVersion, state: str) -> Box:
        count = self.merged_into.get(node.name, 0)
        badge = f"{count}→1" if state == "merged" and count else ""
        shape = shape_of(node.types[0]) if node.types else ""
        op = op_text(node.op, node.attributes)
        title, detail = node.label or node.name, f"{op}  {shape}"
        if title.startswith(f"{node.op} {shape}"):  # a label made of op and shape says both already
            title, detail = node.op + title.removeprefix(f"{node.op} {shape}"), shape
        return Box(node.name, title, detail, op, "node", state, badge, node.types[0] if node.types else "")

    def summary(self, inside: Sequence[tuple[NodeVersion, str]]) -> tuple[str, int, tuple[str, ...]]:
        heaviest = max((node for node, _ in inside), key=lambda n: n.flops)
        alive = sum(state not in ("removed", "merged") or not node.died for node, state in inside)
        return (op_text(heaviest.op, heaviest.attributes), alive or len(inside),
                tuple(node.name for node, _ in inside))

    def connect(self, nodes: Iterable[NodeVersion], inputs: set[str], outputs: Mapping[str, str]) -> None:
        """Join boxes by what they read; inputs and outputs get boxes where the graph is shown whole."""
        ports = inputs if outputs else set()
        for node in nodes:
            target = self.box_of.get(node.name)
            for operand in node.operands if target is not None else ():
                source = self.box_of.get(operand) or (self._input(operand) if operand in ports else None)
                if source is not None:
                    self.link(source, target, operand)  # type: ignore[arg-type]  # the loop runs only with a target
        for public, value in outputs.items():
            self._output(public, value, inputs)

    def connect_ghosts(self, before: Nodes, gone: Collection[str]) -> None:
        """Join what is gone to what it read and to its readers, as it was; only where no edge is left."""
        boxes = self.picture.boxes
        for node in before.values() if gone else ():
            target = self.box_of.get(node.name)
            for operand in node.operands if target is not None else ():
                source = self.box_of.get(operand)
                ghostly = node.name in gone or operand in gone
                if source in boxes and ghostly:
                    self.link(source, target, operand, "removed")  # type: ignore[arg-type]  # both are boxes

    def _input(self, name: str) -> str:
        box = f"input:{name}"
        self.picture.boxes.setdefault(box, Box(box, name, "input", "input", "input"))
        return box

    def _output(self, public: str, value: str, inputs: set[str]) -> None:
        source = self.box_of.get(value) or (self._input(value) if value in inputs else None)
        if source is not None:
            box = f"output:{public}"
            self.picture.boxes[box] = Box(box, public, "output", "output", "output")
            self.link(source, box, value)
