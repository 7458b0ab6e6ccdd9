"""Two recordings become one picture: nodes are joined by the values they compute, and what one run lacks is marked."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

from glowviz.compiler.recording.reader import NodeVersion, Recording, SnapshotDiff

Nodes = Mapping[str, NodeVersion]


Step = dict[str, Any]


def pairs_of_passes(there: Recording, here: Recording) -> list[tuple[Step | None, Step | None]]:
    """Both ledgers side by side, in order: a step that one run alone has stands with None."""
    before, after = there.passes(), here.passes()
    names = [[(step["name"], step["level"] == "program") for step in steps] for steps in (before, after)]
    pairs: list[tuple[Step | None, Step | None]] = []
    for tag, i1, i2, j1, j2 in difflib.SequenceMatcher(None, *names, autojunk=False).get_opcodes():
        if tag == "equal":
            pairs += zip(before[i1:i2], after[j1:j2], strict=True)
        else:
            pairs += [*((step, None) for step in before[i1:i2]), *((None, step) for step in after[j1:j2])]
    return pairs


def aligned(there: Recording, here: Recording, snapshot: int) -> int:
    """The snapshot of another run that corresponds to one of this run: the same pass, counted along both ledgers.

    Where the other run has no such step, it is the last one before it, or the first.
    """
    found = 0
    for before, after in pairs_of_passes(there, here):
        if after is not None and after["snapshot"] > snapshot:
            break
        if before is not None:
            found = before["snapshot"]
    return found


def difference(there: Nodes, here: Nodes, recording: Recording, snapshot: int) -> SnapshotDiff:
    """What this run has at a snapshot that the other has not, and the reverse; before is the other run.

    `merged` is what only the other has while this run says which of its nodes took it in.
    """
    added = tuple(name for name in here if name not in there)
    removed = tuple(name for name in there if name not in here)
    changed = tuple(name for name, node in here.items() if name in there and there[name].content != node.content)
    took = recording.diff(0, snapshot).merged
    merged = {name: took[name] for name in removed if took.get(name) in here}
    return SnapshotDiff(-1, snapshot, added, removed, changed, merged)


def in_order(there: Nodes, here: Nodes) -> dict[str, NodeVersion]:
    """The other run's nodes with ranks of this run's order: each that only it has stands behind what it followed."""
    found: dict[str, NodeVersion] = {}
    rank, behind = min((node.rank for node in here.values()), default=0.0) - 1.0, 0
    step = _smallest_step(here) / (len(there) + 1)
    for name, node in there.items():
        if name in here:
            rank, behind = here[name].rank, 0
            found[name] = node
        else:
            behind += 1
            found[name] = replace(node, rank=rank + behind * step)
    return found


def _smallest_step(nodes: Nodes) -> float:
    ranks = sorted(node.rank for node in nodes.values())
    return min((after - before for before, after in pairwise(ranks) if after > before), default=1.0)
