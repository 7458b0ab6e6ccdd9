"""Every buffer of a Program has an address: one region of memory per arena, and numpy views into them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np

from glowviz.compiler.backends.cpu.nested import Window
from glowviz.compiler.backends.cpu.regions import FileRegion, Region, WeightsFile
from glowviz.compiler.hashes import forget_pages
from glowviz.compiler.interpreter.contents import Content
from glowviz.compiler.interpreter.memory import Memory
from glowviz.compiler.program import Buffer, MemoryPlan, Program

ALIGNMENT = 64
LARGE = 64 << 10
"""Bytes from which contents are not kept twice."""
FORGOTTEN = 16 << 20
"""Bytes of weights after which the pages of the model's file are given back."""
ARENA_OF = {"weight": "weights", "state": "state", "activation": "activations", "scratch": "activations"}


class Arenas(Memory):
    """The arenas of one executable: weights, state and activations as planned, and io for inputs and outputs.

    Those of a nested program have the activations of the executable around it. With `weights`, that arena lies in this
    file; where it is there already, it is taken as it is. OSError where it cannot be.
    What the plan does not place (small hand-made programs) is laid out here, one buffer behind the other.
    """

    def __init__(
        self, program: Program, plan: MemoryPlan, activations: Window | None = None, weights: Path | None = None
    ) -> None:
        self.program = program
        self._places: dict[str, tuple[str, int]] = {}
        self.held: dict[str, Content] = {}
        sizes = dict(plan.arenas)
        for buffer in program.buffers.values():
            if buffer.base is None and not buffer.held:
                self._place(buffer, plan, sizes)
        file = WeightsFile(weights, sizes["weights"]) if weights and sizes.get("weights") else None
        self.regions: dict[str, Region | FileRegion | Window] = {}
        self._views: dict[str, np.ndarray] = {}
        for arena, size in sizes.items():
            given = file.region() if arena == "weights" and file else activations if arena == "activations" else None
            self.regions[arena] = given or Region(size)
        self._fill(file is None or not file.found)
        if file is not None and not file.found:
            self._views.clear()
            self.regions["weights"] = file.written(self.regions["weights"])

    def _place(self, buffer: Buffer, plan: MemoryPlan, sizes: dict[str, int]) -> None:
        placed = plan.buffers.get(buffer.name)
        arena = placed.arena if placed is not None else ARENA_OF.get(buffer.kind, "io")
        offset = placed.offset if placed is not None else -(-sizes.get(arena, 0) // ALIGNMENT) * ALIGNMENT
        self._places[buffer.name] = (arena, offset)
        sizes[arena] = max(sizes.get(arena, 0), offset + buffer.bytes)

    def _fill(self, weights: bool) -> None:
        """Write every buffer that has contents; halos get their fill value. Big weights are held here from now on."""
        written = 0
        for buffer in self.program.buffers.values():
            if buffer.payload is None or (buffer.kind == "weight" and not weights):
                continue
            if written > FORGOTTEN:  # what was copied from the model's file is not needed twice
                forget_pages()
                written = 0
            written += buffer.bytes
            array = buffer.payload.array
            self.store(buffer.name, array)
            self.fill_halo(buffer.name)
            if buffer.kind == "weight" and buffer.bytes >= LARGE and _fits(array, buffer):
                buffer.payload.made_by(partial(self.load, buffer.name))

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
