"""What went wrong in a compilation, as cards with a report to copy."""

import re
from typing import Any

from glowviz.app.reader import Payload
from glowviz.compiler.recording.reader import Recording

CUTOUTS = ["glow", "onnx"]
OPTIONAL = ("Fold up", "Simplify", "Orders and fusion", "Program", "Backend")  # stages whose passes can be switched off


def problems(recording: Recording, job: dict[str, str] | None = None) -> Payload:
    """Return docs/payloads.md `problems`; `job` is the end of the compiling process when that is known."""
    meta = recording.meta
    cards = [_card(step, meta) for step in recording.passes() if step["status"] == "failed"]
    if not cards and job is not None:
        cards.append(_job_card(job, len(recording), meta))
    return {"problems": cards}


def _card(step: dict[str, Any], meta: dict[str, Any]) -> Payload:
    problem = step["problem"] or {}
    return {"sign": "✕", "stage": step["name"], "snapshot": max(0, step["snapshot"] - 1), "name": culprit(problem),
            "what": problem.get("what", "This pass failed."), "where": problem.get("where", ""),
            "expected": _expected(problem), "remedy": problem.get("do", ""), "skip": not step["required"],
            "group": step["stage"], "report": report(step["name"], problem, meta), "cutout": CUTOUTS}


def culprit(problem: dict[str, str]) -> str:
    """Return the first value that a problem names (%r8), or ""."""
    found = re.search(r'%(?:"((?:[^"\\]|\\.)*)"|([\w.]+))', f"{problem.get('where', '')} {problem.get('what', '')}")
    return (found.group(1) or found.group(2).rstrip(".")) if found else ""


def _job_card(job: dict[str, str], snapshots: int, meta: dict[str, Any]) -> Payload:
    """Return the card of a process that ended before it could say why; `where` is the last thing it reported."""
    found = re.match(r"([A-Z][\w ]*): (\w+)", job.get("where", ""))
    group, stage = found.groups() if found else ("", "")
    optional = group in OPTIONAL
    return {"sign": "✕", "stage": stage, "group": group, "snapshot": max(0, snapshots - 1), "name": culprit(job),
            "what": job.get("what", ""), "where": job.get("where", ""), "expected": _expected(job),
            "remedy": job.get("do", ""), "skip": optional, "report": report("the compiling process", job, meta),
            "cutout": CUTOUTS if snapshots else []}


def _expected(problem: dict[str, str]) -> str:
    return f"Expected {problem['expected']}." if problem.get("expected") else ""


def report(stage: str, problem: dict[str, str], meta: dict[str, Any]) -> str:
    """Return the text to copy into a bug report: what failed, with which options and versions."""
    lines = [f"glowviz: {stage} failed", *(f"{key}: {problem[key]}" for key in ("what", "where", "expected", "do")
                                           if problem.get(key)),
             f"model: {meta.get('model')}", f"target: {meta.get('target')} ({meta.get('cpu')})",
             f"disabled: {meta.get('disabled')}",
             f"options: {meta.get('options')}", f"versions: {meta.get('versions')}"]
    return "\n".join([*lines, problem.get("trace") or problem.get("report") or ""]).rstrip()
