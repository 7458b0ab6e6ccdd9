"""A matrix product with constant B by Strassen's scheme: an eighth fewer multiplications for each level.

The sums of blocks of A are made by an instruction of its own, those of B while compiling. A task is a panel of
columns and some tiles of rows; its tiles of all blocks of the result grow in the worker's scratch area, product by
product, and go out through the epilogue.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field

import numpy as np

from glowviz.compiler.backends.cpu.emitter import Emitter
from glowviz.compiler.backends.cpu.kernels.epilogue import Epilogue, Step
from glowviz.compiler.backends.cpu.kernels.geometry import FLOAT, Cut, Matrix
from glowviz.compiler.backends.cpu.kernels.strassen_chain import Chains, Task, clear
from glowviz.compiler.backends.cpu.kernels.strassen_scheme import BLOCKS, PRODUCTS, RIGHT, nested
from glowviz.compiler.backends.cpu.kernels.write_rows import RowGoal, write_rows
from glowviz.compiler.backends.cpu.registry import KernelCode
from glowviz.compiler.backends.cpu.values import Index, Value
from glowviz.compiler.target import Target


@dataclass(frozen=True)
class StrassenSpec:
    """result[m, n] = epilogue(sum over k of a[m, k] · b[k, n] + bias[n]) by `levels` of the scheme.

    Blocks of B and of the result are whole vectors of `lanes` columns wide; m, n need not fill their blocks, k must.
    Operands of the products: result, sums of blocks of A, packed sums of blocks of B, [bias], extras, scratch.
    """

    m: int
    n: int
    k: int
    a: Matrix
    result: Matrix
    levels: int
    lanes: int
    epilogue: Epilogue = field(default_factory=Epilogue)

    def __post_init__(self) -> None:
        if self.k % self.side or self.a.column != FLOAT or self.result.column != FLOAT:
            raise ValueError(f"{self.k} columns of A side by side do not make {self.side} equal blocks")

    @property
    def side(self) -> int:
        """Blocks in a row of blocks."""
        return 1 << self.levels

    @property
    def products(self) -> int:
        """Products of blocks."""
        return PRODUCTS**self.levels

    @property
    def rows(self) -> int:
        """Rows of a block of A."""
        return -(-self.m // self.side)

    @property
    def depth(self) -> int:
        """Columns of a block of A, rows of one of B."""
        return self.k // self.side

    @property
    def columns(self) -> int:
        """Columns of a block of B."""
        return -(-self.n // (self.side * self.lanes)) * self.lanes

    @property
    def sum_row(self) -> int:
        """Bytes of one row of the sums of blocks of A: [row, product, column]."""
        return self.products * self.depth * FLOAT

    @property
    def weight_bytes(self) -> int:
        """Bytes of the sums of blocks of B."""
        return self.products * self.depth * self.columns * FLOAT

    @property
    def flops(self) -> int:
        """Multiplications and additions of the plain product."""
        return 2 * self.m * self.n * self.k


@dataclass(frozen=True)
class StrassenSchedule:
    """The register tile (rows x vectors), turns of a reduction done at a time, tiles of rows that share a panel.

    `prefetch`: while the tiles pass the weights of a chain of products, each asks for its share of the next chain's.
    """

    levels: int
    rows: int
    vectors: int
    turns: int
    tiles: int
    prefetch: bool = False


def packed_size(spec: StrassenSpec, vectors: int) -> int:
    """How many numbers `pack_strassen` gives."""
    width = vectors * spec.lanes
    return spec.products * spec.depth * -(-spec.columns // width) * width


def pack_strassen(b: np.ndarray, spec: StrassenSpec, vectors: int, turns: int) -> np.ndarray:
    """B [K, N] as [panel][part of a block's depth][product][turn][vectors · lanes], flat f32."""
    width, columns = vectors * spec.lanes, spec.columns
    full, rest = divmod(columns, width)
    packed = np.zeros((full + (rest > 0), spec.products * spec.depth * width), np.float32)
    if b.shape[1] < spec.side * columns:
        b = np.pad(b, ((0, 0), (0, spec.side * columns - b.shape[1])))
    for start in range(0, spec.depth, turns):
        count = min(turns, spec.depth - start)
        part = packed[:, start * spec.products * width :][:, : count * spec.products * width]
        part = part.reshape(-1, spec.products, count, width)
        for product, coefficients in enumerate(nested(RIGHT, spec.levels)):
            total = _sum_of_blocks(b, coefficients, spec, start, count)
            part[:full, product] = total[:, : full * width].reshape(count, full, width).transpose(1, 0, 2)
            part[full:, product, :, :rest] = total[:, full * width :]
    return packed.reshape(-1)


def _sum_of_blocks(b: np.ndarray, coefficients: np.ndarray, spec: StrassenSpec, start: int, count: int) -> np.ndarray:
    """Rows `start` and on of the right factor of a product: blocks taken as often as its coefficients say."""
    total: np.ndarray | None = None
    for row, column in sorted(np.argwhere(coefficients).tolist(), key=lambda place: -coefficients[tuple(place)]):
        first = row * spec.depth + start
        block = b[first : first + count, column * spec.columns : (column + 1) * spec.columns]
        total = block if total is None else total + block if coefficients[row, column] > 0 else total - block
    assert total is not None, "every product has a factor of B"
    return total


def unpack_strassen(w: np.ndarray, spec: StrassenSpec, vectors: int, turns: int) -> np.ndarray:
    """The sums of blocks of B [product, depth, columns] of a packed array."""
    width = vectors * spec.lanes
    panels, parts, start = -(-spec.columns // width), [], 0
    by_panel = w.reshape(panels, -1)
    for count in (min(turns, spec.depth - first) for first in range(0, spec.depth, turns)):
        size = spec.products * count * width
        parts.append(by_panel[:, start : start + size].reshape(panels, spec.products, count, width))
        start += size
    whole = np.concatenate(parts, axis=2).transpose(1, 2, 0, 3).reshape(spec.products, spec.depth, -1)
    return whole[:, :, : spec.columns]


def emit(
    spec: StrassenSpec, schedule: StrassenSchedule, target: Target, name: str, step: Step | None = None, why: str = ""
) -> KernelCode:
    """The kernel of all products; `step` is the epilogue that `spec.epilogue.text` stands for."""
    writer = _Writer(spec, schedule, target, name, step)
    writer.write()
    return KernelCode(name, writer.em.text(), writer.tasks, why, asdict(schedule), scratch=writer.scratch_bytes)


class _Writer:
    """Writes the task loop, and for every kind of panel its sums and how they go out."""

    def __init__(
        self, spec: StrassenSpec, schedule: StrassenSchedule, target: Target, name: str, step: Step | None
    ) -> None:
        self.spec, self.schedule = spec, schedule
        self.em = em = Emitter(name, target)
        self.width = schedule.vectors * em.lanes
        self.panels = -(-spec.columns // self.width)
        self.cut = Cut(spec.rows, schedule.rows)
        self.groups = -(-self.cut.tiles // schedule.tiles)
        self.tasks = self.panels * self.groups
        self.tile_bytes = schedule.rows * self.width * FLOAT
        # for every tile its blocks of the result, then a set of blocks for every level below the first
        self.stride = sum(BLOCKS**level for level in range(1, spec.levels + 1)) * self.tile_bytes
        self.scratch_bytes = schedule.tiles * self.stride
        addresses = iter(range(100))
        result, self.sums, self.weights = (em.argument(next(addresses)) for _ in range(3))
        bias = em.argument(next(addresses)) if spec.epilogue.bias else None
        extras = [em.argument(next(addresses)) for _ in spec.epilogue.extras]
        self.goal = RowGoal(spec.result, spec.epilogue, result, extras, step, bias)
        self.scratch = em.offset(em.argument(next(addresses)), em.worker * self.scratch_bytes)
        self.down = em.table([2 * spread(block) * self.tile_bytes for block in range(spec.side)])

    def write(self) -> None:
        em = self.em
        with em.loop(em.low, em.high) as task:
            panel, group = em.divide(task.index, self.groups), em.remainder(task.index, self.groups)
            first = group * self.schedule.tiles
            tiles = Task(self.cut, first, em.smaller(first + self.schedule.tiles, self.cut.tiles))
            clear(em, self.scratch, self.scratch_bytes)
            for vectors, lanes, low, high in self._panel_kinds():
                with em.among(panel, low, high, self.panels):
                    self._sum_up(panel, vectors, tiles)
                    for rows, tile, number in tiles.kinds(em):
                        place = em.offset(self.scratch, number * self.stride)
                        self._write_tile(panel, vectors, lanes, rows, tiles.row(em, tile), place)

    def _panel_kinds(self) -> list[tuple[int, tuple[int, ...], int, int]]:
        """(vectors of a panel, columns that exist in each column of blocks, first panel, last + 1)."""
        spec, kinds = self.spec, []
        for panel in range(self.panels):
            start = panel * self.width
            wide = min(self.width, spec.columns - start)
            lanes = tuple(min(max(spec.n - block * spec.columns - start, 0), wide) for block in range(spec.side))
            if kinds and kinds[-1][:2] == (wide // self.em.lanes, lanes):
                kinds[-1] = (*kinds[-1][:3], panel + 1)
            else:
                kinds.append((wide // self.em.lanes, lanes, panel, panel + 1))
        return kinds

    def _sum_up(self, panel: Index, vectors: int, tiles: Task) -> None:
        em, spec, turns = self.em, self.spec, self.schedule.turns
        weights = em.offset(self.weights, panel * (spec.products * spec.depth * self.width * FLOAT))
        for part, count in self._parts():
            here = em.offset(weights, part * (spec.products * turns * self.width * FLOAT))
            source = em.offset(self.sums, part * (turns * FLOAT))
            chains = Chains(
                em, tiles, (vectors, self.width * FLOAT), (spec.sum_row, spec.depth * FLOAT), count, self.tile_bytes,
                self.stride, self.schedule.tiles if self.schedule.prefetch else 0,
            )  # fmt: skip
            chains.add(spec.levels, self.scratch, source, here, em.offset(self.scratch, spec.side**2 * self.tile_bytes))

    def _parts(self) -> Iterator[tuple[Index, int]]:
        """(part of a block's depth, its turns); writes the loop."""
        whole, rest = divmod(self.spec.depth, self.schedule.turns)
        if whole:
            with self.em.loop(0, whole) as part:
                yield part.index, self.schedule.turns
        if rest:
            yield whole, rest

    def _write_tile(
        self, panel: Index, vectors: int, lanes: tuple[int, ...], rows: int, first: Index, place: Value
    ) -> None:
        em, spec, line = self.em, self.spec, self.em.lanes * FLOAT
        with em.loop(0, spec.side) as block, em.loop(0, rows) as turn:
            row = block.index * spec.rows + first + turn.index
            down = em.load(em.offset(self.down, block.index * 8), "i64")
            here = em.offset(place, down + turn.index * (vectors * line))
            with em.when(em.index(row) < spec.m) if spec.m % spec.side else nullcontext():
                for across, count in enumerate(lanes):
                    at = em.offset(here, spread(across) * self.tile_bytes)
                    sums = [em.load(em.offset(at, v * line)) for v in range(-(-count // em.lanes))]
                    if sums:
                        write_rows(em, self.goal, sums, 1, count, row, panel * self.width + across * spec.columns)


def spread(block: int) -> int:
    """The bits of a row or column of blocks, two places apart: blocks lie in sets of four, nested."""
    return sum((block >> bit & 1) << 2 * bit for bit in range(block.bit_length()))
