"""The printed IR of a snapshot, line by line, with what each line defines and how it changed."""

import re

from glowviz.app import theme
from glowviz.app.reader import Payload
from glowviz.compiler.recording.reader import Recording, SnapshotDiff

DEFINES = re.compile(r'^\s*(?:const |state |input |weight |output )?%(?:"((?:[^"\\]|\\.)*)"|([\w.]+)):')
VALUE = re.compile(r'\s of %(?:"((?:[^"\\]|\\.)*)"|([\w.]+))')


def graph_text(recording: Recording, snapshot: int) -> Payload:
    """Return docs/payloads.md `text`: the graph at `snapshot`, lines that the pass touched marked."""
    last = min(snapshot, recording.last("graph") or 0)
    lines = recording.graph_text(last).split("\n")
    names = [_defined(line) for line in lines]
    states = _states(recording.diff(last - 1, last)) if last == snapshot and last > 0 else {}
    title = lines[0].split("(")[0] + ("" if last == snapshot else f", the last graph (state {last})")
    return {"title": title, "lines": lines, "names": names, "state": [states.get(name, 0) for name in names]}


def program_text(recording: Recording, snapshot: int) -> Payload:
    """Return docs/payloads.md `program`: the program at `snapshot`, or the first one after it."""
    row = recording.query("SELECT MIN(snapshot) AS first, MAX(snapshot) AS last FROM passes WHERE level = 'program'")[0]
    if row["first"] is None:
        return {"title": "no program yet", "lines": [], "names": [], "state": [], "step": []}
    at = max(snapshot, row["first"])
    lines = recording.program_text(at).split("\n")
    statements = recording.statements(at)
    first = next((i for i, line in enumerate(lines) if _is_statement(line)), len(lines))
    names = [_defined(line) for line in lines]
    step = [-1] * len(lines)
    state = [0] * len(lines)
    position = 0
    for offset, statement in enumerate(statements):
        line = first + offset
        names[line] = statement["value"] or statement["outs"].split("\x1f")[0]
        if statement["kind"] == "instr":
            step[line] = position
            position += 1
        if at > row["first"] and statement["born"] == at:
            state[line] = theme.CHANGE_INDEX["changed"]
    return {"title": lines[0].rstrip(" {") + ("" if at == snapshot else f", made in state {at}"), "lines": lines,
            "names": names, "state": state, "step": step}


def _is_statement(line: str) -> bool:
    return not line.startswith("program ") and not re.match(r"\s+(input|weight|state|output) ", line)


def _defined(line: str) -> str:
    found = DEFINES.match(line) or VALUE.search(line)
    return (found.group(1) or found.group(2)).replace('\\"', '"') if found else ""


def _states(diff: SnapshotDiff) -> dict[str, int]:
    states = dict.fromkeys(diff.added, theme.CHANGE_INDEX["added"])
    states |= dict.fromkeys(diff.changed, theme.CHANGE_INDEX["changed"])
    heirs = set(diff.merged.values())
    return states | {name: theme.CHANGE_INDEX["merged"] for name in heirs if name in states}
