"""docs/conformance.md says what passes, by suite, by opset and by op, and why the rest does not."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import onnx
from onnx import TensorProto

from tests.conformance.outcome import Outcome
from tests.conformance.suites import load

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "conformance.md"
STATES = ("pass", "differs", "refused", "opaque", "failed")
HEAD = """# Conformance

Every case of the suites that come with the onnx package, made by `make conformance`; a test compares a sample.
`given` counts cases that passed when operands that types depend on were made constants; `host` counts passed cases in
which the interpreter ran an instruction on target cpu for the inputs of the case, `settled` those where it still does
so when the operands that sizes follow from are constants, as they are in nearly every model. Integers must be equal,
floats within the case's own tolerance.
"""
Key = Callable[[Outcome], str]
REASONS = {
    r"bernoulli": "random by definition",
    r"dropout": "random by definition",
    r"/test_dft_inverse": "the stored numbers are where the suite's own transform rounds what is 0",
    r"fp16": "f16 rounded after other steps than where the suite's formula rounds, by one place",
    r"loop16_seq_none": "a carried value that is an optional sequence first and a sequence later",
    r"old/test_adam_multiple": "the file leaves out the epsilon that its stored numbers use; newer ones have it",
    r"old/test_averagepool_3d_dilations_large": "stored numbers of before a repair; newer releases have others",
    r"old/test_cast_FLOAT(16)?_to_U?INT4": "what does not fit was saturated then and is wrapped in newer releases",
    r"old/test_qlinearmatmul": "stored numbers overflow where newer releases saturate",
}
"""Why a case need not pass, by what its name has in it."""


def document(outcomes: Sequence[Outcome]) -> str:
    """The whole text."""
    node = [o for o in outcomes if o.suite == "node"]
    parts = [
        HEAD, "## By suite\n", *table("suite", outcomes, lambda o: o.suite), "\n## Without a host call\n",
        without_host(node), "\n## Node cases by opset\n",
        *table("opset", node, lambda o: f"{o.opset:02}"), "\n## Node cases by op\n", *op_table(node),
        "\n## What does not pass\n", *failures(outcomes),
    ]
    return "\n".join(parts) + "\n"


def table(name: str, outcomes: Iterable[Outcome], key: Key) -> list[str]:
    """One row per key and target."""
    groups: dict[tuple[str, str], list[Outcome]] = defaultdict(list)
    for one in outcomes:
        groups[key(one), one.target].append(one)
    head = f"| {name} | target | cases | {' | '.join(STATES)} | given | host | settled |"
    rows = [f"| {group} | {target} | {counts(found)} |" for (group, target), found in sorted(groups.items())]
    return [head, "|---" * (6 + len(STATES)) + "|", *rows]


def counts(found: Sequence[Outcome]) -> str:
    """`12 | 10 | 0 | …`: cases, by state, with given inputs, with host calls, with host calls where sizes are known."""
    states = [sum(o.state == state for o in found) for state in STATES]
    passed = [o for o in found if o.state == "pass"]
    given, host, settled = (sum(bool(getattr(o, n)) for o in passed) for n in ("given", "hosts", "settled"))
    numbers = [len(found), *states, given, host, settled]
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
    hosts = sorted({h for o in cpu for h in o.settled})
    given = sum(o.given > 0 for o in cpu if o.state == "pass")
    return f"{max(len(f) for f in by_target.values())} | {both[0]} | {both[1]} | {given} | {', '.join(hosts)}"


def failures(outcomes: Iterable[Outcome]) -> list[str]:
    """Every case that does not pass on cpu, with its reason."""
    bad = [o for o in outcomes if o.state != "pass" and o.target == "cpu"]
    return [f"- {o.suite}/{o.case}: {o.state}, {reason(o)}" for o in sorted(bad, key=lambda o: (o.suite, o.case))]


def without_host(node: Sequence[Outcome]) -> str:
    """How many cases of the core types, and of their ops, run in machine code from end to end."""
    core = [o for o in node if o.target == "cpu" and is_core(load("node", o.case).model)]
    native = [o for o in core if o.state == "pass" and not o.hosts and not o.given]
    settled = [o for o in core if o.state == "pass" and not o.settled]
    alone = [o for o in core if len(o.ops) == 1]
    ops = {o.ops[0] for o in alone}
    short = {o.ops[0] for o in alone if o.state != "pass" or o.hosts or o.given}
    never = {o.ops[0] for o in alone if o.state != "pass" or o.settled}
    part = 100 * len(native) / max(len(core), 1)
    return (
        f"Of {len(core):,} node cases with core types (f32, f64, integers, bool; default domain) {len(native):,}"
        f" ({part:.1f} %) pass\non cpu without a host call as they stand: for a shape, axes or scales given at run time"
        f" code is made\nonce for each content. Where such operands are constants {len(settled):,} do. Of the"
        f" {len(ops)} ops that have cases of their\nown, {len(ops - short)} in all cases as they stand,"
        f" {len(ops - never)} with such constants. The others: {', '.join(sorted(short))}."
    )


def is_core(content: bytes) -> bool:
    """Inputs and results are f32, f64, integers of 8 bits or more, or bool, and all ops those of the default domain."""
    model = onnx.load_model_from_string(content)
    values = (*model.graph.input, *model.graph.output)
    plain = all(v.type.WhichOneof("value") == "tensor_type" and v.type.tensor_type.elem_type in CORE for v in values)
    return plain and all(n.domain in ("", "ai.onnx") for n in model.graph.node)


CORE = {*range(TensorProto.FLOAT, TensorProto.INT64 + 1), TensorProto.BOOL, *range(TensorProto.DOUBLE, 14)}
"""FLOAT to INT64, BOOL, DOUBLE, UINT32 and UINT64."""


def reason(one: Outcome) -> str:
    """The written reason of a case that does not pass, else what the run told."""
    name = f"{one.suite}/{one.case}"
    return next((why for pattern, why in REASONS.items() if re.search(pattern, name)), _short(one.told))


def _short(text: str) -> str:
    return text.replace("|", "\\|")[:160]
