"""Long reductions are summed up in blocks: the totals of finished blocks wait in the worker's scratch area.

Rounding errors then grow with BLOCK + turns / BLOCK instead of turns, and the registers belong to one block.
"""

from collections.abc import Callable
from dataclasses import dataclass

from glowviz.compiler.backends.cpu.emitter import Emitter
from glowviz.compiler.backends.cpu.kernels.geometry import FLOAT
from glowviz.compiler.backends.cpu.values import Index, Value
from glowviz.compiler.target import Target

BLOCK = 384
"""Turns of a reduction in one block, about; without FMA 256."""
MOST = 8
"""Blocks, about: where they would be more they are made longer, so that totals cost no more than 2 % of the time.

Without FMA a turn takes twice as long and rounds twice, so there blocks stay short.
"""
LONG = 512
"""Turns up to which one block holds the whole reduction; without FMA, which rounds half as often, fewer."""
SHORT = 320
LINE = 64  # bytes of a cache line: two workers never share one


@dataclass(frozen=True)
class Blocks:
    """A loop of `steps` rounds that is done in blocks of at most `size` rounds."""

    steps: int
    size: int

    @property
    def even(self) -> bool:
        """Whether all blocks are equally long."""
        return self.steps % self.size == 0


def blocks_for(steps: int, turns: int, target: Target) -> Blocks | None:
    """The blocks of a loop whose every step is `turns` turns of a reduction; None where the whole is short.

    Where there is a choice, all blocks are equally long.
    """
    if steps < 2 or steps * turns <= (LONG if target.has_fma else SHORT):
        return None
    short = BLOCK if target.has_fma else BLOCK * 2 // 3
    wanted = max(1, round(short / turns), round(steps / MOST) if target.has_fma else 1)
    near = [n for n in range(-(-wanted // 2), wanted * 3 // 2 + 1) if steps % n == 0]
    return Blocks(steps, min(near, key=lambda n: abs(n - wanted)) if near else wanted)


def bytes_for(count: int, lanes: int) -> int:
    """Scratch bytes of one worker for `count` vectors."""
    return -(-count * lanes * FLOAT // LINE) * LINE


class Totals:
    """The totals of one tile: written by `start`, grown by `add`, read at the end."""

    def __init__(self, em: Emitter, pointer: Value) -> None:
        self.em, self.pointer = em, pointer

    def _places(self, count: int) -> list[Value]:
        return [self.em.offset(self.pointer, n * self.em.lanes * FLOAT) for n in range(count)]

    def start(self, sums: list[Value]) -> None:
        """Begin with `sums`."""
        for value, place in zip(sums, self._places(len(sums)), strict=True):
            self.em.store(value, place)

    def add(self, sums: list[Value]) -> None:
        """Add one block's sums."""
        for value, place in zip(sums, self._places(len(sums)), strict=True):
            self.em.store(self.em.load(place) + value, place)

    def read(self, count: int) -> list[Value]:
        """The totals."""
        return [self.em.load(place) for place in self._places(count)]

    def sum_up(
        self, sums: list[Value], blocks: Blocks, bounds: tuple[Index, Index],
        part: Callable[[Index, Index, list[Value]], list[Value]],
    ) -> list[Value]:  # fmt: skip
        """`sums` and the sums of all blocks of the rounds from bounds[0] to bounds[1].

        `part` gives the sums of so many rounds (second argument) from one on (first), beginning with zeros.
        """
        em, (low, high) = self.em, bounds
        self.start(sums)
        with em.loop(low, high, blocks.size) as loop:
            fixed = blocks.even and isinstance(low, int) and isinstance(high, int)
            count = blocks.size if fixed else em.smaller(high - loop.index, blocks.size)
            self.add(part(loop.index, count, [em.zeros() for _ in sums]))
        return self.read(len(sums))
