"""Elements go from one place to another: whole vectors where both sides are contiguous, else square blocks turned."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import prod

from glowviz.compiler.backends.cpu.kernels.boxes import Access, Box, Dim, boxes, chopped, ordered
from glowviz.compiler.backends.cpu.kernels.draft import Draft, load_raw, raw_kind, store_raw
from glowviz.compiler.backends.cpu.kernels.elements import calculated_kind, put
from glowviz.compiler.backends.cpu.kernels.nest import (
    Lanes,
    Piece,
    advance,
    box_pieces,
    tile_pointers,
)
from glowviz.compiler.backends.cpu.values import Index, Value, vector_of

LEAST_TURN = 4
"""Extent from which turning square blocks beats moving single elements."""


def move(draft: Draft, extents: Sequence[int], goal: tuple[int, Access], source: tuple[int, Access]) -> None:
    """Copy source to goal (operand numbers with their accesses) over an iteration space."""
    for box in boxes(extents, [goal[1], source[1]]):
        draft.pieces += move_box(draft, box, goal[0], source[0])


def move_box(draft: Draft, box: Box, goal: int, source: int) -> list[Piece]:
    """The pieces of one box of a copy."""
    size = draft.buffers[goal].type.dtype.itemsize
    pointers = [draft.pointers[goal], draft.pointers[source]]
    box = ordered(box)
    turned = _turned(box, size)
    if turned is not None:
        return _turn_pieces(draft, turned, pointers, raw_kind(draft.buffers[goal]))
    return box_pieces(draft.em, box, pointers, [size, size], partial(_copy, draft, goal), 4)


def fill(draft: Draft, extents: Sequence[int], goal: tuple[int, Access], number: float) -> None:
    """One number everywhere the access reaches."""
    elem = draft.buffers[goal[0]].type.elem
    em = draft.em

    def body(lanes: Lanes) -> None:
        put(em, elem, lanes, 0, em.constant(number, vector_of(calculated_kind(elem), lanes.count)))

    for box in boxes(extents, [goal[1]]):
        draft.pieces += box_pieces(em, box, [draft.pointers[goal[0]]], draft.sizes([goal[0]]), body, 4)


def _copy(draft: Draft, goal: int, lanes: Lanes) -> None:
    store_raw(draft.em, lanes, 0, load_raw(draft.em, lanes, 1, raw_kind(draft.buffers[goal])))


def _turned(box: Box, size: int) -> Box | None:
    """The box with its source-contiguous loop second to last, its goal-contiguous loop last; None if no such pair."""
    dims = box.dims
    if len(dims) < 2 or dims[-1].steps[0] != size or dims[-1].steps[1] in (0, size):
        return None
    found = [d for d in dims[:-1] if d.steps[1] == size and d.extent >= LEAST_TURN]
    if not found or dims[-1].extent < LEAST_TURN:
        return None
    rest = tuple(d for d in dims[:-1] if d is not found[0])
    return Box(box.bases, (*rest, found[0], dims[-1]))


def _turn_pieces(draft: Draft, box: Box, pointers: Sequence[Value], kind: str) -> list[Piece]:
    side = _side(draft, box, kind)
    pieces: list[Piece] = []
    for part in chopped(box, len(box.dims) - 2, side):
        columns = part.dims[-2].extent
        outer = part.dims[:-2]
        emit = partial(_turn_tile, draft, part, pointers, kind, side, columns)
        pieces.append(Piece(prod(d.extent for d in outer), emit))
    return pieces


def _side(draft: Draft, box: Box, kind: str) -> int:
    # half as many lanes of twice the size; never wider than what there is to turn
    side = max(draft.em.lanes * 32 // max(int(kind[1:]), 32), 2)
    while side > 4 and side >= 2 * min(box.dims[-1].extent, box.dims[-2].extent):
        side //= 2
    return side


def _turn_tile(
    draft: Draft, box: Box, pointers: Sequence[Value], kind: str, side: int, columns: int, tile: Index
) -> None:
    """All rows of one stretch of `columns` columns, in blocks of `side` rows."""
    em, rows = draft.em, box.dims[-1]
    here = [em.offset(p, b) for p, b in zip(pointers, box.bases, strict=True)]
    here = tile_pointers(em, box.dims[:-2], here, tile)
    whole = rows.extent // side * side
    if whole:
        with em.loop(0, whole, side) as loop:
            block = advance(em, here, rows.steps, loop.index)
            _turn_block(draft, block, box.dims[-2], rows, kind, side, (side, columns))
    if whole < rows.extent:
        block = advance(em, here, rows.steps, whole)
        _turn_block(draft, block, box.dims[-2], rows, kind, side, (rows.extent - whole, columns))


def _turn_block(
    draft: Draft, pointers: Sequence[Value], column: Dim, row: Dim, kind: str, side: int, size: tuple[int, int]
) -> None:
    """`size` = rows, columns that exist of one square block: read along columns, written along rows."""
    em, wide = draft.em, vector_of(kind, side)
    rows, columns = size
    vectors: list[Value] = []
    for r in range(side):
        if r >= rows:
            vectors.append(em.zeros(wide))
            continue
        at = em.offset(pointers[1], r * row.steps[1])
        mask = None if columns == side else em.first_lanes(columns, side)
        vectors.append(em.load(at, wide) if mask is None else em.load_lanes(at, mask, wide))
    for c, vector in enumerate(turn(draft, vectors)[:columns]):
        at = em.offset(pointers[0], c * column.steps[0])
        if rows == side:
            em.store(vector, at)
        else:
            em.store_lanes(vector, at, em.first_lanes(rows, side))


def turn(draft: Draft, rows: list[Value]) -> list[Value]:
    """The transpose of a square of registers: in each round pairs of rows swap one bit of row and lane number."""
    em, side, bit = draft.em, len(rows), 1
    while bit < side:
        low = [n if not n & bit else side + n - bit for n in range(side)]
        high = [n + bit if not n & bit else side + n for n in range(side)]
        swapped = list(rows)
        for r in range(side):
            if not r & bit:
                swapped[r] = em.shuffle(rows[r], rows[r + bit], low)
                swapped[r + bit] = em.shuffle(rows[r], rows[r + bit], high)
        rows, bit = swapped, 2 * bit
    return rows
