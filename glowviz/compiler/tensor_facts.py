"""What a recording keeps of a tensor's numbers: range, moments, oddities, a histogram, pictures of its maps."""

from __future__ import annotations

import zlib
from math import ceil, isqrt, prod
from typing import Any

import numpy as np
import orjson

from glowviz.compiler.validate import OutputDifference

BINS = 32
"""Bars of a histogram."""
MOST_COUNTED = 1 << 20
"""Elements that a histogram counts; of a larger tensor it counts every second, third, … one."""
PIXELS, FEW_PIXELS, MANY_PIXELS = 3 << 10, 3 << 8, 3 << 12
"""Of all maps of one tensor together; of one weight, for there are many and nobody looks at most; and of a tensor
where somebody has given the input to look at what becomes of it."""
MAPS, FEWEST_MAPS = 64, 16
"""Maps that are kept of a tensor, and how many of them before they are made smaller."""
MARK = 255
"""The level of a pixel that stands for a NaN or an infinity; numbers are 0 … 254 from the lowest to the highest."""
RASTER = ("snapshot", "value", "shape", "maps", "all_maps", "height", "width", "block", "low", "high", "first",
          "pixels")
"""The columns of the table `rasters`, as `raster` gives them."""
FIRST = 24
"""Numbers that are kept as they are."""


def statistics(snapshot: int, name: str, array: Any, error: OutputDifference | None) -> tuple[Any, ...] | None:
    """One row of the table; None for what has no numbers."""
    if not _has_numbers(array):
        return None
    flat = _plain(array).reshape(-1)
    odd = flat.dtype.kind == "f" and not np.isfinite(flat).all()
    finite = flat[np.isfinite(flat)] if odd else flat
    if not finite.size:
        finite = np.zeros(1)
    low, high = float(finite.min()), float(finite.max())
    relative = None if error is None else error.relative
    return (
        snapshot, name, low, high, float(np.mean(finite, dtype=np.float64)), float(np.std(finite, dtype=np.float64)),
        int(np.isnan(flat).sum()) if odd else 0, int(np.isinf(flat).sum()) if odd else 0,
        flat.size - int(np.count_nonzero(flat)), _histogram(finite, low, high), relative,
        *((None, None, "") if error is None else (error.absolute, error.scale, orjson.dumps(error.worst).decode())),
    )


def _has_numbers(array: Any) -> bool:
    return isinstance(array, np.ndarray) and array.size > 0 and _plain(array).dtype.kind in "fiub"


def _plain(array: np.ndarray) -> np.ndarray:
    """The array as a type that numpy counts with: bf16, fp8 and int4 become f32."""
    if array.dtype.kind in "fiub" or array.dtype.kind in "OSUcM":
        return array
    return array.astype(np.float32)


def _histogram(finite: np.ndarray, low: float, high: float) -> str:
    counted = finite[:: ceil(finite.size / MOST_COUNTED)].astype(np.float64, copy=False)
    # numpy puts 1/2 around equal numbers, which changes nothing around 1e30
    largest = max(abs(low), abs(high))
    around = 0.0 if high - low > BINS * np.spacing(largest) else max(0.5, largest * 1e-3)
    ends = (low - around, high + around)
    counts, _ = np.histogram(counted, bins=BINS, range=ends)
    every = ceil(finite.size / MOST_COUNTED)
    return orjson.dumps({"edges": ends, "counts": counts.tolist(), "every": every}).decode()


def raster(snapshot: int, name: str, array: Any, pixels: int = PIXELS) -> tuple[Any, ...] | None:
    """One row of the table `rasters` with so many pixels; None for what has no numbers, or only one."""
    if not _has_numbers(array) or array.size < 2:
        return None
    shape = _planes(array.shape)
    maps = _plain(array).reshape(shape)[: _shown(shape, pixels)]
    high_block, wide_block = _block(maps.shape, pixels)
    with np.errstate(all="ignore"):
        small = _means(_means(maps.astype(np.float32), high_block, 1), wide_block, 2)
        known = np.isfinite(small)
        low, high = (float(small[known].min()), float(small[known].max())) if known.any() else (0.0, 0.0)
        share = (small.astype(np.float64) - low) / max(high - low, 1e-300)
    levels = np.where(known, np.rint(np.where(known, share, 0).clip(0, 1) * (MARK - 1)), MARK).astype(np.uint8)
    first = [_number(one) for one in _plain(array).reshape(-1)[:FIRST].tolist()]
    count, height, width = levels.shape
    return (
        snapshot, name, orjson.dumps(array.shape).decode(), count, shape[0], height, width,
        orjson.dumps([high_block, wide_block]).decode(), low, high, orjson.dumps(first).decode(),
        zlib.compress(levels.tobytes(), 9),
    )


def _planes(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Maps, rows and columns: the last two dimensions are a map, unless they are 1 × 1; a vector is one row."""
    while len(shape) > 2 and shape[-2:] == (1, 1):
        shape = shape[:-2]
    if len(shape) < 2:
        return 1, 1, prod(shape)
    return prod(shape[:-2]), shape[-2], shape[-1]


def _shown(shape: tuple[int, int, int], pixels: int) -> int:
    return min(shape[0], MAPS, max(FEWEST_MAPS, pixels // (shape[1] * shape[2])))


def _block(shape: tuple[int, ...], pixels: int) -> tuple[int, int]:
    """Rows and columns whose mean becomes one pixel: squares, as long as the map has as many rows as they need."""
    maps, height, width = shape
    room = max(1, pixels // maps)
    side = isqrt(height * width // room) or 1
    while ceil(height / side) * ceil(width / side) > room:
        side += 1
    return min(side, height), side


def _means(maps: np.ndarray, block: int, axis: int) -> np.ndarray:
    """The means of `block` neighbours along an axis; the last ones may be fewer."""
    if block == 1:
        return maps
    starts = np.arange(0, maps.shape[axis], block)
    counts = np.diff(np.append(starts, maps.shape[axis]))
    return np.add.reduceat(maps, starts, axis) / counts.reshape([-1 if k == axis else 1 for k in range(3)])


def _number(one: Any) -> str:
    return f"{one:.4g}" if isinstance(one, float) else str(one)
