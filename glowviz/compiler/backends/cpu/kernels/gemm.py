"""Matrix products of every kind: constant packed B, run-time B plain or transposed, one row or many."""

from dataclasses import asdict, dataclass, field, replace

import numpy as np

from glowviz.compiler.backends.cpu.emitter import Emitter
from glowviz.compiler.backends.cpu.kernels.epilogue import Epilogue, Step
from glowviz.compiler.backends.cpu.kernels.geometry import FLOAT, Cut, Matrix
from glowviz.compiler.backends.cpu.kernels.panel_copy import copy_panel
from glowviz.compiler.backends.cpu.kernels.tile import BLOCK, Ahead, Level, Tile, multiply, multiply_in_blocks
from glowviz.compiler.backends.cpu.kernels.totals import Totals, blocks_for, bytes_for
from glowviz.compiler.backends.cpu.kernels.write_rows import RowGoal, batch_offset, write_rows
from glowviz.compiler.backends.cpu.registry import KernelCode
from glowviz.compiler.backends.cpu.values import Index, Value
from glowviz.compiler.target import Target
from glowviz.compiler.types import Order


@dataclass(frozen=True)
class GemmSpec:
    """result[m, n] = epilogue(sum over k of a[m, k] · b[k, n] + bias[n]), for each matrix of the batch.

    `b` None means packed by `pack_gemm_b` (one matrix for the whole batch). `a` may have any strides, the
    result needs columns side by side. With `pairs` k counts pairs of bf16 numbers, 4 bytes each, in a and in a
    packed b. Operands: result, a, b, [bias of n numbers], extras, [scratch].
    """

    m: int
    n: int
    k: int
    a: Matrix
    result: Matrix
    b: Matrix | None = None
    batch: int = 1
    epilogue: Epilogue = field(default_factory=Epilogue)
    pairs: bool = False

    def __post_init__(self) -> None:
        if self.result.column != self.result.number:
            raise ValueError("a matrix product writes rows, so the columns of the result must lie side by side")
        if self.b and FLOAT not in (self.b.row, self.b.column):
            raise ValueError("rows or columns of a run-time B must lie side by side")

    @property
    def in_blocks(self) -> bool:
        """One row leaves registers for a second set of sums, which keeps long reductions accurate."""
        return self.m == 1 and self.k > 2 * BLOCK and not self.pairs

    @property
    def flops(self) -> int:
        """Multiplications and additions."""
        return 2 * self.batch * self.m * self.n * self.k * (1 + self.pairs)


@dataclass(frozen=True)
class GemmSchedule:
    """The tile (rows x vectors), which operand stays while the other streams, and whether B is copied first.

    `outer` panels: a panel of B stays in L2 while all rows pass; rows: the other way round. `copy` makes each
    task gather its panel of a run-time B into the worker's scratch and then do all rows. `prefetch`: while the rows
    pass a panel, each tile asks for its share of the next one.
    """

    rows: int
    vectors: int
    outer: str = "panels"
    copy: bool = False
    unroll: int = 1
    prefetch: bool = False


def gemm_b_order(schedule: GemmSchedule, target: Target, transposed: bool = False, pairs: bool = False) -> Order:
    """How the kernel reads a constant B [K, N] (transposed: a matrix [N, K] that stands for it)."""
    row, column = (1, 0) if transposed else (0, 1)
    inner = ((column, schedule.vectors * target.vector_width), *([(row, 2)] if pairs else []))
    return Order(((column, 0), (row, 0), *inner))


def pack_gemm_b(b: np.ndarray, schedule: GemmSchedule, target: Target) -> np.ndarray:
    """B [K, N] as [panel][K][vectors·W], flat f32; the last panel is filled with zeros."""
    return gemm_b_order(schedule, target).pack(b).reshape(-1)


def emit(
    spec: GemmSpec, schedule: GemmSchedule, target: Target, name: str, step: Step | None = None, why: str = ""
) -> KernelCode:
    """The kernel's code; `step` is the epilogue that `spec.epilogue.text` stands for."""
    writer = _Writer(spec, schedule, target, name, step)
    writer.write()
    return KernelCode(
        name, writer.em.text(), writer.tasks, why, asdict(schedule), scratch=writer.scratch_bytes
    )  # fmt: skip


