"""Commands that check compilations: hold every pass to its promise, compare two recordings."""

from __future__ import annotations

import argparse
from itertools import pairwise
from typing import Any

from glowviz.cli.sources import clear, compile_options, source
from glowviz.cli.tables import columns

STAGE_TOLERANCE = 1e-6
"""Of max |value|, for irgen and plan_memory: they move values, and numpy's BLAS sums up by alignment."""


def validate(options: argparse.Namespace) -> int:
    """Run the interpreter before and after every pass; exit status 1 when one breaks its promise."""
    from glowviz.compiler.pipeline import snapshots
    from glowviz.compiler.rewrite import PASSES
    from glowviz.compiler.validate import compare, inputs_of, keeps, refuse_chance

    steps = snapshots(source(options.model), **compile_options(options))
    clear(options)
    refuse_chance(bound(steps))
    feeds = inputs_of(bound(steps), options.seed)
    rows: list[dict[str, Any]] = []
    broken = 0
    for (_, before), (name, after) in pairwise(steps):
        if after is before or name == "bind_shapes":
            continue
        tolerance = promised(name)
        difference = compare(before, after, feeds)
        kept = keeps(before, after, feeds, difference, tolerance, bound(steps))
        broken += not kept
        promise = PASSES[name].promise if name in PASSES else f"equal within {STAGE_TOLERANCE:g} of max |value|"
        rows.append({"pass": name, "found": str(difference), "promised": promise, "": "ok" if kept else "BROKEN"})
    print(columns(rows))
    return 1 if broken else 0


def promised(name: str) -> float:
    """How far a pass may change results, of max |value|; 0 = not at all."""
    from glowviz.compiler.rewrite import PASSES

    return PASSES[name].tolerance if name in PASSES else STAGE_TOLERANCE


def bound(steps: list[tuple[str, Any]]) -> Any:
    """The first snapshot whose shapes are all bound."""
    return next((ir for name, ir in steps if name == "bind_shapes"), steps[0][1])


def diff(options: argparse.Namespace) -> int:
    """Compare two recordings pass by pass: nodes, work, memory, time."""
    from glowviz.compiler.recording.reader import Recording

    a, b = Recording(options.before), Recording(options.after)
    print(columns([_pair(x, y) for x, y in _aligned(a.passes(), b.passes())]))
    facts = {"model": "model", "target": "target", "switched off": "disabled", "order": "order", "plan": "plan"}
    for label, key in facts.items():
        if a.meta.get(key) != b.meta.get(key):
            print(f"{label}: {a.meta.get(key)} → {b.meta.get(key)}")
    _print_comparison(a, b)
    return 0


def _print_comparison(a: Any, b: Any) -> None:
    """Print what the app's comparison shows: the five numbers, and kernels whose times really differ."""
    from glowviz.app.views.compare import compare

    told = compare(b, a)
    for keys, name in ((("label", "before", "after", "difference"), "rows"),
                       (("value", "before", "after", "difference"), "kernels")):
        if told[name]:
            print()
            print(columns([{key: row[key] for key in keys} for row in told[name]]))


def _aligned(
    a: list[dict[str, Any]], b: list[dict[str, Any]]
) -> list[tuple[dict[str, Any] | None, dict[str, Any] | None]]:
    """Rows of equal names side by side, in order."""
    import difflib

    names = [r["name"] for r in a], [r["name"] for r in b]
    pairs: list[tuple[dict[str, Any] | None, dict[str, Any] | None]] = []
    for tag, i1, i2, j1, j2 in difflib.SequenceMatcher(None, *names, autojunk=False).get_opcodes():
        if tag == "equal":
            pairs += list(zip(a[i1:i2], b[j1:j2], strict=True))
        else:
            pairs += [(row, None) for row in a[i1:i2]] + [(None, row) for row in b[j1:j2]]
    return pairs


def _pair(a: dict[str, Any] | None, b: dict[str, Any] | None) -> dict[str, Any]:
    def both(key: str, scale: float = 1.0, digits: int = 0) -> str:
        cells = ["–" if r is None or r[key] is None else f"{r[key] / scale:.{digits}f}" for r in (a, b)]
        return cells[0] if cells[0] == cells[1] else " → ".join(cells)

    name = (a or b or {})["name"]
    states = ["–" if r is None else r["status"] for r in (a, b)]
    return {
        "pass": name, "status": " → ".join(dict.fromkeys(states)), "fired": both("fired"), "nodes": both("nodes"),
        "GFLOP": both("flops", 1e9, 3), "MiB moved": both("moved", 2**20, 1), "peak MiB": both("peak", 2**20, 2),
    }
