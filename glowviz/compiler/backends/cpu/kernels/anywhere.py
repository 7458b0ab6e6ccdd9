"""Instructions whose axis or diagonal may be known only at run time, or that look at the place of every element."""

from __future__ import annotations

from collections.abc import Callable

from glowviz.compiler.backends.cpu.kernels.boxes import Unsupported
from glowviz.compiler.backends.cpu.kernels.cells import Cells, Tensor
from glowviz.compiler.backends.cpu.kernels.draft import known, supported
from glowviz.compiler.backends.cpu.registry import KernelCode, general
from glowviz.compiler.backends.cpu.values import Index, Value
from glowviz.compiler.program import Instr, Program
from glowviz.compiler.target import Target


@general("trilu")
@supported
def trilu(instr: Instr, program: Program, target: Target) -> KernelCode:
    """Each element or 0, by how far its column is behind its row."""
    op = instr.op
    cells = Cells(instr, program, target)
    x, goal, em = cells.tensor(op.x), cells.result_tensor(), cells.em

    def body(at: list[Index]) -> None:
        diagonal = em.constant(0, "i64") if op.k is None else _single(cells, op.k)
        behind = em.index(at[-1]) - em.index(at[-2])
        kept = behind >= diagonal if op.upper else behind <= diagonal
        bits = x.bits(at)
        goal.put_bits(at, em.select(kept, bits, bits.match(0)))

    cells.over(goal.dims, body)
    return cells.finish("element by element")


def _single(cells: Cells, name: str) -> Value:
    """The one number of an operand, as an index."""
    tensor = cells.tensor(name)
    return tensor.index([0] * len(tensor.dims))


@general("cum_sum", "cum_prod")
@supported
def cumulative(instr: Instr, program: Program, target: Target) -> KernelCode:
    """One running sum or product per row; where the axis is a run-time number, every axis has its own loops."""
    op = instr.op
    cells = Cells(instr, program, target, checks=True)
    x, rank = cells.tensor(op.x), len(cells.tensor(op.x).dims)
    if x.elem == "bool":
        raise Unsupported("sums of truth values")
    content = known(program, op.axis)
    axes = range(rank) if content is None else [int(content.reshape(())) % rank]
    for axis in axes:
        row = _running(cells, axis, instr.name == "cum_prod")
        extents = [n for a, n in enumerate(x.dims) if a != axis]
        guarded = row if content is not None else _guard(cells, op.axis, axis, row)
        cells.over(extents, guarded, max(x.dims[axis], 1))
    if content is None:
        cells.once(lambda: _check_axis(cells, op.axis, rank))
    return cells.finish("one running value per row")


def _guard(cells: Cells, name: str, axis: int, row: Callable[[list[Index]], None]) -> Callable[[list[Index]], None]:
    """The row's code where the run-time axis is this one."""

    def body(rest: list[Index]) -> None:
        given = _single(cells, name)
        rank = len(cells.result_tensor().dims)
        given = cells.em.select(given < 0, given + rank, given)
        with cells.em.when(given == axis):
            row(rest)

    return body


def _check_axis(cells: Cells, name: str, rank: int) -> None:
    given = _single(cells, name)
    cells.refuse((given < -rank) | (given >= rank))


def _running(cells: Cells, axis: int, product: bool) -> Callable[[list[Index]], None]:
    """The loop along one row."""
    op, em = cells.instr.op, cells.em
    x, goal = cells.tensor(op.x), cells.result_tensor()
    count = x.dims[axis]

    def at(rest: list[Index], step: Index) -> list[Index]:
        place = (count - 1) - em.index(step) if op.reverse else step
        return [*rest[:axis], place, *rest[axis:]]

    def row(rest: list[Index]) -> None:
        with em.loop(0, count, carry=[_first(goal, product)]) as loop:
            here = at(rest, loop.index)
            new = x.read(here)
            total = loop.carry[0] * new if product else loop.carry[0] + new
            goal.write(here, loop.carry[0] if op.exclusive else total)
            loop.next = [total]

    return row if count else lambda rest: None


def _first(goal: Tensor, product: bool) -> Value:
    return goal.number(1 if product else 0)
