"""A part is one run of elements exactly when numpy's flat positions of it are (Glow: isSliceContiguous)."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from glowviz.compiler.program_passes.same_bytes import is_contiguous


@pytest.mark.parametrize("shape", [(4,), (1, 4), (2, 3), (3, 1, 4), (2, 2, 3), (1, 2, 1, 3)])
def test_contiguous_is_what_numpy_says(shape: tuple[int, ...]) -> None:
    positions = np.arange(np.prod(shape)).reshape(shape)
    for part in product(*(range(1, n + 1) for n in shape)):
        flat = positions[tuple(slice(0, n) for n in part)].reshape(-1)
        assert is_contiguous(shape, part) == bool(np.all(np.diff(flat) == 1)), part
