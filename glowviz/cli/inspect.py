"""Commands that look at compilations: prove them, find what broke, compare two, hand one on."""

from __future__ import annotations

import argparse
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson

from glowviz.cli.commands import clear, compile_options, source
from glowviz.cli.tables import columns
from glowviz.compiler.problem import Problem

STAGE_TOLERANCE = 1e-6
"""Of max |value|, for irgen and plan_memory: they move values, and numpy's BLAS sums up by alignment."""


def validate(options: argparse.Namespace) -> int:
    """Run the interpreter before and after every pass; exit status 1 when one breaks its promise."""
    from glowviz.compiler.pipeline import snapshots
    from glowviz.compiler.rewrite import PASSES
    from glowviz.compiler.validate import compare, inputs_of

    steps = snapshots(source(options.model), **compile_options(options))
    clear(options)
    feeds = inputs_of(_bound(steps), options.seed)
    rows: list[dict[str, Any]] = []
    broken = 0
    for (_, before), (name, after) in pairwise(steps):
        if after is before or name == "bind_shapes":
            continue
        tolerance = PASSES[name].tolerance if name in PASSES else STAGE_TOLERANCE
        difference = compare(before, after, feeds)
        kept = difference.within(tolerance)
        broken += not kept
        promise = PASSES[name].promise if name in PASSES else f"equal within {STAGE_TOLERANCE:g} of max |value|"
        rows.append({"pass": name, "found": str(difference), "promised": promise, "": "ok" if kept else "BROKEN"})
    print(columns(rows))
    return 1 if broken else 0


def _bound(steps: list[tuple[str, Any]]) -> Any:
    """The first snapshot whose shapes are all bound."""
    return next((ir for name, ir in steps if name == "bind_shapes"), steps[0][1])


def bisect(options: argparse.Namespace) -> int:
    """Find the first pass whose result is wrong, and the single rewrite in it; exit status 1 when there is one."""
    from glowviz.compiler.backends import backend_named
    from glowviz.compiler.graph import Graph
    from glowviz.compiler.pipeline import snapshots
    from glowviz.compiler.rewrite import PASSES
    from glowviz.compiler.validate import bisect_passes, bisect_rewrites, inputs_of

    chosen = compile_options(options)
    steps = snapshots(source(options.model), **chosen)
    clear(options)
    feeds = inputs_of(_bound(steps), options.seed)
    first = next((k for k, (name, _) in enumerate(steps) if name == "bind_shapes"), 0)
    bad = bisect_passes(steps[first:], feeds, options.tolerance)
    if bad is None:
        print(f"no pass changes a result by more than {options.tolerance:g} of its largest value")
        return 0
    position = first + bad.position
    print(f"{bad.name} is the first pass whose result is wrong: {bad.difference}")
    before = steps[position - 1][1]
    if bad.name in PASSES and isinstance(before, Graph):
        target = backend_named(options.target).target
        guilty = bisect_rewrites(before, PASSES[bad.name], feeds, options.tolerance, target=target)
        if guilty is None:
            return 1
        change = guilty.change
        print(f"rewrite {guilty.number}: {change.rule} at %{change.anchor}: {change.reason}")
        if options.save:
            _save_cut(guilty.before, change.anchor, options.save)
    return 1


def _save_cut(graph: Any, anchor: str, path: str) -> None:
    from glowviz.compiler.cutout import cut_out
    from glowviz.compiler.exporter import save
    from glowviz.compiler.text import print_graph

    part = cut_out(graph, anchor)
    save(part, path)
    Path(path).with_suffix(".glow").write_text(print_graph(part) + "\n", encoding="utf-8")
    print(f"{path} and {Path(path).with_suffix('.glow')}: {len(part)} nodes around %{anchor}")


def diff(options: argparse.Namespace) -> int:
    """Compare two recordings pass by pass: nodes, work, memory, time."""
    from glowviz.compiler.recording.reader import Recording

    a, b = Recording(options.before), Recording(options.after)
    rows = [_pair(x, y) for x, y in _aligned(a.passes(), b.passes())]
    print(columns(rows))
    for label, key in (("model", "model"), ("target", "target"), ("switched off", "disabled"), ("plan", "plan")):
        if a.meta.get(key) != b.meta.get(key):
            print(f"{label}: {a.meta.get(key)} → {b.meta.get(key)}")
    return 0


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
    status = " → ".join("–" if r is None else r["status"] for r in (a, b))
    return {
        "pass": name, "status": status, "fired": both("fired"), "nodes": both("nodes"),
        "GFLOP": both("flops", 1e9, 3), "MiB moved": both("moved", 2**20, 1), "peak MiB": both("peak", 2**20, 2),
    }


