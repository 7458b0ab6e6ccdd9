"""GridSample reads x at the places that a grid names, in any number of spatial dims."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np

from glowviz.compiler.ops.base import Case, Op, Value, Work, case
from glowviz.compiler.ops.cases import floats
from glowviz.compiler.types import FLOATS, Type, TypeProblem

MODES = ("nearest", "linear", "cubic")
PADDINGS = ("zeros", "border", "reflection")
SHARPNESS = -0.75
"""The cubic coefficient that ONNX names."""


def reflected(places: np.ndarray, low: float, high: float) -> np.ndarray:
    """Places thrown back at both borders until they are inside."""
    span = high - low
    if span <= 0:
        return np.zeros_like(places)
    far = np.mod(places - low, 2 * span)
    return low + np.where(far > span, 2 * span - far, far)


class GridSample(Op):
    """x[N, C, spatial…] at grid[N, out…, r], whose numbers go from -1 to 1 and name the last dim first."""

    x: Value
    grid: Value
    mode: str = "linear"
    padding_mode: str = "zeros"
    align_corners: bool = False
    onnx = "GridSample"
    family = "pool"

    def infer(self, x: Type, grid: Type) -> Type:
        if self.mode not in MODES or self.padding_mode not in PADDINGS:
            raise TypeProblem(f"mode and padding_mode must be one of {', '.join((*MODES, *PADDINGS))}")
        if x.rank < 3 or grid.rank != x.rank or grid.dims[0] != x.dims[0] or grid.dims[-1] != x.rank - 2:
            raise TypeProblem(f"the grid must be [{x.dims[0]}, out…, {x.rank - 2}] for x {x}, got {grid}")
        if grid.elem not in FLOATS:
            raise TypeProblem(f"the grid must be floating-point, got {grid}")
        return Type(x.elem, (*x.dims[:2], *grid.dims[1:-1]))

    def reference(self, x: np.ndarray, grid: np.ndarray) -> np.ndarray:
        sizes = x.shape[2:]
        wide = grid.astype(np.float64)
        places = [self._place(wide[..., -1 - i], n) for i, n in enumerate(sizes)]
        if self.mode == "nearest":
            return self._read(x, [np.rint(p).astype(np.int64) for p in places]).astype(x.dtype)
        reach = (0, 1) if self.mode == "linear" else (-1, 0, 1, 2)
        bases = [np.floor(p) for p in places]
        parts = [p - b for p, b in zip(places, bases, strict=True)]
        total = np.zeros((*x.shape[:2], *grid.shape[1:-1]))
        for steps in product(reach, repeat=len(sizes)):
            weight = np.ones(grid.shape[:-1])
            for step, part in zip(steps, parts, strict=True):
                weight = weight * self._weight(step, part)
            index = [(b + s).astype(np.int64) for b, s in zip(bases, steps, strict=True)]
            total += self._read(x, index) * weight[:, None]
        return total.astype(x.dtype)

    def _place(self, grid: np.ndarray, size: int) -> np.ndarray:
        """From [-1, 1] to places in x, inside its borders where the padding wants that."""
        with np.errstate(all="ignore"):
            place = (grid + 1) / 2 * (size - 1) if self.align_corners else ((grid + 1) * size - 1) / 2
            place = np.where(np.isfinite(place), place, -100.0 * size)
        if self.mode == "cubic" or self.padding_mode == "zeros":
            return np.clip(place, -1e9, 1e9)
        return self._inside(place, size)

    def _inside(self, place: np.ndarray, size: int) -> np.ndarray:
        if self.padding_mode == "border":
            return np.clip(place, 0, size - 1)
        low, high = (0, size - 1) if self.align_corners else (-0.5, size - 0.5)
        return np.clip(reflected(place, low, high), 0, size - 1) if size > 1 else np.zeros_like(place)

    def _weight(self, step: int, part: np.ndarray) -> np.ndarray:
        if self.mode == "linear":
            return part if step else 1 - part
        far = np.abs(part - step)
        a = SHARPNESS
        near = ((a + 2) * far - (a + 3)) * far * far + 1
        return np.where(far <= 1, near, ((a * far - 5 * a) * far + 8 * a) * far - 4 * a)

    def _read(self, x: np.ndarray, index: list[np.ndarray]) -> np.ndarray:
        """x at whole places: [N, C, out…]; 0 outside where the padding says so."""
        good = np.ones(index[0].shape, np.bool_)
        inside = []
        for place, size in zip(index, x.shape[2:], strict=True):
            if self.padding_mode == "zeros":
                good &= (place >= 0) & (place < size)
            elif self.mode == "cubic":
                place = np.rint(self._inside(place.astype(np.float64), size)).astype(np.int64)
            inside.append(np.clip(place, 0, size - 1))
        rows = np.arange(x.shape[0]).reshape(-1, *(1,) * (index[0].ndim - 1))
        found = x[(rows, slice(None), *inside)]  # channels come last here
        return np.moveaxis(np.where(good[..., None], found.astype(np.float64), 0), -1, 1)

    def work(self, operands: tuple[Type, ...], results: tuple[Type, ...]) -> Work:
        taps = {"nearest": 1, "linear": 2, "cubic": 4}[self.mode] ** (operands[0].rank - 2)
        return Work(2 * taps * results[0].count, sum(t.bytes for t in (*operands, *results)))

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        x, grid = floats(rng, (2, 3, 5, 4)), floats(rng, (2, 3, 6, 2), scale=0.8)
        for mode in MODES:
            for padding in PADDINGS:
                for align in (False, True):
                    yield case(x, grid, mode=mode, padding_mode=padding, align_corners=align)
        yield case(floats(rng, (1, 2, 3, 4, 5)), floats(rng, (1, 2, 3, 2, 3), scale=0.5))
