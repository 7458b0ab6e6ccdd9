"""A panel of a run-time B moves into scratch as [K][columns], transposed in registers where B lies crosswise."""

from glowviz.compiler.backends.cpu.emitter import Emitter
from glowviz.compiler.backends.cpu.kernels.geometry import FLOAT, Matrix
from glowviz.compiler.backends.cpu.kernels.write_rows import get
from glowviz.compiler.backends.cpu.values import Index, Value


def copy_panel(em: Emitter, b: Matrix, start: Value, scratch: Value, k: int, columns: int, row: int) -> Value:
    """Copy `columns` columns of B, whose first stands at `start`, into rows of `row` bytes; zeros fill up."""
    vectors = -(-columns // em.lanes)
    if b.column == FLOAT:
        with em.loop(0, k) as loop:
            source, goal = em.offset(start, loop.index * b.row), em.offset(scratch, loop.index * row)
            for v in range(vectors):
                at = v * em.lanes * FLOAT
                em.store(get(em, em.offset(source, at), columns - v * em.lanes), em.offset(goal, at))
        return scratch
    whole = k // em.lanes * em.lanes
    for v in range(vectors):
        count = min(em.lanes, columns - v * em.lanes)
        source = em.offset(start, v * em.lanes * b.column)
        goal = em.offset(scratch, v * em.lanes * FLOAT)
        if whole:
            with em.loop(0, whole, em.lanes) as loop:
                _transposed_block(em, b, source, goal, row, loop.index, em.lanes, count)
        if k > whole:
            _transposed_block(em, b, source, goal, row, whole, k - whole, count)
    return scratch


def _transposed_block(
    em: Emitter, b: Matrix, source: Value, goal: Value, row: int, k: Index, depth: int, columns: int
) -> None:
    """`columns` columns of `depth` numbers from `k` on become `depth` rows."""
    source, goal = em.offset(source, k * FLOAT), em.offset(goal, k * row)
    lines = [get(em, em.offset(source, n * b.column), depth) for n in range(columns)]
    lines += [em.zeros()] * (em.lanes - columns)
    for n, line in enumerate(transpose(em, lines)[:depth]):
        em.store(line, em.offset(goal, n * row))


def transpose(em: Emitter, lines: list[Value]) -> list[Value]:
    """A square of W vectors turned over: log2(W) rounds that zip the first half with the second."""
    width = len(lines)
    half = width // 2
    low = [n // 2 + width * (n % 2) for n in range(width)]
    high = [half + n for n in low]
    for _ in range(width.bit_length() - 1):
        lines = [
            em.shuffle(lines[n], lines[n + half], order) for n in range(half) for order in (low, high)
        ]  # fmt: skip
    return lines
