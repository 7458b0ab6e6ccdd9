"""`narrowed` writes numbers in any element kind as ONNX's Cast does, the floats of 4, 6 and 8 bits included."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

from glowviz.compiler.types import ELEMENTS

SATURATING = frozenset({"f8e4m3fn", "f8e4m3fnuz", "f8e5m2", "f8e5m2fnuz"})
"""What is too large becomes the largest number, unless `saturate` is off: then infinity or NaN."""
ROUND_MODES = ("up", "down", "nearest")
SMALLEST_POWER, LARGEST_POWER = -127, 127
"""Exponents that f8e8m0 can write."""


def narrowed(x: np.ndarray, elem: str, saturate: bool = True, round_mode: str = "up") -> np.ndarray:
    """x in another element kind; texts are read and written as numpy does."""
    dtype = ELEMENTS[elem]
    with np.errstate(all="ignore"):
        if elem == "string":
            return written(x)
        if x.dtype == object:
            return parsed(x, dtype)
        if elem == "f8e8m0":
            return _powers(x, saturate, round_mode)
        if elem in SATURATING and saturate:
            largest = float(ml_dtypes.finfo(dtype).max)
            numbers = x.astype(np.promote_types(x.dtype, np.float32), copy=False)
            x = np.where(np.isnan(numbers), numbers, np.clip(numbers, -largest, largest))
        return x.astype(dtype)


def written(x: np.ndarray) -> np.ndarray:
    """Every number as its shortest text."""
    result = np.empty(x.shape, object)
    result.reshape(-1)[:] = [str(one) for one in x.reshape(-1)]
    return result


def parsed(x: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Every text as a number; ValueError for one that is none."""
    numbers: Any = [float(one) for one in x.reshape(-1)]
    if dtype.kind in "iu":
        numbers = [_whole(one) for one in x.reshape(-1)]
    return np.array(numbers).reshape(x.shape).astype(dtype)


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        return int(float(text))


def _powers(x: np.ndarray, saturate: bool, round_mode: str) -> np.ndarray:
    """Powers of two without a sign: zero and what is too small becomes the smallest, infinity the largest."""
    numbers = np.abs(x.astype(np.float64))
    fraction, exponent = np.frexp(numbers)  # fraction in [0.5, 1)
    floor = exponent - 1
    if round_mode == "up":
        power = np.where(fraction > 0.5, floor + 1, floor)
    elif round_mode == "down":
        power = floor
    else:
        power = np.where(fraction >= 0.75, floor + 1, floor)
    power = np.where(numbers == 0, SMALLEST_POWER, power)
    power = np.where(np.isinf(numbers), LARGEST_POWER + 1, power)
    missing = np.isnan(numbers) if saturate else np.isnan(numbers) | (power > LARGEST_POWER) | (power < SMALLEST_POWER)
    bits = np.clip(power, SMALLEST_POWER, LARGEST_POWER) + LARGEST_POWER
    return np.where(missing, 255, bits).astype(np.uint8).view(ELEMENTS["f8e8m0"])
