"""In the gap between two rows, horizontal pieces of different nets lie on different tracks, few of them crossing."""

from __future__ import annotations

from dataclasses import dataclass, field

CLEARANCE = 6.0  # px that must lie between two pieces on one track
COMPARED = 64  # pieces per gap up to which every pair is compared


@dataclass(slots=True)
class Trunk:
    """One net in one gap: it comes from `upper` at the top, spans [low, high] and leaves downwards at `ends`."""

    upper: float
    low: float = field(init=False)
    high: float = field(init=False)
    ends: list[float] = field(default_factory=list)
    track: int = 0

    def __post_init__(self) -> None:
        self.low = self.high = self.upper

    def reach(self, x: float) -> None:
        """Lead down at x too."""
        self.ends.append(x)
        self.low, self.high = min(self.low, x), max(self.high, x)


def stack_tracks(trunks: list[Trunk], most: int) -> int:
    """Give every trunk a track, 0 the highest; returns how many are used (more than `most`: do not use them)."""
    if len(trunks) == 1:
        return 1
    trunks = sorted(trunks, key=_turn)
    if len(trunks) > COMPARED:
        return _first_fit(trunks, most)
    below = _pairs(trunks)
    waiting = [0] * len(trunks)
    for lower in below:
        for trunk in lower:
            waiting[trunk] += 1
    left = list(range(len(trunks)))
    while left:
        # where the wishes go round in a circle, the first in line goes anyway
        trunk = next((i for i in left if waiting[i] <= 0), left[0])
        left.remove(trunk)
        for other in below[trunk]:
            waiting[other] -= 1
            if other in left:
                trunks[other].track = max(trunks[other].track, trunks[trunk].track + 1)
    return 1 + max(trunk.track for trunk in trunks)


def _turn(trunk: Trunk) -> tuple[bool, float]:
    """Pieces to the right before pieces to the left; the one that turns last in its direction first."""
    rightwards = trunk.high - trunk.upper >= trunk.upper - trunk.low
    return (not rightwards, -trunk.upper if rightwards else trunk.upper)


def _pairs(trunks: list[Trunk]) -> list[list[int]]:
    """For each trunk the overlapping ones that should lie below it."""
    below: list[list[int]] = [[] for _ in trunks]
    for i, first in enumerate(trunks):
        for j in range(i + 1, len(trunks)):
            second = trunks[j]
            if first.low < second.high + CLEARANCE and second.low < first.high + CLEARANCE:
                if _cost(second, first) < _cost(first, second):
                    below[j].append(i)
                else:
                    below[i].append(j)
    return below


def _cost(upper: Trunk, lower: Trunk) -> int:
    """Crossings if `upper` lies above `lower`; verticals that would run over each other count much more."""
    crossings = upper.low < lower.upper < upper.high
    for end in upper.ends:
        crossings += lower.low < end < lower.high
        crossings += 100 * (abs(end - lower.upper) < CLEARANCE / 2)
    return crossings


def _first_fit(trunks: list[Trunk], most: int) -> int:
    """Tracks by left side, each piece on the first track that is free; gives up above `most`."""
    ends: list[float] = []
    for trunk in sorted(trunks, key=lambda trunk: trunk.low):
        for track, end in enumerate(ends):
            if end + CLEARANCE < trunk.low:
                trunk.track = track
                break
        else:
            if len(ends) > most:
                break
            trunk.track = len(ends)
            ends.append(0.0)
        ends[trunk.track] = trunk.high
    return len(ends)
