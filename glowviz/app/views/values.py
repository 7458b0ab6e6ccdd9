"""What numbers a tensor holds, and where they first go wrong, from what a run left in the recording."""

import sqlite3
from typing import Any

import orjson

from glowviz.app.rasters import raster_payload
from glowviz.app.reader import Payload
from glowviz.app.wording import byte_text, counted, digits
from glowviz.compiler.recording.reader import NodeVersion, Recording

TOLERANCE = 2e-5  # of max |value|, until somebody says otherwise
WORDS = (("low", "smallest"), ("high", "largest"), ("mean", "mean"), ("deviation", "deviation"), ("nans", "NaN"),
         ("infinities", "infinite"), ("zeros", "zeros"))
INFINITE = 1e300
ODD = (("nans", "NaN"), ("infinities", "infinite numbers"))


def values(recording: Recording, snapshot: int, name: str) -> Payload:
    """Return docs/payloads.md `values`, or {missing} with the reason."""
    constant = _constant(recording, snapshot, name)
    row = _newest(recording, "statistics", snapshot, name)
    if row is not None:
        return _tensor(recording, snapshot, name, row, constant)
    if constant is not None and _spelt(constant):
        return _literal(name, constant["type"], constant["content"])
    where = "This run kept no numbers of this weight" if constant else "This run kept no values of it"
    told = recording.meta.get("errors", "")
    why = f" ({told})" if str(told).startswith("not measured") else ""
    kept = "A timed run keeps those of weights, of the imported graph and of what the machine code computes."
    return {"missing": f"{where}{why}. {kept}"}


def _newest(recording: Recording, table: str, snapshot: int, name: str) -> dict[str, Any] | None:
    """Return the last row about a value that is not newer than the snapshot; older recordings have no pictures."""
    try:
        rows = recording.query(f"SELECT * FROM {table} WHERE value = ? AND snapshot <= ? "
                               "ORDER BY snapshot DESC LIMIT 1", name, snapshot)
    except sqlite3.OperationalError:
        return None
    return dict(rows[0]) if rows else None


def _constant(recording: Recording, snapshot: int, name: str) -> dict[str, Any] | None:
    rows = recording.query("SELECT types.text AS type, content, bytes FROM constants JOIN types ON types.id = type "
                           "WHERE constants.name = ? ORDER BY born <= ? DESC, born DESC LIMIT 1", name, snapshot)
    return dict(rows[0]) if rows else None


def _type(recording: Recording, snapshot: int, name: str) -> str:
    for version in recording.versions(name):
        if version.born <= snapshot < version.died and name in version.results:
            return version.types[version.results.index(name)]
    rows = recording.query("SELECT inputs FROM interfaces WHERE born <= ? ORDER BY born DESC LIMIT 1", snapshot)
    return dict(orjson.loads(rows[0]["inputs"])).get(name, "") if rows else ""


def _tensor(
    recording: Recording, snapshot: int, name: str, row: dict[str, Any], constant: dict[str, Any] | None
) -> Payload:
    histogram = orjson.loads(row["histogram"]) if row["histogram"] else {}
    seen = _newest(recording, "rasters", snapshot, name)
    given = (recording.meta.get("given") or {}).get(name, "")
    kind = "constant" if constant else "input" if given else "result"
    stats = [[label, _number(row[key])] for key, label in WORDS]
    if constant:
        stats.append(["size", byte_text(constant["bytes"])])
    return {"name": name, "title": name, "type": constant["type"] if constant else _type(recording, snapshot, name),
            "kind": kind, "told": given or _told(recording, row, constant), "stats": stats,
            "error": _error(recording, row), "edges": _edges(histogram), "counts": histogram.get("counts", []),
            "every": histogram.get("every", 1), "picture": raster_payload(seen) if seen else None,
            "sample": ", ".join(orjson.loads(seen["first"])) if seen else _spelt(constant)}


def _edges(histogram: dict[str, Any]) -> list[float]:
    """Where each bar begins and the last one ends: all are as wide."""
    first, *_, last = histogram.get("edges", [0, 1])
    bars = max(len(histogram.get("counts", ())), 1)
    return [first + (last - first) * k / bars for k in range(bars)] + [last]


def _spelt(constant: dict[str, Any] | None) -> str:
    """Return a constant as the text form has it, where it is short."""
    return constant["content"] if constant and not constant["content"].startswith("sha256:") else ""


def _told(recording: Recording, row: dict[str, Any], constant: dict[str, Any] | None) -> str:
    """Return whose numbers these are."""
    if constant:
        made = recording.passes()[row["snapshot"]]["name"] if row["snapshot"] else ""
        return f"A constant, made by {made}" if made else "A constant of the model"
    return "Computed by the machine code" if row["snapshot"] else "Computed by the interpreter on the imported graph"


