"""Each instruction of many runs is timed on every thread, with the processor's own clock where it has one."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from glowviz.compiler.target import Span

if TYPE_CHECKING:
    from glowviz.compiler.backends.cpu.arena import Arenas
    from glowviz.compiler.backends.cpu.executable import Binding
    from glowviz.compiler.backends.cpu.pool import Pool
    from glowviz.compiler.program import Instr

CALIBRATION = 5_000_000  # ns over which clock ticks are compared with nanoseconds, at least
State = dict[str, np.ndarray]


class Timer:
    """Runs a loaded executable again and again on the inputs that lie in its arena."""

    def __init__(
        self, bindings: Sequence[Binding], pool: Pool, memory: Arenas, call: Callable[[Instr], None]
    ) -> None:
        self.bindings, self.pool, self.memory, self.call = bindings, pool, memory, call
        self.natives = [p for p, b in enumerate(bindings) if b.code is not None]

    def measure(self, runs: int) -> tuple[Span, ...]:
        """All spans, in ns from the first clock reading; every sample is kept."""
        before = {name: self.memory.load(name) for name in self.memory.program.updates}
        self.pool.stamp(True)
        started = time.perf_counter_ns()
        ticks = self.pool.clock()
        stamps, hosts = [], []
        try:
            for _ in range(runs):
                hosts.append(self._run_once(started))
                stamps.append(self.pool.stamps())
        finally:
            self.pool.stamp(False)
            for name, array in before.items():
                self.memory.store(name, array)
        while time.perf_counter_ns() - started < CALIBRATION:
            pass
        per_tick = (time.perf_counter_ns() - started) / max(self.pool.clock() - ticks, 1)
        spans: list[Span] = []
        for run in range(runs):
            spans += self._native_spans(run, (stamps[run] - ticks) * per_tick, stamps[run][..., 1] > 0)
            spans += [self._span(run, position, 0, *times) for position, times in hosts[run].items()]
        return tuple(sorted(spans, key=lambda s: (s.counters["run"], s.counters["position"], s.lane)))

    def _run_once(self, started: int) -> dict[int, tuple[float, float]]:
        step, hosts = 0, {}
        for position, binding in enumerate(self.bindings):
            if binding.code is not None:
                continue
            native = position - len(hosts)
            self.pool.run(step, native)
            step = native
            begin = time.perf_counter_ns()
            self.call(binding.instr)
            hosts[position] = (float(begin - started), float(time.perf_counter_ns() - begin))
        self.pool.run(step, self.pool.count)
        return hosts

    def _native_spans(self, run: int, times: np.ndarray, took_part: np.ndarray) -> list[Span]:
        spans = []
        for lane, step in np.argwhere(took_part[:, : len(self.natives)]):
            start, end = times[lane, step]
            spans.append(self._span(run, self.natives[step], int(lane), float(start), float(end - start)))
        return spans

    def _span(self, run: int, position: int, lane: int, start: float, duration: float) -> Span:
        instr = self.bindings[position].instr
        counters = {"position": float(position), "run": float(run)}
        return Span(instr.value or instr.outs[0], lane, start, duration, "ns", counters)
