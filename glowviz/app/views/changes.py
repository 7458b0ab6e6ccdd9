"""What a pass changed, grouped by rule and pattern, and what it looked at but left alone."""

from typing import Any

from glowviz.app.reader import Payload
from glowviz.app.wording import counted
from glowviz.compiler.recording.reader import Recording

MOST = 100
MOST_REWRITES = 20_000


def changes(recording: Recording, snapshot: int) -> Payload:
    """Return docs/payloads.md `changes`: at most 100 items a group, `more` says how many were left out."""
    step = recording.passes()[snapshot]
    ops = _Ops(recording, snapshot)
    groups: dict[tuple[Any, ...], Payload] = {}
    for change in recording.changes(snapshot):
        before, after = ops.before(change), ops.after(change)
        key = (change["rule"], before, after)
        group = groups.setdefault(key, {
            "rule": change["rule"], "title": _title(change["rule"], before, after), "count": 0, "before": list(before),
            "after": list(after), "reason": "", "items": [], "more": 0})
        _add(group, _shown(change, ops), change["reason"])
    made = sorted(groups.values(), key=lambda group: -group["count"])
    for group in made:
        if len({item["text"].partition(": ")[2] for item in group["items"]}) == 1:
            group["reason"] = group["items"][0]["text"].partition(": ")[2]
    return {"header": _header(step, made), "groups": made, "kept": _kept(recording, snapshot, ops)}


def _add(group: Payload, name: str, text: str) -> None:
    group["count"] += 1
    if len(group["items"]) < MOST:
        group["items"].append({"name": name, "text": text or name})
    else:
        group["more"] += 1


def rewrites(recording: Recording) -> Payload:
    """Return docs/payloads.md `rewrites`: every firing of a rule, in the order of the passes, to be stepped through."""
    rows = recording.query("SELECT MAX(snapshot) AS last, COUNT(*) AS count FROM changes")
    columns: dict[str, list[Any]] = {key: [] for key in ("snapshot", "rule", "name", "reason", "touches")}
    for change in recording.changes(0, rows[0]["last"] or 0)[:MOST_REWRITES]:
        touches = dict.fromkeys((change["anchor"], *change["changed"], *change["added"], *change["removed"]))
        there = (*change["changed"], *change["added"], change["anchor"], *change["removed"])
        values = (change["snapshot"], change["rule"], next(iter(there), ""), change["reason"], list(touches))
        for key, value in zip(columns, values, strict=True):
            columns[key].append(value)
    return {"rows": columns, "total": rows[0]["count"]}


class _Ops:
    """Ops and labels of the nodes that one snapshot ended or began, in topological order."""

    def __init__(self, recording: Recording, snapshot: int) -> None:
        rows = recording.query("SELECT name, op, label, born, died, rank FROM nodes WHERE born = ? OR died = ?",
                               snapshot, snapshot)
        self.ended = {row["name"]: (row["rank"], row["op"]) for row in rows if row["died"] == snapshot}
        self.begun = {row["name"]: (row["rank"], row["op"]) for row in rows if row["born"] == snapshot}
        self.labels = {row["name"]: row["label"] for row in rows}

    def before(self, change: dict[str, Any]) -> tuple[str, ...]:
        names = {*change["changed"], *change["removed"]}
        return tuple(op for _, op in sorted(self.ended[name] for name in names if name in self.ended))

    def after(self, change: dict[str, Any]) -> tuple[str, ...]:
        names = {*change["changed"], *change["added"]}
        return tuple(op for _, op in sorted(self.begun[name] for name in names if name in self.begun))


def _shown(change: dict[str, Any], ops: _Ops) -> str:
    """Return the name to select for a change: what is there after it, else what went."""
    candidates = (*change["changed"], *change["added"], *change["removed"], change["anchor"])
    return next((name for name in candidates if name in ops.begun), candidates[0])


def _title(rule: str, before: tuple[str, ...], after: tuple[str, ...]) -> str:
    if not before and not after:
        return rule.replace("_", " ")
    return f"{' + '.join(before[:5]) or 'new'} → {' + '.join(after[:5]) or 'gone'}"


def _header(step: dict[str, Any], groups: list[Payload]) -> str:
    if step["status"] == "off":
        return f"{step['name']} was switched off in this run."
    if not groups:
        return f"{step['name']}: nothing to do (looked at {counted(step['tried'], 'place')})"
    rules = {group["rule"] for group in groups}
    shapes = "" if len(groups) == len(rules) else f" · {counted(len(groups), 'pattern')}"
    total = sum(group["count"] for group in groups)
    return f"{step['name']}: {counted(total, 'change')} by {counted(len(rules), 'rule')}{shapes}"


def _kept(recording: Recording, snapshot: int, ops: _Ops) -> list[Payload]:
    made = []
    for group in recording.refusals(snapshot):
        items = [{"name": one["anchor"], "text": one["reason"]} for one in group["examples"]]
        made.append({"rule": group["rule"], "title": _kept_title(group), "count": group["count"],
                     "before": [], "after": [], "reason": _expectation(group["examples"]), "items": items,
                     "more": group["count"] - len(items)})
    return made


def _kept_title(group: dict[str, Any]) -> str:
    """Return the reason itself where there is one, else what all reasons have in common: … for names, n for numbers."""
    reasons = {one["reason"] for one in group["examples"]}
    common = reasons.pop() if len(reasons) == 1 else group["pattern"].replace("%…", "…").replace("#", "n")
    return f"{group['rule']}: {common}"


def _expectation(examples: list[dict[str, str]]) -> str:
    first = examples[0] if examples else {}
    if not first.get("expected"):
        return ""
    return f"Looked for: {first['expected']}. Found: {first['found']}."
