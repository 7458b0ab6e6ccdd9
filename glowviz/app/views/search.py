"""Search over the names of all snapshots; what is gone says when it went."""

import re
from typing import Any

from glowviz.app.reader import Payload
from glowviz.compiler.recording.reader import Found, Recording

MOST = 200
FILTER = re.compile(r"\b(op|type|pass|level):(\S+)", re.IGNORECASE)
COLUMNS = ("name", "title", "op", "type", "born", "died", "where", "level", "why")
TOLD = 20  # hits whose end is told beside them, with its reason


def search(recording: Recording, query: str) -> Payload:
    """Return docs/payloads.md `search`. `query` is words and filters: op:Conv, pass:fuse, level:program."""
    filters = {key.lower(): value.lower() for key, value in FILTER.findall(query)}
    words = FILTER.sub(" ", query).split()
    names = {step["snapshot"]: step["name"] for step in recording.passes()}
    text = words[0] if words else filters.get("op", "")
    found = [one for one in recording.search(text, limit=MOST * 5) if _fits(one, words, filters, names)]
    found.sort(key=lambda one: _distance(one, text.lower()))
    columns: dict[str, list[Any]] = {key: [] for key in COLUMNS}
    for at, one in enumerate(found[:MOST]):
        went = "" if one.died is None else f"gone in {names.get(one.died, '?')} (pass {one.died})"
        passed, why = _end(recording, one, names) if at < TOLD and one.level == "graph" else ("", "")
        went = ", value ".join(filter(None, (passed, went)))
        values = (one.name, one.label or one.name, one.op, "", one.born, -1 if one.died is None else one.died, went,
                  one.level, why)
        for key, value in zip(COLUMNS, values, strict=True):
            columns[key].append(value)
    return {**columns, "total": len(found), "scopes": _scopes(found)}


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


def _fits(one: Found, words: list[str], filters: dict[str, str], names: dict[int, str]) -> bool:
    text = f"{one.name} {one.label} {one.op} {' '.join(one.origin)}".lower()
    if not all(word.lower() in text for word in words):
        return False
    if "op" in filters and filters["op"] not in one.op.lower():
        return False
    if "level" in filters and filters["level"] != one.level:
        return False
    wanted = filters.get("pass")
    return wanted is None or wanted in (names.get(one.born, ""), names.get(one.died or -1, ""))


def _scopes(found: list[Found]) -> list[list[Any]]:
    counts: dict[str, int] = {}
    for one in found:
        if "/" in one.name:
            scope = one.name.rsplit("/", 1)[0]
            counts[scope] = counts.get(scope, 0) + 1
    return [[scope, count] for scope, count in sorted(counts.items(), key=lambda item: -item[1])]
