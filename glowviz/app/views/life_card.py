"""The life card: from the ONNX node to the measured microseconds, one fact per sentence."""

import re
import zlib
from typing import Any

import orjson

from glowviz.app.onnx_facts import onnx_nodes
from glowviz.app.problem import Problem
from glowviz.app.reader import Payload
from glowviz.app.wording import (
    byte_text,
    counted,
    flop_text,
    listed,
    median,
    op_text,
    sentence,
    shape_of,
    spread,
    tally,
    time_with_spread,
)
from glowviz.compiler.recording.life import Event
from glowviz.compiler.recording.reader import NodeVersion, Recording
from glowviz.compiler.recording.rows import split
from glowviz.compiler.recording.schema import ALIVE

MS = {"ns": 1e-6, "us": 1e-3, "ms": 1.0, "s": 1e3}
ATTRIBUTE = re.compile(r"(\w+)=(\[[^\]]*\]|\"[^\"]*\"|[^,}]+)")


def life(recording: Recording, snapshot: int, name: str) -> Payload:
    """Return docs/payloads.md `life` of a node, constant, input or buffer; raises Problem for an unknown name."""
    versions = recording.versions(name)
    if not versions:
        return _other(recording, name)
    events = recording.life(name)
    shown = next((v for v in versions if v.born <= snapshot < v.died), None)
    version = shown or versions[-1]
    instruction = _instruction(recording, name, version)
    card = {
        "name": name, "title": version.label or name, "op": _op(version), "type": version.types[0],
        "gone": shown is None and versions[-1].died <= snapshot,
        "paragraphs": [*_born(events, version), *_changes(recording, events), *_now(recording, instruction)],
        "attributes": _attributes(version), "inputs": _inputs(recording, snapshot, version),
        "users": _users(recording, snapshot, version), "origin": list(version.origin),
        "born": versions[0].born, "died": -1 if versions[-1].died >= ALIVE else versions[-1].died,
        "touched": sorted({event.snapshot for event in events if event.snapshot > 0}),
        "links": _links(instruction), "onnx": onnx_nodes(recording, version.origin),
    }
    return card | {"counts": _counts(instruction)}


def block(title: str, members: list[str], repeat: int, recording: Recording, snapshot: int) -> Payload:
    """Return the card of a folded block: what is inside and how much work it is."""
    inside = set(members)
    nodes = [node for node in recording.nodes(snapshot) if node.name in inside]
    work = sum(node.flops for node in nodes)
    lines = [f"{counted(len(nodes), 'node')}: {tally(node.op for node in nodes)}.",
             f"Its arithmetic is {flop_text(work)} a run; it moves {byte_text(sum(node.moved for node in nodes))}."]
    if repeat > 1:
        lines.insert(0, f"Stands for {repeat} equal blocks.")
    lines.append("Double-click (or Enter) unfolds it.")
    return {"name": members[0] if members else title, "title": title, "op": "block", "type": "", "gone": False,
            "paragraphs": [{"text": line, "snapshot": None} for line in lines], "attributes": [],
            "inputs": [[node.name, node.label or node.name, shape_of(node.types[0])] for node in nodes[:40]],
            "users": [], "origin": [], "touched": [], "links": {}, "counts": {}}


def _op(version: NodeVersion) -> str:
    if version.op == "Fused":
        return op_text(version.op, version.attributes).replace("+", " + ")
    kernel = re.search(r"kernel=\[([^\]]*)\]", version.attributes)
    return version.op + (f" {kernel.group(1).replace(', ', '×')}" if kernel else "")


def _born(events: list[Event], version: NodeVersion) -> list[Payload]:
    first = events[0]
    if first.snapshot == 0:
        origin = listed(version.origin) if version.origin else version.name
        return [{"text": f"Born at import from ONNX {first.other[0] if first.other else origin}.", "snapshot": 0}]
    made = next((event for event in events[1:] if event.snapshot == first.snapshot), first)
    why = f": {made.reason}" if made.reason else ""
    return [{"text": f"Made by {first.pass_name} (pass {first.snapshot}){why}.", "snapshot": first.snapshot}]


def _changes(recording: Recording, events: list[Event]) -> list[Payload]:
    born = events[0].snapshot
    lines = [_line(event) for event in events[1:] if event.snapshot != born or event.kind in ("merged", "removed")]
    if len(lines) <= 12:
        return lines
    between = {"text": f"{len(lines) - 12} more changes between these.", "snapshot": None}
    return [*lines[:6], between, *lines[-6:]]


def _line(event: Event) -> Payload:
    others = listed(event.other, 3)
    why = f": {event.reason}" if event.reason else ""
    rule = f" (rule {event.rule})" if event.rule else ""
    words = {
        "absorbed": f"{event.pass_name} took {others} into it{rule}{why}",
        "merged": f"{event.pass_name} merged it into {others}{rule}{why}",
        "removed": f"Removed by {event.pass_name}{rule}{why}",
        "changed": f"{event.pass_name} changed it{rule}{why}",
        "added": f"{event.pass_name} made it{' from ' + others if others else ''}{rule}{why}",
    }
    text = words.get(event.kind, f"{event.pass_name}: {event.kind}{why}")
    return {"text": sentence(text), "snapshot": event.snapshot}


