"""Real bytes behind the buffers of a Program: what a wrong plan overwrites here is really gone."""

from __future__ import annotations

from typing import Any

import numpy as np

from glowviz.compiler.interpreter.contents import Content, copied
from glowviz.compiler.program import Buffer, MemoryPlan, Program
from glowviz.compiler.types import Type

NAN_BYTE = 0xFF
"""A float of any width made of it is NaN."""
ODD_BYTE = 0xAA
"""An integer made of it is conspicuous."""

Sides = tuple[int, int, int, int]
"""Rows and columns beyond the border: top, left, bottom, right."""


class Memory:
    """Bytes for every owning buffer of a program: in the arenas of its plan, or each by itself without one.

    All bytes start as poison (NaN for floats), and are poison again outside their buffer's life. Held buffers have
    a content instead of bytes; outside their life they have none. The activations of a nested program lie in bytes of
    the program around it.
    """

    def __init__(
        self, program: Program, plan: MemoryPlan | None, activations: np.ndarray | None = None
    ) -> None:
        self.program = program
        self._bytes: dict[str, np.ndarray] = {}
        self.held: dict[str, Content] = {}
        arenas = {} if plan is None else {name: _poisoned(size) for name, size in plan.arenas.items()}
        if activations is not None:
            arenas["activations"] = activations
        for buffer in program.buffers.values():
            if buffer.base is not None or buffer.held:
                continue
            place = None if plan is None else plan.buffers.get(buffer.name)
            if place is None:
                self._bytes[buffer.name] = _poisoned(buffer.bytes)
            else:
                # a slice would silently be shorter where the plan leaves its arena
                end = place.offset + buffer.bytes
                if place.offset < 0 or end > len(arenas[place.arena]):
                    raise ValueError(f"%{buffer.name} [{place.offset:#x}, {end:#x}) is outside of {place.arena}")
                self._bytes[buffer.name] = arenas[place.arena][place.offset : end]

    def bytes_of(self, name: str) -> np.ndarray:
        """The bytes of a buffer or view; writing to them writes to memory."""
        root = self.program.root(name).name
        start = self.program.offset(name)
        return self._bytes[root][start : start + self.program.buffers[name].bytes]

    def poison(self, name: str) -> None:
        """Make the contents unusable."""
        buffer = self.program.buffers[name]
        if buffer.held:
            self.held.pop(name, None)
            return
        self.bytes_of(name)[:] = NAN_BYTE if buffer.type.is_float else ODD_BYTE

    def poison_inside(self, name: str) -> None:
        """Make the contents unusable, but leave the halo."""
        buffer = self.program.buffers[name]
        if buffer.held:
            self.held.pop(name, None)
            return
        byte = NAN_BYTE if buffer.type.is_float else ODD_BYTE
        kind = buffer.type.dtype
        self.physical(name)[_window(buffer, (0, 0, 0, 0))] = np.frombuffer(bytes([byte]) * kind.itemsize, kind)[0]

    def physical(self, name: str) -> np.ndarray:
        """The buffer's memory as an array of its physical shape, halo included."""
        buffer = self.program.buffers[name]
        return self.bytes_of(name).view(buffer.type.dtype).reshape(buffer.physical)

    def load(self, name: str, beyond: Sides = (0, 0, 0, 0)) -> Any:
        """A copy of the logical contents, with so many rows and columns of the halo around every plane."""
        buffer = self.program.buffers[name]
        if buffer.held:
            if name not in self.held:
                raise ValueError(f"%{name} is read and holds nothing")
            return copied(self.held[name])
        part = self.physical(name)[_window(buffer, beyond)]
        order = buffer.type.order
        if order is None:
            return part.copy()
        return order.unpack(np.ascontiguousarray(part), _grown(buffer.type, beyond)).copy()

    def store(self, name: str, array: Any) -> None:
        """Write logical contents; the halo stays as it is."""
        buffer = self.program.buffers[name]
        wanted = buffer.type
        if buffer.held:
            self.held[name] = copied(array)
            return
        if array.shape != wanted.dims or array.dtype != wanted.dtype:
            raise ValueError(f"%{name} is {wanted.logical}, the result is {array.dtype}{list(array.shape)}")
        packed = array if wanted.order is None else wanted.order.pack(array)
        self.physical(name)[_window(buffer, (0, 0, 0, 0))] = packed

    def fill_halo(self, name: str) -> None:
        """The border gets its fill value; the inside stays."""
        buffer = self.program.buffers[name]
        if buffer.halo is None:
            return
        inside = self.load(name)
        self.physical(name)[...] = buffer.type.dtype.type(buffer.halo.fill)
        self.store(name, inside)


def _poisoned(size: int) -> np.ndarray:
    """Bytes at an address that any element kind can be read from."""
    room = np.full(size + 64, NAN_BYTE, np.uint8)
    start = -room.ctypes.data % 64
    return room[start : start + size]


def _spatial_places(buffer: Buffer) -> tuple[int, int]:
    """Which physical dims count the rows and the columns."""
    type_ = buffer.type
    dims = type_.order.dims if type_.order else tuple((a, 0) for a in range(type_.rank))
    return dims.index((2, 0)), dims.index((3, 0))


def _window(buffer: Buffer, beyond: Sides) -> tuple[slice, ...]:
    """The slices of the physical array that hold the planes with so much of their halo."""
    halo = buffer.halo
    if halo is None:
        if any(beyond):
            raise ValueError(f"%{buffer.name} is read beyond its border and has no halo")
        return (slice(None),) * len(buffer.physical)
    top, left, bottom, right = beyond
    if top > halo.top or left > halo.left or bottom > halo.bottom or right > halo.right:
        raise ValueError(f"%{buffer.name} is read {list(beyond)} beyond its border, its {halo}")
    rows, columns = _spatial_places(buffer)
    cuts = [slice(None)] * len(buffer.physical)
    height, width = buffer.physical[rows] - halo.height, buffer.physical[columns] - halo.width
    cuts[rows] = slice(halo.top - top, halo.top + height + bottom)
    cuts[columns] = slice(halo.left - left, halo.left + width + right)
    return tuple(cuts)


def _grown(type_: Type, beyond: Sides) -> tuple[int, ...]:
    dims = list(type_.dims)
    if any(beyond):
        dims[2] += beyond[0] + beyond[2]
        dims[3] += beyond[1] + beyond[3]
    return tuple(dims)


