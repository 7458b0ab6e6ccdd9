"""Dense, grouped and stem convolutions are one kernel: a register tile of pixels and output channels."""

from dataclasses import asdict, dataclass, field, replace

import numpy as np

from glowviz.compiler.backends.cpu.emitter import Emitter
from glowviz.compiler.backends.cpu.kernels.epilogue import Epilogue, Step
from glowviz.compiler.backends.cpu.kernels.geometry import FLOAT, Cut, Map, blocks_of
from glowviz.compiler.backends.cpu.kernels.tile import Level, Tile, multiply, unroll_for
from glowviz.compiler.backends.cpu.kernels.write_back import Goal, write_back
from glowviz.compiler.backends.cpu.registry import KernelCode
from glowviz.compiler.backends.cpu.values import Index, Value
from glowviz.compiler.target import Target


@dataclass(frozen=True)
class ConvSpec:
    """What to compute: result = epilogue(conv(source, weights) + bias).

    `source` is blocked (@NCHW{W}c) or plain (block 1, for few channels) and its halo must cover the padding;
    `result` is blocked by the target's width. `pads` are (top, left); the bottom and right follow from the
    sizes. Operands: result, source, weights, [bias], extras.
    """

    source: Map
    result: Map
    kernel: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    dilations: tuple[int, int] = (1, 1)
    pads: tuple[int, int] = (0, 0)
    group: int = 1
    epilogue: Epilogue = field(default_factory=Epilogue)

    def __post_init__(self) -> None:
        for axis, name in enumerate(("height", "width")):
            reach = (getattr(self.result, name) - 1) * self.strides[axis]
            reach += (self.kernel[axis] - 1) * self.dilations[axis] - self.pads[axis]
            before, after = self.source.halo[axis], self.source.halo[axis + 2]
            if before < self.pads[axis] or reach > getattr(self.source, name) - 1 + after:
                raise ValueError(f"the halo {self.source.halo} of {self.source} is smaller than the padding needs")

    @property
    def flops(self) -> int:
        """Multiplications and additions of the definition (no padding of channels counted)."""
        taps = self.kernel[0] * self.kernel[1] * self.source.channels // self.group
        return 2 * self.result.batch * self.result.channels * self.result.height * self.result.width * taps


@dataclass(frozen=True)
class ConvSchedule:
    """How to compute it: the tile (rows x columns pixels, vectors of output channels) and the order of tasks.

    `outer` says which axis of the task list is walked slowly; `flat` reads every plane as this many rows and
    columns (1x1 kernels without halo); `prefetch` is how many bytes ahead the weights are asked for.
    """

    vectors: int
    rows: int
    columns: int
    unroll: int = 1
    outer: str = "channels"
    prefetch: int = 0
    flat: tuple[int, int] | None = None


@dataclass(frozen=True)
class Panel:
    """The output channels one task computes: `vectors` blocks from `block`, reading channels first..end."""

    block: int
    vectors: int
    first: int
    end: int


def panels(spec: ConvSpec, vectors: int) -> list[Panel]:
    """The panels of a convolution, each with the union of the input ranges of its groups."""
    width = spec.result.block
    per_group_in, per_group_out = spec.source.channels // spec.group, spec.result.channels // spec.group
    result = []
    for block in range(0, spec.result.blocks, vectors):
        count = min(vectors, spec.result.blocks - block)
        last = min((block + count) * width, spec.result.channels) - 1
        first_group, last_group = block * width // per_group_out, last // per_group_out
        result.append(Panel(block, count, first_group * per_group_in, (last_group + 1) * per_group_in))
    return result


