"""A walk in rows: for every kept index all reduced indices are visited, folded, and visited again.

Vectors run along the row where its innermost loop is contiguous, else across neighbouring rows where those are,
else elements go one by one. Folds have four independent accumulators in a fixed order, so the bits of a result
depend on shapes alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Literal

from glowviz.compiler.backends.cpu.kernels.boxes import (
    Access,
    Axis,
    Box,
    Dim,
    boxes,
    chopped,
    ordered,
    strides_of,
)
from glowviz.compiler.backends.cpu.kernels.draft import Draft
from glowviz.compiler.backends.cpu.kernels.nest import Lanes, Piece, advance, tile_pointers
from glowviz.compiler.backends.cpu.values import Index, Value, lanes_of, vector_of

PARALLEL = 4
"""Accumulators: an addition takes four cycles, and one can start every cycle."""
CAREFUL = 64
"""Additions into one accumulator before it is added to an outer one: long sums keep their last bits."""
Sums = list[Value]
Step = Callable[[Sums, Lanes], Sums]
Join = Callable[[Sums, Sums], Sums]
First = Sequence[tuple[float, str]]
"""The neutral element and LLVM element kind of each accumulator."""
Mode = Literal["along", "across", "single"]


@dataclass
class Rows:
    """The walk of one kernel: operands with their accesses (the first leads), and which axes are reduced."""

    draft: Draft
    extents: Sequence[int]
    reduced_axes: frozenset[int]
    operands: Sequence[tuple[int, Access]]
    may_run_along: bool = True
    wide: int = 1
    """Vectors of neighbouring rows that are walked together, where there are as many."""

    def __post_init__(self) -> None:
        self.sizes = self.draft.sizes([p for p, _ in self.operands])
        kept = [n if v not in self.reduced_axes else 1 for v, n in enumerate(self.extents)]
        inner = [n if v in self.reduced_axes else 1 for v, n in enumerate(self.extents)]
        self.kept = [ordered(b) for b in boxes(kept, [_only(a, self.reduced_axes, False) for _, a in self.operands])]
        found = boxes(inner, [_only(a, self.reduced_axes, True) for _, a in self.operands])
        starts = [strides_of(a.buffer).base for _, a in self.operands]
        self.reduced = [
            ordered(Box(tuple(b - s for b, s in zip(box.bases, starts, strict=True)), box.dims)) for box in found
        ]
        self.count = prod(inner)

    @property
    def along(self) -> bool:
        """Every stretch of a row is contiguous or constant in every operand."""
        ends = [box.dims[-1:] for box in self.reduced]
        return self.may_run_along and bool(ends) and all(dim and self._contiguous(dim[0]) for dim in ends)

    def _contiguous(self, dim: Dim) -> bool:
        pairs = zip(dim.steps, self.sizes, strict=True)
        return dim.steps[0] == self.sizes[0] and all(step in (0, size) for step, size in pairs)

    def pieces(self, body: Callable[[Row], None]) -> list[Piece]:
        """`body` writes what happens with one row, or with a vector of neighbouring rows."""
        return [piece for box in self.kept for piece in self._box_pieces(box, body)]

    def _box_pieces(self, box: Box, body: Callable[[Row], None]) -> list[Piece]:
        if self.along:
            return [self._piece(box, "along", None, None, body)]
        lane_dims = [d for d in box.dims if self._contiguous(d)]
        if not lane_dims:
            return [self._piece(box, "single", None, None, body)]
        lanes, width = lane_dims[0], self.draft.em.lanes
        width *= self.wide if lanes.extent >= self.wide * width else 1
        rest = tuple(d for d in box.dims if d is not lanes)
        found: list[Piece] = []
        for part in chopped(Box(box.bases, (*rest, lanes)), len(rest), width):
            whole = len(part.dims) > len(rest) + 1
            if whole:
                found.append(self._piece(Box(part.bases, part.dims[:-1]), "across", part.dims[-1], None, body, width))
            else:
                width = -(-part.dims[-1].extent // self.draft.em.lanes) * self.draft.em.lanes
                mask = self.draft.em.first_lanes(part.dims[-1].extent, width)
                found.append(self._piece(Box(part.bases, part.dims[:-1]), "across", part.dims[-1], mask, body, width))
        return found

    def _piece(
        self, box: Box, mode: Mode, lanes: Dim | None, mask: Value | None, body: Callable[[Row], None], width: int = 0
    ) -> Piece:
        em = self.draft.em

        def emit(tile: Index) -> None:
            bases = zip(self.operands, box.bases, strict=True)
            here = [em.offset(self.draft.pointers[p], base) for (p, _), base in bases]
            body(Row(self, tile_pointers(em, box.dims, here, tile), mode, lanes, mask, width or em.lanes))

        return Piece(prod(d.extent for d in box.dims), emit)


def _only(access: Access, reduced: frozenset[int], inside: bool) -> Access:
    """The access with only its reduced (inside) or only its kept terms; the offset stays with the kept ones."""
    axes = tuple(
        Axis(0 if inside else axis.offset, tuple(t for t in axis.terms if (t[0] in reduced) == inside))
        for axis in access.axes
    )
    return Access(access.buffer, axes)


@dataclass
class Row:
    """One row, or a vector of neighbouring ones. Operands are numbered as in Rows.operands."""

    rows: Rows
    pointers: list[Value]
    mode: Mode
    lanes: Dim | None
    mask: Value | None
    across: int
    """Neighbouring rows that are walked together."""

    @property
    def width(self) -> int:
        """Lanes of an accumulator."""
        return 1 if self.mode == "single" else self.across

    def one(self) -> Lanes:
        """What belongs to the row as a whole: its results."""
        if self.lanes is None:
            return Lanes(self.pointers, 1, None, (0,) * len(self.pointers))
        return Lanes(self.pointers, self.width, self.mask, self.lanes.steps)

    def spread(self, value: Value, lanes: Lanes) -> Value:
        """A number of the row for every lane."""
        return self.rows.draft.em.splat(value, lanes.count) if lanes_of(value.type) < lanes.count else value

    def fold(self, first: First, step: Step, join: Join, careful: bool = False) -> Sums:
        """Fold all elements: `step` takes lanes into accumulators, `join` adds accumulators up.

        `careful` sums in blocks. Gives scalars along a row, vectors across rows.
        """
        sums = self._fresh(first)
        folding = _Folding(self, first, step, join, careful)
        for box in self.rows.reduced:
            here = [self.rows.draft.em.offset(p, b) for p, b in zip(self.pointers, box.bases, strict=True)]
            sums = folding.level(box.dims, here, sums)
        return self._joined_lanes(sums, join) if self.mode == "along" else sums

    def _fresh(self, first: First) -> Sums:
        em = self.rows.draft.em
        return [em.constant(number, vector_of(kind, self.width)) for number, kind in first]

    def _joined_lanes(self, sums: Sums, join: Join) -> Sums:
        em, width = self.rows.draft.em, self.width
        while width > 1:
            width //= 2
            halves = [
                [em.shuffle(s, s, range(start, start + width)) if width > 1 else em.lane(s, start) for s in sums]
                for start in (0, width)
            ]
            sums = join(*halves)
        return sums

    def walk(self, body: Callable[[Lanes], None]) -> None:
        """Visit every element of the row."""
        for box in self.rows.reduced:
            here = [self.rows.draft.em.offset(p, b) for p, b in zip(self.pointers, box.bases, strict=True)]
            self._walk(box.dims, here, body)

    def _walk(self, dims: Sequence[Dim], pointers: list[Value], body: Callable[[Lanes], None]) -> None:
        em = self.rows.draft.em
        if not dims:
            body(self.at(pointers))
        elif len(dims) > 1 or self.mode != "along":
            with em.loop(0, dims[0].extent) as loop:
                self._walk(dims[1:], advance(em, pointers, dims[0].steps, loop.index), body)
        else:
            dim, whole = dims[0], dims[0].extent // em.lanes * em.lanes
            if whole:
                with em.loop(0, whole, em.lanes) as loop:
                    body(self.at(advance(em, pointers, dim.steps, loop.index), dim))
            if whole < dim.extent:
                mask = em.first_lanes(dim.extent - whole, em.lanes)
                body(self.at(advance(em, pointers, dim.steps, whole), dim, mask))

    def at(self, pointers: list[Value], dim: Dim | None = None, mask: Value | None = None) -> Lanes:
        """The lanes of a place inside the row; `dim` is the loop that vectors run along."""
        if self.mode == "along" and dim is not None:
            return Lanes(pointers, self.width, mask, dim.steps)
        if self.lanes is None:
            return Lanes(pointers, 1, None, (0,) * len(pointers))
        return Lanes(pointers, self.width, self.mask, self.lanes.steps)


@dataclass
class _Folding:
    """The loops of one fold."""

    row: Row
    first: First
    step: Step
    join: Join
    careful: bool

    def level(self, dims: Sequence[Dim], pointers: list[Value], sums: Sums) -> Sums:
        """The sums after all loops from here inwards."""
        if not dims:
            return self.step(sums, self.row.at(pointers))
        if len(dims) == 1:
            return self._last(dims[0], pointers, sums)
        em = self.row.rows.draft.em
        with em.loop(0, dims[0].extent, carry=sums) as loop:
            here = advance(em, pointers, dims[0].steps, loop.index)
            inner = partial(self.level, dims[1:], here)
            loop.next = self._apart(loop.carry, inner) if self.careful else inner(loop.carry)
        return loop.results

    def _apart(self, sums: Sums, inner: Callable[[Sums], Sums]) -> Sums:
        return self.join(sums, inner(self.row._fresh(self.first)))

    def _last(self, dim: Dim, pointers: list[Value], sums: Sums) -> Sums:
        em, unit = self.row.rows.draft.em, self.row.width if self.row.mode == "along" else 1
        block = unit * PARALLEL
        if self.careful and dim.extent > CAREFUL * block:
            return self._blocks(dim, pointers, sums, CAREFUL * block)
        whole = dim.extent // block * block
        if whole:
            sums = self._parallel(dim, pointers, sums, whole, unit)
        for at in range(whole, dim.extent, unit):
            here = advance(em, pointers, dim.steps, at)
            if at + unit <= dim.extent:
                sums = self.step(sums, self.row.at(here, dim))
            else:
                mask = em.first_lanes(dim.extent - at, unit)
                new = self.step(sums, self.row.at(here, dim, mask))
                sums = [em.select(mask, n, s) for n, s in zip(new, sums, strict=True)]
        return sums

    def _blocks(self, dim: Dim, pointers: list[Value], sums: Sums, size: int) -> Sums:
        em, whole = self.row.rows.draft.em, dim.extent // size * size
        with em.loop(0, whole, size, carry=sums) as loop:
            here = advance(em, pointers, dim.steps, loop.index)
            loop.next = self._apart(loop.carry, partial(self._last, Dim(size, dim.steps), here))
        sums = loop.results
        if whole < dim.extent:
            here = advance(em, pointers, dim.steps, whole)
            sums = self._apart(sums, partial(self._last, Dim(dim.extent - whole, dim.steps), here))
        return sums

    def _parallel(self, dim: Dim, pointers: list[Value], sums: Sums, whole: int, unit: int) -> Sums:
        em, each = self.row.rows.draft.em, len(sums)
        fresh = [v for _ in range(PARALLEL - 1) for v in self.row._fresh(self.first)]
        with em.loop(0, whole, unit * PARALLEL, carry=[*sums, *fresh]) as loop:
            for n in range(PARALLEL):
                here = advance(em, pointers, dim.steps, loop.index + n * unit)
                loop.next += self.step(loop.carry[n * each : (n + 1) * each], self.row.at(here, dim))
        parts = [loop.results[n * each : (n + 1) * each] for n in range(PARALLEL)]
        return self.join(self.join(parts[0], parts[1]), self.join(parts[2], parts[3]))
