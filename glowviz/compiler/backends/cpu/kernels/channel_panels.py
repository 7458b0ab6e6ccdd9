"""Output channels fall into panels; each panel sums over the source channels that its groups read."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from glowviz.compiler.backends.cpu.emitter import Emitter
from glowviz.compiler.backends.cpu.kernels.geometry import FLOAT, Map, blocks_of
from glowviz.compiler.backends.cpu.kernels.tile import Level, Tile, multiply, unroll_for
from glowviz.compiler.backends.cpu.kernels.totals import Totals, blocks_for, bytes_for
from glowviz.compiler.backends.cpu.values import Index, Value
from glowviz.compiler.types import Order


@dataclass(frozen=True)
class Panel:
    """The output channels one task computes: `vectors` blocks from `block`, reading channels first..end."""

    block: int
    vectors: int
    first: int
    end: int

    def ranges(self, size: int) -> list[tuple[int, int]]:
        """The source channels cut at block borders."""
        first, last = self.first // size, (self.end - 1) // size
        return [(max(b * size, self.first), min((b + 1) * size, self.end)) for b in range(first, last + 1)]


def panels_of(source: Map, result: Map, group: int, vectors: int) -> list[Panel]:
    """The panels of a convolution, each with the union of the input ranges of its groups."""
    per_group_in, per_group_out = source.channels // group, result.channels // group
    found = []
    for block in range(0, result.blocks, vectors):
        count = min(vectors, result.blocks - block)
        last = min((block + count) * result.block, result.channels) - 1
        first_group, last_group = block * result.block // per_group_out, last // per_group_out
        found.append(Panel(block, count, first_group * per_group_in, (last_group + 1) * per_group_in))
    return found


def panel_order(block: int, lanes: int, pairs: bool = False) -> Order:
    """Weights [O, C, KH, KW] as [O/lanes][C/block][KH][KW][block][lanes]: what the reduction reads in a row.

    With `pairs` a block counts pairs of channels, which end the order: [block][lanes][2].
    """
    inner = ((1, block), (0, lanes)) if block > 1 else ((0, lanes),)
    inner += ((1, 2),) if pairs else ()
    return Order(((0, 0), (1, 0), (2, 0), (3, 0), *inner))


def spread_weights(weights: np.ndarray, panel: Panel, source: Map, result: Map, group: int) -> np.ndarray:
    """One panel of weights [O, C/group, KH, KW] as [lanes, whole source blocks, KH, KW], 0 across groups."""
    per_group_in, per_group_out = source.channels // group, result.channels // group
    lanes, start = panel.vectors * result.block, panel.block * result.block
    first, last = panel.first // source.block * source.block, blocks_of(panel.end, source.block) * source.block
    dense = np.zeros((lanes, last - first, *weights.shape[2:]), weights.dtype)
    channels = np.arange(start, min(start + lanes, result.channels))
    for number in range(start // per_group_out, channels[-1] // per_group_out + 1):
        mine = channels[channels // per_group_out == number]
        at = number * per_group_in - first
        dense[mine - start, at : at + per_group_in] = weights[mine]
    return dense


def pack_panels(weights: np.ndarray, source: Map, result: Map, group: int, vectors: int) -> np.ndarray:
    """Grouped weights [O, C/group, KH, KW] as [panel][channel block][KH][KW][channel in block][lane], flat.

    A panel has the channel blocks its groups touch, with zeros where a lane's group has no such channel.
    """
    order = panel_order(source.block, vectors * result.block)
    panels = panels_of(source, result, group, vectors)
    return np.concatenate(
        [order.pack(spread_weights(weights, panel, source, result, group)).reshape(-1) for panel in panels]
    )


class PanelSums:
    """Writes the reduction of one panel: where its weights begin, its loop over channels.

    Weights lie as [panel][channel block][taps][channel in block][lanes of a whole panel]; the channel blocks are
    all those of the source, or those that the panel's groups touch. A long reduction is summed up in blocks of
    channel blocks: then every worker needs `scratch_bytes` at `scratch` for a tile of up to `largest` vectors.
    """

    def __init__(
        self, em: Emitter, source: Map, panels: list[Panel], taps: int
    ) -> None:
        self.em, self.source, self.panels, self.taps = em, source, panels, taps
        self.blocks, self.scratch, self.scratch_bytes = None, None, 0
        self.vectors = panels[0].vectors
        self.dense = all((p.first, p.end) == (0, source.channels) for p in panels)
        self.table = None if self.dense else em.table(self._table())

    def sum_in_blocks(self, argument: int, taps: int, largest: int) -> None:
        """Where the reduction over `taps` taps is long, use the scratch area that operand `argument` points to."""
        size = self.source.block
        self.blocks = blocks_for(max(len(p.ranges(size)) for p in self.panels), taps * size, self.em.target)
        if self.blocks:
            self.scratch_bytes = bytes_for(largest, self.em.lanes)
            self.scratch = self.em.offset(self.em.argument(argument), self.em.worker * self.scratch_bytes)

    @property
    def row(self) -> int:
        """Bytes of the weights of one channel and tap."""
        return self.vectors * self.em.lanes * FLOAT

    def _table(self) -> list[int]:
        rows, offset = [], 0
        for panel in self.panels:
            rows += [panel.first, panel.end, offset]
            touched = len(panel.ranges(self.source.block)) * self.source.block
            offset += touched * self.taps * self.row
        return rows

    def unroll(self, limit: int, kernel_width: int) -> int:
        """The unrolling of the innermost loop that divides all its trip counts."""
        size = self.source.block
        if size == 1:
            return unroll_for([kernel_width], limit)
        return unroll_for([high - low for p in self.panels for low, high in p.ranges(size)], limit)

    def locate(self, panel: Index) -> tuple[Index, Index, Index]:
        """First source channel, end, and the offset of the weights."""
        em = self.em
        if self.table is None:
            per_panel = self.taps * self.source.blocks * self.source.block * self.row
            return 0, self.source.channels, panel * per_panel
        row = em.offset(self.table, panel * 24)
        first, end, offset = (em.load(em.offset(row, 8 * n), "i64") for n in range(3))
        return first, end, offset

    def add(
        self, tile: Tile, source: Value, weights: Value, channels: tuple[Index, Index],
        taps: Sequence[Level], unroll: int,
    ) -> list[Value]:  # fmt: skip
        """The sums over channels first..end and the taps; `taps` move the weights in units of one tap.

        `weights` is where the panel's first channel block begins (further on for a phase of a transposed
        convolution, whose `taps` are only some).
        """
        em, size, (first, end) = self.em, self.source.block, channels
        low, high = em.divide(first, size), em.divide(end + (size - 1), size)
        per_tap = size * self.row
        inner = [replace(t, weights=t.weights * per_tap) for t in taps]

        def part(start: Index, count: Index, carry: list[Value]) -> list[Value]:
            with em.loop(0, count, carry=carry) as loop:
                channel_block = loop.index + start
                here = em.offset(source, channel_block * self.source.plane)
                rows = em.offset(weights, (channel_block - low) * (self.taps * per_tap))
                levels = [*inner, self._channel_level(first, end, channel_block)] if size > 1 else inner
                loop.next = multiply(em, tile, here, rows, loop.carry, levels, unroll)
            return loop.results

        zeros = [em.zeros() for _ in range(tile.count)]
        if self.blocks is None or self.scratch is None:
            return part(low, high - low, zeros)
        return Totals(em, self.scratch).sum_up(zeros, self.blocks, (low, high), part)

    def _channel_level(self, first: Index, end: Index, block: Index) -> Level:
        em, size = self.em, self.source.block
        if self.dense and self.source.channels % size == 0:
            return Level(0, size, FLOAT, self.row)
        low = 0 if self.dense else em.larger(first - block * size, 0)
        return Level(low, em.smaller(end - block * size, size), FLOAT, self.row)
