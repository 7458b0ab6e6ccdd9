"""Boxes become loops: split tiles outside, plain loops between, vectors along the innermost step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

from glowviz.compiler.backends.cpu.emitter import Emitter
from glowviz.compiler.backends.cpu.kernels.boxes import Box, Dim, chopped, ordered
from glowviz.compiler.backends.cpu.values import Index, Value

GRAIN = 2048
"""Elements of one split tile: enough work to be worth claiming, few enough to share out evenly."""


@dataclass
class Lanes:
    """What a body works on now: one pointer per operand, so many neighbouring elements, perhaps masked.

    `steps` are the bytes from one lane to the next per operand; 0 means that all lanes read one element.
    """

    pointers: list[Value]
    count: int
    mask: Value | None
    steps: tuple[int, ...]


Body = Callable[[Lanes], None]


@dataclass
class Piece:
    """A part of a kernel: `emit(tile)` writes the code of one of its `tiles` split tiles."""

    tiles: int
    emit: Callable[[Index], None]


def emit_pieces(em: Emitter, pieces: Sequence[Piece]) -> int:
    """Write all pieces behind each other on one tile axis; gives the number of tiles."""
    start = 0
    total = sum(piece.tiles for piece in pieces)
    for piece in pieces:
        low: Index = em.low if start == 0 else em.larger(em.low, start) - start
        end = start + piece.tiles
        high: Index = em.high if end == total else em.smaller(em.high, end)
        with em.loop(low, high - start) as loop:
            piece.emit(loop.index)
        start = end
    return total


def split_box(box: Box, grain: int = GRAIN) -> list[tuple[tuple[Dim, ...], Box]]:
    """(tile loops, the box of one tile) so that a tile has about `grain` elements."""
    inner, at = 1, len(box.dims)
    while at and inner * box.dims[at - 1].extent <= grain:
        at -= 1
        inner *= box.dims[at].extent
    if at == 0:
        return [((), box)]
    block = grain // inner
    if block <= 1:
        return [(box.dims[:at], Box(box.bases, box.dims[at:]))]
    cut = chopped(box, at - 1, block)
    found = [(cut[0].dims[:at], Box(cut[0].bases, cut[0].dims[at:]))]
    if len(cut) > 1:
        found.append((cut[1].dims[: at - 1], Box(cut[1].bases, cut[1].dims[at - 1 :])))
    return found


def box_pieces(
    em: Emitter, box: Box, pointers: Sequence[Value], sizes: Sequence[int], body: Body, unroll: int = 1
) -> list[Piece]:
    """A box in the memory order of its first operand as pieces; `sizes` are bytes of one element per operand."""
    return [
        _piece(em, outer, inner, pointers, sizes, body, unroll) for outer, inner in split_box(ordered(box))
    ]


def _piece(
    em: Emitter,
    outer: tuple[Dim, ...],
    inner: Box,
    pointers: Sequence[Value],
    sizes: Sequence[int],
    body: Body,
    unroll: int,
) -> Piece:
    def emit(tile: Index) -> None:
        here = [em.offset(p, b) for p, b in zip(pointers, inner.bases, strict=True)]
        walk(em, inner.dims, tile_pointers(em, outer, here, tile), sizes, body, unroll)

    return Piece(prod(d.extent for d in outer), emit)


def tile_pointers(em: Emitter, outer: Sequence[Dim], pointers: Sequence[Value], tile: Index) -> list[Value]:
    """Pointers moved to where split tile number `tile` of the loops `outer` begins."""
    moved = list(pointers)
    for position in range(len(outer) - 1, -1, -1):
        dim, index = outer[position], tile
        if position:
            index, tile = em.remainder(tile, dim.extent), em.divide(tile, dim.extent)
        moved = advance(em, moved, dim.steps, index)
    return moved


def advance(em: Emitter, pointers: Sequence[Value], steps: Sequence[int], index: Index) -> list[Value]:
    """Every pointer moved by index · its step."""
    return [em.offset(p, index * step) if step else p for p, step in zip(pointers, steps, strict=True)]


def walk(
    em: Emitter, dims: Sequence[Dim], pointers: Sequence[Value], sizes: Sequence[int], body: Body, unroll: int = 1
) -> None:
    """The loops `dims`, the last one in vectors where every operand has neighbouring or equal lanes."""
    if not dims:
        body(Lanes(list(pointers), 1, None, (0,) * len(pointers)))
        return
    dim = dims[0]
    if len(dims) == 1 and all(step in (0, size) for step, size in zip(dim.steps, sizes, strict=True)):
        vectors(em, dim, pointers, body, unroll)
        return
    with em.loop(0, dim.extent) as loop:
        walk(em, dims[1:], advance(em, pointers, dim.steps, loop.index), sizes, body, unroll)


def vectors(em: Emitter, dim: Dim, pointers: Sequence[Value], body: Body, unroll: int = 1) -> None:
    """One loop in whole vectors, `unroll` of them a turn, and a masked vector for the rest."""
    width = em.lanes
    block = width * unroll
    whole = dim.extent // block * block
    at = whole
    if whole:
        with em.loop(0, whole, block) as loop:
            for n in range(unroll):
                here = advance(em, pointers, dim.steps, loop.index + n * width)
                body(Lanes(here, width, None, dim.steps))
    while at < dim.extent:
        here = advance(em, pointers, dim.steps, at)
        rest = dim.extent - at
        if rest == 1:
            body(Lanes(here, 1, None, dim.steps))
        elif rest >= width:
            body(Lanes(here, width, None, dim.steps))
        else:
            body(Lanes(here, width, em.first_lanes(rest, width), dim.steps))
        at += min(rest, width)
