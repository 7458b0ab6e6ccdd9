"""Output channels fall into panels; each panel sums over the source channels that its groups read.

A panel may hold several groups. Then it sums group by group, and only the lanes of the group take part: multiplied
by a weight of 0, a NaN or an infinity of one group would reach the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from glowviz.compiler.backends.cpu.emitter import Emitter
from glowviz.compiler.backends.cpu.kernels.geometry import FLOAT, Map, blocks_of
from glowviz.compiler.backends.cpu.kernels.tile import Level, Tile, lane_masks, multiply, only_lanes, unroll_for
from glowviz.compiler.backends.cpu.kernels.totals import Blocks, Totals, blocks_for, bytes_for
from glowviz.compiler.backends.cpu.values import Index, Value
from glowviz.compiler.types import Order


@dataclass(frozen=True)
class Panel:
    """The output channels one task computes: `vectors` blocks from `block`, reading channels first..end.

    Every group makes `out` channels of `each` source channels; `lane` is where the first group's results begin,
    before lane 0 where an earlier panel has some of them.
    """

    block: int
    vectors: int
    first: int
    end: int
    each: int
    out: int
    lane: int

    @property
    def groups(self) -> int:
        """How many groups have results here."""
        return (self.end - self.first) // self.each

    def ranges(self, size: int) -> list[tuple[int, int]]:
        """The source channels cut at block borders."""
        return _cut(self.first, self.end, size)

    def group_ranges(self, size: int) -> list[list[tuple[int, int]]]:
        """The same for every group."""
        return [_cut(first, first + self.each, size) for first in range(self.first, self.end, self.each)]


def _cut(first: int, end: int, size: int) -> list[tuple[int, int]]:
    return [(max(b * size, first), min((b + 1) * size, end)) for b in range(first // size, (end - 1) // size + 1)]


@dataclass(frozen=True)
class Place:
    """What a task knows of its panel: its source channels, the bytes to its weights, its first group's lane."""

    first: Index
    end: Index
    offset: Index
    lane: Index


