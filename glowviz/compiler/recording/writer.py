"""A Recorder appends to a recording while the compiler runs; it stores what changed, found by identity."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from glowviz.compiler.graph import Constant, Graph, Origin
from glowviz.compiler.program import Buffer, Instr, MemoryPlan, Program, Statement
from glowviz.compiler.recording.columns import Interned, bytes_of, statement_keys
from glowviz.compiler.recording.records import PassLog
from glowviz.compiler.recording.rows import SEPARATOR
from glowviz.compiler.recording.schema import ALIVE, create
from glowviz.compiler.recording.versions import NodeVersions
from glowviz.compiler.text.literals import payload_text, type_text
from glowviz.compiler.text.printer import INDENT, buffer_text, statement_text


@dataclass
class Step:
    """One row of the ledger: a pass that ran, was off, or failed."""

    name: str
    stage: str
    level: str
    status: str = "ran"
    options: Mapping[str, Any] = field(default_factory=dict)
    summary: str = ""
    promise: str = ""
    required: bool = False
    seconds: float = 0.0
    verify_seconds: float = 0.0
    log: PassLog = field(default_factory=PassLog)
    peak: int | None = None
    """Bytes of the live set at its largest, in the current order."""
    peak_at: str = ""
    error: float | None = None
    problem: Mapping[str, Any] | None = None


class Recorder:
    """Writes one recording. Every call of `step` makes the next snapshot, also when nothing changed."""

    def __init__(self, path: str | Path, meta: Mapping[str, Any]) -> None:
        self.path = Path(path)
        self._db: sqlite3.Connection = create(self.path)
        self._interned = Interned()
        self._versions = NodeVersions(self._interned)
        self._graph: Graph = Graph()
        self._program: Program = Program()
        self._constant_rows: dict[str, int] = {}
        self._weights = 0
        self._idle: dict[str, int] = {}
        self.snapshot = -1
        self.set_meta(meta)

    def set_meta(self, meta: Mapping[str, Any]) -> None:
        """Facts about the run as JSON: model, shapes, target, options, versions, state."""
        rows = [(key, orjson.dumps(value, default=str).decode()) for key, value in meta.items()]
        self._db.executemany("INSERT OR REPLACE INTO meta VALUES(?, ?)", rows)

    def step(self, step: Step, graph: Graph | None = None, program: Program | None = None) -> int:
        """Append a snapshot and its ledger row; returns its number."""
        self.snapshot += 1
        self._db.execute("BEGIN")
        if graph is not None and graph is not self._graph:
            self._store_graph(graph)
        if program is not None and program is not self._program:
            self._store_program(program)
        self._store_step(step)
        self._store_new()
        self._db.execute("COMMIT")
        return self.snapshot

    def plan(self, plan: MemoryPlan, program: Program) -> None:
        """The addresses of all buffers, with the bound."""
        origins = {name: self._interned.origin(buffer.origin) for name, buffer in program.buffers.items()}
        rows = [
            (p.buffer, p.arena, p.offset, p.size, p.birth, p.death, origins[p.buffer]) for p in plan.buffers.values()
        ]
        self._db.execute("BEGIN")
        self._store_new()
        self._db.executemany("INSERT OR REPLACE INTO placements VALUES(?, ?, ?, ?, ?, ?, ?)", rows)
        self.set_meta({"plan": {"arenas": dict(plan.arenas), "total": plan.total, "lower_bound": plan.lower_bound}})
        self._db.execute("COMMIT")

    def insert(self, table: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """Whole rows of kernels, spans, runs or statistics."""
        rows = list(rows)
        if rows:
            places = ", ".join("?" * len(rows[0]))
            self._db.executemany(f"INSERT INTO {table} VALUES({places})", rows)

    def set_error(self, snapshot: int, error: float) -> None:
        """The measured error at a snapshot, of max |output|."""
        self._db.execute("UPDATE passes SET error = ? WHERE snapshot = ?", (error, snapshot))

    def origin_id(self, origin: Origin) -> int | None:
        """The row of an origin, for tables filled by `insert`."""
        found = self._interned.origin(origin)
        self._store_new()
        return found

    def finish(self, state: str = "done") -> None:
        """Mark the end and leave one file behind."""
        self.set_meta({"state": state})
        self._db.execute("PRAGMA busy_timeout=200")
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        # Somebody who watches holds the file open: then it keeps its journal mode, with everything in the one file.
        with suppress(sqlite3.OperationalError):
            self._db.execute("PRAGMA journal_mode=DELETE")
        self._db.close()

    # graphs ------------------------------------------------------------------------------------

    def _store_graph(self, graph: Graph) -> None:
        if graph is self._graph:
            return
        ended, rows = self._versions.follow(self._graph, graph, self.snapshot, self._next_rowid("nodes"))
        self._end("nodes", ended)
        self.insert("nodes", rows)
        self._store_constants(graph)
        self._store_interface(graph)
        self._graph = graph

    def _store_constants(self, graph: Graph) -> None:
        old, new = self._graph.constants, graph.constants
        asked = self._versions.touched | (graph.returned ^ self._graph.returned)
        if old is not new:
            asked |= self._renew_constants(old, new)
        # what a pass has just replaced stays until dce, but nobody needs memory for it any more
        for name in asked:
            self._idle.pop(name, None)
            if name in new and not self._versions.reads[name] and name not in graph.returned:
                self._idle[name] = bytes_of(new[name])

    def _renew_constants(self, old: Mapping[str, Constant], new: Mapping[str, Constant]) -> set[str]:
        """The names of those that are gone, new or replaced."""
        gone = [c for name, c in old.items() if new.get(name) is not c]
        self._end("constants", [self._constant_rows.pop(c.name) for c in gone])
        rows = [self._constant_row(c) for name, c in new.items() if old.get(name) is not c]
        first = self._next_rowid("constants")
        self.insert("constants", rows)
        self._constant_rows.update((row[0], rowid) for rowid, row in enumerate(rows, first))
        self._weights += sum(r[5] for r in rows) - sum(bytes_of(c) for c in gone)
        return {c.name for c in gone} | {row[0] for row in rows}

    def _constant_row(self, c: Constant) -> tuple[Any, ...]:
        content, origin = payload_text(c.payload), self._interned.origin(c.origin)
        return (c.name, self.snapshot, ALIVE, self._interned.type(c.type), content, bytes_of(c), origin)

    def _store_interface(self, graph: Graph) -> None:
        old = self._graph
        same = old.outputs == graph.outputs and old.inputs == graph.inputs and old.updates == graph.updates
        if same and old.states is graph.states:
            return
        self._db.execute("UPDATE interfaces SET died=? WHERE died=?", (self.snapshot, ALIVE))
        inputs = [[n, type_text(t)] for n, t in graph.inputs.items()]
        outputs = [[o.public, o.value] for o in graph.outputs]
        states = [[s.name, type_text(s.type), payload_text(s.initial)] for s in graph.states.values()]
        row = (self.snapshot, ALIVE, graph.name, *map(_json, (inputs, outputs, states, dict(graph.updates))))
        self.insert("interfaces", [row])

    # programs ----------------------------------------------------------------------------------

    def _store_program(self, program: Program) -> None:
        self._db.execute("UPDATE statements SET died=? WHERE died=?", (self.snapshot, ALIVE))
        keys = statement_keys(program)
        numbered = enumerate(zip(program.body, keys, strict=True))
        rows = [self._statement_row(s, key, k, program) for k, (s, key) in numbered]
        self._continue_rows("statements", rows)
        self._db.execute("UPDATE buffers SET died=? WHERE died=?", (self.snapshot, ALIVE))
        self._continue_rows("buffers", [self._buffer_row(b) for b in program.buffers.values()])
        self._db.execute("UPDATE results SET died=? WHERE died=?", (self.snapshot, ALIVE))
        outputs = [[o.public, o.buffer] for o in program.outputs]
        declared = [b.name for b in program.of_kind("input", "weight", "state", "output")]
        updates = dict(program.updates)
        self.insert("results", [(self.snapshot, ALIVE, program.name, *map(_json, (outputs, updates, declared)))])
        self._program = program

    def _continue_rows(self, table: str, rows: list[tuple[Any, ...]]) -> None:
        """Insert rows; one that ended just now with the same content lives on instead."""
        columns = len(rows[0]) if rows else 0
        ended = self._db.execute(f"SELECT rowid, * FROM {table} WHERE died=?", (self.snapshot,)).fetchall()
        known = {(r[1], *r[4:]): r[0] for r in ended}
        alive, new = [], []
        for row in rows:
            rowid = known.pop((row[0], *row[3:]), None)
            if rowid is None:
                new.append(row)
            else:
                alive.append((ALIVE, rowid))
        self._db.executemany(f"UPDATE {table} SET died=? WHERE rowid=?", alive)
        self._db.executemany(f"INSERT INTO {table} VALUES({', '.join('?' * columns)})", new)

    def _statement_row(self, statement: Statement, key: str, position: int, program: Program) -> tuple[Any, ...]:
        text = statement_text(statement, program, INDENT)
        head = (key, self.snapshot, ALIVE, float(position))
        if not isinstance(statement, Instr):
            kind = type(statement).__name__.lower()
            origin = self._interned.origin(program.buffers[statement.buffer].origin)
            return (*head, kind, kind, text, "", "", statement.buffer, "", "", "", origin)
        names = (SEPARATOR.join(x) for x in (statement.outs, statement.ins, statement.scratch))
        schedule = _json(dict(statement.schedule)) if statement.schedule else ""
        origin = self._interned.origin(statement.origin)
        return (*head, "instr", statement.name, text, statement.value, statement.label, *names, schedule, origin)

    def _buffer_row(self, b: Buffer) -> tuple[Any, ...]:
        content = payload_text(b.payload) if b.payload is not None else ""
        return (
            b.name, self.snapshot, ALIVE, b.kind, type_text(b.type), buffer_text(b), b.space, b.bytes, b.base, b.offset,
            b.address, content, self._interned.origin(b.origin),
        )

    # steps and interned columns ----------------------------------------------------------------

    def _store_step(self, step: Step) -> None:
        log = step.log
        kept = sum(group.count for group in log.groups.values())
        weights = self._weights - sum(self._idle.values())
        nodes = len(self._graph) if step.level != "program" else len(self._program.instructions)
        row = (
            self.snapshot, step.name, step.stage, step.level, step.status, _json(dict(step.options)), step.summary,
            step.promise, step.required, step.seconds, step.verify_seconds, log.tried, len(log.changes), kept, nodes,
            self._versions.flops, self._versions.moved, step.peak, step.peak_at, weights, step.error,
            _json(dict(step.problem)) if step.problem else None,
        )
        self.insert("passes", [row])
        self.insert("changes", [
            (self.snapshot, c.rule, c.anchor, c.reason, SEPARATOR.join(c.removed), SEPARATOR.join(c.added),
             SEPARATOR.join(c.changed), _json(dict(c.continues)) if c.continues else "") for c in log.changes
        ])
        self.insert("refusals", [
            (self.snapshot, g.rule, g.kind, g.pattern, g.count,
             _json([[r.anchor, r.reason, r.expected, r.found, r.stranger] for r in g.examples]))
            for g in log.groups.values()
        ])

    def _store_new(self) -> None:
        for table, rows in self._interned.new():
            self.insert(table, rows)

    def _end(self, table: str, rowids: list[int]) -> None:
        """One statement for all of them takes half the time of one for each."""
        if rowids:
            chosen = "SELECT value FROM json_each(?)"
            self._db.execute(f"UPDATE {table} SET died=? WHERE rowid IN ({chosen})", (self.snapshot, _json(rowids)))

    def _next_rowid(self, table: str) -> int:
        """Rows are never deleted, so they are numbered in the order of their coming."""
        (last,) = self._db.execute(f"SELECT COALESCE(MAX(rowid), 0) FROM {table}").fetchone()
        return last + 1


def _json(value: Any) -> str:
    return orjson.dumps(value, default=str).decode()
