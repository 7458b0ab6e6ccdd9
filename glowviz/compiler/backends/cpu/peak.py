"""The arithmetic peak of this machine is measured with a loop of multiply-adds that touches no memory."""

from __future__ import annotations

import ctypes
import time

import numpy as np

from glowviz.compiler.backends.cpu.emitter import Emitter
from glowviz.compiler.backends.cpu.objects import Library, ObjectCache
from glowviz.compiler.target import Target

CHAINS = 12
"""Independent sums: enough to cover the latency of two units."""
TURNS = 100_000
WINDOWS = 7


def peak_text(target: Target) -> str:
    """A kernel that does CHAINS multiply-adds a turn on registers, hi - lo turns."""
    em = Emitter("peak", target)
    out = em.argument(0)
    factor = em.load(em.argument(1))
    with em.loop(em.low, em.high, carry=[em.zeros() for _ in range(CHAINS)]) as loop:
        loop.next = [em.fma(one, factor, factor) for one in loop.carry]
    total = loop.results[0]
    for one in loop.results[1:]:
        total = total + one
    em.store(total, out)
    return em.text()


def measured_peak(target: Target, cache: ObjectCache | None = None) -> float:
    """GFLOP/s of one thread: the best of several short windows (about 15 ms in all)."""
    loop = PeakLoop(target, cache or ObjectCache())
    return 2 * CHAINS * target.vector_width * TURNS / min(loop.nanoseconds(TURNS) for _ in range(WINDOWS))


class PeakLoop:
    """The loop, loaded; several threads may run one each at the same time, since it releases the interpreter."""

    def __init__(self, target: Target, cache: ObjectCache) -> None:
        self._library = Library([cache.object_of(peak_text(target), target)], ["peak"])
        kind = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p, *[ctypes.c_int64] * 3])
        self._kernel = kind(self._library.addresses["peak"])
        self._memory = np.full(64, 0.5, np.float32)
        start = self._memory.ctypes.data + -self._memory.ctypes.data % 64
        self._arguments = np.array([start, start + 64], np.int64)

    def nanoseconds(self, turns: int) -> int:
        """How long so many turns take now."""
        started = time.perf_counter_ns()
        self._kernel(self._arguments.ctypes.data, 0, turns, 0)
        return time.perf_counter_ns() - started
