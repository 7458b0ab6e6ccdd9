"""Dense, grouped and stem convolutions are one kernel: a register tile of pixels and output channels."""

from dataclasses import asdict, dataclass, field, replace

import numpy as np

from glowviz.compiler.backends.cpu.emitter import Emitter
from glowviz.compiler.backends.cpu.kernels.channel_panels import (
    Panel,
    PanelSums,
    pack_panels,
    panel_order,
    panels_of,
)
from glowviz.compiler.backends.cpu.kernels.epilogue import Epilogue, Step
from glowviz.compiler.backends.cpu.kernels.geometry import Cut, Map, check_reach
from glowviz.compiler.backends.cpu.kernels.tile import Level, Tile
from glowviz.compiler.backends.cpu.kernels.write_back import Goal, ask_for, write_back
from glowviz.compiler.backends.cpu.registry import KernelCode
from glowviz.compiler.backends.cpu.values import Index, Value
from glowviz.compiler.target import Target
from glowviz.compiler.types import Order


@dataclass(frozen=True)
class ConvSpec:
    """What to compute: result = epilogue(conv(source, weights) + bias).

    `source` is blocked (@NCHW{W}c) or plain (block 1, for few channels) and its halo must cover the padding;
    `result` is blocked by the target's width. `pads` are (top, left); the bottom and right follow from the
    sizes. With `pairs` the source is one of bf16 as `Map.in_pairs` counts it, and the weights are bf16 too.
    Operands: result, source, weights, [bias], extras, [scratch].
    """

    source: Map
    result: Map
    kernel: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    dilations: tuple[int, int] = (1, 1)
    pads: tuple[int, int] = (0, 0)
    group: int = 1
    epilogue: Epilogue = field(default_factory=Epilogue)
    pairs: bool = False

    def __post_init__(self) -> None:
        check_reach(self.source, self.result, self.kernel, self.strides, self.dilations, self.pads)

    @property
    def flops(self) -> int:
        """Multiplications and additions of the definition (no padding of channels counted)."""
        taps = self.kernel[0] * self.kernel[1] * self.source.channels * (1 + self.pairs) // self.group
        return 2 * self.result.batch * self.result.channels * self.result.height * self.result.width * taps


@dataclass(frozen=True)
class ConvSchedule:
    """How to compute it: the tile (rows x columns pixels, vectors of output channels) and the order of tasks.

    `outer` says which axis of the task list is walked slowly; `flat` reads every plane as this many rows and
    columns (1x1 kernels without halo).
    """

    vectors: int
    rows: int
    columns: int
    unroll: int = 1
    outer: str = "channels"
    flat: tuple[int, int] | None = None
    touch: bool = True


def panels(spec: ConvSpec, vectors: int) -> list[Panel]:
    """The panels of output channels."""
    return panels_of(spec.source, spec.result, spec.group, vectors)


def conv_weight_order(spec: ConvSpec, schedule: ConvSchedule) -> Order:
    """How the kernel reads the weights of an ungrouped convolution."""
    return panel_order(spec.source.block, schedule.vectors * spec.result.block, spec.pairs)


def pack_conv_weights(weights: np.ndarray, spec: ConvSpec, schedule: ConvSchedule) -> np.ndarray:
    """Weights [O, C/group, KH, KW] in the order the kernel reads them, flat f32.

    Order: [panel][channel block of the source][KH][KW][channel in block][lane of the panel], padded with zeros
    to whole blocks and panels. A grouped panel has only the channel blocks its groups touch, with zeros where
    a lane does not belong to a channel's group.
    """
    if spec.group == 1:
        return conv_weight_order(spec, schedule).pack(weights).reshape(-1)
    return pack_panels(weights, spec.source, spec.result, spec.group, schedule.vectors)


def emit(
    spec: ConvSpec, schedule: ConvSchedule, target: Target, name: str, step: Step | None = None, why: str = ""
) -> KernelCode:
    """The kernel's code; `step` is the epilogue that `spec.epilogue.text` stands for."""
    if schedule.flat:
        spec = flattened(spec, schedule.flat)
    writer = _Writer(spec, schedule, target, name, step)
    writer.write()
    return KernelCode(name, writer.em.text(), writer.tasks, why, asdict(schedule), scratch=writer.sums.scratch_bytes)


def flattened(spec: ConvSpec, shape: tuple[int, int]) -> ConvSpec:
    """The same 1x1 convolution with its planes read as other rows and columns."""
    extras = tuple(
        replace(e, map=e.map.reshaped(*shape)) if e.map else e for e in spec.epilogue.extras
    )  # fmt: skip
    return replace(
        spec,
        source=spec.source.reshaped(*shape),
        result=spec.result.reshaped(*shape),
        epilogue=replace(spec.epilogue, extras=extras),
    )


LINE = 64  # bytes of a cache line


def can_flatten(spec: ConvSpec) -> bool:
    """Whether pixels may be counted without regard to rows: 1x1, stride 1, no halo anywhere."""
    maps = [spec.source, spec.result, *(e.map for e in spec.epilogue.extras if e.map)]
    unit = spec.kernel == (1, 1) and spec.strides == (1, 1) and spec.pads == (0, 0)
    return unit and all(m.follows(spec.result.width) for m in maps)


