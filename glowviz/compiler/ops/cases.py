"""Random operands for op samples: shapes that broadcast, odd sizes, element kinds by name."""

from __future__ import annotations

import numpy as np

from glowviz.compiler.types import ELEMENTS

Shape = tuple[int, ...]

PAIRS: tuple[tuple[Shape, Shape], ...] = (
    ((2, 3), (2, 3)),
    ((2, 3, 5), (3, 1)),
    ((1,), (4, 7)),
    ((3, 1, 2), (4, 1)),
    ((), (2, 17)),
    ((0, 3), (1, 3)),
)
"""Shapes of two operands that broadcast, a scalar and an empty one among them."""


def floats(rng: np.random.Generator, shape: Shape, elem: str = "f32", scale: float = 1.0) -> np.ndarray:
    """Normally distributed numbers of spread `scale`."""
    return np.asarray(rng.normal(size=shape) * scale).astype(ELEMENTS[elem])


def positive(rng: np.random.Generator, shape: Shape, elem: str = "f32") -> np.ndarray:
    """Numbers between 0.1 and 2."""
    return np.asarray(rng.uniform(0.1, 2.0, size=shape)).astype(ELEMENTS[elem])


def integers(rng: np.random.Generator, shape: Shape, low: int, high: int, elem: str = "i64") -> np.ndarray:
    """Integers from low to high - 1."""
    return np.asarray(rng.integers(low, high, size=shape)).astype(ELEMENTS[elem])


def booleans(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    """True and false, half and half."""
    return np.asarray(rng.integers(0, 2, size=shape)).astype(np.bool_)


def ints(*values: int) -> np.ndarray:
    """A 1-D i64 operand: a shape, axes, starts."""
    return np.array(values, np.int64)
