"""A Reader of a real recording: every payload of the page, answered from one SQLite file."""

import sqlite3
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock

from glowviz.app.picture import svg
from glowviz.app.problem import Problem
from glowviz.app.reader import Payload, Reader, SceneRequest
from glowviz.app.scene import Scenes
from glowviz.app.store import Store
from glowviz.app.union import aligned
from glowviz.app.views import (
    changes,
    compare,
    heat,
    ir_text,
    kernels,
    ledger,
    life_card,
    memory,
    numbers,
    overview,
    problems,
    search,
    trace,
    values,
    why,
)
from glowviz.compiler.cutout import cut_out
from glowviz.compiler.graph import Graph
from glowviz.compiler.recording.reader import Recording
from glowviz.compiler.recording.schema import RecordingProblem
from glowviz.compiler.text import print_graph

KEPT = 32  # a class looks at as many recordings; each is a few MB of pictures and answers
WRITE_AHEAD = b"\x02\x02"  # bytes 18 and 19 of an SQLite file in write-ahead mode


@dataclass(frozen=True)
class JobProgress:
    """Where the job that writes a recording stands: "running", "done" or "failed", then with its problem."""

    state: str
    problem: dict[str, str] | None = None


class RecordingReader:
    """Answers from one recording; `notes` is what the store knows beyond the file (title, weights, job's end)."""

    def __init__(self, path: Path, notes: dict[str, str], job: Callable[[], JobProgress]) -> None:
        try:
            self.recording = Recording(path)
        except RecordingProblem as problem:
            raise Problem(str(problem), remedy="Open the model again.", status=404) from problem
        self.notes = notes
        self.live = False  # opened while its writer was at work
        self._job = job
        self.scenes = Scenes(self.recording)
        self._drawing = Lock()  # pictures rest on one another: two threads would draw all of them twice
        self._read_graph = lru_cache(maxsize=8)(self.recording.graph)

    def finished(self) -> bool:
        return self._status() != "running"

    def _status(self) -> str:
        """Return running, done or failed; a crashed compiler could not write its own end, and timing comes after it."""
        job = self._job().state
        state = str(self.recording.meta.get("state", "running"))
        return job if job == "running" or (job == "failed" and state == "running") else state

    def snapshots(self) -> int:
        return len(self.recording)

    def overview(self) -> Payload:
        card = overview.overview(self.recording, self.notes.get("title", ""), self.notes.get("weights", "unknown"))
        status = self._status()
        card["bound"] = " · ".join(filter(None, (card["bound"], self.notes.get("on", ""))))
        return card | {"status": status, "problems": max(card["problems"], int(status == "failed"))}

    def passes(self) -> Payload:
        return ledger.ledger(self.recording, self.problems()["problems"]) | {"status": self._status()}

    def scene(self, request: SceneRequest) -> Payload:
        r = request
        with self._drawing:
            scene = self.scenes.scene(r.snapshot, r.base, r.fold, r.opened, r.constants)
        return scene | {"heat": self._heat(scene, r.snapshot), "problem": self._culprit()}

    def scene_against(self, other: Reader, request: SceneRequest) -> Payload:
        if not isinstance(other, RecordingReader):
            raise Problem("This run cannot be drawn with that one.", expected="two recordings")
        there = aligned(other.recording, self.recording, request.snapshot)
        r = request
        with self._drawing:
            scene = self.scenes.scene_against(other.scenes, there, r.snapshot, r.fold, r.opened, r.constants)
        name = other.recording.passes()[there]["name"]
        facts = {"snapshot": there, "name": name, "run": compare.choices(other.recording)}
        return scene | {"heat": self._heat(scene, r.snapshot), "problem": self._culprit(), "against": facts}

    def is_large(self, request: SceneRequest) -> bool:
        return self.scenes.is_large(request.snapshot, request.fold, request.opened)

    def _culprit(self) -> str:
        """Return the name of the node that a failed pass stumbled over, or ""."""
        cards = self.problems()["problems"]
        return cards[0]["name"] if cards else ""

    def cutout(self, snapshot: int, name: str) -> str:
        """Return the text of the graph around a node: what its failure can be reported with; "" means all of it."""
        graph = self.recording.graph(min(snapshot, self.recording.last("graph") or 0))
        try:
            return print_graph(cut_out(graph, name) if name else graph)
        except KeyError as error:
            raise Problem(f"No node of state {snapshot} makes “{name}”.", status=404) from error

    def _heat(self, scene: Payload, snapshot: int) -> Payload:
        """Return what each box costs: its own node's value, or the sum over what is folded in it."""
        names = scene["boxes"]["name"]
        inside = [scene["members"].get(str(at), [name]) for at, name in enumerate(names)]
        made = {}
        for kind, (unit, costs) in heat.heat(self.recording, snapshot).items():
            known = [[costs[name] for name in members if name in costs] for members in inside]
            total = max if kind == "error" else sum
            made[kind] = {"unit": unit, "values": [total(some) if some else None for some in known]}
        return made

    def numbers(self, snapshot: int) -> Payload:
        return numbers.numbers(self.recording, snapshot)

    def life(self, snapshot: int, name: str) -> Payload:
        if not name.startswith("fold:"):
            return life_card.life(self.recording, snapshot, self._value(snapshot, name))
        found = self.scenes.block(name, snapshot)
        if found is None:
            return life_card.block("Block", [], 1, self.recording, snapshot)
        fold, members, differences = found
        last = min(snapshot, self.recording.last("graph") or 0)
        card = life_card.block(fold.title, members, fold.repeat, self.recording, last)
        lines = [{"text": text, "snapshot": None} for text in differences]
        return card | {"name": name, "paragraphs": [*card["paragraphs"][:1], *lines, *card["paragraphs"][1:]]}

    def _value(self, snapshot: int, name: str) -> str:
        """Return the value that a box stands for: inputs and outputs have boxes of their own."""
        if name.startswith("output:"):
            outputs = self.recording.outputs(min(snapshot, self.recording.last("graph") or 0))
            return outputs.get(name.removeprefix("output:"), name)
        return name.removeprefix("input:")

    def changes(self, snapshot: int) -> Payload:
        return changes.changes(self.recording, snapshot)

    def rewrites(self) -> Payload:
        return changes.rewrites(self.recording)

    def why(self, snapshot: int, name: str) -> Payload:
        return why.why(self.recording, snapshot, self._value(snapshot, name), self._graph)

    def _graph(self, snapshot: int) -> Graph:
        """Return the graph of a snapshot, read once for all snapshots that look the same."""
        if not self.finished():
            return self.recording.graph(snapshot)
        return self._read_graph(min(snapshot, self.recording.changed_before(snapshot) + 1))

    def text(self, snapshot: int) -> Payload:
        return ir_text.graph_text(self.recording, snapshot)

    def program(self, snapshot: int) -> Payload:
        return ir_text.program_text(self.recording, snapshot)

    def memory(self, snapshot: int) -> Payload:
        return memory.memory(self.recording, snapshot)

    def kernels(self) -> Payload:
        return kernels.kernels(self.recording)

    def kernel(self, name: str) -> Payload:
        return kernels.kernel(self.recording, name)

    def values(self, snapshot: int, name: str) -> Payload:
        return values.values(self.recording, snapshot, self._value(snapshot, name))

    def hunt(self) -> Payload:
        return values.hunt(self.recording)

    def search(self, query: str) -> Payload:
        return search.search(self.recording, query, self._costs)

    def _costs(self) -> dict[str, float]:
        return heat.heat(self.recording, self.recording.last("graph") or 0).get("time", ("ms", {}))[1]

    def names(self) -> Payload:
        """Return all that search looks at, for a page without a server."""
        return search.index(self.recording, self._costs)

    def compare(self, other: Reader) -> Payload:
        if not isinstance(other, RecordingReader):
            raise Problem("This run cannot be compared with that one.", expected="two recordings")
        return compare.compare(self.recording, other.recording)

    def trace(self) -> Payload:
        return trace.trace(self.recording)

    def picture(self, snapshot: int) -> str:
        return svg(self.recording, min(snapshot, self.recording.last("graph") or 0))

    def content(self) -> bytes:
        return self.recording.path.read_bytes()

    def chart(self, kind: str, mode: str) -> object:
        from glowviz.app.views import charts  # plotly takes a while to load, and the first page needs no chart

        return charts.figure(self.recording, kind, mode)

    def problems(self) -> Payload:
        job = self._job()
        return problems.problems(self.recording, job.problem if job.state == "failed" else None)


