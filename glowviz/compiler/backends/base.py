"""What every backend offers: a Backend turns a planned Program into an Executable."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from glowviz.compiler.interpreter.machine import Watch
from glowviz.compiler.problem import Problem
from glowviz.compiler.program import Instr, MemoryPlan, Program
from glowviz.compiler.rewrite import Pass
from glowviz.compiler.target import Span, Target
from glowviz.compiler.types import OptionalType, SequenceType


class InputProblem(Problem):
    """Inputs that the compiled program cannot take: which one, what was expected, what to do."""


class BackendProblem(Problem):
    """A backend or a choice of it that does not exist, or that this machine cannot run."""


@dataclass(frozen=True)
class Listing:
    """The code of one instruction; without a kernel (`native` false) the interpreter runs it.

    `lines[k]` is the line of `llvm` (1 is the first) that line k of `assembly` comes from, 0 where none.
    """

    position: int
    instruction: str
    value: str
    native: bool
    kernel: str = ""
    llvm: str = ""
    schedule: Mapping[str, Any] = field(default_factory=dict)
    why: str = ""
    tiles: int = 1
    make_assembly: Callable[[], str] = str

    @cached_property
    def assembly(self) -> str:
        """Made when asked for: it costs as much as compiling the kernel."""
        return self.make_assembly()

    @cached_property
    def lines(self) -> tuple[int, ...]:
        """Assembly line to LLVM line."""
        return line_map(self.assembly)


def why_held(instr: Instr, program: Program) -> str:
    """Why only the interpreter can run an instruction that touches a held buffer."""
    name = next(n for n in instr.touched if program.buffers[n].held)
    type_ = program.buffers[name].type
    if isinstance(type_, SequenceType | OptionalType):
        return f"%{name} is {'a sequence' if isinstance(type_, SequenceType) else 'an optional'}, not one array"
    return f"%{name} holds strings" if type_.static else f"%{name}: its size is known only at run time"


def line_map(assembly: str) -> tuple[int, ...]:
    """The source line that each line of an assembly text belongs to, from its `.loc` marks; 0 before the first."""
    current, found = 0, []
    for line in assembly.split("\n"):
        words = line.split()
        if words and words[0] == ".loc":
            current = int(words[2])
        found.append(current)
    return tuple(found)


@dataclass(frozen=True)
class MemoryAccount:
    """Bytes by use. `packed` is the part of `weights` that is a second copy in a kernel's own order."""

    weights: int
    packed: int
    activations: int
    state: int
    io: int
    scratch: int
    code: int
    process_peak: int
    """Most bytes of memory this process ever held."""


class Executable(Protocol):
    """A compiled program, ready to run any number of times."""

    @property
    def program(self) -> Program: ...
    @property
    def plan(self) -> MemoryPlan: ...

    def run(self, inputs: Mapping[str, Any], watch: Watch | None = None) -> dict[str, np.ndarray]:
        """All outputs by public name, as copies. Safe from several threads. InputProblem says what does not fit."""
        ...

    def timings(self, runs: int = 30, inputs: Mapping[str, Any] | None = None) -> tuple[Span, ...]:
        """One span for each instruction, lane and run; `counters` hold `position` (of the instruction) and `run`.

        Without inputs: those of the last run, else noise (floats) and zeros (integers).
        """
        ...

    def listing(self) -> tuple[Listing, ...]:
        """The code of every instruction, in order."""
        ...

    def peak_gflops(self) -> float | None:
        """GFLOP/s that one thread of this machine reaches at most, measured now; None where that means nothing."""
        ...

    def peak_gbytes(self, threads: int = 1) -> dict[str, float]:
        """GB/s at which so many threads read each memory (L2, L3, memory), measured now; empty as above."""
        ...

    def account(self) -> MemoryAccount:
        """All memory by use, with the measured peak of the process."""
        ...

    def save(self, path: Path | str) -> Path:
        """Write everything needed to run without glowviz into a folder."""
        ...


class Backend(Protocol):
    """A machine to compile for."""

    @property
    def name(self) -> str: ...
    @property
    def target(self) -> Target: ...

    def passes(self, level: str) -> tuple[Pass, ...]:
        """The backend's own passes of one level (graph, lowered, program), after the generic ones."""
        ...

    def build(self, program: Program, plan: MemoryPlan) -> Executable:
        """Emit code for every instruction; all decisions about memory were made before."""
        ...


@runtime_checkable
class KeepingBackend(Backend, Protocol):
    """A backend whose executables can be kept: the same model and choices are then found, and not compiled again."""

    def facts(self) -> list[str] | None:
        """All that decides the code besides the program; None where somebody added kernels: then nothing is kept."""
        ...

    def build_into(self, folder: Path | None, program: Program, plan: MemoryPlan) -> tuple[Executable, bool]:
        """`build`, leaving in a folder, if there is one, what `restore` needs, and whether all of it is there."""
        ...

    def restore(self, folder: Path) -> Executable:
        """What `build_into` left; any exception where the folder is incomplete or broken."""
        ...
