"""Two runs of one model side by side; a difference is called one only beyond the spread of both."""

import difflib
from typing import Any

from glowviz.app.kernel_pairs import kernel_pairs
from glowviz.app.measured import Runs, whole_runs
from glowviz.app.reader import Payload
from glowviz.app.wording import byte_text, digits, flop_text, signed, time_text, time_with_spread
from glowviz.compiler.recording.reader import Recording

Step = dict[str, Any]


def compare(here: Recording, there: Recording) -> Payload:
    """Return docs/payloads.md `compare`: the five numbers of both finished runs, and their ledgers aligned."""
    titles = [_choices(one) for one in (there, here)]
    first = _time(there, here)
    rows = [first, *(_exact(label, figure(there), figure(here), text) for label, figure, text in FIGURES)]
    return {"titles": titles, "ready": first["verdict"] != "", "rows": rows, "passes": _passes(there, here),
            "kernels": kernel_pairs(there, here)}


def _choices(recording: Recording) -> str:
    meta = recording.meta
    threads = meta.get("threads", 1)
    off = f"without {', '.join(meta['disabled'])}" if meta.get("disabled") else "all passes"
    moved = ", other order" if meta.get("order") else ""
    return f"{off}{moved}, {'1 thread' if threads == 1 else f'{threads} threads'}"


def _time(there: Recording, here: Recording) -> Payload:
    runs = [whole_runs(one) for one in (there, here)]
    texts = [_timed(one) for one in runs]
    before, after = runs
    if before is None or after is None:
        return {"label": "Time", "before": texts[0], "after": texts[1], "difference": "", "verdict": ""}
    apart, noise = after.median - before.median, before.spread + after.spread
    if abs(apart) <= noise:
        told, verdict = f"within the spread (±{time_text(noise)})", "same"
    else:
        told = f"{signed(apart, time_text(abs(apart)))} ({signed(apart, f'{abs(apart) / before.median:.0%}')})"
        verdict = "less" if apart < 0 else "more"
    return {"label": "Time", "before": texts[0], "after": texts[1], "difference": told, "verdict": verdict}


def _timed(runs: Runs | None) -> str:
    if runs is None:
        return "not timed yet"
    return " ".join(filter(None, time_with_spread(runs.median, runs.spread))) + f" (n={len(runs.samples)})"


def _memory(recording: Recording) -> float | None:
    plan = recording.meta.get("plan")
    return plan["total"] + plan["arenas"].get("weights", 0) if plan else None


def _activations(recording: Recording) -> float | None:
    plan = recording.meta.get("plan")
    return plan["total"] if plan else None


def _last(recording: Recording, key: str) -> float | None:
    ran = [step for step in recording.passes() if step["status"] != "failed"]
    return ran[-1][key] if ran else None


def _error(recording: Recording) -> float | None:
    return max((step["error"] for step in recording.passes() if step["error"] is not None), default=None)


def _number(value: float) -> str:
    return f"{value:,.0f}"


FIGURES = (
    ("Memory", _memory, byte_text), ("Live part", _activations, byte_text),
    ("Work", lambda one: _last(one, "flops"), flop_text), ("Steps", lambda one: _last(one, "nodes"), _number),
    ("Error", _error, lambda value: digits(value, 1)),
)


def _exact(label: str, before: float | None, after: float | None, text: Any) -> Payload:
    """Return a row of figures that have no spread."""
    texts = ["–" if one is None else text(one) for one in (before, after)]
    told, verdict = "", ""
    if before is not None and after is not None:
        apart = after - before
        verdict = "same" if apart == 0 else "less" if apart < 0 else "more"
        told = "the same" if apart == 0 else signed(apart, text(abs(apart)))
    return {"label": label, "before": texts[0], "after": texts[1], "difference": told, "verdict": verdict}


def _passes(there: Recording, here: Recording) -> list[Payload]:
    """Return the aligned ledgers, only where they differ."""
    before, after = there.passes(), here.passes()
    names = [step["name"] for step in before], [step["name"] for step in after]
    rows = []
    for tag, i1, i2, j1, j2 in difflib.SequenceMatcher(None, *names, autojunk=False).get_opcodes():
        pairs = zip(before[i1:i2], after[j1:j2], strict=True) if tag == "equal" else [
            *((step, None) for step in before[i1:i2]), *((None, step) for step in after[j1:j2])]
        rows += [_pair(one, other) for one, other in pairs]
    return [row for row in rows if row["before"] != row["after"]]


def _pair(before: Step | None, after: Step | None) -> Payload:
    known = after or before or {}
    return {"name": known["name"], "snapshot": after["snapshot"] if after else -1, "before": _did(before),
            "after": _did(after)}


def _did(step: Step | None) -> str:
    if step is None:
        return "–"
    if step["status"] != "ran":
        return step["status"]
    return f"{step['fired']} of {step['fired'] + step['kept']}, {step['nodes']:,} left"