class Shelf:
    """Opens recordings of a store and keeps the last used ones open; safe for several threads."""

    def __init__(self, store: Store, job: Callable[[str], JobProgress]) -> None:
        self.store = store
        self.job = job
        self._open: OrderedDict[tuple[str, int], RecordingReader] = OrderedDict()
        self._lock = Lock()

    def reader(self, identifier: str) -> RecordingReader:
        """Return a reader of recording `identifier`; a file that was replaced is opened anew."""
        path = self.store.recording_path(identifier)
        if not path.exists():
            raise Problem("This recording is not on this server (any more).", "The address bar", status=404,
                          remedy="Open the model again.")
        key = (identifier, path.stat().st_ino)
        with self._lock:
            reader = self._open.pop(key, None)
            if reader is None or (reader.live and self.job(identifier).state != "running"):
                reader = self._opened(identifier, path)
            self._open[key] = reader
            while len(self._open) > KEPT:
                self._open.popitem(last=False)
        return reader

    def _opened(self, identifier: str, path: Path) -> RecordingReader:
        live = self.job(identifier).state == "running"
        if not live:
            _settle(path)
        reader = RecordingReader(path, self.store.notes(identifier), lambda: self.job(identifier))
        reader.live = live
        return reader


def _settle(path: Path) -> None:
    """Make one plain file of a recording whose writer could not, because we were watching."""
    with path.open("rb") as file:
        waiting = file.read(20)[18:] == WRITE_AHEAD
    if waiting:
        connection = sqlite3.connect(path, timeout=0)
        with suppress(sqlite3.OperationalError):  # another process watches too: then the last one does it
            connection.execute("PRAGMA journal_mode=DELETE")
        connection.close()
