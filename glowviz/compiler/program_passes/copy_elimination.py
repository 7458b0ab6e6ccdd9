"""A buffer that is only copied into another is computed there in the first place."""

from __future__ import annotations

from glowviz.compiler.ops.memory import Copy
from glowviz.compiler.program import Instr, Program
from glowviz.compiler.program_passes.access import Access, accesses, fired, kept, substitute
from glowviz.compiler.rewrite import program_pass

RULE = "forward_copy"


@program_pass()
def copy_elimination(program: Program) -> Program:
    """f out %a …; copy out %y, in %a; dealloc %a  ->  f out %y …"""
    uses = accesses(program)
    forwarded: dict[str, str] = {}
    gone: set[int] = set()
    for position, statement in enumerate(program.body):
        if not isinstance(statement, Instr) or not isinstance(statement.op, Copy):
            continue
        source, target = statement.op.x, statement.outs[0]
        reason = _obstacle(program, uses, source, target, position, forwarded)
        if reason:
            kept(RULE, statement.value or target, f"%{source} is copied to %{target}: {reason[0]}", reason[1])
            continue
        forwarded[source] = target
        gone.add(position)
        reason_text = f"%{source} is read last by this copy, so it is computed in %{target}"
        fired(RULE, target, reason_text, (source,), (target,))
    if not gone:
        return program
    body = tuple(s for k, s in enumerate(program.body) if k not in gone)
    return substitute(program.evolve(body=body), forwarded)


def _obstacle(
    program: Program, uses: dict[str, Access], source: str, target: str, position: int, forwarded: dict[str, str]
) -> tuple[str, str] | None:
    """Why the copy must stay (text, text without names), or None."""
    a, y = program.buffers[source], program.buffers[target]
    if a.base is not None:
        return f"%{source} is a view of %{a.base}", "the source is a view"
    if a.kind != "activation":
        return f"%{source} is {_an(a.kind)}, its memory is not ours to move", f"the source is {_an(a.kind)}"
    if source in forwarded:
        return f"%{source} was moved to %{forwarded[source]} already", "the source was moved already"
    if a.type != y.type or a.halo != y.halo:
        return f"their memory differs ({a.type} and {y.type})", "the memory of source and target differs"
    if uses[target].writes != [position] or any(r < position for r in uses[target].reads):
        return f"%{target} is touched elsewhere too", "the target is touched elsewhere too"
    return None


def _an(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"
