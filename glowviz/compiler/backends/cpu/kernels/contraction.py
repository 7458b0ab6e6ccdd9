"""Sums of products over any axes of any number of row-major tensors: the general form of convolution and MatMul.

Iteration axes are kept or summed up. Vectors run along one kept axis where the result and each factor lie side by
side (or stand still) along it; several neighbours along another kept axis share what they read. f32 convolutions
and products that packed panels fit have the fast kernels of conv.py and gemm.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import prod

from glowviz.compiler.backends.cpu.kernels.boxes import Access, Dim, Unsupported, strides_of
from glowviz.compiler.backends.cpu.kernels.draft import Draft
from glowviz.compiler.backends.cpu.kernels.elements import calculated_kind, convert, fetch, put
from glowviz.compiler.backends.cpu.kernels.nest import Lanes, Piece, advance, tile_pointers
from glowviz.compiler.backends.cpu.values import Index, Value, is_float, vector_of

ROWS = 4
"""Neighbours that share what they read: their sums hide the latency of one multiply-add."""
BLOCK = 256
"""Terms added into one sum before it goes into an outer one: long sums keep their last bits."""
SHORT = 8
Finish = Callable[[Value, Sequence[Value]], Value]


@dataclass
class Contraction:
    """result = finish(Σ over `summed` of the product of all factors, extras); accesses go by iteration axis.

    `factors` and `extras` are operand numbers with their accesses; extras may not follow summed axes.
    """

    draft: Draft
    extents: Sequence[int]
    summed: frozenset[int]
    goal: Access
    factors: Sequence[tuple[int, Access]]
    extras: Sequence[tuple[int, Access]] = ()
    finish: Finish = lambda total, extras: total
    lanes: int | None = field(init=False)
    rows: int | None = field(init=False)

    def __post_init__(self) -> None:
        operands = [(0, self.goal), *self.factors, *self.extras]
        self.numbers = [p for p, _ in operands]
        self.sizes = self.draft.sizes(self.numbers)
        found = [_steps(a, len(self.extents)) for _, a in operands]
        self.bases = tuple(base for base, _ in found)
        self.steps = [tuple(steps[v] for _, steps in found) for v in range(len(self.extents))]
        kept = [v for v, n in enumerate(self.extents) if v not in self.summed and n > 1]
        self.lanes = next((v for v in reversed(kept) if self._contiguous(v)), None)
        self.rows = next((v for v in reversed(kept) if v != self.lanes and self._shares(v)), None)
        self.outer = tuple(self._dim(v) for v in kept if v not in (self.lanes, self.rows))
        self.inner = _blocks([self._dim(v) for v in sorted(self.summed) if self.extents[v] != 1])

    def _dim(self, axis: int) -> Dim:
        return Dim(self.extents[axis], self.steps[axis])

    def _contiguous(self, axis: int) -> bool:
        pairs = zip(self.steps[axis], self.sizes, strict=True)
        return self.steps[axis][0] == self.sizes[0] and all(step in (0, size) for step, size in pairs)

    def _shares(self, axis: int) -> bool:
        return any(step == 0 for step in self.steps[axis][1 : 1 + len(self.factors)])

    # -- code ---------------------------------------------------------------------------------------
    def pieces(self) -> list[Piece]:
        """The kernel; none where the result is empty."""
        if any(n == 0 for v, n in enumerate(self.extents) if v not in self.summed):
            return []
        count = 1 if self.rows is None else self.extents[self.rows]
        whole, rest = divmod(count, ROWS)
        found: list[Piece] = []
        if whole:
            found.append(self._piece(ROWS, whole, 0))
        if rest:
            found.append(self._piece(rest, 1, whole * ROWS))
        return found

    def _piece(self, rows: int, blocks: int, first: int) -> Piece:
        row = (0,) * len(self.numbers) if self.rows is None else self.steps[self.rows]
        outer = (*self.outer, Dim(blocks, tuple(s * rows for s in row)))

        def emit(tile: Index) -> None:
            em = self.draft.em
            bases = (b + first * s for b, s in zip(self.bases, row, strict=True))
            here = [em.offset(self.draft.pointers[p], b) for p, b in zip(self.numbers, bases, strict=True)]
            self._along(tile_pointers(em, outer, here, tile), rows, row)

        return Piece(prod(d.extent for d in outer), emit)

    def _along(self, pointers: list[Value], rows: int, row: tuple[int, ...]) -> None:
        """All vectors of one tile."""
        em = self.draft.em
        if self.lanes is None:
            self._block(pointers, rows, row, Lanes([], 1, None, (0,) * len(pointers)))
            return
        dim, width = self._dim(self.lanes), em.lanes
        whole = dim.extent // width * width
        if whole:
            with em.loop(0, whole, width) as loop:
                here = advance(em, pointers, dim.steps, loop.index)
                self._block(here, rows, row, Lanes([], width, None, dim.steps))
        if whole < dim.extent:
            here = advance(em, pointers, dim.steps, whole)
            mask = em.first_lanes(dim.extent - whole, width)
            self._block(here, rows, row, Lanes([], width, mask, dim.steps))

    def _block(self, pointers: list[Value], rows: int, row: tuple[int, ...], lanes: Lanes) -> None:
        """The sums of `rows` neighbours, finished and stored."""
        elem = self.draft.result.type.elem
        fresh = partial(self._zeros, rows, lanes.count)
        sums = self._sum(self.inner, pointers, fresh(), (row, lanes), fresh)
        for r, total in enumerate(sums):
            here = advance(self.draft.em, pointers, row, r)
            at = Lanes(here, lanes.count, lanes.mask, lanes.steps)
            start = 1 + len(self.factors)
            extras = [self._load(start + n, at) for n in range(len(self.extras))]
            put(self.draft.em, elem, at, 0, self.finish(total, extras))

    def _zeros(self, rows: int, count: int) -> list[Value]:
        elem = self.draft.result.type.elem
        zero = self.draft.em.constant(0, vector_of(calculated_kind(elem), count), elem.startswith("u"))
        return [zero] * rows

    def _load(self, operand: int, lanes: Lanes) -> Value:
        """An operand in the kind that the result is calculated with."""
        em, goal = self.draft.em, self.draft.result.type.elem
        elem = self.draft.buffers[self.numbers[operand]].type.elem
        return convert(em, fetch(em, elem, lanes, operand), calculated_kind(goal), goal.startswith("u"))

    def _sum(
        self, dims: Sequence[Dim], pointers: list[Value], sums: list[Value],
        at: tuple[tuple[int, ...], Lanes], fresh: Callable[[], list[Value]],
    ) -> list[Value]:  # fmt: skip
        em = self.draft.em
        if any(n == 0 for v, n in enumerate(self.extents) if v in self.summed):
            return sums
        if not dims:
            return self._terms(pointers, sums, at)
        apart = len(dims) > 1 and prod(d.extent for d in dims[1:]) >= SHORT
        with em.loop(0, dims[0].extent, carry=sums) as loop:
            here = advance(em, pointers, dims[0].steps, loop.index)
            if apart:
                parts = self._sum(dims[1:], here, fresh(), at, fresh)
                loop.next = [s + p for s, p in zip(loop.carry, parts, strict=True)]
            else:
                loop.next = self._sum(dims[1:], here, loop.carry, at, fresh)
        return loop.results

    def _terms(self, pointers: list[Value], sums: list[Value], at: tuple[tuple[int, ...], Lanes]) -> list[Value]:
        """One more product for every row."""
        row, lanes = at
        em, found, shared = self.draft.em, [], {}
        for r, total in enumerate(sums):
            here = Lanes(advance(em, pointers, row, r), lanes.count, lanes.mask, lanes.steps)
            loaded: list[Value] = []
            for operand in range(1, 1 + len(self.factors)):
                if row[operand] == 0 and operand in shared:
                    loaded.append(shared[operand])
                else:
                    loaded.append(shared.setdefault(operand, self._load(operand, here)))
                    if row[operand]:
                        del shared[operand]
            found.append(self._added(total, loaded))
        return found

    def _added(self, total: Value, factors: list[Value]) -> Value:
        *others, last = factors
        if not others:
            return total + last
        product = others[0]
        for other in others[1:]:
            product = product * other
        return self.draft.em.fma(product, last, total) if is_float(total.type) else total + product * last


def _steps(access: Access, rank: int) -> tuple[int, list[int]]:
    """First byte and bytes per iteration index; Unsupported where blocks of an order are in the way."""
    strides = strides_of(access.buffer)
    if any(n != 1 for n in strides.tile):
        raise Unsupported(f"%{access.buffer.name} lies in blocks")
    base, steps = strides.base, [0] * rank
    for axis, step in zip(access.axes, strides.outer, strict=True):
        base += axis.offset * step
        for v, coefficient in axis.terms:
            steps[v] += coefficient * step
    return base, steps


def _blocks(dims: Sequence[Dim]) -> list[Dim]:
    """The summed loops; a long innermost one is cut where it divides, so that its sum goes through inner ones."""
    found = list(dims)
    if found and found[-1].extent > BLOCK:
        long = found.pop()
        size = next((n for n in range(BLOCK, 15, -1) if long.extent % n == 0), None)
        if size is None:
            return [*found, long]
        found += [Dim(long.extent // size, tuple(s * size for s in long.steps)), Dim(size, long.steps)]
    return found
