"""The hash of a file, or of a weight mapped from one, is computed once and then found by the file's identity."""

from __future__ import annotations

import atexit
import hashlib
import mmap
import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import IO, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

import numpy as np

from glowviz.compiler.folders import cache_folder

MOST = 50_000
"""Hashes kept, about 8 MB; the oldest go first."""
SMALL = 1 << 16
"""Bytes below which hashing is cheaper than asking."""
SETTLED = 2.0
"""Seconds since the last change of a file after which the next one is sure to get another time."""

TABLE = """
CREATE TABLE IF NOT EXISTS hashes(
  device TEXT, inode TEXT, size INTEGER, changed INTEGER, start INTEGER, kind TEXT, digest TEXT,
  PRIMARY KEY (device, inode, size, changed, start, kind));
"""
TRIM = "DELETE FROM hashes WHERE rowid <= (SELECT MAX(rowid) FROM hashes) - ?"

Found = TypeVar("Found")


class FileIdentity(NamedTuple):
    """What a file is known by: content that changes gets another size or time. Numbers of the file system are text,
    for they may have 64 bits without a sign."""

    device: str
    inode: str
    size: int
    changed: int
    """Nanoseconds since 1970."""

    @property
    def settled(self) -> bool:
        """A change from now on would show in the time: clocks of file systems are coarse."""
        return time.time_ns() - self.changed > SETTLED * 1e9


def identity(status: os.stat_result) -> FileIdentity:
    return FileIdentity(str(status.st_dev), str(status.st_ino), status.st_size, status.st_mtime_ns)


class _Mapped(NamedTuple):
    file: FileIdentity
    address: int


_MAPS: WeakKeyDictionary[mmap.mmap, _Mapped] = WeakKeyDictionary()


def map_file(file: IO[bytes]) -> np.ndarray:
    """The bytes of an open file that is not empty, mapped read-only; hashes of its parts are kept by its identity."""
    found = identity(os.fstat(file.fileno()))
    mapped = np.memmap(file, np.uint8, "r")
    with suppress(AttributeError):  # numpy promises no name for the map below it; without it nothing is kept
        _MAPS[mapped._mmap] = _Mapped(found, _address(mapped))  # type: ignore[attr-defined]  # not in numpy's stubs
    return mapped


def forget_pages() -> None:
    """Take the pages of all mapped files out of this process; whoever reads them again gets them from the system."""
    for pages in list(_MAPS):
        with suppress(AttributeError, OSError, ValueError):  # not on every system, and not of a closed map
            pages.madvise(mmap.MADV_DONTNEED)


def file_hash(path: Path | str) -> str:
    """sha256 of a file's bytes, in hex."""
    with open(path, "rb") as file:
        found = identity(os.fstat(file.fileno()))
        return _kept(found, 0, "file", lambda: hashlib.file_digest(file, "sha256").hexdigest())


def array_hash(array: np.ndarray, kind: str, compute: Callable[[], str]) -> str:
    """What `compute` gives; asked only once for the same part of the same file, seen as the same `kind`."""
    mapped = _mapped(array) if array.nbytes >= SMALL and array.flags.c_contiguous else None
    start = _address(array) - mapped.address if mapped is not None else -1
    if mapped is None or not 0 <= start <= mapped.file.size - array.nbytes:
        return compute()
    return _kept(mapped.file, start, kind, compute)


def _mapped(array: object) -> _Mapped | None:
    """The map that an array is a view of."""
    while array is not None and not isinstance(array, mmap.mmap):
        below = getattr(array, "_mmap", None)
        array = getattr(array, "base", None) if below is None else below
    return None if array is None else _MAPS.get(array)


def _address(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]


def _kept(file: FileIdentity, start: int, kind: str, compute: Callable[[], str]) -> str:
    table = _table() if file.size >= SMALL and file.settled else None
    if table is None:
        return compute()
    return table.find(file, start, kind) or table.keep(file, start, kind, compute())


class HashTable:
    """One SQLite file of hashes that all processes of a user share; one that cannot be used is as good as empty."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.process = os.getpid()
        self.written = 0
        self._lock = Lock()
        self._database: sqlite3.Connection | None = None
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._database = self._try(self._open)

    def find(self, file: FileIdentity, start: int, kind: str) -> str | None:
        """The hash of the part of `file` that begins at byte `start`."""
        where = "device=? AND inode=? AND size=? AND changed=? AND start=? AND kind=?"
        rows = self._execute(f"SELECT digest FROM hashes WHERE {where}", (*file, start, kind))
        digest = rows[0][0] if rows else None
        return digest if isinstance(digest, str) and len(digest) == 64 else None

    def keep(self, file: FileIdentity, start: int, kind: str, digest: str) -> str:
        """Write a hash down, and give it back."""
        self._execute("INSERT OR REPLACE INTO hashes VALUES(?, ?, ?, ?, ?, ?, ?)", (*file, start, kind, digest))
        self.written += 1
        if self.written % 1000 == 0:
            self._execute(TRIM, (MOST,))
        return digest

    def _open(self) -> sqlite3.Connection:
        database = sqlite3.connect(self.path, timeout=1, isolation_level=None, check_same_thread=False)
        database.executescript(f"PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; {TABLE}")
        database.execute(TRIM, (MOST,))
        return database

    def _execute(self, sql: str, values: tuple[str | int, ...]) -> list[tuple[object, ...]]:
        with self._lock:
            database = self._database
            if database is None:
                return []
            return self._try(lambda: database.execute(sql, values).fetchall()) or []

    def _try(self, work: Callable[[], Found]) -> Found | None:
        """None where the file is busy, full or read-only; a damaged one is removed, and this process does without."""
        try:
            return work()
        except sqlite3.OperationalError:
            return None
        except sqlite3.DatabaseError:
            self._database = None
            for suffix in ("", "-wal", "-shm"):
                with suppress(OSError):
                    Path(f"{self.path}{suffix}").unlink(missing_ok=True)
            return None

    def close(self) -> None:
        with self._lock:
            if self._database is not None:
                self._database.close()
                self._database = None


_tables: list[HashTable] = []
"""The one that is open, if any."""


def _table() -> HashTable:
    """The user's table; a connection must not be used after a fork, and the folder may be another one by now."""
    path = cache_folder() / "hashes.sqlite"
    if not _tables or (_tables[0].path, _tables[0].process) != (path, os.getpid()):
        close_table()
        _tables.append(HashTable(path))
    return _tables[0]


@atexit.register
def close_table() -> None:
    """Close the open table, unless it is another process's; the next hash opens it again."""
    for table in _tables:
        if table.process == os.getpid():
            table.close()
    _tables.clear()
