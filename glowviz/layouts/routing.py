"""Every edge runs at right angles: down from its port, along a track in the gap between two rows, and down again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from glowviz.layouts.placed import Point, Route, Stub
from glowviz.layouts.ports import Ports
from glowviz.layouts.problem import Problem
from glowviz.layouts.strata import Strata
from glowviz.layouts.tracks import Trunk, stack_tracks

ROW_GAP = 16.0  # px between rows with at most two tracks
TRACK_GAP = 6.0  # px between tracks
MOST_TRACKS = 10  # above this the gap's edges run slanted
SLANTED_GAP = 64.0
STRAIGHT = 0.5  # px of sideways shift that still counts as straight


@dataclass(slots=True)
class Gap:
    """The space below one row: its trunks by net, and how many tracks they need (0: all straight)."""

    trunks: dict[int, Trunk]
    tracks: int = 0

    @property
    def slanted(self) -> bool:
        """Too full for tracks."""
        return self.tracks > MOST_TRACKS

    @property
    def height(self) -> float:
        """The height that the gap needs, px."""
        return SLANTED_GAP if self.slanted else max(ROW_GAP, (self.tracks + 1) * TRACK_GAP)


def find_gaps(problem: Problem, strata: Strata, x: list[float], ports: Ports, row_count: int) -> list[Gap]:
    """The trunks of every gap, and the track of each."""
    gaps = [Gap({}) for _ in range(row_count)]

    def join(row: int, net: int, above: int, lower: float) -> None:
        trunk = gaps[row].trunks.get(net)
        if trunk is None:
            upper = ports.exit[net] if above < strata.count else x[above]
            trunk = gaps[row].trunks[net] = Trunk(upper)
        trunk.reach(lower)

    for lane, net in enumerate(strata.net_of, strata.count):
        join(strata.row[lane] - 1, net, strata.up[lane][0], x[lane])
    for edge, last in enumerate(strata.last):
        if last >= 0:
            join(strata.row[last], strata.net[edge], last, ports.entry[edge])
    for gap in gaps:
        bent = [trunk for trunk in gap.trunks.values() if trunk.high - trunk.low > STRAIGHT]
        gap.tracks = stack_tracks(bent, MOST_TRACKS) if bent else 0
    return gaps


class RowWish(NamedTuple):
    """y of a row's centre line in the previous drawing, and whether it moves down with the row above it."""

    y: float
    follows: bool


def place_rows(heights: list[float], gaps: list[Gap], wishes: Sequence[RowWish | None]) -> list[float]:
    """y of the centre line of each row: one below the other with the gaps that the tracks need.

    A row with a wish stays there, however full the gap above it has become, or as far below as the rows put
    in above it need.
    """
    rows: list[float] = []
    bottom = -ROW_GAP
    gap = ROW_GAP
    shift = 0.0
    for height, below, wish in zip(heights, gaps, wishes, strict=True):
        if wish is None:
            y = bottom + gap + height / 2
        else:
            y = max(wish.y + shift * wish.follows, bottom + ROW_GAP + height / 2)
            shift = y - wish.y
        rows.append(y)
        bottom, gap = y + height / 2, below.height
    return rows


@dataclass(slots=True)
class Router:
    """Turns ports, gaps and rows into corner points."""

    problem: Problem
    strata: Strata
    x: list[float]
    ports: Ports
    gaps: list[Gap]
    rows: list[float]
    heights: list[float]

    def routes(self) -> dict[object, Route]:
        """Edge key -> corner points, or a Stub."""
        return {key: self._route(edge) for edge, key in enumerate(self.problem.keys)}

    def _route(self, edge: int) -> Route:
        problem, strata = self.problem, self.strata
        tail, head, net = problem.tails[edge], problem.heads[edge], strata.net[edge]
        bottom = self.rows[strata.row[tail]] + problem.heights[tail] / 2
        top = self.rows[strata.row[head]] - problem.heights[head] / 2
        entry = (self.ports.entry[edge], top)
        if strata.last[edge] < 0:
            ends = (self.ports.stub_exit[net], bottom), entry
            return Stub(*(ends[::-1] if problem.turned[edge] else ends))
        points = self._bends(edge, net)
        start = (self.ports.exit[net], bottom)
        points = [entry, *points, start]
        return points if problem.turned[edge] else points[::-1]

    def _bends(self, edge: int, net: int) -> list[Point]:
        """The corners between the two ports, from the head upwards."""
        strata, points = self.strata, []
        lower, vertex = self.ports.entry[edge], strata.last[edge]
        while True:
            row = strata.row[vertex]
            gap = self.gaps[row]
            at_box = vertex < strata.count
            upper = self.ports.exit[net] if at_box else self.x[vertex]
            if abs(upper - lower) > STRAIGHT:
                points += self._corners(row, gap, net, lower, upper)
            if at_box:
                return points
            lower, vertex = upper, strata.up[vertex][0]

    def _corners(self, row: int, gap: Gap, net: int, lower: float, upper: float) -> list[Point]:
        top = self.rows[row] + self.heights[row] / 2
        bottom = self.rows[row + 1] - self.heights[row + 1] / 2
        if gap.slanted:
            return [(lower, bottom), (upper, top)]
        y = top + (bottom - top) * (gap.trunks[net].track + 1) / (gap.tracks + 1)
        return [(lower, y), (upper, y)]
