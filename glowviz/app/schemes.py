"""What other ways of giving out addresses would have needed: the same lifetimes, one table."""

from bisect import insort
from collections.abc import Callable, Sequence

from glowviz.app.reader import Payload
from glowviz.app.wording import byte_text
from glowviz.compiler.memory import ALIGNMENT

Gap = tuple[int, int]


def schemes(sizes: Sequence[int], births: Sequence[int], deaths: Sequence[int], ours: int, bound: int) -> list[Payload]:
    """Return {name, bytes, text, times} for no reuse, first fit, best fit, our plan and the bound.

    `sizes` are bytes, lifetimes are half-open steps. First fit and best fit give out addresses as a program runs,
    knowing nothing of what comes; `times` is how often the bound fits in.
    """
    whole = [-(-size // ALIGNMENT) * ALIGNMENT for size in sizes]
    told = {
        "no reuse": sum(whole), "first fit": online(whole, births, deaths, min),
        "best fit": online(whole, births, deaths, lambda gaps: min(gaps, key=lambda gap: (gap[1], gap[0]))),
        "ours": ours, "bound": bound,
    }  # fmt: skip
    return [{"name": name, "bytes": size, "text": byte_text(size), "times": size / bound if bound else None}
            for name, size in told.items()]


def online(
    sizes: Sequence[int], births: Sequence[int], deaths: Sequence[int], choose: Callable[[list[Gap]], Gap]
) -> int:
    """Return the bytes needed when each buffer goes, at its birth, into a gap that `choose` prefers, else on top.

    A gap is (offset, bytes); what died before is free again (Wilson et al., Dynamic storage allocation, 1995, §3).
    """
    live: list[tuple[int, int, int]] = []  # offset, end, death
    most = 0
    for at in sorted(range(len(sizes)), key=lambda at: (births[at], at)):
        size = sizes[at]
        if not size or deaths[at] <= births[at]:
            continue
        live = [one for one in live if one[2] > births[at]]
        fitting = [gap for gap in _gaps(live) if gap[1] >= size]
        offset = choose(fitting)[0] if fitting else max((end for _, end, _ in live), default=0)
        insort(live, (offset, offset + size, deaths[at]))
        most = max(most, offset + size)
    return most


def _gaps(live: Sequence[tuple[int, int, int]]) -> list[Gap]:
    """Return the free ranges below the highest live byte; `live` is sorted by offset."""
    found, at = [], 0
    for offset, end, _ in live:
        if offset > at:
            found.append((at, offset - at))
        at = max(at, end)
    return found
