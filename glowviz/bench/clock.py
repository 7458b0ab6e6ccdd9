"""Timing on a shared machine: pin() to cores, real_time() for the length of a window, cpu_seconds() of the process."""

from __future__ import annotations

import contextlib
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np


def pin(cores: list[int]) -> bool:
    """Bind this process to these cores; False where that is not possible."""
    try:
        os.sched_setaffinity(0, cores)
    except (OSError, AttributeError):
        return False
    return True


@contextlib.contextmanager
def real_time() -> Iterator[bool]:
    """Real-time priority for all threads of this process, so that others do not cut into the window.

    Gives False, and changes nothing, where the system does not permit it.
    """
    changed = _schedule("SCHED_RR", 1)
    try:
        yield changed
    finally:
        if changed:
            _schedule("SCHED_OTHER", 0)


def _schedule(policy: str, priority: int) -> bool:
    try:
        for thread in os.listdir("/proc/self/task"):
            os.sched_setscheduler(int(thread), getattr(os, policy), os.sched_param(priority))
    except (OSError, AttributeError):
        return False
    return True


def window(call: Callable[[dict[str, np.ndarray]], object], feed: Callable[[int], dict[str, np.ndarray]],
           seconds: float, seed: int) -> tuple[list[int], bool]:
    """Nanoseconds of each call within about this many seconds of calls (at least one), each with a new input.

    One call before them is not counted: another engine has just used the caches. Also says whether
    real-time priority was had.
    """
    call(feed(seed))
    times: list[int] = []
    with real_time() as permitted:
        while not times or sum(times) < seconds * 1e9:
            inputs = feed(seed + len(times) + 1)
            start = time.perf_counter_ns()
            call(inputs)
            times.append(time.perf_counter_ns() - start)
    return times, permitted


def cpu_seconds() -> float:
    """Processor time of this process and of the children it waited for."""
    own, others = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + others.ru_utime + others.ru_stime


def peak_bytes() -> int:
    """The most memory this process has held.

    Not ru_maxrss where it can be avoided: on Linux that also counts what the parent held when it started us.
    """
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
