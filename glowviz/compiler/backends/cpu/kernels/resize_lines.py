"""Nearest resampling of row-major maps line by line: each vector of a line is one load and one fixed shuffle."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from glowviz.compiler.backends.cpu.kernels.boxes import Unsupported
from glowviz.compiler.backends.cpu.kernels.cells import Cells, Tensor
from glowviz.compiler.backends.cpu.kernels.draft import raw_kind
from glowviz.compiler.backends.cpu.values import Index, Value, vector_of

LONGEST = 1024
"""Elements of a line, which are written out one vector after the other."""
WIDEST = 64
"""Neighbours of x that one vector of the result may come from."""


def nearest_lines(cells: Cells, x: Tensor, places: Mapping[int, np.ndarray]) -> None:
    """Writes the kernel; `places` has for every resampled axis where each result index comes from."""
    goal, em = cells.result_tensor(), cells.em
    last = len(goal.dims) - 1
    plain = all(t.buffer.type.order is None and t.buffer.halo is None for t in (x, goal))
    if not plain or last not in places or goal.dims[last] > LONGEST or 0 in goal.dims:
        raise Unsupported("lines in blocks, or so long, or that stay as they are")
    cuts = [_cut(places[last][n : n + em.lanes], x.dims[last]) for n in range(0, goal.dims[last], em.lanes)]
    tables = {axis: em.table([int(n) for n in found]) for axis, found in places.items() if axis != last}
    kind, size = raw_kind(goal.buffer), goal.buffer.type.dtype.itemsize

    def line(at: list[Index]) -> None:
        origin = [
            em.load(em.offset(tables[a], index * 8), "i64") if a in tables else index for a, index in enumerate(at)
        ]
        source, result = x.address([*origin, 0]), goal.address([*at, 0])
        for number, (start, width, lanes) in enumerate(cuts):
            here = em.offset(source, start * size)
            wide = vector_of(kind, width)
            whole = start + width <= x.dims[last]
            found = em.load(here, wide) if whole else em.load_lanes(here, em.first_lanes(x.dims[last], width), wide)
            _store(cells, em.offset(result, number * em.lanes * size), found, lanes)

    cells.over(goal.dims[:-1], line, goal.dims[last])


def _cut(places: np.ndarray, size: int) -> tuple[int, int, list[int]]:
    """First element of x and how many are loaded for a vector, and which lanes become its elements."""
    first, end = int(min(places)), int(max(places)) + 1
    width = 1 << max(end - first - 1, 1).bit_length()
    if width > WIDEST:
        raise Unsupported("neighbours so far apart")
    start = max(min(first, size - width), 0)
    return start, width, [int(place) - start for place in places]


def _store(cells: Cells, here: Value, found: Value, lanes: list[int]) -> None:
    em = cells.em
    rest = [lanes[-1]] * (em.lanes - len(lanes))
    value = em.shuffle(found, found, [*lanes, *rest])
    if rest:
        em.store_lanes(value, here, em.first_lanes(len(lanes), em.lanes))
    else:
        em.store(value, here)
