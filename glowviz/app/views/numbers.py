"""The five numbers at one state: each with its change against the imported model, or why it is not known."""

from typing import Any

import orjson

from glowviz.app.measured import Runs, whole_runs
from glowviz.app.reader import Payload
from glowviz.app.wording import byte_text, digits, flop_text, is_bound, signed, time_with_spread
from glowviz.compiler.recording.reader import Recording

UNBOUND = "shapes are not bound yet"


def numbers(recording: Recording, snapshot: int) -> Payload:
    """Return docs/payloads.md `numbers`."""
    steps = recording.passes()
    meta = recording.meta
    failed = steps[snapshot]["status"] == "failed"
    times = whole_runs(recording) if snapshot == len(steps) - 1 else None
    bound = _bound(recording, snapshot)
    made = (
        _time(steps, snapshot, times),
        _memory(steps, snapshot, meta) if bound else number("memory", "Memory", "–", why=UNBOUND),
        _work(steps, snapshot, times, meta) if bound else number("work", "Work", "–", why=UNBOUND),
        _nodes(recording, steps, snapshot),
        _error(steps, snapshot),
    )
    return {"numbers": [one | {"stale": failed} for one in made]}


def number(key: str, label: str, value: str, *, tip: str = "", **more: Any) -> Payload:
    """Return one of the five, with every field there."""
    return {"key": key, "label": label, "value": value, "spread": "", "second": "", "why": "", "estimate": False,
            "stale": False, "tip": tip} | more


def _time(steps: list[dict[str, Any]], snapshot: int, times: Runs | None) -> Payload:
    if times is None:
        last = snapshot == len(steps) - 1
        why = "not timed yet" if last else f"not timed: {steps[snapshot]['level']} pass"
        return number("time", "Time", "–", why=why, tip="Only the finished program runs.")
    thread_text = "1 thread" if times.threads == 1 else f"{times.threads} threads"
    value, around = time_with_spread(times.median, times.spread)
    return number("time", "Time", value, spread=around, second=f"n={len(times.samples)}, {thread_text}",
                  tip=f"Median ± half the quartile distance of whole runs. {times.note}")


def _memory(steps: list[dict[str, Any]], snapshot: int, meta: dict[str, Any]) -> Payload:
    step = steps[snapshot]
    account = meta.get("account")
    plan = meta.get("plan")
    if plan is not None and (step["name"] == "plan_memory" or snapshot == len(steps) - 1):
        weights = plan["arenas"].get("weights", 0)
        activations = plan["total"]
        total = weights + activations
        tip = _account_tip(account)
        second = f"{_short(weights)} weights + {_short(activations)} live"
        return number("memory", "Memory", byte_text(total), tip=tip, second=second)
    if step["peak"] is None:
        return number("memory", "Memory", "–", why="too many nodes to follow after every pass")
    text = f"{_short(step['weights'])} weights + {_short(step['peak'])} live"
    tip = "Weights and the live set at its largest, in the current order; exact once memory is planned."
    return number("memory", "Memory", byte_text(step["weights"] + step["peak"]), second=text, estimate=True, tip=tip)


def _short(size: int) -> str:
    """Return bytes without the B, for the small line."""
    return byte_text(size).removesuffix("iB")


def _account_tip(account: dict[str, int] | None) -> str:
    if not account:
        return "Planned: addresses are fixed."
    return ", ".join(f"{key.replace('_', ' ')} {byte_text(size)}" for key, size in account.items() if size)


def _bound(recording: Recording, snapshot: int) -> bool:
    rows = recording.query("SELECT inputs FROM interfaces WHERE born <= ? AND died > ?", snapshot, snapshot)
    return all(is_bound(text) for row in rows for _, text in orjson.loads(row["inputs"]))


def _work(steps: list[dict[str, Any]], snapshot: int, times: Runs | None,
          meta: dict[str, Any]) -> Payload:
    flops = steps[snapshot]["flops"]
    first = steps[0]["flops"] if len(steps) < 2 else max(steps[0]["flops"], steps[1]["flops"])
    second = _against(flops, first)
    peak = (meta.get("target_facts") or {}).get("peak_gflops")
    if times and peak:
        rate = flops / times.median / 1e9 / peak
        # Winograd's tiles and Strassen's blocks multiply less than the shapes say: no processor is that fast
        second = f"{rate:.0%} of this machine's peak" if rate <= 1 else f"{rate:.0%} of peak: fewer products do"
    tip = "Arithmetic of one run, from the shapes. Winograd's convolutions and Strassen's products do less of it."
    return number("work", "Work", flop_text(flops), second=second, tip=tip)


def _against(now: float, first: float) -> str:
    if not first or now == first:
        return "as imported"
    share = now / first - 1
    return f"{signed(share, digits(abs(share) * 100, 2))} % against imported"


def _nodes(recording: Recording, steps: list[dict[str, Any]], snapshot: int) -> Payload:
    step = steps[snapshot]
    program = step["level"] == "program"
    first, now = steps[0]["nodes"], step["nodes"]
    text = f"{now:,}" if snapshot == 0 else f"{first:,} → {now:,}"
    noun = "nodes → instructions" if program else "imported → now"
    return number("nodes", "Nodes", text, second="as imported" if snapshot == 0 else noun)


def _error(steps: list[dict[str, Any]], snapshot: int) -> Payload:
    errors = [step["error"] for step in steps[: snapshot + 1] if step["error"] is not None]
    if errors:
        return number("error", "Error", digits(max(errors), 1), second="worst so far, of max |value|",
                      tip="Largest difference after any pass so far, to the interpreter on seeded random inputs.")
    bounds = {step["promise"] for step in steps[1 : snapshot + 1] if step["fired"] and step["promise"]}
    if snapshot and bounds <= {"exactly equal"}:
        return number("error", "Error", "–", why="not measured; every pass so far promises exactly equal results")
    return number("error", "Error", "–", why="not measured in this run" if snapshot else "this is the reference")
