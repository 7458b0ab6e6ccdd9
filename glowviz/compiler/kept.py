"""A model that was compiled before, with the same choices and the same compiler, is found whole in the user's cache."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import glowviz.compiler
from glowviz.compiler.backends.base import Backend, Executable, KeepingBackend
from glowviz.compiler.folders import beyond, bytes_in, cache_folder
from glowviz.compiler.hashes import FileIdentity, file_hash, identity
from glowviz.compiler.loading import LOADED
from glowviz.compiler.ops.base import OPS
from glowviz.compiler.plugins import load_plugins
from glowviz.compiler.rewrite import PASSES

FORMAT = 1
SWITCH = "GLOWVIZ_KEEP"
"""Set to 0, it keeps nothing and finds nothing."""
LIMIT = 4 << 30
"""Bytes of all kept models; beyond it those unused for longest go. One model may take a quarter of it."""
LARGE = 16 << 20
"""Bytes of one from which all are looked at; after smaller ones every sixteenth time."""
FREE = 8
"""A kept model takes at most one part in so many of the free space of its disk."""
FRESH = ".new-"
ABANDONED = 3600.0
"""Seconds after which a folder that was not finished never will be."""
FILES = "files.json"
"""The side files of the model and their identities."""


@dataclass(frozen=True)
class Shelf:
    """The place of one request: a model with everything that decides what it is compiled to."""

    path: Path
    model: Path | None

    def find(self, backend: KeepingBackend) -> Executable | None:
        """The executable kept here, unless a side file of the model has changed."""
        if not (self.path / FILES).exists() or not _is_private(self.path):
            return None
        try:
            told = json.loads((self.path / FILES).read_text(encoding="utf-8"))
            if any(_identity_of(self._beside(name)) != FileIdentity(*known) for name, known in told.items()):
                return None
            executable = backend.restore(self.path)
            os.utime(self.path)
        except Exception:  # whatever broke it, compiling makes it anew
            shutil.rmtree(self.path, ignore_errors=True)
            return None
        return executable

    def make(self, build: Callable[[Path | None], tuple[Executable, bool]]) -> Executable:
        """What `build` makes in a folder, which then is found here if all is in it; where none can be, without."""
        fresh = self._fresh()
        if fresh is None:
            return build(None)[0]
        try:
            executable, whole = build(fresh)
            with suppress(OSError):  # another process may have been faster, or tidy up at this moment
                if whole and self._fits(fresh) and self._name_files(fresh, executable):
                    self._take(fresh)
            return executable
        finally:
            shutil.rmtree(fresh, ignore_errors=True)

    def _fresh(self) -> Path | None:
        """A new folder beside the place; None where nothing can be written."""
        with suppress(OSError):
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            return Path(tempfile.mkdtemp(dir=self.path.parent, prefix=FRESH))
        return None

    def _take(self, fresh: Path) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        fresh.rename(self.path)
        if self.path.name.startswith("0") or bytes_in(self.path) > LARGE:  # looking at all of them takes time
            prune(self.path.parent)

    def _fits(self, fresh: Path) -> bool:
        size = bytes_in(fresh)
        return size <= LIMIT // 4 and size <= shutil.disk_usage(fresh).free // FREE

    def _name_files(self, fresh: Path, executable: Executable) -> bool:
        """Write down which side files the model was read from; False where one changed a moment ago."""
        names: Sequence[str] = executable.program.metadata.get("external_files", ())
        known = {name: _identity_of(self._beside(name)) for name in names}
        settled = all(one is not None and one.settled for one in known.values())
        if settled:
            (fresh / FILES).write_text(json.dumps(known), encoding="utf-8")
        return settled

    def _beside(self, name: str) -> Path:
        return (self.model.parent if self.model else Path()) / name


def shelf_of(source: Any, backend: Backend, choices: Any) -> Shelf | None:
    """The place for a model with these choices (JSON data); None where it is not known what decides the result.

    That is so for graphs and models without a file, for passes and operators from elsewhere, and where every pass is
    to be verified or told of: then all of them have to run.
    """
    machine = backend.facts() if isinstance(backend, KeepingBackend) else None
    if machine is None or _is_watched() or _has_strangers():
        return None
    try:
        model = Path(os.fspath(source)).absolute() if isinstance(source, (str, os.PathLike)) else None
        content = file_hash(model) if model else hashlib.sha256(_bytes_of(source)).hexdigest()
        facts = [FORMAT, str(model), content, *_compiler(), machine, _plain(choices)]
        text = json.dumps(facts)
    except (OSError, TypeError, ValueError):  # no file, no bytes, or choices that are not plain data
        return None
    return Shelf(kept_folder() / hashlib.sha256(text.encode()).hexdigest()[:40], model)


def kept_folder() -> Path:
    """Where compiled models are kept."""
    return cache_folder() / "compiled"


def prune(folder: Path, limit: int = LIMIT) -> None:
    """Delete the models unused for longest until the rest fits, and what processes that were killed have left."""
    gone = beyond(folder.glob("[!.]*"), limit)
    for path in folder.glob(f"{FRESH}*"):
        with suppress(OSError):  # its process may finish it at this moment
            gone += [path] if path.stat().st_mtime < time.time() - ABANDONED else []
    for path in gone:
        shutil.rmtree(path, ignore_errors=True)


def _bytes_of(source: Any) -> bytes:
    """TypeError for what is neither path nor bytes, such as a graph."""
    if not isinstance(source, bytes):
        raise TypeError(f"{type(source).__name__} has no bytes")
    return source


def _is_watched() -> bool:
    """Somebody wants to see all passes work, or nothing kept."""
    watching = os.environ.get("GLOWVIZ_VERIFY") or os.environ.get("GLOWVIZ_DEBUG")
    return bool(watching) or os.environ.get(SWITCH) == "0"


def _has_strangers() -> bool:
    """Something that is not part of glowviz has a say in what is compiled."""
    load_plugins()
    declared = [one.function.__module__ for one in PASSES.values()]
    declared += [rule.function.__module__ for one in PASSES.values() for rule in one.rules]
    declared += [kind.__module__ for kind in OPS.values()]
    return any(not name.startswith("glowviz.") for name in declared) or any(
        name.startswith(LOADED) for name in sys.modules
    )


@cache
def _compiler() -> tuple[str, ...]:
    """Versions of everything that makes code, with the identities of our own files: they change while one works."""
    files = sorted(_sources(glowviz.compiler.__path__[0]))
    own = hashlib.sha256(json.dumps(files).encode()).hexdigest()
    return own, platform.python_version(), version("numpy"), version("onnx"), version("llvmlite")


def _sources(folder: str) -> Iterator[tuple[str, int, int]]:
    for entry in os.scandir(folder):
        if entry.is_dir():
            yield from _sources(entry.path)
        elif entry.name.endswith(".py"):
            status = entry.stat()
            yield entry.path, status.st_size, status.st_mtime_ns


def _plain(choices: Any) -> Any:
    """The same data in the one order of its keys; TypeError for what JSON does not know."""
    return json.loads(json.dumps(choices, sort_keys=True))


def _identity_of(path: Path) -> FileIdentity | None:
    with suppress(OSError):
        return identity(path.stat())
    return None


def _is_private(folder: Path) -> bool:
    """Nobody else can have put it there: what lies in it is run."""
    if not hasattr(os, "getuid"):
        return True
    status = folder.stat()
    return status.st_uid == os.getuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
