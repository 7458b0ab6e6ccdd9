"""A run as Chrome's trace events, which Perfetto and chrome://tracing open: passes, then kernels, each in a row."""

from typing import Any

from glowviz.app.measured import UNIT_SECONDS
from glowviz.app.reader import Payload
from glowviz.app.wording import median
from glowviz.compiler.recording.reader import Recording

PASSES, KERNELS = 1, 2
"""Process numbers: each becomes a group of lanes with its name."""


def trace(recording: Recording) -> Payload:
    """Return the trace: "M" events name the lanes, "X" events have `ts` and `dur` in µs.

    A kernel lasts the median of its samples; kernels follow one another as the program runs them.
    """
    passes = [_event(row["name"], row["stage"], row["seconds"] * 1e6, PASSES,
                     {"snapshot": row["snapshot"], "changes": row["fired"]}) for row in recording.passes()]
    kernels = []
    for kernel in recording.kernels():
        samples = [sample * UNIT_SECONDS[span["unit"]] for span in kernel["spans"] for sample in span["samples"]]
        if samples:
            facts = {"value": kernel["value"], "instruction": kernel["instruction"], "samples": len(samples)}
            name = kernel["name"] or kernel["instruction"]
            kernels.append(_event(name, "kernel", median(samples) * 1e6, KERNELS, facts))
    names = [_name(PASSES, "passes of the compiler"), _name(KERNELS, "kernels, median times")]
    model = str(recording.meta.get("model", ""))
    return {"traceEvents": [*names, *_in_a_row(passes), *_in_a_row(kernels)], "displayTimeUnit": "ms",
            "otherData": {"model": model}}


def _name(process: int, name: str) -> dict[str, Any]:
    return {"name": "process_name", "ph": "M", "pid": process, "tid": 1, "args": {"name": name}}


def _event(name: str, category: str, microseconds: float, process: int, facts: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "cat": category, "ph": "X", "dur": microseconds, "pid": process, "tid": 1, "args": facts}


def _in_a_row(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    clock = 0.0
    for event in events:
        event["ts"] = clock
        clock += event["dur"]
    return events
