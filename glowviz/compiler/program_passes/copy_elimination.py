"""A copy that only gives numbers a second place does not happen: they are computed, or read, where they are needed."""

from __future__ import annotations

from dataclasses import dataclass, field

from glowviz.compiler.ops.memory import Copy
from glowviz.compiler.program import Alloc, Buffer, Dealloc, Instr, Program, Statement, View
from glowviz.compiler.program_passes.access import (
    Access,
    accesses,
    fired,
    kept,
    lasts_until,
    renamed,
    substitute,
    title,
)
from glowviz.compiler.rewrite import program_pass

FORWARD, PROPAGATE = "forward_copy", "read_the_source"


@program_pass()
def copy_elimination(program: Program) -> Program:
    """f out %a …; copy out %y, in %a; dealloc %a  ->  f out %y …
    copy out %b, in %a; g …, in %b (no write of %a before it)  ->  g …, in %a
    """
    settled: set[str] = set()
    while True:
        found = _round(program, settled)
        if not found.gone:
            return program
        program = _without_copies(program, found)


@dataclass
class _Round:
    """Copies that can go together, because no two of them touch the same memory."""

    gone: set[int] = field(default_factory=set)
    """Positions of copies."""
    names: dict[str, str] = field(default_factory=dict)
    """Buffer to the one that stands for it."""
    inside: dict[str, str] = field(default_factory=dict)
    """Buffer that becomes a view, to the buffer it is all of."""
    early: dict[str, str] = field(default_factory=dict)
    """Buffer whose memory is needed sooner, to the buffer it is needed with."""
    before: dict[int, tuple[str, str]] = field(default_factory=dict)
    """Position of a copy to a source that is called otherwise until there: afterwards it holds something else."""
    touched: set[str] = field(default_factory=set)


def _round(program: Program, settled: set[str]) -> _Round:
    """`settled` remembers copies that must stay, so that each is refused once."""
    uses = accesses(program)
    found = _Round()
    for position, statement in enumerate(program.body):
        if not isinstance(statement, Instr) or not isinstance(statement.op, Copy) or title(statement) in settled:
            continue
        source, target = statement.op.x, statement.outs[0]
        roots = {program.root(source).name, program.root(target).name}
        if not found.touched.isdisjoint(roots):
            continue
        if _eliminate(program, uses, position, statement, found):
            found.gone.add(position)
            found.touched |= roots
        else:
            settled.add(title(statement))
    return found


def _eliminate(program: Program, uses: dict[str, Access], position: int, copy: Instr, found: _Round) -> bool:
    source, target = copy.op.x, copy.outs[0]
    reason = _cannot_move(program, uses, source, target, position)
    if reason is None:
        root = program.root(source).name
        found.early[target] = root
        if any(w > position for w in uses[root].writes):
            found.before[position] = (source, target)
        elif root != source:
            found.inside[root] = target
        if position not in found.before:
            found.names[source] = target
        fired(FORWARD, target, f"%{source} is read last by this copy, so it is computed in %{target}",
              (source,), (target,))
        return True
    other = _cannot_be_read(program, uses, source, target, position)
    if other is None:
        found.names[target] = source
        fired(PROPAGATE, target, f"nothing writes %{source} while %{target} is read, so %{source} is read instead",
              (target,), (source,))
        return True
    kept(FORWARD, title(copy), f"%{source} is copied to %{target}: {reason[0]}; and {other[0]}",
         f"{reason[1]}; {other[1]}")
    return False


Obstacle = tuple[str, str] | None
"""Why not (text, text without names)."""


