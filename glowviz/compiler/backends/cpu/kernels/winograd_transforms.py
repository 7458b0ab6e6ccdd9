"""Winograd's minimal filtering: its interpolation points, its three transforms, and the same on registers.

Y = A^T [(G g G^T) * (B^T d B)] A (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2016,
section 4). The points are 0, pairs +p and -p, and infinity; the pairs are those with the least rounding error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import prod

import numpy as np

from glowviz.compiler.backends.cpu.values import Value

PAIRS: dict[int, tuple[float, ...]] = {4: (1.0,), 6: (0.625, 1.5), 8: (0.5625, 1.0, 1.75)}
"""Points of transforms of so many numbers: with 1 and 2 the errors of six would be four times as large.

All powers that the transforms use are floats, so that they are exact inverses of each other.
"""


@dataclass(frozen=True)
class Filtering:
    """F(outputs, taps): so many neighbouring results of a filter from outputs + taps - 1 products."""

    outputs: int
    taps: int

    @property
    def size(self) -> int:
        """Numbers of a transformed line."""
        return self.outputs + self.taps - 1

    @property
    def pairs(self) -> tuple[float, ...]:
        """The positive ones of the finite points other than 0."""
        return PAIRS[self.size]

    @cached_property
    def weights(self) -> np.ndarray:
        """G [size, taps]."""
        rows = [[1.0] + [0.0] * (self.taps - 1)]
        rows[0][0] /= prod(-p * p for p in self.pairs)
        for p in self.pairs:
            scale = 2 * p * p * prod(p * p - q * q for q in self.pairs if q != p)
            rows += [[point**i / scale for i in range(self.taps)] for point in (p, -p)]
        return np.array([*rows, [0.0] * (self.taps - 1) + [1.0]])

    @cached_property
    def inputs(self) -> np.ndarray:
        """B^T [size, size]."""
        size = self.size
        matrix = np.zeros((size, size))
        even, parts = _shared(self.pairs)
        matrix[0, 0::2], matrix[-1, 1::2] = even, even
        for k, (p, factors) in enumerate(zip(self.pairs, parts, strict=True)):
            for row, sign in ((2 * k + 1, 1.0), (2 * k + 2, -1.0)):
                matrix[row, 2:size:2], matrix[row, 1 : size - 1 : 2] = factors, sign * p * np.array(factors)
        return matrix

    @cached_property
    def results(self) -> np.ndarray:
        """A^T [outputs, size]."""
        points = [0.0, *(s * p for p in self.pairs for s in (1.0, -1.0))]
        finite = np.array([[point**i if i else 1.0 for point in points] for i in range(self.outputs)])
        last = np.zeros((self.outputs, 1))
        last[-1] = 1.0
        return np.hstack([finite, last])


@lru_cache(maxsize=8)
def _shared(pairs: tuple[float, ...]) -> tuple[list[float], list[list[float]]]:
    """Coefficients, lowest first, of the product over all pairs of (t - p²), and of those that leave one out."""

    def expanded(roots: list[float]) -> list[float]:
        return [float(c) for c in np.poly(roots)[::-1]] if roots else [1.0]

    squares = [p * p for p in pairs]
    return expanded(squares), [expanded(squares[:k] + squares[k + 1 :]) for k in range(len(pairs))]


def into_points(line: Sequence[Value], filtering: Filtering) -> list[Value]:
    """B^T · line, for a line of registers."""
    whole, parts = _shared(filtering.pairs)
    found = [_combined(line[0::2], whole)]
    for p, factors in zip(filtering.pairs, parts, strict=True):
        even, odd = _combined(line[2::2], factors), _combined(line[1:-1:2], factors)
        found += _sum_and_difference(even, odd, p)
    return [*found, _combined(line[1::2], whole)]


def from_points(line: Sequence[Value], filtering: Filtering) -> list[Value]:
    """A^T · line, for a line of registers."""
    ends = [line[0], line[-1]]
    inner = [(line[n] + line[n + 1], line[n] - line[n + 1]) for n in range(1, len(line) - 1, 2)]
    found = []
    for i in range(filtering.outputs):
        terms = [pair[i % 2] for pair in inner]
        total = _combined(terms, [p**i for p in filtering.pairs])
        if i == 0:
            total = total + ends[0]
        if i == filtering.outputs - 1:
            total = total + ends[1]
        found.append(total)
    return found


def _combined(values: Sequence[Value], factors: Sequence[float]) -> Value:
    """The sum of factor · value; factors of 1 cost nothing."""
    terms = sorted(zip(values, factors, strict=True), key=lambda term: term[1] != 1.0)
    value, factor = terms[0]
    total = value if factor == 1.0 else value * factor
    for value, factor in terms[1:]:
        total = total + value if factor == 1.0 else _added(total, value, factor)
    return total


def _added(total: Value, value: Value, factor: float) -> Value:
    return value.emitter.fma(value, value.match(factor), total)  # type: ignore[attr-defined]  # an Emitter


def _sum_and_difference(even: Value, odd: Value, factor: float) -> list[Value]:
    if factor == 1.0:
        return [even + odd, even - odd]
    return [_added(even, odd, factor), _added(even, odd, -factor)]


def transformed_weights(weights: np.ndarray, filtering: Filtering, kind: type = np.float32) -> np.ndarray:
    """G g G^T of weights [O, C, taps, taps] as [size², C, O], computed in `kind`.

    Not by matrix products: they are so thin that the threads of a BLAS would cost more than they bring.
    """
    matrix = filtering.weights.astype(kind)
    taps = np.ascontiguousarray(weights.transpose(2, 3, 1, 0), kind).reshape(filtering.taps, filtering.taps, -1)
    rows = np.einsum("ij,jkn->ikn", matrix, taps)
    points = np.einsum("ikn,lk->iln", rows, matrix)
    return points.reshape(-1, weights.shape[1], weights.shape[0])
