"""A CpuExecutable owns arenas, loaded kernels and threads, and runs the instruction table."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from glowviz.compiler.backends.base import Listing, MemoryAccount
from glowviz.compiler.backends.cpu.arena import Arenas
from glowviz.compiler.backends.cpu.bundle import save_bundle
from glowviz.compiler.backends.cpu.elf import code_bytes
from glowviz.compiler.backends.cpu.kernels.draft import STATUS
from glowviz.compiler.backends.cpu.nested import NestedBody, Window
from glowviz.compiler.backends.cpu.objects import Library, ObjectCache
from glowviz.compiler.backends.cpu.peak import measured_peak, measured_reading
from glowviz.compiler.backends.cpu.pool import Pool, Step
from glowviz.compiler.backends.cpu.regions import Region
from glowviz.compiler.backends.cpu.registry import KernelCode
from glowviz.compiler.backends.cpu.timing import Timer
from glowviz.compiler.backends.inputs import check_inputs, noise
from glowviz.compiler.backends.memory_use import peak_bytes
from glowviz.compiler.interpreter import RunProblem, evaluate
from glowviz.compiler.interpreter.control import drive
from glowviz.compiler.interpreter.machine import Watch
from glowviz.compiler.program import Instr, MemoryPlan, Program
from glowviz.compiler.target import Span, Target


@dataclass(frozen=True)
class Binding:
    """One instruction and its kernel; without code it is a host call. `symbol` is the loaded function's name.

    `why` says why there is no code, where that is not the want of a kernel.
    """

    instr: Instr
    code: KernelCode | None = None
    symbol: str = ""
    text: str = ""
    chunks: int = 1
    why: str = ""


class CpuExecutable:
    """A program as machine code of this process.

    `run` takes a lock, so calls from several threads follow each other. Outputs are copies.
    """

    def __init__(
        self,
        program: Program,
        plan: MemoryPlan,
        target: Target,
        bindings: Sequence[Binding],
        objects: Mapping[str, bytes],
        threads: int,
        cache: ObjectCache,
        nested: Callable[..., CpuExecutable] | None = None,
        activations: Window | None = None,
        weights: Path | None = None,
    ) -> None:
        self.program, self.plan, self.target, self.threads = program, plan, target, threads
        self.bindings, self.objects, self._cache = tuple(bindings), dict(objects), cache
        self.memory = Arenas(program, plan, activations, weights)
        self._nested = {id(i): self._bodies(i, nested) for i in program.instructions if i.regions and nested}
        self._library = Library(self.objects.values(), self.objects)
        self._status = np.zeros(len(self.bindings) + 1, np.int64)
        self._scratch = Region(threads * max((b.code.scratch for b in self.bindings if b.code), default=0))
        self._arguments, steps = self._bind()
        self.pool = Pool(steps, threads, target, cache)
        self._segments = segments(self.bindings, each=False)
        self._lock = threading.Lock()
        self._has_inputs = False

    # preparing ---------------------------------------------------------------------------------

    def _bind(self) -> tuple[np.ndarray, list[Step]]:
        rows = [(p, b, b.code) for p, b in enumerate(self.bindings) if b.code is not None]
        pointers = [self._pointers(position, code) for position, _, code in rows]
        arguments = np.array([p for row in pointers for p in row] or [0], np.uint64)
        steps, at = [], int(arguments.ctypes.data)
        for (_, binding, code), row in zip(rows, pointers, strict=True):
            steps.append(Step(self._library.addresses[binding.symbol], at, code.split_tiles, binding.chunks))
            at += 8 * len(row)
        return arguments, steps

    def _pointers(self, position: int, code: KernelCode) -> list[int]:
        status = int(self._status.ctypes.data) + 8 * position
        found = [status if name == STATUS else self.memory.address(name) for name in code.operands]
        return [*found, self._scratch.address] if code.scratch else found

    def _bodies(self, instr: Instr, nested: Callable[..., CpuExecutable]) -> list[NestedBody]:
        window = Window(self.memory.bytes_of(instr.scratch[-1]))
        pairs = zip(instr.regions, self.plan.nested[instr.value], strict=True)
        return [NestedBody(nested(program, plan, activations=window)) for program, plan in pairs]

    # running -----------------------------------------------------------------------------------

    def run(self, inputs: Mapping[str, Any], watch: Watch | None = None) -> dict[str, np.ndarray]:
        """All outputs by public name; `watch` sees what every instruction wrote, as it is written."""
        arrays = check_inputs(self.program, inputs)
        with self._lock:
            self._load(arrays)
            self._execute(watch)
            outputs = {o.public: self.memory.load(o.buffer) for o in self.program.outputs}
            self._renew_states()
        return outputs

    def _load(self, arrays: Mapping[str, np.ndarray]) -> None:
        for name, array in arrays.items():
            self.memory.store(name, array)
        self._has_inputs = True

    def _execute(self, watch: Watch | None) -> None:
        done = 0
        try:
            for segment in self._segments if watch is None else segments(self.bindings, each=True):
                self.pool.run(segment.first, segment.last)
                done = segment.last
                if segment.host is not None:
                    self.call(segment.host)
                if watch is not None:
                    shown = dict.fromkeys(segment.end.outs)
                    watch(segment.end, {name: self.memory.load(name) for name in shown})
        finally:
            self.pool.run(done, self.pool.count)  # what broke off still counts as a run for the threads
        if self._status.any():
            self._report_status()

    def execute(self) -> None:
        """All instructions, on the inputs that lie in the arena: a run of a nested program."""
        self._execute(None)

    def call(self, instr: Instr) -> None:
        """An instruction without code of its own: nested programs, or numpy."""
        bodies = self._nested.get(id(instr))
        if bodies is None:
            host_call(self.memory, instr)
            return
        operands = {name: self.memory.load(name) for name in instr.ins}
        types = [self.program.buffers[name].type for name in instr.outs]
        for name, content in zip(instr.outs, drive(instr.op, operands, bodies, types), strict=True):
            self.memory.store(name, content)

    def _report_status(self) -> None:
        position = int(np.flatnonzero(self._status)[0])
        self._status[:] = 0
        instr = self.bindings[position].instr
        shapes = ", ".join(f"%{name}: {self.program.buffers[name].type.logical}" for name in instr.ins)
        raise RunProblem(
            f"{instr.name} %{instr.value or instr.outs[0]} met an index outside its tensor",
            f"instruction {position} ({', '.join(instr.origin.names) or 'made by the compiler'})",
            f"indices that fit {shapes}",
            "check the inputs that the indices come from",
        )

    def _renew_states(self) -> None:
        # all are read before any is written: states may swap their contents
        new = {state: self.memory.load(source) for state, source in self.program.updates.items()}
        for state, array in new.items():
            self.memory.store(state, array)

    # looking -----------------------------------------------------------------------------------

    def timings(self, runs: int = 30, inputs: Mapping[str, Any] | None = None) -> tuple[Span, ...]:
        """One span (ns) for each instruction, thread and run; states are put back to what they were."""
        arrays = check_inputs(self.program, inputs) if inputs is not None else None
        with self._lock:
            if arrays is not None or not self._has_inputs:
                self._load(arrays if arrays is not None else noise(self.program))
            return Timer(self.bindings, self.pool, self.memory, self.call).measure(runs)

    def listing(self) -> tuple[Listing, ...]:
        """LLVM IR, assembly (made when looked at), schedule and reason of every instruction."""
        return tuple(made._listed(position, b) for position, (made, b) in enumerate(self.numbered()))

    def numbered(self) -> list[tuple[CpuExecutable, Binding]]:
        """All bindings with their executables, in the order of `Program.numbered`."""
        found: list[tuple[CpuExecutable, Binding]] = [(self, binding) for binding in self.bindings]
        for made, binding in found:  # it grows while we look, as the program's numbers do
            for body in made._nested.get(id(binding.instr), ()):
                found += [(body.executable, inner) for inner in body.executable.bindings]
        return found

    def _listed(self, position: int, b: Binding) -> Listing:
        name, value = b.instr.name, b.instr.value or b.instr.outs[0]
        if b.code is None:
            lacking = f"the CPU backend has no kernel for {name} on these operands; the interpreter runs it"
            nested = bool(b.instr.regions)
            why = b.why if nested else f"host call: {b.why or lacking}"
            return Listing(position, name, value, native=nested, schedule=dict(b.instr.schedule), why=why)
        assembly = partial(self._cache.assembly_of, b.text, self.target)
        schedule = dict(b.instr.schedule) | dict(b.code.schedule)
        tiles = b.code.split_tiles
        return Listing(position, name, value, True, b.symbol, b.text, schedule, b.code.why, tiles, assembly)

    def peak_gflops(self) -> float:
        """GFLOP/s of one thread doing nothing but multiply-adds on registers, measured now."""
        return measured_peak(self.target, self._cache)

    def peak_gbytes(self, threads: int = 1) -> dict[str, float]:
        """GB/s of so many threads that only read, from each cache and from memory, measured now."""
        return measured_reading(self.target, self._cache, threads)

    def account(self) -> MemoryAccount:
        """Bytes by use; `code` counts loaded instructions and constants."""
        sizes = self.memory.sizes
        packed = sum(b.bytes for b in self.program.of_kind("weight") if b.base is None and b.type.order is not None)
        return MemoryAccount(
            sizes.get("weights", 0), packed, sizes.get("activations", 0), sizes.get("state", 0), sizes.get("io", 0),
            self._scratch.size, sum(code_bytes(o) for e in self._all() for o in e.objects.values()), peak_bytes(),
        )  # fmt: skip

    def _all(self) -> list[CpuExecutable]:
        """This executable and those nested in it."""
        found: list[CpuExecutable] = [self]
        for made in found:
            found += [body.executable for bodies in made._nested.values() for body in bodies]
        return found

    def save(self, path: Path | str) -> Path:
        """An ahead-of-time bundle: objects with one entry function, weights, and a description in JSON."""
        return save_bundle(Path(path), self)

    def close(self) -> None:
        """End the threads. The executable stays usable: the next run starts them again."""
        with self._lock:
            self.pool.stop()


@dataclass(frozen=True)
class Segment:
    """Native steps first..last, then perhaps one host call; `end` is the last instruction of it."""

    first: int
    last: int
    host: Instr | None
    end: Instr


def segments(bindings: Sequence[Binding], each: bool) -> list[Segment]:
    """The instruction table cut behind every host call, or behind each instruction."""
    found: list[Segment] = []
    first = step = 0
    for binding in bindings:
        native = binding.code is not None
        step += native
        if each or not native or binding is bindings[-1]:
            found.append(Segment(first, step, None if native else binding.instr, binding.instr))
            first = step
    return found


def host_call(memory: Arenas, instr: Instr) -> None:
    """The visible last resort: numpy computes one instruction from and into the arena."""
    arrays = {name: memory.load(name) for name in instr.ins}
    types = tuple(memory.program.buffers[name].type for name in instr.outs)
    results = evaluate(instr.op, arrays, instr.value or instr.outs[0], instr.origin, types)
    for name, array in zip(instr.outs, results, strict=False):
        memory.store(name, array)
