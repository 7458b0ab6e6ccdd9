"""Resampling: every result element is a weighted sum of neighbours whose places are tables beside the code."""

from __future__ import annotations

import struct
from contextlib import suppress
from functools import partial
from itertools import product

import numpy as np

from glowviz.compiler.backends.cpu.kernels.boxes import Access, Axis, Unsupported, boxes, direct, strides_of
from glowviz.compiler.backends.cpu.kernels.cells import Cells
from glowviz.compiler.backends.cpu.kernels.draft import (
    Draft,
    constant_of,
    load_raw,
    raw_kind,
    store_raw,
    supported,
)
from glowviz.compiler.backends.cpu.kernels.elements import fetch, put
from glowviz.compiler.backends.cpu.kernels.nest import Lanes, box_pieces
from glowviz.compiler.backends.cpu.kernels.resize_lines import nearest_lines
from glowviz.compiler.backends.cpu.registry import KernelCode, kernel
from glowviz.compiler.backends.cpu.values import Value
from glowviz.compiler.program import Buffer, Instr, Program
from glowviz.compiler.target import Target
from glowviz.compiler.types import Type

MOST_TAPS = 16
NO_VECTOR = -1
"""Element size of a table: never equal to a step, so no vector loop runs along a resampled axis."""


@kernel("resize")
@supported
def resize(instr: Instr, program: Program, target: Target) -> KernelCode:
    """One visit of the result; resampled axes go element by element, all others in vectors where contiguous."""
    op = instr.op
    draft = Draft(instr, program, target, instr.ins[:1])
    x, goal = draft.buffers[1], draft.result
    contents = [None if o is None else constant_of(program, o) for o in (op.roi, op.scales, op.sizes)]
    grid = op.grid(x.type.dims, *contents)
    axes = op.changed_axes(x.type.dims, grid)
    found = {axis: op.taps_of(grid, axis, x.type.dims[axis]) for axis in axes}
    taps = int(np.prod([t.places.shape[1] for t in found.values()]))
    if taps > MOST_TAPS or any(t.outside.any() for t in found.values()):
        raise Unsupported("that many neighbours, or some outside")
    weighted = any(t.weights is not None for t in found.values())
    if weighted and not x.type.is_float:
        raise Unsupported("weights on integers")
    if not weighted and x.type.order is None:
        with suppress(Unsupported):
            cells = Cells(instr, program, target, instr.ins[:1])
            nearest_lines(cells, cells.tensor(op.x), {axis: t.places[:, 0] for axis, t in found.items()})
            return cells.finish("nearest: a load and a shuffle for each vector of a line", axes=axes)
    strides = strides_of(x)
    if any(strides.tile[a] != 1 for a in axes):
        raise Unsupported("a resampled axis that is tiled")
    origin = Access(x, tuple(Axis() if a in axes else Axis(0, ((a, 1),)) for a in range(x.type.rank)))
    accesses, pointers, sizes = [direct(goal), origin], list(draft.pointers), draft.sizes([0, 1])
    for axis in axes:
        places = found[axis].places * strides.outer[axis]
        weights = found[axis].weights if weighted else None
        table = _table(draft, places, weights)
        accesses.append(Access(_fake(places.shape[0], 2 * places.shape[1]), (Axis(0, ((axis, 1),)), Axis())))
        pointers.append(table)
        sizes.append(NO_VECTOR)
    counts = [found[a].places.shape[1] for a in axes]
    body = partial(_weighted, draft, counts) if weighted else partial(_nearest, draft, len(axes))
    for box in boxes(goal.type.dims, accesses):
        draft.pieces += box_pieces(draft.em, box, pointers, sizes, body)
    return draft.finish(f"{op.mode}: {taps} neighbours from tables", axes=axes, taps=taps)


def _fake(rows: int, columns: int) -> Buffer:
    return Buffer("table", Type("i64", (rows, columns)), "weight")


def _table(draft: Draft, places: np.ndarray, weights: np.ndarray | None) -> Value:
    """For every result index its byte offsets, each followed by its weight (as the bits of a double)."""
    numbers: list[int] = []
    for row in range(places.shape[0]):
        for tap in range(places.shape[1]):
            weight = 1.0 if weights is None else float(weights[row, tap])
            numbers += [int(places[row, tap]), struct.unpack("<q", struct.pack("<d", weight))[0]]
    return draft.em.table(numbers)


def _nearest(draft: Draft, axes: int, lanes: Lanes) -> None:
    em, source = draft.em, lanes.pointers[1]
    for n in range(axes):
        source = em.offset(source, em.load(lanes.pointers[2 + n], "i64"))
    here = Lanes([lanes.pointers[0], source], lanes.count, lanes.mask, lanes.steps[:2])
    store_raw(em, here, 0, load_raw(em, here, 1, raw_kind(draft.result)))


def _weighted(draft: Draft, counts: list[int], lanes: Lanes) -> None:
    em, elem = draft.em, draft.result.type.elem
    total: Value | None = None
    for chosen in product(*(range(n) for n in counts)):
        source, weight = lanes.pointers[1], None
        for axis, tap in enumerate(chosen):
            row = em.offset(lanes.pointers[2 + axis], 16 * tap)
            source = em.offset(source, em.load(row, "i64"))
            factor = em.load(em.offset(row, 8), "double")
            weight = factor if weight is None else weight * factor
        here = Lanes([lanes.pointers[0], source], lanes.count, lanes.mask, lanes.steps[:2])
        x = fetch(em, elem, here, 1)
        factor = weight if weight is None or elem == "f64" else em.convert("fptrunc", weight, "float")
        term = x if factor is None else x * em.splat(factor, lanes.count)
        total = term if total is None else total + term
    if total is not None:
        put(em, elem, lanes, 0, total)
