"""Instructions that know where they are: running sums, triangles, ranges."""

from __future__ import annotations

from glowviz.compiler.backends.cpu.kernels.boxes import Access, Unsupported, boxes, direct
from glowviz.compiler.backends.cpu.kernels.draft import Draft, constant_of, supported
from glowviz.compiler.backends.cpu.kernels.elements import calculated_kind, convert, fetch, put
from glowviz.compiler.backends.cpu.kernels.movement import along
from glowviz.compiler.backends.cpu.kernels.moves import fill, move
from glowviz.compiler.backends.cpu.kernels.nest import Lanes, box_pieces
from glowviz.compiler.backends.cpu.kernels.rows import Row, Rows
from glowviz.compiler.backends.cpu.registry import KernelCode, kernel
from glowviz.compiler.program import Buffer, Instr, Program
from glowviz.compiler.target import Target
from glowviz.compiler.types import Type

LONGEST_RANGE = 4096
WIDE = 4  # vectors of running sums that are walked together
TRIANGLE_ROWS = 64


@kernel("cum_sum")
@supported
def cum_sum(instr: Instr, program: Program, target: Target) -> KernelCode:
    """Element by element along the axis, in vectors across neighbouring rows where those are contiguous."""
    draft = Draft(instr, program, target, instr.ins[:1])
    op, em, x = instr.op, draft.em, draft.buffers[1]
    axis = int(constant_of(program, op.axis).reshape(())) % x.type.rank
    rows = Rows(draft, x.type.dims, frozenset([axis]), [(1, direct(x)), (0, direct(draft.result))], False, WIDE)
    if len(rows.reduced) != 1 or len(rows.reduced[0].dims) > 1:
        raise Unsupported("an axis that is tiled or empty")
    elem, count = x.type.elem, x.type.dims[axis]
    steps = rows.reduced[0].dims[0].steps if rows.reduced[0].dims else (0, 0)

    def body(row: Row) -> None:
        one = row.one()
        zero = em.constant(0, fetch(em, elem, one, 0).type)
        with em.loop(0, count, carry=[zero]) as loop:
            place = em.index(loop.index)
            place = (count - 1) - place if op.reverse else place
            here = [em.offset(p, place * s) for p, s in zip(row.pointers, steps, strict=True)]
            lanes = Lanes(here, one.count, one.mask, one.steps)
            total = loop.carry[0] + fetch(em, elem, lanes, 0)
            put(em, elem, lanes, 1, loop.carry[0] if op.exclusive else total)
            loop.next = [total]

    draft.pieces = rows.pieces(body)
    return draft.finish("one running sum per row", axis=axis)


@kernel("trilu")
@supported
def trilu(instr: Instr, program: Program, target: Target) -> KernelCode:
    """A copy of the triangle, row by row, with zeros beside it."""
    draft = Draft(instr, program, target, instr.ins[:1])
    op, x, goal = instr.op, draft.buffers[1], draft.result
    shift = 0 if op.k is None else int(constant_of(program, op.k).reshape(()))
    *batch, rows, columns = x.type.dims
    rank = len(batch)
    if rows > TRIANGLE_ROWS:
        raise Unsupported("a triangle of so many rows")
    lead = tuple(along(a) for a in range(rank))
    for row in range(rows):
        edge = min(max(row + shift, 0), columns) if op.upper else min(max(row + shift + 1, 0), columns)
        for first, last, kept in ((0, edge, not op.upper), (edge, columns, op.upper)):
            axes = (*lead, along(rank, 1, row), along(rank + 1, 1, first))
            extents = (*batch, 1, last - first)
            if kept:
                move(draft, extents, (0, Access(goal, axes)), (1, Access(x, axes)))
            else:
                fill(draft, extents, (0, Access(goal, axes)), 0)
    return draft.finish("copies of the triangle's rows, zeros beside them", diagonal=shift)


@kernel("range")
@supported
def range_(instr: Instr, program: Program, target: Target) -> KernelCode:
    """start + index · delta."""
    draft = Draft(instr, program, target)
    op, em, goal = instr.op, draft.em, draft.result
    elem, places = goal.type.elem, goal.type.dims
    index = Buffer("index", Type("i64", places), "weight")
    if places[0] > LONGEST_RANGE:
        raise Unsupported("a range so long")
    table = em.table(list(range(max(places[0], 1))))
    start, delta = (draft.pointers[draft.number(name)] for name in (op.start, op.delta))

    def body(lanes: Lanes) -> None:
        count = fetch(em, "i64", lanes, 1)
        value = convert(em, count, calculated_kind(elem), elem.startswith("u"))
        one = Lanes([start, delta], 1, None, (0, 0))
        first, step = (em.splat(fetch(em, elem, one, p), lanes.count) for p in (0, 1))
        put(em, elem, lanes, 0, first + value * step)

    for box in boxes(places, [direct(goal), direct(index)]):
        draft.pieces += box_pieces(em, box, [draft.pointers[0], table], [goal.type.dtype.itemsize, 8], body)
    return draft.finish("start + index · delta")