class _Writer:
    """Writes the task loop, the choice of bodies and the bodies of one convolution."""

    def __init__(self, spec: ConvSpec, schedule: ConvSchedule, target: Target, name: str, step: Step | None) -> None:
        self.spec, self.schedule, self.step = spec, schedule, step
        self.em = em = Emitter(name, target)
        self.panels = panels(spec, schedule.vectors)
        self.row_cut = Cut(spec.result.height, schedule.rows)
        self.column_cut = Cut(spec.result.width, schedule.columns)
        self.row_tasks = spec.result.batch * self.row_cut.tiles
        self.tasks = self.row_tasks * len(self.panels)
        has_bias = spec.epilogue.bias
        self.result, self.source, self.weights = em.argument(0), em.argument(1), em.argument(2)
        self.extras = [em.argument(3 + has_bias + n) for n in range(len(spec.epilogue.extras))]
        self.bias = em.argument(3) if has_bias else None
        taps = spec.kernel[0] * spec.kernel[1]
        self.sums = PanelSums(em, spec.source, self.panels, taps)
        largest = schedule.vectors * self.row_cut.limit * self.column_cut.limit
        if not spec.pairs:  # roundings of sums are small beside those of bf16
            self.sums.sum_in_blocks(3 + has_bias + len(self.extras), taps, largest)

    def write(self) -> None:
        em = self.em
        with em.loop(em.low, em.high) as task:
            panel, row = self._decode(task.index)
            image, tile = em.divide(row, self.row_cut.tiles), em.remainder(row, self.row_cut.tiles)
            first_row = tile * self.row_cut.short + em.smaller(tile, self.row_cut.long_tiles)
            sizes = {p.vectors for p in self.panels}
            for vectors in sorted(sizes, reverse=True):
                mine = [n for n, p in enumerate(self.panels) if p.vectors == vectors]
                with em.among(panel, mine[0], mine[-1] + 1, len(self.panels)):
                    self._rows(vectors, panel, image, tile, first_row)

    def _decode(self, task: Index) -> tuple[Index, Index]:
        em = self.em
        if self.schedule.outer == "channels":
            return em.divide(task, self.row_tasks), em.remainder(task, self.row_tasks)
        return em.remainder(task, len(self.panels)), em.divide(task, len(self.panels))

    def _rows(self, vectors: int, panel: Index, image: Index, tile: Index, first_row: Index) -> None:
        em, start = self.em, 0
        for rows, count in self.row_cut.sizes.items():
            with em.among(tile, start, start + count, self.row_cut.tiles):
                self._columns(vectors, rows, panel, image, first_row)
            start += count

    def _columns(self, vectors: int, rows: int, panel: Index, image: Index, first_row: Index) -> None:
        em, spec, start = self.em, self.spec, 0
        top = spec.source.halo[0] - spec.pads[0]
        left = spec.source.halo[1] - spec.pads[1]
        source = em.offset(self.source, image * spec.source.image + top * spec.source.row)
        source = em.offset(source, first_row * (spec.strides[0] * spec.source.row) + left * spec.source.pixel)
        for columns, count in self.column_cut.sizes.items():
            with em.loop(0, count) as loop:
                column = loop.index * columns + start
                here = em.offset(source, column * (spec.strides[1] * spec.source.pixel))
                self._body(vectors, rows, columns, panel, here, (image, first_row, column))
            start += count * columns

    def _body(
        self, vectors: int, rows: int, columns: int, panel: Index, source: Value, place: tuple[Index, Index, Index]
    ) -> None:
        em, spec, schedule = self.em, self.spec, self.schedule
        down, right = spec.strides[0] * spec.source.row, spec.strides[1] * spec.source.pixel
        tile = Tile([y * down + x * right for y in range(rows) for x in range(columns)], vectors, spec.pairs)
        block = panel * schedule.vectors
        goal = Goal(spec.result, spec.epilogue, self.result, self.extras, self.step, bias=self.bias)
        ask_for(em, goal, rows, columns, vectors, place, block)
        mine = self.sums.locate(panel)
        taps = [
            Level(
                0, spec.kernel[0], spec.dilations[0] * spec.source.row, spec.kernel[1], self._next_lines(rows, columns)
            ),
            Level(0, spec.kernel[1], spec.dilations[1] * spec.source.pixel, 1),
        ]
        sums = self.sums.add(
            tile, source, em.offset(self.weights, mine.offset), mine, taps,
            self.sums.unroll(schedule.unroll, spec.kernel[1]),
        )  # fmt: skip
        write_back(em, goal, sums, rows, columns, vectors, place, block)

    def _next_lines(self, rows: int, columns: int) -> tuple[int, ...]:
        """Distances of the lines that the tile to the right will read and this one has not."""
        spec = self.spec
        if not self.schedule.touch or spec.source.block == 1:
            return ()
        pixel, stride = spec.source.pixel, spec.strides[1]
        start = ((columns - 1) * stride + (spec.kernel[1] - 1) * spec.dilations[1] + 1) * pixel
        step = max(LINE, stride * pixel if spec.kernel[1] == 1 else pixel)
        down = spec.strides[0] * spec.source.row
        return tuple(
            y * down + start + x for y in range(rows) for x in range(0, columns * stride * pixel, step)
        )  # fmt: skip
