"""Channels are dealt out anew inside their blocks: a vector of the result is gathered from the blocks it comes from."""

from __future__ import annotations

from functools import partial

from glowviz.compiler.backends.cpu.emitter import Emitter
from glowviz.compiler.backends.cpu.kernels.boxes import Access, Axis, Unsupported
from glowviz.compiler.backends.cpu.kernels.draft import Draft, supported
from glowviz.compiler.backends.cpu.kernels.geometry import Map
from glowviz.compiler.backends.cpu.kernels.movement import along
from glowviz.compiler.backends.cpu.kernels.moves import move
from glowviz.compiler.backends.cpu.kernels.nest import Piece
from glowviz.compiler.backends.cpu.maps import map_of
from glowviz.compiler.backends.cpu.registry import KernelCode, kernel
from glowviz.compiler.backends.cpu.values import Index, Value
from glowviz.compiler.program import Instr, Program
from glowviz.compiler.target import Target

PIXELS = 4
"""Pixels of a row whose vectors are gathered together, so that their loads overlap."""
SPARE = -1
"""The number of no block: lanes that stand for no channel are zero."""


@kernel("channel_shuffle")
@supported
def channel_shuffle(instr: Instr, program: Program, target: Target) -> KernelCode:
    """Channel i · group + g of the result is channel g · (C / group) + i of x."""
    draft, group = Draft(instr, program, target), instr.op.group
    goal, source = draft.result, draft.buffers[1]
    if goal.type.order is None and source.type.order is None:
        _in_rows(draft, group)
        return draft.finish("whole planes are copied", group=group)
    maps = map_of(goal, target.vector_width), map_of(source, target.vector_width)
    if any(m.block == 1 for m in maps):
        raise Unsupported("one side in blocks, the other row-major")
    for block in range(maps[0].blocks):
        rows = maps[0].batch * maps[0].height
        draft.pieces.append(Piece(rows, partial(_row, draft, maps, block)))
    return draft.finish("vectors gathered in registers from the blocks they come from", group=group)


def origins(channels: Map, group: int, block: int) -> list[tuple[int, int] | None]:
    """(block, lane) in the source for every lane of a block of the result; None for spare lanes."""
    each, width = channels.channels // group, channels.block
    found: list[tuple[int, int] | None] = []
    for channel in range(block * width, (block + 1) * width):
        place, number = divmod(channel, group)
        found.append(divmod(number * each + place, width) if channel < channels.channels else None)
    return found


def _in_rows(draft: Draft, group: int) -> None:
    goal, source = draft.result, draft.buffers[1]
    n, c, *spatial = goal.type.dims
    rest = tuple(along(a + 3) for a in range(len(spatial)))
    here = Access(goal, (along(0), Axis(0, ((1, group), (2, 1))), *rest))
    there = Access(source, (along(0), Axis(0, ((2, c // group), (1, 1))), *rest))
    move(draft, (n, c // group, group, *spatial), (0, here), (1, there))


def _row(draft: Draft, maps: tuple[Map, Map], block: int, tile: Index) -> None:
    """One row of one block of the result."""
    em, (goal, source) = draft.em, maps
    image, y = em.divide(tile, goal.height), em.remainder(tile, goal.height)
    there = em.offset(draft.pointers[0], image * goal.image + y * goal.row + goal.origin + block * goal.plane)
    here = em.offset(draft.pointers[1], image * source.image + y * source.row + source.origin)
    wanted = origins(goal, draft.instr.op.group, block)
    whole = goal.width // PIXELS * PIXELS
    if whole:
        with em.loop(0, whole, PIXELS) as loop:
            for n in range(PIXELS):
                _pixel(em, maps, wanted, there, here, loop.index + n)
    for n in range(whole, goal.width):
        _pixel(em, maps, wanted, there, here, n)


def _pixel(
    em: Emitter, maps: tuple[Map, Map], wanted: list[tuple[int, int] | None], there: Value, here: Value, x: Index
) -> None:
    goal, source = maps
    pixel = em.offset(here, x * source.pixel)
    blocks = dict.fromkeys(place[0] for place in wanted if place is not None)
    vectors = {block: em.load(em.offset(pixel, block * source.plane)) for block in blocks}
    em.store(gathered(em, vectors, wanted), em.offset(there, x * goal.pixel))


def gathered(em: Emitter, vectors: dict[int, Value], wanted: list[tuple[int, int] | None]) -> Value:
    """The wanted (vector, lane) of every lane, 0 for None: one shuffle for each vector after the first."""
    places = [(SPARE, 0) if place is None else place for place in wanted]
    sources = {SPARE: em.zeros(), **vectors} if None in wanted else vectors
    first, *others = sources
    made = sources[first]
    settled = False
    for number in others or [first]:
        lanes = [
            len(places) + lane if source == number else n if settled else lane
            for n, (source, lane) in enumerate(places)
        ]
        made, settled = em.shuffle(made, sources[number], lanes), True
    return made
