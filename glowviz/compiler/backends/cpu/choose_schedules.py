"""The program pass that writes algorithm, tile and task order into every heavy instruction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from glowviz.compiler.backends.cpu.choose_algorithms import algorithms
from glowviz.compiler.backends.cpu.choose_products import products
from glowviz.compiler.backends.cpu.kernels.boxes import Unsupported
from glowviz.compiler.backends.cpu.planner import PLANNERS, plan_of
from glowviz.compiler.backends.cpu.tuned import fitting, key_of, load_tuned
from glowviz.compiler.ops import Fused
from glowviz.compiler.ops.base import Elementwise
from glowviz.compiler.problem import Problem
from glowviz.compiler.program import Instr, Program, Statement
from glowviz.compiler.recording.records import Change, Refusal, log
from glowviz.compiler.rewrite import program_pass
from glowviz.compiler.target import Target


@program_pass(required=True)
def choose_schedules(
    program: Program, target: Target, *, winograd: str = "auto", strassen: str = "auto", tuned: bool = True,
    schedules: Mapping[str, Mapping[str, Any]] | None = None,
) -> Program:  # fmt: skip
    """conv …  ->  conv … {algorithm, tile, order of tasks, why}, by a count of cycles for this machine

    Convolutions of stride 1 may be done by Winograd's tiles and products with constant matrices by Strassen's blocks,
    which have fewer multiplications and larger rounding errors: "auto" takes them where they pay and the estimated
    errors of all layers stay small; "off" never. With `tuned`, what `glowviz tune` found to be faster is taken
    instead; `schedules` gives some by hand, by value.
    """
    for name, choice in (("winograd", winograd), ("strassen", strassen)):
        if choice not in ("auto", "off"):
            raise Problem(
                f"{name}={choice!r} is not known",
                f"option {name} of pass choose_schedules",
                "'auto' or 'off'",
                "Leave the option away for the default, 'auto'",
            )
    fewer = algorithms(program, target) if winograd == "auto" else {}
    if strassen == "auto":
        fewer |= products(program, target)
    chooser = _Chooser(program, target, fewer, load_tuned() if tuned else {}, schedules or {})
    return program.evolve(body=tuple(chooser.scheduled(s) for s in program.body))


@dataclass(frozen=True)
class _Chooser:
    program: Program
    target: Target
    fewer: Mapping[str, dict[str, Any]]
    tuned: Mapping[str, dict[str, Any]]
    given: Mapping[str, Mapping[str, Any]]

    def scheduled(self, statement: Statement) -> Statement:
        """The statement with its schedule."""
        if not isinstance(statement, Instr) or not is_heavy(statement) or statement.schedule:
            return statement
        log().tried += 1
        name = statement.value or statement.outs[0]
        try:
            schedule = self._chosen(statement, name)
        except Unsupported as reason:
            log().refuse(Refusal("choose_schedule", name, "keep", str(reason)), type(reason).__name__)
            return statement
        why = str(schedule.get("why", "set by hand"))
        log().change(Change("choose_schedule", name, why, changed=(name,)))
        return statement.evolve(schedule=schedule)

    def _chosen(self, instr: Instr, name: str) -> dict[str, Any]:
        plan = plan_of(instr, self.program, self.target)
        if name in self.given:
            return dict(self.given[name])
        fewer = self.fewer.get(name)
        kept = fitting(self.tuned.get(key_of(plan, self.target)), fewer) if self.tuned else None
        return kept or fewer or plan.choose(self.target)


def is_heavy(instr: Instr) -> bool:
    """Whether an instruction is one that heavy kernels are written for."""
    op: Any = instr.op
    if isinstance(op, Fused):
        return any(not isinstance(node.op, Elementwise) for node in op.body)
    return type(op) in PLANNERS
