"""The left factors of Strassen's products: sums of blocks of A, made in one pass over it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import cache, partial
from itertools import pairwise

from glowviz.compiler.backends.cpu.emitter import Emitter
from glowviz.compiler.backends.cpu.kernels.epilogue import Step
from glowviz.compiler.backends.cpu.kernels.geometry import FLOAT
from glowviz.compiler.backends.cpu.kernels.strassen import StrassenSchedule, StrassenSpec
from glowviz.compiler.backends.cpu.kernels.strassen_scheme import LEFT
from glowviz.compiler.backends.cpu.kernels.write_rows import get, put
from glowviz.compiler.backends.cpu.registry import KernelCode
from glowviz.compiler.backends.cpu.values import Index, Value
from glowviz.compiler.target import Target

Block = Callable[[int, int], Value]
"""One vector of the block in a row and column of blocks."""
Coefficients = tuple[tuple[int, int], tuple[int, int]]


def emit(
    spec: StrassenSpec, schedule: StrassenSchedule, target: Target, name: str, step: Step | None = None, why: str = ""
) -> KernelCode:
    """The kernel; operands: sums [row of a block, product, column of a block], A. A task is a row of all blocks."""
    em = Emitter(name, target)
    result, a = em.argument(0), em.argument(1)
    with em.loop(em.low, em.high) as task:
        here = em.offset(result, task.index * spec.sum_row)
        for present, low, high in _row_kinds(spec):
            with em.among(task.index, low, high, spec.rows):
                _sums_of_row(em, spec, here, em.offset(a, task.index * spec.a.row), present)
    return KernelCode(name, em.text(), spec.rows, why, asdict(schedule))


def _row_kinds(spec: StrassenSpec) -> list[tuple[int, int, int]]:
    """(blocks that have a row, first row, last + 1): the last blocks may be shorter."""
    edges = sorted({0, spec.rows, *(min(max(spec.m - b * spec.rows, 0), spec.rows) for b in range(spec.side))})
    return [(sum(b * spec.rows + low < spec.m for b in range(spec.side)), low, high) for low, high in pairwise(edges)]


def _sums_of_row(em: Emitter, spec: StrassenSpec, result: Value, a: Value, present: int) -> None:
    size = em.lanes * FLOAT
    whole, rest = divmod(spec.depth, em.lanes)

    def at(column: Index, count: int) -> None:
        def load(row: int, block: int) -> Value:
            place = row * spec.rows * spec.a.row + block * spec.depth * FLOAT
            return get(em, em.offset(a, column + place), count) if row < present else em.zeros()

        for product, value in enumerate(_factors(load, spec.side)):
            put(em, value, em.offset(result, column + product * spec.depth * FLOAT), count)

    if whole:
        with em.loop(0, whole * size, size) as loop:
            at(loop.index, em.lanes)
    if rest:
        at(whole * size, rest)


def _factors(block: Block, side: int) -> Iterator[Value]:
    """The left factors of all products, of one vector of every block; the outer level first.

    Blocks are loaded again for every product of the outer level: all of them at once would not fit the registers.
    """
    if side == 1:
        yield block(0, 0)
        return
    for product in LEFT:
        yield from _factors(cache(partial(_sum, block, product, side // 2)), side // 2)


def _sum(block: Block, product: Coefficients, half: int, row: int, column: int) -> Value:
    """One block of the factor of a product: of so many blocks in half a row."""
    terms = [(sign, i, j) for i, signs in enumerate(product) for j, sign in enumerate(signs) if sign]
    (_, i, j), *rest = sorted(terms, key=lambda term: -term[0])
    total = block(i * half + row, j * half + column)
    for sign, i, j in rest:
        other = block(i * half + row, j * half + column)
        total = total + other if sign > 0 else total - other
    return total
