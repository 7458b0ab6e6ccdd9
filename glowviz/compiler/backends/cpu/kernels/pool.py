"""Max and average pools over blocked maps, padding by shorter windows instead of a halo; and whole planes."""

from dataclasses import asdict, dataclass, field
from typing import Literal

from glowviz.compiler.backends.cpu.emitter import Emitter
from glowviz.compiler.backends.cpu.kernels.epilogue import Epilogue, Step
from glowviz.compiler.backends.cpu.kernels.geometry import Cut, Map
from glowviz.compiler.backends.cpu.kernels.numbers import read
from glowviz.compiler.backends.cpu.kernels.write_back import Goal, start_of, write_back
from glowviz.compiler.backends.cpu.registry import KernelCode
from glowviz.compiler.backends.cpu.values import Index, Value
from glowviz.compiler.target import Target

PARALLEL = 4  # sums of a global pool that run side by side


@dataclass(frozen=True)
class PoolSpec:
    """result = epilogue(pool(source)); both maps blocked by the target's width, halos are never read.

    `pads` are (top, left, bottom, right). An average divides by the window's elements inside the map, or,
    with `include_pad`, inside the map and its pads. Operands: result, source, extras.
    """

    kind: Literal["max", "average"]
    source: Map
    result: Map
    kernel: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    dilations: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    include_pad: bool = False
    epilogue: Epilogue = field(default_factory=Epilogue)


@dataclass(frozen=True)
class PoolSchedule:
    """How many neighbouring columns are pooled at once."""

    columns: int


@dataclass(frozen=True)
class Strip:
    """Columns first..first+count that use the taps low..high of their windows, in tiles of `columns`."""

    first: int
    count: int
    columns: int
    low: int
    high: int
    divisor: int


def choose(spec: PoolSpec, target: Target) -> tuple[PoolSchedule, str]:
    """Enough columns to hide latency, few enough for their inputs to stay in registers."""
    if spec.kernel == (spec.source.height, spec.source.width):
        return PoolSchedule(1), f"whole planes, {PARALLEL} sums side by side"
    columns = max(Cut(spec.result.width, 8 if target.registers > 16 else 4).sizes)
    return PoolSchedule(columns), f"{columns} columns share their inputs; border columns are written out"


def strips(spec: PoolSpec, columns: int) -> list[Strip]:
    """The columns of the result, grouped by which taps fall into the map."""
    kinds: list[tuple[int, int, int]] = []
    for x in range(spec.result.width):
        start = x * spec.strides[1] - spec.pads[1]
        inside = [t for t in range(spec.kernel[1]) if 0 <= start + t * spec.dilations[1] < spec.source.width]
        low, high = (inside[0], inside[-1] + 1) if inside else (0, 0)
        kinds.append((low, high, _counted(spec, start)))
    found: list[Strip] = []
    x = 0
    while x < len(kinds):
        end = next((n for n in range(x, len(kinds)) if kinds[n] != kinds[x]), len(kinds))
        low, high, divisor = kinds[x]
        for size, count in Cut(end - x, columns).sizes.items():
            found.append(Strip(x, count, size, low, high, divisor))
            x += size * count
    return found


def _counted(spec: PoolSpec, start: int) -> int:
    """Taps of a window from column `start` that count in an average."""
    before, after = (spec.pads[1], spec.pads[3]) if spec.include_pad else (0, 0)
    taps = (start + t * spec.dilations[1] for t in range(spec.kernel[1]))
    return max(1, sum(-before <= t < spec.source.width + after for t in taps))


def emit(
    spec: PoolSpec, schedule: PoolSchedule, target: Target, name: str, step: Step | None = None, why: str = ""
) -> KernelCode:
    """The kernel's code; the split axis counts rows of channel blocks."""
    writer = _Writer(spec, schedule, target, name, step)
    writer.write()
    return KernelCode(name, writer.em.text(), writer.tasks, why, asdict(schedule))


