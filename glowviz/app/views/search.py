"""Search over the names of all snapshots; what is gone says when it went."""

import re
from collections.abc import Callable
from typing import Any

from glowviz.app.reader import Payload
from glowviz.compiler.recording.reader import Found, Recording

MOST = 200
FILTER = re.compile(r"\b(op|d?type|pass|level|scope):(\S+)|\b(cost)>=?([\d.]+(?:e-?\d+)?%?)", re.IGNORECASE)
EVERY = 100_000  # names to look through when filters, and no word, say what is wanted
Costs = Callable[[], dict[str, float]]
"""Returns node name → measured ms; empty where nothing was timed."""
COLUMNS = ("name", "title", "op", "type", "born", "died", "where", "level", "why")
TOLD = 20  # hits whose end is told beside them, with its reason


def search(recording: Recording, query: str, costs: Costs) -> Payload:
    """Return docs/payloads.md `search`. `query` is words and filters.

    op:Conv, dtype:f32, scope:layers.3, pass:fuse, level:program, cost>0.5 (ms measured) or cost>5% (of all of it).
    """
    filters = {(key or cost).lower(): (value or most).lower() for key, value, cost, most in FILTER.findall(query)}
    words = FILTER.sub(" ", query).split()
    names = {step["snapshot"]: step["name"] for step in recording.passes()}
    text = words[0] if words else filters.get("op", "")
    candidates = recording.search(text, limit=EVERY if filters else MOST * 5)
    ever = _ever(recording, names) if filters.keys() & {"op", "pass"} else {}
    found = [one for one in candidates if _fits(one, words, filters, ever)]
    found = _of_type(recording, _costing(costs, found, filters.get("cost")), filters)
    found.sort(key=lambda one: _distance(one, text.lower()))
    columns: dict[str, list[Any]] = {key: [] for key in COLUMNS}
    for at, one in enumerate(found[:MOST]):
        went = _went(one, names)
        passed, why = _end(recording, one, names) if at < TOLD and one.level == "graph" else ("", "")
        went = ", value ".join(filter(None, (passed, went)))
        for key, value in zip(COLUMNS, (*_facts(one), went, one.level, why), strict=True):
            columns[key].append(value)
    return {**columns, "total": len(found), "scopes": _scopes(found)}


def index(recording: Recording, costs: Costs) -> Payload:
    """Return all that search looks at, for a page without a server: columns, one entry per name.

    `text` is what words are looked for in, `ops` and `passes` as `_ever` tells them, `cost` ms (or null).
    """
    names = {step["snapshot"]: step["name"] for step in recording.passes()}
    times, ever = costs(), _ever(recording, names)
    types = _types(recording)
    columns: dict[str, list[Any]] = {
        key: [] for key in (*COLUMNS[:7], "level", "text", "ops", "passes", "cost")}
    for one in recording.search("", limit=EVERY):
        name, title, op, _, born, died = _facts(one)
        row = (name, title, op, types.get(name, ""), born, died, _went(one, names), one.level,
               " ".join(one.origin), *map(sorted, ever.get(name, ([one.op.lower()], []))), times.get(name))
        for key, value in zip(columns, row, strict=True):
            columns[key].append(value)
    return columns


Ever = dict[str, tuple[set[str], set[str]]]


def _ever(recording: Recording, names: dict[int, str]) -> Ever:
    """Return name → the ops that it ever was, in lower case, and the passes that made, changed or ended it."""
    found: Ever = {}
    for table, op in (("nodes", "op"), ("buffers", "kind")):
        for row in recording.query(f"SELECT name, {op} AS op, born, died FROM {table}"):
            ops, passes = found.setdefault(row["name"], (set(), set()))
            ops.add(row["op"].lower())
            passes.update({names.get(row["born"], ""), names.get(row["died"], "")} - {""})
    return found


def _facts(one: Found) -> tuple[str, str, str, str, int, int]:
    return one.name, one.label or one.name, one.op, "", one.born, -1 if one.died is None else one.died


def _went(one: Found, names: dict[int, str]) -> str:
    return "" if one.died is None else f"gone in {names.get(one.died, '?')} (pass {one.died})"


def _costing(costs: Costs, found: list[Found], least: str | None) -> list[Found]:
    """Return those whose kernels take longer than `least`: ms, or a part of all kernels where it ends in %."""
    if least is None:
        return found
    times = costs()
    bound = float(least.rstrip("%")) * (sum(times.values()) / 100 if least.endswith("%") else 1)
    return [one for one in found if times.get(one.name, -1.0) > bound]


def _of_type(recording: Recording, found: list[Found], filters: dict[str, str]) -> list[Found]:
    wanted = filters.get("dtype", filters.get("type"))
    if wanted is None:
        return found
    types = _types(recording)
    return [one for one in found if wanted in types.get(one.name, "").lower()]


def _types(recording: Recording) -> dict[str, str]:
    """Return node name → the text of its first result's type, as it was when it ended."""
    rows = recording.query("SELECT nodes.name, text AS type FROM nodes JOIN types ON types.id = "
                           "CAST(nodes.types AS INTEGER) ORDER BY nodes.rowid")  # the first of several results
    return {row["name"]: row["type"] for row in rows}


def _end(recording: Recording, one: Found, names: dict[int, str]) -> tuple[str, str]:
    """Return which pass took the node away and why: its value may live on, computed by another node."""
    versions = recording.versions(one.name)
    first = versions[0] if versions else None
    other = next((v for v in versions if first is not None and v.op != first.op), None)
    if first is None or other is None:
        return "", _reason(recording, one.name, one.died)
    passed = f"{first.op} gone in {names.get(other.born, '?')} (pass {other.born})"
    return passed, _reason(recording, one.name, other.born)


def _reason(recording: Recording, name: str, snapshot: int | None) -> str:
    events = [event for event in recording.life(name) if event.snapshot == snapshot and event.reason and event.rule]
    return f"{events[-1].rule}: {events[-1].reason}" if events else ""


def _distance(one: Found, word: str) -> int:
    """Return 0 for what is called just so, then what begins so; what only stems from it comes last."""
    names = (one.name.lower(), (one.label or "").lower())
    if word in names:
        return 0
    return 1 if any(name.startswith(word) for name in names) else 2 if any(word in name for name in names) else 3


def _fits(one: Found, words: list[str], filters: dict[str, str], ever: Ever) -> bool:
    text = f"{one.name} {one.label} {one.op} {' '.join(one.origin)}".lower()
    if not all(word.lower() in text for word in words):
        return False
    ops, passes = ever.get(one.name, ({one.op.lower()}, set()))
    if "op" in filters and not any(filters["op"] in op for op in ops):
        return False
    if "level" in filters and filters["level"] != one.level:
        return False
    if "scope" in filters and not _inside(one, filters["scope"]):
        return False
    return "pass" not in filters or filters["pass"] in passes


def _inside(one: Found, scope: str) -> bool:
    """Whether a name, or one it comes from, lies in a scope: what is before its last slash or dot."""
    paths = (name.lower().replace(".", "/").rpartition("/")[0] for name in (one.name, one.label or "", *one.origin))
    return any(f"/{scope.replace('.', '/')}" in f"/{path}" for path in paths)


def _scopes(found: list[Found]) -> list[list[Any]]:
    counts: dict[str, int] = {}
    for one in found:
        if "/" in one.name:
            scope = one.name.rsplit("/", 1)[0]
            counts[scope] = counts.get(scope, 0) + 1
    return [[scope, count] for scope, count in sorted(counts.items(), key=lambda item: -item[1])]
