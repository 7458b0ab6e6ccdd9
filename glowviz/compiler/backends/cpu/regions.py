"""Memory for arenas: pages of its own, large ones where the system has them, or a file that many processes map."""

from __future__ import annotations

import contextlib
import mmap
import os
from pathlib import Path
from typing import IO

import numpy as np

from glowviz.compiler.backends.cpu.nested import Window

COPIED = 64 << 20
"""Bytes up to which weights in a file are read into large pages; beyond it they are mapped."""
HUGE = 2 << 20
"""Bytes of a large page of the processors we know: with small ones, streaming weights waits for page tables."""


class Region:
    """Zeroed memory of its own pages, large ones where the system has them; `address` is where it starts."""

    def __init__(self, size: int) -> None:
        self.size = size
        wide = size >= HUGE and hasattr(mmap, "MADV_HUGEPAGE")
        # private: a forked child must not write into our arenas
        private = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}
        self._pages = mmap.mmap(-1, max(size, 1) + HUGE * wide, **private)
        pages = np.frombuffer(self._pages, np.uint8)
        start = -pages.ctypes.data % HUGE if wide else 0
        if wide:  # whole large pages only: a last part of one would be memory for nothing
            with contextlib.suppress(OSError):
                self._pages.madvise(mmap.MADV_HUGEPAGE, 0, (start + size) // HUGE * HUGE)
        self.bytes = pages[start : start + max(size, 1)]
        self.address = int(self.bytes.ctypes.data)


class FileRegion:
    """Memory that is a file: the pages of all processes that map it are the same, and read when somebody asks."""

    def __init__(self, path: Path, size: int, writable: bool = False) -> None:
        self.size = size
        with open(path, "w+b" if writable else "rb") as file:
            if writable:  # all of it now: a full disk is an error here, and a dead process later
                os.posix_fallocate(file.fileno(), 0, size)
            check_size(file, size)
            self._pages = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ)
        self.bytes = np.frombuffer(self._pages, np.uint8)
        self.address = int(self.bytes.ctypes.data)


class WeightsFile:
    """The weights arena of a compiled model: written once, then mapped where it is big and read where it is small.

    Kernels stream weights from large pages up to 2 % faster, so a copy pays as long as it takes few milliseconds.
    Whatever cannot be read or written is an OSError.
    """

    def __init__(self, path: Path, size: int) -> None:
        self.path, self.size = path, size
        self.found = path.exists()

    def region(self) -> Region | FileRegion:
        """The weights, if the file has them; else the memory to write them to."""
        if self.size > COPIED and (self.found or hasattr(os, "posix_fallocate")):
            return FileRegion(self.path, self.size, writable=not self.found)
        region = Region(self.size)
        if self.found:
            with open(self.path, "rb") as file:
                check_size(file, self.size)
                file.readinto(region.bytes.data)
        return region

    def written(self, region: Region | FileRegion | Window) -> Region | FileRegion | Window:
        """What the weights lie in from now on, after they were written to `region`."""
        if isinstance(region, FileRegion):  # whatever a kernel does, it cannot spoil the file
            return FileRegion(self.path, self.size)
        with open(self.path, "wb") as file:
            file.write(region.bytes.data)
        return region


def check_size(file: IO[bytes], size: int) -> None:
    """OSError unless the file has this many bytes."""
    if os.fstat(file.fileno()).st_size != size:
        raise OSError(f"{file.name} is not {size} bytes long")
