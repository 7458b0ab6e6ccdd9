"""Finished sums leave the registers: epilogue, zero lanes, store into a blocked map."""

from dataclasses import dataclass

from glowviz.compiler.backends.cpu.emitter import Emitter
from glowviz.compiler.backends.cpu.kernels.epilogue import Epilogue, Step
from glowviz.compiler.backends.cpu.kernels.geometry import FLOAT, Map
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


def start_of(em: Emitter, pointer: Value, layout: Map, place: Place, block: Index) -> Value:
    """The address of pixel `place` in channel block `block` of a map."""
    image, row, column = place
    distance = image * layout.image + block * layout.plane + layout.origin
    return em.offset(pointer, distance + row * layout.row + column * layout.pixel)


def write_back(
    em: Emitter, goal: Goal, sums: list[Value], rows: int, columns: int, vectors: int, place: Place, block: Index
) -> None:
    """Store sums [rows, columns, vectors], whose first pixel is `place` and whose first block is `block`."""
    result = start_of(em, goal.result, goal.map, place, block)
    bases = [
        start_of(em, pointer, extra.map, place, block) if extra.map else pointer
        for extra, pointer in zip(goal.epilogue.extras, goal.extras, strict=True)
    ]
    masks = [_mask(em, goal, block, v) for v in range(vectors)]
    for index, value in enumerate(sums):
        pixel, v = divmod(index, vectors)
        y, x = divmod(pixel, columns)
        y, x = y * goal.steps[0], x * goal.steps[1]
        if goal.step:
            value = goal.step(em, value, lambda n, y=y, x=x, v=v: _extra(em, goal, bases, n, (y, x, v), block))
        mask = masks[v]
        if mask is not None:
            value = em.select(mask, value, em.zeros(value.type))
        em.store(value, em.offset(result, _inside(goal.map, y, x, v)))


def _inside(layout: Map, y: int, x: int, v: int) -> int:
    return v * layout.plane + y * layout.row + x * layout.pixel


def _extra(em: Emitter, goal: Goal, bases: list[Value], n: int, at: tuple[int, int, int], block: Index) -> Value:
    extra, base = goal.epilogue.extras[n], bases[n]
    if extra.kind == "scalar":
        return em.load_splat(base)
    if extra.kind == "channel":
        return em.load(em.offset(base, (block + at[2]) * (em.lanes * FLOAT)))
    assert extra.map is not None, "an operand of the result's shape needs a map"
    return em.load(em.offset(base, _inside(extra.map, *at)))


def _mask(em: Emitter, goal: Goal, block: Index, v: int) -> Value | None:
    # spare lanes hold 0 + 0·x = 0 unless an epilogue made something of them
    if goal.step is None or goal.map.channels % em.lanes == 0:
        return None
    return em.first_lanes(goal.map.channels - (block + v) * em.lanes)
