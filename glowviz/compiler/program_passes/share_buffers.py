"""An instruction that may work in place writes over the operand that dies there."""

from __future__ import annotations

from glowviz.compiler.program import Instr, Program
from glowviz.compiler.program_passes.access import Access, accesses, fired, kept, substitute, title
from glowviz.compiler.rewrite import program_pass

RULE = "work_in_place"


@program_pass()
def share_buffers(program: Program) -> Program:
    """f out %b, in %a …; (no later read of %a)  ->  f inout %a …; every later %b is %a"""
    uses = accesses(program)
    shared: dict[str, str] = {}
    for position, statement in enumerate(program.body):
        if not isinstance(statement, Instr) or len(statement.outs) != 1 or statement.inout:
            continue
        if program.touches_held(statement):
            continue
        result = statement.outs[0]
        for operand in _candidates(program, statement):
            reason = _obstacle(program, uses, statement, operand, result, position, shared)
            if reason is None:
                shared[result] = operand
                owner = _owner(operand, shared)
                uses[owner].reads += uses[result].reads
                uses[owner].writes += uses[result].writes
                fired(RULE, title(statement), f"%{operand} is read here for the last time and has the same type, "
                      f"so {statement.name} writes over it", (result,), (operand,))
                break
            kept(RULE, title(statement), f"{statement.name} cannot write over %{operand}: {reason[0]}", reason[1])
    return substitute(program, shared) if shared else program


def _candidates(program: Program, instr: Instr) -> tuple[str, ...]:
    operands = tuple(program.buffers[b].type for b in instr.ins)
    results = tuple(program.buffers[b].type for b in instr.outs)
    return instr.op.may_overwrite(operands, results)


def _owner(name: str, shared: dict[str, str]) -> str:
    while name in shared:
        name = shared[name]
    return name


def _obstacle(
    program: Program,
    uses: dict[str, Access],
    instr: Instr,
    operand: str,
    result: str,
    position: int,
    shared: dict[str, str],
) -> tuple[str, str] | None:
    """Why the result cannot take the operand's memory (text, text without names), or None."""
    owner = _owner(operand, shared)
    a, b = program.buffers[owner], program.buffers[result]
    if b.kind != "activation" or b.base is not None:
        return f"%{result} is the public output's own memory", "the result is an output"
    if a.base is not None or a.kind != "activation":
        return f"its memory is not an activation of its own ({a.kind})", "the operand is not an activation of its own"
    if a.type != b.type:
        return f"%{operand} is {a.type}, the result {b.type}", "the types differ"
    if b.halo is not None and (a.halo is None or not a.halo.covers(b.halo)):
        return f"%{result} needs a {b.halo} that %{operand} does not have", "the result needs a halo"
    later = [p for p in (*uses[owner].reads, *uses[owner].writes) if p > position]
    if later:
        return f"%{operand} is needed again at statement {min(later)}", "the operand is needed again"
    if _reads_through_view(program, instr, owner, operand, shared):
        return f"%{operand} is read twice here, once as a whole", "the operand is read twice"
    return None


def _reads_through_view(program: Program, instr: Instr, owner: str, operand: str, shared: dict[str, str]) -> bool:
    roots = [_owner(program.root(_owner(name, shared)).name, shared) for name in instr.ins if name != operand]
    return owner in roots
