"""Kernel texts become loaded functions; objects made once are found again on disk."""

import hashlib
import itertools
import os
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from llvmlite import binding

from glowviz.compiler.backends.cpu.elf import BrokenObject, sections
from glowviz.compiler.backends.cpu.machine_code import CODEGEN_LEVEL, assembly, object_code, start_llvm
from glowviz.compiler.folders import beyond, cache_folder
from glowviz.compiler.target import Target

LIMIT = 512 << 20
"""Bytes of the folder of kernels; beyond it the files unused for longest go."""
_LIBRARIES = itertools.count()


def kernel_folder() -> Path:
    """Where objects are kept, in $GLOWVIZ_CACHE or the user's cache folder."""
    return cache_folder() / "kernels"


def kernel_key(text: str, target: Target) -> str:
    """The name under which a kernel's files lie: all that decides its bytes goes in."""
    parts = (start_llvm(), str(CODEGEN_LEVEL), target.triple, target.cpu, target.features, text)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:40]


class ObjectCache:
    """Objects, LLVM IR and, once somebody asked, assembly of kernels, side by side in one folder.

    A folder that cannot be written costs time and nothing else. `hits` and `misses` count lookups. Compiling is
    one process: a kernel takes about 15 ms, and a worker process 0.6 s to start.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or kernel_folder()
        self.hits = self.misses = 0

    def object_of(self, text: str, target: Target) -> bytes:
        """Object bytes of a kernel text, compiled only if no whole object of it is on disk."""
        key = kernel_key(text, target)
        found = self._read(f"{key}.o")
        if found is not None and _is_whole(found):
            self.hits += 1
            self._touch(f"{key}.o")
            return found
        self.misses += 1
        made = object_code(text, target)
        self._write(f"{key}.ll", text.encode())
        self._write(f"{key}.o", made)
        return made

    def assembly_of(self, text: str, target: Target) -> str:
        """Assembly with `.loc` marks that carry line numbers of `text`; made at the first request."""
        name = f"{kernel_key(text, target)}.s"
        found = self._read(name)
        if found is not None:
            return found.decode()
        made = assembly(text, target, lines=True)
        self._write(name, made.encode())
        return made

    def prune(self, limit: int = LIMIT) -> None:
        """Delete what was unused for longest, until a quarter below the limit, if the folder is beyond it."""
        for path in beyond(self.folder.glob("*"), limit, limit * 3 // 4):
            path.unlink(missing_ok=True)

    def _touch(self, name: str) -> None:
        try:
            os.utime(self.folder / name)
        except OSError:
            return

    def _read(self, name: str) -> bytes | None:
        try:
            return (self.folder / name).read_bytes()
        except OSError:
            return None

    def _write(self, name: str, content: bytes) -> None:
        # a reader sees the whole file or none, whoever else writes it meanwhile
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self.folder, delete=False) as file:
                file.write(content)
            os.replace(file.name, self.folder / name)
        except OSError:
            return


def _is_whole(code: bytes) -> bool:
    if not sys.platform.startswith("linux"):
        return bool(code)
    try:
        sections(code)
    except BrokenObject:
        return False
    return True


class Library:
    """Loaded objects; `addresses` tells where every one of `names` starts, for as long as the library lives."""

    def __init__(self, objects: Iterable[bytes], names: Iterable[str]) -> None:
        start_llvm()
        self._engine = binding.create_lljit_compiler()
        builder = binding.JITLibraryBuilder().add_current_process()
        for code in objects:
            builder.add_object_img(code)
        exported = list(names)
        for name in exported:
            builder.export_symbol(name)
        self._tracker = builder.link(self._engine, f"kernels{next(_LIBRARIES)}") if exported else None
        self.addresses: dict[str, int] = {name: self._tracker[name] for name in exported} if self._tracker else {}
