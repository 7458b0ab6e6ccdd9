"""A snapshot of a recording becomes a picture: boxes, edges and places; the only place where compiler meets layouts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import networkx as nx

from glowviz.app.folds import Fold, Folding, fold_blocks, fold_nothing, fold_scopes
from glowviz.app.text_width import text_width
from glowviz.app.theme import CHANGE_INDEX, family_index
from glowviz.app.wording import op_text
from glowviz.compiler.recording.reader import NodeVersion, Recording, SnapshotDiff
from glowviz.layouts import Placed, Stub, place, union

FOLDINGS = {"blocks": fold_blocks, "scopes": fold_scopes, "none": fold_nothing}
KINDS = {"node": 0, "fold": 1, "frame": 2, "input": 3, "output": 4}
BOX_HEIGHT, NARROWEST, WIDEST = 28, 96, 220
WIDEST_FOLD = 248
"""A block's title says what is inside, so it may take a little more room."""
CHAIN_LIMIT = 3000
"""Boxes up to which every snapshot is placed on from the one before; larger ones on from the imported graph."""


@dataclass(frozen=True)
class Box:
    """One box before it has a place."""

    name: str
    title: str
    detail: str
    op: str
    kind: str
    state: str = "same"
    badge: str = ""
    type: str = ""
    count: int = 1
    repeat: int = 1
    changed: int = 0
    members: tuple[str, ...] = ()


@dataclass
class Picture:
    """Boxes and edges of one union of two snapshots, folded."""

    boxes: dict[str, Box] = field(default_factory=dict)
    edges: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    """(from, to) to (value, state)."""
    hidden: dict[str, int] = field(default_factory=dict)


