"""What the kernels view says of another engine: its time beside each kernel, its whole run, and what cannot be told."""

from typing import Any

from glowviz.app.peer_times import Beside, Group, beside
from glowviz.app.reader import Payload
from glowviz.app.wording import counted, median, spread, time_text
from glowviz.compiler.recording.peers import Peer, PeerNode, peers_of
from glowviz.compiler.recording.reader import Recording

SHOWN = 12
Cells = tuple[float | None, float | None, str]
"""ms, spread in ms, and in words which of its nodes they are."""


def peer_columns(recording: Recording) -> tuple[Payload | None, dict[int, Cells]]:
    """Return docs/payloads.md `kernels.peer` and by position of a kernel its three cells; nothing without a peer."""
    peers = peers_of(recording)
    if not peers:
        return None, {}
    found = beside(recording, peers[-1])
    cells: dict[int, Cells] = {}
    for group in found.groups:
        cells.update(_cells(group, recording))
    return _summary(peers[-1], found) | {"groups": [group.kernels for group in found.groups]}, cells


def peer_ratios(theirs: list[float | None], ours: list[float | None], peer: Payload | None) -> list[float | None]:
    """Return for each kernel at which the peer's time stands: that time ÷ ours of the same nodes."""
    found: list[float | None] = [None] * len(ours)
    for group in peer["groups"] if peer else ():
        at = next((position for position in group if theirs[position] is not None), None)
        own = sum(ours[position] or 0.0 for position in group)
        if at is not None and own:
            found[at] = (theirs[at] or 0.0) / own
    return found


def _cells(group: Group, recording: Recording) -> dict[int, Cells]:
    """The time of a group stands at its first heaviest kernel; the others say where it is counted."""
    names = ", ".join(f"{node.name} ({node.op})" for node in group.nodes[:SHOWN])
    rows = recording.query("SELECT position, flops, bytes FROM kernels")
    work = {row["position"]: (row["flops"], row["bytes"]) for row in rows}
    first = max(group.kernels, key=lambda position: (work[position], -position))
    others = [position for position in group.kernels if position != first]
    told = f"{names}; the same nodes as our #{', #'.join(map(str, others))} too" if others else names
    return {first: (group.ms, group.spread, told), **dict.fromkeys(others, (None, None, f"in #{first}"))}


def _summary(peer: Peer, found: Beside) -> Payload:
    whole = [sample / 1e3 for sample in peer.whole]
    nodes = [median(list(node.samples)) / 1e3 for node in peer.nodes]
    return {"engine": peer.engine, "version": peer.version, "source": peer.source, "told": peer.told,
            "total": {"ms": median(whole), "spread": spread(whole), "samples": len(whole)} if whole else None,
            "sum_ms": sum(nodes), "nodes": len(nodes), "notes": _notes(found)}


def _notes(found: Beside) -> list[str]:
    notes = []
    if found.unknown:
        notes.append(f"{_named(found.unknown)}: which nodes of the model these are cannot be told, because neither "
                     "their names nor their values are in it.")
    if found.alone:
        notes.append(f"{_named(found.alone)}: nothing of ours runs for these.")
    return notes


def _named(nodes: list[PeerNode]) -> str:
    took = time_text(sum(median(list(node.samples)) for node in nodes) / 1e6)
    more = f" and {len(nodes) - SHOWN} more" if len(nodes) > SHOWN else ""
    names: list[Any] = [f"{node.name} ({node.op})" for node in nodes[:SHOWN]]
    return f"{counted(len(nodes), 'node')}, {took}: {', '.join(names)}{more}"
