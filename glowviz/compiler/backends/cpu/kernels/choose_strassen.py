"""How a product is done by Strassen's scheme: a count of cycles, and an estimate of the error on real weights."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from math import sqrt

import numpy as np

from glowviz.compiler.backends.cpu.kernels.choose_conv import BODY, ENTRY, LATENCY, LOAD, STORE
from glowviz.compiler.backends.cpu.kernels.choose_gemm import COLD, DRAM_BYTES
from glowviz.compiler.backends.cpu.kernels.geometry import Cut
from glowviz.compiler.backends.cpu.kernels.strassen import StrassenSchedule, StrassenSpec
from glowviz.compiler.backends.cpu.kernels.strassen_scheme import LEFT, RESULT, RIGHT, nested, sums_of
from glowviz.compiler.backends.cpu.kernels.tile import fits
from glowviz.compiler.backends.cpu.kernels.totals import blocks_for
from glowviz.compiler.target import Target

TURNS = 96
"""Turns of a reduction that go into one sum, at most, where nothing else is asked for."""
MOVE = 2.0  # cycles to add a vector of sums to a block of the result
ENDS = 12 / 7  # blocks that a product is added to, on the average
SUM = 1.5  # cycles for a vector of the sums of blocks of A
STREAM = 9.0  # bytes a cycle of weights that come from behind L2
SHOWN = 0.1  # of the time of that stream which multiplying does not hide
SHARING = 0.08  # relative price of a single task: nobody can share it
SAMPLED = 8  # columns of every block that an error is estimated on
ROUNDING = 2**-24 / sqrt(3)  # of an addition, root mean square, as a part of its result


@lru_cache(maxsize=512)
def choose(spec: StrassenSpec, target: Target) -> tuple[StrassenSchedule, str]:
    """The cheapest schedule by the model, and the sentence that says why."""
    candidates = _costs(spec, target)
    best, _, schedule = min(candidates, key=lambda c: c[:2])
    share = 100 * spec.flops / 2 / target.vector_width / best
    tile = f"tile {schedule.rows}x{schedule.vectors * target.vector_width}"
    why = f"{tile}: the model expects {share:.0f} % of the FMA rate of the plain product, best of {len(candidates)}"
    return schedule, why


def ranked(spec: StrassenSpec, target: Target, most: int) -> list[StrassenSchedule]:
    """The cheapest schedules, the default first."""
    return [schedule for _, _, schedule in sorted(_costs(spec, target), key=lambda c: c[:2])[:most]]


def _costs(spec: StrassenSpec, target: Target) -> list[tuple[float, int, StrassenSchedule]]:
    return [(cost(spec, s, target), n, s) for n, s in enumerate(_candidates(spec, target))]


def cost(spec: StrassenSpec, schedule: StrassenSchedule, target: Target) -> float:
    """Model cycles: products, their additions to blocks, the results, the sums of A, and what of the stream shows."""
    width = schedule.vectors * target.vector_width
    full, rest = divmod(spec.columns, width)
    panels = {schedule.vectors: full, rest // target.vector_width: 1 if rest else 0}
    cut, parts = Cut(spec.rows, schedule.rows), -(-spec.depth // schedule.turns)
    total = 0.0
    for vectors, panel_count in panels.items():
        for rows, count in cut.sizes.items() if panel_count else ():
            loads, tile = rows + vectors, rows * vectors
            step = max(tile, loads, LATENCY) + LOAD * loads
            product = step * spec.depth + parts * (ENTRY / 2 + ENDS * spec.levels * MOVE * tile)
            total += (product * spec.products + STORE * tile * spec.side**2) * count * panel_count
    total += SUM * spec.products * spec.rows * -(-spec.depth // target.vector_width)
    groups = -(-cut.tiles // schedule.tiles)
    panel = spec.weight_bytes / spec.columns * width
    again = groups if panel > target.l2 // 2 else 1
    total += SHOWN * spec.weight_bytes * again / STREAM
    total += COLD * max(0.0, spec.weight_bytes / DRAM_BYTES - total)
    return total * (1 + BODY * len(cut.sizes) + SHARING / (sum(panels.values()) * groups))


def _candidates(spec: StrassenSpec, target: Target) -> Iterator[StrassenSchedule]:
    turns = even(spec.depth, TURNS)
    ahead = spec.weight_bytes > target.l2 // 4
    for vectors in range(1, min(spec.columns // target.vector_width, target.registers // 3) + 1):
        limit = next((r for r in range(min(spec.rows, 16), 0, -1) if fits(r, vectors, target)), 0)
        if not limit:
            continue
        rows = max(Cut(spec.rows, limit).sizes)
        tiles = Cut(spec.rows, rows).tiles
        for shared in sorted({tiles, -(-tiles // 2), -(-tiles // 4)}, reverse=True):
            yield StrassenSchedule(spec.levels, rows, vectors, turns, shared, ahead)


def even(depth: int, most: int) -> int:
    """Turns of nearly equal parts of a block's depth, of so many at most."""
    return -(-depth // -(-depth // most))


def plain_error(k: int, target: Target) -> float:
    """The error of the plain product by the model of `scheme_error`."""
    blocks = blocks_for(k, 1, target)
    return ROUNDING * sqrt((k if blocks is None else blocks.size) / 2)


def scheme_error(b: np.ndarray, spec: StrassenSpec, turns: int) -> float:
    """The error of the scheme on real weights [K, N], as a part of a column's results; both are root mean squares.

    Each addition of a sum of `turns` products rounds once and independently, inputs are normally distributed. A
    column of small weights counts as much as one of large ones: it shares their roundings in a sum of blocks.
    """
    columns = min(SAMPLED, spec.columns)
    wanted = [s * spec.columns + n for s in range(spec.side) for n in range(columns)]
    inside = [place for place, n in enumerate(wanted) if n < b.shape[1]]
    right = np.zeros((spec.k, len(wanted)), np.float32)
    right[:, inside] = b[:, [wanted[place] for place in inside]]
    sums = sums_of(right, nested(RIGHT, spec.levels), spec.depth, columns)
    terms = np.abs(nested(LEFT, spec.levels)).sum(axis=(1, 2))
    squares = np.square(sums).sum(axis=1) * terms[:, None]
    made = np.tensordot(np.abs(nested(RESULT, spec.levels)), squares, ((0,), (0,))).mean(axis=0).reshape(-1)
    own = np.square(right).sum(axis=0)
    return ROUNDING * sqrt(turns / 2 * float(np.mean(made[own > 0] / own[own > 0]))) if own.any() else 0.0