def panels_of(source: Map, result: Map, group: int, vectors: int) -> list[Panel]:
    """The panels of a convolution, each with the union of the input ranges of its groups."""
    per_group_in, per_group_out = source.channels // group, result.channels // group
    found = []
    for block in range(0, result.blocks, vectors):
        count = min(vectors, result.blocks - block)
        last = min((block + count) * result.block, result.channels) - 1
        first_group, last_group = block * result.block // per_group_out, last // per_group_out
        first, end = first_group * per_group_in, (last_group + 1) * per_group_in
        lane = first_group * per_group_out - block * result.block
        found.append(Panel(block, count, first, end, per_group_in, per_group_out, lane))
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
    channel blocks: then every worker needs `scratch_bytes` for a tile of up to `largest` vectors. So it does where
    groups share panels and the machine has no registers for masks: then the sums of other groups wait there.
    """

    def __init__(self, em: Emitter, source: Map, panels: list[Panel], taps: int) -> None:
        self.em, self.source, self.panels, self.taps = em, source, panels, taps
        self.blocks: Blocks | None = None
        self.scratch: Value | None = None
        self.waiting: Value | None = None
        self.scratch_bytes = 0
        self.vectors = panels[0].vectors
        self.dense = all((p.first, p.end) == (0, source.channels) and p.groups == 1 for p in panels)
        self.mixed = any(p.groups > 1 for p in panels)
        self.table = None if self.dense else em.table(self._table())

    def sum_in_blocks(self, argument: int, taps: int, largest: int) -> None:
        """Where the reduction over `taps` taps is long, use the scratch area that operand `argument` points to."""
        em, size = self.em, self.source.block
        self.blocks = blocks_for(max(map(len, self._ranges())), taps * size, em.target)
        waits = self.mixed and not em.target.has_masks
        one = bytes_for(largest, em.lanes)
        self.scratch_bytes = one * (waits + bool(self.blocks))
        if self.scratch_bytes:
            here = em.offset(em.argument(argument), em.worker * self.scratch_bytes)
            self.scratch = here if self.blocks else None
            self.waiting = em.offset(here, one * bool(self.blocks)) if waits else None

    @property
    def row(self) -> int:
        """Bytes of the weights of one channel and tap."""
        return self.vectors * self.em.lanes * FLOAT

    def _table(self) -> list[int]:
        rows, offset = [], 0
        for panel in self.panels:
            rows += [panel.first, panel.end, offset, panel.lane]
            touched = len(panel.ranges(self.source.block)) * self.source.block
            offset += touched * self.taps * self.row
        return rows

    def _ranges(self) -> list[list[tuple[int, int]]]:
        """What is summed up in one go: the channels of a panel or, where groups share panels, of a group."""
        size = self.source.block
        return [r for p in self.panels for r in (p.group_ranges(size) if self.mixed else [p.ranges(size)])]

    def unroll(self, limit: int, kernel_width: int) -> int:
        """The unrolling of the innermost loop that divides all its trip counts."""
        size = self.source.block
        if size == 1:
            return unroll_for([kernel_width], limit)
        return unroll_for([high - low for ranges in self._ranges() for low, high in ranges], limit)

    def locate(self, panel: Index) -> Place:
        """What belongs to panel number `panel`."""
        em = self.em
        if self.table is None:
            per_panel = self.taps * self.source.blocks * self.source.block * self.row
            return Place(0, self.source.channels, panel * per_panel, 0)
        row = em.offset(self.table, panel * 32)
        return Place(*(em.load(em.offset(row, 8 * n), "i64") for n in range(4)))

    def add(
        self, tile: Tile, source: Value, weights: Value, place: Place, taps: Sequence[Level], unroll: int
    ) -> list[Value]:  # fmt: skip
        """The sums over the channels of a panel and the taps; `taps` move the weights in units of one tap.

        `weights` is where the panel's first channel block begins (further on for a phase of a transposed
        convolution, whose `taps` are only some).
        """
        em, size = self.em, self.source.block
        rows = em.offset(weights, em.divide(place.first, size) * (-self.taps * size * self.row))
        zeros = [em.zeros() for _ in range(tile.count)]
        if not self.mixed:
            return self._sums(tile, zeros, source, rows, (place.first, place.end), taps, unroll)
        each, out, waiting = self.panels[0].each, self.panels[0].out, None
        if self.waiting is not None:
            waiting = Totals(em, self.waiting)
            waiting.start(zeros)
        with em.loop(0, em.divide(place.end - place.first, each), carry=[] if waiting else zeros) as loop:
            first, lane = loop.index * each + place.first, loop.index * out + place.lane
            if waiting is None:
                tile.masks = lane_masks(em, tile.vectors, lane, out)
            found = self._sums(tile, loop.carry or zeros, source, rows, (first, first + each), taps, unroll)
            if waiting is None:
                loop.next = found
            else:
                masks = lane_masks(em, tile.vectors, lane, out)  # only now: no register keeps them while it sums
                waiting.add([only_lanes(em, one, masks[n % tile.vectors]) for n, one in enumerate(found)])
        return waiting.read(tile.count) if waiting else loop.results

    def _sums(
        self, tile: Tile, sums: list[Value], source: Value, weights: Value, channels: tuple[Index, Index],
        taps: Sequence[Level], unroll: int,
    ) -> list[Value]:  # fmt: skip
        """`sums` and those over channels first..end; `weights` is where those of channel block 0 would lie."""
        em, size, (first, end) = self.em, self.source.block, channels
        low, high = em.divide(first, size), em.divide(end + (size - 1), size)
        per_tap = size * self.row
        inner = [replace(t, weights=t.weights * per_tap) for t in taps]

        def part(start: Index, count: Index, carry: list[Value]) -> list[Value]:
            with em.loop(0, count, carry=carry) as loop:
                channel_block = loop.index + start
                here = em.offset(source, channel_block * self.source.plane)
                rows = em.offset(weights, channel_block * (self.taps * per_tap))
                levels = [*inner, self._channel_level(first, end, channel_block)] if size > 1 else inner
                loop.next = multiply(em, tile, here, rows, loop.carry, levels, unroll)
            return loop.results

        if self.blocks is None or self.scratch is None:
            return part(low, high - low, sums)
        return Totals(em, self.scratch).sum_up(sums, self.blocks, (low, high), part)

    def _channel_level(self, first: Index, end: Index, block: Index) -> Level:
        em, size = self.em, self.source.block
        if self.dense and self.source.channels % size == 0:
            return Level(0, size, FLOAT, self.row)
        low = 0 if self.dense else em.larger(first - block * size, 0)
        return Level(low, em.smaller(end - block * size, size), FLOAT, self.row)
