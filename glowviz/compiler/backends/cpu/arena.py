"""Every buffer of a Program has an address: one region of memory per arena, and numpy views into them."""

from __future__ import annotations

import mmap
from collections.abc import Mapping

import numpy as np

from glowviz.compiler.graph import Payload
from glowviz.compiler.program import Buffer, MemoryPlan, Program

ALIGNMENT = 64
ARENA_OF = {"weight": "weights", "state": "state", "activation": "activations", "scratch": "activations"}


class Region:
    """Zeroed memory of its own pages; `address` is where it starts."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._pages = mmap.mmap(-1, max(size, 1))
        self.bytes = np.frombuffer(self._pages, np.uint8)
        self.address = int(self.bytes.ctypes.data)


class Memory:
    """The arenas of one executable: weights, state and activations as planned, and io for inputs and outputs.

    What the plan does not place (small hand-made programs) is laid out here, one buffer behind the other.
    """

    def __init__(self, program: Program, plan: MemoryPlan) -> None:
        self.program = program
        self._places: dict[str, tuple[str, int]] = {}
        sizes = dict(plan.arenas)
        for buffer in program.buffers.values():
            if buffer.base is None:
                self._place(buffer, plan, sizes)
        self.regions = {arena: Region(size) for arena, size in sizes.items()}
        self.fill_weights()

    def _place(self, buffer: Buffer, plan: MemoryPlan, sizes: dict[str, int]) -> None:
        placed = plan.buffers.get(buffer.name)
        if placed is not None:
            arena, offset = placed.arena, placed.offset
        else:
            arena = ARENA_OF.get(buffer.kind, "io")
            offset = buffer.address if buffer.address is not None and arena != "io" else _end(sizes, arena)
        self._places[buffer.name] = (arena, offset)
        sizes[arena] = max(sizes.get(arena, 0), offset + buffer.bytes)

    def place(self, name: str) -> tuple[str, int]:
        """The arena of a buffer and its first byte there; views count from the buffer they are part of."""
        arena, offset = self._places[self.program.root(name).name]
        return arena, offset + self.program.offset(name)

    def address(self, name: str) -> int:
        """Where a buffer starts in this process."""
        arena, offset = self.place(name)
        return self.regions[arena].address + offset

    def physical(self, name: str) -> np.ndarray:
        """The buffer as it lies in memory, halo included: a live view."""
        buffer = self.program.buffers[name]
        arena, offset = self.place(name)
        raw = self.regions[arena].bytes[offset : offset + buffer.bytes]
        return raw.view(buffer.type.dtype).reshape(buffer.physical)

    def read(self, name: str) -> np.ndarray:
        """A copy of the logical array that a buffer holds."""
        buffer = self.program.buffers[name]
        inner = self.physical(name)[_inside(buffer)]
        order = buffer.type.order
        return np.array(inner) if order is None else np.array(order.unpack(inner, buffer.type.dims))

    def write(self, name: str, array: np.ndarray) -> None:
        """Store a logical array into a buffer; its halo stays as it is."""
        buffer = self.program.buffers[name]
        order = buffer.type.order
        self.physical(name)[_inside(buffer)] = array if order is None else order.pack(array)

    def fill_weights(self) -> None:
        """Write every buffer that has contents; halos get their fill value."""
        for buffer in self.program.buffers.values():
            if buffer.payload is not None:
                self._fill(buffer, buffer.payload)

    def _fill(self, buffer: Buffer, payload: Payload) -> None:
        if buffer.halo is not None:
            self.physical(buffer.name)[...] = buffer.halo.fill
        self.write(buffer.name, payload.array.reshape(buffer.type.dims))

    @property
    def sizes(self) -> Mapping[str, int]:
        """Bytes by arena."""
        return {arena: region.size for arena, region in self.regions.items()}


def _end(sizes: Mapping[str, int], arena: str) -> int:
    return -(-sizes.get(arena, 0) // ALIGNMENT) * ALIGNMENT


def _inside(buffer: Buffer) -> tuple[slice, ...]:
    """The part of the physical array that is not halo."""
    inner = [slice(None)] * len(buffer.physical)
    if buffer.halo is not None:
        dims = buffer.type.order.dims if buffer.type.order else tuple((a, 0) for a in range(len(inner)))
        for axis, before in ((2, buffer.halo.top), (3, buffer.halo.left)):
            inner[dims.index((axis, 0))] = slice(before, before + buffer.type.dims[axis])
    return tuple(inner)
