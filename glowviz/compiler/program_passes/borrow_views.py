"""Concat and slice cost nothing where the parts lie contiguously in the whole: they become views."""

from __future__ import annotations

from glowviz.compiler.ops import Concat
from glowviz.compiler.program import Alloc, Buffer, Dealloc, Instr, Program, Statement, View
from glowviz.compiler.program_passes.access import Access, accesses, fired, kept, title
from glowviz.compiler.rewrite import program_pass

RULE = "concat_in_place"


@program_pass()
def borrow_views(program: Program) -> Program:
    """f out %a …; g out %b …; concat out %y, in %a, in %b  ->  view %a of %y; view %b of %y at +n; f …; g …

    Glow's OptimizeInserts, for any axis before which all physical dims are 1. Parts that cannot move are copied
    into their place only when at least one other can.
    """
    uses = accesses(program)
    views: dict[str, Buffer] = {}
    gone: set[int] = set()
    for position, statement in enumerate(program.body):
        if isinstance(statement, Instr) and isinstance(statement.op, Concat):
            found = _parts(program, uses, statement, position, views)
            if found:
                views.update(found)
                gone.add(position)
                names = ", ".join("%" + n for n in found)
                fired(RULE, title(statement), f"{names} lie one behind the other in %{statement.outs[0]}, so they are "
                      "computed there", (title(statement),), tuple(found))
    return _with_views(program, views, gone) if gone else program


def _parts(
    program: Program, uses: dict[str, Access], instr: Instr, position: int, views: dict[str, Buffer]
) -> dict[str, Buffer] | None:
    """Views of the whole that replace the parts, or None with a recorded reason."""
    whole = program.buffers[instr.outs[0]]
    parts = [program.buffers[name] for name in instr.op.xs]
    reason = _obstacle(whole, parts, instr.op.axis, views)
    if reason:
        kept(RULE, title(instr), f"{title(instr)} copies its parts: {reason}", _pattern(reason))
        return None
    found: dict[str, Buffer] = {}
    offset = 0
    for part in parts:
        found[part.name] = part.evolve(kind="view", base=whole.name, offset=offset)
        offset += part.bytes
    return found


def _obstacle(whole: Buffer, parts: list[Buffer], axis: int, views: dict[str, Buffer]) -> str | None:
    if len({p.name for p in parts}) != len(parts):
        return "one part stands in it twice"
    for part in parts:
        if part.kind != "activation" or part.name in views:
            return f"%{part.name} is {'in another concat' if part.name in views else part.kind}"
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
    if any(p.bytes % 64 for p in parts[:-1]):
        return "a part does not end at a 64-byte boundary"
    return None


def _pattern(reason: str) -> str:
    return " ".join("%…" if word.startswith("%") else word for word in reason.split())


def _with_views(program: Program, views: dict[str, Buffer], gone: set[int]) -> Program:
    """Allocs of the parts become views of the whole, which lives from the first part on."""
    body: list[Statement] = []
    dropped = (Alloc, Dealloc)
    heads = [s for s in program.body if isinstance(s, Alloc)]
    allocs = [s for s in heads if s.buffer not in views]
    body.extend(allocs)
    # a whole that is itself a part of a later concat is declared before its own parts
    body.extend(View(name) for name in reversed(views))
    for position, statement in enumerate(program.body):
        if position in gone or isinstance(statement, Alloc):
            continue
        if isinstance(statement, dropped) and statement.buffer in views:
            continue
        body.append(statement)
    return program.evolve(buffers={**program.buffers, **views}, body=tuple(body))


