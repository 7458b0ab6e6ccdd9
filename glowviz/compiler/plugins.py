"""Installed packages with an entry point glowviz.ops, glowviz.passes or glowviz.backends add to what there is."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points
from threading import RLock

OPS, PASSES, BACKENDS = "glowviz.ops", "glowviz.passes", "glowviz.backends"

_LOCK = RLock()  # the same thread may ask again: a plug-in imports glowviz
_loaded = False


def load_plugins() -> None:
    """Import, once in a process, the modules that declare ops and passes.

    Whoever looks something up by an op's or a pass's name calls this first. A plug-in that cannot be imported costs
    one line on stderr and nothing else.
    """
    global _loaded
    with _LOCK:
        if _loaded:
            return
        _loaded = True
        for group in (OPS, PASSES):
            for entry in _entries(group):
                try:
                    entry.load()
                except (Exception, SystemExit) as fault:
                    print(f"glowviz: {told(entry)} cannot be loaded and is left out: {reason(fault)}", file=sys.stderr)


def backend_entries() -> dict[str, EntryPoint]:
    """The backends that packages add, by name; none is imported before it is asked for."""
    return {entry.name: entry for entry in _entries(BACKENDS)}


def told(entry: EntryPoint) -> str:
    """Which plug-in of which package, for messages."""
    package = "an unknown package" if entry.dist is None else f"package {entry.dist.name} {entry.dist.version}"
    return f"plug-in {entry.name!r} of {package} ({entry.group}: {entry.value})"


def reason(fault: BaseException) -> str:
    """An exception in one line."""
    return " ".join(f"{type(fault).__name__}: {fault}".split())


def _entries(group: str) -> Iterator[EntryPoint]:
    """In the order of their names, so that every run is the same."""
    return iter(sorted(entry_points(group=group), key=lambda entry: (entry.name, entry.value)))
