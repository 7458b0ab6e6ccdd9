"""Every buffer of a Program has an address: one region of memory per arena, and numpy views into them."""

from __future__ import annotations

import contextlib
import mmap
from collections.abc import Mapping

import numpy as np

from glowviz.compiler.backends.cpu.nested import Window
from glowviz.compiler.interpreter.contents import Content
from glowviz.compiler.interpreter.memory import Memory
from glowviz.compiler.program import Buffer, MemoryPlan, Program

ALIGNMENT = 64
ARENA_OF = {"weight": "weights", "state": "state", "activation": "activations", "scratch": "activations"}


HUGE = 2 << 20
"""Bytes of a large page of the processors we know: with small ones, streaming weights waits for page tables."""


class Region:
    """Zeroed memory of its own pages, large ones where the system has them; `address` is where it starts."""

    def __init__(self, size: int) -> None:
        self.size = size
        wide = size >= HUGE and hasattr(mmap, "MADV_HUGEPAGE")
        # private: a forked child must not write into our arenas
        private = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}
        self._pages = mmap.mmap(-1, max(size, 1) + HUGE * wide, **private)
        pages = np.frombuffer(self._pages, np.uint8)
        start = -pages.ctypes.data % HUGE if wide else 0
        if wide:  # whole large pages only: a last part of one would be memory for nothing
            with contextlib.suppress(OSError):
                self._pages.madvise(mmap.MADV_HUGEPAGE, 0, (start + size) // HUGE * HUGE)
        self.bytes = pages[start : start + max(size, 1)]
        self.address = int(self.bytes.ctypes.data)


class Arenas(Memory):
    """The arenas of one executable: weights, state and activations as planned, and io for inputs and outputs.

    Those of a nested program have the activations of the executable around it.
    What the plan does not place (small hand-made programs) is laid out here, one buffer behind the other.
    """

    def __init__(self, program: Program, plan: MemoryPlan, activations: Window | None = None) -> None:
        self.program = program
        self._places: dict[str, tuple[str, int]] = {}
        self.held: dict[str, Content] = {}
        sizes = dict(plan.arenas)
        for buffer in program.buffers.values():
            if buffer.base is None and not buffer.held:
                self._place(buffer, plan, sizes)
        self.regions: dict[str, Region | Window] = {}
        for arena, size in sizes.items():
            shared = activations if arena == "activations" else None
            self.regions[arena] = Region(size) if shared is None else shared
        self._views: dict[str, np.ndarray] = {}
        self._fill()

    def _place(self, buffer: Buffer, plan: MemoryPlan, sizes: dict[str, int]) -> None:
        placed = plan.buffers.get(buffer.name)
        arena = placed.arena if placed is not None else ARENA_OF.get(buffer.kind, "io")
        offset = placed.offset if placed is not None else -(-sizes.get(arena, 0) // ALIGNMENT) * ALIGNMENT
        self._places[buffer.name] = (arena, offset)
        sizes[arena] = max(sizes.get(arena, 0), offset + buffer.bytes)

    def _fill(self) -> None:
        """Write every buffer that has contents; halos get their fill value."""
        for buffer in self.program.buffers.values():
            if buffer.payload is not None:
                self.store(buffer.name, buffer.payload.array)
                self.fill_halo(buffer.name)

    def store(self, name: str, array: Content) -> None:
        """Write logical contents; the halo stays as it is."""
        buffer = self.program.buffers[name]
        order = buffer.type.order
        if order is None or buffer.halo is not None or not _fits(array, buffer):
            super().store(name, array)
        else:  # without a copy in between: these are the weights, hundreds of megabytes
            order.pack_into(array, self.physical(name))

    def place(self, name: str) -> tuple[str, int]:
        """The arena of a buffer and its first byte there; views count from the buffer they are part of."""
        arena, offset = self._places[self.program.root(name).name]
        return arena, offset + self.program.offset(name)

    def address(self, name: str) -> int:
        """Where a buffer starts in this process."""
        arena, offset = self.place(name)
        return self.regions[arena].address + offset

    def bytes_of(self, name: str) -> np.ndarray:
        """The bytes of a buffer or view; writing to them writes to memory."""
        arena, offset = self.place(name)
        return self.regions[arena].bytes[offset : offset + self.program.buffers[name].bytes]

    def physical(self, name: str) -> np.ndarray:
        """The buffer's memory as an array of its physical shape, halo included; made once."""
        if name not in self._views:
            self._views[name] = super().physical(name)
        return self._views[name]

    @property
    def sizes(self) -> Mapping[str, int]:
        """Bytes by arena."""
        return {arena: region.size for arena, region in self.regions.items()}


def _fits(array: np.ndarray, buffer: Buffer) -> bool:
    return array.shape == buffer.type.dims and array.dtype == buffer.type.dtype
