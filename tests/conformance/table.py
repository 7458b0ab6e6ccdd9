"""docs/conformance.md says what passes, by suite, by opset and by op, and why the rest does not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from tests.conformance.outcome import Outcome

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "conformance.md"
STATES = ("pass", "differs", "refused", "opaque", "failed")
HEAD = """# Conformance

Every case of the suites that come with the onnx package, made by `make conformance`; a test compares a sample.
`given` counts cases whose types depend on what they are fed, so that inputs were made constants; `host` counts passed
cases in which the interpreter ran an instruction on target cpu. Integers must be equal, floats within the case's own
tolerance.
"""
Key = Callable[[Outcome], str]


def document(outcomes: Sequence[Outcome]) -> str:
    """The whole text."""
    node = [o for o in outcomes if o.suite == "node"]
    parts = [
        HEAD, "## By suite\n", *table("suite", outcomes, lambda o: o.suite), "\n## Node cases by opset\n",
        *table("opset", node, lambda o: f"{o.opset:02}"), "\n## Node cases by op\n", *op_table(node),
        "\n## What does not pass\n", *failures(outcomes),
    ]
    return "\n".join(parts) + "\n"


def table(name: str, outcomes: Iterable[Outcome], key: Key) -> list[str]:
    """One row per key and target."""
    groups: dict[tuple[str, str], list[Outcome]] = defaultdict(list)
    for one in outcomes:
        groups[key(one), one.target].append(one)
    head = f"| {name} | target | cases | {' | '.join(STATES)} | given | host |"
    rows = [f"| {group} | {target} | {counts(found)} |" for (group, target), found in sorted(groups.items())]
    return [head, "|---" * (5 + len(STATES)) + "|", *rows]


def counts(found: Sequence[Outcome]) -> str:
    """`12 | 10 | 0 | …`: cases, by state, with given inputs, with host calls."""
    states = [sum(o.state == state for o in found) for state in STATES]
    passed = [o for o in found if o.state == "pass"]
    numbers = [len(found), *states, sum(o.given > 0 for o in passed), sum(bool(o.hosts) for o in passed)]
    return " | ".join(map(str, numbers))


def op_table(outcomes: Iterable[Outcome]) -> list[str]:
    """One row per op, for the cases of that op alone."""
    groups: dict[str, dict[str, list[Outcome]]] = defaultdict(lambda: defaultdict(list))
    for one in outcomes:
        if len(one.ops) == 1 and not one.case.endswith("_expanded"):
            groups[one.ops[0]][one.target].append(one)
    rows = [f"| {op} | {op_row(by)} |" for op, by in sorted(groups.items())]
    return ["| op | cases | interpreter | cpu | given | host calls |", "|---|---|---|---|---|---|", *rows]


def op_row(by_target: dict[str, list[Outcome]]) -> str:
    """`5 | 5 | 5 | 1 |`: cases, how many pass on each target, given inputs, and the ops that the host ran."""
    cpu = by_target.get("cpu", [])
    both = [sum(o.state == "pass" for o in by_target.get(t, [])) for t in ("interpreter", "cpu")]
    hosts = sorted({h for o in cpu for h in o.hosts})
    given = sum(o.given > 0 for o in cpu if o.state == "pass")
    return f"{max(len(f) for f in by_target.values())} | {both[0]} | {both[1]} | {given} | {', '.join(hosts)}"


def failures(outcomes: Iterable[Outcome]) -> list[str]:
    """Every case that does not pass on cpu, with its reason."""
    bad = [o for o in outcomes if o.state != "pass" and o.target == "cpu"]
    return [f"- {o.suite}/{o.case}: {o.state}, {_short(o.told)}" for o in sorted(bad, key=lambda o: (o.suite, o.case))]


def _short(text: str) -> str:
    return text.replace("|", "\\|")[:160]