def _attributes(version: NodeVersion) -> list[list[str]]:
    if version.op == "Fused":  # its body is shown in the IR text
        return []
    return [[key, value.strip()] for key, value in ATTRIBUTE.findall(version.attributes)]


def _inputs(recording: Recording, snapshot: int, version: NodeVersion) -> list[list[str]]:
    rows = []
    for name in filter(None, version.operands):
        maker = next((v for v in recording.versions(name) if v.born <= snapshot < v.died), None)
        if maker is not None:
            rows.append([name, maker.label or name, shape_of(maker.types[maker.results.index(name)])])
        else:
            rows.append([name, name, _constant_type(recording, snapshot, name)])
    return rows


def _constant_type(recording: Recording, snapshot: int, name: str) -> str:
    rows = recording.query("SELECT types.text FROM constants JOIN types ON types.id = type WHERE name = ? "
                           "AND born <= ? AND died > ?", name, snapshot, snapshot)
    return shape_of(rows[0]["text"]) if rows else ""


def _users(recording: Recording, snapshot: int, version: NodeVersion) -> list[list[str]]:
    rows = recording.query("SELECT name, label, op, operands FROM nodes WHERE born <= ? AND died > ? AND "
                           "instr(operands, ?) ORDER BY rank", snapshot, snapshot, version.name)
    results = set(version.results)
    if len(results) > 1:  # the other results have names of their own
        rows = recording.query("SELECT name, label, op, operands FROM nodes WHERE born <= ? AND died > ? ORDER BY rank",
                               snapshot, snapshot)
    return [[row["name"], row["label"] or row["name"], row["op"]] for row in rows
            if results.intersection(row["operands"].split("\x1f"))]


def _instruction(recording: Recording, name: str, version: NodeVersion) -> dict[str, Any] | None:
    """Return the instruction that now computes this value (or the node's ONNX ancestor), with its kernel."""
    if recording.last("program") is None:
        return None
    rows = [row for row in recording.statements() if row["kind"] == "instr"]
    working = [(k, row) for k, row in enumerate(rows) if row["instruction"] != "fill_halo"]  # a border is no result
    at = next((k for k, row in working if row["value"] == name or name in row["outs"].split("\x1f")), None)
    if at is None and version.died < ALIVE:
        wanted = set(version.origin)
        at = next((k for k, row in working if wanted & set((row["origins"] or "").split("\x1f"))), None)
    if at is None:
        return None
    kernels = recording.query("SELECT name, native, why, flops, llvm, assembly FROM kernels WHERE position = ?", at)
    spans = recording.query("SELECT unit, samples FROM spans WHERE kernel = ? ORDER BY rowid DESC LIMIT 1", at)
    outs = rows[at]["outs"].split("\x1f")
    buffers = recording.query("SELECT * FROM placements WHERE buffer = ?", outs[0])
    return {"position": at, "row": rows[at], "own": rows[at]["value"] == name,
            "kernel": kernels[0] if kernels else None, "span": spans[0] if spans else None,
            "buffer": buffers[0] if buffers else None}


def _now(recording: Recording, found: dict[str, Any] | None) -> list[Payload]:
    if found is None:
        return []
    row, kernel, buffer, span = found["row"], found["kernel"], found["buffer"], found["span"]
    parts = [f"instruction {found['position']} {row['instruction']}"]
    if kernel is not None:
        parts.append(f"kernel {kernel['name']}" if kernel["native"] else "host call (not native)")
    if buffer is not None:
        parts.append(f"writes 0x{buffer['offset']:06X}, {byte_text(buffer['size'])}")
    if span is not None:
        parts.append(_timed(recording, span, kernel))
    lead = "Now: " if found["own"] else f"Its work is now done by {row['label'] or row['value']}: "
    return [{"text": lead + " → ".join(parts) + ".", "snapshot": None}]


def _timed(recording: Recording, span: Any, kernel: Any) -> str:
    samples = [one * MS[span["unit"]] for one in orjson.loads(zlib.decompress(span["samples"]))]
    text = " ".join(filter(None, time_with_spread(median(samples) / 1e3, spread(samples) / 1e3)))
    text += f" (n={len(samples)})"
    peak = (recording.meta.get("target_facts") or {}).get("peak_gflops")
    if peak and kernel is not None and kernel["flops"]:
        rate = kernel["flops"] / median(samples) / 1e6 / peak
        # An algorithm with fewer products than the definition says, such as Winograd's, may beat that peak.
        text += f", {rate:.0%} of peak" if rate <= 1 else f", {rate:.1f} × what the definition's arithmetic allows"
    return text


def _links(found: dict[str, Any] | None) -> Payload:
    if found is None:
        return {"instruction": None, "kernel": None, "buffer": None}
    return {"instruction": found["position"], "kernel": found["kernel"]["name"] if found["kernel"] else None,
            "buffer": found["buffer"]["buffer"] if found["buffer"] else None}


