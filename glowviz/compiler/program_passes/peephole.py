"""Single instructions become cheaper or disappear: unused results, idle copies, views of views."""

from __future__ import annotations

from glowviz.compiler.ops.memory import Copy
from glowviz.compiler.program import Buffer, Instr, Program, Statement
from glowviz.compiler.program_passes.access import accesses, fired, kept, substitute, title
from glowviz.compiler.rewrite import program_pass


@program_pass()
def peephole(program: Program) -> Program:
    """max_pool out %y, out %unused …  ->  max_pool out %y …;  copy out %a, in %a  ->  (nothing);  view of a whole
    view  ->  view of its base;  view of the same type  ->  the buffer itself"""
    return _straight_views(_same_views(_idle_copies(_unused_results(program))))


def _unused_results(program: Program) -> Program:
    """Results that only a dealloc mentions are not asked for (the last ones; an op makes its first results always)."""
    uses = accesses(program)
    body: list[Statement] = []
    for statement in program.body:
        if isinstance(statement, Instr) and len(statement.outs) > 1:
            statement = _trimmed(statement, {o for o in statement.outs if not uses[program.root(o).name].reads})
        body.append(statement)
    return program if all(a is b for a, b in zip(body, program.body, strict=True)) else program.evolve(body=tuple(body))


def _trimmed(instr: Instr, unread: set[str]) -> Instr:
    outs = list(instr.outs)
    if len(outs) > 1 and outs[-1] not in unread and not unread.isdisjoint(outs):
        name = next(o for o in outs if o in unread)
        kept("drop_unused_result", title(instr), f"nothing reads %{name}, but %{outs[-1]} behind it is read, and only "
             "the last results of an instruction can be left out", "a later result is read")
    while len(outs) > 1 and outs[-1] in unread:
        name = outs.pop()
        fired("drop_unused_result", title(instr), f"nothing reads %{name}", (name,), (title(instr),))
    return instr if len(outs) == len(instr.outs) else instr.evolve(outs=tuple(outs))


def _idle_copies(program: Program) -> Program:
    gone = [s for s in program.instructions if isinstance(s.op, Copy) and s.outs == (s.op.x,)]
    for instr in gone:
        fired("drop_idle_copy", title(instr), f"%{instr.op.x} is copied to itself", (title(instr),))
    if not gone:
        return program
    names = {id(s) for s in gone}
    return program.evolve(body=tuple(s for s in program.body if id(s) not in names))


def _same_views(program: Program) -> Program:
    """A view of a whole buffer with the buffer's own type is that buffer."""
    same: dict[str, str] = {}
    for b in program.buffers.values():
        if b.base is None or b.offset:
            continue
        base = program.buffers[b.base]
        if base.type == b.type and base.halo == b.halo and not any(o.buffer == b.name for o in program.outputs):
            same[b.name] = base.name
            fired("drop_same_view", b.name, f"%{b.name} is all of %{base.name} with the same type", (b.name,))
    return substitute(program, same) if same else program


def _straight_views(program: Program) -> Program:
    """A view of a view names the memory itself."""
    changed: dict[str, Buffer] = {}
    for b in program.buffers.values():
        if b.base is not None and program.buffers[b.base].base is not None:
            root = program.root(b.name)
            changed[b.name] = b.evolve(base=root.name, offset=program.offset(b.name))
            fired("straighten_view", b.name, f"%{b.base} is a view of %{root.name} itself", changed=(b.name,))
    return program.evolve(buffers={**program.buffers, **changed}) if changed else program


