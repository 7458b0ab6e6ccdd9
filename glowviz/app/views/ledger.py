"""The ledger's payload: one row per pass with what it did in numbers and one sentence."""

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

from glowviz.app.reader import Payload
from glowviz.app.wording import byte_text, counted, digits, signed, time_text
from glowviz.compiler.recording.reader import Recording

Row = dict[str, Any]
STAGES = {"irgen": "The graph became a program: memory regions, and instructions in an order that keeps little alive.",
          "plan_memory": "Every buffer got its address; a checker proved that no two live ones overlap."}


def ledger(recording: Recording) -> Payload:
    """Return docs/payloads.md `passes`: columns in pipeline order, grouped by stage."""
    steps = recording.passes()
    sentences = _sentences(recording, steps)
    columns: dict[str, list[Any]] = {key: [] for key in (
        "snapshot", "name", "state", "fired", "delta", "facts", "sentence", "changes", "kept", "required", "level")}
    before: Row | None = None
    for step, sentence in zip(steps, sentences, strict=True):
        for key, value in _row(step, before, sentence).items():
            columns[key].append(value)
        before = step
    state = recording.meta.get("state", "running")
    return {"status": state, "groups": _groups(steps), "rows": columns}


def _groups(steps: list[Row]) -> list[list[Any]]:
    groups: list[list[Any]] = []
    for at, step in enumerate(steps):
        if not groups or groups[-1][0] != step["stage"]:
            groups.append([step["stage"], at, at])
        groups[-1][2] = at + 1
    return groups


def _row(step: Row, before: Row | None, sentence: str) -> Row:
    state = _state(step)
    nodes = _difference(step, before, "nodes")
    ran = state == "ok" and step["fired"] and step["name"] not in ("irgen", "plan_memory")
    fired = _fired(step) if ran else ""
    return {
        "snapshot": step["snapshot"],
        "name": "Imported" if step["snapshot"] == 0 else step["name"],
        "state": state,
        "fired": fired,
        "delta": signed(nodes, f"{abs(nodes):,}") if nodes else "",
        "facts": _facts(step, before, state),
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


def _facts(step: Row, before: Row | None, state: str) -> list[str]:
    if state == "off":
        return ["switched off"]
    facts = []
    noun = "instruction" if step["level"] == "program" else "node"
    nodes, moved = _difference(step, before, "nodes"), _difference(step, before, "moved")
    if before is None:
        facts.append(counted(step["nodes"], noun))
    elif nodes:
        facts.append(signed(nodes, counted(abs(nodes), noun)))
    if moved:
        facts.append(signed(moved, byte_text(abs(moved))) + " moved")
    if before and _difference(step, before, "peak"):
        facts.append(f"peak ≈ {byte_text(before['peak'])} → {byte_text(step['peak'])}")
    if step["error"] is not None:
        facts.append(f"error ≤ {digits(step['error'], 1)}")
    elif state == "ok" and step["promise"]:
        facts.append(_promised(step["promise"]))
    facts.append(time_text(step["seconds"]))
    return facts


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
    patterns: dict[int, Counter[str]] = {}
    for change in recording.changes(0, len(steps)):
        patterns.setdefault(change["snapshot"], Counter())[_pattern(change, ops)] += 1
    before = [None, *steps]
    return [_sentence(step, before[at], patterns.get(at, Counter()), ops) for at, step in enumerate(steps)]


def _pattern(change: Row, ops: _Ops) -> str:
    """Return the ops before and after one firing, in the order they run: Conv + BatchNormalization → Conv."""
    went, came = ops.ended.get(change["snapshot"], {}), ops.begun.get(change["snapshot"], {})
    before = sorted(went[name] for name in {*change["changed"], *change["removed"]} if name in went)
    after = sorted(came[name] for name in {*change["changed"], *change["added"]} if name in came)
    if not before and not after:
        return f"rule {change['rule'].replace('_', ' ')}"
    left, right = ([op for _, op in side[:4]] for side in (before, after))
    if left == right:
        return f"{' + '.join(left)} made explicit" if change["rule"] == "explicit_attributes" else f"{left[0]} changed"
    return f"{' + '.join(left) or 'new'} → {' + '.join(right) or 'gone'}"


def _ops(recording: Recording) -> _Ops:
    found = _Ops({}, {})
    for row in recording.query("SELECT name, op, born, died, rank FROM nodes"):
        found.begun.setdefault(row["born"], {})[row["name"]] = (row["rank"], row["op"])
        found.ended.setdefault(row["died"], {})[row["name"]] = (row["rank"], row["op"])
    return found


def _sentence(step: Row, before: Row | None, patterns: Counter[str], ops: _Ops) -> str:
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
    parts = [f"{pattern} ×{count:,}" if count > 1 else pattern for pattern, count in patterns.most_common(3)]
    more = sum(count for _, count in patterns.most_common()[3:])
    text = "; ".join(parts) + (f"; {more:,} others" if more else "") + "."
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
