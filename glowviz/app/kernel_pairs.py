"""The kernels of two runs side by side, joined by the value they compute; only real differences are told."""

import zlib

import orjson

from glowviz.app.measured import UNIT_SECONDS
from glowviz.app.reader import Payload
from glowviz.app.wording import median, signed, spread, time_text
from glowviz.compiler.recording.reader import Recording

MOST = 20
Timed = tuple[str, list[float]]


def kernel_pairs(there: Recording, here: Recording) -> list[Payload]:
    """Return at most 20 rows {value, before, after, difference, verdict}, the largest difference first.

    A time is another one only beyond the spread of both; a value that one run alone computes stands with "–". No
    rows before both runs are timed: there is nothing to compare.
    """
    before, after = _kernels(there), _kernels(here)
    if not before or not after:
        return []
    found = []
    for value in dict.fromkeys((*before, *after)):
        apart = _apart(before.get(value), after.get(value))
        if apart:
            row = {"value": value, "before": _told(before.get(value)), "after": _told(after.get(value)),
                   "difference": signed(apart, time_text(abs(apart))), "verdict": "less" if apart < 0 else "more"}
            found.append((abs(apart), row))
    return [row for _, row in sorted(found, key=lambda one: -one[0])[:MOST]]


def _kernels(recording: Recording) -> dict[str, Timed]:
    """Return value → (kernel's name, samples in seconds) of the last timing."""
    rows = recording.query("SELECT kernels.value, kernels.name, instruction, unit, samples FROM spans "
                           "JOIN kernels ON kernels.position = spans.kernel ORDER BY spans.rowid")
    found = {}
    for row in rows:
        samples = orjson.loads(zlib.decompress(row["samples"]))
        seconds = [one * UNIT_SECONDS.get(row["unit"], 1e-9) for one in samples]
        found[row["value"]] = (row["name"] or row["instruction"], seconds)
    return found


def _apart(before: Timed | None, after: Timed | None) -> float:
    """Return the difference of the medians in seconds, 0 where it is within the spread."""
    (_, one), (_, other) = before or ("", []), after or ("", [])
    apart = (median(other) if other else 0.0) - (median(one) if one else 0.0)
    noise = sum(spread(samples) for samples in (one, other) if samples) if one and other else 0.0
    return apart if abs(apart) > noise else 0.0


def _told(timed: Timed | None) -> str:
    return f"{timed[0]} {time_text(median(timed[1]))}" if timed and timed[1] else "–"
