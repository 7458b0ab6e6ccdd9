"""What numbers a tensor holds, from the statistics that a run left in the recording."""

import orjson

from glowviz.app.reader import Payload
from glowviz.app.wording import digits
from glowviz.compiler.recording.reader import Recording

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
