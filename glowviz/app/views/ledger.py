"""The ledger's payload: one row per pass with what it did in numbers and one sentence."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from glowviz.app.reader import Payload
from glowviz.app.rule_words import rule_text
from glowviz.app.wording import byte_text, counted, digits, flop_text, signed, time_text
from glowviz.compiler.recording.reader import Recording

Row = dict[str, Any]
STAGES = {"irgen": "The graph became a program: memory regions, and instructions in an order that keeps little alive.",
          "plan_memory": "Every buffer got its address; a checker proved that no two live ones overlap."}


def ledger(recording: Recording, cards: Sequence[Payload] = ()) -> Payload:
    """Return docs/payloads.md `passes`: columns in pipeline order, grouped by stage.

    `cards` are the problems of views.problems: the failed row carries the first one, and what was not reached follows.
    """
    steps = recording.passes()
    rows = [_row(step, before, sentence, error) for step, before, sentence, error
            in zip(steps, [None, *steps], _sentences(recording, steps), _errors_before(steps), strict=False)]
    stages = [step["stage"] for step in steps]
    if cards:
        _add_failure(rows, stages, cards[0])
        for stage, name in _unreached(list(zip(stages, (row["name"] for row in rows), strict=True))):
            rows.append(_empty_row(name, "unreached"))
            stages.append(stage)
    columns = {key: [row[key] for row in rows] for key in _empty_row("", "")}
    return {"status": recording.meta.get("state", "running"), "groups": _groups(stages), "rows": columns}


def _empty_row(name: str, state: str) -> Row:
    """Return the row of a pass that left no snapshot."""
    return {"snapshot": -1, "name": name, "state": state, "fired": "", "delta": "", "facts": [], "sentence": "",
            "changes": 0, "kept": 0, "required": 1, "level": "", "problem": None}


def _add_failure(rows: list[Row], stages: list[str], card: Payload) -> None:
    """Put the problem into its row; a process that died could not write one, so its row is made here."""
    failed = next((row for row in rows if row["state"] == "failed"), None)
    if failed is None:
        failed = _empty_row(card["stage"] or "compiling", "failed")
        rows.append(failed)
        stages.append(card["group"] or stages[-1])
    failed["problem"] = card


def _unreached(done: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return (stage, pass) of what the pipeline would have run after the last of `done`."""
    from glowviz.compiler.pipeline import GRAPH_STAGES, PROGRAM_STAGES  # takes a while, and only failures need it

    planned = [(stage.name, name) for stage in GRAPH_STAGES for name in stage.passes]
    planned += [("Program", "irgen"), *((stage.name, name) for stage in PROGRAM_STAGES for name in stage.passes)]
    planned += [("Memory", "plan_memory")]
    at = 0
    for step in done:
        at = planned.index(step, at) + 1 if step in planned[at:] else at
    return planned[at:] if done[-1][0] != "Kernels" else []


def _groups(stages: list[str]) -> list[list[Any]]:
    groups: list[list[Any]] = []
    for at, stage in enumerate(stages):
        if not groups or groups[-1][0] != stage:
            groups.append([stage, at, at])
        groups[-1][2] = at + 1
    return groups


def _errors_before(steps: list[Row]) -> list[float | None]:
    """Return for each step the last error that was measured before it."""
    found: list[float | None] = [None]
    for step in steps:
        found.append(found[-1] if step["error"] is None else step["error"])
    return found


def _row(step: Row, before: Row | None, sentence: str, error: float | None = None) -> Row:
    state = _state(step)
    nodes = _difference(step, before, "nodes")
    ran = state == "ok" and step["fired"] and step["name"] not in ("irgen", "plan_memory")
    fired = _fired(step) if ran else ""
    return _empty_row(step["name"], state) | {
        "snapshot": step["snapshot"],
        "name": "Imported" if step["snapshot"] == 0 else step["name"],
        "fired": fired,
        "delta": signed(nodes, f"{abs(nodes):,}") if nodes else "",
        "facts": _facts(step, before, state, error),
        "sentence": sentence,
        "changes": step["fired"] if step["snapshot"] else 0,
        "kept": step["kept"],
        "required": int(step["required"]),
        "level": step["level"],
    }


def _fired(step: Row) -> str:
    """Return 53 of 53; a large number stands alone where nothing was left undone."""
    total = step["fired"] + step["kept"]
    return f"{step['fired']:,}" if total > 999 and not step["kept"] else f"{step['fired']} of {total}"


def _state(step: Row) -> str:
    if step["status"] != "ran":
        return step["status"]
    return "quiet" if step["fired"] == 0 and step["snapshot"] > 0 else "ok"


def _difference(step: Row, before: Row | None, key: str) -> int:
    """Return how much a figure grew; a graph's and a program's figures are not comparable."""
    if before is None or before["level"] != step["level"] or step[key] is None or before[key] is None:
        return 0
    return step[key] - before[key]


