"""Threads walk the instruction table together, and any number of them gives the same bits."""

import ctypes
import os
import weakref
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from glowviz.compiler.backends.cpu.objects import Library, ObjectCache, kernel_key
from glowviz.compiler.backends.cpu.pool_code import CONTEXT_BYTES, COUNTER_BYTES, FIELDS, FUNCTIONS, pool_text
from glowviz.compiler.target import Target

CHUNKS = 8
"""Chunks an instruction falls into: enough that a late thread holds nobody up, few enough to be claimed cheaply."""


FUNCTION = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
_LIBRARIES: dict[str, Library] = {}


def pool_library(target: Target, cache: ObjectCache) -> Library:
    """The pool's code, loaded once for each machine and kept while the process lives: it holds no data."""
    text = pool_text(target)
    key = kernel_key(text, target)
    if key not in _LIBRARIES:
        _LIBRARIES[key] = Library([cache.object_of(text, target)], FUNCTIONS)
    return _LIBRARIES[key]


@dataclass(frozen=True)
class Step:
    """One native instruction: function address, address of its operand pointers, split tiles, chunks."""

    function: int
    arguments: int
    tiles: int
    chunks: int


class Pool:
    """Runs a table of steps. Steps are numbered through all runs: position = run · len(steps) + index.

    With one thread no thread is started and no counter touched. Not for use from two threads at once: the
    caller holds a lock.
    """

    def __init__(self, steps: Sequence[Step], threads: int, target: Target, cache: ObjectCache) -> None:
        self.threads, self.count = threads, len(steps)
        self._library = pool_library(target, cache)
        self._call = {name: FUNCTION(self._library.addresses[name]) for name in FUNCTIONS}
        rows = [(s.function, s.arguments, s.tiles, min(s.chunks, max(s.tiles, 1))) for s in steps]
        self._table = np.array(rows or [(0, 0, 0, 0)], np.uint64)
        self._counters = np.zeros(COUNTER_BYTES // 8 * max(self.count, 1) + 16, np.int64)
        self._context = np.zeros(CONTEXT_BYTES // 8 + threads, np.int64)
        self._stamps = np.zeros((threads, max(self.count, 1), 2), np.int64)
        self._address = self._context.ctypes.data
        self._set("table", self._table.ctypes.data)
        self._set("count", self.count)
        self._set("counters", (self._counters.ctypes.data + 127) & ~127)
        self._position, self._stop = 0, None

    def _set(self, field: str, value: int) -> None:
        self._context[FIELDS[field] // 8] = value

    def run(self, first: int, last: int) -> None:
        """Run steps first..last (exclusive) of this run, in order, each finished before the next begins."""
        if first >= last:
            return
        if self.threads == 1:
            self._call["glowviz_walk"](self._address, first, last)
            return
        if self._stop is None:
            self._start()
        self._position += last - first
        self._call["glowviz_run"](self._address, self._position, 0)

    def _start(self) -> None:
        self._call["glowviz_start"](self._address, self.threads - 1, 0)
        arguments = (os.getpid(), self._call["glowviz_stop"], self._address, self.threads - 1)
        keep = (self._library, self._table, self._counters, self._context, self._stamps)
        self._stop = weakref.finalize(self, _stop, *arguments, keep)

    def stop(self) -> None:
        """End the threads; the next run starts them again from where they were."""
        if self._stop is not None:
            self._stop()
            self._stop = None
            self._set("limit", self._position)
            self._set("workers", 0)

    def stamp(self, on: bool) -> None:
        """Have every thread note the clock before and after its part of each step, or not."""
        self._set("stamps", self._stamps.ctypes.data if on else 0)

    def stamps(self) -> np.ndarray:
        """Clock ticks [thread, step, (start, end)] of the last run, zero where a thread took no part; then cleared."""
        found = self._stamps.copy()
        self._stamps[:] = 0
        return found

    def clock(self) -> int:
        """The clock that stamps are read from, in its own ticks."""
        self._call["glowviz_clock"](self._address, 0, 0)
        return int(self._context[FIELDS["clock"] // 8])


def _stop(process: int, stop: object, address: int, threads: int, keep: tuple[object, ...]) -> None:
    # a forked child has the memory but not the threads: nothing to join there
    if os.getpid() == process and callable(stop):
        stop(address, threads, 0)
    del keep
