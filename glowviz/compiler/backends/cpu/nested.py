"""Nested programs of if, loop and scan are executables whose activations lie in the arena of the one around them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from glowviz.compiler.interpreter.contents import Content

if TYPE_CHECKING:
    from glowviz.compiler.backends.cpu.executable import CpuExecutable


class Window:
    """Part of a region that belongs to somebody else."""

    def __init__(self, whole: np.ndarray) -> None:
        self.bytes = whole
        self.size = int(whole.size)
        self.address = int(whole.ctypes.data)


class NestedBody:
    """One nested program: inputs and outputs by position, one run at a time, on one thread."""

    def __init__(self, executable: CpuExecutable) -> None:
        self.executable = executable
        self._memory = executable.memory
        self._inputs = [b.name for b in executable.program.of_kind("input")]
        self._outputs = [o.buffer for o in executable.program.outputs]

    def put(self, position: int, content: Content) -> None:
        """Give an input its content; it stays for later runs."""
        self._memory.store(self._inputs[position], content)

    def run(self) -> None:
        """All instructions, once."""
        self.executable.execute()

    def get(self, position: int) -> Content:
        """A copy of an output of the last run."""
        return self._memory.load(self._outputs[position])
