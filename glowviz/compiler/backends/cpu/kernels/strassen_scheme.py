"""Strassen's seven products of sums of blocks that give the four blocks of a matrix product, once or nested.

Source: V. Strassen, "Gaussian Elimination is not Optimal", Numerische Mathematik 13 (1969). Winograd's form of it has
fewer additions, but its factors are sums of more blocks and its rounding errors twice as large. Nested `levels` deep
there are 7^levels products of blocks of which a matrix has 2^levels in a row.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

Table = tuple[tuple[tuple[int, int], tuple[int, int]], ...]
LEFT: Table = (
    ((1, 0), (0, 1)), ((0, 0), (1, 1)), ((1, 0), (0, 0)), ((0, 0), (0, 1)), ((1, 1), (0, 0)), ((-1, 0), (1, 0)),
    ((0, 1), (0, -1)),
)  # fmt: skip
"""For each product, how often each block of A is in its left factor."""
RIGHT: Table = (
    ((1, 0), (0, 1)), ((1, 0), (0, 0)), ((0, 1), (0, -1)), ((-1, 0), (1, 0)), ((0, 0), (0, 1)), ((1, 1), (0, 0)),
    ((0, 0), (1, 1)),
)  # fmt: skip
"""The same for B."""
RESULT: Table = (
    ((1, 0), (0, 1)), ((0, 0), (1, -1)), ((0, 1), (0, 1)), ((1, 0), (1, 0)), ((-1, 1), (0, 0)), ((0, 0), (0, 1)),
    ((1, 0), (0, 0)),
)  # fmt: skip
"""How often each product is in each block of the result."""
PRODUCTS, BLOCKS = len(LEFT), 4
GOALS = tuple(
    tuple((block, sign) for block, sign in enumerate(sign for line in blocks for sign in line) if sign)
    for blocks in RESULT
)
"""For each product the blocks of the result that it is added to or taken from."""


@lru_cache(maxsize=16)
def nested(table: Table, levels: int) -> np.ndarray:
    """A table of one level for so many: [product, row of blocks, column of blocks], numbers -1, 0 or 1."""
    one = np.array(table)
    found = one
    for _ in range(levels - 1):
        pairs = np.einsum("pab,qcd->pqacbd", found, one)
        found = pairs.reshape(len(found) * len(one), found.shape[1] * 2, found.shape[2] * 2)
    return found


def sums_of(matrix: np.ndarray, coefficients: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """The factors [product, rows, columns] of all products; blocks are filled up with zeros."""
    side = coefficients.shape[1]
    wide = np.zeros((side * rows, side * columns), matrix.dtype)
    wide[: matrix.shape[0], : matrix.shape[1]] = matrix
    blocks = wide.reshape(side, rows, side, columns).transpose(0, 2, 1, 3)
    return np.tensordot(coefficients.astype(matrix.dtype), blocks, 2)
