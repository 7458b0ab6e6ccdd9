"""The register tile that all heavy kernels share: [positions x vectors] accumulators, weights streamed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from glowviz.compiler.backends.cpu.emitter import Emitter
from glowviz.compiler.backends.cpu.kernels.geometry import FLOAT
from glowviz.compiler.backends.cpu.values import Index, Value
from glowviz.compiler.target import Target

LINE = 64  # bytes of a cache line
BLOCK = 128
"""Turns that are summed up before they are added to the total, where registers allow it."""


@dataclass(frozen=True)
class Level:
    """One loop of a reduction: its turns low..high, and how many bytes a turn moves in source and weights.

    Every turn asks for the source lines at the distances `touch`, which a later tile will read.
    """

    low: Index
    high: Index
    step: int
    weights: Index
    touch: tuple[int, ...] = ()


@dataclass(frozen=True)
class Ahead:
    """Weights that are needed later: every turn asks for `step` bytes of them, from `pointer` on."""

    pointer: Value
    step: int

    def behind(self, turns: Index) -> "Ahead":
        """What is left after so many turns."""
        return Ahead(self.pointer.emitter.offset(self.pointer, turns * self.step), self.step)  # type: ignore[attr-defined]  # an Emitter


@dataclass
class Tile:
    """Accumulators of one tile: `offsets` are the bytes from the source pointer to each position.

    `masks` says for each vector which lanes take part.
    `pairs`: what counts as one number of source and weights are two of bf16, whose products are added.
    """

    offsets: list[int]
    vectors: int
    pairs: bool = False
    masks: list[Value] | None = None

    @property
    def count(self) -> int:
        """Accumulator registers."""
        return len(self.offsets) * self.vectors


def fits(positions: int, vectors: int, target: Target, others: int = 0) -> bool:
    """Whether positions·vectors accumulators, the weights, one broadcast and `others` stay in registers.

    A single position takes its weights straight from memory, so it needs one register beside the sums; without
    FMA every weight is loaded first, and the product before its addition takes a register too.
    """
    spare = vectors + 1 if positions > 1 or not target.has_fma else 1
    if not target.has_fma:
        spare += 1 if positions > 1 else 2
    return positions * vectors + spare + others <= target.registers


def multiply(
    em: Emitter,
    tile: Tile,
    source: Value,
    weights: Value,
    sums: list[Value],
    levels: Sequence[Level],
    unroll: int = 1,
    ahead: Ahead | None = None,
    rest: int = 0,
) -> list[Value]:
    """Run the reduction `levels` (outermost first) and give the sums.

    Every step reads one source number per position and tile.vectors vectors of weights. `unroll` must divide
    the turns of the innermost level. With one level, `ahead` is asked for while it runs.
    Where weights are rows of a bigger matrix, only `rest` lanes of the last vector may be read (0: all).
    """
    level, inner = levels[0], levels[1:]
    if inner:
        with em.loop(level.low, level.high, carry=sums) as loop:
            here, rows = em.offset(source, loop.index * level.step), em.offset(weights, loop.index * level.weights)
            for distance in level.touch:
                em.prefetch(em.offset(here, distance), locality=3)
            loop.next = multiply(em, tile, here, rows, loop.carry, inner, unroll, None, rest)
        return loop.results
    weights = em.offset(weights, _times(level.low, level.weights))
    later = [] if ahead is None else [ahead.pointer]
    with em.loop(level.low, level.high, unroll, carry=[*sums, weights, *later]) as loop:
        sums, weights = loop.carry[: tile.count], loop.carry[tile.count]
        here = em.offset(source, loop.index * level.step)
        for turn in range(unroll):
            row = em.offset(weights, _times(turn, level.weights))
            sums = _step(em, tile, here, row, sums, turn * level.step, rest)
        loop.next = [*sums, em.offset(weights, _times(unroll, level.weights))]
        if ahead is not None:
            for distance in range(0, ahead.step * unroll, LINE):
                em.prefetch(em.offset(loop.carry[-1], distance))
            loop.next.append(em.offset(loop.carry[-1], ahead.step * unroll))
    return loop.results[: tile.count]


def multiply_in_blocks(
    em: Emitter,
    tile: Tile,
    source: Value,
    weights: Value,
    sums: list[Value],
    level: Level,
    rest: int = 0,
) -> list[Value]:
    """As `multiply` over one level with fixed bounds, but summed up BLOCK turns at a time.

    Rounding errors then grow with BLOCK + turns / BLOCK instead of turns; it takes twice the registers.
    """
    turns, step, row = level.high, level.step, level.weights
    assert isinstance(turns, int)
    blocks, left = divmod(turns, BLOCK)

    def part(here: Value, rows: Value, count: int) -> list[Value]:
        zeros = [em.zeros() for _ in sums]
        return multiply(em, tile, here, rows, zeros, [Level(0, count, step, row)], 1, None, rest)

    with em.loop(0, blocks, carry=sums) as loop:
        done = loop.index * BLOCK
        block = part(em.offset(source, done * step), em.offset(weights, done * row), BLOCK)
        loop.next = [total + one for total, one in zip(loop.carry, block, strict=True)]
    totals = loop.results
    if left:
        last = part(em.offset(source, blocks * BLOCK * step), em.offset(weights, _times(blocks * BLOCK, row)), left)
        totals = [total + one for total, one in zip(totals, last, strict=True)]
    return totals


def _times(count: Index, step: Index) -> Index:
    return (
        0 if isinstance(count, int) and count == 0 else step if isinstance(count, int) and count == 1 else count * step
    )


def _step(
    em: Emitter, tile: Tile, source: Value, weights: Value, sums: list[Value], ahead: int, rest: int
) -> list[Value]:
    width = em.lanes * FLOAT
    rows = [em.load(em.offset(weights, v * width)) for v in range(tile.vectors - bool(rest))]
    if rest:
        last = em.offset(weights, (tile.vectors - 1) * width)
        rows.append(em.load_lanes(last, em.first_lanes(rest)))
    result = []
    adds = [_addition(em, tile, v) for v in range(tile.vectors)]
    for position, offset in enumerate(tile.offsets):
        number = em.load_splat(em.offset(source, offset + ahead))
        for v in range(tile.vectors):
            result.append(adds[v](number, rows[v], sums[position * tile.vectors + v]))
    return result


def lane_masks(em: Emitter, vectors: int, first: Index, count: int) -> list[Value]:
    """For every vector of a tile, which of its lanes are among the `count` from number `first` on."""
    start = em.splat(em.convert("trunc", em.index(first), "i32"))
    places = [em.counting() + v * em.lanes - start for v in range(vectors)]
    return [em.compare("lt", place, em.constant(count, place.type, unsigned=True)) for place in places]


def only_lanes(em: Emitter, value: Value, mask: Value) -> Value:
    """The floats of `value` in the lanes of `mask`, 0 in the others, by one bitwise and."""
    bits = em.convert("bitcast", value, "i32") & em.convert("sext", mask, "i32")
    return em.convert("bitcast", bits, "float")


def _addition(em: Emitter, tile: Tile, vector: int) -> Callable[[Value, Value, Value], Value]:
    """(number, weights, total) -> total + number · weights, in the lanes of the vector's mask."""
    if tile.masks is None:
        return em.add_pairs if tile.pairs else em.fma
    mask = tile.masks[vector]
    return lambda number, weights, total: em.select(mask, em.fma(number, weights, total), total)


def unroll_for(turns: Sequence[int], limit: int = 4) -> int:
    """The largest unrolling up to `limit` that divides all the given trip counts."""
    return next(u for u in range(limit, 0, -1) if all(t % u == 0 for t in turns))
