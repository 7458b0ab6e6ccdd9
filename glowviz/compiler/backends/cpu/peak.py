"""The peaks of this machine are measured: arithmetic by multiply-adds on registers, each memory by reading it."""

from __future__ import annotations

import ctypes
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from glowviz.compiler.backends.cpu.emitter import Emitter
from glowviz.compiler.backends.cpu.objects import Library, ObjectCache
from glowviz.compiler.target import Target

CHAINS = 12
"""Independent sums: enough to cover the latency of two units."""
TURNS = 100_000
WINDOWS = 7
WINDOW = 64 << 20
"""Bytes of one window at least: several milliseconds, beside which waking threads is little."""
LARGEST = 192 << 20
"""Bytes that are read at most: more than any last cache, and soon filled."""


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


def reading_text(target: Target) -> str:
    """A kernel that adds up CHAINS vectors a turn, hi - lo turns of the memory behind its second argument."""
    em = Emitter("reading", target)
    out, start = em.argument(0), em.argument(1)
    with em.loop(em.low, em.high, step=CHAINS, carry=[em.zeros() for _ in range(CHAINS)]) as loop:
        places = (em.offset(start, (loop.index + at) * (4 * target.vector_width)) for at in range(CHAINS))
        loop.next = [em.load(place) + one for place, one in zip(places, loop.carry, strict=True)]
    total = loop.results[0]
    for one in loop.results[1:]:
        total = total + one
    em.store(total, out)
    return em.text()


def measured_reading(target: Target, cache: ObjectCache | None = None, threads: int = 1) -> dict[str, float]:
    """GB/s at which all threads together read what lies in L2, in L3 and in memory: the best of several windows.

    About 0.2 s; every thread reads a part of its own. A cache that is not there is left out.
    """
    library = Library([(cache or ObjectCache()).object_of(reading_text(target), target)], ["reading"])
    kernel = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p, *[ctypes.c_int64] * 3])(library.addresses["reading"])
    sizes = {"L2": target.l2 // 2 * threads, "L3": target.l3 // 2, "memory": min(4 * target.l3, LARGEST)}
    memory = np.ones((sizes["memory"] + 4096) // 4, np.float32)
    with ThreadPoolExecutor(threads) as pool:
        return {
            name: _reading(kernel, memory, size // threads, target, threads, pool)
            for name, size in sizes.items()
            if size
        }


def _reading(
    kernel: ctypes._FuncPointer, memory: np.ndarray, size: int, target: Target, threads: int, pool: ThreadPoolExecutor
) -> float:
    """GB/s of all threads, each of which reads `size` bytes; small ones several times a window."""
    step = CHAINS * target.vector_width * 4
    vectors = size // step * CHAINS
    start = memory.ctypes.data + -memory.ctypes.data % 64
    sums = np.zeros((threads, 64), np.float32)
    places = [
        [sums[k].ctypes.data + -sums[k].ctypes.data % 64, start + k * (size // step * step)] for k in range(threads)
    ]
    arguments = [np.array(place, np.int64) for place in places]
    turns = max(1, WINDOW // (size * threads))

    def read(k: int) -> None:
        for _ in range(turns):
            kernel(arguments[k].ctypes.data, 0, vectors, 0)

    def wall() -> int:
        started = time.perf_counter_ns()
        for _ in [read(0)] if threads == 1 else pool.map(read, range(threads)):
            pass
        return time.perf_counter_ns() - started

    read(0)
    return threads * turns * vectors * target.vector_width * 4 / min(wall() for _ in range(WINDOWS))
