"""Convolutions in one, two and three dimensions, and their transposes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from glowviz.compiler.ops.base import Builder, Case, Op, Value, Work, case
from glowviz.compiler.ops.cases import floats
from glowviz.compiler.ops.linear import multiply
from glowviz.compiler.ops.volumes import conv_of_pictures, spread_by_product
from glowviz.compiler.ops.windows import Ints, Windows, explicit, padded, slide, tap_slices, taps_outside
from glowviz.compiler.types import Order, Type, TypeProblem, channel_blocked

CHUNK = 32 << 20
"""Bytes of unfolded windows that the reference holds at once."""


class Conv(Op):
    """Cross-correlation of x[N, C, spatial…] with w[M, C/group, kernel…], plus b[M].

    `strides`, `pads` (begins, then ends) and `dilations` may be empty: 1, 0 and 1.
    """

    x: Value
    w: Value
    b: Value | None = None
    strides: tuple[int, ...] = ()
    pads: tuple[int, ...] = ()
    dilations: tuple[int, ...] = ()
    group: int = 1
    auto_pad: str = "NOTSET"
    onnx = "Conv"
    family = "linear"

    def windows(self, x: Sequence[int], w: Sequence[int]) -> Windows:
        """The geometry for logical shapes of x and w, with everything explicit."""
        return slide(tuple(x[2:]), tuple(w[2:]), self.strides, self.pads, self.dilations, self.auto_pad)

    def infer(self, x: Type, w: Type, b: Type | None) -> Type:
        _check_ranks(x, w)
        channels, features = x.dims[1], w.dims[0]
        if self.group < 1 or channels != w.dims[1] * self.group:
            raise TypeProblem(
                f"x has {channels} channels, but w {w} with group={self.group} reads {w.dims[1]}·{self.group}"
            )
        if features % self.group:
            raise TypeProblem(f"the {features} features of w do not divide into {self.group} groups")
        _check_bias(b, features)
        out = self.windows(x.dims, w.dims).out
        return Type(x.elem, (x.dims[0], features, *out), order=_result_order(x, w))

    def lower(self, b: Builder) -> str | None:
        """Of volumes: a Conv of pictures whose channels are the taps along the depth; pictures stay."""
        x, w = b.type(self.x), b.type(self.w)
        if x.rank != 5 or x.elem != "f32" or self.group > 1 or 0 in (*x.dims, *w.dims):
            return None
        return conv_of_pictures(b, self.x, self.w, self.b, self.windows(x.dims, w.dims))

    def reference(self, x: np.ndarray, w: np.ndarray, b: np.ndarray | None) -> np.ndarray:
        windows = self.windows(x.shape, w.shape)
        wide = padded(x, windows, 0)
        if w.shape[1] == 1 and self.group > 1:
            y = _depthwise(wide, w, windows)
        else:
            y = _unfolded(wide, w, windows, self.group)
        return y if b is None else y + b.reshape(-1, *(1,) * len(windows.out))

    def padding(self, operands: tuple[Type, ...], results: tuple[Type, ...]) -> dict[str, tuple[int, int, int, int]]:
        if operands[0].rank != 4:
            return {}
        w = self.windows(operands[0].dims, operands[1].dims)
        reach = tuple(
            max(0, (n - 1) * s + extent - begin - size)
            for n, s, extent, begin, size in zip(w.out, w.strides, w.extents, w.begins, w.spatial, strict=True)
        )
        return {self.x: (*w.begins, *reach)}  # type: ignore[dict-item]  # rank 4: two spatial dims

    def work(self, operands: tuple[Type, ...], results: tuple[Type, ...]) -> Work:
        per_element = 2 * prod(operands[1].dims[1:]) + (len(operands) > 2)
        return Work(results[0].count * per_element, sum(t.bytes for t in (*operands, *results)))

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        bias = floats(rng, (4,))
        for x, w, attributes in _conv_shapes():
            yield case(floats(rng, x), floats(rng, w), **attributes)
        yield case(floats(rng, (2, 3, 7, 5)), floats(rng, (4, 3, 3, 3)), bias, pads=(1, 1, 1, 1))
        yield case(floats(rng, (1, 3, 5, 5), "f64"), floats(rng, (4, 3, 2, 2), "f64"), bias.astype(np.float64))


def _conv_shapes() -> Iterator[tuple[Ints, Ints, dict[str, object]]]:
    yield (1, 3, 8, 8), (5, 3, 1, 1), {}
    yield (1, 3, 9, 8), (5, 3, 3, 2), {"strides": (2, 1), "pads": (1, 0, 2, 1)}
    yield (1, 3, 9, 9), (5, 3, 3, 3), {"dilations": (2, 2)}
    yield (2, 4, 6, 6), (6, 2, 3, 3), {"group": 2}
    yield (1, 4, 7, 7), (4, 1, 3, 3), {"group": 4, "pads": (1, 1, 1, 1), "strides": (2, 2)}
    yield (1, 3, 6, 6), (6, 1, 3, 3), {"group": 3}
    yield (2, 3, 11), (4, 3, 4), {"strides": (3,), "pads": (2, 1)}
    yield (1, 2, 4, 5, 6), (3, 2, 2, 3, 2), {"strides": (1, 2, 1)}
    yield (2, 3, 3, 4, 5), (4, 3, 1, 1, 1), {}
    yield (2, 2, 7, 5, 6), (3, 2, 3, 3, 1), {"strides": (2, 1, 1), "pads": (1, 0, 1, 2, 1, 0), "dilations": (2, 1, 1)}
    for auto_pad in ("SAME_UPPER", "SAME_LOWER", "VALID"):
        yield (1, 2, 7, 8), (3, 2, 4, 3), {"auto_pad": auto_pad, "strides": (2, 2)}
    yield (1, 2, 7, 8), (3, 2, 2, 3), {"auto_pad": "SAME_UPPER", "dilations": (2, 1)}
    yield (0, 2, 4, 4), (3, 2, 2, 2), {}


def _check_ranks(x: Type, w: Type) -> None:
    if x.rank < 3 or x.rank != w.rank:
        raise TypeProblem(f"x and w must have the same rank of 3 or more (N, C, spatial…), got {x} and {w}")
    if x.elem != w.elem:
        raise TypeProblem(f"x and w must have one element type, got {x} and {w}; Cast one of them")


def _check_bias(b: Type | None, features: int) -> None:
    if b is not None and b.dims != (features,):
        raise TypeProblem(f"the bias must have one number for each of the {features} features, got {b}")


def _result_order(x: Type, w: Type) -> Order | None:
    """Weights in blocks of features make a result in blocks of channels; otherwise the result lies as x does."""
    block = w.order.tile(0) if w.order is not None else 1
    return channel_blocked(x.rank, block) if block > 1 else x.order


def _depthwise(x: np.ndarray, w: np.ndarray, windows: Windows) -> np.ndarray:
    """Tap by tap: every channel times its own number."""
    group, each = x.shape[1], w.shape[0] // x.shape[1]
    by_group = w.reshape(group, each, *windows.kernel)
    y = np.zeros((x.shape[0], group, each, *windows.out), x.dtype)
    for position, cuts in tap_slices(windows):
        tap = by_group[(slice(None), slice(None), *position)].reshape(group, each, *(1,) * len(windows.out))
        y += x[(slice(None), slice(None), *cuts)][:, :, None] * tap
    return y.reshape(x.shape[0], w.shape[0], *windows.out)


def _unfolded(x: np.ndarray, w: np.ndarray, windows: Windows, group: int) -> np.ndarray:
    """Windows as columns of a matrix, in chunks of output rows, times the weights as its rows."""
    batch, features, depth = x.shape[0], w.shape[0], prod(w.shape[1:])
    rows = w.reshape(group, features // group, depth)
    y = np.empty((batch, group, features // group, *windows.out), x.dtype)
    view = taps_outside(x, windows)
    lead = 2 + len(windows.kernel)
    row_bytes = prod(view.shape[:lead]) * prod(windows.out[1:]) * x.dtype.itemsize
    step = max(1, CHUNK // max(row_bytes, 1))
    for start in range(0, windows.out[0], step):
        part = view[(slice(None),) * lead + (slice(start, start + step),)]
        out = part.shape[lead:]
        columns = part.reshape(batch, group, depth, prod(out))
        y[:, :, :, start : start + step] = multiply(rows, columns).reshape(batch, group, features // group, *out)
    return y.reshape(batch, features, *windows.out)


@dataclass(frozen=True, slots=True)
class Spread:
    """Geometry of a ConvTranspose: like Windows, but of the result's canvas; `out` are its spatial dims."""

    kernel: Ints
    strides: Ints
    dilations: Ints
    begins: Ints
    ends: Ints
    out: Ints


