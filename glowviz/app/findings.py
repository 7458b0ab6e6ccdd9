"""Why a model is slow or big: at most five findings, ranked by their share of time or memory, each with what to try."""

import os
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from glowviz.app.measured import instruction_times, whole_runs
from glowviz.app.reader import Payload
from glowviz.app.wording import account_of, byte_text, counted, time_text
from glowviz.compiler.recording.reader import Recording

MOST = 5
NEAR_PEAK = 0.8  # of the arithmetic peak; what runs faster than this leaves nothing to find
MOVES = frozenset({"copy", "transpose", "reorder", "pad", "fill_halo", "concat", "slice", "pack", "convert_order"})
SMALL = 0.02  # shares of time or memory below this are not worth a sentence
SHARED = 2e-6  # seconds of an instruction from which several threads may share it


@dataclass(frozen=True)
class Finding:
    """One sentence; `share` of the whole run's time or of all memory ranks it."""

    text: str
    share: float
    name: str | None = None
    action: Payload | None = field(default=None)

    def payload(self) -> Payload:
        return {"sign": "!", "text": self.text, "name": self.name, "action": self.action}


def findings(recording: Recording) -> list[Payload]:
    """Return docs/payloads.md `overview.findings`: what a run showed first, then what the importer noted."""
    found = [*_switched_off(recording), *_slow(recording), *_big(recording)]
    found.sort(key=lambda one: -one.share)
    noted = [_noted(one) for one in (recording.meta.get("model_facts") or {}).get("findings", [])]
    return [one.payload() for one in [*found, *noted][:MOST]]


def _noted(one: dict[str, Any]) -> Finding:
    where = one.get("where") or []
    text = one["what"] + (f". {one['do']}" if one.get("do") else "")
    return Finding(text + ("" if text.endswith(".") else "."), 0.0, where[0] if where else None)


def _switched_off(recording: Recording) -> list[Finding]:
    """Return one finding for every optional pass that this run left out; what it costs shows when it is tried."""
    off = list(dict.fromkeys(step["name"] for step in recording.passes() if step["status"] == "off"))
    return [Finding(f"{name} was switched off in this run.", 1.0, None,
                    {"label": "Run with it", "request": {"disable": [other for other in off if other != name]}})
            for name in off]


@dataclass
class _Kind:
    """All instructions of one name: their time, arithmetic, and the slowest one."""

    seconds: float = 0.0
    flops: int = 0
    count: int = 0
    native: bool = True
    slowest: tuple[float, str] = (0.0, "")


def _kinds(recording: Recording) -> dict[str, _Kind]:
    times = instruction_times(recording)
    kinds: dict[str, _Kind] = defaultdict(_Kind)
    for row in recording.query("SELECT position, instruction, native, value, flops FROM kernels"):
        seconds = times.get(row["position"])
        if seconds is None:
            continue
        kind = kinds[row["instruction"] if row["native"] else f"{row['instruction']} (host call)"]
        kind.seconds, kind.flops, kind.count = kind.seconds + seconds, kind.flops + (row["flops"] or 0), kind.count + 1
        kind.native = bool(row["native"])
        kind.slowest = max(kind.slowest, (seconds, row["value"]))
    return kinds


def _slow(recording: Recording) -> list[Finding]:
    kinds = _kinds(recording)
    total = sum(kind.seconds for kind in kinds.values())
    if not total:
        return []
    peak = (recording.meta.get("target_facts") or {}).get("peak_gflops")
    made = [(_finding_of(name, kind, total, peak), kind) for name, kind in kinds.items()]
    told = [(one, kind) for one, kind in made if one is not None and one.share >= SMALL]
    found = [one for one, _ in told]
    shared = [one for one, kind in told if kind.slowest[0] >= SHARED]
    widest = max(shared, key=lambda one: one.share, default=None)
    action = _more_threads(recording)
    if widest is None or action is None:
        return found
    return [Finding(one.text, one.share, one.name, action if one is widest else None) for one in found]


def _finding_of(name: str, kind: _Kind, total: float, peak: float | None) -> Finding | None:
    """Return what is to be said of one kind of instruction; None where it runs near the machine's peak."""
    share = kind.seconds / total
    verb = "takes" if kind.count == 1 else "take"
    takes = f"{counted(kind.count, name)} {verb} {time_text(kind.seconds)}, {share:.0%}"
    if not kind.native:
        return Finding(f"{takes} of a run: there is no machine code for them, the interpreter runs them.", share,
                       kind.slowest[1])
    if name in MOVES:
        return Finding(f"{takes} of a run and only move data.", share, kind.slowest[1])
    rate = kind.flops / kind.seconds / 1e9 / peak if peak and kind.flops else None
    if rate is None or rate >= NEAR_PEAK:
        return None
    return Finding(f"{takes} of a run, at {rate:.0%} of the arithmetic peak.", share * (1 - rate), kind.slowest[1])


def _more_threads(recording: Recording) -> Payload | None:
    """Return the what-if run with all cores, where this one used fewer."""
    runs, cores = whole_runs(recording), os.cpu_count() or 1
    if runs is None or runs.threads >= cores:
        return None
    return {"label": f"Try {cores} threads", "request": {"threads": cores}}


def _big(recording: Recording) -> list[Finding]:
    account = {key: size for key, size in account_of(recording.meta).items() if key != "process_peak"}
    total = sum(account.values())
    if not total:
        return []
    found = []
    weights = account.get("weights", 0) + account.get("packed", 0)
    if weights / total >= 0.5:
        found.append(Finding(f"Weights take {byte_text(weights)}, {weights / total:.0%} of the memory: "
                             f"smaller activations help little.", weights / total))
    live, packed = account.get("activations", 0), account.get("packed", 0)
    peaks = [step for step in recording.passes() if step["peak"]]
    if live / total >= SMALL and peaks:
        at = peaks[-1]["peak_at"]
        found.append(Finding(f"Activations take {byte_text(live)}; most is alive while {at} runs.", live / total, at))
    if packed / total >= SMALL and packed < weights:
        found.append(Finding(f"Packed copies of weights take {byte_text(packed)}.", packed / total))
    return found
