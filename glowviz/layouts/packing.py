"""Parts of a graph that no edge joins stand side by side on shelves, none overlapping another."""

from __future__ import annotations

import math

PART_GAP = 48  # px between parts
ROW_PITCH = 44  # px, a usual row: only to estimate the shape of the whole
ASPECT = 1.6  # wished width over height


def parts(above: list[list[int]], below: list[list[int]]) -> list[list[int]]:
    """Connected parts, the one with most nodes first, then by first node; nodes ascending."""
    part_of = [-1] * len(above)
    found: list[list[int]] = []
    for start in range(len(above)):
        if part_of[start] >= 0:
            continue
        part_of[start] = len(found)
        members = [start]
        for node in members:  # grows while it is read
            for near in (above[node], below[node]):
                for other in near:
                    if part_of[other] < 0:
                        part_of[other] = len(found)
                        members.append(other)
        found.append(sorted(members))
    return sorted(found, key=lambda members: -len(members))


def shelves(extents: list[tuple[float, int]]) -> list[tuple[float, int]]:
    """(width px, rows) of each part -> (left px, first row) of each part, filled from left to right.

    Parts on one shelf share its rows; the shelf below starts under the tallest of them.
    """
    area = sum((width + PART_GAP) * rows * ROW_PITCH for width, rows in extents)
    widest = max(max(width for width, _ in extents), math.sqrt(area * ASPECT))
    corners: list[tuple[float, int]] = []
    left, top, height = 0.0, 0, 0
    for width, rows in extents:
        if left and left + width > widest:
            left, top, height = 0.0, top + height, 0
        corners.append((left, top))
        left += width + PART_GAP
        height = max(height, rows)
    return corners
