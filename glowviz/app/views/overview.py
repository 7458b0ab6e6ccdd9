"""The model's card: what it is, where time and memory go, and what is odd about it."""

from typing import Any

import orjson

from glowviz.app.findings import findings
from glowviz.app.measured import instruction_times
from glowviz.app.onnx_facts import model_facts, model_texts
from glowviz.app.reader import Payload
from glowviz.app.wording import account_of, byte_text, counted, digits, shape_of, time_text, told
from glowviz.compiler.recording.reader import Recording

WEIGHTS = {"trained": "Weights are trained.", "seeded": "Weights are seeded random: answers mean nothing.",
           "unknown": "Whether the weights are trained, the file does not say."}
ACCOUNT = ("weights", "packed", "activations", "state", "io", "scratch", "code", "process_peak")


def overview(recording: Recording, title: str = "", weights: str = "unknown") -> Payload:
    """Return docs/payloads.md `overview`; `title` and `weights` are what the gallery or the upload knows."""
    meta = recording.meta
    steps = recording.passes()
    facts: dict[str, Any] = meta.get("model_facts") or {}
    inputs, outputs = _ports(recording)
    failed = sum(step["status"] == "failed" for step in steps)
    return {
        "name": title or meta.get("model", "model"), "status": meta.get("state", "running"), "snapshots": len(steps),
        "first_change": _first_change(steps), "bound": _bound(meta, inputs), "disabled": meta["disabled"],
        "precision": meta.get("precision", "f32"), "threads": meta.get("threads", 1), "problems": failed,
        "what": _what(recording, facts), "facts": _facts(meta, facts), "inputs": inputs, "outputs": outputs,
        "weights": {"kind": weights, "text": WEIGHTS[weights]}, "time": _time(recording),
        "memory": _memory(meta), "file": model_texts(facts), "findings": findings(recording),
    }


def _first_change(steps: list[dict[str, Any]]) -> int | None:
    """Return the first pass that changed how much there is to do, else the first that changed anything."""
    fired = [step["snapshot"] for step in steps if step["snapshot"] > 0 and step["fired"]]
    strong = [i for i in fired if any(steps[i][key] != steps[i - 1][key] for key in ("nodes", "moved")) and i > 1]
    return next(iter(strong or fired), None)


def _ports(recording: Recording) -> tuple[list[list[str]], list[list[str]]]:
    rows = recording.query("SELECT inputs, outputs FROM interfaces ORDER BY born DESC LIMIT 1")
    if not rows:
        return [], []
    inputs = [[name, text] for name, text in orjson.loads(rows[0]["inputs"])]
    outputs = [[value, _type(recording, value)] for _, value in orjson.loads(rows[0]["outputs"])]
    return inputs, outputs


def _type(recording: Recording, value: str) -> str:
    versions = recording.versions(value)
    return versions[-1].types[versions[-1].results.index(value)] if versions else ""


def _bound(meta: dict[str, Any], inputs: list[list[str]]) -> str:
    shapes = ", ".join(shape_of(text) for _, text in inputs[:2]) + (" …" if len(inputs) > 2 else "")
    threads = meta.get("threads", 1)
    return " · ".join((shapes, meta.get("precision", "f32"), meta.get("target", ""),
                       "1 thread" if threads == 1 else f"{threads} threads"))


def _what(recording: Recording, facts: dict[str, Any]) -> str:
    counts = {row["op"]: row["n"] for row in recording.query(
        "SELECT op, COUNT(*) AS n FROM nodes WHERE born = 0 GROUP BY op ORDER BY n DESC, MIN(rank)")}
    parameters = facts.get("parameters")
    weights = f" and {digits(parameters / 1e6)} million parameters" if parameters and parameters > 1e5 else ""
    return f"{counted(sum(counts.values()), 'operator')}{weights}: {told(counts)}."


def _facts(meta: dict[str, Any], facts: dict[str, Any]) -> list[list[str]]:
    opsets = facts.get("opsets") or {}
    rows = [
        ("File", byte_text(facts["file_bytes"]) if facts.get("file_bytes") else ""),
        ("Weights", byte_text(facts["weight_bytes"]) if facts.get("weight_bytes") is not None else ""),
        ("Opset", ", ".join(f"{domain or 'ai.onnx'} {version}" for domain, version in opsets.items())),
        ("IR version", str(facts.get("ir_version") or "")),
        ("Made by", facts.get("producer") or ""),
        *model_facts(facts),
        ("Compiled for", meta.get("cpu") or meta.get("target") or ""),
    ]
    return [[label, value] for label, value in rows if value]


def _time(recording: Recording) -> list[Payload]:
    times = instruction_times(recording)
    if not times:
        return []
    labels = {s["value"]: s["label"] for s in recording.statements()}
    values = {row["position"]: row["value"] for row in recording.query("SELECT position, value FROM kernels")}
    total = sum(times.values())
    slowest = sorted((position for position in times if position in values), key=lambda at: -times[at])[:3]
    return [{"title": labels.get(values[at]) or values[at], "name": values[at], "share": times[at] / total,
             "text": f"{time_text(times[at])}, {times[at] / total:.0%}"} for at in slowest]


def _memory(meta: dict[str, Any]) -> list[Payload]:
    account = account_of(meta)
    rows = [(key.replace("_", " "), account[key]) for key in (*ACCOUNT, "io") if account.get(key)]
    return [{"label": label, "bytes": size, "text": byte_text(size)} for label, size in dict(rows).items()]

