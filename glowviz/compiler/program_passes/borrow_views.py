"""Concat, split, slice and reshape cost nothing where parts lie contiguously in the whole: they become views.

Glow's OptimizeInserts and OptimizeExtracts, for any axis before which all physical dims are 1. A split, a transpose
that moves nothing, and a reshape that irgen could not see are slices of that kind too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from glowviz.compiler.ops import Concat
from glowviz.compiler.program import Alloc, Buffer, Dealloc, Instr, Program, Statement, View
from glowviz.compiler.program_passes.access import Access, accesses, fired, kept, lasts_until, title
from glowviz.compiler.program_passes.same_bytes import NotTheSameBytes, offsets, source_of
from glowviz.compiler.rewrite import program_pass

CONCAT, PART = "concat_in_place", "read_in_place"
ALIGNMENT = 64
"""Bytes: vector loads of kernels begin at such addresses, and two parts never share a cache line."""


@program_pass()
def borrow_views(program: Program) -> Program:
    """f out %a …; g out %b …; concat out %y, in %a, in %b  ->  view %a of %y; view %b of %y at +n; f …; g …
    slice out %b, in %a …; h …, in %b  ->  view %b of %a at +n; h …, in %b
    """
    uses = accesses(program)
    views = _Views()
    for position, statement in enumerate(program.body):
        if not isinstance(statement, Instr) or program.touches_held(statement):
            continue
        if isinstance(statement.op, Concat):
            _concat(program, uses, statement, position, views)
        elif source_of(statement) is not None:
            _parts_of(program, uses, statement, position, views)
    return _with_views(program, views) if views.gone else program


@dataclass
class _Views:
    """Buffers that become views, those that stand at the head, and the instructions that are not needed any more."""

    head: dict[str, Buffer] = field(default_factory=dict)
    at: dict[int, list[Buffer]] = field(default_factory=dict)
    """By the position of the instruction that they take the place of."""
    names: set[str] = field(default_factory=set)

    @property
    def gone(self) -> set[int]:
        return self.concats | self.at.keys()

    concats: set[int] = field(default_factory=set)


def _concat(program: Program, uses: dict[str, Access], instr: Instr, position: int, views: _Views) -> None:
    """The parts become views of the whole, or the reason why not is kept."""
    whole = program.buffers[instr.outs[0]]
    parts = [program.buffers[name] for name in instr.op.xs]
    reason = _obstacle(whole, parts, instr.op.axis, views.names) or _held(program, uses, whole, parts, position)
    if reason:
        _keep(CONCAT, instr, f"copies its parts: {reason}")
        return
    offset = 0
    for part in parts:
        views.head[part.name] = part.evolve(kind="view", base=whole.name, offset=offset)
        views.names.add(part.name)
        offset += part.bytes
    views.concats.add(position)
    names = ", ".join("%" + part.name for part in parts)
    fired(CONCAT, title(instr), f"{names} lie one behind the other in %{whole.name}, so they are computed there",
          (title(instr),), tuple(part.name for part in parts))


def _keep(rule: str, instr: Instr, reason: str) -> None:
    kept(rule, title(instr), f"%{title(instr)} {reason}", re.sub(r"%\S+", "%…", reason))


def _obstacle(whole: Buffer, parts: list[Buffer], axis: int, views: set[str]) -> str | None:
    if len({p.name for p in parts}) != len(parts):
        return "one part stands in it twice"
    for part in parts:
        if part.name in views:
            return f"%{part.name} is part of another buffer already"
        if part.kind != "activation":
            return f"%{part.name} is {'an' if part.kind[0] in 'aeiou' else 'a'} {part.kind}"
        if part.halo is not None or whole.halo is not None:
            return f"%{part.name if part.halo else whole.name} has a halo"
        if part.type.order != whole.type.order:
            return f"%{part.name} is in another order"
    if whole.base is not None or whole.kind not in ("activation", "output"):
        return f"%{whole.name} is a {whole.kind}"
    return _contiguous(whole, parts, axis)


def _contiguous(whole: Buffer, parts: list[Buffer], axis: int) -> str | None:
    axis = axis % whole.type.rank
    order = whole.type.order
    dims = order.dims if order else tuple((a, 0) for a in range(whole.type.rank))
    before = dims[: dims.index((axis, 0))]
    if any(whole.type.physical[k] != 1 for k in range(len(before))):
        return f"axis {axis} of %{whole.name} is not outermost, so the parts do not lie one behind the other"
    tile = order.tile(axis) if order else 1
    if any(p.type.dims[axis] % tile for p in parts):
        return f"a part is no multiple of the block of {tile} channels"
    if any(p.bytes % ALIGNMENT for p in parts[:-1]):
        return f"a part does not end at a {ALIGNMENT}-byte boundary"
    return None


def _held(
    program: Program, uses: dict[str, Access], whole: Buffer, parts: list[Buffer], position: int
) -> str | None:
    """Who needs the parts or the whole at a time when they cannot be one memory."""
    if any(p < position for p in (*uses[whole.name].reads, *uses[whole.name].writes)):
        return f"%{whole.name} holds something else before"
    if [w for w in uses[whole.name].writes if w > position]:
        return f"%{whole.name} is written again afterwards"
    for part in parts:
        if any(w > position for w in uses[part.name].writes):
            return f"%{part.name} is written again afterwards"
        if uses[part.name].last > lasts_until(program, whole.name):
            return f"%{part.name} is needed longer than %{whole.name}"
    return None


def _parts_of(program: Program, uses: dict[str, Access], instr: Instr, position: int, views: _Views) -> None:
    """The results become views of the operand, or the reason why not is kept."""
    try:
        begins = offsets(program, instr)
        for name in instr.outs:
            _movable(program, uses, instr.op.x, name, position, views)
        if any(begin % ALIGNMENT for begin in begins):
            raise NotTheSameBytes(f"it does not begin at a {ALIGNMENT}-byte boundary")
    except NotTheSameBytes as reason:
        _keep(PART, instr, f"copies %{instr.op.x}: {reason}")
        return
    made = [program.buffers[name].evolve(kind="view", base=instr.op.x, offset=begin)
            for name, begin in zip(instr.outs, begins, strict=True)]
    views.at[position] = made
    views.names.update(instr.outs)
    names = ", ".join("%" + name for name in instr.outs)
    fired(PART, title(instr), f"{names} lies in %{instr.op.x} already, and nothing writes there while it is read",
          (title(instr),), instr.outs)


def _movable(program: Program, uses: dict[str, Access], source: str, name: str, position: int, views: _Views) -> None:
    """Refuse results that cannot be a part of the operand, whatever bytes they are."""
    part, base, root = program.buffers[name], program.buffers[source], program.root(source)
    if part.kind != "activation" or name in views.names or name in program.updates.values():
        raise NotTheSameBytes(f"%{name} must exist by itself")
    if root.kind == "weight":
        raise NotTheSameBytes(f"%{root.name} is a weight, and kernels pack weights as a whole")
    if part.halo is not None or base.halo is not None or root.halo is not None:
        raise NotTheSameBytes(f"%{name if part.halo else source} has a halo")
    if uses[name].writes != [position]:
        raise NotTheSameBytes(f"%{name} is written elsewhere too")
    if any(position < w <= uses[name].last for w in uses[root.name].writes):
        raise NotTheSameBytes(f"%{source} is written while %{name} is read")
    if uses[name].last > lasts_until(program, root.name):
        raise NotTheSameBytes(f"%{name} is needed longer than %{source}")


def _with_views(program: Program, views: _Views) -> Program:
    """Allocs of the parts become views; a whole of which parts are computed lives from the start on."""
    buffers = {**program.buffers, **views.head}
    buffers.update((view.name, view) for made in views.at.values() for view in made)
    bases = {view.base for view in views.head.values()}
    early = [s for s in program.body if isinstance(s, Alloc) and s.buffer in bases and s.buffer not in views.names]
    # a whole that is itself a part of a later concat is declared before its own parts
    body: list[Statement] = [*early, *map(View, reversed(views.head))]
    for position, statement in enumerate(program.body):
        if position in views.gone:
            body.extend(View(view.name) for view in views.at.get(position, ()))
        elif not _replaced(statement, views, bases):
            body.append(statement)
    return program.evolve(buffers=buffers, body=tuple(body))


def _replaced(statement: Statement, views: _Views, bases: set[str | None]) -> bool:
    """The life of a view is its base's, and the alloc of such a base stands at the head."""
    if isinstance(statement, Alloc):
        return statement.buffer in views.names or statement.buffer in bases
    return isinstance(statement, Dealloc) and statement.buffer in views.names
