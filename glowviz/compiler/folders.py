"""cache_folder() is where everything lies that can be made again: kernels, gallery models, recordings, contents."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import platformdirs

CACHE_VARIABLE = "GLOWVIZ_CACHE"


def cache_folder() -> Path:
    """$GLOWVIZ_CACHE, else the user's cache folder of this system. It need not exist yet."""
    chosen = os.environ.get(CACHE_VARIABLE)
    return Path(chosen) if chosen else platformdirs.user_cache_path("glowviz")


def beyond(paths: Iterable[Path], limit: int, down_to: int | None = None) -> list[Path]:
    """Which files (or folders of files) must go, those unused for longest first, for the rest to have `limit` bytes.

    Where some must go, they go until the rest has `down_to` bytes. The newest one stays, whatever its size.
    """
    known: list[tuple[int, int, Path]] = []
    for path in paths:
        with suppress(OSError):  # another process may delete it at this moment
            known.append((path.stat().st_mtime_ns, bytes_in(path), path))
    total, gone = sum(size for _, size, _ in known), list[Path]()
    goal = limit if down_to is None or total <= limit else down_to
    for _, size, path in sorted(known)[:-1]:
        if total <= goal:
            break
        total -= size
        gone.append(path)
    return gone


def bytes_in(path: Path) -> int:
    """Of a file, or of all files in a folder."""
    if path.is_dir():
        return sum(entry.stat().st_size for entry in os.scandir(path))
    return path.stat().st_size
