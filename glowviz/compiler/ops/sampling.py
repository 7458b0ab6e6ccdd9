"""Which neighbours a resized axis reads and with what weights, for every ONNX coordinate mode."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

COORDINATES = (
    "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric", "tf_crop_and_resize",
)
NEAREST = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")


@dataclass(frozen=True, slots=True)
class Taps:
    """For each result index the places it reads, [out, taps], their weights (None: one place), and who lies outside."""

    places: np.ndarray
    weights: np.ndarray | None
    outside: np.ndarray

    def matrix(self, size: int) -> np.ndarray:
        """The weights as a matrix [out, size] in double precision."""
        dense = np.zeros((len(self.places), size))
        weights = np.ones(self.places.shape) if self.weights is None else self.weights
        np.add.at(dense, (np.arange(len(self.places))[:, None], self.places), weights)
        return dense


def coordinates(size: int, out: int, scale: float, part: tuple[float, float], mode: str) -> np.ndarray:
    """Where in x every result index lies; `part` is the sampled range for tf_crop_and_resize."""
    i = np.arange(out, dtype=np.float64)
    wide = scale * size
    start, end = part
    if mode == "align_corners":
        return i * 0.0 if wide == 1 else i * (size - 1) / (wide - 1)
    if mode == "asymmetric":
        return i / scale
    if mode == "tf_crop_and_resize":
        width = (end - start) * (size - 1)
        return start * (size - 1) + (i * 0.0 + width / 2 if out == 1 else i * width / (out - 1))
    if mode == "pytorch_half_pixel" and out == 1:
        return i * 0.0 - 0.5
    centred = (i + 0.5) / scale - 0.5
    if mode == "half_pixel_symmetric":
        return size / 2 * (1 - out / wide) + centred
    return centred


def _cubic(distance: np.ndarray, a: float) -> np.ndarray:
    x = np.abs(distance)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


def _linear(distance: np.ndarray) -> np.ndarray:
    return np.clip(1 - np.abs(distance), 0, 1)


def _nearest(where: np.ndarray, mode: str) -> np.ndarray:
    if mode == "floor":
        return np.floor(where)
    if mode == "ceil":
        return np.ceil(where)
    return np.ceil(where - 0.5) if mode == "round_prefer_floor" else np.floor(where + 0.5)


def taps(
    size: int,
    out: int,
    scale: float,
    part: tuple[float, float],
    mode: str,
    coordinate_mode: str,
    nearest_mode: str,
    cubic_a: float,
    exclude_outside: bool,
    antialias: bool,
) -> Taps:
    """The places and weights of one axis; places beyond the edge read the edge, or count nothing if excluded."""
    where = coordinates(size, out, scale, part, coordinate_mode)
    outside = np.zeros(out, np.bool_)
    if coordinate_mode == "tf_crop_and_resize":
        outside = (where < 0) | (where > size - 1)
    if mode == "nearest":
        places = np.clip(_nearest(where, nearest_mode), 0, size - 1).astype(np.int64)
        return Taps(places[:, None], None, outside)
    # downsampling with antialias widens the kernel by 1/scale
    shrink = min(scale, 1.0) if antialias else 1.0
    reach = 1 if mode == "linear" else 2
    first = int(np.floor(-reach / shrink)) + 1
    offsets = np.arange(first, 2 - first) if antialias else np.arange(1 - reach, 1 + reach)
    base = np.ceil(where) - 1
    places = base[:, None] + offsets
    distance = (places - where[:, None]) * shrink
    weights = _linear(distance) if mode == "linear" else _cubic(distance, cubic_a)
    if exclude_outside:
        weights = np.where((places < 0) | (places >= size), 0.0, weights)
    if antialias or exclude_outside:
        weights = weights / weights.sum(1, keepdims=True)
    return Taps(np.clip(places, 0, size - 1).astype(np.int64), weights, outside)
