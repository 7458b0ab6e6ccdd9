"""Whether the cores of this machine can all compute at once: virtual ones may share a physical core for seconds."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from glowviz.compiler.backends.cpu.cpu_targets import host_target
from glowviz.compiler.backends.cpu.objects import ObjectCache
from glowviz.compiler.backends.cpu.peak import PeakLoop

TURNS = 1_500_000  # about 5 ms: starting threads is nothing beside it


class Calibration:
    """A loop of multiply-adds on registers, run on one thread and then on all of them."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.loop = PeakLoop(host_target(), ObjectCache())
        self.pool = ThreadPoolExecutor(threads)

    def slowdown(self) -> float:
        """Time of all threads at once ÷ time of one alone, now: 1 where every thread has a core of its own."""
        alone = min(self._wall(1) for _ in range(3))
        return min(self._wall(self.threads) for _ in range(3)) / alone

    def _wall(self, threads: int) -> int:
        """From the start of the first to the end of the last: a thread that waits for a core reads no clock."""
        started = time.perf_counter_ns()
        list(self.pool.map(self.loop.nanoseconds, [TURNS] * threads))
        return time.perf_counter_ns() - started
