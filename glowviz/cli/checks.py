"""Commands that check compilations: hold every pass to its promise, compare two recordings."""

from __future__ import annotations

import argparse
from itertools import pairwise
from typing import Any

from glowviz.cli.sources import clear, compile_options, source, trial_of
from glowviz.cli.tables import columns

STAGE_TOLERANCE = 1e-6
"""Of max |value|, for irgen and plan_memory: they move values, and numpy's BLAS sums up by alignment."""


def validate(options: argparse.Namespace) -> int:
    """Run the interpreter before and after every pass; exit status 1 when one breaks its promise."""
    from glowviz.compiler.pipeline import snapshots
    from glowviz.compiler.rewrite import PASSES
    from glowviz.compiler.validate import compare, inputs_of, keeps, refuse_chance

    trial = trial_of(options)
    steps = snapshots(source(options.model), **compile_options(options))
    clear(options)
    refuse_chance(bound(steps))
    feeds = inputs_of(bound(steps), options.seed) if trial is None else trial.feeds(bound(steps))
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
    """Compare two recordings: choices, passes, the five numbers, memory, graphs, kernels; as the app's Compare tab."""
    from glowviz.app.views.compare import compare
    from glowviz.compiler.recording.reader import Recording

    a, b = Recording(options.before), Recording(options.after)
    told = compare(b, a)
    print(" → ".join(dict.fromkeys(told["titles"])))
    print("\n".join(f"{label}: {before} → {after}" for label, before, after in told["facts"]))
    print(columns([_pass_row(row) for row in told["ledger"]]))
    for heading, name, keys in SECTIONS:
        if told[name]:
            print(f"\n{heading}")
            print(columns([{key: row[key] for key in keys} for row in told[name]]))
    _print_graphs(told["graph"])
    return 0


SECTIONS = (
    ("figures", "rows", ("label", "before", "after", "difference")),
    ("memory", "memory", ("label", "before", "after", "difference")),
    ("kernels whose time differs beyond the spread of both", "kernels", ("value", "before", "after", "difference")),
)


def _pass_row(row: dict[str, Any]) -> dict[str, Any]:
    did = row["before"] if row["before"] == row["after"] else f"{row['before']} → {row['after']}"
    return {"pass": row["name"], "did": did, **row["cells"]}


def _print_graphs(graph: dict[str, Any]) -> None:
    """What the canvas draws as the union of both: names by their state."""
    print(f"\nlast graphs (states {graph['there']} and {graph['snapshot']}): {graph['same']} nodes the same")
    for state in graph["states"]:
        if state["count"]:
            more = f" and {state['count'] - len(state['names'])} more" if state["count"] > len(state["names"]) else ""
            print(f"  {state['state']} {state['count']}: {', '.join(state['names'])}{more}")