class _Writer:
    def __init__(self, spec: PoolSpec, schedule: PoolSchedule, target: Target, name: str, step: Step | None) -> None:
        self.spec, self.em, self.schedule = spec, Emitter(name, target), schedule
        self.tasks = spec.result.batch * spec.result.blocks * spec.result.height
        em = self.em
        self.source = em.argument(1)
        extras = [em.argument(2 + n) for n in range(len(spec.epilogue.extras))]
        self.goal = Goal(spec.result, spec.epilogue, em.argument(0), extras, step)

    def write(self) -> None:
        em, spec = self.em, self.spec
        with em.loop(em.low, em.high) as task:
            plane, row = em.divide(task.index, spec.result.height), em.remainder(task.index, spec.result.height)
            image, block = em.divide(plane, spec.result.blocks), em.remainder(plane, spec.result.blocks)
            if self._whole_plane():
                start = start_of(em, self.source, spec.source, (image, 0, 0), block)
                write_back(em, self.goal, [self._plane(start)], 1, 1, 1, (image, row, 0), block)
            else:
                self._windows(image, block, row)

    def _windows(self, image: Index, block: Index, row: Index) -> None:
        em, spec = self.em, self.spec
        window = row * spec.strides[0] - spec.pads[0]
        rows, taken = self._rows(window)
        start = start_of(em, self.source, spec.source, (image, window, -spec.pads[1]), block)
        for strip in strips(spec, self.schedule.columns):
            self._strip(strip, start, rows, taken, (image, row), block)

    def _whole_plane(self) -> bool:
        spec = self.spec
        whole = spec.kernel == (spec.source.height, spec.source.width) and spec.dilations == (1, 1)
        return whole and not any(spec.pads) and (spec.result.height, spec.result.width) == (1, 1)

    def _rows(self, window: Index) -> tuple[tuple[Index, Index], Index]:
        """Taps low..high of the window's rows that lie in the map, and how many count in an average."""
        low, high = self._clamped(window, 0, self.spec.source.height)
        if not self.spec.include_pad:
            return (low, high), self.em.larger(high - low, 1)
        first, last = self._clamped(window, -self.spec.pads[0], self.spec.source.height + self.spec.pads[2])
        return (low, high), self.em.larger(last - first, 1)

    def _clamped(self, window: Index, first: int, end: int) -> tuple[Index, Index]:
        em, step = self.em, self.spec.dilations[0]
        # rounded up; the operands of the divisions are never negative
        low = em.divide(em.larger(first - window, 0) + (step - 1), step)
        high = em.divide(em.larger(end - window, 0) + (step - 1), step)
        return low, em.smaller(high, self.spec.kernel[0])

    def _strip(
        self, strip: Strip, start: Value, rows: tuple[Index, Index], taken: Index, place: tuple[Index, Index],
        block: Index,
    ) -> None:  # fmt: skip
        em, spec = self.em, self.spec
        scale = self._scale(taken, strip.divisor)
        with em.loop(0, strip.count) as loop:
            column = loop.index * strip.columns + strip.first
            here = em.offset(start, column * (spec.strides[1] * spec.source.pixel))
            first = em.constant(float("-inf") if spec.kind == "max" else 0.0, em.zeros().type)
            with em.loop(rows[0], rows[1], carry=[first] * strip.columns) as taps:
                line = em.offset(here, taps.index * (spec.dilations[0] * spec.source.row))
                taps.next = self._row(taps.carry, line, strip)
            sums = [v if scale is None else v * scale for v in taps.results]
            write_back(em, self.goal, sums, 1, strip.columns, 1, (*place, column), block)

    def _scale(self, taken: Index, divisor: int) -> Value | None:
        if self.spec.kind == "max":
            return None
        em = self.em
        count = em.convert("sitofp", em.index(taken) * divisor, "float")
        return em.splat(1.0 / count)

    def _row(self, sums: list[Value], source: Value, strip: Strip) -> list[Value]:
        em, spec = self.em, self.spec
        inputs: dict[int, Value] = {}
        sums = list(sums)
        for tap in range(strip.low, strip.high):
            for column in range(len(sums)):
                at = column * spec.strides[1] + tap * spec.dilations[1]
                if at not in inputs:
                    inputs[at] = read(em, em.offset(source, at * spec.source.pixel), spec.source.number)
                sums[column] = self._join(sums[column], inputs[at])
        return sums

    def _pixel(self, line: Value, column: int) -> Value:
        source = self.spec.source
        return read(self.em, self.em.offset(line, column * source.pixel), source.number)

    def _join(self, one: Value, other: Value) -> Value:
        return self.em.m.max(one, other) if self.spec.kind == "max" else one + other

    def _plane(self, start: Value) -> Value:
        """The pool of all pixels of a plane."""
        em, spec = self.em, self.spec
        first = em.constant(float("-inf") if spec.kind == "max" else 0.0, em.zeros().type)
        whole, sums = spec.source.width // PARALLEL * PARALLEL, [first] * PARALLEL
        with em.loop(0, spec.source.height, carry=sums) as rows:
            # rows are summed apart, so that errors grow with height + width and not with their product
            line, sums = em.offset(start, rows.index * spec.source.row), [first] * PARALLEL
            if whole:
                with em.loop(0, whole, PARALLEL, carry=sums) as loop:
                    here = em.offset(line, loop.index * spec.source.pixel)
                    loop.next = [self._join(s, self._pixel(here, n)) for n, s in enumerate(loop.carry)]
                sums = loop.results
            rest = range(whole, spec.source.width)
            loads = [self._pixel(line, x) for x in rest]
            sums = [self._join(s, loads[n]) if n < len(loads) else s for n, s in enumerate(sums)]
            rows.next = [self._join(total, s) for total, s in zip(rows.carry, sums, strict=True)]
        low, high = (self._join(rows.results[n], rows.results[n + 2]) for n in (0, 1))
        total = self._join(low, high)
        return total if spec.kind == "max" else total * (1.0 / (spec.source.height * spec.source.width))
