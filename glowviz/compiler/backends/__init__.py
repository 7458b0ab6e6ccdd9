"""Every machine that can be compiled for, by name."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping

from glowviz.compiler.backends.base import Backend, BackendProblem

BACKENDS: Mapping[str, tuple[str, str]] = {
    "cpu": ("glowviz.compiler.backends.cpu.backend:host", "machine code for this processor, through LLVM"),
    "cpu-avx512": ("glowviz.compiler.backends.cpu.backend:avx512", "machine code for any x86-64 with AVX-512"),
    "cpu-avx2": ("glowviz.compiler.backends.cpu.backend:avx2", "machine code for any x86-64 with AVX2 and FMA"),
    "cpu-baseline": ("glowviz.compiler.backends.cpu.backend:baseline", "machine code for every x86-64 (SSE2)"),
    "interpreter": ("glowviz.compiler.backends.interpreter_backend:interpreter", "numpy, the definition of right"),
}
"""Name to (`module:function`, one line for the tables); the function takes the number of threads."""


def backend_named(name: str, threads: int = 1) -> Backend:
    """The backend of that name; BackendProblem names the nearest one there is."""
    if name not in BACKENDS:
        near = difflib.get_close_matches(name, BACKENDS, n=1)
        raise BackendProblem(
            f"there is no backend {name!r}", "target", " | ".join(BACKENDS),
            f"did you mean {near[0]!r}?" if near else "",
        )  # fmt: skip
    if not isinstance(threads, int) or threads < 1:
        raise BackendProblem(f"threads={threads!r} is no number of threads", "threads", "1, 2, 3, …")
    module, function = BACKENDS[name][0].split(":")
    return getattr(importlib.import_module(module), function)(threads)