class _Writer:
    """Writes the task loop and one body per shape of tile."""

    def __init__(self, spec: GemmSpec, schedule: GemmSchedule, target: Target, name: str, step: Step | None) -> None:
        self.spec, self.schedule, self.step = spec, schedule, step
        self.em = em = Emitter(name, target)
        self.width = schedule.vectors * em.lanes
        self.panels = -(-spec.n // self.width)
        self.cut = Cut(spec.m, schedule.rows)
        self.tasks = spec.batch * self.panels * (1 if schedule.copy else self.cut.tiles)
        panel = spec.k * self.width * FLOAT if schedule.copy else 0
        self.blocks = None if spec.in_blocks or spec.pairs else blocks_for(spec.k, 1, target)
        self.scratch_bytes = panel + (bytes_for(schedule.rows * schedule.vectors, em.lanes) if self.blocks else 0)
        addresses = iter(range(100))
        self.result, self.a, self.b = (em.argument(next(addresses)) for _ in range(3))
        self.bias = em.argument(next(addresses)) if spec.epilogue.bias else None
        self.extras = [em.argument(next(addresses)) for _ in spec.epilogue.extras]
        if self.scratch_bytes:
            base = em.argument(next(addresses))
            self.scratch = em.offset(base, em.worker * self.scratch_bytes)
            self.totals = Totals(em, em.offset(self.scratch, panel))

    def write(self) -> None:
        em = self.em
        with em.loop(em.low, em.high) as task:
            batch, panel, tile = self._decode(task.index)
            a = em.offset(self.a, batch_offset(em, self.spec.a, batch))
            b = self.b if self.spec.b is None else em.offset(self.b, batch_offset(em, self.spec.b, batch))
            goal = self._goal(batch)
            for count, first, last in self._kinds():
                with em.among(panel, first, last, self.panels):
                    self._panel(goal, a, b, panel, tile, count)

    def _kinds(self) -> list[tuple[int, int, int]]:
        """(columns of a panel, first panel, last + 1) of full panels and of a shorter last one."""
        full = self.spec.n // self.width
        kinds = [(self.width, 0, full)] if full else []
        return kinds + ([(self.spec.n % self.width, full, full + 1)] if self.spec.n % self.width else [])

    def _decode(self, task: Index) -> tuple[Index, Index, Index | None]:
        em, tiles = self.em, self.cut.tiles
        if self.schedule.copy:
            return em.divide(task, self.panels), em.remainder(task, self.panels), None
        each = self.panels * tiles
        batch, task = em.divide(task, each), em.remainder(task, each)
        if self.schedule.outer == "panels":
            return batch, em.divide(task, tiles), em.remainder(task, tiles)
        return batch, em.remainder(task, self.panels), em.divide(task, self.panels)

    def _goal(self, batch: Index) -> RowGoal:
        em, epilogue = self.em, self.spec.epilogue
        result = em.offset(self.result, batch_offset(em, self.spec.result, batch))
        extras = [
            em.offset(pointer, batch_offset(em, extra.matrix, batch)) if extra.matrix else pointer
            for pointer, extra in zip(self.extras, epilogue.extras, strict=True)
        ]
        return RowGoal(self.spec.result, epilogue, result, extras, self.step, self.bias)

    def _panel(self, goal: RowGoal, a: Value, b: Value, panel: Index, tile: Index | None, columns: int) -> None:
        em, spec = self.em, self.spec
        step = self.width * FLOAT
        if spec.b is None:
            b = em.offset(b, panel * (spec.k * self.width * FLOAT))
        else:
            b = em.offset(b, panel * (self.width * spec.b.column))
            if self.schedule.copy:
                b = copy_panel(em, spec.b, b, self.scratch, spec.k, columns, step)
            else:
                step = spec.b.row
        for rows, first, last in self._row_kinds():
            if tile is None:
                with em.loop(first, last) as loop:
                    self._tile(goal, a, b, step, rows, loop.index, panel * self.width, columns)
            else:
                with em.among(tile, first, last, self.cut.tiles):
                    self._tile(goal, a, b, step, rows, tile, panel * self.width, columns)

    def _row_kinds(self) -> list[tuple[int, int, int]]:
        kinds, start = [], 0
        for rows, count in self.cut.sizes.items():
            kinds.append((rows, start, start + count))
            start += count
        return kinds

    def _tile(
        self, goal: RowGoal, a: Value, b: Value, step: int, rows: int, tile: Index, column: Index, columns: int
    ) -> None:
        em, spec = self.em, self.spec
        row = tile * self.cut.short + em.smaller(tile, self.cut.long_tiles)
        vectors = -(-columns // em.lanes)
        shape = Tile([y * spec.a.row for y in range(rows)], vectors, spec.pairs)
        source = em.offset(a, row * spec.a.row)
        rest = columns % em.lanes if spec.b is not None and not self.schedule.copy else 0
        level = Level(0, spec.k, spec.a.column, step)
        sums = self._sums(shape, source, b, level, rest, self._ahead(b, tile))
        write_rows(em, goal, sums, rows, columns, row, column)

    def _ahead(self, b: Value, tile: Index) -> Ahead | None:
        """The part of the next panel that one tile of rows asks for; behind the last one lie the next weights."""
        if not self.schedule.prefetch:
            return None
        panel = self.spec.k * self.width * FLOAT
        share = -(-panel // self.cut.tiles)
        return Ahead(self.em.offset(b, tile * share + panel), -(-share // self.spec.k))

    def _sums(
        self, shape: Tile, source: Value, b: Value, level: Level, rest: int, ahead: Ahead | None
    ) -> list[Value]:  # fmt: skip
        em, schedule = self.em, self.schedule
        zeros = [em.zeros() for _ in range(shape.count)]
        if self.spec.in_blocks:
            return multiply_in_blocks(em, shape, source, b, zeros, level, rest)

        def part(start: Index, count: Index, sums: list[Value]) -> list[Value]:
            here, rows = em.offset(source, start * level.step), em.offset(b, start * level.weights)
            turns = replace(level, high=count)
            later = None if ahead is None else ahead.behind(start)
            return multiply(em, shape, here, rows, sums, [turns], schedule.unroll, later, rest)

        if self.blocks is None:
            return part(0, self.spec.k, zeros)
        return self.totals.sum_up(zeros, self.blocks, (0, self.spec.k), part)
