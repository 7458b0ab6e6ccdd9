"""Limits says how much time, memory and disk one job may take, and apply() makes the system enforce it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

try:
    import resource
except ImportError:  # Windows has no such limits; the wall clock still holds there
    resource = None

GIB = 1 << 30


@dataclass(frozen=True)
class Limits:
    """What one job may take at most.

    wall: seconds by the clock, kept by the supervisor. cpu: seconds of processor time over all threads.
    memory: bytes of address space beyond what the empty worker has. file_size: bytes of any one file.
    """

    wall: float = 120.0
    cpu: float = 240.0
    memory: int = 6 * GIB
    file_size: int = 2 * GIB

    def apply(self) -> list[str]:
        """Bind the calling process; returns the names of limits that this system cannot enforce."""
        if resource is None:
            return ["cpu", "memory", "file_size"]
        space = address_space()
        _soft(resource.RLIMIT_CPU, max(1, round(self.cpu)))
        _soft(resource.RLIMIT_FSIZE, self.file_size)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if space is None or sys.platform == "darwin":  # macOS accepts the limit and does not keep it
            return ["memory"]
        _soft(resource.RLIMIT_AS, space + self.memory)
        return []


def lift() -> None:
    """Raise the memory and file limits again, so that the report of an exceeded one can be written."""
    if resource is not None:
        for kind in (resource.RLIMIT_AS, resource.RLIMIT_FSIZE):
            hard = resource.getrlimit(kind)[1]
            resource.setrlimit(kind, (hard, hard))


def address_space() -> int | None:
    """Bytes of address space this process has now, None where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:
        return None
    return pages * resource.getpagesize() if resource is not None else None


def _soft(kind: int, amount: int) -> None:
    """Set the soft limit only, and never above what the process already has as hard limit."""
    assert resource is not None
    hard = resource.getrlimit(kind)[1]
    resource.setrlimit(kind, (amount if hard < 0 else min(amount, hard), hard))
