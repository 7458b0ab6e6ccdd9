"""Search over the names of all snapshots; what is gone says when it went."""

import re
from typing import Any

from glowviz.app.reader import Payload
from glowviz.compiler.recording.reader import Found, Recording

MOST = 200
FILTER = re.compile(r"\b(op|type|pass|level):(\S+)", re.IGNORECASE)
COLUMNS = ("name", "title", "op", "type", "born", "died", "where", "level")


def search(recording: Recording, query: str) -> Payload:
    """Return docs/payloads.md `search`. `query` is words and filters: op:Conv, pass:fuse, level:program."""
    filters = {key.lower(): value.lower() for key, value in FILTER.findall(query)}
    words = FILTER.sub(" ", query).split()
    names = {step["snapshot"]: step["name"] for step in recording.passes()}
    text = words[0] if words else filters.get("op", "")
    found = [one for one in recording.search(text, limit=MOST * 5) if _fits(one, words, filters, names)]
    columns: dict[str, list[Any]] = {key: [] for key in COLUMNS}
    for one in found[:MOST]:
        went = "" if one.died is None else f"gone in {names.get(one.died, '?')} (pass {one.died})"
        values = (one.name, one.label or one.name, one.op, "", one.born, -1 if one.died is None else one.died, went,
                  one.level)
        for key, value in zip(COLUMNS, values, strict=True):
            columns[key].append(value)
    return {**columns, "total": len(found), "scopes": _scopes(found)}


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
