"""A write that nobody reads does not happen."""

from __future__ import annotations

from glowviz.compiler.program import Instr, Program
from glowviz.compiler.program_passes.access import fired, title, without
from glowviz.compiler.rewrite import program_pass


@program_pass()
def dse(program: Program) -> Program:
    """f out %a …   -- no later read of %a ->  (nothing). The last write into an output or state stays."""
    needed = {program.root(name).name for name in (*(o.buffer for o in program.outputs), *program.updates.values())}
    gone: set[int] = set()
    for statement in reversed(program.body):
        if not isinstance(statement, Instr):
            continue
        outs = {program.root(name).name for name in statement.outs}
        if outs.isdisjoint(needed) and statement.op.pure:
            gone.add(id(statement))
            reason = f"nothing reads {', '.join('%' + o for o in statement.outs)} after {title(statement)}"
            fired("dead_store", title(statement), reason, (title(statement),))
        else:
            needed.update(program.root(name).name for name in statement.ins)
    return without(program, lambda s: id(s) in gone)
