"""Convolutions whose weights lie in a kernel's own order, which no tiling of their axes describes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from glowviz.compiler.backends.cpu.kernels.channel_panels import pack_panels
from glowviz.compiler.backends.cpu.kernels.conv_transpose import as_gathered, phases_of, tap_order
from glowviz.compiler.backends.cpu.kernels.geometry import Map
from glowviz.compiler.ops import Conv, ConvTranspose
from glowviz.compiler.ops.base import INSTRUCTIONS, Case, Op, Value, Work, case
from glowviz.compiler.ops.cases import floats
from glowviz.compiler.ops.conv import Spread
from glowviz.compiler.ops.windows import Windows
from glowviz.compiler.types import Type


class PackedConv(Op, abstract=True):
    """Conv with the weights of `shape` [O, C/group, kernel…] flat in w, in panels of `vectors` blocks of channels.

    `blocks` are the channels that lie together in x and in the result. See kernels/channel_panels.py.
    """

    x: Value
    w: Value
    b: Value | None = None
    strides: tuple[int, ...] = ()
    pads: tuple[int, ...] = ()
    dilations: tuple[int, ...] = ()
    group: int = 1
    auto_pad: str = "NOTSET"
    shape: tuple[int, ...] = ()
    blocks: tuple[int, int] = (1, 1)
    vectors: int = 1
    family = "linear"

    @property
    def plain(self) -> Conv:
        """The same convolution of weights in row-major order."""
        return Conv(
            self.x, self.w, self.b, self.strides, self.pads, self.dilations, self.group, self.auto_pad
        )  # fmt: skip

    def windows(self, x: Sequence[int], w: Sequence[int]) -> Windows:
        """The geometry for logical shapes of x and w."""
        return self.plain.windows(x, w)

    def pack(self, weights: np.ndarray) -> np.ndarray:
        """Row-major weights as w holds them."""
        wide = _with_rows(weights)
        source = Map(1, wide.shape[1] * self.group, 1, 1, self.blocks[0])
        return pack_panels(wide, source, Map(1, wide.shape[0], 1, 1, self.blocks[1]), self.group, self.vectors)

    def infer(self, x: Type, w: Type, b: Type | None) -> Type:
        return self.plain.infer(x, Type(w.elem, self.shape), b)

    def reference(self, x: np.ndarray, w: np.ndarray, b: np.ndarray | None) -> np.ndarray:
        return self.plain.reference(x, _unpacked(w, self.shape, self.pack), b)

    def padding(
        self, operands: tuple[Type, ...], results: tuple[Type, ...]
    ) -> dict[str, tuple[int, int, int, int]]:  # fmt: skip
        return self.plain.padding(_with_logical(operands, self.shape), results)  # type: ignore[return-value]  # Conv's own dict

    def work(self, operands: tuple[Type, ...], results: tuple[Type, ...]) -> Work:
        return self.plain.work(_with_logical(operands, self.shape), results)

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        shape = (6, 2, 3, 3)
        op = PackedConv("x", "w", group=2, shape=shape, blocks=(4, 4), vectors=2, pads=(1, 1, 1, 1))
        yield case(floats(rng, (1, 4, 5, 6)), op.pack(floats(rng, shape)), **op.attributes)


class PackedConvTranspose(Op, abstract=True):
    """ConvTranspose with the weights of `shape` [C, O/group, kernel…] flat in w, taps ordered by phase."""

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
    shape: tuple[int, ...] = ()
    blocks: tuple[int, int] = (1, 1)
    vectors: int = 1
    family = "linear"

    @property
    def plain(self) -> ConvTranspose:
        """The same op on weights in row-major order."""
        return ConvTranspose(
            self.x, self.w, self.b, self.strides, self.pads, self.dilations, self.group, self.output_padding,
            self.output_shape, self.auto_pad,
        )  # fmt: skip

    def spread(self, x: Sequence[int], w: Sequence[int]) -> Spread:
        """The geometry for logical shapes of x and w."""
        return self.plain.spread(x, w)

    def pack(self, weights: np.ndarray, x: Sequence[int]) -> np.ndarray:
        """Row-major weights as w holds them, for x of that shape (its size says which phases there are)."""
        spread = self.spread(x, self.shape)
        axes = [
            phases_of(*numbers)
            for numbers in zip(spread.out, spread.kernel, spread.strides, spread.dilations, spread.begins, strict=True)
        ]
        if len(axes) == 1:
            axes.insert(0, phases_of(1, 1, 1, 1, 0))
        wide = as_gathered(_with_rows(weights), self.group)
        order = tap_order(axes[0], axes[1], (wide.shape[2], wide.shape[3]))
        wide = wide.reshape(*wide.shape[:2], 1, -1)[..., order]
        source = Map(1, wide.shape[1] * self.group, 1, 1, self.blocks[0])
        return pack_panels(wide, source, Map(1, wide.shape[0], 1, 1, self.blocks[1]), self.group, self.vectors)

    def infer(self, x: Type, w: Type, b: Type | None) -> Type:
        return self.plain.infer(x.logical, Type(w.elem, self.shape), b).with_order(x.order)

    def reference(self, x: np.ndarray, w: np.ndarray, b: np.ndarray | None) -> np.ndarray:
        return self.plain.reference(x, _unpacked(w, self.shape, lambda n: self.pack(n, x.shape)), b)

    def work(self, operands: tuple[Type, ...], results: tuple[Type, ...]) -> Work:
        return self.plain.work(_with_logical(operands, self.shape), results)

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        shape, x = (5, 3, 3, 2), (1, 5, 4, 4)
        op = PackedConvTranspose("x", "w", strides=(2, 3), shape=shape, blocks=(4, 4))
        yield case(floats(rng, x), op.pack(floats(rng, shape), x), **op.attributes)


# instructions of Programs only: no Graph has them, and no table of ops names them
INSTRUCTIONS |= {op.instruction: op for op in (PackedConv, PackedConvTranspose)}


def _with_rows(weights: np.ndarray) -> np.ndarray:
    return weights if weights.ndim == 4 else weights[:, :, None]


def _with_logical(operands: tuple[Type, ...], shape: tuple[int, ...]) -> tuple[Type, ...]:
    return (operands[0], Type(operands[1].elem, shape), *operands[2:])


def _unpacked(packed: np.ndarray, shape: tuple[int, ...], pack: Any) -> np.ndarray:
    """The inverse of a packing, found by packing the numbers 1, 2, 3 …"""
    count = int(np.prod(shape))
    places = pack(np.arange(1, count + 1).reshape(shape))
    logical = np.zeros(count, packed.dtype)
    logical[places[places > 0] - 1] = packed[places > 0]
    return logical.reshape(shape)
