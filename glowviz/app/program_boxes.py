"""One program state, or the union of two, becomes a Picture: instructions in the order in which they run.

A box is an instruction, named "step:" and the value it computes; an edge is a buffer that one writes and the
other reads. What takes no time (alloc, dealloc, view) is counted, and shown on demand; a pass that only moves or
places buffers marks the instruction that first writes them, with the address as its badge.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from glowviz.app.boxes import Box, Picture, Sketch
from glowviz.app.folds import Folding
from glowviz.app.wording import op_text, shape_of
from glowviz.compiler.recording.reader import Recording
from glowviz.compiler.recording.rows import split

STEP = "step:"
ADDRESS = re.compile(r" at (0x[0-9a-f]+)")


@dataclass(frozen=True)
class Step:
    """One statement: what it is, what it reads and writes (buffers under their views), and where it stands."""

    key: str
    kind: str
    instruction: str
    text: str
    label: str
    writes: tuple[str, ...]
    reads: tuple[str, ...]
    type: str
    origin: tuple[str, ...]
    rank: float
    slot: str
    """The instruction before it: where an alloc or dealloc stands."""

    @property
    def runs(self) -> bool:
        return self.kind not in ("alloc", "dealloc", "view")


@dataclass(frozen=True)
class Steps:
    """A whole program: statements by key in order, and its inputs and outputs as buffers with the types' text."""

    by_key: Mapping[str, Step]
    inputs: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)


def read_steps(recording: Recording, snapshot: int) -> Steps:
    """Read the program of a snapshot; views are looked through, so that a buffer has one name."""
    buffers = {row["name"]: row for row in recording.buffers(snapshot)}

    def root(name: str) -> str:
        while name in buffers and buffers[name]["base"]:
            name = buffers[name]["base"]
        return name

    types = {name: type_of(row["text"] or "") for name, row in buffers.items()}
    found: dict[str, Step] = {}
    before = ""
    for row in recording.statements(snapshot):
        outs = split(row["outs"])
        shown = types.get(outs[0], "") if outs else ""
        found[row["key"]] = Step(
            row["key"], row["kind"], row["instruction"], row["text"], row["label"] or "",
            tuple(root(name) for name in outs), tuple(root(name) for name in split(row["ins"])), shown,
            split(row["origins"]), row["rank"], before)
        if found[row["key"]].runs:
            before = row["key"]
    faces = {kind: {name: types[name] for name, row in buffers.items() if row["kind"] == kind}
             for kind in ("input", "output")}
    return Steps(found, faces["input"], faces["output"])


def type_of(text: str) -> str:
    """Return the type in a buffer's text: "%a: f32[1x8]@NHWC at 0x40" gives "f32[1x8]@NHWC"."""
    return text.partition(": ")[2].partition(" ")[0]


def together(programs: Sequence[Steps]) -> Steps:
    """All statements of several programs, oldest first: each new one behind the one that it follows."""
    found: dict[str, Step] = {}
    for steps in programs:
        gone = [step for key, step in found.items() if key not in steps.by_key]
        found = {step.key: step for step in _merged_in_order(list(steps.by_key.values()), gone, found)}
    faces = programs[-1] if programs else Steps({})
    return Steps(found, faces.inputs, faces.outputs)


def program_picture(
    now: Steps, before: Steps | None, folding: Folding, opened: Collection[str], everything: bool
) -> Picture:
    """Draw the program, as the union with `before` where one is given; `everything` shows allocs and views too."""
    old = before.by_key if before is not None else now.by_key
    marks = _marks(now.by_key, old)
    sketch = _ProgramSketch(opened, marks)
    gone = [step for key, step in old.items() if key not in now.by_key]
    for name, type_text in now.inputs.items():
        box = f"input:{name}"
        sketch.picture.boxes[box] = Box(box, name, f"input  {shape_of(type_text)}", "input", "input")
    for step in _merged_in_order(list(now.by_key.values()), gone, old):
        if not (step.runs or everything):
            sketch.picture.hidden["allocs and views"] = sketch.picture.hidden.get("allocs and views", 0) + 1
            continue
        state = marks.get(step.key, ("same", ""))[0]
        sketch.box_of[step.key] = sketch.put(step, STEP + step.key, folding.path_by_names(step.origin), state)
    for name, type_text in now.outputs.items():
        box = f"output:{name}"
        sketch.picture.boxes[box] = Box(box, name, f"output  {shape_of(type_text)}", "output", "output")
    sketch.connect(now)
    sketch.connect_ghosts(old.values(), {step.key for step in gone})
    picture = sketch.finish()
    picture.in_line = True
    return picture


def _merged_in_order(now: list[Step], gone: list[Step], old: Mapping[str, Step]) -> list[Step]:
    """The statements in order, each one that is gone behind the one that it followed."""
    after: dict[str, list[Step]] = {}
    keys = list(old)
    place = {key: k for k, key in enumerate(keys)}
    alive = {step.key for step in now}
    for step in gone:
        at = place[step.key] - 1
        while at >= 0 and keys[at] not in alive:
            at -= 1
        after.setdefault(keys[at] if at >= 0 else "", []).append(step)
    found = list(after.get("", []))
    for step in now:
        found += [step, *after.get(step.key, [])]
    return found


