"""Constants that a text names by sha256 are found again: in the .npz file beside it, else in the content store."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from glowviz.compiler.folders import beyond, cache_folder
from glowviz.compiler.graph import Graph, Payload
from glowviz.compiler.program import Program
from glowviz.compiler.text.literals import payload_text
from glowviz.compiler.text.printer import print_graph, print_program
from glowviz.compiler.types import ELEMENT_OF, ELEMENTS

STORE_LIMIT = 1 << 30
"""Bytes that the content store holds; the oldest contents go first."""


def text_of(ir: Graph | Program) -> str:
    """The text of either IR, with a line end."""
    return (print_graph(ir) if isinstance(ir, Graph) else print_program(ir)) + "\n"


def hashed_payloads(ir: Graph | Program) -> dict[str, Payload]:
    """Digest to contents of everything that the text of `ir` names by hash only."""
    found = {one.digest: one for one in _payloads(ir) if payload_text(one).startswith("sha256:")}
    return {digest: one for digest, one in found.items() if one.array.dtype != object}


def _payloads(ir: Graph | Program) -> Iterator[Payload]:
    if isinstance(ir, Program):
        yield from (b.payload for b in ir.buffers.values() if b.payload is not None)
        ops = [instr.op for instr in ir.instructions]
    else:
        yield from (c.payload for c in ir.constants.values())
        yield from (s.initial for s in ir.states.values())
        ops = [node.op for node in ir.nodes.values()]
    for op in ops:
        for value in vars(op).values():
            if isinstance(value, (Graph, Program)):
                yield from _payloads(value)


def write_glow(path: str | Path, ir: Graph | Program) -> Path | None:
    """Write the text to `path` and, where it names contents by hash, these to the .npz beside it, which is returned."""
    path = Path(path)
    path.write_text(text_of(ir), encoding="utf-8")
    contents = hashed_payloads(ir)
    if not contents:
        return None
    beside = path.with_suffix(".npz")
    np.savez(beside, allow_pickle=False, **dict(_entry(d, p.array) for d, p in contents.items()))  # type: ignore[arg-type]  # arrays by name
    return beside


class Contents:
    """Looks contents up by digest: the .npz beside `path` first, then the store. What does not match is not taken."""

    def __init__(self, path: str | Path | None = None) -> None:
        self._beside = Path(path).with_suffix(".npz") if path is not None else None

    def __call__(self, digest: str) -> Payload | None:
        beside = [self._beside] if self._beside is not None else []
        for file in (*beside, _stored(digest)):
            found = _read(file, digest)
            if found is not None:
                return found
        return None


def keep(ir: Graph | Program) -> None:
    """Put contents that the text of `ir` names by hash into the store, so that the text alone can be read again."""
    for digest, payload in hashed_payloads(ir).items():
        with suppress(OSError):  # a store that cannot be written costs a reader later, nothing now
            _store(digest, payload.array)
    _evict()


def _entry(digest: str, array: np.ndarray) -> tuple[str, np.ndarray]:
    """Name and bytes as numpy saves them: element kinds that .npy files cannot name travel as bytes."""
    plain = np.ascontiguousarray(array)
    return f"{digest} {ELEMENT_OF[array.dtype]}", plain.view(np.uint8) if array.dtype.kind == "V" else plain


def _read(file: Path, digest: str) -> Payload | None:
    if not file.is_file():
        return None
    with suppress(OSError, ValueError, BadZipFile, KeyError), np.load(file, allow_pickle=False) as arrays:
        for key in arrays.files:
            name, _, elem = key.partition(" ")
            if name == digest and elem in ELEMENTS:
                payload = Payload(arrays[key].view(ELEMENTS[elem]))
                return payload if payload.digest == digest else None
    return None


def _folder() -> Path:
    return cache_folder() / "contents"


def _stored(digest: str) -> Path:
    return _folder() / f"{digest}.npz" if digest.isalnum() else Path(os.devnull)


def _store(digest: str, array: np.ndarray) -> None:
    path = _stored(digest)
    if path.exists():
        os.utime(path)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as fresh:
        np.savez(fresh, allow_pickle=False, **dict([_entry(digest, array)]))  # type: ignore[arg-type]  # arrays by name
    os.replace(fresh.name, path)


def _evict() -> None:
    """Remove the contents used longest ago until the store is within its limit."""
    for path in beyond(_folder().glob("*.npz"), STORE_LIMIT):
        with suppress(OSError):  # another process may evict at the same time
            path.unlink(missing_ok=True)
