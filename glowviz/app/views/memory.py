"""The memory map: every buffer with address and lifetime, the peak attributed, and the whole account."""

from itertools import pairwise
from typing import Any

from glowviz.app.reader import Payload
from glowviz.app.schemes import schemes
from glowviz.app.wording import account_of, byte_text, sentence
from glowviz.compiler.recording.reader import Recording

SHARING = ("share_buffers", "borrow_views", "copy_elimination", "fuse", "peephole", "delete_dead_allocs")
COLUMNS = ("name", "title", "space", "offset", "size", "first", "end", "kind", "value")
ACCOUNT = (("weights", "weights"), ("packed", "packed copies"), ("activations", "activations"), ("state", "state"),
           ("io", "inputs and outputs"), ("scratch", "scratch"), ("code", "code"), ("process_peak", "process measured"))


def memory(recording: Recording, snapshot: int) -> Payload:
    """Return docs/payloads.md `memory`: the plan of the finished program, whatever state is on the canvas."""
    last = recording.last("program")
    meta = recording.meta
    if last is None:
        return _nothing("Memory is planned once the graph has become a program.")
    plan = meta.get("plan")
    statements = recording.statements(last)
    labels = {row["outs"].split("\x1f")[0]: row["label"] for row in statements if row["label"]}
    rows = [row for row in recording.buffers(last) if row["arena"] is not None]
    if plan is None or not rows:
        return _nothing("Memory is not planned yet: plan_memory is the last step before code is made.")
    columns = {key: [] for key in COLUMNS}
    for row in sorted(rows, key=lambda row: (row["arena"], row["planned"], row["birth"])):
        values = (row["name"], labels.get(row["name"]) or row["name"], row["arena"], row["planned"], row["size"],
                  row["birth"], row["death"], row["kind"], row["name"])
        for key, value in zip(COLUMNS, values, strict=True):
            columns[key].append(value)
    live = _live(rows, len(statements))
    peak = max(range(len(live)), key=live.__getitem__, default=0)
    spaces = sorted(plan["arenas"].items(), key=lambda item: item[0] != "activations")
    return {
        "steps": len(statements), "instructions": [row["text"][:160] for row in statements], "planned": 1,
        "spaces": [{"name": name, "size": size} for name, size in spaces if size], "live": live,
        "bound": plan["lower_bound"], "peak": {"bytes": live[peak] if live else 0, "step": peak},
        "lines": _peak_lines(recording, rows, live, peak, plan, statements), "account": _account(meta),
        "schemes": _schemes(rows, plan), "buffers": columns,
    }


def _nothing(why: str) -> Payload:
    return {"steps": 0, "instructions": [], "planned": 0, "spaces": [], "live": [], "bound": 0, "account": [],
            "peak": {"bytes": 0, "step": 0}, "lines": [why], "schemes": [], "buffers": {key: [] for key in COLUMNS}}


def _schemes(rows: list[dict[str, Any]], plan: dict[str, Any]) -> list[Payload]:
    moving = [row for row in rows if row["arena"] == "activations"]
    sizes, births, deaths = ([row[key] for row in moving] for key in ("size", "birth", "death"))
    return schemes(sizes, births, deaths, plan["total"], plan["lower_bound"])


def _live(rows: list[dict[str, Any]], steps: int) -> list[int]:
    """Return the bytes of activations alive at each statement."""
    change = [0] * (steps + 1)
    for row in rows:
        if row["arena"] == "activations":
            change[min(row["birth"], steps)] += row["size"]
            change[min(row["death"], steps)] -= row["size"]
    live, total = [], 0
    for delta in change[:steps]:
        total += delta
        live.append(total)
    return live


def _peak_lines(recording: Recording, rows: list[dict[str, Any]], live: list[int], peak: int, plan: dict[str, Any],
                statements: list[Any]) -> list[str]:
    if not live:
        return []
    alive = [row for row in rows if row["arena"] == "activations" and row["birth"] <= peak < row["death"]]
    alive.sort(key=lambda row: -row["size"])
    parts = " + ".join(f"{row['name']} {byte_text(row['size'])}" for row in alive[:5])
    more = f" + {len(alive) - 5} more" if len(alive) > 5 else ""
    lines = [f"Activations peak at {byte_text(live[peak])}{_running(statements, peak)}: {parts}{more}."]
    if plan["total"] == plan["lower_bound"]:
        lines.append(f"The arena is {byte_text(plan['total'])}: no plan for this order of instructions is smaller.")
    else:
        above = plan["total"] / plan["lower_bound"] - 1
        lines.append(f"The arena is {byte_text(plan['total'])}, {above:.1%} above the live set of this order.")
    weights = plan["arenas"].get("weights", 0)
    if weights > plan["total"]:
        share = weights / (weights + plan["total"])
        lines.append(f"Weights are {share:.0%} of weights and activations together: smaller activations help little.")
    return [*lines, *_shrinks(recording, rows, live, peak, alive, statements)]


def _shrinks(recording: Recording, rows: list[dict[str, Any]], live: list[int], peak: int,
             alive: list[dict[str, Any]], statements: list[Any]) -> list[str]:
    """Return what would make the peak smaller, what a pass refused there, and which passes brought it down."""
    lines = []
    for row in alive[:1]:
        without = [size - row["size"] * (row["birth"] <= step < row["death"]) for step, size in enumerate(live)]
        there = max(range(len(without)), key=without.__getitem__)
        gain = live[peak] - without[there]
        name, elsewhere = row["name"], f"{byte_text(without[there])}{_running(statements, there)}"
        lines.append(f"To shrink: without {name} (written in place of an operand, or computed later) the peak is "
                     f"{elsewhere}." if gain else f"Without {name} there is another peak of {elsewhere}: both must go.")
    refused = [one for row in alive for one in recording.refusals_at(row["name"]) if one["pass_name"] in SHARING]
    lines += dict.fromkeys(sentence(f"{one['pass_name']} left {one['anchor']}: {one['reason']}") for one in refused[:3])
    steps = recording.passes()
    for before, after in pairwise(steps):
        if before["level"] != after["level"] or not before["peak"] or not after["peak"]:
            continue
        was, now = byte_text(before["peak"]), byte_text(after["peak"])
        verb = "lowered" if after["peak"] < before["peak"] else "raised"
        if was != now:
            lines.append(f"{after['name']} (pass {after['snapshot']}) {verb} it from {was} to {now}.")
    off = dict.fromkeys(step["name"] for step in steps if step["status"] == "off")
    return lines + [f"{name} was switched off in this run; with it the peak may be smaller." for name in off]


def _running(statements: list[Any], peak: int) -> str:
    """Return ", while x (conv) runs" for the instruction at or next after the peak."""
    for row in statements[peak:]:
        if row["kind"] == "instr":
            return f", while {row['label'] or row['value'] or row['outs']} ({row['instruction']}) runs"
    return ""


def _account(meta: dict[str, Any]) -> list[Payload]:
    account = account_of(meta)
    return [{"label": label, "bytes": account[key], "text": byte_text(account[key])}
            for key, label in ACCOUNT if account.get(key)]
