"""Finished sums of a matrix product go back row by row: bias, epilogue, then store of the columns that exist."""

from dataclasses import dataclass

from glowviz.compiler.backends.cpu.emitter import Emitter
from glowviz.compiler.backends.cpu.kernels.epilogue import Epilogue, Extra, Step
from glowviz.compiler.backends.cpu.kernels.geometry import FLOAT, Matrix
from glowviz.compiler.backends.cpu.kernels.numbers import read, splat, write
from glowviz.compiler.backends.cpu.values import Index, Value


def batch_offset(em: Emitter, matrix: Matrix, batch: Index) -> Index:
    """The offset of one matrix: a multiplication where they are evenly spaced, otherwise from a table."""
    offsets = matrix.batches
    if len(offsets) < 2:
        return offsets[0] if offsets else 0
    step = offsets[1] - offsets[0]
    if all(o == offsets[0] + n * step for n, o in enumerate(offsets)):
        return batch * step + offsets[0]
    return em.load(em.offset(em.table(offsets), batch * 8), "i64")


@dataclass
class RowGoal:
    """Where the rows of a tile go and what is applied on the way; pointers stand at row 0, column 0."""

    matrix: Matrix
    epilogue: Epilogue
    result: Value
    extras: list[Value]
    step: Step | None
    bias: Value | None = None


def write_rows(em: Emitter, goal: RowGoal, sums: list[Value], rows: int, lanes: int, row: Index, column: Index) -> None:
    """Store sums [rows, vectors] at (row, column) of the result; only the first `lanes` columns exist.

    The bias comes last: a big one would round every product that is added to it.
    """
    vectors = len(sums) // rows
    number = goal.matrix.number
    result = em.offset(goal.result, row * goal.matrix.row + column * number)
    bias = None if goal.bias is None else em.offset(goal.bias, column * FLOAT)
    bases = [
        em.offset(pointer, row * _strides(extra).row + column * _strides(extra).column)
        for extra, pointer in zip(goal.epilogue.extras, goal.extras, strict=True)
    ]
    for index, value in enumerate(sums):
        y, v = divmod(index, vectors)
        count = min(em.lanes, lanes - v * em.lanes)
        if bias is not None:
            value = value + get(em, em.offset(bias, v * em.lanes * FLOAT), count)
        if goal.step:
            value = goal.step(em, value, lambda n, y=y, v=v, c=count: _extra(em, goal, bases, n, y, v, c))
        put(em, value, em.offset(result, y * goal.matrix.row + v * em.lanes * number), count, number)


def _strides(extra: Extra) -> Matrix:
    assert extra.matrix is not None, "an operand of a product needs to say where its numbers lie"
    return extra.matrix


def _extra(em: Emitter, goal: RowGoal, bases: list[Value], n: int, y: int, v: int, count: int) -> Value:
    matrix = _strides(goal.epilogue.extras[n])
    address = em.offset(bases[n], y * matrix.row + v * em.lanes * matrix.column)
    return get(em, address, count, matrix.number) if matrix.column else splat(em, address, matrix.number)


def get(em: Emitter, address: Value, count: int, number: int = FLOAT) -> Value:
    """A vector of which only the first `count` lanes exist in memory; the others are zero."""
    return read(em, address, number, em.first_lanes(count) if count < em.lanes else None)


def put(em: Emitter, value: Value, address: Value, count: int, number: int = FLOAT) -> None:
    """Store the first `count` lanes and nothing else."""
    write(em, value, address, number, em.first_lanes(count) if count < em.lanes else None)