def _facts(step: Row, before: Row | None, state: str, error: float | None = None) -> list[str]:
    if state == "off":
        return ["switched off"]
    facts = []
    noun = "instruction" if step["level"] == "program" else "node"
    nodes, moved, work = (_difference(step, before, key) for key in ("nodes", "moved", "flops"))
    if before is None:
        facts.append(counted(step["nodes"], noun))
    elif nodes:
        facts.append(signed(nodes, counted(abs(nodes), noun)))
    if work:
        facts.append(signed(work, flop_text(abs(work))))
    if moved:
        facts.append(signed(moved, byte_text(abs(moved))) + " moved")
    if before and _difference(step, before, "peak"):
        facts.append(f"peak ≈ {byte_text(before['peak'])} → {byte_text(step['peak'])}")
    if step["error"] is not None:
        facts.append(f"error ≤ {digits(step['error'], 1)}{_error_change(step['error'], error)}")
    elif state == "ok" and step["promise"]:
        facts.append(_promised(step["promise"]))
    facts.append(time_text(step["seconds"]))
    if state == "ok" and step["tried"]:
        facts.append(f"tried {step['tried']:,}")
    return facts


def _error_change(now: float, before: float | None) -> str:
    """Return by how much the error grew or shrank; "" where it is about the same, or none was known."""
    if before is None or digits(now, 1) == digits(before, 1):
        return ""
    return f" ({signed(now - before, digits(abs(now - before), 1))})"


@dataclass(frozen=True)
class _Ops:
    """Which node versions each snapshot ended and began: name → (rank, op)."""

    ended: dict[int, dict[str, tuple[float, str]]]
    begun: dict[int, dict[str, tuple[float, str]]]

    def at(self, name: str, snapshot: int) -> str:
        """Return the op that makes `name` at `snapshot`, or "" where none does."""
        born = max((i for i, rows in self.begun.items() if i <= snapshot and name in rows), default=None)
        return self.begun[born][name][1] if born is not None else ""


def _promised(promise: str) -> str:
    """Return a pass's promise in the ledger's words: exactly equal, or error ≤ 1e-05."""
    found = re.match(r"equal within (\S+) of", promise)
    return f"error ≤ {digits(float(found.group(1)), 1)} promised" if found else promise


def _sentences(recording: Recording, steps: list[Row]) -> list[str]:
    """Return one sentence per step: which ops became which, where the peak went, or what was looked at."""
    ops = _ops(recording)
    fired: dict[int, Counter[str]] = {}
    first: dict[str, Row] = {}
    for change in recording.changes(0, len(steps)):
        pattern = _pattern(change, ops) or change["rule"]
        first.setdefault(pattern, change)
        fired.setdefault(change["snapshot"], Counter())[pattern] += 1
    before = [None, *steps]
    told = {at: [_told(pattern, count, first[pattern]) for pattern, count in counts.most_common()]
            for at, counts in fired.items()}
    return [_sentence(step, before[at], told.get(at, []), ops) for at, step in enumerate(steps)]


def _told(pattern: str, count: int, first: Row) -> str:
    if pattern == first["rule"]:
        return rule_text(first["rule"], count, first["reason"])
    return f"{pattern} ×{count:,}" if count > 1 else pattern


def _pattern(change: Row, ops: _Ops) -> str:
    """Return the ops before and after one firing, in the order they run: Conv + BatchNormalization → Conv.

    Empty where no operator changed, only constants, buffers or instructions.
    """
    went, came = ops.ended.get(change["snapshot"], {}), ops.begun.get(change["snapshot"], {})
    before = sorted(went[name] for name in {*change["changed"], *change["removed"]} if name in went)
    after = sorted(came[name] for name in {*change["changed"], *change["added"]} if name in came)
    if not before and not after:
        return ""
    left, right = ([op for _, op in side[:4]] for side in (before, after))
    if left == right:
        told = "attributes of {} spelled out" if change["rule"] == "explicit_attributes" else "{} changed"
        return told.format(left[0])
    nothing = "a constant" if change["rule"] == "known_result" else "gone"
    return f"{' + '.join(left) or 'new'} → {' + '.join(right) or nothing}"


def _ops(recording: Recording) -> _Ops:
    found = _Ops({}, {})
    for row in recording.query("SELECT name, op, born, died, rank FROM nodes"):
        found.begun.setdefault(row["born"], {})[row["name"]] = (row["rank"], row["op"])
        found.ended.setdefault(row["died"], {})[row["name"]] = (row["rank"], row["op"])
    return found


def _sentence(step: Row, before: Row | None, told: list[str], ops: _Ops) -> str:
    if step["status"] == "failed":
        return (step["problem"] or {}).get("what", "This pass failed.")
    if step["status"] == "off":
        return f"{step['name']} was switched off in this run."
    if before is None:
        return "The model as the file says it."
    if step["fired"] == 0:
        kept = f"; {step['kept']} not done" if step["kept"] else ""
        return f"Nothing to do (looked at {counted(step['tried'], 'place')}){kept}."
    if step["name"] in STAGES:
        return STAGES[step["name"]]
    more = len(told) - 3
    text = "; ".join(told[:3]) + (f"; {counted(more, 'other kind')} of change" if more > 0 else "") + "."
    text = text[0].upper() + text[1:]
    return f"{text} {_peak_moved(step, before, ops)}".strip()


def _peak_moved(step: Row, before: Row, ops: _Ops) -> str:
    if not step["peak_at"] or step["peak_at"] == before["peak_at"] or step["level"] != before["level"]:
        return ""
    if not before["peak_at"]:
        return ""
    same = "stays" if step["peak"] == before["peak"] else "is now"
    places = [f"{row['peak_at']} ({op})" if (op := ops.at(row["peak_at"], row["snapshot"])) else row["peak_at"]
              for row in (before, step)]
    return f"Peak {same} {byte_text(step['peak'])}: it moved from {places[0]} to {places[1]}."
