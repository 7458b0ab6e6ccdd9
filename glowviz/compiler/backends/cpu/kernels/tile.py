"""The register tile that all heavy kernels share: [positions x vectors] accumulators, weights streamed."""

from collections.abc import Sequence
from dataclasses import dataclass

from glowviz.compiler.backends.cpu.emitter import Emitter
from glowviz.compiler.backends.cpu.kernels.geometry import FLOAT
from glowviz.compiler.backends.cpu.values import Index, Value
from glowviz.compiler.target import Target


@dataclass(frozen=True)
class Level:
    """One loop of a reduction: its turns low..high and how far one turn moves in the source, in bytes."""

    low: Index
    high: Index
    step: int


@dataclass
class Tile:
    """Accumulators of one tile: `offsets` are the bytes from the source pointer to each position."""

    offsets: list[int]
    vectors: int

    @property
    def count(self) -> int:
        """Accumulator registers."""
        return len(self.offsets) * self.vectors


def fits(positions: int, vectors: int, target: Target, others: int = 0) -> bool:
    """Whether positions·vectors accumulators, the weights, one broadcast and `others` stay in registers.

    A single position takes its weights straight from memory, so it needs one register beside the sums.
    """
    spare = 1 if positions == 1 else vectors + 1
    if not target.has_fma:
        spare += 1 if positions > 1 else 2  # the product before its addition
    return positions * vectors + spare + others <= target.registers


def multiply(
    em: Emitter,
    tile: Tile,
    source: Value,
    weights: Value,
    sums: list[Value],
    levels: Sequence[Level],
    unroll: int,
    weight_row: int,
    prefetch: int = 0,
    rest: int = 0,
) -> tuple[list[Value], Value]:
    """Run the reduction `levels` (outermost first) and give the sums and where the weights ended.

    Every step reads one source number per position and one row of weights (tile.vectors vectors, the next
    row `weight_row` bytes further on). `unroll` must divide the turns of the innermost level. `prefetch`
    bytes ahead of the weights one cache line a step is asked for. Where weights are rows of a bigger matrix,
    only `rest` lanes of the last vector may be read (0: all).
    """
    level, inner = levels[0], levels[1:]
    turns = unroll if not inner else 1
    with em.loop(level.low, level.high, turns, carry=[*sums, weights]) as loop:
        sums, weights = loop.carry[:-1], loop.carry[-1]
        source = em.offset(source, loop.index * level.step)
        if inner:
            sums, weights = multiply(
                em, tile, source, weights, sums, inner, unroll, weight_row, prefetch, rest
            )  # fmt: skip
        else:
            for turn in range(turns):
                sums = _step(em, tile, source, weights, sums, turn * level.step, turn * weight_row, rest)
                if prefetch:
                    em.prefetch(em.offset(weights, turn * weight_row + prefetch))
            weights = em.offset(weights, turns * weight_row)
        loop.next = [*sums, weights]
    return loop.results[:-1], loop.results[-1]


def _step(
    em: Emitter, tile: Tile, source: Value, weights: Value, sums: list[Value], ahead: int, row: int, rest: int
) -> list[Value]:
    width = em.lanes * FLOAT
    rows = [em.load(em.offset(weights, row + v * width)) for v in range(tile.vectors - bool(rest))]
    if rest:
        last = em.offset(weights, row + (tile.vectors - 1) * width)
        rows.append(em.load_lanes(last, em.first_lanes(rest)))
    result = []
    for position, offset in enumerate(tile.offsets):
        number = em.load_splat(em.offset(source, offset + ahead))
        for v in range(tile.vectors):
            result.append(em.fma(number, rows[v], sums[position * tile.vectors + v]))
    return result


def unroll_for(turns: Sequence[int], limit: int = 4) -> int:
    """The largest unrolling up to `limit` that divides all the given trip counts."""
    return next(u for u in range(limit, 0, -1) if all(t % u == 0 for t in turns))
