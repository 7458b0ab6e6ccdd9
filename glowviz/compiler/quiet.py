"""Timings run alone: one process of this machine times at once, and what the others did meanwhile is told."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

try:
    import fcntl
except ImportError:  # not on Windows: there nobody can tell whether another timing runs
    fcntl = None

PATIENCE = 120.0
"""Seconds after which a timing does not wait for another one any more."""
BUSY = 0.2
"""Cores that other processes may use during a timing that still counts as alone."""


@dataclass
class Quiet:
    """What happened during a timing. `others` counts cores that other processes used; None where nobody can tell."""

    sole: bool = False
    others: float | None = None
    started: float = field(default_factory=time.time)

    @property
    def alone(self) -> bool:
        """No other timing ran on this machine, and no other process did much."""
        return self.sole and self.others is not None and self.others <= BUSY

    def facts(self) -> dict[str, Any]:
        """As a recording keeps it."""
        return {"alone": self.alone, "others": self.others, "told": str(self), "at": self.started}

    def __str__(self) -> str:
        if self.alone:
            return "timed alone"
        told = "" if self.sole else "not alone: another timing may have run on this machine"
        if self.others is None:
            return told or "what other processes did meanwhile is not known"
        used = f"other processes used {self.others:.1f} of {os.cpu_count() or 1} cores meanwhile"
        return f"{told}; {used}" if told else f"not alone: {used}"


@contextlib.contextmanager
def alone(
    waiting: Callable[[str], None] = lambda _: None, patience: float = PATIENCE, lock: Path | None = None
) -> Iterator[Quiet]:
    """Hold this machine's one right to time; after `patience` seconds it is timed without, and the Quiet says so.

    `waiting` is told that another timing runs. The Quiet is complete once the block ends.
    """
    quiet = Quiet()
    with _held(lock or Path(tempfile.gettempdir()) / "glowviz-timing.lock", waiting, patience) as quiet.sole:
        quiet.started = time.time()
        before = _clocks()
        try:
            yield quiet
        finally:
            quiet.others = _others(before, _clocks())


@contextlib.contextmanager
def _held(path: Path, waiting: Callable[[str], None], patience: float) -> Iterator[bool]:
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
    except OSError:  # somebody else's file in a folder of all users
        file = -1
    try:
        yield file >= 0 and _locked(file, waiting, patience)
    finally:
        if file >= 0:
            os.close(file)  # which also gives the right back, as the end of a killed process does


def _locked(file: int, waiting: Callable[[str], None], patience: float) -> bool:
    if fcntl is None:
        return False
    end, told = time.monotonic() + patience, False
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() > end:
                return False
            if not told:
                waiting("Kernels: waiting for another timing on this machine")
                told = True
            time.sleep(0.05)
        else:
            return True


def _clocks() -> tuple[float, float, float] | None:
    """Seconds: wall, of all processors at work, of this process; None where the system does not tell."""
    try:
        times = psutil.cpu_times()
    except (OSError, psutil.Error):
        return None
    # Linux counts the time of virtual machines twice: as guest, too.
    rest = sum(getattr(times, name, 0.0) for name in ("idle", "iowait", "guest", "guest_nice"))
    return time.monotonic(), sum(times) - rest, time.process_time()


def _others(before: tuple[float, float, float] | None, after: tuple[float, float, float] | None) -> float | None:
    """Cores that others used between two readings; None where it was too short to tell (clocks tick in 10 ms)."""
    if before is None or after is None or after[0] - before[0] < 0.1:
        return None
    wall, busy, own = (new - old for old, new in zip(before, after, strict=True))
    return max(0.0, (busy - own) / wall)