class Scenes:
    """Pictures of one recording, placed so that what survives a pass does not move."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self._folding = lru_cache(maxsize=8)(self._find_folding)
        self._placed = lru_cache(maxsize=64)(self._place)
        self._nodes = lru_cache(maxsize=16)(self._read)

    def scene(
        self, snapshot: int, base: int | None, fold: str, opened: Sequence[str], constants: bool
    ) -> dict[str, Any]:
        """The payload of docs/payloads.md for a snapshot, as union with `base` where one is given."""
        last = self.recording.last("graph") or 0
        shown = min(snapshot, last)
        base = None if base is None else min(base, last)
        view = (fold, tuple(sorted(opened)), constants)
        picture = self._picture(shown, base, view)
        placed = self._placed(shown, base if base != shown else None, view)
        folding = self._folding(fold)
        return {"snapshot": snapshot, "base": base, "level": "graph"} | payload(picture, placed, folding)

    def _find_folding(self, fold: str) -> Folding:
        inputs = self.recording.inputs(0)
        return FOLDINGS[fold](self.recording.nodes(0), list(inputs))

    def _read(self, snapshot: int) -> dict[str, NodeVersion]:
        return {n.name: n for n in self.recording.nodes(snapshot)}

    def _picture(self, snapshot: int, base: int | None, view: tuple[str, tuple[str, ...], bool]) -> Picture:
        fold, opened, constants = view
        nodes = self._nodes(snapshot)
        before = self._nodes(base) if base is not None and base != snapshot else {}
        diff = self.recording.diff(base, snapshot) if before else None  # type: ignore[arg-type]  # then base is not None
        draft = _Draft(self._folding(fold), set(opened), constants, diff)
        for node in nodes.values():
            draft.add(node, _state(node.name, diff))
        for name, node in before.items():
            if name not in nodes:
                draft.add(node, "merged" if diff is not None and name in diff.merged else "removed")
        shown = {**before, **nodes}
        whole = not any(isinstance(part, Fold) for part in self._folding(fold).top)
        draft.connect(shown, self.recording.inputs(snapshot), self.recording.outputs(snapshot) if whole else {})
        return draft.picture

    def _place(self, snapshot: int, base: int | None, view: tuple[str, tuple[str, ...], bool]) -> Placed:
        picture = self._picture(snapshot, base, view)
        sizes = {name: box_size(box) for name, box in picture.boxes.items()}
        digraph = _digraph(picture)
        earlier = self._earlier(snapshot, base, len(sizes))
        previous = None if earlier is None else self._placed(*earlier, view)
        return place(union([digraph]), sizes, previous=previous)

    def _earlier(self, snapshot: int, base: int | None, boxes: int) -> tuple[int, int | None] | None:
        """The picture that this one is placed on from: without its base first, then the snapshot before it."""
        if base is not None and base != snapshot:
            return min(base, snapshot), None
        if snapshot == 0:
            return None
        return (0, None) if boxes > CHAIN_LIMIT else (self.recording.changed_before(snapshot), None)


def _state(name: str, diff: SnapshotDiff | None) -> str:
    if diff is None:
        return "same"
    if name in diff.added:
        return "added"
    if name in set(diff.merged.values()):
        return "merged"
    return "changed" if name in diff.changed else "same"


class _Draft:
    """Boxes are added node by node; what is folded away is counted in its block."""

    def __init__(self, folding: Folding, opened: set[str], constants: bool, diff: SnapshotDiff | None) -> None:
        self.folding, self.opened, self.constants = folding, opened, constants
        self.merged_into: dict[str, int] = {}
        for heir in diff.merged.values() if diff is not None else ():
            self.merged_into[heir] = self.merged_into.get(heir, 1) + 1
        self.picture = Picture()
        self.box_of: dict[str, str] = {}
        """Value to the box that makes it."""
        self._insides: dict[str, list[tuple[NodeVersion, str]]] = {}
        self._folds: dict[str, Fold] = {}

    def add(self, node: NodeVersion, state: str) -> None:
        what = self.folding.hidden.get(node.name)
        if what is not None and not self.constants:
            self.picture.hidden[what] = self.picture.hidden.get(what, 0) + 1
            return
        fold = self._closed(node)
        name = node.name if fold is None else fold.name
        self.box_of.update(dict.fromkeys(node.results, name))
        if fold is None:
            self.picture.boxes[name] = self._single(node, state)
        else:
            self._folds[name] = fold
            self._insides.setdefault(name, []).append((node, state))
            self.picture.boxes.setdefault(name, _EMPTY)

    def _closed(self, node: NodeVersion) -> Fold | None:
        """The outermost fold around a node that is not unfolded."""
        for fold in self.folding.path(node):
            if fold.name not in self.opened:
                return fold
        return None

    def _single(self, node: NodeVersion, state: str) -> Box:
        count = self.merged_into.get(node.name, 0)
        badge = f"{count}→1" if state == "merged" and count else ""
        shape = node.types[0].split("[", 1)[-1].split("]")[0].replace("x", "×") if node.types else ""
        op = op_text(node.op, node.attributes)
        title, detail = node.label or node.name, f"{op}  {shape}"
        if title.startswith(f"{node.op} {shape}"):  # a label made of op and shape says both already
            title, detail = node.op + title.removeprefix(f"{node.op} {shape}"), shape
        return Box(node.name, title, detail, op, "node", state, badge, node.types[0] if node.types else "")

    def connect(self, nodes: Mapping[str, NodeVersion], inputs: Iterable[str], outputs: Mapping[str, str]) -> None:
        """Edges between boxes; inputs and outputs get boxes of their own where the graph is shown whole."""
        for name, inside in self._insides.items():
            self.picture.boxes[name] = _folded(self._folds[name], inside)
        known = set(inputs)
        ports = known if outputs else set()
        for node in nodes.values():
            target = self.box_of.get(node.name)
            for operand in node.operands:
                if target is None or (operand not in self.box_of and operand not in ports):
                    continue
                source = self.box_of.get(operand) or self._input(operand)
                if source != target:
                    state = "removed" if self.picture.boxes[target].state == "removed" else "same"
                    self.picture.edges.setdefault((source, target), (operand, state))
        for public, value in outputs.items():
            self._output(public, value, known)

    def _input(self, name: str) -> str:
        box = f"input:{name}"
        self.picture.boxes.setdefault(box, Box(box, name, "input", "input", "input"))
        return box

    def _output(self, public: str, value: str, inputs: set[str]) -> None:
        source = self.box_of.get(value) or (self._input(value) if value in inputs else None)
        if source is not None:
            box = f"output:{public}"
            self.picture.boxes[box] = Box(box, public, "output", "output", "output")
            self.picture.edges[(source, box)] = (value, "same")


_EMPTY = Box("", "", "", "", "fold")


def _folded(fold: Fold, inside: list[tuple[NodeVersion, str]]) -> Box:
    """The box of a block: how many nodes, how often it repeats, how many changed."""
    changed = [state for _, state in inside if state != "same"]
    heaviest = max((node for node, _ in inside), key=lambda n: n.flops)
    alive = [node for node, state in inside if state not in ("removed", "merged") or not node.died]
    title = fold.title + (f" ×{fold.repeat}" if fold.repeat > 1 else "")
    state = "merged" if "merged" in changed else "changed" if changed else "same"
    detail = str(len(alive or inside))
    op = op_text(heaviest.op, heaviest.attributes)
    return Box(fold.name, title, detail, op, "fold", state, f"⇄{len(changed)}" if changed else "", "",
               len(inside), fold.repeat, len(changed), tuple(node.name for node, _ in inside))


def box_size(box: Box) -> tuple[int, int]:
    """Width from title and detail as they are drawn, between the narrowest and the widest; one height for all."""
    around = {"node": 46, "fold": 62}.get(box.kind, 34)  # bar, symbol, gaps; a fold has an arrow too
    inside = text_width(box.title, 12, bold=True) + text_width(box.detail, 11)
    widest = WIDEST_FOLD if box.kind == "fold" else WIDEST
    return min(widest, max(NARROWEST, round(inside) + around)), BOX_HEIGHT


def _digraph(picture: Picture) -> nx.DiGraph:
    digraph = nx.DiGraph()
    digraph.add_nodes_from(picture.boxes)
    for (source, target), (value, _) in picture.edges.items():
        digraph.add_edge(source, target, ports=(value, source))
    return digraph


def payload(picture: Picture, placed: Placed, folding: Folding) -> dict[str, Any]:
    """Columns for the canvas."""
    names = list(picture.boxes)
    position = {name: k for k, name in enumerate(names)}
    types = list(dict.fromkeys(b.type for b in picture.boxes.values() if b.type))
    return {
        "size": [round(placed.width), round(placed.height)],
        "boxes": _box_columns(picture, placed, names, {t: k for k, t in enumerate(types)}),
        "members": {str(position[n]): list(b.members) for n, b in picture.boxes.items() if b.members},
        "types": types,
        "edges": _edge_columns(picture, placed, position),
        "heat": {},
        "hidden": [{"what": what, "count": count} for what, count in picture.hidden.items()],
        "breadcrumb": [],
    }


def _box_columns(picture: Picture, placed: Placed, names: list[str], types: Mapping[str, int]) -> dict[str, list[Any]]:
    boxes = [picture.boxes[n] for n in names]
    return {
        "name": names,
        "title": [b.title for b in boxes],
        "detail": [b.detail for b in boxes],
        "op": [b.op for b in boxes],
        "family": [family_index(b.op) for b in boxes],
        "state": [CHANGE_INDEX[b.state] for b in boxes],
        "kind": [KINDS[b.kind] for b in boxes],
        "x": [round(placed.x[n]) for n in names],
        "y": [round(placed.y[n]) for n in names],
        "w": [placed.sizes[n][0] for n in names],
        "h": [placed.sizes[n][1] for n in names],
        "parent": [-1] * len(names),
        "count": [b.count for b in boxes],
        "repeat": [b.repeat for b in boxes],
        "changed": [b.changed for b in boxes],
        "badge": [b.badge for b in boxes],
        "type": [types.get(b.type, -1) for b in boxes],
    }


def _edge_columns(picture: Picture, placed: Placed, position: Mapping[str, int]) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {k: [] for k in ("from", "to", "value", "state", "stub", "points")}
    start = [0]
    for (source, target), (value, state) in picture.edges.items():
        route = placed.routes[(source, target)]
        points = [route.source, route.target] if isinstance(route, Stub) else route
        columns["from"].append(position[source])
        columns["to"].append(position[target])
        columns["value"].append(value)
        columns["state"].append(CHANGE_INDEX[state])
        columns["stub"].append(int(isinstance(route, Stub)))
        columns["points"] += [round(c) for point in points for c in point]
        start.append(start[-1] + len(points))
    return {**columns, "start": start}
