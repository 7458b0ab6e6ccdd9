"""The target "interpreter": programs run in numpy over real bytes, one instruction after the other."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from glowviz.compiler.backends.base import BackendProblem, Listing, MemoryAccount
from glowviz.compiler.backends.inputs import check_inputs, noise
from glowviz.compiler.backends.memory_use import peak_bytes
from glowviz.compiler.interpreter import Machine
from glowviz.compiler.interpreter.machine import Watch
from glowviz.compiler.program import Instr, MemoryPlan, Program
from glowviz.compiler.rewrite import Pass
from glowviz.compiler.target import Span, Target


class InterpretedExecutable:
    """A planned program in numpy: the same addresses, lifetimes and orders as machine code would have."""

    threads = 1

    def __init__(self, program: Program, plan: MemoryPlan) -> None:
        self.program, self.plan = program, plan
        self._machine = Machine(program, plan)
        self._states: dict[str, np.ndarray] = {}
        self._last: dict[str, np.ndarray] | None = None
        self._lock = threading.Lock()

    def run(self, inputs: Mapping[str, Any], watch: Watch | None = None) -> dict[str, np.ndarray]:
        """All outputs by public name; calls from several threads follow each other."""
        arrays = check_inputs(self.program, inputs)
        with self._lock:
            self._last = arrays
            return self._machine.run(arrays, watch, self._states)

    def timings(self, runs: int = 30, inputs: Mapping[str, Any] | None = None) -> tuple[Span, ...]:
        """Wall-clock spans between one instruction's end and the next; states are put back afterwards."""
        given = check_inputs(self.program, inputs) if inputs is not None else self._last or noise(self.program)
        spans: list[Span] = []
        with self._lock:
            started = time.perf_counter_ns()
            for run in range(runs):
                clock = _Clock(run, started)
                self._machine.run(given, clock.see, dict(self._states))
                spans += clock.spans
        return tuple(spans)

    def listing(self) -> tuple[Listing, ...]:
        """Every instruction, none with a kernel."""
        why = "the interpreter: numpy computes it as the op defines it"
        return tuple(
            Listing(position, i.name, i.value or i.outs[0], native=False, schedule=dict(i.schedule), why=why)
            for position, (_, i) in enumerate(self.program.numbered)
        )

    def peak_gflops(self) -> None:
        """There is no machine code whose speed a peak could be held against."""

    def peak_gbytes(self, threads: int = 1) -> dict[str, float]:
        """As above."""
        return {}

    def account(self) -> MemoryAccount:
        """Bytes of the arenas; there is no code."""
        arenas = self.plan.arenas
        sizes = [arenas.get(name, 0) for name in ("weights", "activations", "state", "io")]
        packed = sum(b.bytes for b in self.program.of_kind("weight") if b.type.order is not None)
        return MemoryAccount(sizes[0], packed, sizes[1], sizes[2], sizes[3], 0, 0, peak_bytes())

    def save(self, path: Path | str) -> Path:
        """Refused: there is no machine code to save."""
        raise BackendProblem(
            "the interpreter has no code to save", str(path), "a backend that emits code", "compile with target='cpu'"
        )

    def close(self) -> None:
        """Nothing to end."""


class _Clock:
    """Turns `watch` calls into spans."""

    def __init__(self, run: int, started: int) -> None:
        self.run, self.started, self.before = run, started, time.perf_counter_ns()
        self.spans: list[Span] = []

    def see(self, instr: Instr, results: Mapping[str, np.ndarray]) -> None:
        now = time.perf_counter_ns()
        counters = {"position": float(len(self.spans)), "run": float(self.run)}
        begin, duration = float(self.before - self.started), float(now - self.before)
        self.spans.append(Span(instr.value or instr.outs[0], 0, begin, duration, "ns", counters))
        self.before = now


@dataclass(frozen=True)
class InterpreterBackend:
    """No code at all."""

    name: str = "interpreter"
    target: Target = field(default_factory=lambda: Target("interpreter"))
    threads: int = 1

    def passes(self, level: str) -> tuple[Pass, ...]:
        """None of its own."""
        return ()

    def build(self, program: Program, plan: MemoryPlan) -> InterpretedExecutable:
        """Memory for the program."""
        return InterpretedExecutable(program, plan)


def interpreter(threads: int) -> InterpreterBackend:
    """numpy, on one thread whatever is asked for."""
    return InterpreterBackend()
