"""A state that nothing ever writes is a weight: it needs no place of its own in every run."""

from __future__ import annotations

from glowviz.compiler.program import Program
from glowviz.compiler.program_passes.access import accesses, fired, kept
from glowviz.compiler.rewrite import program_pass


@program_pass()
def make_weights_constant(program: Program) -> Program:
    """state %w (never written, never renewed)  ->  weight %w"""
    uses = accesses(program)
    frozen = [b for b in program.of_kind("state") if not uses[b.name].writes and b.name not in program.updates]
    for buffer in program.of_kind("state"):
        if buffer not in frozen:
            by = f"renewed by %{program.updates[buffer.name]}" if buffer.name in program.updates else "written in place"
            kept("freeze_state", buffer.name, f"%{buffer.name} is {by}", "the state is written")
    for buffer in frozen:
        reason = f"no instruction and no update writes %{buffer.name}"
        fired("freeze_state", buffer.name, reason, changed=(buffer.name,))
    if not frozen:
        return program
    changed = {b.name: b.evolve(kind="weight") for b in frozen}
    return program.evolve(buffers={**program.buffers, **changed})
