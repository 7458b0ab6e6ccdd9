"""Why passes left a node as it is: recorded refusals first, then what rules say that were off or never got there."""

from collections.abc import Callable
from typing import Any

from glowviz.app.reader import Payload
from glowviz.app.wording import sentence
from glowviz.compiler.graph import Graph
from glowviz.compiler.recording.reader import Recording
from glowviz.compiler.rewrite import RULES, Explanation, explain
from glowviz.compiler.text import TextProblem

SMALL, MOST_STATES = 1000, 4  # nodes, and states to go back to, for asking in which order a rule would have fired
LARGEST = 5000
"""Nodes up to which rules are tried anew on the snapshot; parsing its text takes about a second at 10,000."""


GraphAt = Callable[[int], Graph]
"""Reads the graph of a snapshot."""


def why(recording: Recording, snapshot: int, name: str, graph_at: GraphAt | None = None) -> Payload:
    """Return docs/payloads.md `why`, the latest refusals first; `graph_at` may remember graphs it has read."""
    graph_at = graph_at or recording.graph
    steps = recording.passes()
    last = min(snapshot, recording.last("graph") or 0)
    refused = [one for one in reversed(recording.refusals_at(name)) if one["snapshot"] <= snapshot]
    earlier = _Earlier(recording, steps, name, graph_at)
    remarks = [_refused(one) | earlier.order_for(one["rule"], one["snapshot"]) for one in refused]
    known = {remark["rule"] for remark in remarks}
    if steps[last]["nodes"] <= LARGEST:
        remarks += [_tried(one, steps, last) for one in _explanations(graph_at, last, name) if one.rule not in known]
    return {"name": name, "remarks": remarks}


class _Earlier:
    """The states in which something about a node was different, tried in turn: in which would a rule have fired?"""

    def __init__(self, recording: Recording, steps: list[dict[str, Any]], name: str, graph_at: GraphAt) -> None:
        self.recording, self.steps, self.name, self.graph_at = recording, steps, name, graph_at
        self._graphs: dict[int, Graph | None] = {}

    def order_for(self, rule: str, snapshot: int) -> Payload:
        """Return the sentence and the action that make `rule` fire here, as additions to a remark; {} for none.

        `snapshot` is the state its pass left behind; the pass has to come before whatever changed the place since.
        """
        if rule not in RULES or self.steps[0]["nodes"] > SMALL:
            return {}
        name = RULES[rule].pass_name
        for made in self._changed_before(snapshot):
            if self.steps[made]["name"] == name or not self._fires(rule, made - 1):
                continue
            other = self.steps[made]["name"]
            line = f"Would fire if {name} ran before {other} (pass {made})."
            return {"would": line, "action": {"label": "Try it", "disable": None,
                                              "before": {"pass": name, "snapshot": made}}}
        return {}

    def _changed_before(self, snapshot: int) -> list[int]:
        """Return the states before `snapshot` that a pass made by changing the node or a neighbour, latest first."""
        versions = self.recording.versions(self.name)
        near = {self.name, *(operand for version in versions for operand in version.operands if operand)}
        born = {v.born for one in near for v in self.recording.versions(one)}
        ended = {v.died for one in near for v in self.recording.versions(one)}
        return sorted((at for at in born | ended if 1 < at < snapshot), reverse=True)[:MOST_STATES]

    def _fires(self, rule: str, snapshot: int) -> bool:
        if snapshot not in self._graphs:
            try:
                self._graphs[snapshot] = self.graph_at(snapshot)
            except TextProblem:
                self._graphs[snapshot] = None
        graph = self._graphs[snapshot]
        return graph is not None and explain(rule, self.name, graph).verdict == "fires"


def _refused(one: dict[str, Any]) -> Payload:
    lines = [sentence(f"{one['pass_name']} left it alone: {one['reason']}")]
    if one["expected"]:
        lines = [f"{one['pass_name']} did not match here.",
                 f"Looked for: {one['expected']}. Found: {one['found']}."]
        if one["stranger"]:
            lines.append(f"In the way: {one['stranger']}.")
    return {"rule": one["rule"], "pass": f"{one['pass_name']}, pass {one['snapshot']}", "lines": lines, "action": None,
            "would": "", "kind": "kept" if one["kind"] == "keep" else "no match"}


def _explanations(graph_at: GraphAt, snapshot: int, name: str) -> list[Explanation]:
    import glowviz.compiler.passes  # noqa: F401  # registers the rules

    try:
        graph = graph_at(snapshot)
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
    return {"rule": one.rule, "pass": pass_name, "lines": lines, "action": action, "would": "", "kind": kind}