def _counts(found: dict[str, Any] | None) -> dict[str, str]:
    """Return what a closed dock says beside its tabs."""
    if found is None or found["kernel"] is None:
        return {}
    counts = {}
    for tab, column in (("llvm", "llvm"), ("asm", "assembly")):
        if found["kernel"][column]:
            counts[tab] = counted(zlib.decompress(found["kernel"][column]).count(b"\n"), "line")
    return counts


def _other(recording: Recording, name: str) -> Payload:
    """Return the card of a name that no node makes: a constant, an input, or a buffer of the program."""
    card = {"name": name, "title": name, "gone": False, "attributes": [], "inputs": [], "users": [], "origin": [],
            "touched": [], "links": {"instruction": None, "kernel": None, "buffer": name}, "counts": {}}
    rows = recording.query("SELECT constants.born, constants.died, types.text AS type, bytes FROM constants "
                           "JOIN types ON types.id = type WHERE constants.name = ? ORDER BY born", name)
    if rows:
        lines = [{"text": f"A constant of {byte_text(rows[0]['bytes'])}, born in state {rows[0]['born']}.",
                  "snapshot": rows[0]["born"]}]
        if rows[-1]["died"] < ALIVE:
            lines.append({"text": f"Gone in state {rows[-1]['died']}.", "snapshot": rows[-1]["died"]})
        return card | {"op": "constant", "type": rows[0]["type"], "paragraphs": lines,
                       "touched": sorted({row["born"] for row in rows if row["born"]})} | _readers(recording, name)
    buffers = recording.query("SELECT * FROM buffers WHERE name = ? ORDER BY born", name)
    if buffers:
        return card | _of_buffer(recording, buffers[-1], buffers[0]["born"])
    faces = recording.query("SELECT inputs FROM interfaces ORDER BY born")
    types = {known: text for face in faces for known, text in orjson.loads(face["inputs"])}
    if name in types:
        line = {"text": "An input of the model: its value comes with every run.", "snapshot": 0}
        return card | {"op": "input", "type": types[name], "paragraphs": [line]}
    for position, row in enumerate(one for one in recording.statements() if one["kind"] == "instr"):
        if row["value"] == name:
            return card | _of_instruction(recording, row, position)
    raise Problem(f"No value is called “{name}” in any state.", "This recording", status=404,
                  remedy="Search for it with /.")


def _readers(recording: Recording, name: str) -> Payload:
    """Return the nodes that ever read a constant, as users, and the ONNX nodes that these stand for."""
    rows = recording.query(
        "SELECT nodes.name, label, op, operands, origins.names AS origins FROM nodes LEFT JOIN origins "
        "ON origins.id = origin WHERE instr(operands, ?) ORDER BY nodes.rowid", name)
    near = {row["name"]: row for row in rows if name in split(row["operands"])}
    origin = dict.fromkeys(one for row in near.values() for one in split(row["origins"]))
    return {"users": [[row["name"], row["label"] or row["name"], row["op"]] for row in near.values()],
            "origin": list(origin)}


def _of_buffer(recording: Recording, row: Any, born: int) -> Payload:
    """Return what a card says of a buffer: which pass made it, and the instructions that use it, with their origin."""
    near = [one for one in recording.statements() if one["kind"] == "instr"
            and row["name"] in (*split(one["outs"]), *split(one["ins"]), *split(one["scratch"]))]
    made = [step["name"] for step in recording.passes() if step["snapshot"] == born]
    lines = [{"text": f"A buffer of the program ({row['kind']}), {byte_text(row['bytes'])}.", "snapshot": born}]
    if made:
        purpose = f", for {near[0]['label'] or near[0]['value']}" if near else ""
        lines.append({"text": f"Made by {made[0]} (pass {born}){purpose}.", "snapshot": born})
    users = [[one["value"], one["label"] or one["value"], one["instruction"]] for one in near if one["value"]]
    origin = list(dict.fromkeys(name for one in near for name in split(one["origins"] or "")))
    return {"op": row["kind"], "type": row["type"], "paragraphs": lines, "touched": [born], "users": users,
            "origin": origin}


def _of_instruction(recording: Recording, row: Any, position: int) -> Payload:
    """Return what a card says of an instruction that computes no value of the graph, as one that fills a border."""
    wrote = row["outs"].split("\x1f")[0]
    buffers = recording.query("SELECT type FROM buffers WHERE name = ? ORDER BY born DESC LIMIT 1", wrote)
    kernels = recording.query("SELECT name FROM kernels WHERE position = ?", position)
    text = f"An instruction of the program, {row['instruction']}: it writes %{wrote}."
    links = {"instruction": position, "kernel": kernels[0]["name"] if kernels else None, "buffer": wrote}
    return {"op": row["instruction"], "type": buffers[0]["type"] if buffers else "", "links": links,
            "origin": [one for one in (row["origins"] or "").split("\x1f") if one],
            "paragraphs": [{"text": text, "snapshot": row["born"]}]}
