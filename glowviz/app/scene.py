"""A snapshot of a recording becomes a picture: boxes, edges and places; the only place where compiler meets layouts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from glowviz.app.boxes import KINDS, Box, Picture
from glowviz.app.folds import Fold, Folding, differences, fold_blocks, fold_nothing, fold_scopes
from glowviz.app.graph_boxes import graph_picture
from glowviz.app.nesting import Drawing, draw
from glowviz.app.program_boxes import STEP, Steps, program_picture, read_steps, together
from glowviz.app.theme import CHANGE_INDEX, family_index
from glowviz.app.union import difference, in_order
from glowviz.compiler.recording.reader import NodeVersion, Recording
from glowviz.layouts import Stub

FOLDINGS = {"blocks": fold_blocks, "scopes": fold_scopes, "none": fold_nothing}
CHAIN_LIMIT = 3000
"""Boxes up to which every snapshot is placed on from the one before; larger ones on from the imported graph."""

LARGE = 2000
"""Boxes above which a picture is drawn by a job."""
ALL_STEPS = -1
"""Stands for the instructions of all programs of a recording together: what keeps a place for each of them."""


class View(NamedTuple):
    """How a state is looked at: folding, unfolded blocks, and whether what is beside the data path is shown."""

    fold: str
    opened: tuple[str, ...]
    constants: bool


class State(NamedTuple):
    """What is drawn: a snapshot, or its union with an earlier one of the same level."""

    snapshot: int
    base: int | None


class Scenes:
    """Pictures of one recording, placed so that what survives a pass does not move.

    Instructions stand one below the other in the order in which they run, where that allows in the places of the
    nodes that computed their values.
    """

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self._programs_from: int | None = None
        self._folding = lru_cache(maxsize=8)(self._find_folding)
        self._drawn = lru_cache(maxsize=128)(self._draw)
        self._picture = lru_cache(maxsize=16)(self._sketch)
        self._nodes = lru_cache(maxsize=16)(self._read)
        self._steps = lru_cache(maxsize=16)(self._read_steps)

    def scene(
        self, snapshot: int, base: int | None, fold: str, opened: Sequence[str], constants: bool
    ) -> dict[str, Any]:
        """The payload of docs/payloads.md for a snapshot, as union with `base` where one is given."""
        view = View(fold, tuple(sorted(set(opened))), constants)
        state = self._state(snapshot, base)
        picture, drawing = self._picture(state, view), self._drawn(state, view)
        level = "program" if self._is_program(snapshot) else "graph"
        head = {"snapshot": snapshot, "base": base, "level": level, "breadcrumb": [self._name()]}
        return head | payload(picture, drawing)

    def scene_against(
        self, other: Scenes, there: int, snapshot: int, fold: str, opened: Sequence[str], constants: bool
    ) -> dict[str, Any]:
        """The payload for the union with state `there` of another run, which counts as before."""
        view = View(fold, tuple(sorted(set(opened))), constants)
        picture = self._union(other, there, snapshot, view)
        drawing = draw(picture, self._drawn(State(snapshot, None), view))
        level = "program" if self._is_program(snapshot) else "graph"
        head = {"snapshot": snapshot, "base": None, "level": level, "breadcrumb": [self._name()]}
        return head | payload(picture, drawing)

    def _union(self, other: Scenes, there: int, snapshot: int, view: View) -> Picture:
        folding = self._folding(view.fold)
        if self._is_program(snapshot) != other._is_program(there):
            return self._picture(State(snapshot, None), view)
        if self._is_program(snapshot):
            return program_picture(self._steps(snapshot), other._steps(there), folding, view.opened, view.constants)
        here, before = self._nodes(snapshot), other._nodes(there)
        found = difference(before, here, self.recording, snapshot)
        return graph_picture(here, in_order(before, here), found, folding, view.opened, view.constants,
                             self.recording.inputs(snapshot), self.recording.outputs(snapshot))

    def is_large(self, snapshot: int, fold: str, opened: Sequence[str]) -> bool:
        """Whether the picture has more than LARGE boxes, told without drawing it."""
        if fold == "none":
            rows = self.recording.query("SELECT nodes FROM passes WHERE snapshot = ?", snapshot)
            return bool(rows) and (rows[0]["nodes"] or 0) > LARGE
        folding = self._folding(fold)
        inside = sum(len(folding.by_name[name].parts) for name in opened if name in folding.by_name)
        return len(folding.top) + inside > LARGE

    def block(self, name: str, snapshot: int) -> tuple[Fold, list[str], list[str]] | None:
        """A block of any folding by its name, the names of what is inside it at a snapshot, and in what the equal
        blocks that it stands for differed when they were imported."""
        for fold in ("blocks", "scopes"):
            folding = self._folding(fold)
            found = folding.by_name.get(name)
            if found is not None:
                nodes = self._nodes(min(snapshot, self.recording.last("graph") or 0)).values()
                inside = [n.name for n in nodes if n.name not in folding.hidden and found in folding.path(n)]
                return found, inside, differences(found, self._nodes(0))
        return None

    def _name(self) -> str:
        return str(self.recording.meta.get("model") or "model")

    def _first_program(self) -> int:
        """The first snapshot with a program; beyond the last one where there is none (yet)."""
        if self._programs_from is not None:
            return self._programs_from
        rows = self.recording.query("SELECT MIN(snapshot) AS n FROM passes WHERE level = 'program'")
        born = self.recording.query("SELECT MIN(born) AS n FROM statements")[0]["n"]
        if rows[0]["n"] is None or born is None:
            return len(self.recording)
        found = self._programs_from = max(rows[0]["n"], born)
        return found

    def _is_program(self, snapshot: int) -> bool:
        return snapshot >= self._first_program()

    def _state(self, snapshot: int, base: int | None) -> State:
        """A base of another level says nothing, nor does the snapshot itself."""
        if base is None or base == snapshot or self._is_program(base) != self._is_program(snapshot):
            return State(snapshot, None)
        return State(snapshot, base)

    def _find_folding(self, fold: str) -> Folding:
        return FOLDINGS[fold](list(self._nodes(0).values()), list(self.recording.inputs(0)))

    def _read(self, snapshot: int) -> dict[str, NodeVersion]:
        return {n.name: n for n in self.recording.nodes(snapshot)}

    def _read_steps(self, snapshot: int) -> Steps:
        return read_steps(self.recording, snapshot)

    def _sketch(self, state: State, view: View) -> Picture:
        folding, base = self._folding(view.fold), state.base
        if state.snapshot == ALL_STEPS:
            picture = program_picture(self._all_steps(), None, folding, view.opened, view.constants)
            picture.heirs = {name: box.members[0] for name, box in picture.boxes.items()
                             if name.startswith(STEP) and box.members}
            return picture
        if self._is_program(state.snapshot):
            before = None if base is None else self._steps(base)
            return program_picture(self._steps(state.snapshot), before, folding, view.opened, view.constants)
        diff = None if base is None else self.recording.diff(base, state.snapshot)
        return graph_picture(
            self._nodes(state.snapshot), {} if base is None else self._nodes(base), diff, folding, view.opened,
            view.constants, self.recording.inputs(state.snapshot), self.recording.outputs(state.snapshot))

    def _draw(self, state: State, view: View) -> Drawing:
        picture = self._picture(state, view)
        earlier = self._earlier(state, view, len(picture.boxes))
        return draw(picture, None if earlier is None else self._drawn(*earlier))

    def _earlier(self, state: State, view: View, boxes: int) -> tuple[State, View] | None:
        """The picture that this one is placed on from: a union from its earlier state; a state from its union with
        the one before it, so that what is new stays where it was first seen; the first program from all of them, and
        these from the last graph; what is first of all from itself with all blocks folded."""
        is_program = self._is_program(state.snapshot)
        first = self._first_program() if is_program else 0
        if state.base is not None:
            return State(min(state.base, state.snapshot), None), view
        if is_program and state.snapshot == first:
            return State(ALL_STEPS, None), view
        if state.snapshot == ALL_STEPS:  # an instruction stands where the node did that computed its value
            return State(self._changed_before(self._first_program() - 1), None), view
        if state.snapshot == 0:
            return (state, view._replace(opened=())) if view.opened else None
        if boxes > CHAIN_LIMIT:
            return State(first, None), view
        before = max(first, self._changed_before(state.snapshot))
        return State(state.snapshot, before), view

    def _all_steps(self) -> Steps:
        rows = self.recording.query("SELECT DISTINCT born FROM statements ORDER BY born")
        first = self._first_program()
        return together([self._steps(max(first, row["born"])) for row in rows])

    def _changed_before(self, snapshot: int) -> int:
        """The newest snapshot before this one that looks different."""
        if not self._is_program(snapshot):
            return self.recording.changed_before(snapshot)
        (row,) = self.recording.query(
            "SELECT MAX(MAX(born, CASE WHEN died <= ? THEN died ELSE 0 END)) AS n FROM statements WHERE born <= ?",
            snapshot, snapshot)
        return max(0, (row["n"] or 0) - 1)


def payload(picture: Picture, drawing: Drawing) -> dict[str, Any]:
    """Columns for the canvas, frames before what is in them."""
    shown = {**picture.frames, **picture.boxes}
    outer_first = sorted(picture.frames, key=lambda name: len(picture.around(name)))
    names = [*outer_first, *picture.boxes]
    position = {name: k for k, name in enumerate(names)}
    types = list(dict.fromkeys(b.type for b in shown.values() if b.type))
    parents = [position.get(picture.parent.get(name, ""), -1) for name in names]
    left, top, width, height = drawing.bounds()
    return {
        "origin": [round(left), round(top)],
        "size": [round(width), round(height)],
        "boxes": _box_columns([shown[n] for n in names], drawing, {t: k for k, t in enumerate(types)})
        | {"parent": parents},
        "members": {str(position[n]): list(b.members) for n, b in picture.boxes.items() if b.members},
        "types": types,
        "edges": _edge_columns(picture, drawing, position),
        "heat": {},
        "hidden": [{"what": what, "count": count} for what, count in picture.hidden.items()],
    }


def _box_columns(boxes: list[Box], drawing: Drawing, types: Mapping[str, int]) -> dict[str, list[Any]]:
    return {
        "name": [b.name for b in boxes],
        "title": [b.title for b in boxes],
        "detail": [b.detail for b in boxes],
        "op": [b.op for b in boxes],
        "family": [family_index(b.op) for b in boxes],
        "state": [CHANGE_INDEX[b.state] for b in boxes],
        "kind": [KINDS[b.kind] for b in boxes],
        "x": [round(drawing.x[b.name]) for b in boxes],
        "y": [round(drawing.y[b.name]) for b in boxes],
        "w": [round(drawing.sizes[b.name][0]) for b in boxes],
        "h": [round(drawing.sizes[b.name][1]) for b in boxes],
        "count": [b.count for b in boxes],
        "repeat": [b.repeat for b in boxes],
        "changed": [b.changed for b in boxes],
        "badge": [b.badge for b in boxes],
        "type": [types.get(b.type, -1) for b in boxes],
    }


def _edge_columns(picture: Picture, drawing: Drawing, position: Mapping[str, int]) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {k: [] for k in ("from", "to", "value", "state", "stub", "points")}
    start = [0]
    for (source, target), (value, state) in picture.edges.items():
        route = drawing.routes[(source, target)]
        columns["from"].append(position[source])
        columns["to"].append(position[target])
        columns["value"].append(value)
        columns["state"].append(CHANGE_INDEX[state])
        columns["stub"].append(int(isinstance(route, Stub)))
        columns["points"] += [round(c) for point in route for c in point]
        start.append(start[-1] + len(route))
    return {**columns, "start": start}
