"""One row per instruction with its kernel and its time, and the code of one kernel at both levels."""

import zlib
from typing import Any

import orjson

from glowviz.app.peer_columns import peer_columns, peer_ratios
from glowviz.app.problem import Problem
from glowviz.app.reader import Payload
from glowviz.app.theme import family_index
from glowviz.app.wording import median, spread
from glowviz.compiler.recording.reader import Recording
from glowviz.compiler.recording.rows import kernel_of

MS = {"ns": 1e-6, "us": 1e-3, "ms": 1.0, "s": 1e3}
COLUMNS = ("name", "step", "op", "title", "value", "ms", "spread", "samples", "gflop", "peak", "host", "bytes",
           "spills", "types", "gflops", "gbytes", "family", "algorithm", "why", "peer_ms", "peer_spread", "peer_told",
           "peer_ratio")
LIGHT = "position, instruction, name, native, value, schedule, why, flops, bytes"


def kernels(recording: Recording) -> Payload:
    """Return docs/payloads.md `kernels`; times are medians ± half the quartile distance, in ms."""
    times = _times(recording)
    statements = _statements(recording)
    facts = recording.meta.get("target_facts") or {}
    peer, beside = peer_columns(recording)
    columns: dict[str, list[Any]] = {key: [] for key in COLUMNS}
    for row in recording.query(f"SELECT {LIGHT} FROM kernels ORDER BY position"):
        samples = times.get(row["position"], [])
        ms = median(samples) if samples else None
        statement = statements.get(row["position"])
        schedule = orjson.loads(row["schedule"] or "{}")
        gflops, gbytes = (row[key] / ms / 1e6 if ms and row[key] else None for key in ("flops", "bytes"))
        name = row["name"] or row["instruction"]
        values = (name, row["position"], row["instruction"],
                  (statement["label"] if statement else "") or row["value"], row["value"], ms,
                  spread(samples) if samples else None, len(samples), row["flops"] / 1e9 if row["flops"] else None,
                  gflops / facts["peak_gflops"] if gflops and facts.get("peak_gflops") else None,
                  int(not row["native"]), row["bytes"], schedule.get("spills"), "", gflops, gbytes,
                  family_index(name.split(".")[0]), _algorithm(schedule), row["why"] or "",
                  *beside.get(row["position"], (None, None, "")), None)
        for key, value in zip(COLUMNS, values, strict=True):
            columns[key].append(value)
    columns["peer_ratio"] = peer_ratios(columns["peer_ms"], columns["ms"], peer)
    known = [ms for ms in columns["ms"] if ms is not None]
    return {"rows": columns, "unit": "ms", "total": _whole(recording), "sum_ms": sum(known) if known else None,
            "roofs": {"gflops": facts.get("peak_gflops"), "gbytes": facts.get("peak_gbytes") or {}},
            "alone": recording.meta.get("timing"), "peer": peer}


def _algorithm(schedule: dict[str, Any]) -> str:
    """Return the algorithm with what tells its variants apart: winograd F(6×6), direct, gemm; "" where there is one."""
    name = str(schedule.get("algorithm") or "")
    outputs = schedule.get("outputs")
    return f"{name} F({outputs}×{outputs})" if name == "winograd" and outputs else name.replace("_", " ")


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
