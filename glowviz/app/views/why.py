"""Why passes left a node as it is: recorded refusals first, then what rules say that were off or never got there."""

from typing import Any

from glowviz.app.reader import Payload
from glowviz.app.wording import sentence
from glowviz.compiler.recording.reader import Recording
from glowviz.compiler.rewrite import RULES, Explanation, explain
from glowviz.compiler.text import TextProblem

LARGEST = 5000
"""Nodes up to which rules are tried anew on the snapshot; parsing its text takes about a second at 10,000."""


def why(recording: Recording, snapshot: int, name: str) -> Payload:
    """Return docs/payloads.md `why`, the latest refusals first."""
    steps = recording.passes()
    last = min(snapshot, recording.last("graph") or 0)
    remarks = [_refused(one) for one in reversed(recording.refusals_at(name)) if one["snapshot"] <= snapshot]
    known = {remark["rule"] for remark in remarks}
    if steps[last]["nodes"] <= LARGEST:
        remarks += [_tried(one, steps, last) for one in _explanations(recording, last, name) if one.rule not in known]
    return {"name": name, "remarks": remarks}


def _refused(one: dict[str, Any]) -> Payload:
    lines = [sentence(f"{one['pass_name']} left it alone: {one['reason']}")]
    if one["expected"]:
        lines = [f"{one['pass_name']} did not match here.",
                 f"Looked for: {one['expected']}. Found: {one['found']}."]
        if one["stranger"]:
            lines.append(f"In the way: {one['stranger']}.")
    return {"rule": one["rule"], "pass": f"{one['pass_name']}, pass {one['snapshot']}", "lines": lines, "action": None,
            "kind": "kept" if one["kind"] == "keep" else "no match"}


def _explanations(recording: Recording, snapshot: int, name: str) -> list[Explanation]:
    import glowviz.compiler.passes  # noqa: F401  # registers the rules

    try:
        graph = recording.graph(snapshot)
    except TextProblem:  # a graph that a failed pass left behind may not parse; the recorded refusals remain
        return []
    # That a node in use is not dead needs no remark.
    found = [explain(rule, name, graph) for rule in RULES.values() if rule.pass_name != "dce"]
    return [one for one in found if one.verdict in ("keeps", "misses", "fires")]


def _tried(one: Explanation, steps: list[dict[str, Any]], snapshot: int) -> Payload:
    pass_name = RULES[one.rule].pass_name
    runs = [step for step in steps if step["name"] == pass_name]
    off = [step for step in runs if step["status"] == "off"]
    later = [step for step in runs if step["snapshot"] > snapshot and step["status"] == "ran"]
    lines, kind, action = [sentence(f"{pass_name}: {one.reason}")], "kept", None
    if one.verdict == "misses":
        found = f"Looked for: {one.expected}. Found: {one.found}."
        lines, kind = [f"{pass_name} would not match here.", found], "no match"
    elif one.verdict == "fires" and off:
        disabled = sorted({step["name"] for step in steps if step["status"] == "off"} - {pass_name})
        lines, kind = [sentence(f"{pass_name} was switched off in this run; it would fire here: {one.reason}")], "off"
        action = {"label": "Run with it", "disable": disabled, "before": None}
    elif one.verdict == "fires" and later:
        lines, kind = [sentence(f"{pass_name} fires here later (pass {later[0]['snapshot']}): {one.reason}")], "later"
    elif one.verdict == "fires":
        lines, kind = [sentence(f"{pass_name} is not run at this point; it would fire here: {one.reason}")], "later"
    return {"rule": one.rule, "pass": pass_name, "lines": lines, "action": action, "kind": kind}
