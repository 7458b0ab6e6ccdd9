"""Elements found through run-time indices; an index outside its axis is never followed, but reported."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from glowviz.compiler.backends.cpu.kernels.boxes import (
    Access,
    Axis,
    Box,
    Dim,
    Unsupported,
    boxes,
    direct,
    ordered,
    strides_of,
)
from glowviz.compiler.backends.cpu.kernels.draft import STATUS, Draft, load_raw, raw_kind, store_raw, supported
from glowviz.compiler.backends.cpu.kernels.elements import convert, memory_kind
from glowviz.compiler.backends.cpu.kernels.nest import Lanes, Piece, advance, split_box, tile_pointers, walk
from glowviz.compiler.backends.cpu.registry import KernelCode, kernel
from glowviz.compiler.backends.cpu.values import Index, Value
from glowviz.compiler.program import Instr, Program
from glowviz.compiler.target import Target

GOAL, SOURCE, PLACE = range(3)
UNROLL = 8


@kernel("gather", "gather_elements")
@supported
def gather(instr: Instr, program: Program, target: Target) -> KernelCode:
    """Copies what each index names: whole runs behind the axis for Gather, single elements for GatherElements."""
    op = instr.op
    x, indices = program.buffers[op.x], program.buffers[op.indices]
    draft = Draft(instr, program, target)
    goal, axis = draft.result, op.axis % x.type.rank
    if strides_of(x).tile[axis] != 1 or not x.type.dims[axis]:
        raise Unsupported("indices into a tiled or empty axis")
    if instr.name == "gather":
        count, rank = indices.type.rank, x.type.rank
        source = tuple(
            Axis() if a == axis else Axis(0, ((a if a < axis else a + count - 1, 1),)) for a in range(rank)
        )
        place = Access(indices, tuple(Axis(0, ((axis + a, 1),)) for a in range(count)))
    else:
        source = tuple(Axis() if a == axis else Axis(0, ((a, 1),)) for a in range(x.type.rank))
        place = direct(indices)
    numbers = [0, draft.number(op.x), draft.number(op.indices)]
    status = draft.add_operand(STATUS)
    look = _Lookup(draft, numbers, strides_of(x).outer[axis], x.type.dims[axis], status)
    for box in boxes(goal.type.dims, [direct(goal), Access(x, source), place]):
        draft.pieces += look.pieces(ordered(box))
    return draft.finish("one run copied per index; indices are checked", axis=axis)


class _Lookup:
    """Loops in which the index is loaded as soon as it is known, and the rest is copied from where it leads."""

    def __init__(self, draft: Draft, numbers: Sequence[int], step: int, size: int, status: Value) -> None:
        self.draft, self.step, self.size, self.status = draft, step, size, status
        self.pointers = [draft.pointers[n] for n in numbers]
        self.elem = draft.buffers[numbers[PLACE]].type.elem
        self.kind = raw_kind(draft.result)

    def pieces(self, box: Box) -> list[Piece]:
        """The split tiles of one box."""
        return [self._piece(outer, inner) for outer, inner in split_box(box)]

    def _piece(self, outer: tuple[Dim, ...], inner: Box) -> Piece:
        em = self.draft.em

        def emit(tile: Index) -> None:
            here = [em.offset(p, b) for p, b in zip(self.pointers, inner.bases, strict=True)]
            self._level(inner.dims, tile_pointers(em, outer, here, tile))

        return Piece(prod(d.extent for d in outer), emit)

    def _level(self, dims: Sequence[Dim], here: list[Value]) -> None:
        em = self.draft.em
        if len(dims) == 1 and dims[0].steps[PLACE]:
            self._singles(dims[0], here)
            return
        if any(d.steps[PLACE] for d in dims):
            with em.loop(0, dims[0].extent) as loop:
                self._level(dims[1:], advance(em, here, dims[0].steps, loop.index))
            return
        moved = [here[GOAL], em.offset(here[SOURCE], self._index(here[PLACE]) * self.step)]
        loops = [Dim(d.extent, d.steps[:PLACE]) for d in dims]
        size = self.draft.result.type.dtype.itemsize
        walk(em, loops, moved, [size, size], self._copy)

    def _singles(self, dim: Dim, here: list[Value]) -> None:
        """Single elements; whether any index was wrong is told once, behind the loop."""
        em, whole = self.draft.em, dim.extent // UNROLL * UNROLL

        def one(at: Index, wrong: Value) -> Value:
            goal, source, place = advance(em, here, dim.steps, at)
            index, bad = self._looked_up(place)
            element = em.load(em.offset(source, index * self.step), self.kind)
            em.store(element, goal)
            return wrong | bad

        wrong = em.constant(False, "i1")
        for low, high, step in ((0, whole, UNROLL), (whole, dim.extent, 1)):
            if low == high:
                continue
            with em.loop(low, high, step, carry=[wrong]) as loop:
                loop.next = [loop.carry[0]]
                for n in range(step):
                    loop.next = [one(loop.index + n, loop.next[0])]
            wrong = loop.results[0]
        self._report(wrong)

    def _index(self, pointer: Value) -> Value:
        index, wrong = self._looked_up(pointer)
        self._report(wrong)
        return index

    def _report(self, wrong: Value) -> None:
        with self.draft.em.when(wrong):
            self.draft.em.store(self.draft.em.constant(1, "i64"), self.status)

    def _looked_up(self, pointer: Value) -> tuple[Value, Value]:
        """The index there, counted from the front, 0 where it is outside; and whether it is."""
        em = self.draft.em
        index = convert(em, em.load(pointer, memory_kind(self.elem, em.target)), "i64")
        index = em.select(index < 0, index + self.size, index)
        wrong = Value(em, index.text, index.type, True) >= self.size  # unsigned: negative ones are large
        return em.select(wrong, index.match(0), index), wrong

    def _copy(self, lanes: Lanes) -> None:
        store_raw(self.draft.em, lanes, 0, load_raw(self.draft.em, lanes, 1, self.kind))