def pack_conv_weights(weights: np.ndarray, spec: ConvSpec, schedule: ConvSchedule) -> np.ndarray:
    """Weights [O, C/group, KH, KW] in the order the kernel streams them, flat f32.

    Order: [panel][channel block of the source][KH][KW][channel in block][lane]; a panel has vectors·W lanes
    (fewer vectors in the last) and only the source channels its groups need, with zeros where a lane does not
    belong to a channel's group.
    """
    per_group_in, per_group_out = spec.source.channels // spec.group, spec.result.channels // spec.group
    parts: list[np.ndarray] = []
    for panel in panels(spec, schedule.vectors):
        lanes = panel.vectors * spec.result.block
        dense = np.zeros((lanes, panel.end - panel.first, *spec.kernel), np.float32)
        start = panel.block * spec.result.block
        channels = np.arange(start, min(start + lanes, spec.result.channels))
        for group in range(start // per_group_out, channels[-1] // per_group_out + 1):
            mine = channels[channels // per_group_out == group]
            at = group * per_group_in - panel.first
            dense[mine - start, at : at + per_group_in] = weights[mine]
        for low, high in _block_ranges(panel, spec.source.block):
            part = dense[:, low - panel.first : high - panel.first]
            parts.append(part.transpose(2, 3, 1, 0).reshape(-1))
    return np.ascontiguousarray(np.concatenate(parts))


def _block_ranges(panel: Panel, block: int) -> list[tuple[int, int]]:
    first, last = panel.first // block, (panel.end - 1) // block
    return [(max(b * block, panel.first), min((b + 1) * block, panel.end)) for b in range(first, last + 1)]


def pack_bias(bias: np.ndarray, block: int) -> np.ndarray:
    """One number per channel, filled with zeros to whole blocks."""
    packed = np.zeros(blocks_of(len(bias), block) * block, np.float32)
    packed[: len(bias)] = bias
    return packed


def emit(
    spec: ConvSpec, schedule: ConvSchedule, target: Target, name: str, step: Step | None = None, why: str = ""
) -> KernelCode:
    """The kernel's code; `step` is the epilogue that `spec.epilogue.text` stands for."""
    if schedule.flat:
        spec = flattened(spec, schedule.flat)
    writer = _Writer(spec, schedule, target, name, step)
    writer.write()
    return KernelCode(name, writer.em.text(), writer.tasks, why, asdict(schedule))


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


def can_flatten(spec: ConvSpec) -> bool:
    """Whether pixels may be counted without regard to rows: 1x1, stride 1, no halo anywhere."""
    maps = [spec.source, spec.result, *(e.map for e in spec.epilogue.extras if e.map)]
    return spec.kernel == (1, 1) and spec.strides == (1, 1) and all(m.contiguous for m in maps)


class _Writer:
    """Writes the task loop, the choice of bodies and the bodies of one convolution."""

    def __init__(
        self, spec: ConvSpec, schedule: ConvSchedule, target: Target, name: str, step: Step | None
    ) -> None:
        self.spec, self.schedule, self.step = spec, schedule, step
        self.em = em = Emitter(name, target)
        self.panels = panels(spec, schedule.vectors)
        self.row_cut = Cut(spec.result.height, schedule.rows)
        self.column_cut = Cut(spec.result.width, schedule.columns)
        self.row_tasks = spec.result.batch * self.row_cut.tiles
        self.tasks = self.row_tasks * len(self.panels)
        self.dense = all((p.first, p.end) == (0, spec.source.channels) for p in self.panels)
        self.result, self.source, self.weights = em.argument(0), em.argument(1), em.argument(2)
        self.bias = em.argument(3) if spec.epilogue.bias else None
        start = 4 if spec.epilogue.bias else 3
        self.extras = [em.argument(start + n) for n in range(len(spec.epilogue.extras))]
        self.table = None if self.dense else em.table(self._table())

    def _table(self) -> list[int]:
        rows, offset = [], 0
        for panel in self.panels:
            rows += [panel.first, panel.end, offset]
            taps = self.spec.kernel[0] * self.spec.kernel[1]
            offset += (panel.end - panel.first) * taps * panel.vectors * self.em.lanes * FLOAT
        return rows

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
        tile = Tile([y * down + x * right for y in range(rows) for x in range(columns)], vectors)
        block = panel * schedule.vectors
        sums = self._first_sums(tile, block)
        sums = self._reduce(tile, source, panel, sums)
        goal = Goal(spec.result, spec.epilogue, self.result, self.extras, self.step)
        write_back(em, goal, sums, rows, columns, vectors, place, block)

    def _first_sums(self, tile: Tile, block: Index) -> list[Value]:
        em = self.em
        if self.bias is None:
            return [em.zeros() for _ in range(tile.count)]
        start = em.offset(self.bias, block * (em.lanes * FLOAT))
        biases = [em.load(em.offset(start, v * em.lanes * FLOAT)) for v in range(tile.vectors)]
        return biases * len(tile.offsets)

    def _reduce(self, tile: Tile, source: Value, panel: Index, sums: list[Value]) -> list[Value]:
        em, spec = self.em, self.spec
        first, end, offset = self._range(panel)
        block, row = spec.source.block, tile.vectors * em.lanes * FLOAT
        weights = em.offset(self.weights, offset)
        unroll = self._unroll()
        low, high = em.divide(first, block), em.divide(end + (block - 1), block)
        with em.loop(low, high, carry=[*sums, weights]) as loop:
            here = em.offset(source, loop.index * spec.source.plane)
            levels = [
                Level(0, spec.kernel[0], spec.dilations[0] * spec.source.row),
                Level(0, spec.kernel[1], spec.dilations[1] * spec.source.pixel),
            ]
            if block > 1:
                levels.append(self._channel_level(first, end, loop.index))
            sums, weights = multiply(
                em, tile, here, loop.carry[-1], loop.carry[:-1], levels, unroll, row, self.schedule.prefetch
            )
            loop.next = [*sums, weights]
        return loop.results[:-1]

    def _channel_level(self, first: Index, end: Index, block: Index) -> Level:
        em, size = self.em, self.spec.source.block
        if self.dense and self.spec.source.channels % size == 0:
            return Level(0, size, FLOAT)
        low = 0 if self.dense else em.larger(first - block * size, 0)
        return Level(low, em.smaller(end - block * size, size), FLOAT)

    def _range(self, panel: Index) -> tuple[Index, Index, Index]:
        em, spec = self.em, self.spec
        if self.table is None:
            taps = spec.kernel[0] * spec.kernel[1] * spec.source.channels
            return 0, spec.source.channels, panel * (taps * self.schedule.vectors * em.lanes * FLOAT)
        row = em.offset(self.table, panel * 24)
        first, end, offset = (em.load(em.offset(row, 8 * n), "i64") for n in range(3))
        return first, end, offset

    def _unroll(self) -> int:
        limit, block = self.schedule.unroll, self.spec.source.block
        if block == 1:
            return unroll_for([self.spec.kernel[1]], limit)
        ranges = [r for p in self.panels for r in _block_ranges(p, block)]
        return unroll_for([high - low for low, high in ranges], limit)
