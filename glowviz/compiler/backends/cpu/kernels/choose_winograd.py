"""Whether a convolution is done by Winograd's tiles, and by which: a count of cycles, and an estimate of the error."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

import numpy as np

from glowviz.compiler.backends.cpu.kernels.choose_conv import ENTRY, L2_BYTES, LATENCY, LOAD, STORE, sharing
from glowviz.compiler.backends.cpu.kernels.geometry import FLOAT, Cut
from glowviz.compiler.backends.cpu.kernels.tile import fits
from glowviz.compiler.backends.cpu.kernels.winograd import (
    WinogradSchedule,
    WinogradSpec,
    panels_per_group,
    transformed_bytes,
)
from glowviz.compiler.backends.cpu.kernels.winograd_transforms import Filtering, transformed_weights
from glowviz.compiler.target import Target

STREAM = 9.0  # bytes a cycle of weights that come from behind L2
POINT_IN = 9.0  # cycles of the input transform for a point of a vector of channels
POINT_OUT = 9.0  # cycles of the output transform for the same, with the epilogue
SAMPLES, FEATURES = 16, 8  # tiles and output channels that an error is estimated on


@lru_cache(maxsize=512)
def choose(spec: WinogradSpec, target: Target) -> tuple[WinogradSchedule, str]:
    """The cheapest schedule by the model below, and the sentence that says why."""
    candidates = _costs(spec, target)
    best, _, schedule = min(candidates, key=lambda c: c[:2])
    share = 100 * spec.flops / 2 / target.vector_width / best
    how = "input transformed by an instruction of its own" if schedule.apart else "in one instruction"
    why = (
        f"blocks of {schedule.block} tiles, register tile {schedule.rows}x{schedule.vectors * target.vector_width}: "
        f"the model expects {share:.0f} % of the FMA rate of direct convolution, best of {len(candidates)}; {how}"
    )
    return schedule, why


def ranked(spec: WinogradSpec, target: Target, most: int) -> list[WinogradSchedule]:
    """The cheapest schedules, the default first."""
    return [schedule for _, _, schedule in sorted(_costs(spec, target), key=lambda c: c[:2])[:most]]


def _costs(spec: WinogradSpec, target: Target) -> list[tuple[float, int, WinogradSchedule]]:
    ahead = spec.points * spec.depth * spec.result.channels * FLOAT > target.l2
    found = [replace(s, prefetch=ahead) for s in _candidates(spec, target)]
    return [(cost(spec, s, target), n, s) for n, s in enumerate(found)]


def cost(spec: WinogradSpec, schedule: WinogradSchedule, target: Target) -> float:
    """Model cycles: products or the stream of weights, whichever is more, and both transforms."""
    cut, vectors = Cut(spec.tiles, schedule.block), schedule.vectors
    own, each = spec.result.blocks // spec.group, panels_per_group(spec, vectors)
    line = target.vector_width * FLOAT
    slab = spec.points * spec.depth * vectors * line
    multiplying = 0.0
    for wide, panels in ((vectors, each - 1), (own - (each - 1) * vectors, 1)):
        for count, many in cut.sizes.items():
            for rows, groups in Cut(count, schedule.rows).sizes.items():
                multiplying += _group(spec, rows, wide) * groups * many * panels * spec.group * spec.points
    streaming = slab * each * spec.group / STREAM
    again = slab * each * spec.group * (cut.tiles - 1)
    kept = slab if schedule.apart else slab * each * spec.group + transformed_bytes(spec, cut.limit)
    streaming += again / (L2_BYTES if kept < target.l2 * 3 // 4 else STREAM)
    if schedule.apart and transformed_bytes(spec, spec.tiles) > target.l2 // 2:
        streaming += transformed_bytes(spec, spec.tiles) * (each - 1) / STREAM
    transforms = spec.points * spec.tiles * (POINT_IN * spec.source.blocks + POINT_OUT * spec.result.blocks)
    tasks = cut.tiles * (each * spec.group if schedule.apart else 1)
    hidden = min(multiplying, streaming)
    return (max(multiplying, streaming) + 0.15 * hidden + transforms) * (1 + sharing(tasks))


def _group(spec: WinogradSpec, rows: int, vectors: int) -> float:
    """Cycles of one register tile at one point."""
    loads = rows + vectors
    step = max(rows * vectors, loads, LATENCY) + LOAD * loads
    return step * spec.depth + STORE * rows * vectors + ENTRY


def _candidates(spec: WinogradSpec, target: Target) -> Iterator[WinogradSchedule]:
    seen: set[WinogradSchedule] = set()
    for vectors in range(1, min(6, spec.result.blocks // spec.group) + 1):
        limit = next((r for r in range(min(spec.tiles, 28), 0, -1) if fits(r, vectors, target)), 0)
        if not limit:
            continue
        blocks = {min(limit * many, spec.tiles) for many in (1, 2, 3, 4)}
        for block in sorted({max(Cut(spec.tiles, b).sizes) for b in blocks}):
            rows = max(Cut(block, limit).sizes)
            for apart in (False, True):
                found = WinogradSchedule(spec.filtering.outputs, vectors, rows, block, apart)
                if found not in seen:
                    seen.add(found)
                    yield found


def estimated_error(weights: np.ndarray, filtering: Filtering, group: int) -> float:
    """Largest error as a part of the largest result, of real weights [O, C/group, taps, taps] on sampled tiles.

    The inputs are what a Relu leaves of normal numbers: a mean that is not 0 makes the cancelling terms large.
    """
    weights = weights[: max(1, len(weights) // group)][:FEATURES]
    rng, size = np.random.default_rng(0), filtering.size
    tiles = np.maximum(rng.standard_normal((SAMPLES, weights.shape[1], size, size), np.float32), 0)
    exact = _filtered(tiles.astype(np.float64), weights, filtering, np.float64)
    found = _filtered(tiles, weights, filtering, np.float32)
    return float(np.abs(found - exact).max() / max(np.abs(exact).max(), 1e-30))


def _filtered(tiles: np.ndarray, weights: np.ndarray, filtering: Filtering, kind: type) -> np.ndarray:
    into, back = filtering.inputs.astype(kind), filtering.results.astype(kind)
    points = (into @ tiles @ into.T).reshape(*tiles.shape[:2], -1).transpose(2, 0, 1)
    kernels = transformed_weights(weights, filtering, kind)
    products = points @ kernels
    squares = products.transpose(1, 2, 0).reshape(len(tiles), len(weights), filtering.size, filtering.size)
    return back @ squares @ back.T
