"""Depthwise convolution: every channel with its own small kernel, one vector of channels at a time."""

from dataclasses import asdict, dataclass, field

import numpy as np

from glowviz.compiler.backends.cpu.emitter import Emitter
from glowviz.compiler.backends.cpu.kernels.epilogue import Epilogue, Step
from glowviz.compiler.backends.cpu.kernels.geometry import FLOAT, Cut, Map, check_reach
from glowviz.compiler.backends.cpu.kernels.write_back import Goal, write_back
from glowviz.compiler.backends.cpu.registry import KernelCode
from glowviz.compiler.backends.cpu.values import Index, Value
from glowviz.compiler.target import Target

UNROLLED = 25  # taps up to which a whole window is written out


@dataclass(frozen=True)
class DepthwiseSpec:
    """result[c] = epilogue(conv(source[c], weights[c]) + bias[c]); both maps blocked by the target's width.

    The halo of the source must cover the padding. Operands: result, source, weights, [bias], extras.
    """

    source: Map
    result: Map
    kernel: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    dilations: tuple[int, int] = (1, 1)
    pads: tuple[int, int] = (0, 0)
    epilogue: Epilogue = field(default_factory=Epilogue)

    def __post_init__(self) -> None:
        check_reach(self.source, self.result, self.kernel, self.strides, self.dilations, self.pads)

    @property
    def flops(self) -> int:
        """Multiplications and additions."""
        pixels = self.result.batch * self.result.channels * self.result.height * self.result.width
        return 2 * pixels * self.kernel[0] * self.kernel[1]


@dataclass(frozen=True)
class DepthwiseSchedule:
    """How many neighbouring columns are summed at once."""

    columns: int


def pack_depthwise_weights(weights: np.ndarray, spec: DepthwiseSpec) -> np.ndarray:
    """Weights [C, 1, KH, KW] as [channel block][KH][KW][lane], flat f32."""
    block = spec.source.block
    padded = np.zeros((spec.source.blocks * block, *spec.kernel), np.float32)
    padded[: len(weights)] = weights[:, 0]
    blocked = padded.reshape(-1, block, *spec.kernel).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(blocked).reshape(-1)


def choose(spec: DepthwiseSpec, target: Target) -> tuple[DepthwiseSchedule, str]:
    """As many columns as keep their inputs, sums and one row of weights in registers."""
    reach = (spec.kernel[1] - 1) * spec.dilations[1] + 1
    kept = min(spec.kernel[1], 3)
    spare = target.registers - kept - (0 if target.has_fma else 1)
    columns = next(
        (c for c in range(min(spec.result.width, 16), 0, -1) if c + (c - 1) * spec.strides[1] + reach <= spare), 1
    )
    columns = max(Cut(spec.result.width, columns).sizes)
    return DepthwiseSchedule(columns), f"{columns} columns share their inputs within {target.registers} registers"


def emit(
    spec: DepthwiseSpec, schedule: DepthwiseSchedule, target: Target, name: str, step: Step | None = None,
    why: str = "",
) -> KernelCode:  # fmt: skip
    """The kernel's code; the split axis counts rows of channel blocks."""
    writer = _Writer(spec, schedule, target, name, step)
    writer.write()
    return KernelCode(name, writer.em.text(), writer.tasks, why, asdict(schedule))


class _Writer:
    def __init__(
        self, spec: DepthwiseSpec, schedule: DepthwiseSchedule, target: Target, name: str, step: Step | None
    ) -> None:
        self.spec, self.em = spec, Emitter(name, target)
        self.cut = Cut(spec.result.width, schedule.columns)
        self.tasks = spec.result.batch * spec.result.blocks * spec.result.height
        em, has_bias = self.em, spec.epilogue.bias
        result, self.source, self.weights = (em.argument(n) for n in range(3))
        self.bias = em.argument(3) if has_bias else None
        extras = [em.argument(3 + has_bias + n) for n in range(len(spec.epilogue.extras))]
        self.goal = Goal(spec.result, spec.epilogue, result, extras, step)

    def write(self) -> None:
        em, spec = self.em, self.spec
        down = spec.source.halo[0] - spec.pads[0]
        across = spec.source.halo[1] - spec.pads[1]
        with em.loop(em.low, em.high) as task:
            plane, row = em.divide(task.index, spec.result.height), em.remainder(task.index, spec.result.height)
            image, block = em.divide(plane, spec.result.blocks), em.remainder(plane, spec.result.blocks)
            source = em.offset(self.source, plane * spec.source.plane + down * spec.source.row)
            source = em.offset(source, row * (spec.strides[0] * spec.source.row) + across * spec.source.pixel)
            taps = spec.kernel[0] * spec.kernel[1]
            weights = em.offset(self.weights, block * (taps * em.lanes * FLOAT))
            start = 0
            for columns, count in self.cut.sizes.items():
                with em.loop(0, count) as loop:
                    column = loop.index * columns + start
                    here = em.offset(source, column * (spec.strides[1] * spec.source.pixel))
                    sums = self._sums(self._start(block, columns), here, weights)
                    write_back(em, self.goal, sums, 1, columns, 1, (image, row, column), block)
                start += count * columns

    def _start(self, block: Index, columns: int) -> list[Value]:
        """The bias: sums this short cost one rounding less than with the bias added at the end."""
        em = self.em
        first = em.zeros() if self.bias is None else em.load(em.offset(self.bias, block * (em.lanes * FLOAT)))
        return [first] * columns

    def _sums(self, sums: list[Value], source: Value, weights: Value) -> list[Value]:
        em, (height, width) = self.em, self.spec.kernel
        line = width * em.lanes * FLOAT
        # with 16 registers LLVM's scheduler mixes unrolled rows until it spills
        if height * width <= UNROLLED and em.target.registers > 16:
            for y in range(height):
                sums = self._row(sums, em.offset(source, y * self._down()), em.offset(weights, y * line), width)
            return sums
        with em.loop(0, height, carry=sums) as loop:
            row = em.offset(source, loop.index * self._down())
            weight_row = em.offset(weights, loop.index * line)
            loop.next = self._long_row(loop.carry, row, weight_row)
        return loop.results

    def _down(self) -> int:
        return self.spec.dilations[0] * self.spec.source.row

    def _long_row(self, sums: list[Value], source: Value, weights: Value) -> list[Value]:
        em, spec = self.em, self.spec
        if spec.kernel[1] <= UNROLLED // 3:
            return self._row(sums, source, weights, spec.kernel[1])
        with em.loop(0, spec.kernel[1], carry=sums) as loop:
            here = em.offset(source, loop.index * (spec.dilations[1] * spec.source.pixel))
            loop.next = self._row(loop.carry, here, em.offset(weights, loop.index * (em.lanes * FLOAT)), 1)
        return loop.results

    def _row(self, sums: list[Value], source: Value, weights: Value, width: int) -> list[Value]:
        """One row of `width` taps; every input is loaded once for all the columns that read it."""
        em, spec = self.em, self.spec
        inputs: dict[int, Value] = {}
        sums = list(sums)
        for tap in range(width):
            weight = em.load(em.offset(weights, tap * em.lanes * FLOAT))
            for column in range(len(sums)):
                at = column * spec.strides[1] + tap * spec.dilations[1]
                if at not in inputs:
                    inputs[at] = em.load(em.offset(source, at * spec.source.pixel))
                sums[column] = em.fma(inputs[at], weight, sums[column])
        return sums
