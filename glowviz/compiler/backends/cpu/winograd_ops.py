"""Winograd convolution as instructions of a Program: whole, or its input transform and the rest apart."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from glowviz.compiler.backends.cpu.kernels.geometry import Map
from glowviz.compiler.backends.cpu.kernels.winograd import WinogradSpec, pack_winograd_weights, panels_per_group
from glowviz.compiler.backends.cpu.kernels.winograd_transforms import Filtering
from glowviz.compiler.ops import Conv
from glowviz.compiler.ops.base import INSTRUCTIONS, Case, Op, Value, Work, case
from glowviz.compiler.ops.cases import floats
from glowviz.compiler.ops.wide import widened
from glowviz.compiler.types import Type, channel_blocked

Sides = tuple[int, int, int, int]


def spec_of(
    dims: tuple[int, ...], shape: tuple[int, ...], pads: Sides, outputs: int, group: int, block: int
) -> WinogradSpec:
    """The convolution of a map [N, C, H, W] with weights of `shape`, its padding in the map's halo."""
    n, c, height, width = dims
    taps = shape[-1]
    result = (height + pads[0] + pads[2] - taps + 1, width + pads[1] + pads[3] - taps + 1)
    source = Map(n, c, height, width, block, pads)
    return WinogradSpec(source, Map(n, shape[0], *result, block), Filtering(outputs, taps), pads[:2], group)


def transformed(x: np.ndarray, spec: WinogradSpec) -> np.ndarray:
    """B^T d B of every tile of x [N, C, H, W]: [point, channel, tile]."""
    size, step, (rows, columns) = spec.filtering.size, spec.filtering.outputs, spec.grid
    top, left, _, _ = spec.source.halo
    wide = np.zeros((*x.shape[:2], rows * step + size, columns * step + size), x.dtype)
    height = min(x.shape[2], spec.result.height + spec.filtering.taps - 1 - top)
    width = min(x.shape[3], spec.result.width + spec.filtering.taps - 1 - left)
    wide[:, :, top : top + height, left : left + width] = x[:, :, :height, :width]
    cut = np.lib.stride_tricks.sliding_window_view(wide, (size, size), axis=(2, 3))
    tiles = cut[:, :, : rows * step : step, : columns * step : step]
    matrix = spec.filtering.inputs.astype(x.dtype)
    points = matrix @ tiles @ matrix.T
    return points.transpose(4, 5, 1, 0, 2, 3).reshape(size * size, x.shape[1], -1)


def untransformed(v: np.ndarray, w: np.ndarray, spec: WinogradSpec, vectors: int) -> np.ndarray:
    """The result [N, O, H, W] of transformed tiles [point, channel, tile] and packed weights."""
    lanes, panels = vectors * spec.result.block, panels_per_group(spec, vectors)
    each, step, (rows, columns) = spec.result.channels // spec.group, spec.filtering.outputs, spec.grid
    weights = w.reshape(spec.group, panels, spec.points, -1, lanes).transpose(0, 2, 3, 1, 4)
    weights = weights.reshape(spec.group, spec.points, -1, panels * lanes)[:, :, : spec.depth, :each]
    groups = v.reshape(spec.points, spec.group, spec.depth, -1).transpose(1, 0, 2, 3)
    products = weights.transpose(0, 1, 3, 2) @ groups
    size, matrix = spec.filtering.size, spec.filtering.results.astype(v.dtype)
    products = products.transpose(0, 2, 3, 1).reshape(spec.result.channels, -1, size, size)
    tiles = (matrix @ products @ matrix.T).reshape(spec.result.channels, spec.result.batch, rows, columns, step, step)
    whole = tiles.transpose(1, 0, 2, 4, 3, 5).reshape(spec.result.batch, -1, rows * step, columns * step)
    return np.ascontiguousarray(whole[:, :, : spec.result.height, : spec.result.width])


class WinogradConv(Op, abstract=True):
    """Conv of stride 1 by tiles of `tile` x `tile` results; w holds transformed weights of `shape`. x may be bf16.

    `block` channels of x and of the result lie together, `vectors` of those blocks make a panel of weights.
    """

    x: Value
    w: Value
    b: Value | None = None
    pads: tuple[int, ...] = (0, 0, 0, 0)
    tile: int = 4
    shape: tuple[int, ...] = ()
    group: int = 1
    block: int = 1
    vectors: int = 1
    family = "linear"

    @property
    def plain(self) -> Conv:
        """The same convolution of weights in row-major order."""
        return Conv(self.x, self.w, self.b, pads=self.pads, group=self.group)

    def spec(self, dims: tuple[int, ...]) -> WinogradSpec:
        """The geometry for x of these dims."""
        return spec_of(dims, self.shape, self.pads, self.tile, self.group, self.block)  # type: ignore[arg-type]  # four pads

    def pack(self, weights: np.ndarray, dims: tuple[int, ...]) -> np.ndarray:
        """Row-major weights as w holds them."""
        return pack_winograd_weights(weights, self.spec(dims), self.vectors)

    def infer(self, x: Type, w: Type, b: Type | None) -> Type:
        return self.plain.infer(x.with_elem(w.elem), Type(w.elem, self.shape), b)

    def reference(self, x: np.ndarray, w: np.ndarray, b: np.ndarray | None) -> np.ndarray:
        spec = self.spec(x.shape)
        y = untransformed(transformed(x.astype(w.dtype), spec), w, spec, self.vectors)
        return y if b is None else y + b[:, None, None]

    def padding(self, operands: tuple[Type, ...], results: tuple[Type, ...]) -> dict[str, Sides]:
        return self.plain.padding((operands[0], Type("f32", self.shape)), results)  # type: ignore[return-value]  # Conv's dict

    def work(self, operands: tuple[Type, ...], results: tuple[Type, ...]) -> Work:
        flops = self.plain.work((operands[0], Type("f32", self.shape), *operands[2:]), results).flops
        return Work(flops, sum(t.bytes for t in (*operands, *results)))

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        shape = (6, 5, 3, 3)
        op = WinogradConv("x", "w", pads=(1, 1, 1, 1), tile=2, shape=shape, block=4)
        yield case(floats(rng, (1, 5, 5, 6)), op.pack(floats(rng, shape), (1, 5, 5, 6)), **op.attributes)


