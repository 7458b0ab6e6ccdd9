"""A transposed convolution gathers: every phase of the strides is a small convolution with its own taps."""

from dataclasses import asdict, dataclass, field
from math import gcd

import numpy as np

from glowviz.compiler.backends.cpu.emitter import Emitter
from glowviz.compiler.backends.cpu.kernels.channel_panels import (
    Panel,
    PanelSums,
    Place,
    pack_panels,
    panels_of,
)
from glowviz.compiler.backends.cpu.kernels.epilogue import Epilogue, Step
from glowviz.compiler.backends.cpu.kernels.geometry import Cut, Map
from glowviz.compiler.backends.cpu.kernels.tile import Level, Tile, fits
from glowviz.compiler.backends.cpu.kernels.write_back import Goal, write_back
from glowviz.compiler.backends.cpu.registry import KernelCode
from glowviz.compiler.backends.cpu.values import Index, Value
from glowviz.compiler.target import Target


@dataclass(frozen=True)
class Phase:
    """The outputs start, start+stride, … of one axis: which taps reach them, and where the first one reads.

    Output number i of the phase sums, for j in 0..count, tap `taps[j]` times source pixel i + first + j·step.
    """

    start: int
    outputs: int
    taps: tuple[int, ...]
    first: int
    step: int