class ConvTranspose(Op):
    """Every x[n, c, p] times w[C, M/group, kernel…], added up at stride·p + dilation·tap - pad; plus b[M].

    "output_shape[i] = stride[i] * (input_size[i] - 1) + output_padding[i] + ((kernel_shape[i] - 1) *
    dilations[i] + 1) - pads[start_i] - pads[end_i]".
    """

    x: Value
    w: Value
    b: Value | None = None
    strides: tuple[int, ...] = ()
    pads: tuple[int, ...] = ()
    dilations: tuple[int, ...] = ()
    group: int = 1
    output_padding: tuple[int, ...] = ()
    output_shape: tuple[int, ...] = ()
    auto_pad: str = "NOTSET"
    onnx = "ConvTranspose"
    family = "linear"

    def spread(self, x: Sequence[int], w: Sequence[int]) -> Spread:
        """The geometry for logical shapes of x and w, with everything explicit."""
        kernel, spatial = tuple(w[2:]), tuple(x[2:])
        steps, begins, ends, dilations = explicit(kernel, self.strides, self.pads, self.dilations)
        extra = self.output_padding or (0,) * len(kernel)
        full = tuple(
            s * (n - 1) + e + (k - 1) * d + 1
            for s, n, e, k, d in zip(steps, spatial, extra, kernel, dilations, strict=True)
        )
        wanted = self.output_shape[-len(kernel) :]
        if not wanted and self.auto_pad in ("SAME_UPPER", "SAME_LOWER"):
            wanted = tuple(n * s for n, s in zip(spatial, steps, strict=True))
        if wanted:
            totals = [max(f - o, 0) for f, o in zip(full, wanted, strict=True)]
            small, large = tuple(t // 2 for t in totals), tuple(t - t // 2 for t in totals)
            begins, ends = (small, large) if self.auto_pad == "SAME_UPPER" else (large, small)
        elif self.auto_pad == "VALID":
            begins = ends = (0,) * len(kernel)
        out = wanted or tuple(f - b - e for f, b, e in zip(full, begins, ends, strict=True))
        if any(n < 0 for n in out):
            raise TypeProblem(f"pads {[*begins, *ends]} take away more than the whole result {list(full)}")
        return Spread(kernel, steps, dilations, begins, ends, tuple(out))

    def infer(self, x: Type, w: Type, b: Type | None) -> Type:
        _check_ranks(x, w)
        if x.dims[1] != w.dims[0] or self.group < 1 or x.dims[1] % self.group:
            raise TypeProblem(
                f"x has {x.dims[1]} channels, w {w} reads {w.dims[0]}; both must be equal and divide by "
                f"group={self.group}"
            )
        features = w.dims[1] * self.group
        _check_bias(b, features)
        return Type(x.elem, (x.dims[0], features, *self.spread(x.dims, w.dims).out))

    def reference(self, x: np.ndarray, w: np.ndarray, b: np.ndarray | None) -> np.ndarray:
        spread = self.spread(x.shape, w.shape)
        batch, each, group = x.shape[0], w.shape[1], self.group
        points = prod(x.shape[2:])
        rows = w.reshape(group, w.shape[0] // group, each * prod(spread.kernel)).swapaxes(1, 2)
        columns = multiply(rows, x.reshape(batch, group, x.shape[1] // group, points))
        columns = columns.reshape(batch, group * each, *spread.kernel, *x.shape[2:])
        y = _scattered(columns, spread, x.shape[2:])
        return y if b is None else y + b.reshape(-1, *(1,) * len(spread.out))

    def lower(self, b: Builder) -> str | None:
        """A product put in order where windows do not overlap, else a Conv over x with zeros between."""
        from glowviz.compiler.ops.transposed import as_convolution, as_depth_to_space

        x, w = b.type(self.x), b.type(self.w)
        plain = x.rank == 5 and x.elem == "f32" and self.group == 1 and 0 not in (*x.dims, *w.dims)
        if plain and _beside(self.spread(x.dims, w.dims), x.dims[2:]):
            return spread_by_product(b, self.x, self.w, self.b)
        return as_depth_to_space(self, b) or as_convolution(self, b)

    def work(self, operands: tuple[Type, ...], results: tuple[Type, ...]) -> Work:
        flops = 2 * operands[0].count * prod(operands[1].dims[1:])
        flops += results[0].count if len(operands) > 2 else 0
        return Work(flops, sum(t.bytes for t in (*operands, *results)))

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        for x, w, attributes in _transpose_shapes():
            yield case(floats(rng, x), floats(rng, w), **attributes)
        yield case(floats(rng, (1, 3, 4, 4)), floats(rng, (3, 2, 2, 2)), floats(rng, (2,)), strides=(2, 2))


def _beside(spread: Spread, spatial: Sequence[int]) -> bool:
    """Whether the windows of a transposed convolution lie side by side and make the whole result."""
    full = tuple(n * k for n, k in zip(spatial, spread.kernel, strict=True))
    tight = spread.kernel == spread.strides and set(spread.dilations) == {1} and not any(spread.begins)
    return tight and spread.out == full


def _transpose_shapes() -> Iterator[tuple[Ints, Ints, dict[str, object]]]:
    yield (1, 3, 4, 5), (3, 2, 3, 3), {}
    yield (2, 3, 4, 5), (3, 2, 2, 2), {"strides": (2, 2)}
    yield (1, 3, 4, 5), (3, 2, 3, 4), {"strides": (2, 3), "pads": (1, 0, 0, 2)}
    yield (1, 3, 4, 4), (3, 2, 3, 3), {"strides": (2, 2), "pads": (1, 1, 1, 1), "output_padding": (1, 1)}
    yield (1, 4, 3, 3), (4, 3, 3, 3), {"group": 2, "dilations": (2, 1)}
    yield (1, 4, 3, 3), (4, 1, 4, 4), {"group": 4, "strides": (2, 2), "pads": (1, 1, 1, 1)}
    yield (1, 2, 6), (2, 3, 4), {"strides": (2,), "pads": (1, 1)}
    yield (1, 2, 3, 2, 3), (2, 2, 2, 2, 2), {"strides": (2, 1, 2)}
    yield (2, 3, 3, 2, 4), (3, 2, 2, 1, 3), {"strides": (2, 1, 3)}
    yield (1, 1, 3, 3), (1, 2, 3, 3), {"strides": (3, 2), "output_shape": (10, 8), "output_padding": (1, 1)}
    for auto_pad in ("SAME_UPPER", "SAME_LOWER", "VALID"):
        yield (1, 1, 3, 3), (1, 2, 4, 3), {"strides": (2, 2), "auto_pad": auto_pad}


def _scattered(columns: np.ndarray, spread: Spread, spatial: Sequence[int]) -> np.ndarray:
    """Every tap's plane added to the canvas at its place; the padding cut off."""
    needed = [
        max((n - 1) * s + (k - 1) * d + 1, begin + out)
        for n, s, k, d, begin, out in zip(
            spatial, spread.strides, spread.kernel, spread.dilations, spread.begins, spread.out, strict=True
        )
    ]
    canvas = np.zeros((*columns.shape[:2], *needed), columns.dtype)
    for position in np.ndindex(*spread.kernel):
        starts = [p * d for p, d in zip(position, spread.dilations, strict=True)]
        cuts = tuple(
            slice(a, a + (n - 1) * s + 1, s) if n else slice(0, 0)
            for a, n, s in zip(starts, spatial, spread.strides, strict=True)
        )
        canvas[(slice(None), slice(None), *cuts)] += columns[(slice(None), slice(None), *position)]
    crop = tuple(slice(b, b + n) for b, n in zip(spread.begins, spread.out, strict=True))
    return np.ascontiguousarray(canvas[(slice(None), slice(None), *crop)])
