"""A Report holds every time that was measured, and prints them as a table or as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from statistics import median

SCALED = 1.2
"""Threads at once may take this much longer than one alone, for a round to count."""
LEAST_GOOD = 3


@dataclass
class Row:
    """One engine on one model. `rounds` are the windows in order, each the nanoseconds of its calls.

    import_cpu: processor seconds to import the library, which the other times do not contain.
    difference: largest |own − reference| ÷ largest |reference|, over all outputs. error: why there are no times.
    """

    engine: str
    version: str = ""
    precision: str = "f32"
    error: str = ""
    rounds: list[list[int]] = field(default_factory=list)
    import_cpu: float = 0.0
    load_cpu: float = 0.0
    first_cpu: float = 0.0
    first_wall: float = 0.0
    peak: int = 0
    difference: float | None = None
    pinned: bool = False
    real_time: bool = False

    @property
    def times(self) -> list[float]:
        """Milliseconds of all calls."""
        return [time / 1e6 for times in self.rounds for time in times]

    @property
    def least(self) -> float:
        return min(self.times)

    @property
    def middle(self) -> float:
        return median(self.times)

    @property
    def spread(self) -> float:
        """Width of the middle half of the times, as a share of the median."""
        times = sorted(self.times)
        return (times[(3 * len(times)) // 4] - times[len(times) // 4]) / self.middle


@dataclass
class Comparison:
    """All engines on one model; the first is the one that the others are held against."""

    model: str
    threads: int
    inputs: dict[str, list[int]]
    rows: list[Row]
    notes: list[str] = field(default_factory=list)
    precision: str = "f32"
    slowdowns: list[float] = field(default_factory=list)
    """With several threads: for each round, the worst calibration loop beside its windows, all threads ÷ one."""

    @property
    def counted(self) -> list[int]:
        """The rounds that ratios are made of: those whose cores scaled, or all where too few did."""
        good = [n for n, slowdown in enumerate(self.slowdowns) if slowdown <= SCALED]
        return good if len(good) >= LEAST_GOOD else list(range(len(self.rows[0].rounds)))

    def ratio(self, row: Row) -> float | None:
        """How many times as fast the first engine is as this one: median over the rounds of their minima's ratio.

        Rounds are interleaved, so both halves of each ratio saw the same machine.
        """
        first = self.rows[0]
        if row is first or not row.rounds or not first.rounds:
            return None
        ends = min(len(first.rounds), len(row.rounds))
        return median(min(row.rounds[n]) / min(first.rounds[n]) for n in self.counted if n < ends)

    def text(self) -> str:
        """A table of one line an engine."""
        shapes = ", ".join(f"{name} {'×'.join(map(str, shape))}" for name, shape in self.inputs.items())
        plural = "" if self.threads == 1 else "s"
        lines = [f"{self.model}   {shapes}   {self.threads} thread{plural}   {self.precision}", HEADER]
        lines += [self._line(row) for row in self.rows]
        return "\n".join(lines + [f"  note: {note}" for note in self.notes])

    def _line(self, row: Row) -> str:
        name = f"  {row.engine} {row.version}" + (f" {row.precision}" if self.precision != "f32" else "")
        if not row.rounds:
            return f"{name:<24}{row.error}"
        ratio, difference = self.ratio(row), row.difference
        return (f"{name:<24}{row.least:>10.3f}{row.middle:>10.3f}{row.spread:>8.0%}{len(row.times):>7}"
                f"{'' if ratio is None else f'{ratio:.2f}':>8}{'' if difference is None else f'{difference:.1e}':>11}"
                f"{row.load_cpu:>9.2f}{row.first_wall:>9.2f}{row.peak / 1e6:>8.0f}")


HEADER = (f"  {'engine':<22}{'min ms':>10}{'median':>10}{'spread':>8}{'calls':>7}{'ratio':>8}{'max diff':>11}"
          f"{'load CPU':>9}{'first s':>9}{'MB':>8}")
LEGEND = ("ratio: how many times as fast the first engine is (median of the rounds' minima) · max diff: against the "
          "first other engine, share of max |output|\n"
          "load CPU: processor seconds from the file to a ready model; glowviz finds in its cache what it compiled "
          "before · first s: seconds from the file to the first answer · MB: peak of the process")


@dataclass
class Report:
    """One comparison a model."""

    comparisons: list[Comparison]

    def text(self) -> str:
        """The tables, and what the columns mean."""
        return "\n\n".join([*(comparison.text() for comparison in self.comparisons), LEGEND])

    def json(self) -> str:
        """Everything measured, all calls included, with the derived numbers beside."""
        found = []
        for comparison in self.comparisons:
            entry = asdict(comparison)
            for data, row in zip(entry["rows"], comparison.rows, strict=True):
                if row.rounds:
                    data |= {"min_ms": row.least, "median_ms": row.middle, "spread": row.spread,
                             "calls": len(row.times), "ratio": comparison.ratio(row)}
            found.append(entry)
        return json.dumps({"comparisons": found}, indent=1)
