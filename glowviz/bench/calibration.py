"""Whether the cores of this machine can all compute at once: virtual ones may share a physical core for seconds."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from glowviz.compiler.backends.cpu.cpu_targets import host_target
from glowviz.compiler.backends.cpu.objects import ObjectCache
from glowviz.compiler.backends.cpu.peak import PeakLoop

TURNS = 400_000  # about 1.5 ms


class Calibration:
    """A loop of multiply-adds on registers, run on one thread and then on all of them."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.loop = PeakLoop(host_target(), ObjectCache())
        self.pool = ThreadPoolExecutor(threads)

    def slowdown(self) -> float:
        """Time of all threads at once ÷ time of one alone, now: 1 where every thread has a core of its own."""
        alone = min(self.loop.nanoseconds(TURNS) for _ in range(3))
        together = min(max(self.pool.map(self.loop.nanoseconds, [TURNS] * self.threads)) for _ in range(3))
        return together / alone
