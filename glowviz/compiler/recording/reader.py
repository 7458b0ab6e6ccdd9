"""A Recording answers questions about a compilation from its file: any snapshot, any diff, any life, any search."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from glowviz.compiler.graph import Graph, Payload
from glowviz.compiler.program import Program
from glowviz.compiler.recording.life import Event, birth, events_of
from glowviz.compiler.recording.notebook import html
from glowviz.compiler.recording.rows import (
    SEPARATOR,
    Absent,
    change_of,
    died_or_none,
    example_of,
    from_text,
    kernel_of,
    split,
)
from glowviz.compiler.recording.schema import ALIVE, RecordingProblem, connect
from glowviz.compiler.text import parse_graph, parse_program, quoted, value_name


@dataclass(frozen=True)
class NodeVersion:
    """A node as it was from snapshot `born` up to (not including) `died`."""

    name: str
    born: int
    died: int
    rank: float
    op: str
    family: str
    attributes: str
    operands: tuple[str, ...]
    results: tuple[str, ...]
    types: tuple[str, ...]
    origin: tuple[str, ...]
    made: tuple[str, ...]
    label: str
    flops: int
    moved: int

    @property
    def content(self) -> tuple[Any, ...]:
        """What must be equal for two versions to be the same node; the origin and the place do not count."""
        return (self.op, self.attributes, self.operands, self.results, self.types)


@dataclass(frozen=True)
class SnapshotDiff:
    """What differs between two snapshots of the graph; names are node names."""

    before: int
    after: int
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    merged: Mapping[str, str] = field(default_factory=dict)
    """Removed node to the node that stands for it now."""


@dataclass(frozen=True)
class Found:
    """One search result: a name, in which snapshots it lives, and what it is."""

    name: str
    label: str
    op: str
    level: str
    born: int
    died: int | None
    origin: tuple[str, ...]


class Recording:
    """Read-only view of one recording; several threads may ask at once."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._db = connect(self.path)
        self._types: dict[int, str] = {}

    def close(self) -> None:
        self._db.close()

    def query(self, sql: str, *arguments: Any) -> list[sqlite3.Row]:
        """Rows of any table, for views that need what has no method here."""
        cursor = self._db.cursor()
        cursor.row_factory = sqlite3.Row
        return cursor.execute(sql, arguments).fetchall()

    # the run -----------------------------------------------------------------------------------

    @property
    def meta(self) -> dict[str, Any]:
        """Facts about the run: model, shapes, target, options, versions, state, findings, account."""
        return {r["key"]: orjson.loads(r["value"]) for r in self.query("SELECT * FROM meta")}

    def passes(self) -> list[dict[str, Any]]:
        """The ledger: one row per snapshot, in order."""
        rows = [dict(r) for r in self.query("SELECT * FROM passes ORDER BY snapshot")]
        for row in rows:
            row["options"] = orjson.loads(row["options"] or "{}")
            row["problem"] = orjson.loads(row["problem"]) if row["problem"] else None
            row["required"] = bool(row["required"])
        return rows

    def __len__(self) -> int:
        """How many snapshots there are."""
        return self.query("SELECT COUNT(*) AS n FROM passes")[0]["n"]

    def last(self, level: str) -> int | None:
        """The last snapshot of `graph` or `program` level."""
        test = "level = 'program'" if level == "program" else "level != 'program'"
        return self.query(f"SELECT MAX(snapshot) AS n FROM passes WHERE {test}")[0]["n"]

    def _repr_html_(self) -> str:
        """What a notebook shows: the run's facts and what each pass did, a few kB, every text escaped."""
        return html(self.meta, self.passes())

    # snapshots ---------------------------------------------------------------------------------

    def nodes(self, i: int) -> list[NodeVersion]:
        """The nodes of snapshot i in topological order."""
        where = "WHERE born <= ? AND died > ? ORDER BY rank"
        return [self._node(r) for r in self.query(f"{NODE_SELECT} {where}", i, i)]

    def inputs(self, i: int) -> dict[str, str]:
        """Graph inputs at snapshot i, with the text of their types."""
        return dict(self._interface(i, "inputs"))

    def outputs(self, i: int) -> dict[str, str]:
        """Public outputs at snapshot i, and the values behind them."""
        return dict(self._interface(i, "outputs"))

    def _interface(self, i: int, column: str) -> list[list[str]]:
        rows = self.query(f"SELECT {column} FROM interfaces WHERE born <= ? AND died > ?", i, i)
        return orjson.loads(rows[0][0]) if rows else []

    def changed_before(self, i: int) -> int:
        """The newest snapshot before i whose graph differs from the graph at i; 0 where none does."""
        (row,) = self.query("SELECT MAX(MAX(born, CASE WHEN died <= ? THEN died ELSE 0 END)) AS n FROM nodes "
                            "WHERE born <= ?", i, i)
        return max(0, (row["n"] or 0) - 1)

    def versions(self, name: str) -> list[NodeVersion]:
        """Every version of the node that makes this value, oldest first."""
        where = "WHERE nodes.name = ? OR nodes.results LIKE ? ORDER BY born"
        found = [self._node(r) for r in self.query(f"{NODE_SELECT} {where}", name, f"%{SEPARATOR}{name}%")]
        return [v for v in found if name in v.results]

    def constants(self, i: int) -> list[sqlite3.Row]:
        """name, type text, content text, bytes, origin of the constants of snapshot i."""
        return self.query(
            "SELECT constants.name, types.text AS type, content, bytes, origins.names AS origin FROM constants "
            "JOIN types ON types.id = type LEFT JOIN origins ON origins.id = origin WHERE born <= ? AND died > ?", i, i
        )

    def graph_text(self, i: int) -> str:
        """The text of the graph at snapshot i (after irgen: the last graph)."""
        (face,) = self.query("SELECT * FROM interfaces WHERE born <= ? AND died > ?", i, i)
        inputs = ", ".join(f"{value_name(n)}: {t}" for n, t in orjson.loads(face["inputs"]))
        lines = [f"graph @{quoted(face['name'])}({inputs}) {{"]
        for c in self.constants(i):
            lines.append(f"  const {value_name(c['name'])}: {c['type']} = {c['content']}{from_text(c['origin'])}")
        lines += [f"  state {value_name(n)}: {t} = {c}" for n, t, c in orjson.loads(face["states"])]
        lines += ["  " + line for line in map(self.node_text, self.nodes(i))]
        lines += [f"  next {value_name(s)} = {value_name(v)}" for s, v in orjson.loads(face["updates"]).items()]
        outputs = [f"{orjson.dumps(p).decode()}={value_name(v)}" for p, v in orjson.loads(face["outputs"])]
        lines += [f"  return {', '.join(outputs)}"] if outputs else []
        return "\n".join([*lines, "}"])

    @staticmethod
    def node_text(node: NodeVersion) -> str:
        """One statement as the printer writes it."""
        results = ", ".join(f"{value_name(r)}: {t}" for r, t in zip(node.results, node.types, strict=True))
        operands = ", ".join(value_name(o) if o else "_" for o in node.operands)
        label = f"  as {quoted(node.label)}" if node.label and node.label != node.name else ""
        origin = from_text(SEPARATOR.join(node.origin)) if node.origin else ""
        if not origin and node.made:
            origin = f"  made by {quoted(node.made[0])} for {value_name(node.made[1])}"
        return f"{results} = {node.op}({operands}){node.attributes}{label}{origin}"

    def graph(self, i: int, payloads: Callable[[str], Payload | None] | None = None) -> Graph:
        """The graph at snapshot i. Contents named by hash come from `payloads`; without it they are zeros."""
        return parse_graph(self.graph_text(i), payloads or Absent(self.graph_text(i)))

    def program_text(self, i: int | None = None) -> str:
        """The text of the program at snapshot i (default: the last one)."""
        i = self.last("program") if i is None else i
        heads = self.query("SELECT * FROM results WHERE born <= ? AND died > ?", i, i)
        if not heads:
            raise RecordingProblem(f"snapshot {i} has no program: irgen makes the first one")
        lines = [f"program @{quoted(heads[0]['name'])} {{"]
        where = "WHERE born <= ? AND died > ? AND kind IN ('input', 'weight', 'state', 'output')"
        rows = self.query(f"SELECT name, kind, text FROM buffers {where}", i, i)
        texts = {b["name"]: f"  {b['kind']} {b['text']}" for b in rows}
        lines += [texts[name] for name in orjson.loads(heads[0]["declared"])]
        lines += [f"  {s['text']}" for s in self.statements(i)]
        updates, outputs = orjson.loads(heads[0]["updates"]), orjson.loads(heads[0]["outputs"])
        lines += [f"  next {value_name(s)} = {value_name(v)}" for s, v in updates.items()]
        returned = [f"{orjson.dumps(p).decode()}={value_name(b)}" for p, b in outputs]
        lines += [f"  return {', '.join(returned)}"] if returned else []
        return "\n".join([*lines, "}"])

    def program(self, i: int | None = None, payloads: Callable[[str], Payload | None] | None = None) -> Program:
        """The program at snapshot i; contents as in `graph`."""
        text = self.program_text(i)
        return parse_program(text, payloads or Absent(text))

    def statements(self, i: int | None = None) -> list[sqlite3.Row]:
        """The statements of the program at snapshot i, in order, with names as separate columns."""
        i = self.last("program") if i is None else i
        return self.query(
            "SELECT statements.*, origins.names AS origins FROM statements LEFT JOIN origins ON origins.id = origin "
            "WHERE born <= ? AND died > ? ORDER BY rank", i, i
        )

    def buffers(self, i: int | None = None) -> list[dict[str, Any]]:
        """Buffers of the program at snapshot i with their placements, where memory is planned."""
        i = self.last("program") if i is None else i
        rows = self.query(
            "SELECT buffers.*, origins.names AS origins, p.arena, p.offset AS planned, p.size AS size, p.birth, "
            "p.death FROM buffers LEFT JOIN placements p ON p.buffer = buffers.name "
            "LEFT JOIN origins ON origins.id = buffers.origin WHERE buffers.born <= ? AND buffers.died > ?", i, i
        )
        return [dict(r) for r in rows]

    # change ------------------------------------------------------------------------------------

    def diff(self, i: int, j: int) -> SnapshotDiff:
        """What differs between snapshots i and j; across irgen the nodes are the last graph's."""
        low, high = min(i, j), max(i, j)
        where = "WHERE (born > ? AND born <= ?) OR (died > ? AND died <= ?)"
        rows = self.query(f"{NODE_SELECT} {where}", low, high, low, high)
        versions = [self._node(r) for r in rows]
        before = {v.name: v for v in versions if v.born <= low < v.died}
        after = {v.name: v for v in versions if v.born <= high < v.died}
        changed = tuple(n for n, v in after.items() if n in before and before[n].content != v.content)
        added = tuple(n for n in after if n not in before)
        removed = tuple(n for n in before if n not in after)
        merged = self._successors(low, high, removed)
        if i > j:
            return SnapshotDiff(i, j, removed, added, changed, {})
        return SnapshotDiff(i, j, added, removed, changed, merged)

    def _successors(self, low: int, high: int, removed: tuple[str, ...]) -> dict[str, str]:
        """For removed nodes: the surviving node that continues or absorbed them."""
        follows: dict[str, str] = {}
        for change in self.changes(low + 1, high):
            heirs = (*change["changed"], *change["added"])
            for name in change["removed"]:
                if heirs and name not in follows:
                    follows[name] = change["continues"].get(name) or (
                        change["anchor"] if change["anchor"] in heirs else heirs[0])
        result: dict[str, str] = {}
        for name in removed:
            heir, seen = follows.get(name), {name}
            while heir is not None and heir in follows and heir not in seen:
                seen.add(heir)
                heir = follows[heir]
            if heir is not None:
                result[name] = heir
        return result

    def changes(self, first: int, last: int | None = None) -> list[dict[str, Any]]:
        """Every rule firing of snapshots first..last, with names as tuples."""
        rows = self.query(
            "SELECT changes.*, passes.name AS pass_name FROM changes JOIN passes USING(snapshot) "
            "WHERE changes.snapshot BETWEEN ? AND ? ORDER BY changes.rowid", first, first if last is None else last
        )
        return [change_of(r) for r in rows]

    def refusals(self, i: int) -> list[dict[str, Any]]:
        """Near misses of the pass of snapshot i, grouped by rule and reason."""
        rows = self.query("SELECT * FROM refusals WHERE snapshot = ? ORDER BY count DESC", i)
        return [dict(r) | {"examples": [example_of(e) for e in orjson.loads(r["examples"])]} for r in rows]

    def refusals_at(self, name: str) -> list[dict[str, Any]]:
        """Every recorded refusal at one node, over all passes."""
        found: list[dict[str, Any]] = []
        sql = ("SELECT refusals.*, passes.name AS pass_name FROM refusals JOIN passes USING(snapshot) "
               "WHERE examples LIKE ?")
        for row in self.query(sql, f"%{orjson.dumps(name).decode()}%"):
            examples = map(example_of, orjson.loads(row["examples"]))
            head = {k: row[k] for k in ("snapshot", "pass_name", "rule", "kind")}
            found += [head | e for e in examples if e["anchor"] == name]
        return found

    def life(self, name: str) -> list[Event]:
        """What happened to a value from import to now, in order; [] for a name that never was."""
        versions = self.versions(name)
        if not versions:
            return []
        names = {row["snapshot"]: row["name"] for row in self.query("SELECT snapshot, name FROM passes")}
        events = [birth(versions[0], names)]
        like = f"%{name}%"
        sql = ("SELECT changes.*, passes.name AS pass_name FROM changes JOIN passes USING(snapshot) "
               "WHERE anchor = ? OR removed LIKE ? OR added LIKE ? OR changed LIKE ? ORDER BY changes.rowid")
        for change in map(change_of, self.query(sql, name, like, like, like)):
            events += events_of(change, name)
        last = versions[-1]
        if last.died < ALIVE and not any(e.kind in ("removed", "merged") for e in events):
            events.append(Event(last.died, names.get(last.died, ""), "removed", "", "no value depends on it any more"))
        return events

    # search ------------------------------------------------------------------------------------

    def search(self, text: str, limit: int = 200) -> list[Found]:
        """Names, labels, ops and ONNX names that contain the text, over all snapshots; gone ones say when they went."""
        like = "%" + text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        rows = self.query(
            "SELECT nodes.name, MAX(label) AS label, op, MIN(born) AS born, MAX(died) AS died, "
            "origins.names AS origins FROM nodes LEFT JOIN origins ON origins.id = origin "
            "WHERE nodes.name || char(31) || label || char(31) || op || char(31) || COALESCE(origins.names, '') "
            "LIKE ? ESCAPE '\\' GROUP BY nodes.name ORDER BY MIN(nodes.rowid) LIMIT ?", like, limit
        )
        found = [_found(r, "graph") for r in rows]
        rows = self.query(
            "SELECT name, '' AS label, kind AS op, MIN(born) AS born, MAX(died) AS died, '' AS origins FROM buffers "
            "WHERE name LIKE ? ESCAPE '\\' GROUP BY name LIMIT ?", like, limit
        )
        return found + [_found(r, "program") for r in rows]

    # code and time -----------------------------------------------------------------------------

    def kernels(self) -> list[dict[str, Any]]:
        """Every kernel with its schedule, source, machine code, line map and samples."""
        rows = self.query(
            "SELECT kernels.*, origins.names AS origins FROM kernels LEFT JOIN origins ON origins.id = origin "
            "ORDER BY position"
        )
        samples: dict[int, list[Any]] = {}
        for s in self.query("SELECT * FROM spans"):
            times = orjson.loads(zlib.decompress(s["samples"]))
            samples.setdefault(s["kernel"], []).append((s["threads"], s["unit"], times))
        return [kernel_of(r, samples.get(r["position"], [])) for r in rows]

    def statistics(self) -> Iterator[dict[str, Any]]:
        """Per tensor: range, moments, NaN and Inf counts, histogram, error."""
        return (dict(r) for r in self.query("SELECT * FROM statistics"))

    def _node(self, r: sqlite3.Row) -> NodeVersion:
        if not self._types:
            self._types = {t["id"]: t["text"] for t in self.query("SELECT * FROM types")}
        missing = [t for t in r["types"].split(SEPARATOR) if int(t) not in self._types]
        if missing:
            self._types = {t["id"]: t["text"] for t in self.query("SELECT * FROM types")}
        types = tuple(self._types[int(t)] for t in r["types"].split(SEPARATOR))
        return NodeVersion(
            r["name"], r["born"], r["died"], r["rank"], r["op"], r["family"], r["attributes_text"] or "",
            split(r["operands"]), split(r["results"]), types, split(r["origins"]), split(r["made"]), r["label"],
            r["flops"], r["moved"],
        )


def _found(r: sqlite3.Row, level: str) -> Found:
    died = died_or_none(r["died"])
    return Found(r["name"], r["label"], r["op"], level, r["born"], died, split(r["origins"]))


NODE_SELECT = (
    "SELECT nodes.*, attributes.text AS attributes_text, origins.names AS origins, origins.made AS made FROM nodes "
    "LEFT JOIN attributes ON attributes.id = nodes.attributes LEFT JOIN origins ON origins.id = nodes.origin"
)
