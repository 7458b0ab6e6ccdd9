"""What was timed in a recording, in seconds: whole runs and single instructions."""

import zlib
from dataclasses import dataclass

import orjson

from glowviz.app.wording import median, spread
from glowviz.compiler.recording.reader import Recording

UNIT_SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}


@dataclass(frozen=True)
class Runs:
    """Timed whole runs: all samples, how many threads ran, and how it was measured."""

    samples: list[float]
    threads: int
    note: str

    @property
    def median(self) -> float:
        return median(self.samples)

    @property
    def spread(self) -> float:
        """Half the distance between the quartiles."""
        return spread(self.samples)


def whole_runs(recording: Recording) -> Runs | None:
    """Return the last timing of whole runs; None when there is none."""
    rows = recording.query("SELECT * FROM runs ORDER BY rowid DESC LIMIT 1")
    if not rows:
        return None
    samples = _seconds(rows[0]["unit"], rows[0]["samples"])
    return Runs(samples, rows[0]["threads"], rows[0]["note"]) if samples else None


def instruction_times(recording: Recording) -> dict[int, float]:
    """Return the median time of every timed instruction by its position, of the last timing."""
    rows = recording.query("SELECT kernel, unit, samples FROM spans ORDER BY rowid")
    timed = {row["kernel"]: _seconds(row["unit"], row["samples"]) for row in rows}
    return {position: median(samples) for position, samples in timed.items() if samples}


def _seconds(unit: str, packed: bytes) -> list[float]:
    return [one * UNIT_SECONDS.get(unit, 1e-9) for one in orjson.loads(zlib.decompress(packed))]
