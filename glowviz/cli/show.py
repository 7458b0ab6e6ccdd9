"""`glowviz show` tells what the app tells about a recording, in the same words, as text or as the app's own JSON."""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import orjson

from glowviz.cli.exports import snapshot_of
from glowviz.cli.tables import columns
from glowviz.compiler.problem import Problem

DIRECTIVE = re.compile(r"\s*(\.[a-z]|\.Ltmp|\.Lfunc|$)")
"""Lines of an assembly text that make no instruction: what the page greys out, too."""
WIDTH = 110
"""Characters of a line of prose."""


def show(options: argparse.Namespace) -> int:
    """Tell about a recording: its passes, their changes and reasons, the life of a value, memory, kernels, code."""
    from glowviz.app.recordings import JobProgress, RecordingReader
    from glowviz.compiler.recording.reader import Recording

    if options.beside:
        _put_beside(Path(options.recording), options.beside)
    recording = Recording(options.recording)
    wants_name = options.what in NAMED
    if wants_name and options.name is None:
        raise Problem(f"`show {options.what}` tells about one thing, and none is named", "glowviz show",
                      f"glowviz show {options.recording} {options.what} NAME",
                      "`glowviz show RUN.glowrec text` and `kernels` list the names")
    reader = RecordingReader(Path(options.recording), {"title": options.recording}, lambda: JobProgress("done"))
    wanted = options.at if options.at is not None or wants_name or options.what in WHOLE else options.name
    at = len(recording) - 1 if wanted is None else snapshot_of(recording, wanted)
    ask, lines = PARTS[options.what]
    answer = ask(reader, at, options.name)
    if options.json:
        print(orjson.dumps(answer, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY).decode())
    else:
        print("\n".join(lines(answer)))
    return 0


def _put_beside(path: Path, engine: str) -> None:
    """Add the times of another engine to a recording: measured now, or those of a profile."""
    from glowviz.bench import beside
    from glowviz.compiler.recording.reader import Recording

    if engine != "onnxruntime":
        beside.read(engine, str(path), 0.0)
        return
    meta = Recording(path).meta
    model = meta.get("path")
    if model is None or not Path(model).is_file():
        raise Problem("The recording does not say where its model lies", str(path), "the model's file",
                      "Give a profile of onnxruntime instead: --beside profile.json")
    shapes = meta["options"].get("bind_shapes", {}).get("shapes", {})
    with tempfile.TemporaryDirectory() as folder:
        beside.measure(model, {}, shapes, meta["threads"], str(path), 0.0,
                       lambda _, text: print(text, file=sys.stderr), Path(folder))


def _rows(table: dict[str, list[Any]], **shown: str) -> list[dict[str, Any]]:
    """Columns to rows, with only the columns asked for, under the names given."""
    keys = list(shown.values())
    return [dict(zip(shown, cells, strict=True)) for cells in zip(*(table[key] for key in keys), strict=True)]


def _prose(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent, break_long_words=False)


def _passes(payload: dict[str, Any]) -> Iterable[str]:
    shown = {"n": "snapshot", "pass": "name", "fired": "fired", "nodes": "delta", "what": "sentence", "state": "state"}
    rows = _rows(payload["rows"], **shown)
    for row in rows:
        state = row.pop("state")
        row["what"] = {"off": "switched off", "failed": "FAILED", "unreached": "not reached"}.get(state, row["what"])
    yield columns(rows)


def _changes(payload: dict[str, Any]) -> Iterable[str]:
    yield payload["header"] or "nothing changed"
    for heading, groups in (("", payload["groups"]), ("not done:", payload["kept"])):
        if heading and groups:
            yield heading
        for group in groups:
            yield f"  {group['title']} ×{group['count']}  (rule {group['rule']})"
            for item in group["items"]:
                yield from _prose(f"{item['name']}: {item['text']}", "    ")
            if group["more"]:
                yield f"    … and {group['more']} more"


def _life(payload: dict[str, Any]) -> Iterable[str]:
    yield f"{payload['title']} · {payload['op']} {payload['type']}{' · gone' if payload['gone'] else ''}"
    for paragraph in payload["paragraphs"]:
        yield from _prose(paragraph["text"], "  ")
    if payload["origin"]:
        yield f"  from ONNX: {', '.join(payload['origin'])}"


def _why(payload: dict[str, Any]) -> Iterable[str]:
    if not payload["remarks"]:
        yield f"no rule had {payload['name']} before it and left it alone"
    for remark in payload["remarks"]:
        yield f"{remark['pass']} (rule {remark['rule']})"
        for line in remark["lines"]:
            yield from _prose(line, "  ")


def _text(payload: dict[str, Any]) -> Iterable[str]:
    return payload["lines"]


def _memory(payload: dict[str, Any]) -> Iterable[str]:
    yield from payload["lines"]
    yield f"lower bound {payload['bound']} bytes"
    yield ""
    rows = _rows(payload["buffers"], buffer="name", of="title", space="space", address="offset", bytes="size",
                 first="first", end="end")
    for row in rows:
        row["address"] = "–" if row["address"] is None else f"0x{row['address']:x}"
    yield columns(rows)