class WinogradInput(Op, abstract=True):
    """The transformed tiles of x: [point, block of channels, tile, channel of the block]; see WinogradConv."""

    x: Value
    pads: tuple[int, ...] = (0, 0, 0, 0)
    tile: int = 4
    taps: int = 3
    block: int = 1
    family = "linear"

    def spec(self, dims: tuple[int, ...]) -> WinogradSpec:
        """The geometry for x of these dims; result channels count nothing here."""
        shape = (self.block, dims[1], self.taps, self.taps)
        return spec_of(dims, shape, self.pads, self.tile, 1, self.block)  # type: ignore[arg-type]  # four pads

    def infer(self, x: Type) -> Type:
        spec = self.spec(x.dims)
        elem = "f32" if x.elem == "bf16" else x.elem
        return Type(elem, (spec.points, spec.source.blocks, spec.tiles, self.block))

    def reference(self, x: np.ndarray) -> np.ndarray:
        spec, x = self.spec(x.shape), widened(x)
        v = transformed(x, spec)
        wide = np.zeros((spec.points, spec.source.blocks * self.block, spec.tiles), x.dtype)
        wide[:, : x.shape[1]] = v
        return np.ascontiguousarray(wide.reshape(spec.points, -1, self.block, spec.tiles).transpose(0, 1, 3, 2))

    def padding(self, operands: tuple[Type, ...], results: tuple[Type, ...]) -> dict[str, Sides]:
        shape = (1, operands[0].dims[1], self.taps, self.taps)
        plain = Conv(self.x, "w", pads=self.pads)
        return plain.padding((operands[0], Type("f32", shape)), results)  # type: ignore[return-value]  # Conv's dict

    def work(self, operands: tuple[Type, ...], results: tuple[Type, ...]) -> Work:
        spec = self.spec(operands[0].dims)
        return Work(results[0].count * 4 * spec.filtering.size // 2, sum(t.bytes for t in (*operands, *results)))

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield case(floats(rng, (1, 5, 5, 6)), pads=(1, 1, 1, 1), tile=2, taps=3, block=4)


class WinogradResult(Op, abstract=True):
    """Conv from transformed tiles v of WinogradInput and transformed weights w of `shape`: a map `size` [N, H, W]."""

    v: Value
    w: Value
    b: Value | None = None
    size: tuple[int, ...] = ()
    tile: int = 4
    shape: tuple[int, ...] = ()
    group: int = 1
    vectors: int = 1
    family = "linear"

    def spec(self, block: int) -> WinogradSpec:
        """The geometry, of a map whose padding belongs to it."""
        n, height, width = self.size
        more = self.shape[-1] - 1
        dims = (n, self.shape[1] * self.group, height + more, width + more)
        return spec_of(dims, self.shape, (0, 0, 0, 0), self.tile, self.group, block)

    def infer(self, v: Type, w: Type, b: Type | None) -> Type:
        n, height, width = self.size
        order = channel_blocked(4, v.dims[-1]) if v.dims[-1] > 1 else None
        return Type(v.elem, (n, self.shape[0], height, width), order=order)

    def reference(self, v: np.ndarray, w: np.ndarray, b: np.ndarray | None) -> np.ndarray:
        spec = self.spec(v.shape[-1])
        points = v.transpose(0, 1, 3, 2).reshape(spec.points, -1, spec.tiles)[:, : spec.source.channels]
        y = untransformed(points, w, spec, self.vectors)
        return y if b is None else y + b[:, None, None]

    def work(self, operands: tuple[Type, ...], results: tuple[Type, ...]) -> Work:
        taps = self.shape[1] * self.shape[2] * self.shape[3]
        return Work(2 * results[0].count * taps, sum(t.bytes for t in (*operands, *results)))

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        shape = (6, 5, 3, 3)
        op = WinogradResult("v", "w", size=(1, 5, 6), tile=2, shape=shape)
        spec = op.spec(4)
        v = transformed(floats(rng, (1, 5, 7, 8)), spec)
        padded = np.zeros((spec.points, 8, spec.tiles), np.float32)
        padded[:, :5] = v
        tiles = np.ascontiguousarray(padded.reshape(spec.points, 2, 4, spec.tiles).transpose(0, 1, 3, 2))
        yield case(tiles, pack_winograd_weights(floats(rng, shape), spec, 1), **op.attributes)


# instructions of Programs only: no Graph has them, and no table of ops names them
INSTRUCTIONS |= {op.instruction: op for op in (WinogradConv, WinogradInput, WinogradResult)}