def _cannot_move(program: Program, uses: dict[str, Access], source: str, target: str, position: int) -> Obstacle:
    """Why the source cannot be computed in the target's memory."""
    a, y, root = program.buffers[source], program.buffers[target], program.root(source)
    if root.kind != "activation":
        return f"%{root.name} is {_an(root.kind)}, its memory is not ours to move", f"the source is {_an(root.kind)}"
    if y.base is not None:
        return f"%{target} is part of %{y.base}", "the target is a part of another buffer"
    if a is not root and (program.offset(source) or a.bytes != root.bytes or root.halo is not None):
        return f"%{source} is a part of %{root.name}", "the source is a part of another buffer"
    if a.type != y.type or a.halo != y.halo:
        return f"their memory differs ({a.type} and {y.type})", "the memory of source and target differs"
    if uses[target].writes != [position] or any(r < position for r in uses[target].reads):
        return f"%{target} is touched elsewhere too", "the target is touched elsewhere too"
    if any(w > position for w in uses[root.name].writes):
        return _renewed_only(program, uses[root.name], source, position)
    if lasts_until(program, root.name) > lasts_until(program, target):
        return f"%{source} is needed longer than %{target}", "the source is needed longer"
    return None


def _renewed_only(program: Program, use: Access, source: str, position: int) -> Obstacle:
    """A source that is written again may move if nobody reads the old content: then it is two buffers in one."""
    following = min(p for p in (*use.reads, *use.writes) if p > position)
    views = any(b.base == source for b in program.buffers.values())
    if following in use.reads or program.buffers[source].base is not None or views:
        return f"%{source} is read again before it is written again", "the source is read again"
    return None


def _cannot_be_read(program: Program, uses: dict[str, Access], source: str, target: str, position: int) -> Obstacle:
    """Why the target's readers cannot read the source."""
    a, b, root = program.buffers[source], program.buffers[target], program.root(source)
    if b.kind != "activation" or target in program.updates.values():
        return f"%{target} must exist by itself", "the target must exist by itself"
    if a.type != b.type or a.halo is not None or b.halo is not None:
        return "their memory differs", "the memory differs"
    if uses[target].writes != [position]:
        return f"%{target} is written elsewhere too", "the target is written elsewhere too"
    again = [w for w in uses[root.name].writes if position < w <= uses[target].last]
    if again:
        return f"%{source} is written again at statement {again[0]}", "the source is written again"
    if lasts_until(program, root.name) <= uses[target].last:
        return f"%{source} is deallocated before the last reader", "the source is deallocated before"
    return None


def _without_copies(program: Program, found: _Round) -> Program:
    renamed_until = [*program.body]
    for position, (source, target) in found.before.items():
        renamed_until[:position] = [_of_instruction(s, {source: target}) for s in renamed_until[:position]]
    body = tuple(s for k, s in enumerate(renamed_until) if k not in found.gone)
    program = substitute(program.evolve(body=_early(program, body, found.early)), found.names)
    buffers: dict[str, Buffer] = dict(program.buffers)
    for name, whole in found.inside.items():
        buffers[name] = buffers[name].evolve(kind="view", base=whole, offset=0)
    marks: list[Statement] = []
    for s in program.body:
        if isinstance(s, Alloc) and s.buffer in found.inside:
            marks.append(View(s.buffer))
        elif not (isinstance(s, Dealloc) and s.buffer in found.inside):
            marks.append(s)
    return program.evolve(buffers=buffers, body=tuple(marks))


def _of_instruction(statement: Statement, names: dict[str, str]) -> Statement:
    """Marks keep their buffers: both of them live on."""
    return renamed(statement, names) if isinstance(statement, Instr) else statement


def _early(program: Program, body: tuple[Statement, ...], early: dict[str, str]) -> tuple[Statement, ...]:
    """Allocs of targets stand where their source's alloc stands, if that is sooner."""
    places = {s.buffer: k for k, s in enumerate(body) if isinstance(s, Alloc)}
    moving = {new: old for new, old in early.items() if places.get(new, -1) > places.get(old, len(body))}
    if not moving:
        return body
    targets: dict[str, str] = {old: new for new, old in moving.items()}
    result: list[Statement] = []
    for s in body:
        if isinstance(s, Alloc) and s.buffer in moving:
            continue
        if isinstance(s, Alloc) and s.buffer in targets:
            result.append(Alloc(targets[s.buffer]))
        result.append(s)
    return tuple(result)


def _an(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"
