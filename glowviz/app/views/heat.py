"""What each node of a snapshot costs: time of its kernel, bytes of its results, error of its values."""

import zlib

import orjson

from glowviz.app.wording import median
from glowviz.compiler.recording.reader import NodeVersion, Recording

INFINITE = 1e300  # JSON knows no infinity
MS = {"ns": 1e-6, "us": 1e-3, "ms": 1.0, "s": 1e3}


def heat(recording: Recording, snapshot: int) -> dict[str, tuple[str, dict[str, float]]]:
    """Return kind → (unit, node name → value); kinds without any value are left out.

    A kernel's time belongs to the node whose value it computes; before fusion, to the heaviest of the nodes
    that became it.
    """
    nodes = recording.nodes(min(snapshot, recording.last("graph") or 0))
    found = {"time": ("ms", _times(recording, nodes)), "memory": ("B", _bytes(recording, nodes)),
             "error": ("", _errors(recording, snapshot))}
    return {kind: (unit, values) for kind, (unit, values) in found.items() if values}


def _times(recording: Recording, nodes: list[NodeVersion]) -> dict[str, float]:
    spans = {row["kernel"]: median(orjson.loads(zlib.decompress(row["samples"]))) * MS[row["unit"]]
             for row in recording.query("SELECT kernel, unit, samples FROM spans ORDER BY rowid")}
    if not spans:
        return {}
    heaviest: dict[str, NodeVersion] = {}
    for node in nodes:
        for origin in node.origin:
            if origin not in heaviest or node.flops > heaviest[origin].flops:
                heaviest[origin] = node
    made = {result: node.name for node in nodes for result in node.results}
    times: dict[str, float] = {}
    rows = recording.query("SELECT position, value, origins.names AS origins FROM kernels LEFT JOIN origins "
                           "ON origins.id = origin")
    for row in rows:
        owner = made.get(row["value"]) or _owner(row["origins"], heaviest)
        if owner is not None and row["position"] in spans:
            times[owner] = times.get(owner, 0.0) + spans[row["position"]]
    return times


def _owner(origins: str | None, heaviest: dict[str, NodeVersion]) -> str | None:
    candidates = [heaviest[name] for name in (origins or "").split("\x1f") if name in heaviest]
    return max(candidates, key=lambda node: node.flops).name if candidates else None


def _bytes(recording: Recording, nodes: list[NodeVersion]) -> dict[str, float]:
    """Return the bytes of each node's results, from the types' text."""
    sizes = {"f64": 8, "i64": 8, "u64": 8, "f32": 4, "i32": 4, "u32": 4, "f16": 2, "bf16": 2, "i16": 2, "u16": 2}
    found: dict[str, float] = {}
    for node in nodes:
        total = 0
        for text in node.types:
            elem, _, rest = text.partition("[")
            dims = rest.partition("]")[0]
            if dims and not all(part.isdigit() for part in dims.split("x")):
                continue
            count = 1
            for part in dims.split("x") if dims else []:
                count *= int(part)
            total += count * sizes.get(elem.partition("(")[0], 1)
        found[node.name] = total
    return found


def _errors(recording: Recording, snapshot: int) -> dict[str, float]:
    """Return each value's error at this state, else in the machine code: a name always means the same numbers."""
    rows = recording.query("SELECT value, error FROM statistics WHERE error IS NOT NULL "
                           "ORDER BY snapshot <= ?, snapshot", snapshot)
    return {row["value"]: min(row["error"], INFINITE) for row in rows}
