"""Resize: a tensor sampled at other places, axis by axis, as weighted sums of neighbours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from glowviz.compiler.ops.base import Builder, Case, Op, Value, Work, case
from glowviz.compiler.ops.cases import floats, integers, ints
from glowviz.compiler.ops.linear import MatMul
from glowviz.compiler.ops.norm import check_axis
from glowviz.compiler.ops.sampling import COORDINATES, NEAREST, Taps, taps
from glowviz.compiler.ops.shape import Known, Transpose
from glowviz.compiler.types import KnownAtRunTime, Type, TypeProblem


@dataclass(frozen=True, slots=True)
class Grid:
    """Sizes of the result, the scale of every axis, and the part of x that is sampled (0 … 1 for all of it)."""

    out: tuple[int, ...]
    scales: tuple[float, ...]
    starts: tuple[float, ...]
    ends: tuple[float, ...]


class Resize(Op):
    """x sampled at other places: nearest, linear or cubic interpolation, one axis after the other.

    The size is "floor(input_dimension * (roi_end - roi_start) * scale)", or `sizes`. `axes` limits roi, scales
    and sizes to some axes (() = all). Coordinates are computed in double precision.
    """

    x: Value
    roi: Value | None = None
    scales: Value | None = None
    sizes: Value | None = None
    mode: str = "nearest"
    coordinate_transformation_mode: str = "half_pixel"
    nearest_mode: str = "round_prefer_floor"
    cubic_coeff_a: float = -0.75
    exclude_outside: bool = False
    extrapolation_value: float = 0.0
    antialias: bool = False
    axes: tuple[int, ...] = ()
    keep_aspect_ratio_policy: str = "stretch"
    onnx = "Resize"
    family = "pool"

    def _check(self) -> None:
        choices = (
            ("mode", self.mode, ("nearest", "linear", "cubic")),
            ("coordinate_transformation_mode", self.coordinate_transformation_mode, COORDINATES),
            ("nearest_mode", self.nearest_mode, NEAREST),
            ("keep_aspect_ratio_policy", self.keep_aspect_ratio_policy, ("stretch", "not_larger", "not_smaller")),
        )
        for name, value, allowed in choices:
            if value not in allowed:
                raise TypeProblem(f"{name} must be one of {', '.join(allowed)}, got {value!r}")

    def grid(
        self, x: Sequence[int], roi: np.ndarray | None, scales: np.ndarray | None, sizes: np.ndarray | None
    ) -> Grid:
        """Sizes, scales and sampled part for every axis, whichever operand gives them."""
        rank = len(x)
        axes = [check_axis(a, rank) for a in self.axes] or list(range(rank))
        starts, ends = [0.0] * rank, [1.0] * rank
        if self.coordinate_transformation_mode == "tf_crop_and_resize" and roi is not None and roi.size:
            for i, axis in enumerate(axes):
                starts[axis], ends[axis] = float(roi[i]), float(roi[i + len(axes)])
        given = scales if scales is not None and scales.size else sizes
        if given is None or given.size != len(axes):
            count = 0 if given is None else given.size
            raise TypeProblem(f"scales or sizes must have one number for each of {len(axes)} axes, got {count}")
        if given is scales:
            factors = [1.0] * rank
            for i, axis in enumerate(axes):
                factors[axis] = float(given[i])
            if any(f <= 0 for f in factors):
                raise TypeProblem(f"scales must be greater than 0, got {factors}")
            parts = zip(x, starts, ends, factors, strict=True)
            out = [int(np.floor(n * (end - start) * f)) for n, start, end, f in parts]
        else:
            out, factors = self._from_sizes(x, axes, [int(n) for n in given])
        return Grid(tuple(out), tuple(factors), tuple(starts), tuple(ends))

    def _from_sizes(self, x: Sequence[int], axes: list[int], sizes: list[int]) -> tuple[list[int], list[float]]:
        out, factors = list(x), [1.0] * len(x)
        wanted = [size / x[axis] if x[axis] else 1.0 for size, axis in zip(sizes, axes, strict=True)]
        if self.keep_aspect_ratio_policy != "stretch":
            one = min(wanted) if self.keep_aspect_ratio_policy == "not_larger" else max(wanted)
            wanted = [one] * len(axes)
            sizes = [int(one * x[axis] + 0.5) for axis in axes]
        for axis, size, factor in zip(axes, sizes, wanted, strict=True):
            out[axis], factors[axis] = size, factor
        return out, factors

    def infer(
        self, x: Type, roi: Type | None, scales: Type | None, sizes: Type | None, *, known: Known
    ) -> Type:
        self._check()
        unknown = [n for n, t in (("scales", scales), ("sizes", sizes)) if t is not None and known[n] is None]
        if unknown:
            raise KnownAtRunTime(f"{unknown[0]} must be known when compiling; make it a constant")
        out = self.grid(x.dims, known["roi"], known["scales"], known["sizes"]).out
        return Type(x.elem, out, x.quant, x.order)

    def taps_of(self, grid: Grid, axis: int, size: int) -> Taps:
        """Which neighbours every result index along an axis reads, and their weights."""
        return taps(
            size, grid.out[axis], grid.scales[axis], (grid.starts[axis], grid.ends[axis]), self.mode,
            self.coordinate_transformation_mode, self.nearest_mode, self.cubic_coeff_a, self.exclude_outside,
            self.antialias,
        )

    def changed_axes(self, x: Sequence[int], grid: Grid) -> list[int]:
        """Axes that are really sampled anew."""
        part = zip(x, grid.out, grid.scales, grid.starts, grid.ends, strict=True)
        return [i for i, (n, o, f, start, end) in enumerate(part) if (n, f, start, end) != (o, 1.0, 0.0, 1.0)]

    def reference(
        self, x: np.ndarray, roi: np.ndarray | None, scales: np.ndarray | None, sizes: np.ndarray | None
    ) -> np.ndarray:
        grid = self.grid(x.shape, roi, scales, sizes)
        y = x if self.mode == "nearest" else x.astype(np.promote_types(x.dtype, np.float32))
        outside = np.zeros((), np.bool_)
        for axis in self.changed_axes(x.shape, grid):
            found = self.taps_of(grid, axis, x.shape[axis])
            y = _sampled(y, found, axis)
            spread = [1] * x.ndim
            spread[axis] = grid.out[axis]
            outside = outside | found.outside.reshape(spread)
        if np.any(outside):
            y = np.where(outside, y.dtype.type(self.extrapolation_value), y)
        return _as_kind(y, x.dtype)

    def lower(self, b: Builder) -> str | None:
        """Nearest -> a Gather per axis; linear and cubic -> a MatMul with the weights per axis."""
        x = b.type(self.x)
        contents = [None if o is None else b.known(o) for o in (self.roi, self.scales, self.sizes)]
        grid = self.grid(x.dims, *contents)
        axes = self.changed_axes(x.dims, grid)
        found = {axis: self.taps_of(grid, axis, x.dims[axis]) for axis in axes}
        if any(np.any(t.outside) for t in found.values()) or (self.mode != "nearest" and not x.is_float):
            return None
        y = self.x
        for axis in axes:
            if self.mode == "nearest":
                y = b.gather(y, b.const(found[axis].places[:, 0], name="nearest"), axis=axis)
            else:
                y = _weighted(b, y, found[axis].matrix(x.dims[axis]), axis)
        return y

    def work(self, operands: tuple[Type, ...], results: tuple[Type, ...]) -> Work:
        each = {"nearest": 0, "linear": 2 * 4, "cubic": 2 * 16}[self.mode]
        return Work(each * results[0].count, operands[0].bytes + results[0].bytes)

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        x = floats(rng, (1, 2, 4, 5))
        double = np.array([1, 1, 2, 2], np.float32)
        odd = np.array([1, 1, 0.6, 1.7], np.float32)
        for mode in ("nearest", "linear", "cubic"):
            for coordinates in COORDINATES[:-1]:
                yield case(x, None, odd, mode=mode, coordinate_transformation_mode=coordinates)
            yield case(x, None, double, mode=mode)
            yield case(x, None, None, ints(1, 2, 3, 9), mode=mode, coordinate_transformation_mode="align_corners")
        for nearest in NEAREST:
            yield case(x, None, odd, nearest_mode=nearest, coordinate_transformation_mode="asymmetric")
        yield from _special_cases(rng, x)


def _special_cases(rng: np.random.Generator, x: np.ndarray) -> Iterator[Case]:
    small = np.array([1, 1, 0.6, 0.6], np.float32)
    roi = np.array([0, 0, 0.4, -0.2, 1, 1, 0.6, 1.2], np.float32)
    for mode in ("linear", "cubic"):
        yield case(x, None, small, mode=mode, antialias=True)
    yield case(x, None, small, mode="cubic", exclude_outside=True, cubic_coeff_a=-0.5)
    yield case(
        x, roi, None, ints(1, 2, 3, 3), mode="linear", coordinate_transformation_mode="tf_crop_and_resize",
        extrapolation_value=10.0,
    )
    for policy in ("not_larger", "not_smaller"):
        yield case(x, None, None, ints(7, 8), axes=(2, 3), keep_aspect_ratio_policy=policy)
    yield case(floats(rng, (2, 3, 6)), None, np.array([2.0], np.float32), axes=(-1,), mode="linear")
    yield case(integers(rng, (1, 1, 3, 3), 0, 200, "u8"), None, np.array([1, 1, 2, 2], np.float32))


def _as_kind(y: np.ndarray, kind: np.dtype) -> np.ndarray:
    if np.issubdtype(kind, np.integer) and y.dtype != kind:
        limits = np.iinfo(kind)
        return np.clip(y, limits.min, limits.max).astype(kind)
    return y.astype(kind, copy=False)


def _sampled(x: np.ndarray, found: Taps, axis: int) -> np.ndarray:
    if found.weights is None:
        return np.take(x, found.places[:, 0], axis)
    spread = [1] * x.ndim
    spread[axis] = -1
    total: np.ndarray | float = 0.0
    for tap in range(found.places.shape[1]):
        weight = found.weights[:, tap].astype(x.dtype).reshape(spread)
        total = total + np.take(x, found.places[:, tap], axis) * weight
    return np.asarray(total)


def _weighted(b: Builder, x: str, matrix: np.ndarray, axis: int) -> str:
    """x with one axis multiplied by a matrix [out, in]."""
    rank = b.type(x).rank
    if axis == rank - 1:
        return b.one(MatMul(x, b.const(np.ascontiguousarray(matrix.T), like=x, name="weights")))
    if axis == rank - 2:
        return b.one(MatMul(b.const(matrix, like=x, name="weights"), x))
    swap = list(range(rank))
    swap[axis], swap[-1] = swap[-1], swap[axis]
    moved = b.one(Transpose(x, perm=tuple(swap)))
    return b.one(Transpose(_weighted(b, moved, matrix, rank - 1), perm=tuple(swap)))
