"""DeformConv: the moved taps of a few neighbours are read once for all features, then rows of weights pass over them.

Offsets are the same for all channels of an offset group, so places and weights of corners are found once for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

from glowviz.compiler.backends.cpu.kernels.boxes import Unsupported
from glowviz.compiler.backends.cpu.kernels.cells import Cells
from glowviz.compiler.backends.cpu.kernels.dots import Dots
from glowviz.compiler.backends.cpu.kernels.draft import supported
from glowviz.compiler.backends.cpu.kernels.elements import convert
from glowviz.compiler.backends.cpu.registry import KernelCode, kernel
from glowviz.compiler.backends.cpu.values import Index, Value, size_of
from glowviz.compiler.ops.windows import slide
from glowviz.compiler.program import Instr, Program
from glowviz.compiler.target import Target

NEIGHBOURS = 4
"""Result elements of one feature that share the weights they read."""
LINE = 64


@kernel("deform_conv")
@supported
def deform_conv(instr: Instr, program: Program, target: Target) -> KernelCode:
    """A tile is a few neighbouring places of one picture, all features."""
    walk = _Walk(Cells(instr, program, target))
    cells = walk.cells
    cells.over([walk.x.dims[0], *walk.windows.out[:-1], -(-walk.windows.out[-1] // NEIGHBOURS)], walk.tile, 1 << 20)
    return cells.finish(f"moved taps of {NEIGHBOURS} neighbours, then rows of weights over them", group=walk.op.group)


@dataclass
class Corner:
    """One of the elements around a moved tap: bytes from channel 0 of x, and its weight, 0 outside."""

    distance: Value
    weight: Value


class _Walk:
    def __init__(self, cells: Cells) -> None:
        op = cells.instr.op
        self.cells, self.em, self.op = cells, cells.em, op
        self.x, self.w, self.offset = (cells.tensor(name) for name in (op.x, op.w, op.offset))
        self.b, self.mask = (None if name is None else cells.tensor(name) for name in (op.b, op.mask))
        self.goal = cells.result_tensor()
        tensors = [t for t in (self.x, self.w, self.offset, self.mask, self.goal) if t is not None]
        if self.x.elem not in ("f32", "f64") or any(t.buffer.type.order for t in tensors):
            raise Unsupported("narrow floats, or maps in blocks")
        self.windows = slide(self.x.dims[2:], self.w.dims[2:], op.strides, op.pads, op.dilations)
        self.kind, self.size = self.x.kind, size_of(self.x.kind)
        self.taps = prod(self.windows.kernel)
        self.column = self.x.dims[1] * self.taps * self.size
        cells.scratch = -(-self.column * NEIGHBOURS // LINE) * LINE
        self.columns = self.em.offset(self.em.argument(len(cells.operands)), self.em.worker * cells.scratch)

    def tile(self, at: list[Index]) -> None:
        """The columns of the neighbours, then every feature of them; those beyond the end are the last one again."""
        em, last = self.em, self.windows.out[-1] - 1
        places = [em.index(em.smaller(at[-1] * NEIGHBOURS + n, last)) for n in range(NEIGHBOURS)]
        for n, place in enumerate(places):
            column = em.offset(self.columns, n * self.column)
            self.cells.nest(
                [self.op.offset_group, *self.windows.kernel],
                lambda t, c=column, p=place: self.read_tap([at[0], *at[1:-1], p], t[0], t[1:], c),
            )
        features = self.w.dims[0] // self.op.group
        part = self.column // self.op.group
        for group in range(self.op.group):
            vectors = [em.offset(self.columns, n * self.column + group * part) for n in range(NEIGHBOURS)]
            dots = Dots(em, self.kind, part // self.size, vectors)
            with em.loop(group * features, (group + 1) * features) as loop:
                sums = dots.of([self.w.address([loop.index, *[0] * (len(self.w.dims) - 1)])])[0]
                for place, total in zip(places, sums, strict=True):
                    value = total if self.b is None else total + self.b.read([loop.index])
                    self.goal.write([at[0], loop.index, *at[1:-1], place], value)

    def read_tap(self, at: Sequence[Index], group: Index, tap: Sequence[Index], column: Value) -> None:
        """One tap of one place for all channels of an offset group."""
        em, each = self.em, self.x.dims[1] // self.op.offset_group
        number: Index = 0
        for place, extent in zip(tap, self.windows.kernel, strict=True):
            number = number * extent + place
        row = group * self.taps + number
        corners = self.corners(at, row, tap)
        weight = None if self.mask is None else self.mask.read([at[0], row, *at[1:]])
        plane = prod(self.x.dims[2:]) * self.size
        first = self.x.address([at[0], group * each, *[0] * len(self.windows.spatial)])
        goal = em.offset(column, (group * each * self.taps + number) * self.size)
        with em.loop(0, each) as loop:
            here = em.offset(first, loop.index * plane)
            total = em.constant(0.0, self.kind)
            for corner in corners:
                total = total + em.load(em.offset(here, corner.distance), self.kind) * corner.weight
            em.store(total if weight is None else total * weight, em.offset(goal, loop.index * (self.taps * self.size)))

    def corners(self, at: Sequence[Index], row: Index, tap: Sequence[Index]) -> list[Corner]:
        """The elements around a moved tap."""
        em, w = self.em, self.windows
        sides: list[list[tuple[Value, Value]]] = []
        for a, size in enumerate(w.spatial):
            whole = em.index(at[1 + a] * w.strides[a] + tap[a] * w.dilations[a]) - w.begins[a]
            moved = self._moved(at, row, a)
            place = convert(em, whole, self.kind) + moved
            floor = em.m.floor(place)
            part, base = place - floor, convert(em, floor, "i64")
            sides.append([self._side(base, 1.0 - part, size), self._side(base + 1, part, size)])
        found: list[Corner] = []
        for chosen in product(*sides):
            distance, weight = em.constant(0, "i64"), em.constant(1.0, self.kind)
            for (place, share), size in zip(chosen, w.spatial, strict=True):
                distance, weight = distance * size + place, weight * share
            found.append(Corner(distance * self.size, weight))
        return found

    def _moved(self, at: Sequence[Index], row: Index, axis: int) -> Value:
        return self.offset.read([at[0], row * len(self.windows.spatial) + axis, *at[1:]])

    def _side(self, place: Value, share: Value, size: int) -> tuple[Value, Value]:
        good = (place >= 0) & (place < size)
        return self.em.select(good, place, place.match(0)), self.em.select(good, share, share.match(0.0))