def _kernels(payload: dict[str, Any]) -> Iterable[str]:
    table = payload["rows"]
    rows = _rows(table, step="step", kernel="name", value="value")
    facts = (table[key] for key in ("ms", "spread", "samples", "gflop", "bytes", "host"))
    for row, ms, spread, samples, gflop, moved, host in zip(rows, *facts, strict=True):
        row["time"] = "" if ms is None else f"{1000 * ms:.2f} ±{1000 * (spread or 0):.2f} µs (n={samples})"
        row["MFLOP"] = "" if gflop is None else f"{1000 * gflop:.4g}"
        row["KiB moved"] = f"{moved / 1024:.4g}"
        row["by"] = "host call" if host else "machine code"
    _add_peer(rows, payload)
    yield columns(rows)
    yield ""
    yield from _summary(payload)


def _add_peer(rows: list[dict[str, Any]], payload: dict[str, Any]) -> None:
    """GFLOP/s and GB/s, and where there is another engine its time for the same nodes."""
    table, peer = payload["rows"], payload["peer"]
    for at, row in enumerate(rows):
        for label, key in (("GFLOP/s", "gflops"), ("GB/s", "gbytes")):
            row[label] = "" if table[key][at] is None else f"{table[key][at]:.3g}"
        row["algorithm"] = table["algorithm"][at]
        if peer:
            ms, ratio = table["peer_ms"][at], table["peer_ratio"][at]
            told = f"{1000 * (ms or 0):.2f} µs ({ratio or 0:.2f} × ours)"
            row[peer["engine"]] = table["peer_told"][at] if ms is None else told


def _summary(payload: dict[str, Any]) -> Iterable[str]:
    """Whole runs beside the sum of their parts, the machine's peaks, and how it was timed."""
    total, peer, roofs = payload["total"], payload["peer"], payload["roofs"]
    if total:
        alone = (payload["alone"] or {}).get("told", "not known whether it was timed alone")
        yield (f"whole run {total['ms']:.4g} ±{total['spread']:.2g} ms (n={total['samples']}), sum of instructions "
               f"{payload['sum_ms'] or 0:.4g} ms; {alone}")
    if roofs["gflops"]:
        memories = ", ".join(f"{name} {rate:.3g} GB/s" for name, rate in roofs["gbytes"].items())
        yield f"measured peaks: {roofs['gflops']:.4g} GFLOP/s{', ' if memories else ''}{memories}"
    if peer:
        whole = peer["total"]
        told = f"whole run {whole['ms']:.4g} ±{whole['spread']:.2g} ms, " if whole else ""
        parts = f"sum of {peer['nodes']} nodes {peer['sum_ms']:.4g} ms"
        yield f"{peer['engine']} {peer['version']}: {told}{parts}; {peer['told']}"
        yield from peer["notes"]


def _kernel(payload: dict[str, Any]) -> Iterable[str]:
    yield payload["name"]
    yield "  " + " · ".join(f"{name} {value}" for name, value in payload["schedule"] if name != "why")
    yield from _prose(payload["why"], "  ")
    yield ""
    yield from (f"{number:5}  {line}" for number, line in enumerate(payload["llvm"], 1))
    yield ""
    for line, text in zip(payload["llvm_of"], payload["asm"], strict=False):
        if text.startswith(".Lfunc_end"):
            return
        if not DIRECTIVE.match(text):
            mnemonic, _, operands = text.strip().partition("\t")
            yield f"{line or '':5}  {'  ' if text[:1].isspace() else ''}{mnemonic:12} {operands}".rstrip()


def _values(answer: dict[str, Any]) -> Iterable[str]:
    from glowviz.app.views.values import TOLERANCE, hunt_lines

    yield from hunt_lines(answer, TOLERANCE)
    wrong = [row for row in _rows(answer["rows"], value="name", error="error", NaN="nans", infinite="infinities")
             if row["error"] or row["NaN"] or row["infinite"]]
    yield columns(wrong)


Ask = Callable[[Any, int, Any], Any]
PARTS: dict[str, tuple[Ask, Callable[[dict[str, Any]], Iterable[str]]]] = {
    "passes": (lambda reader, at, name: reader.passes(), _passes),
    "changes": (lambda reader, at, name: reader.changes(at), _changes),
    "text": (lambda reader, at, name: _text_at(reader, at), _text),
    "life": (lambda reader, at, name: reader.life(at, name), _life),
    "why": (lambda reader, at, name: reader.why(at, name), _why),
    "memory": (lambda reader, at, name: reader.memory(at), _memory),
    "values": (lambda reader, at, name: reader.hunt(), _values),
    "kernels": (lambda reader, at, name: reader.kernels(), _kernels),
    "kernel": (lambda reader, at, name: reader.kernel(name), _kernel),
}
NAMED = ("life", "why", "kernel")
"""Parts that are about one name."""
WHOLE = ("passes", "memory", "kernels", "values")
"""Parts that are about the whole compilation."""


def _text_at(reader: Any, at: int) -> Any:
    last = reader.recording.last("graph")
    return reader.text(at) if last is None or at <= last else reader.program(at)
