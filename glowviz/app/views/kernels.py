"""One row per instruction with its kernel and its time, and the code of one kernel at both levels."""

import zlib
from typing import Any

import orjson

from glowviz.app.problem import Problem
from glowviz.app.reader import Payload
from glowviz.app.wording import median, spread
from glowviz.compiler.recording.reader import Recording
from glowviz.compiler.recording.rows import kernel_of

MS = {"ns": 1e-6, "us": 1e-3, "ms": 1.0, "s": 1e3}
COLUMNS = ("name", "step", "op", "title", "value", "ms", "spread", "samples", "gflop", "peak", "host", "bytes",
           "spills", "types")
LIGHT = "position, instruction, name, native, value, schedule, flops, bytes"


def kernels(recording: Recording) -> Payload:
    """Return docs/payloads.md `kernels`; times are medians ± half the quartile distance, in ms."""
    times = _times(recording)
    statements = _statements(recording)
    peak = (recording.meta.get("target_facts") or {}).get("peak_gflops")
    columns: dict[str, list[Any]] = {key: [] for key in COLUMNS}
    for row in recording.query(f"SELECT {LIGHT} FROM kernels ORDER BY position"):
        samples = times.get(row["position"], [])
        ms = median(samples) if samples else None
        statement = statements.get(row["position"])
        schedule = orjson.loads(row["schedule"] or "{}")
        rate = row["flops"] / ms / 1e6 / peak if ms and peak and row["flops"] else None
        values = (row["name"] or row["instruction"], row["position"], row["instruction"],
                  (statement["label"] if statement else "") or row["value"], row["value"], ms,
                  spread(samples) if samples else None, len(samples), row["flops"] / 1e9 if row["flops"] else None,
                  rate, int(not row["native"]), row["bytes"], schedule.get("spills"), "")
        for key, value in zip(COLUMNS, values, strict=True):
            columns[key].append(value)
    known = [ms for ms in columns["ms"] if ms is not None]
    return {"rows": columns, "unit": "ms", "total": _whole(recording), "sum_ms": sum(known) if known else None}


def _statements(recording: Recording) -> dict[int, Any]:
    if recording.last("program") is None:
        return {}
    instructions = [row for row in recording.statements() if row["kind"] == "instr"]
    return dict(enumerate(instructions))


def _times(recording: Recording) -> dict[int, list[float]]:
    """Return position → samples in ms of the last timing."""
    return {row["kernel"]: [one * MS[row["unit"]] for one in orjson.loads(zlib.decompress(row["samples"]))]
            for row in recording.query("SELECT kernel, unit, samples FROM spans ORDER BY rowid")}


def _whole(recording: Recording) -> Payload | None:
    rows = recording.query("SELECT unit, samples FROM runs ORDER BY rowid DESC LIMIT 1")
    if not rows:
        return None
    samples = [one * MS[rows[0]["unit"]] for one in orjson.loads(zlib.decompress(rows[0]["samples"]))]
    return {"ms": median(samples), "spread": spread(samples), "samples": len(samples)} if samples else None


def kernel(recording: Recording, name: str) -> Payload:
    """Return docs/payloads.md `kernel`; raises Problem when no instruction uses a kernel of this name."""
    rows = recording.query("SELECT kernels.*, origins.names AS origins FROM kernels LEFT JOIN origins "
                           "ON origins.id = origin WHERE kernels.name = ? OR (kernels.name = '' AND instruction = ?) "
                           "ORDER BY position", name, name)
    if not rows:
        raise Problem(f"No kernel is called “{name}”.", "Kernels of this recording", status=404,
                      remedy="Choose one in the Kernels table.")
    found = kernel_of(rows[0], [])
    statements = _statements(recording)
    users = [[row["value"], statements[row["position"]]["label"] or row["value"]] for row in rows
             if row["position"] in statements]
    return {"name": name, "title": found["instruction"], "why": found["why"] or "",
            "schedule": [[key, _plain(value)] for key, value in found["schedule"].items()],
            "llvm": _lines(found["llvm"], found["native"]), "asm": _lines(found["assembly"], found["native"]),
            "llvm_of": found["lines"], "users": users}


def _lines(text: str, native: bool) -> list[str]:
    if text:
        return text.rstrip("\n").split("\n")
    return ["; no code here" if native else "; a host call: the interpreter runs this instruction"]


def _plain(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return "×".join(str(part) for part in value)
    return str(value)
