"""A write that nobody reads does not happen."""

from __future__ import annotations

from glowviz.compiler.program import Instr, Program
from glowviz.compiler.program_passes.access import fired, kept, leaving, title, without
from glowviz.compiler.rewrite import program_pass


@program_pass()
def dse(program: Program) -> Program:
    """f out %a …   -- no later read of %a, or all of %a is written again first ->  (nothing)

    The last write into an output or a state stays.
    """
    needed = leaving(program)
    gone: set[int] = set()
    for statement in reversed(program.body):
        if not isinstance(statement, Instr):
            continue
        outs = {program.root(name).name for name in statement.outs}
        if outs.isdisjoint(needed) and statement.op.pure:
            gone.add(id(statement))
            reason = f"nothing reads {', '.join('%' + o for o in statement.outs)} after {_told(statement)}"
            fired("dead_store", title(statement), reason, (title(statement),))
        else:
            _keep_state(program, statement, outs)
            needed.difference_update(_renewed(program, statement))
            needed.update(program.root(name).name for name in statement.ins)
    return without(program, lambda s: id(s) in gone)


def _keep_state(program: Program, instr: Instr, outs: set[str]) -> None:
    for name in sorted(outs):
        if program.buffers[name].kind == "state":
            reason = f"%{name} is a state: what {_told(instr)} leaves there, the next run reads"
            kept("dead_store", title(instr), reason, "it writes a state, which the next run reads")


def _told(instr: Instr) -> str:
    return f"%{instr.value}" if instr.value else f"this {instr.name}"


def _renewed(program: Program, instr: Instr) -> set[str]:
    """Roots that the instruction writes from the first byte to the last; a halo holds what was written before."""
    whole: set[str] = set()
    for name in instr.outs:
        root, out = program.root(name), program.buffers[name]
        if root.halo is None and out.halo is None and program.offset(name) == 0 and out.bytes == root.bytes:
            whole.add(root.name)
    return whole
