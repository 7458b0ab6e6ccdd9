"""Kernels that find their elements by arithmetic: tensors are read and written at places known only at run time.

Any memory order, any element kind, one element after the other: what is rare, or moves irregularly, is written in
these words. What real models spend time in has kernels of its own beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import prod

from glowviz.compiler.backends.cpu.kernels.boxes import Dim, boxes, direct, ordered, strides_of
from glowviz.compiler.backends.cpu.kernels.draft import STATUS, Draft, load_raw, raw_kind, store_raw
from glowviz.compiler.backends.cpu.kernels.elements import (
    calculated_kind,
    convert,
    memory_kind,
    narrow,
    widen,
)
from glowviz.compiler.backends.cpu.kernels.nest import Lanes, Piece, walk
from glowviz.compiler.backends.cpu.values import Index, Value
from glowviz.compiler.program import Buffer, Instr, Program
from glowviz.compiler.target import Target

GRAIN = 1024
"""Units of work of one split tile."""
Places = Sequence[Index]
Body = Callable[[list[Index]], None]


class Tensor:
    """One operand of a Cells draft. Places are one index per logical axis; nobody checks that they are inside."""

    def __init__(self, cells: Cells, buffer: Buffer, pointer: Value) -> None:
        self.em, self.buffer, self.pointer = cells.em, buffer, pointer
        self.strides, self.dims, self.elem = strides_of(buffer), buffer.type.dims, buffer.type.elem

    @property
    def kind(self) -> str:
        """The LLVM type its elements are calculated with."""
        return calculated_kind(self.elem)

    def address(self, places: Places) -> Value:
        """Where the element lies."""
        distance: Index = self.strides.base
        for axis, place in enumerate(places):
            tile, outer = self.strides.tile[axis], self.strides.outer[axis]
            if tile == 1:
                distance = distance + place * outer
            else:
                inner = self.em.remainder(place, tile) * self.strides.inner[axis]
                distance = distance + self.em.divide(place, tile) * outer + inner
        return self.em.offset(self.pointer, distance)

    def read(self, places: Places) -> Value:
        """The element, ready to calculate with."""
        return self.read_at(self.address(places))

    def read_at(self, address: Value) -> Value:
        """The element at an address."""
        kind, unsigned = memory_kind(self.elem, self.em.target), self.elem.startswith("u")
        return widen(self.em, self.elem, self.em.load(address, kind, unsigned))

    def write(self, places: Places, value: Value) -> None:
        """A calculated number becomes the element."""
        self.write_at(self.address(places), value)

    def write_at(self, address: Value, value: Value) -> None:
        """The same at an address."""
        self.em.store(narrow(self.em, self.elem, value), address)

    def bits(self, places: Places) -> Value:
        """The element as an integer of its size, for moving it."""
        return self.em.load(self.address(places), raw_kind(self.buffer))

    def put_bits(self, places: Places, bits: Value) -> None:
        """What `bits` gave becomes the element."""
        self.em.store(bits, self.address(places))

    def index(self, places: Places) -> Value:
        """The element, an integer, as an index."""
        return convert(self.em, self.read(places), "i64")

    def number(self, value: float) -> Value:
        """A constant of the kind its elements are calculated with."""
        return self.em.constant(value, self.kind, self.elem.startswith("u"))


class Cells(Draft):
    """A Draft with tensors by name and loops over places; with `checks` it can report impossible indices."""

    def __init__(
        self, instr: Instr, program: Program, target: Target, reads: Sequence[str] | None = None, checks: bool = False
    ) -> None:
        super().__init__(instr, program, target, reads)
        self._status = self.add_operand(STATUS) if checks else None

    def tensor(self, name: str) -> Tensor:
        """The operand of that name."""
        position = self.number(name)
        return Tensor(self, self.buffers[position], self.pointers[position])

    def result_tensor(self, position: int = 0) -> Tensor:
        """A result."""
        return Tensor(self, self.buffers[position], self.pointers[position])

    # -- loops ------------------------------------------------------------------------------------
    def over(self, extents: Sequence[int], body: Body, work: int = 1) -> None:
        """`body(places)` for every place, in tiles that may run in any order; `work` is what one place costs."""
        if 0 in extents:
            return
        grain = max(1, GRAIN // max(work, 1))
        inner, at = 1, len(extents)
        while at and inner * extents[at - 1] <= grain:
            at -= 1
            inner *= extents[at]
        if at == 0:
            self.pieces.append(Piece(1, lambda tile: self.nest(extents, body)))
            return
        block = min(extents[at - 1], max(1, grain // inner))
        count = -(-extents[at - 1] // block)
        emit = partial(self._tile, tuple(extents), at, block, count, body)
        self.pieces.append(Piece(prod(extents[: at - 1]) * count, emit))

    def _tile(self, extents: tuple[int, ...], at: int, block: int, count: int, body: Body, tile: Index) -> None:
        em = self.em
        low = em.remainder(tile, count) * block
        lead = self.unravel(em.divide(tile, count), extents[: at - 1])
        high = low + block if extents[at - 1] % block == 0 else em.smaller(low + block, extents[at - 1])
        with em.loop(low, high) as loop:
            self.nest(extents[at:], lambda rest: body([*lead, loop.index, *rest]))

    def unravel(self, flat: Index, extents: Sequence[int]) -> list[Index]:
        """The places of the element number `flat` in row-major order."""
        found: list[Index] = []
        for position, extent in enumerate(reversed(extents)):
            last = position == len(extents) - 1
            found.append(flat if last else self.em.remainder(flat, extent))
            flat = self.em.divide(flat, extent)
        return found[::-1]

    def once(self, body: Callable[[], None]) -> None:
        """`body` is one tile: what it writes may depend on what it wrote."""
        self.pieces.append(Piece(1, lambda tile: body()))

    def nest(self, extents: Sequence[int], body: Body) -> None:
        """Loops inside a tile."""

        def level(places: list[Index]) -> None:
            if len(places) == len(extents):
                body(places)
                return
            with self.em.loop(0, extents[len(places)]) as loop:
                level([*places, loop.index])

        if 0 not in extents:
            level([])

    def fold(
        self, extents: Sequence[Index], first: list[Value], step: Callable[[list[Index], list[Value]], list[Value]]
    ) -> list[Value]:
        """Values carried through loops inside a tile: `step(places, values)` gives the next values."""

        def level(places: list[Index], values: list[Value]) -> list[Value]:
            if len(places) == len(extents):
                return step(places, values)
            with self.em.loop(0, extents[len(places)], carry=values) as loop:
                loop.next = level([*places, loop.index], loop.carry)
            return loop.results

        return first if any(isinstance(n, int) and n == 0 for n in extents) else level([], first)

    # -- parts of bodies -----------------------------------------------------------------------------
    def copy_all(self, goal: Tensor, source: Tensor) -> None:
        """Every element of a tensor of the same shape, inside a tile; nothing where both are one buffer."""
        if goal.buffer is source.buffer:
            return
        size, kind = goal.buffer.type.dtype.itemsize, raw_kind(goal.buffer)
        pointers = [goal.pointer, source.pointer]

        def move(lanes: Lanes) -> None:
            store_raw(self.em, lanes, 0, load_raw(self.em, lanes, 1, kind))

        for box in boxes(goal.dims, [direct(goal.buffer), direct(source.buffer)]):
            here = [self.em.offset(p, b) for p, b in zip(pointers, box.bases, strict=True)]
            walk(self.em, ordered(box).dims, here, [size, size], move, 4)

    def copy_run(self, goal: Value, source: Value, count: int, buffer: Buffer) -> None:
        """`count` neighbouring elements of the kind of `buffer`."""
        size, kind = buffer.type.dtype.itemsize, raw_kind(buffer)

        def move(lanes: Lanes) -> None:
            store_raw(self.em, lanes, 0, load_raw(self.em, lanes, 1, kind))

        if count:
            walk(self.em, [Dim(count, (size, size))], [goal, source], [size, size], move, 4)

    def refuse(self, wrong: Value) -> None:
        """Where `wrong`, the run ends with a message after this instruction."""
        if self._status is None:
            raise ValueError(f"the kernel of {self.instr.name} was not made with checks=True")
        with self.em.when(wrong):
            self.em.store(self.em.constant(1, "i64"), self._status)

    def inside(self, index: Value, size: int) -> Value:
        """An index that may count from the end, made positive; one outside is reported and becomes 0."""
        em = self.em
        index = em.select(index < 0, index + size, index)
        wrong = (index < 0) | (index >= size)
        self.refuse(wrong)
        return em.select(wrong, index.match(0), index)
