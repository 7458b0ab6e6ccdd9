"""Winograd convolution: maps are cut into overlapping tiles, and what was a window becomes one small matrix product.

One kernel does all of it for a block of tiles at a time; where tiles are few, two kernels share the transformed
input, so that the second can be split by output channels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from math import prod

import numpy as np

from glowviz.compiler.backends.cpu.emitter import Emitter
from glowviz.compiler.backends.cpu.kernels.epilogue import Epilogue, Step
from glowviz.compiler.backends.cpu.kernels.geometry import FLOAT, Cut, Map, check_reach
from glowviz.compiler.backends.cpu.kernels.winograd_lines import InputTiles, Products, ResultTiles
from glowviz.compiler.backends.cpu.kernels.winograd_transforms import Filtering, transformed_weights
from glowviz.compiler.backends.cpu.kernels.write_back import Goal
from glowviz.compiler.backends.cpu.registry import KernelCode
from glowviz.compiler.backends.cpu.values import Index, Value
from glowviz.compiler.target import Target

LINE = 64  # bytes of a cache line: two workers never share one


@dataclass(frozen=True)
class WinogradSpec:
    """result = epilogue(conv(source, weights) + bias), stride 1, a square kernel; both maps blocked.

    The halo of the source must cover the padding `pads` (top, left); nothing beyond it is read. `filtering` is
    F(tile, kernel) along each axis. Weights lie as `pack_winograd_weights` gives them.
    """

    source: Map
    result: Map
    filtering: Filtering
    pads: tuple[int, int] = (0, 0)
    group: int = 1
    epilogue: Epilogue = field(default_factory=Epilogue)

    def __post_init__(self) -> None:
        kernel = (self.filtering.taps, self.filtering.taps)
        check_reach(self.source, self.result, kernel, (1, 1), (1, 1), self.pads)
        whole = self.group * self.source.block
        if self.group > 1 and (self.source.channels % whole or self.result.channels % whole):
            raise ValueError("groups of a Winograd convolution begin on whole blocks of channels")

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of tiles of one image."""
        step = self.filtering.outputs
        return -(-self.result.height // step), -(-self.result.width // step)

    @property
    def tiles(self) -> int:
        """Tiles of the whole batch."""
        return self.result.batch * self.grid[0] * self.grid[1]

    @property
    def points(self) -> int:
        """Numbers of a transformed tile."""
        return self.filtering.size**2

    @property
    def depth(self) -> int:
        """Source channels of one group."""
        return self.source.channels // self.group

    @property
    def flops(self) -> int:
        """Of the definition, so that rates compare with direct convolution."""
        taps = self.filtering.taps**2 * self.depth
        return 2 * self.result.batch * self.result.channels * self.result.height * self.result.width * taps


@dataclass(frozen=True)
class WinogradSchedule:
    """Tiles of `outputs` x `outputs` results; `block` of them are transformed together.

    A register tile is `rows` tiles x `vectors` blocks of channels. `apart`: the transformed input is a buffer that
    two kernels share, and tasks are panels x blocks of tiles. `prefetch`: while the weights of one point are used,
    those of the next are asked for.
    """

    outputs: int
    vectors: int
    rows: int
    block: int
    apart: bool = False
    prefetch: bool = False


def panels_per_group(spec: WinogradSpec, vectors: int) -> int:
    """How many panels of output channels a group has."""
    return -(-(spec.result.blocks // spec.group) // vectors)


def packed_size(spec: WinogradSpec, vectors: int) -> int:
    """How many numbers `pack_winograd_weights` gives."""
    return prod(_packed_shape(spec, vectors))


def _packed_shape(spec: WinogradSpec, vectors: int) -> tuple[int, int, int, int, int]:
    width = spec.source.block
    depth = -(-spec.depth // width) * width
    return spec.group, panels_per_group(spec, vectors), spec.points, depth, vectors * spec.result.block


def pack_winograd_weights(weights: np.ndarray, spec: WinogradSpec, vectors: int) -> np.ndarray:
    """Weights [O, C/group, taps, taps] as [panel][point][channel][lane of the panel], flat f32.

    Channels and lanes are filled up with zeros to whole blocks and panels; panels do not cross groups.
    """
    shape = _packed_shape(spec, vectors)
    _, panels, _, _, lanes = shape
    each = spec.result.channels // spec.group
    packed = np.zeros(shape, np.float32)
    for number in range(spec.group):
        for panel in range(panels):
            first = number * each + panel * lanes
            mine = weights[first : min(first + lanes, (number + 1) * each)]
            packed[number, panel, :, : spec.depth, : len(mine)] = transformed_weights(mine, spec.filtering)
    return packed.reshape(-1)


def transformed_bytes(spec: WinogradSpec, tiles: int) -> int:
    """Bytes of so many tiles of transformed input."""
    return spec.points * spec.source.blocks * tiles * spec.source.block * FLOAT


def emit(
    spec: WinogradSpec, schedule: WinogradSchedule, target: Target, name: str, step: Step | None = None, why: str = ""
) -> KernelCode:
    """The whole convolution in one kernel; the split axis counts blocks of tiles.

    Operands: result, source, weights, [bias], extras, scratch.
    """
    writer = _Whole(spec, schedule, target, name, step)
    writer.write()
    return KernelCode(name, writer.em.text(), writer.cut.tiles, why, asdict(schedule), scratch=writer.scratch)


def emit_input(
    spec: WinogradSpec, schedule: WinogradSchedule, target: Target, name: str, step: Step | None = None, why: str = ""
) -> KernelCode:
    """Only the input transform: [point][channel block][tile][channel]. Operands: result, source, scratch."""
    em = Emitter(name, target)
    goal, source, scratch, tiles = em.argument(0), em.argument(1), em.argument(2), spec.grid[0] * spec.result.batch
    size = InputTiles.scratch_bytes(spec.filtering, em.lanes)
    inputs = InputTiles(em, spec, source, em.offset(scratch, em.worker * size), spec.tiles)
    inputs.clear()
    with em.loop(em.low, em.high) as task:
        block, row = em.divide(task.index, tiles), em.remainder(task.index, tiles)
        with em.loop(0, spec.grid[1]) as column:
            tile = row * spec.grid[1] + column.index
            inputs.transform(tile, goal, tile, block)
    return KernelCode(name, em.text(), tiles * spec.source.blocks, why, asdict(schedule), scratch=size)


def emit_result(
    spec: WinogradSpec, schedule: WinogradSchedule, target: Target, name: str, step: Step | None = None, why: str = ""
) -> KernelCode:
    """Products and the output transform; the split axis counts panels x blocks of tiles.

    Operands: result, transformed input, weights, [bias], extras, scratch.
    """
    writer = _Result(spec, schedule, target, name, step)
    writer.write()
    return KernelCode(name, writer.em.text(), writer.tasks, why, asdict(schedule), scratch=writer.scratch)


class _Result:
    """The second half of a convolution, for one panel and one block of tiles a task."""

    def __init__(
        self, spec: WinogradSpec, schedule: WinogradSchedule, target: Target, name: str, step: Step | None
    ) -> None:
        self.spec, self.schedule = spec, schedule
        self.em = em = Emitter(name, target)
        self.cut = Cut(spec.tiles, schedule.block)
        self.panels = panels_per_group(spec, schedule.vectors) * spec.group
        has_bias = spec.epilogue.bias
        extras = [em.argument(3 + has_bias + n) for n in range(len(spec.epilogue.extras))]
        bias = em.argument(3) if has_bias else None
        self.goal = Goal(spec.result, spec.epilogue, em.argument(0), extras, step, bias=bias)
        self.source, self.weights = em.argument(1), em.argument(2)
        sizes = self._sizes()
        self.scratch = sum(sizes)
        base = em.offset(em.argument(3 + has_bias + len(extras)), em.worker * self.scratch)
        starts = [sum(sizes[:n]) for n in range(len(sizes))]
        self.areas = [em.offset(base, start) for start in starts]
        self.products = Products(em, spec, schedule, self._stride())
        self.results = ResultTiles(em, spec, self.goal, self.areas[1], self.cut.limit)

    def _sizes(self) -> list[int]:
        """Scratch bytes for products and for one tile."""
        lanes = self.em.lanes * FLOAT
        return [
            _lines(self.spec.points * self.schedule.vectors * self.cut.limit * lanes),
            _lines(self.spec.points * lanes),
        ]

    def _stride(self) -> int:
        """Tiles from one channel block of the transformed input to the next."""
        return self.spec.tiles

    @property
    def tasks(self) -> int:
        """Length of the split axis."""
        return self.panels * self.cut.tiles

    def write(self) -> None:
        em = self.em
        with em.loop(em.low, em.high) as task:
            panel, block = em.divide(task.index, self.cut.tiles), em.remainder(task.index, self.cut.tiles)
            first = self._first(block)
            source = em.offset(self.source, first * (em.lanes * FLOAT))
            self._kinds(block, lambda count: self._panel(panel, source, first, count))

    def _first(self, block: Index) -> Index:
        return block * self.cut.short + self.em.smaller(block, self.cut.long_tiles)

    def _kinds(self, block: Index, body: Callable[[int], None]) -> None:
        """`body(count)` for the blocks that have `count` tiles."""
        start = 0
        for count, many in self.cut.sizes.items():
            with self.em.among(block, start, start + many, self.cut.tiles):
                body(count)
            start += many

    def _panel(self, panel: Index, source: Value, first: Index, count: int) -> None:
        """Everything for one panel of output channels and `count` tiles from `first` on."""
        em, spec, each = self.em, self.spec, panels_per_group(self.spec, self.schedule.vectors)
        group, inner = em.divide(panel, each), em.remainder(panel, each)
        own = spec.result.blocks // spec.group
        block = group * own + inner * self.schedule.vectors
        weights = em.offset(self.weights, panel * self.products.panel_bytes)
        here = em.offset(source, group * (spec.source.blocks // spec.group * self.products.block_bytes))
        last = own - (each - 1) * self.schedule.vectors
        for vectors, low, high in ((self.schedule.vectors, 0, each - 1), (last, each - 1, each)):
            if low < high:
                with em.among(inner, low, high, each):
                    self.products.write(here, weights, self.areas[0], vectors, count)
                    self.results.write(self.areas[0], first, count, block, vectors)


class _Whole(_Result):
    """Transforms, products and the way back for one block of tiles a task."""

    def __init__(
        self, spec: WinogradSpec, schedule: WinogradSchedule, target: Target, name: str, step: Step | None
    ) -> None:
        super().__init__(spec, schedule, target, name, step)
        self.inputs = InputTiles(self.em, spec, self.source, self.areas[3], self.cut.limit)

    def _sizes(self) -> list[int]:
        tiles = InputTiles.scratch_bytes(self.spec.filtering, self.em.lanes)
        return [*super()._sizes(), _lines(transformed_bytes(self.spec, self.cut.limit)), _lines(tiles)]

    def _stride(self) -> int:
        return self.cut.limit

    def write(self) -> None:
        em = self.em
        self.inputs.clear()
        with em.loop(em.low, em.high) as task:
            first = self._first(task.index)
            self._kinds(task.index, lambda count: self._block(first, count))

    def _block(self, first: Index, count: int) -> None:
        em = self.em
        with em.loop(0, count) as tile, em.loop(0, self.spec.source.blocks) as block:
            self.inputs.transform(tile.index + first, self.areas[2], tile.index, block.index)
        with em.loop(0, self.panels) as panel:
            self._panel(panel.index, self.areas[2], first, count)


def _lines(size: int) -> int:
    return -(-size // LINE) * LINE
