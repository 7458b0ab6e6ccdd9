"""What numbers a tensor holds, from the statistics that a run left in the recording."""

import orjson

from glowviz.app.reader import Payload
from glowviz.app.wording import digits
from glowviz.compiler.recording.reader import Recording

TOLERANCE = 1e-4  # of max |value|, until somebody says otherwise
WORDS = (("low", "smallest"), ("high", "largest"), ("mean", "mean"), ("deviation", "deviation"), ("nans", "NaN"),
         ("infinities", "infinite"), ("zeros", "zeros"), ("error", "error against the reference"))


def values(recording: Recording, snapshot: int, name: str) -> Payload:
    """Return docs/payloads.md `values`, or {missing} with the reason."""
    rows = recording.query("SELECT * FROM statistics WHERE value = ? AND snapshot <= ? ORDER BY snapshot DESC LIMIT 1",
                           name, snapshot)
    if rows:
        return _tensor(name, dict(rows[0]), _type(recording, snapshot, name))
    constants = recording.query("SELECT types.text AS type, content FROM constants JOIN types ON types.id = type "
                                "WHERE constants.name = ? LIMIT 1", name)
    if constants and not constants[0]["content"].startswith("sha256:"):
        return _literal(name, constants[0]["type"], constants[0]["content"])
    where = "Weights are named by hash and lie in the model's file" if constants else "This run kept no values"
    return {"missing": f"{where}; profile the model on an input to see the numbers of every tensor."}


def hunt(recording: Recording) -> Payload:
    """Return docs/payloads.md `hunt`: every value in the order it is computed, with its error, NaNs and infinities.

    The machine code's figures, where it computes the value; else those of the imported graph.
    """
    rows = recording.query("SELECT value, snapshot, error, nans, infinities FROM statistics ORDER BY snapshot, rowid")
    at_end = {row["value"] for row in rows if row["snapshot"]}
    columns: dict[str, list[object]] = {key: [] for key in ("name", "error", "nans", "infinities")}
    for row in rows:
        if row["snapshot"] or row["value"] not in at_end:
            for key, value in zip(columns, (row["value"], row["error"], row["nans"], row["infinities"]), strict=True):
                columns[key].append(value)
    return {"against": str(recording.meta.get("errors", "")), "rows": columns}


def hunt_lines(payload: Payload, tolerance: float) -> list[str]:
    """Return what a hunt found, in sentences: the first value beyond `tolerance`, the first NaN, the first infinity."""
    rows = payload["rows"]
    if not rows["name"]:
        return ["This run kept no values: compile with --time, --inputs or --expected."]
    beyond = [at for at, error in enumerate(rows["error"]) if error is not None and error > tolerance]
    lines = [f"{len(beyond)} of {len(rows['name'])} values differ by more than {digits(tolerance)} of max |value|."]
    if beyond:
        lines.append(f"First: {rows['name'][beyond[0]]}, {digits(float(rows['error'][beyond[0]]))}.")
    for key, label in (("nans", "NaN"), ("infinities", "infinite numbers")):
        found = [at for at, count in enumerate(rows[key]) if count]
        if found:
            first = f"{rows['name'][found[0]]} ({rows[key][found[0]]:,})"
            lines.append(f"{len(found)} values hold {label}; the first is {first}.")
    return lines


def _type(recording: Recording, snapshot: int, name: str) -> str:
    for version in recording.versions(name):
        if version.born <= snapshot < version.died and name in version.results:
            return version.types[version.results.index(name)]
    return ""


def _tensor(name: str, row: dict[str, object], type_text: str) -> Payload:
    histogram = orjson.loads(row["histogram"]) if isinstance(row["histogram"], str) and row["histogram"] else {}
    stats = [[label, _number(row[key])] for key, label in WORDS if row[key] is not None]
    return {"name": name, "title": name, "type": type_text, "kind": "result", "stats": stats,
            "edges": histogram.get("edges", [0, 1]), "counts": histogram.get("counts", []), "sample": ""}


def _number(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else digits(float(str(value)))


def _literal(name: str, type_text: str, content: str) -> Payload:
    return {"name": name, "title": name, "type": type_text, "kind": "constant", "stats": [], "edges": [0, 1],
            "counts": [], "sample": content}
