"""p-norms of windows and planes, determinants, and matrices with ones on a diagonal."""

from __future__ import annotations

from math import prod

from glowviz.compiler.backends.cpu.kernels.any_windows import Taps
from glowviz.compiler.backends.cpu.kernels.cells import Cells
from glowviz.compiler.backends.cpu.kernels.draft import supported
from glowviz.compiler.backends.cpu.registry import KernelCode, kernel
from glowviz.compiler.backends.cpu.values import Index, Value
from glowviz.compiler.program import Instr, Program
from glowviz.compiler.target import Target


def _powered(cells: Cells, value: Value, p: float) -> Value:
    """|value|^p."""
    return cells.em.m.pow(abs(value), float(p)) if p != 1 else abs(value)


def _root(cells: Cells, value: Value, p: int) -> Value:
    return value if p == 1 else cells.em.m.pow(value, 1 / p)


@kernel("lp_pool")
@supported
def lp_pool(instr: Instr, program: Program, target: Target) -> KernelCode:
    """The p-norm of every window."""
    op = instr.op
    cells = Cells(instr, program, target)
    x, goal = cells.tensor(op.x), cells.result_tensor()
    windows = op.windows(x.dims)

    def body(at: list[Index]) -> None:
        taps = Taps(cells, windows, at[2:])

        def step(tap: list[Index], values: list[Value]) -> list[Value]:
            place, inside = taps.at(tap)
            new = _powered(cells, x.read([*at[:2], *place]), op.p)
            return [values[0] + cells.em.select(inside, new, new.match(0.0))]

        goal.write(at, _root(cells, cells.fold(windows.kernel, [x.number(0)], step)[0], op.p))

    cells.over(goal.dims, body, 4 * prod(windows.kernel))
    return cells.finish("one window after the other", kernel=list(windows.kernel), p=op.p)


@kernel("global_lp_pool")
@supported
def global_lp_pool(instr: Instr, program: Program, target: Target) -> KernelCode:
    """The p-norm of every plane."""
    op = instr.op
    cells = Cells(instr, program, target)
    x, goal = cells.tensor(op.x), cells.result_tensor()

    def body(at: list[Index]) -> None:
        def step(place: list[Index], values: list[Value]) -> list[Value]:
            return [values[0] + _powered(cells, x.read([*at, *place]), op.p)]

        total = cells.fold(x.dims[2:], [x.number(0)], step)[0]
        goal.write([*at, *(0 for _ in x.dims[2:])], _root(cells, total, op.p))

    cells.over(goal.dims[:2], body, max(prod(x.dims[2:]), 1))
    return cells.finish("one plane after the other", p=op.p)


@kernel("eye_like")
@supported
def eye_like(instr: Instr, program: Program, target: Target) -> KernelCode:
    """1 where the column is k behind the row."""
    cells = Cells(instr, program, target, ())
    goal, em = cells.result_tensor(), cells.em

    def body(at: list[Index]) -> None:
        behind = em.index(at[1]) - em.index(at[0])
        goal.write(at, em.select(behind == instr.op.k, goal.number(1), goal.number(0)))

    cells.over(goal.dims, body)
    return cells.finish("element by element", k=instr.op.k)


@kernel("det")
@supported
def det(instr: Instr, program: Program, target: Target) -> KernelCode:
    """Gauss's elimination with the largest pivot of each column, on a copy in the worker's scratch area."""
    cells = Cells(instr, program, target)
    x, goal, em = cells.tensor(instr.op.x), cells.result_tensor(), cells.em
    side = x.dims[-1]
    cells.scratch = -(-max(side * side, 1) * 8 // 64) * 64
    area = em.offset(em.argument(len(cells.operands)), em.worker * cells.scratch)
    matrix = _Square(cells, area, side)

    def body(at: list[Index]) -> None:
        cells.nest((side, side), lambda place: matrix.write(place[0], place[1], _wide(cells, x.read([*at, *place]))))
        with em.loop(0, side, carry=[em.constant(1.0, "double")]) as loop:
            loop.next = [matrix.eliminate(em.index(loop.index), loop.carry[0])]
        total = loop.results[0]
        goal.write(at, total if goal.kind == "double" else em.convert("fptrunc", total, goal.kind))

    if side:
        cells.over(goal.dims, body, side**3)
    else:
        cells.over(goal.dims, lambda at: goal.write(at, goal.number(1)))
    return cells.finish("elimination with pivots, in double precision", side=side)


def _wide(cells: Cells, value: Value) -> Value:
    return value if value.type == "double" else cells.em.convert("fpext", value, "double")


class _Square:
    """A matrix of doubles in scratch memory."""

    def __init__(self, cells: Cells, area: Value, side: int) -> None:
        self.cells, self.em, self.area, self.side = cells, cells.em, area, side

    def _at(self, row: Index, column: Index) -> Value:
        return self.em.offset(self.area, (row * self.side + column) * 8)

    def read(self, row: Index, column: Index) -> Value:
        """One element."""
        return self.em.load(self._at(row, column), "double")

    def write(self, row: Index, column: Index, value: Value) -> None:
        """One element becomes the value."""
        self.em.store(value, self._at(row, column))

    def eliminate(self, k: Value, product: Value) -> Value:
        """Zeros below the k-th pivot; gives the product of pivots so far, its sign turned with every swap."""
        em = self.em
        with em.loop(k, self.side, carry=[k, em.constant(-1.0, "double")]) as loop:
            size = abs(self.read(loop.index, k))
            larger = size > loop.carry[1]
            loop.next = [em.select(larger, em.index(loop.index), loop.carry[0]), em.select(larger, size, loop.carry[1])]
        best = loop.results[0]
        with em.loop(0, self.side) as loop:
            upper, lower = self.read(k, loop.index), self.read(best, loop.index)
            self.write(k, loop.index, lower)
            self.write(best, loop.index, upper)
        pivot = self.read(k, k)
        safe = em.select(pivot == 0.0, pivot.match(1.0), pivot)
        with em.loop(k + 1, self.side) as rows:
            factor = self.read(rows.index, k) / safe
            with em.loop(k, self.side) as columns:
                rest = self.read(rows.index, columns.index) - factor * self.read(k, columns.index)
                self.write(rows.index, columns.index, rest)
        return em.select(best == k, product * pivot, -(product * pivot))
