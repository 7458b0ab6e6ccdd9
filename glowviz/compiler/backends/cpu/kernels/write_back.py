"""Finished sums leave the registers: bias, epilogue, zero lanes, store into a blocked map."""

from dataclasses import dataclass
from itertools import product

from glowviz.compiler.backends.cpu.emitter import Emitter
from glowviz.compiler.backends.cpu.kernels.epilogue import Epilogue, Extra, Step
from glowviz.compiler.backends.cpu.kernels.geometry import FLOAT, Map, Steps
from glowviz.compiler.backends.cpu.kernels.numbers import read, splat, write
from glowviz.compiler.backends.cpu.values import Index, Value

Place = tuple[Index, Index, Index]  # image, row, column


@dataclass
class Goal:
    """Where results go and what is applied to them on the way."""

    map: Map
    epilogue: Epilogue
    result: Value
    extras: list[Value]
    step: Step | None
    # distance of neighbouring rows and columns of the tile in the result (transposed convolutions leave gaps)
    steps: tuple[int, int] = (1, 1)
    bias: Value | None = None  # one number per channel


def start_of(em: Emitter, pointer: Value, layout: Map | Steps, place: Place, block: Index) -> Value:
    """The address of pixel `place` in channel block `block` of a map."""
    image, row, column = place
    distance: Index = layout.origin
    for index, step in ((image, layout.image), (block, layout.plane), (row, layout.row), (column, layout.pixel)):
        if step:
            distance = index * step + distance
    return em.offset(pointer, distance)


def write_back(
    em: Emitter, goal: Goal, sums: list[Value], rows: int, columns: int, vectors: int, place: Place, block: Index
) -> None:
    """Store sums [rows, columns, vectors], whose first pixel is `place` and whose first block is `block`.

    The bias comes last: a big one would round every product that is added to it. It is read for each sum again,
    because a vector of it for every block of channels would not fit beside the sums.
    """
    result = start_of(em, goal.result, goal.map, place, block)
    bases = [
        start_of(em, pointer, _walk(extra), place, block)
        for extra, pointer in zip(goal.epilogue.extras, goal.extras, strict=True)
    ]
    masks = [_mask(em, goal, block, v) for v in range(vectors)]
    bias = None if goal.bias is None else em.offset(goal.bias, block * (em.lanes * FLOAT))
    for index, value in enumerate(sums):
        pixel, v = divmod(index, vectors)
        y, x = divmod(pixel, columns)
        y, x = y * goal.steps[0], x * goal.steps[1]
        if bias is not None:
            value = value + em.load(em.offset(bias, v * em.lanes * FLOAT))
        if goal.step:
            value = goal.step(em, value, lambda n, y=y, x=x, v=v: _extra(em, goal, bases, n, (y, x, v)))
        mask = masks[v]
        if mask is not None:
            value = em.select(mask, value, em.zeros(value.type))
        write(em, value, em.offset(result, _inside(goal.map, y, x, v)), goal.map.number)


def ask_for(
    em: Emitter, goal: Goal, rows: int, columns: int, vectors: int, place: Place, block: Index
) -> None:  # fmt: skip
    """Ask for the lines of further operands that `write_back` will read, while the sums are still being made."""
    for extra, pointer in zip(goal.epilogue.extras, goal.extras, strict=True):
        walk = _walk(extra)
        if not walk.pixel:
            continue
        start = start_of(em, pointer, walk, place, block)
        for y, x, v in product(range(rows), range(columns), range(vectors)):
            em.prefetch(em.offset(start, _inside(walk, y, x, v)), locality=3)


def _walk(extra: Extra) -> Map | Steps:
    assert extra.map is not None, "an operand of a feature map needs to say where its numbers lie"
    return extra.map


def _inside(layout: Map | Steps, y: int, x: int, v: int) -> int:
    return v * layout.plane + y * layout.row + x * layout.pixel


def _extra(em: Emitter, goal: Goal, bases: list[Value], n: int, at: tuple[int, int, int]) -> Value:
    walk = _walk(goal.epilogue.extras[n])
    address = em.offset(bases[n], _inside(walk, *at))
    return (splat if isinstance(walk, Steps) and walk.splat else read)(em, address, walk.number)


def _mask(em: Emitter, goal: Goal, block: Index, v: int) -> Value | None:
    # spare lanes hold 0 + 0·x = 0 unless a bias or an epilogue made something of them
    if goal.map.channels % em.lanes == 0 or not (goal.step or goal.epilogue.bias):
        return None
    return em.first_lanes(goal.map.channels - (block + v) * em.lanes)
