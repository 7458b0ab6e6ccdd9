"""Every vertex has an x: aligned blocks stand straight, neighbours keep their distance, the drawing is narrow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from glowviz.layouts.alignment import Flat, align, wishes

COLUMN_GAP = 24  # px between boxes
LANE_GAP = 12  # px between a lane and a box or another lane
SLACK = 1.2  # allowed width over that of the fullest row …
SLACK_PX = 400  # … plus this, before long blocks are cut

Array = np.ndarray


@dataclass(slots=True)
class Spacing:
    """Half the width of every vertex, and the least distance `apart` of the centres of v - 1 and v for the
    `right` vertices v: all that have a left neighbour in their row."""

    half: Array
    right: Array
    apart: Array


def centres(flat: Flat, widths: list[float]) -> Array:
    """The centre x of every vertex of `flat`, whole px, float64 [vertices], smallest left side 0.

    Mean of the two middle values of four extreme alignments (from the top or bottom, to the left or right).
    """
    half = np.ceil(np.array(widths, np.float64) / 2)
    if len(flat.vertices) == len(flat.spans):
        return np.full(len(half), half.max())
    spacing = _spacing(flat, half)
    limit = SLACK * _fullest_row(flat, spacing) + SLACK_PX
    layouts: list[Array] = []
    for wished, spans in zip(wishes(flat), (flat.spans, flat.spans[::-1]), strict=True):
        for leftmost in (True, False):
            root = np.array(align(spans, wished, leftmost))
            layouts.append(_narrow(flat, root, spacing, leftmost, limit))
    return _balance(layouts, half)


def _spacing(flat: Flat, half: Array) -> Spacing:
    has_left = np.ones(len(half), bool)
    has_left[[start for start, stop in flat.spans if stop > start]] = False
    right = np.flatnonzero(has_left)
    lane = np.array(flat.lane)
    gap = np.where(lane[right] | lane[right - 1], LANE_GAP, COLUMN_GAP)
    return Spacing(half, right, half[right] + half[right - 1] + gap)


def _fullest_row(flat: Flat, spacing: Spacing) -> float:
    distance = np.zeros(len(spacing.half) + 1)
    distance[spacing.right + 1] = spacing.apart
    along = np.cumsum(distance)
    starts, stops = np.array([span for span in flat.spans if span[1] > span[0]]).T
    return float((along[stops] - along[starts + 1] + spacing.half[starts] + spacing.half[stops - 1]).max())


def _width(x: Array, half: Array) -> float:
    return float((x + half).max() - (x - half).min())


def _narrow(flat: Flat, root: Array, spacing: Spacing, leftmost: bool, limit: float) -> Array:
    """Pack the blocks; where stairs of blocks make the drawing too wide, cut it between rows and try again."""
    x = _pack(root, spacing, leftmost)
    if _width(x, spacing.half) <= limit:
        return x
    bands = [(0, len(flat.spans))]
    done: list[tuple[int, int]] = []
    while bands:
        first, last = bands.pop()
        part = slice(flat.spans[first][0], flat.spans[last - 1][1])
        x[part] = _pack_band(root, spacing, leftmost, part)
        if last - first < 2 or _width(x[part], spacing.half[part]) <= limit:
            done.append((first, last))
        else:
            middle = (first + last) // 2
            bands += [(middle, last), (first, middle)]
    _join(flat, done, x, spacing.half, limit)
    return x


def _pack_band(root: Array, spacing: Spacing, leftmost: bool, part: slice) -> Array:
    _, first, inverse = np.unique(root[part], return_index=True, return_inverse=True)
    inside = (spacing.right >= part.start) & (spacing.right < part.stop)
    own = Spacing(spacing.half[part], spacing.right[inside] - part.start, spacing.apart[inside])
    return _pack(first[inverse], own, leftmost)


def _join(flat: Flat, bands: list[tuple[int, int]], x: Array, half: Array, limit: float) -> None:
    """Shift each band so that the edges from the band above bend little and the whole stays within limit."""
    left = 0.0
    for number, (first, last) in enumerate(bands):
        start, stop = flat.spans[first][0], flat.spans[last - 1][1]
        leads = [x[u] - x[v] for v in range(*flat.spans[first]) for u in flat.up[v]] if number else []
        low, high = (x[start:stop] - half[start:stop]).min(), (x[start:stop] + half[start:stop]).max()
        shift = float(np.median(leads)) if leads else left - low
        x[start:stop] += max(left - low, min(shift, left + max(limit, high - low) - high))


def _pack(root: Array, spacing: Spacing, leftmost: bool) -> Array:
    """x of every vertex, blocks pushed as far to one side as their neighbours allow, then drawn together."""
    before, after = root[spacing.right - 1], root[spacing.right]
    if not leftmost:
        before, after = after, before
    if not len(before):
        return np.zeros(len(root))
    code = before * len(root) + after
    by_code = np.argsort(code, kind="stable")
    code, apart = code[by_code], spacing.apart[by_code]
    heads = np.flatnonzero(np.diff(code, prepend=-1))
    apart = np.maximum.reduceat(apart, heads)
    before, after = np.divmod(code[heads], len(root))
    block_x = _longest_paths(len(root), before, after, apart)
    return block_x[root] if leftmost else -block_x[root]


def _longest_paths(count: int, before: Array, after: Array, apart: Array) -> Array:
    """Least x with x[after] >= x[before] + apart; then each block as large an x as those after it allow.

    `before` is sorted. Iterative: blocks in the order in which all their left neighbours are known.
    """
    bounds = np.searchsorted(before, np.arange(count + 1)).tolist()
    waiting = np.bincount(after, minlength=count).tolist()
    ready = [block for block in np.unique(before).tolist() if not waiting[block]]
    targets, gaps = after.tolist(), apart.tolist()
    x = [0.0] * count
    for block in ready:  # grows while it is read
        here = x[block]
        for i in range(bounds[block], bounds[block + 1]):
            target = targets[i]
            if x[target] < here + gaps[i]:
                x[target] = here + gaps[i]
            waiting[target] -= 1
            if not waiting[target]:
                ready.append(target)
    for block in reversed(ready):
        start, stop = bounds[block], bounds[block + 1]
        if stop > start:
            x[block] = max(x[block], min([x[targets[i]] - gaps[i] for i in range(start, stop)]))
    return np.array(x)


def _balance(layouts: list[Array], half: Array) -> Array:
    """Lay the four over the narrowest of them, left sides to left, right sides to right, and take the middle."""
    narrowest = min(layouts, key=lambda x: _width(x, half))
    left, right = (narrowest - half).min(), (narrowest + half).max()
    for number, x in enumerate(layouts):
        x += right - (x + half).max() if number % 2 else left - (x - half).min()
    middle = np.sort(np.stack(layouts), axis=0)[1:3].mean(axis=0)
    middle = np.floor(middle)
    return middle - (middle - half).min()