def _marks(now: Mapping[str, Step], old: Mapping[str, Step]) -> dict[str, tuple[str, str]]:
    """Statement key to (state, badge)."""
    marks: dict[str, tuple[str, str]] = {}
    writers = _writers(now.values())
    for key, step in now.items():
        was = old.get(key)
        if was is None:
            marks[key] = "added", ""
        elif was.text != step.text:
            marks[key] = "changed", ""
    for key, step in old.items():
        if key not in now:
            marks[key] = _end(step, writers, old, marks)
    for key, step in now.items():
        was = old.get(key)
        moved = was is not None and _stands(step, now, old) != _stands(was, old, now)
        if was is not None and not step.runs and (moved or was.text != step.text):
            _mark_buffer(step, was, writers, now, marks)
    return marks


def _stands(step: Step, here: Mapping[str, Step], there: Mapping[str, Step]) -> str:
    """The nearest instruction before a statement that both programs have."""
    slot = step.slot
    while slot and slot not in there:
        slot = here[slot].slot
    return slot


def _end(
    step: Step, writers: Mapping[str, list[str]], old: Mapping[str, Step], marks: dict[str, tuple[str, str]]
) -> tuple[str, str]:
    """Gone; or merged, where another instruction now writes what this one wrote."""
    for buffer in step.writes if step.runs else ():
        for heir in writers.get(buffer, ()):
            if heir in old and buffer not in old[heir].writes:
                marks[heir] = "merged", "2→1"
                return "merged", ""
    return "removed", ""


def _mark_buffer(
    step: Step, was: Step, writers: Mapping[str, list[str]], now: Mapping[str, Step],
    marks: dict[str, tuple[str, str]],
) -> None:
    """An alloc or dealloc that moved, or got its address, shows on the first or last instruction that writes it."""
    touched = writers.get(step.writes[0] if step.writes else "", ())
    key = (touched[-1] if step.kind == "dealloc" else touched[0]) if touched else ""
    if key in now and key not in marks:
        address = ADDRESS.search(step.text)
        marks[key] = "changed", address.group(1) if address and was.text != step.text else ""
    marks.setdefault(step.key, ("changed", ""))


def _writers(steps: Iterable[Step]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for step in steps:
        for buffer in step.writes if step.runs else ():
            found.setdefault(buffer, []).append(step.key)
    return found


class _ProgramSketch(Sketch[Step]):
    def __init__(self, opened: Collection[str], marks: Mapping[str, tuple[str, str]]) -> None:
        super().__init__(opened)
        self.marks = marks

    def single(self, node: Step, state: str) -> Box:
        op = op_text("Fused", node.text) if node.instruction == "fused" else node.instruction
        shape = shape_of(node.type) if node.type else ""
        detail = f"{node.instruction}  {shape}" if shape else node.instruction
        title = node.label or node.key.removesuffix(".out")
        title = title.removesuffix(shape).rstrip() or title  # the shape is said at the right already
        members = (node.key,) if node.runs else ()
        return Box(STEP + node.key, title, detail, op, "node", state, self.marks.get(node.key, ("", ""))[1],
                   node.type, members=members)

    def summary(self, inside: Sequence[tuple[Step, str]]) -> tuple[str, int, tuple[str, ...]]:
        """The op in the middle of the block stands for it: programs carry no work."""
        ops = [step for step, _ in inside if step.instruction not in ("copy", "fill_halo", "reorder")]
        chosen = (ops or [step for step, _ in inside])[0]
        op = op_text("Fused", chosen.text) if chosen.instruction == "fused" else chosen.instruction
        alive = sum(state not in ("removed", "merged") or bool(self.marks.get(step.key, ("", ""))[1])
                    for step, state in inside)
        return op, alive or len(inside), tuple(step.key for step, _ in inside)

    def connect(self, now: Steps) -> None:
        """Join every instruction to those that wrote what it reads since it was last read."""
        self._flow([step for step in now.by_key.values() if step.runs], now)

    def connect_ghosts(self, old: Iterable[Step], gone: Collection[str]) -> None:
        """Join what is gone to what it read and to what read it, as it was."""
        if gone:
            self._flow([step for step in old if step.runs], None, gone)

    def _flow(self, steps: list[Step], faces: Steps | None, gone: Collection[str] = ()) -> None:
        writers: dict[str, list[str]] = {name: [f"input:{name}"] for name in faces.inputs} if faces else {}
        fresh: set[str] = set()
        """Buffers not read since they were last written: a further write adds to them (a border, a part)."""
        for step in steps:
            for buffer in step.reads:
                for source in writers.get(buffer, ()):
                    self._edge(source, step.key, buffer, gone)
                fresh.discard(buffer)
            for buffer in step.writes:
                writers[buffer] = [*(writers.get(buffer, ()) if buffer in fresh else ()), step.key]
                fresh.add(buffer)
        for name in faces.outputs if faces else ():
            for source in writers.get(name, ()):
                self.link(self.box_of.get(source, source), f"output:{name}", name)

    def _edge(self, source: str, target: str, buffer: str, gone: Collection[str]) -> None:
        one, other = self.box_of.get(source, source), self.box_of.get(target, target)
        if not gone:
            self.link(one, other, buffer)
        elif source in gone or target in gone:
            self.link(one, other, buffer, "removed")
