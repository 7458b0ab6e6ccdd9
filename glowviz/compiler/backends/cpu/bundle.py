"""A compiled program as files that run without glowviz: objects, one C entry function, weights, a description."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from glowviz.compiler.backends.cpu.executable import CpuExecutable


def save_bundle(path: Path, executable: CpuExecutable) -> Path:
    raise NotImplementedError
