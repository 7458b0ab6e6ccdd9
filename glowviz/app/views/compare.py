"""Two runs side by side; a time is called another one only beyond the spread of both."""

from collections.abc import Callable
from typing import Any

from glowviz.app.kernel_pairs import kernel_pairs
from glowviz.app.measured import Runs, whole_runs
from glowviz.app.reader import Payload
from glowviz.app.union import difference, pairs_of_passes
from glowviz.app.wording import account_of, byte_text, digits, flop_text, signed, time_text, time_with_spread
from glowviz.compiler.recording.reader import Recording

Step = dict[str, Any]


def compare(here: Recording, there: Recording) -> Payload:
    """Return docs/payloads.md `compare`: figures, memory, ledgers, graphs and kernels; `there` counts as before."""
    titles = [choices(one) for one in (there, here)]
    first = _time(there, here)
    rows = [first, *(_exact(label, figure(there), figure(here), text) for label, figure, text in FIGURES)]
    ledger = [_pair(one, other) for one, other in pairs_of_passes(there, here)]
    return {"titles": titles, "ready": first["verdict"] != "", "rows": rows, "facts": _facts(there, here),
            "memory": _account_rows(there, here), "ledger": ledger,
            "passes": [{key: row[key] for key in ("name", "snapshot", "before", "after", "cells")}
                       for row in ledger if row["different"]],
            "graph": _graph(there, here), "kernels": kernel_pairs(there, here)}


def choices(recording: Recording) -> str:
    """Return what was chosen for a run, in the words that tell it from another run of the same model."""
    meta = recording.meta
    threads = meta.get("threads", 1)
    off = f"without {', '.join(meta['disabled'])}" if meta.get("disabled") else "all passes"
    moved = ", other order" if meta.get("order") else ""
    options = {name: given for name, given in (meta.get("options") or {}).items() if name != "bind_shapes"}
    chosen = "".join(f", {name} {key}={value}" for name, given in options.items() for key, value in given.items())
    return f"{off}{moved}{chosen}, {'1 thread' if threads == 1 else f'{threads} threads'}"


FACTS: tuple[tuple[str, Callable[[dict[str, Any]], object]], ...] = (
    ("Model", lambda meta: meta.get("model")), ("Target", lambda meta: meta.get("target")),
    ("Processor", lambda meta: meta.get("cpu")), ("Precision", lambda meta: meta.get("precision")),
    ("Threads", lambda meta: meta.get("threads")),
    ("Switched off", lambda meta: ", ".join(meta.get("disabled") or ()) or "none"),
    ("Order", lambda meta: "another" if meta.get("order") else "the usual"),
    ("Shapes", lambda meta: _shapes(meta)), ("glowviz", lambda meta: (meta.get("versions") or {}).get("glowviz")),
    ("Timed", lambda meta: (meta.get("timing") or {}).get("told")),
)


def _facts(there: Recording, here: Recording) -> list[list[str]]:
    """Return [label, before, after] of what is not the same in both runs."""
    rows = [[label, *("–" if value is None else str(value) for value in (fact(there.meta), fact(here.meta)))]
            for label, fact in FACTS]
    return [row for row in rows if row[1] != row[2]]


def _shapes(meta: dict[str, Any]) -> str:
    shapes = (meta.get("options") or {}).get("bind_shapes", {}).get("shapes", {})
    return ", ".join(f"{name} {'×'.join(map(str, dims))}" for name, dims in shapes.items()) or "the file's"


ACCOUNT = (("weights", "Weights"), ("packed", "Packed copies"), ("activations", "Activations"), ("state", "State"),
           ("io", "Inputs and outputs"), ("scratch", "Scratch"), ("code", "Code"), ("process_peak", "Process, at most"))


def _account_rows(there: Recording, here: Recording) -> list[Payload]:
    """Return the memory of both runs by use, what neither has left out, and what their peaks are made of."""
    before, after = (account_of(one.meta) if one.meta.get("account") else {} for one in (there, here))
    rows = [_exact(label, before.get(key), after.get(key), byte_text) for key, label in ACCOUNT
            if before.get(key) or after.get(key)]
    peaks = [_last(one, "peak_at") for one in (there, here)]
    if peaks[0] != peaks[1]:
        rows.append({"label": "Peak while", "before": peaks[0] or "–", "after": peaks[1] or "–",
                     "difference": "", "verdict": ""})
    return rows


def _graph(there: Recording, here: Recording) -> Payload:
    """Return how the last graphs of both runs differ: names by state; the canvas draws the same."""
    last = [one.last("graph") or 0 for one in (there, here)]
    nodes = [{node.name: node for node in one.nodes(at)} for one, at in zip((there, here), last, strict=True)]
    found = difference(nodes[0], nodes[1], here, last[1])
    gone = [name for name in found.removed if name not in found.merged]
    same = len(nodes[1]) - len(found.added) - len(found.changed)
    states = {"added": list(found.added), "removed": gone, "changed": list(found.changed),
              "merged": [f"{name} → {heir}" for name, heir in found.merged.items()]}
    return {"snapshot": last[1], "there": last[0], "same": same,
            "states": [{"state": state, "count": len(names), "names": names[:20]} for state, names in states.items()]}


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


def _pair(before: Step | None, after: Step | None) -> Payload:
    known = after or before or {}
    texts = _did(before), _did(after)
    cells = {label: _cell(before, after, key, text) for label, key, text in CELLS}
    return {"name": known["name"], "snapshot": after["snapshot"] if after else -1,
            "there": before["snapshot"] if before else -1, "before": texts[0], "after": texts[1],
            "different": texts[0] != texts[1], "cells": cells}


CELLS: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
    ("nodes", "nodes", lambda value: f"{value:,}"), ("work", "flops", flop_text), ("moved", "moved", byte_text),
    ("peak", "peak", byte_text), ("error", "error", lambda value: digits(value, 1)),
)


def _cell(before: Step | None, after: Step | None, key: str, text: Callable[[Any], str]) -> str:
    """Return the figure after a pass in both runs, once where it is the same."""
    shown = ["–" if step is None or step[key] is None else text(step[key]) for step in (before, after)]
    return shown[0] if shown[0] == shown[1] else " → ".join(shown)


def _did(step: Step | None) -> str:
    if step is None:
        return "–"
    if step["status"] != "ran":
        return step["status"]
    return f"{step['fired']} of {step['fired'] + step['kept']}, {step['nodes']:,} left"