def _error(recording: Recording, row: dict[str, Any]) -> Payload | None:
    """Return max |difference| / max |reference| with both parts, where it was measured: here or in the machine code."""
    of = ""
    if row["error"] is None:
        found = recording.query("SELECT * FROM statistics WHERE value = ? AND error IS NOT NULL "
                                "ORDER BY snapshot DESC LIMIT 1", row["value"])
        if not found:
            return None
        row, of = dict(found[0]), "the machine code"
    worst = orjson.loads(row["worst"]) if row.get("worst") else []
    sizes = {"relative": row["error"], "absolute": row.get("absolute"), "scale": row.get("scale")}
    return {key: _finite(size) for key, size in sizes.items()} | {"worst": worst, "of": of}


def _finite(value: Any) -> Any:
    """Return the number, or what the page prints as ∞: JSON knows no infinity."""
    return min(value, INFINITE) if isinstance(value, float) else value


def _number(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else digits(float(str(value)))


def _literal(name: str, type_text: str, content: str) -> Payload:
    return {"name": name, "title": name, "type": type_text, "kind": "constant", "told": "A constant of the model",
            "stats": [], "error": None, "edges": [0, 1], "counts": [], "every": 1, "picture": None, "sample": content}


# -- the hunt ----------------------------------------------------------------------------------------------
def hunt(recording: Recording) -> Payload:
    """Return docs/payloads.md `hunt`: every value in the order it is computed, with its error, NaNs and infinities.

    The machine code's figures, where it computes the value; else those of the imported graph.
    """
    rows = recording.query("SELECT * FROM statistics ORDER BY snapshot, rowid")
    last = max((row["snapshot"] for row in rows if row["error"] is not None), default=0)
    at_end = {row["value"] for row in rows if row["snapshot"] == last and last}
    columns: dict[str, list[Any]] = {key: [] for key in ("name", "error", "nans", "infinities")}
    for row in rows:
        if row["snapshot"] in (0, last) and (row["snapshot"] or row["value"] not in at_end):
            for key, value in zip(columns, (row["value"], row["error"], row["nans"], row["infinities"]), strict=True):
                columns[key].append(_finite(value))
    given = [[name, told] for name, told in (recording.meta.get("given") or {}).items()]
    first = {key: _first(recording, columns, key) for key, _ in ODD}
    return {"against": str(recording.meta.get("errors", "")), "given": given, "tolerance": TOLERANCE, "first": first,
            "rows": columns}


def _first(recording: Recording, columns: dict[str, list[Any]], key: str) -> str:
    """Return who makes the first value with NaN or infinities, since when, and from what; "" where there is none."""
    at = next((at for at, count in enumerate(columns[key]) if count), None)
    if at is None:
        return ""
    name = columns["name"][at]
    counts = {row["snapshot"]: row[key] for row in
              recording.query(f"SELECT snapshot, {key} FROM statistics WHERE value = ?", name)}
    versions = recording.versions(name)
    if not versions:
        return "an input or a constant of the model."
    only_at_end = counts.get(0) == 0
    shown = versions[-1] if only_at_end else versions[0]
    return f"{_maker(recording, name, shown, only_at_end)}. {_operands(recording, shown)}".strip()


def _maker(recording: Recording, name: str, shown: NodeVersion, only_at_end: bool) -> str:
    """Return which node makes a value and which pass made that node."""
    by = f"by {shown.op} {shown.label or name}"
    if only_at_end:
        changed = f"made by {recording.passes()[shown.born]['name']}" if shown.born else "which no pass changed"
        return f"{by}, {changed}; the imported graph has none there"
    return f"{by}, made by {recording.passes()[shown.born]['name']}" if shown.born else f"{by}, as the model has it"


def _operands(recording: Recording, shown: NodeVersion) -> str:
    """Return what goes into the value, so that the cause can be seen."""
    told = []
    for operand in filter(None, shown.operands):
        row = recording.query("SELECT low, high, nans, infinities FROM statistics WHERE value = ? "
                              "ORDER BY snapshot LIMIT 1", operand)
        if row:
            odd = [counted(row[0][key], one, label) for (key, label), one in zip(ODD, ("NaN", "infinity"), strict=True)
                   if row[0][key]]
            told.append(f"{operand} ({digits(row[0]['low'])} … {digits(row[0]['high'])}"
                        + (f", {' and '.join(odd)}" if odd else "") + ")")
    return f"It reads {', '.join(told[:3])}." if told else ""


def hunt_lines(payload: Payload, tolerance: float) -> list[str]:
    """Return what a hunt found, in sentences: the first value beyond `tolerance`, the first NaN, the first infinity."""
    rows = payload["rows"]
    if not rows["name"]:
        return ["This run kept no values: compile with --time, --inputs or --expected."]
    beyond = [at for at, error in enumerate(rows["error"]) if error is not None and error > tolerance]
    measured = sum(error is not None for error in rows["error"])
    lines = [f"{len(beyond)} of {measured} measured values differ by more than {digits(tolerance)} of max |value|."]
    if beyond:
        lines.append(f"First: {rows['name'][beyond[0]]}, {digits(float(rows['error'][beyond[0]]))}.")
    for key, label in ODD:
        found = [at for at, count in enumerate(rows[key]) if count]
        if found:
            first = f"{rows['name'][found[0]]} ({rows[key][found[0]]:,}), {payload['first'][key]}"
            lines.append(f"{len(found)} values hold {label}; the first is {first}")
    return lines
