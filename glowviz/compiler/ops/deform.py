"""DeformConv: a convolution whose taps each stand where an offset has moved them, read between the elements."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np

from glowviz.compiler.ops.base import Case, Op, Value, Work, case
from glowviz.compiler.ops.cases import floats, positive
from glowviz.compiler.ops.windows import Windows, slide
from glowviz.compiler.types import Type, TypeProblem


class DeformConv(Op):
    """Conv of x[N, C, spatial…] with w[M, C/group, kernel…], taps moved by offset[N, og·taps·r, out…].

    `mask` [N, og·taps, out…] weighs every tap; what lies outside x counts as zero.
    """

    x: Value
    w: Value
    offset: Value
    b: Value | None = None
    mask: Value | None = None
    strides: tuple[int, ...] = ()
    pads: tuple[int, ...] = ()
    dilations: tuple[int, ...] = ()
    group: int = 1
    offset_group: int = 1
    onnx = "DeformConv"
    family = "linear"

    def _windows(self, x: tuple[int, ...], w: tuple[int, ...]) -> Windows:
        return slide(x[2:], w[2:], self.strides, self.pads, self.dilations)

    def infer(self, x: Type, w: Type, offset: Type, b: Type | None, mask: Type | None) -> Type:
        if x.rank < 3 or w.rank != x.rank or x.dims[1] != w.dims[1] * self.group or x.dims[1] % self.offset_group:
            raise TypeProblem(f"x {x} and w {w} do not fit with group={self.group}, offset_group={self.offset_group}")
        windows = self._windows(x.dims, w.dims)
        taps = self.offset_group * int(np.prod(windows.kernel))
        wanted = (x.dims[0], taps * (x.rank - 2), *windows.out)
        if offset.dims != wanted or (mask is not None and mask.dims != (x.dims[0], taps, *windows.out)):
            raise TypeProblem(f"the offset must be {list(wanted)}, got {offset}; the mask has one number per tap")
        return Type(x.elem, (x.dims[0], w.dims[0], *windows.out))

    def reference(
        self, x: np.ndarray, w: np.ndarray, offset: np.ndarray, b: np.ndarray | None, mask: np.ndarray | None
    ) -> np.ndarray:
        windows = self._windows(x.shape, w.shape)
        rank, groups = len(windows.kernel), self.offset_group
        taps = list(np.ndindex(*windows.kernel))
        moves = offset.astype(np.float64).reshape(x.shape[0], groups, len(taps), rank, *windows.out)
        weights = None if mask is None else mask.reshape(x.shape[0], groups, len(taps), *windows.out)
        columns = np.zeros((*x.shape[:2], len(taps), *windows.out))
        each = x.shape[1] // groups
        for g, (t, tap) in product(range(groups), enumerate(taps)):
            part = slice(g * each, (g + 1) * each)
            found = _between(x[:, part].astype(np.float64), self._places(windows, tap, moves[:, g, t]))
            columns[:, part, t] = found if weights is None else found * weights[:, g, t][:, None]
        return self._product(columns, w, b).astype(x.dtype)

    @staticmethod
    def _places(windows: Windows, tap: tuple[int, ...], moves: np.ndarray) -> list[np.ndarray]:
        """Where a tap of every window stands, one array [N, out…] per spatial dim."""
        places = []
        for i, at in enumerate(tap):
            start = np.arange(windows.out[i]) * windows.strides[i] - windows.begins[i] + at * windows.dilations[i]
            places.append(moves[:, i] + start.reshape([-1 if j == i else 1 for j in range(len(tap))]))
        return places

    def _product(self, columns: np.ndarray, w: np.ndarray, b: np.ndarray | None) -> np.ndarray:
        batch, out = columns.shape[0], columns.shape[3:]
        grouped = columns.reshape(batch, self.group, -1, int(np.prod(out)))
        rows = w.astype(np.float64).reshape(self.group, w.shape[0] // self.group, -1)
        y = np.matmul(rows, grouped).reshape(batch, w.shape[0], *out)
        return y if b is None else y + b.reshape(-1, *(1,) * len(out))

    def work(self, operands: tuple[Type, ...], results: tuple[Type, ...]) -> Work:
        taps = int(np.prod(operands[1].dims[1:]))
        return Work(2 * results[0].count * taps, sum(t.bytes for t in (*operands, *results)))

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        x, w = floats(rng, (1, 2, 6, 5)), floats(rng, (3, 2, 2, 3))
        yield case(x, w, floats(rng, (1, 12, 5, 3)))
        mask = positive(rng, (1, 6, 5, 3))
        yield case(x, w, floats(rng, (1, 12, 5, 3)), floats(rng, (3,)), mask)
        yield case(x, floats(rng, (4, 1, 2, 2)), floats(rng, (1, 16, 7, 6)), group=2, offset_group=2, pads=(1, 1, 1, 1))


def _between(x: np.ndarray, places: list[np.ndarray]) -> np.ndarray:
    """x[N, C, spatial…] at fractional places [N, out…]: [N, C, out…]."""
    bases = [np.floor(p).astype(np.int64) for p in places]
    parts = [p - b for p, b in zip(places, bases, strict=True)]
    total = np.zeros((*x.shape[:2], *places[0].shape[1:]))
    rows = np.arange(x.shape[0]).reshape(-1, *(1,) * (places[0].ndim - 1))
    for corner in product((0, 1), repeat=len(places)):
        weight = np.ones(places[0].shape)
        index = []
        for step, base, part, size in zip(corner, bases, parts, x.shape[2:], strict=True):
            place = base + step
            weight = weight * (part if step else 1 - part) * ((place >= 0) & (place < size))
            index.append(np.clip(place, 0, size - 1))
        total += np.moveaxis(x[(rows, slice(None), *index)], -1, 1) * weight[:, None]
    return total