def phases_of(length: int, kernel: int, stride: int, dilation: int, pad: int) -> list[Phase]:
    """The phases of one axis whose result has `length` pixels."""
    found = []
    for start in range(min(stride, length)):
        # the last tap reads the earliest pixel, so walking taps backwards walks the source forwards
        taps = [k for k in range(kernel) if (start + pad - k * dilation) % stride == 0][::-1]
        first = (start + pad - taps[0] * dilation) // stride if taps else 0
        outputs = -(-(length - start) // stride)
        found.append(Phase(start, outputs, tuple(taps), first, dilation // gcd(stride, dilation)))
    return found


@dataclass(frozen=True)
class ConvTransposeSpec:
    """result[o] = epilogue(sum of source pixels · weights + bias); both maps blocked by the target's width.

    `pads` are (top, left). The halo of the source must cover what the phases read outside of it (`reach`).
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

    def __post_init__(self) -> None:
        need = reach(self)
        if any(have < wanted for have, wanted in zip(self.source.halo, need, strict=True)):
            raise ValueError(f"{self.source} needs a halo of {need} for its phases, not {self.source.halo}")

    def phases(self, axis: int) -> list[Phase]:
        """The phases of rows (0) or columns (1)."""
        length = self.result.width if axis else self.result.height
        return phases_of(length, self.kernel[axis], self.strides[axis], self.dilations[axis], self.pads[axis])

    @property
    def flops(self) -> int:
        """Multiplications and additions of the definition."""
        pixels = self.source.batch * self.source.channels * self.source.height * self.source.width
        return 2 * pixels * self.kernel[0] * self.kernel[1] * self.result.channels // self.group


def reach(spec: ConvTransposeSpec) -> tuple[int, int, int, int]:
    """The halo (top, left, bottom, right) that the phases read."""
    need = [0, 0, 0, 0]
    for axis, size in enumerate((spec.source.height, spec.source.width)):
        for phase in spec.phases(axis):
            if phase.taps:
                last = phase.first + (len(phase.taps) - 1) * phase.step + phase.outputs - 1
                need[axis] = max(need[axis], -phase.first)
                need[axis + 2] = max(need[axis + 2], last - size + 1)
    return need[0], need[1], need[2], need[3]


@dataclass(frozen=True)
class ConvTransposeSchedule:
    """The tile: outputs of one phase in a row, vectors of output channels."""

    vectors: int
    columns: int


def choose(spec: ConvTransposeSpec, target: Target) -> tuple[ConvTransposeSchedule, str]:
    """Two vectors of channels where there are two, and as many outputs of a phase as the registers hold."""
    vectors = min(2, spec.result.blocks)
    longest = max(p.outputs for p in spec.phases(1))
    columns = next((c for c in range(longest, 0, -1) if fits(c, vectors, target)), 1)
    columns = max(Cut(longest, columns).sizes)
    count = len(spec.phases(0)) * len(spec.phases(1))
    return ConvTransposeSchedule(vectors, columns), f"{count} phases, {columns} outputs of one phase at a time"


def _panels(spec: ConvTransposeSpec, schedule: ConvTransposeSchedule) -> list[Panel]:
    return panels_of(spec.source, spec.result, spec.group, schedule.vectors)


def pack_transpose_weights(weights: np.ndarray, spec: ConvTransposeSpec, schedule: ConvTransposeSchedule) -> np.ndarray:
    """Weights [C, O/group, KH, KW] as a convolution's, taps in the order of the phases.

    Order: [panel][channel block][row phase, column phase, taps of both][channel in block][lane of the panel].
    """
    plain = as_gathered(weights, spec.group)
    plain = plain.reshape(*plain.shape[:2], 1, -1)[..., tap_order(spec.phases(0), spec.phases(1), spec.kernel)]
    return pack_panels(plain, spec.source, spec.result, spec.group, schedule.vectors)


def as_gathered(weights: np.ndarray, group: int) -> np.ndarray:
    """Weights [C, O/group, KH, KW] as those of a convolution [O, C/group, KH, KW]."""
    channels, each, *kernel = weights.shape
    split = weights.reshape(group, channels // group, each, *kernel).swapaxes(1, 2)
    return split.reshape(group * each, channels // group, *kernel)


def tap_order(down: list[Phase], across: list[Phase], kernel: tuple[int, int]) -> list[int]:
    """Taps (row · KW + column) phase by phase; those that no result needs come last."""
    used = [y * kernel[1] + x for d in down for a in across for y in d.taps for x in a.taps]
    return used + [t for t in range(kernel[0] * kernel[1]) if t not in used]


def emit(
    spec: ConvTransposeSpec, schedule: ConvTransposeSchedule, target: Target, name: str, step: Step | None = None,
    why: str = "",
) -> KernelCode:  # fmt: skip
    """The kernel's code; the split axis counts result rows for every panel of channels."""
    writer = _Writer(spec, schedule, target, name, step)
    writer.write()
    return KernelCode(name, writer.em.text(), writer.tasks, why, asdict(schedule), scratch=writer.sums.scratch_bytes)


class _Writer:
    """One body per tile size; what differs between phases comes from two small tables."""

    def __init__(
        self, spec: ConvTransposeSpec, schedule: ConvTransposeSchedule, target: Target, name: str, step: Step | None
    ) -> None:
        self.spec, self.schedule, self.em = spec, schedule, Emitter(name, target)
        em, has_bias = self.em, spec.epilogue.bias
        result, self.source, self.weights = (em.argument(n) for n in range(3))
        extras = [em.argument(3 + has_bias + n) for n in range(len(spec.epilogue.extras))]
        self.panels = _panels(spec, schedule)
        self.row_tasks = spec.result.batch * spec.result.height
        self.tasks = self.row_tasks * len(self.panels)
        self.sums = PanelSums(em, spec.source, self.panels, spec.kernel[0] * spec.kernel[1])
        bias = em.argument(3) if has_bias else None
        self.goal = Goal(spec.result, spec.epilogue, result, extras, step, (1, spec.strides[1]), bias)
        self.down, self.across = spec.phases(0), spec.phases(1)
        most = max(len(p.taps) for p in self.down) * max(len(p.taps) for p in self.across)
        self.sums.sum_in_blocks(3 + has_bias + len(extras), max(1, most), schedule.vectors * schedule.columns)
        self.sizes = sorted({s for p in self.across for s in Cut(p.outputs, schedule.columns).sizes}, reverse=True)
        taps_before = [sum(len(p.taps) for p in self.down[:n]) for n in range(len(self.down))]
        self.row_table = em.table(
            [n for p, b in zip(self.down, taps_before, strict=True) for n in (p.first, len(p.taps), b)]
        )
        self.column_table = em.table(self._column_rows())

    def _column_rows(self) -> list[int]:
        """Per column phase: first, taps, taps before, start, then how many tiles of each size."""
        numbers, before = [], 0
        for phase in self.across:
            counts = Cut(phase.outputs, self.schedule.columns).sizes
            numbers += [phase.first, len(phase.taps), before, phase.start]
            numbers += [counts.get(size, 0) for size in self.sizes]
            before += len(phase.taps)
        return numbers

    def write(self) -> None:
        em, spec = self.em, self.spec
        with em.loop(em.low, em.high) as task:
            panel, row = em.divide(task.index, self.row_tasks), em.remainder(task.index, self.row_tasks)
            image, y = em.divide(row, spec.result.height), em.remainder(row, spec.result.height)
            for vectors in sorted({p.vectors for p in self.panels}, reverse=True):
                mine = [n for n, p in enumerate(self.panels) if p.vectors == vectors]
                with em.among(panel, mine[0], mine[-1] + 1, len(self.panels)):
                    self._row(vectors, panel, image, y)

    def _numbers(self, table: Value, row: Index, count: int) -> list[Value]:
        em = self.em
        start = em.offset(table, row * (8 * count))
        return [em.load(em.offset(start, 8 * n), "i64") for n in range(count)]

    def _row(self, vectors: int, panel: Index, image: Index, y: Index) -> None:
        em, spec = self.em, self.spec
        down, number = em.remainder(y, spec.strides[0]), em.divide(y, spec.strides[0])
        first, tap_rows, rows_before = self._numbers(self.row_table, down, 3)
        source = em.offset(self.source, image * spec.source.image + spec.source.origin)
        source = em.offset(source, (number + first) * spec.source.row)
        own = self.sums.locate(panel)
        one_tap = spec.source.block * self.sums.row
        weights = em.offset(self.weights, own.offset + rows_before * (sum(len(p.taps) for p in self.across) * one_tap))
        with em.loop(0, len(self.across)) as phase:
            numbers = self._numbers(self.column_table, phase.index, 4 + len(self.sizes))
            start, tap_columns, columns_before, x = numbers[:4]
            here = em.offset(source, start * spec.source.pixel)
            mine = em.offset(weights, tap_rows * columns_before * one_tap)
            done: Index = 0
            for size, count in zip(self.sizes, numbers[4:], strict=True):
                with em.loop(0, count) as loop:
                    at = loop.index * size + done
                    pixel = em.offset(here, at * spec.source.pixel)
                    place = (image, y, x + at * spec.strides[1])
                    self._tile(vectors, size, panel, pixel, mine, own, (tap_rows, tap_columns), place)
                done = count * size + done

    def _tile(
        self, vectors: int, columns: int, panel: Index, source: Value, weights: Value, own: Place,
        taps: tuple[Index, Index], place: tuple[Index, Index, Index],
    ) -> None:  # fmt: skip
        block = panel * self.schedule.vectors
        tile = Tile([n * self.spec.source.pixel for n in range(columns)], vectors)
        levels = [
            Level(0, taps[0], self.down[0].step * self.spec.source.row, taps[1]),
            Level(0, taps[1], self.across[0].step * self.spec.source.pixel, 1),
        ]
        sums = self.sums.add(tile, source, weights, own, levels, 1)
        write_back(self.em, self.goal, sums, 1, columns, vectors, place, block)
