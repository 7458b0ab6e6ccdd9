"""A Recorder appends to a recording while the compiler runs; it stores what changed, found by identity."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from glowviz.compiler.graph import NOWHERE, Constant, Graph, GraphStep, Node, Origin
from glowviz.compiler.program import Buffer, Instr, MemoryPlan, Program, Statement
from glowviz.compiler.recording.columns import bytes_of, operand_column, runs, statement_keys, work_of
from glowviz.compiler.recording.records import PassLog
from glowviz.compiler.recording.rows import SEPARATOR
from glowviz.compiler.recording.schema import ALIVE, create
from glowviz.compiler.text.literals import payload_text, type_text
from glowviz.compiler.text.printer import INDENT, attributes_text, buffer_text, statement_text

LEAST_GAP = 1e-6
"""Between the ranks of two neighbours; below it all nodes are numbered anew."""


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
        self._ids: dict[str, dict[Any, int]] = {"types": {}, "attributes": {}, "origins": {}}
        self._new: dict[str, list[tuple[Any, ...]]] = {"types": [], "attributes": [], "origins": []}
        self._graph: Graph = Graph()
        self._program: Program = Program()
        self._ranks: dict[str, float] = {}
        self._rows: dict[str, int] = {}
        self._constant_rows: dict[str, int] = {}
        self._totals = {"flops": 0, "moved": 0, "weights": 0}
        self._works: dict[str, tuple[int, int]] = {}
        self._work_of: dict[Any, tuple[int, int]] = {}
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
        rows = [
            (p.buffer, p.arena, p.offset, p.size, p.birth, p.death, self._origin(program.buffers[p.buffer].origin))
            for p in plan.buffers.values()
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
        found = self._origin(origin)
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
        step = graph.since(self._graph)
        self._end("nodes", [self._rows.pop(name) for name in step.gone])
        for name in step.gone:
            flops, moved = self._works.pop(name)
            self._totals["flops"] -= flops
            self._totals["moved"] -= moved
        rows = self._between(graph, step) if step.in_order else self._ranked(graph, self._graph.nodes)
        self._append("nodes", rows, self._rows)
        self._store_constants(graph)
        self._store_interface(graph)
        self._graph = graph

    def _between(self, graph: Graph, step: GraphStep) -> list[tuple[Any, ...]]:
        """Rows of new node versions, each run of them with ranks between those of the nodes around it."""
        rows: list[tuple[Any, ...]] = []
        if list(step.added) == list(step.gone) and list(self._graph.nodes) == list(graph.nodes):
            # what is replaced where it stands keeps its rank
            return [self._node_row(node, self._ranks[name], graph) for name, node in step.added.items()]
        names, ranks = list(graph.nodes), self._ranks
        for first, last in runs(step.places):
            low = ranks[names[first - 1]] if first else 0.0
            high = ranks[names[last + 1]] if last + 1 < len(names) else low + last - first + 2.0
            if high - low < LEAST_GAP:
                return self._renumbered(graph, step)
            self._place([graph.nodes[name] for name in names[first : last + 1]], low, high, rows, graph)
        return rows

    def _renumbered(self, graph: Graph, step: GraphStep) -> list[tuple[Any, ...]]:
        """New rows for all nodes: there is no number left between two of the old ones."""
        self._end("nodes", [self._rows.pop(name) for name in graph.nodes if name not in step.added])
        rows: list[tuple[Any, ...]] = []
        self._place(list(graph.nodes.values()), 0.0, len(graph) + 1.0, rows, graph)
        return rows

    def _ranked(self, graph: Graph, old: Mapping[str, Node]) -> list[tuple[Any, ...]]:
        """The same where nodes that stay have changed places: those that stand too late get new rows."""
        ranks = self._ranks
        rows: list[tuple[Any, ...]] = []
        waiting: list[Node] = []
        low = 0.0
        for name, node in graph.nodes.items():
            if old.get(name) is node:
                rank = ranks[name]
                if rank > low:
                    if waiting:
                        self._place(waiting, low, rank, rows, graph)
                        waiting = []
                    low = rank
                    continue
                self._end("nodes", [self._rows.pop(name)])
            waiting.append(node)
        self._place(waiting, low, low + len(waiting) + 1.0, rows, graph)
        return rows

    def _place(
        self, nodes: list[Node], low: float, high: float, rows: list[tuple[Any, ...]], graph: Graph
    ) -> None:
        for k, node in enumerate(nodes, 1):
            rank = low + (high - low) * k / (len(nodes) + 1)
            self._ranks[node.name] = rank
            rows.append(self._node_row(node, rank, graph))

    def _node_row(self, node: Node, rank: float, graph: Graph) -> tuple[Any, ...]:
        op = node.op
        attributes = self._attributes(op)
        types = SEPARATOR.join([str(self._type(t)) for t in node.types])
        flops, moved = self._work(node, attributes, types, graph)
        return (
            node.name, self.snapshot, ALIVE, rank, op.name, op.family, attributes, operand_column(op),
            SEPARATOR.join(node.results), types, self._origin(node.origin), node.label, flops, moved,
        )

    def _work(self, node: Node, attributes: int | None, types: str, graph: Graph) -> tuple[int, int]:
        """FLOPs and bytes moved; they follow from the op and the types alone, so equal ones are asked once."""
        if node.name in self._works:
            return self._works[node.name]
        key = (type(node.op), attributes, types, tuple([self._type(graph.type(o)) for o in node.op.operands]))
        found = self._work_of.get(key)
        if found is None:
            found = self._work_of[key] = work_of(node, graph)
        self._works[node.name] = found
        self._totals["flops"] += found[0]
        self._totals["moved"] += found[1]
        return found

    def _store_constants(self, graph: Graph) -> None:
        old, new = self._graph.constants, graph.constants
        if old is new:
            return
        gone = [c for name, c in old.items() if new.get(name) is not c]
        self._end("constants", [self._constant_rows.pop(c.name) for c in gone])
        rows = [self._constant_row(c) for name, c in new.items() if old.get(name) is not c]
        self._append("constants", rows, self._constant_rows)
        self._totals["weights"] += sum(r[5] for r in rows) - sum(bytes_of(c) for c in gone)

    def _constant_row(self, c: Constant) -> tuple[Any, ...]:
        content, origin = payload_text(c.payload), self._origin(c.origin)
        return (c.name, self.snapshot, ALIVE, self._type(c.type), content, bytes_of(c), origin)

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
            origin = self._origin(program.buffers[statement.buffer].origin)
            return (*head, kind, kind, text, "", "", statement.buffer, "", "", "", origin)
        names = (SEPARATOR.join(x) for x in (statement.outs, statement.ins, statement.scratch))
        schedule = _json(dict(statement.schedule)) if statement.schedule else ""
        origin = self._origin(statement.origin)
        return (*head, "instr", statement.name, text, statement.value, statement.label, *names, schedule, origin)

    def _buffer_row(self, b: Buffer) -> tuple[Any, ...]:
        content = payload_text(b.payload) if b.payload is not None else ""
        return (
            b.name, self.snapshot, ALIVE, b.kind, type_text(b.type), buffer_text(b), b.space, b.bytes, b.base, b.offset,
            b.address, content, self._origin(b.origin),
        )

    # steps and interned columns ----------------------------------------------------------------

    def _store_step(self, step: Step) -> None:
        log, totals = step.log, self._totals
        kept = sum(group.count for group in log.groups.values())
        nodes = len(self._graph) if step.level != "program" else len(self._program.instructions)
        row = (
            self.snapshot, step.name, step.stage, step.level, step.status, _json(dict(step.options)), step.summary,
            step.promise, step.required, step.seconds, step.verify_seconds, log.tried, len(log.changes), kept, nodes,
            totals["flops"], totals["moved"], step.peak, step.peak_at, totals["weights"], step.error,
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

    def _type(self, type_: Any) -> int:
        ids = self._ids["types"]
        found = ids.get(type_)
        if found is None:
            found = ids[type_] = len(ids) + 1
            self._new["types"].append((found, type_text(type_)))
        return found

    def _attributes(self, op: Any) -> int | None:
        text = attributes_text(op, INDENT)
        if not text:
            return None
        ids = self._ids["attributes"]
        found = ids.get(text)
        if found is None:
            found = ids[text] = len(ids) + 1
            self._new["attributes"].append((found, text))
        return found

    def _origin(self, origin: Origin) -> int | None:
        if origin is NOWHERE:
            return None
        ids = self._ids["origins"]
        found = ids.get(origin)
        if found is None:
            found = ids[origin] = len(ids) + 1
            made = SEPARATOR.join(origin.made) if origin.made else None
            self._new["origins"].append((found, SEPARATOR.join(origin.names), made))
        return found

    def _store_new(self) -> None:
        for table, rows in self._new.items():
            self.insert(table, rows)
            rows.clear()

    def _end(self, table: str, rowids: list[int]) -> None:
        self._db.executemany(f"UPDATE {table} SET died=? WHERE rowid=?", [(self.snapshot, r) for r in rowids])

    def _append(self, table: str, rows: list[tuple[Any, ...]], index: dict[str, int]) -> None:
        if not rows:
            return
        (last,) = self._db.execute(f"SELECT COALESCE(MAX(rowid), 0) FROM {table}").fetchone()
        self.insert(table, rows)
        index.update((row[0], last + k) for k, row in enumerate(rows, 1))


def _json(value: Any) -> str:
    return orjson.dumps(value, default=str).decode()
