"""Rows of a recording become plain values: columns of names are split, compressed columns unpacked."""

from __future__ import annotations

import re
import sqlite3
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson

from glowviz.compiler.graph import Payload
from glowviz.compiler.recording.schema import ALIVE
from glowviz.compiler.text import quoted
from glowviz.compiler.types import ELEMENTS

SEPARATOR = "\x1f"
"""Between names in one column; no name contains it."""


def split(column: str | None) -> tuple[str, ...]:
    return tuple(column.split(SEPARATOR)) if column else ()


def from_text(origins: str | None) -> str:
    return "  from " + ", ".join(map(quoted, split(origins))) if origins else ""


def change_of(r: sqlite3.Row) -> dict[str, Any]:
    found = dict(r)
    for key in ("removed", "added", "changed"):
        found[key] = split(found[key])
    found["continues"] = orjson.loads(found["continues"]) if found["continues"] else {}
    return found


def example_of(row: list[str]) -> dict[str, str]:
    return dict(zip(("anchor", "reason", "expected", "found", "stranger"), row, strict=True))


def died_or_none(died: int) -> int | None:
    return None if died >= ALIVE else died


def unpacked(blob: bytes | None) -> str:
    return zlib.decompress(blob).decode() if blob else ""


def kernel_of(r: sqlite3.Row, samples: list[tuple[int, str, list[float]]]) -> dict[str, Any]:
    found = dict(r)
    found["native"] = bool(found["native"])
    found["schedule"] = orjson.loads(found["schedule"] or "{}")
    found["llvm"], found["assembly"] = unpacked(found["llvm"]), unpacked(found["assembly"])
    found["lines"] = orjson.loads(zlib.decompress(found["lines"])) if found["lines"] else []
    found["origins"] = split(found["origins"])
    found["spans"] = [{"threads": t, "unit": u, "samples": s} for t, u, s in samples]
    return found


class Absent:
    """Stands for contents that a recording only references: zeros of the right type, found by hash."""

    LINE = re.compile(
        r"(?:const|state|weight) [^\n]*?: (\w+)(?:\([^)\n]*\))?\[([0-9x]*)\][^\n=]*= sha256:([0-9a-f]{64})"
    )

    def __init__(self, text: str) -> None:
        self._found: Mapping[str, tuple[str, str]] = {m[3]: (m[1], m[2]) for m in self.LINE.finditer(text)}

    def __call__(self, digest: str) -> Payload | None:
        found = self._found.get(digest)
        if found is None:
            return None
        shape = tuple(int(n) for n in found[1].split("x")) if found[1] else ()
        return AbsentPayload(np.broadcast_to(np.zeros((), ELEMENTS[found[0]]), shape), digest)


class AbsentPayload(Payload):
    """A payload whose content is not here; it keeps its hash, so its text is still right."""

    __slots__ = ()

    def __init__(self, array: np.ndarray, digest: str) -> None:
        super().__init__(array, spelling=f"sha256:{digest}")
        self._digest = digest