def export(options: argparse.Namespace) -> int:
    """Write a recording in a form that others open: page.html, graph.svg, trace.json, optimised.onnx or graph.glow."""
    from glowviz.compiler.recording.reader import Recording

    recording = Recording(options.recording)
    suffix = Path(options.output).suffix
    if suffix not in EXPORTS:
        raise Problem(f"no export ends in {suffix or '(nothing)'}", "-o", " ".join(EXPORTS))
    EXPORTS[suffix](recording, options.output, options.snapshot)
    return 0


def _export_page(recording: Any, path: str, snapshot: int | None) -> None:
    from glowviz.app.export import one_page

    Path(path).write_text(one_page(recording), encoding="utf-8")


def _export_picture(recording: Any, path: str, snapshot: int | None) -> None:
    from glowviz.app.picture import svg

    last = recording.last("graph") if snapshot is None else snapshot
    Path(path).write_text(svg(recording, last), encoding="utf-8")


def _export_trace(recording: Any, path: str, snapshot: int | None) -> None:
    """Chrome's trace format: passes, then one lane with the median time of every kernel."""
    events: list[dict[str, Any]] = []
    clock = 0.0
    for row in recording.passes():
        events.append({"name": row["name"], "cat": row["stage"], "ph": "X", "ts": clock, "dur": row["seconds"] * 1e6,
                       "pid": 1, "tid": 1})
        clock += row["seconds"] * 1e6
    clock = 0.0
    for kernel in recording.kernels():
        samples = sorted(s for span in kernel["spans"] for s in span["samples"])
        if samples:
            middle = samples[len(samples) // 2] / 1000
            events.append({"name": kernel["kernel"] if "kernel" in kernel else kernel["name"], "cat": "kernel",
                           "ph": "X", "ts": clock, "dur": middle, "pid": 2, "tid": 1,
                           "args": {"value": kernel["value"], "samples": len(samples)}})
            clock += middle
    Path(path).write_bytes(orjson.dumps({"traceEvents": events, "displayTimeUnit": "ms"}))


def _export_text(recording: Any, path: str, snapshot: int | None) -> None:
    last = recording.last("graph") if snapshot is None else snapshot
    Path(path).write_text(recording.graph_text(last) + "\n", encoding="utf-8")


def _export_onnx(recording: Any, path: str, snapshot: int | None) -> None:
    """Compile the model again with the recorded choices, save the graph, and check it against the interpreter."""
    from glowviz.compiler.exporter import save
    from glowviz.compiler.graph import Graph
    from glowviz.compiler.importer import read_model
    from glowviz.compiler.pipeline import snapshots
    from glowviz.compiler.validate import differences, inputs_of, outputs_of

    meta = recording.meta
    if not meta.get("path") or not Path(meta["path"]).is_file():
        raise Problem(f"the model {meta.get('path') or meta.get('model')} is not there any more", str(recording.path),
                      "the file that was compiled: a recording holds no weights", "Put it back, or compile it again.")
    steps = snapshots(meta["path"], shapes=recorded_shapes(meta), target=meta["target"], disable=meta["disabled"],
                      options={k: v for k, v in meta["options"].items() if k != "bind_shapes"})
    graphs = [ir for _, ir in steps if isinstance(ir, Graph)]
    graph = graphs[-1 if snapshot is None else min(snapshot, len(graphs) - 1)]
    save(graph, path)
    feeds = inputs_of(_bound(steps), 0)
    difference = differences(outputs_of(_bound(steps), feeds), outputs_of(read_model(path), feeds))
    print(f"{path}: {len(graph)} nodes; against the imported model: {difference}", file=sys.stderr)


def recorded_shapes(meta: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """The shapes that a recording was made with."""
    shapes = meta["options"].get("bind_shapes", {}).get("shapes", {})
    return {name: tuple(dims) for name, dims in shapes.items()}


EXPORTS = {
    ".html": _export_page,
    ".svg": _export_picture,
    ".json": _export_trace,
    ".onnx": _export_onnx,
    ".glow": _export_text,
}
