"""When the nested programs of an if, loop or scan instruction fit its operands and results."""

from __future__ import annotations

from collections.abc import Sequence

from glowviz.compiler.ops.bodies import Controlled
from glowviz.compiler.ops.branches import If
from glowviz.compiler.ops.control import FLAG, INDEX, Loop, Scan
from glowviz.compiler.program import Instr, Program
from glowviz.compiler.types import Type


def misfit(instr: Instr, program: Program) -> str | None:
    """Why the nested programs do not fit; None where they do."""
    op = instr.op
    if not isinstance(op, Controlled):
        return f"{instr.name} has nested programs"
    wanted = 2 if isinstance(op, If) else 1
    if len(instr.regions) != wanted:
        return f"{instr.name} has {len(instr.regions)} nested programs, not {wanted}"
    if isinstance(op, Scan) and op.batched:
        return "a scan over a batch has nested programs"
    outs = [program.buffers[name].type.logical for name in instr.outs]
    names: tuple[str, ...] = op.xs  # type: ignore[attr-defined]  # every op with bodies has them
    entering, leaving = expected(op, [program.buffers[x].type.logical for x in names], outs)
    for nested in instr.regions:
        told = _unlike("input", [b.type.logical for b in nested.of_kind("input")], entering)
        returned = [nested.buffers[o.buffer].type.logical for o in nested.outputs]
        told = told or _unlike("output", returned[: len(leaving)], leaving)
        if told:
            return f"nested @{nested.name}: {told}"
    return None


def expected(op: Controlled, xs: list[Type], outs: list[Type]) -> tuple[list[Type], list[Type]]:
    """Types of a nested program's inputs and (first) outputs, from those of operands and results."""
    if isinstance(op, Loop):
        items = [_without(t, 0) for t in outs[op.carried :]]
        return [INDEX, FLAG, *xs], [FLAG, *outs[: op.carried], *items]
    if isinstance(op, Scan):
        cut = [_without(x, op.axis(op.input_axes, k, x.rank)) for k, x in enumerate(xs[op.states : op.captured])]
        entering = [*xs[: op.states], *cut, *xs[op.captured :]]
        items = [_without(t, op.axis(op.output_axes, k, t.rank)) for k, t in enumerate(outs[op.states :])]
        return entering, [*outs[: op.states], *items]
    return xs, outs


def _without(type_: Type, axis: int) -> Type:
    shape = type_.shape or ()
    return Type(type_.elem, (*shape[:axis], *shape[axis + 1 :]))


def _unlike(what: str, found: Sequence[Type], wanted: Sequence[Type]) -> str | None:
    if len(found) != len(wanted):
        return f"{len(found)} {what}s for {len(wanted)}"
    for position, (f, w) in enumerate(zip(found, wanted, strict=True)):
        if (f.elem, f.shape) != (w.elem, w.shape):
            return f"{what} {position} is {f}, the instruction's is {w}"
    return None
