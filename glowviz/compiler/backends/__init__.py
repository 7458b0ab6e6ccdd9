"""Every machine that can be compiled for, by name."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from importlib.metadata import EntryPoint

from glowviz.compiler.backends.base import Backend, BackendProblem
from glowviz.compiler.plugins import backend_entries, reason, told

BACKENDS: Mapping[str, tuple[str, str]] = {
    "cpu": ("glowviz.compiler.backends.cpu.backend:host", "machine code for this processor, through LLVM"),
    "cpu-avx512": ("glowviz.compiler.backends.cpu.backend:avx512", "machine code for any x86-64 with AVX-512"),
    "cpu-avx2": ("glowviz.compiler.backends.cpu.backend:avx2", "machine code for any x86-64 with AVX2 and FMA"),
    "cpu-baseline": ("glowviz.compiler.backends.cpu.backend:baseline", "machine code for every x86-64 (SSE2)"),
    "interpreter": ("glowviz.compiler.backends.interpreter_backend:interpreter", "numpy, the definition of right"),
}
"""Name to (`module:function`, one line for the tables); the function takes the number of threads."""


def known_backends() -> dict[str, str]:
    """Name to one line: what installed packages add, after what comes with glowviz and cannot be replaced."""
    ours = {name: text for name, (_, text) in BACKENDS.items()}
    added = {name: told(entry) for name, entry in backend_entries().items()}
    return ours | {name: text for name, text in added.items() if name not in ours}


def backend_named(name: str, threads: int = 1) -> Backend:
    """The backend of that name; BackendProblem names the nearest one there is."""
    added = backend_entries() if name not in BACKENDS else {}
    if name not in BACKENDS and name not in added:
        near = difflib.get_close_matches(name, known_backends(), n=1)
        raise BackendProblem(
            f"there is no backend {name!r}", "target", " | ".join(known_backends()),
            f"did you mean {near[0]!r}?" if near else "",
        )  # fmt: skip
    if not isinstance(threads, int) or threads < 1:
        raise BackendProblem(f"threads={threads!r} is no number of threads", "threads", "1, 2, 3, …")
    if name in added:
        return _added(added[name], threads)
    module, function = BACKENDS[name][0].split(":")
    return getattr(importlib.import_module(module), function)(threads)


def _added(entry: EntryPoint, threads: int) -> Backend:
    """A backend of another package."""
    try:
        return entry.load()(threads)
    except Exception as fault:
        raise BackendProblem(f"{told(entry)} cannot be used: {reason(fault)}", "target", "a function of the number of "
                             "threads that gives a Backend", "Repair or remove that package.") from fault
