"""A recording leaves as a form that others open: one HTML page, a picture, a trace, an ONNX model, a text."""

from __future__ import annotations

import argparse
import difflib
import sys
from pathlib import Path
from typing import Any

import orjson

from glowviz.cli.checks import bound
from glowviz.cli.sources import writable
from glowviz.compiler.problem import Problem


def export(options: argparse.Namespace) -> int:
    """Write a recording in a form that others open: page.html, graph.svg, trace.json, run.json, a.onnx, a.glow."""
    from glowviz.compiler.recording.reader import Recording

    path = writable(options.output)
    if path.suffix not in EXPORTS:
        raise Problem(f"No export ends in {path.suffix or 'nothing'!r}", f"-o {path}", " | ".join(EXPORTS),
                      "Take one of these endings")
    recording = Recording(options.recording)
    if not len(recording):
        raise Problem("The recording has no snapshot", options.recording, "at least the imported graph",
                      "Compile the model again")
    EXPORTS[path.suffix](recording, path, snapshot_of(recording, options.snapshot), options.weights)
    return 0


def snapshot_of(recording: Any, wanted: str | None) -> int:
    """The snapshot that a number says, or the name of a pass: its last run that changed something, else its last.

    Without either it is the last graph.
    """
    if wanted is None:
        last = recording.last("graph")
        return len(recording) - 1 if last is None else last
    if wanted.isdecimal() and int(wanted) < len(recording):
        return int(wanted)
    runs = [row for row in recording.passes() if row["name"] == wanted]
    if not runs:
        near = difflib.get_close_matches(wanted, [row["name"] for row in recording.passes()], n=1)
        raise Problem(f"The recording has no snapshot {wanted!r}", "the recording",
                      f"0 to {len(recording) - 1}, or the name of a pass",
                      f"Did you mean {near[0]!r}?" if near else "`glowviz passes` lists the names")
    return max(runs, key=lambda row: (bool(row["fired"]), row["snapshot"]))["snapshot"]


def _is_program(recording: Any, snapshot: int) -> bool:
    last = recording.last("graph")
    return last is not None and snapshot > last


def _export_page(recording: Any, path: Path, snapshot: int, weights: bool) -> None:
    from glowviz.app.export import one_page

    path.write_text(one_page(recording), encoding="utf-8")


def _export_picture(recording: Any, path: Path, snapshot: int, weights: bool) -> None:
    from glowviz.app.picture import svg

    path.write_text(svg(recording, snapshot), encoding="utf-8")


def _export_json(recording: Any, path: Path, snapshot: int, weights: bool) -> None:
    """Chrome's trace format where the name says trace, else every answer of docs/payloads.md by its address."""
    if not path.name.endswith("trace.json"):
        from glowviz.app.answers import OPTIONS
        from glowviz.app.collected import collect
        from glowviz.app.recordings import JobProgress, RecordingReader

        reader = RecordingReader(Path(recording.path), {}, lambda: JobProgress("done"))
        path.write_bytes(orjson.dumps(collect(reader), option=OPTIONS))
        return
    from glowviz.app.views.trace import trace

    path.write_bytes(orjson.dumps(trace(recording)))


def _export_text(recording: Any, path: Path, snapshot: int, weights: bool) -> None:
    """The text as recorded; with weights, the model is compiled again, for a recording holds no contents."""
    from glowviz.compiler.text import write_glow

    if weights:
        beside = write_glow(path, steps_again(recording)[snapshot][1])
        print(f"{path}{f' with its contents in {beside}' if beside else ''}", file=sys.stderr)
        return
    program = _is_program(recording, snapshot)
    text = recording.program_text(snapshot) if program else recording.graph_text(snapshot)
    path.write_text(text + "\n", encoding="utf-8")


def _export_onnx(recording: Any, path: Path, snapshot: int, weights: bool) -> None:
    """Compile the model again with the recorded choices, save the graph, and check it against the interpreter."""
    from glowviz.compiler.exporter import save
    from glowviz.compiler.importer import read_model
    from glowviz.compiler.validate import differences, inputs_of, outputs_of

    if _is_program(recording, snapshot):
        raise Problem(f"Snapshot {snapshot} is a program, and ONNX has only graphs", "--snapshot",
                      f"0 to {recording.last('graph')}", "Leave --snapshot away for the last graph")
    steps = steps_again(recording)
    graph = steps[snapshot][1]
    save(graph, path)
    feeds = inputs_of(bound(steps), 0)
    difference = differences(outputs_of(bound(steps), feeds), outputs_of(read_model(path), feeds))
    print(f"{path}: {len(graph)} nodes; against the imported model: {difference}", file=sys.stderr)


def steps_again(recording: Any) -> list[tuple[str, Any]]:
    """Every snapshot with its contents: the recorded model compiled again with the recorded choices."""
    from glowviz.compiler.pipeline import snapshots

    meta = recording.meta
    return snapshots(_model(recording), shapes=recorded_shapes(meta), target=meta["target"], disable=meta["disabled"],
                     precision=meta.get("precision", "f32"),
                     order=dict(meta.get("order") or ()) or None,
                     threads=meta["threads"], options={k: v for k, v in meta["options"].items() if k != "bind_shapes"})


def _model(recording: Any) -> Any:
    """The model of a recording: its file, or the imported graph itself where the text says all contents."""
    meta = recording.meta
    if meta.get("path") and Path(meta["path"]).is_file():
        return meta["path"]
    imported = recording.graph_text(0)
    if "sha256:" not in imported and not meta.get("path"):
        from glowviz.cli.sources import parsed

        return parsed(imported, str(recording.path))
    raise Problem(f"The model {meta.get('path') or meta.get('model')} is not there any more", str(recording.path),
                  "the file that was compiled: a recording holds no weights", "Put it back, or compile it again")


def recorded_shapes(meta: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """The shapes that a recording was made with."""
    shapes = meta["options"].get("bind_shapes", {}).get("shapes", {})
    return {name: tuple(dims) for name, dims in shapes.items()}


EXPORTS = {
    ".html": _export_page,
    ".svg": _export_picture,
    ".json": _export_json,
    ".onnx": _export_onnx,
    ".glow": _export_text,
}
