"""The default schedule of a convolution follows from a count of cycles, not from a search on the machine."""

from collections import Counter
from collections.abc import Iterator
from functools import lru_cache

from glowviz.compiler.backends.cpu.kernels.conv import (
    ConvSchedule,
    ConvSpec,
    can_flatten,
    panels,
)
from glowviz.compiler.backends.cpu.kernels.geometry import FLOAT, Cut
from glowviz.compiler.backends.cpu.kernels.tile import fits
from glowviz.compiler.target import Target

LATENCY = 10  # accumulators that keep two FMA units of latency 4 busy, loads included
LOAD = 0.04  # cycles of a load that hides behind FMAs: decides between tiles of equal work
STORE = 3.0  # cycles to finish one accumulator: epilogue and store
ENTRY = 40.0  # cycles to enter a tile: addresses, first misses, loop exits
L2_BYTES = 24.0  # a cycle, streaming
L3_BYTES = 10.0
WIDEST = 128  # columns of a flat plane beyond which more of them make no better tiles
TASKS = 32  # enough for some threads and eight chunks an instruction
BODY = 0.004  # relative price of each further body: code to compile and to fetch


@lru_cache(maxsize=1024)
def choose(spec: ConvSpec, target: Target) -> tuple[ConvSchedule, str]:
    """The cheapest schedule by the model below, and the sentence that says why."""
    candidates = _costs(spec, target)
    best, _, schedule = min(candidates, key=lambda c: c[:2])
    # one vector FMA, or one of pairs, a cycle, and nothing else
    least = spec.flops / (4 if spec.pairs else 2) / target.vector_width
    shape = f"{schedule.rows}x{schedule.columns} pixels x {schedule.vectors * target.vector_width} channels"
    why = (
        f"tile {shape}: the model expects {100 * least / best:.0f} % of the FMA rate, "
        f"best of {len(candidates)}; {schedule.outer} outermost"
    )
    return schedule, why


def ranked(spec: ConvSpec, target: Target, most: int) -> list[ConvSchedule]:
    """The cheapest schedules, the default first."""
    return [schedule for _, _, schedule in sorted(_costs(spec, target), key=lambda c: c[:2])[:most]]


def _costs(spec: ConvSpec, target: Target) -> list[tuple[float, int, ConvSchedule]]:
    work = {v: _panel_work(spec, v) for v in range(1, min(4, spec.result.blocks) + 1)}
    return [(cost(spec, s, work[s.vectors], target), n, s) for n, s in enumerate(_candidates(spec, target))]


def expected(spec: ConvSpec, target: Target) -> float:
    """Model cycles of the default schedule."""
    schedule, _ = choose(spec, target)
    return cost(spec, schedule, _panel_work(spec, schedule.vectors), target)


def _panel_work(spec: ConvSpec, vectors: int) -> Counter[tuple[int, int]]:
    """(vectors, steps of the reduction) -> how many panels have them."""
    taps = spec.kernel[0] * spec.kernel[1]
    return Counter((p.vectors, taps * (p.end - p.first)) for p in panels(spec, vectors))


def cost(spec: ConvSpec, schedule: ConvSchedule, work: Counter[tuple[int, int]], target: Target) -> float:
    """Model cycles of a schedule: FMAs or loads, whichever is more, plus the ends of tiles."""
    height, width = schedule.flat or (spec.result.height, spec.result.width)
    rows, columns = sizes_of(height, schedule.rows), sizes_of(width, schedule.columns)
    total, line = 0.0, target.vector_width * FLOAT
    stays = schedule.outer == "channels" or sum(n * v * s for (v, s), n in work.items()) * line < target.l2 // 2
    for (vectors, steps), count in work.items():
        near = stays and vectors * steps * line < target.l2 * 3 // 4
        stream = vectors * line / (L2_BYTES if near else L3_BYTES)
        for tall, row_count in rows:
            for wide, column_count in columns:
                positions = tall * wide
                loads = positions + vectors
                step = max(positions * vectors, loads, LATENCY, stream) + LOAD * loads
                tile = step * steps + STORE * positions * vectors + ENTRY
                total += tile * count * row_count * column_count
    total *= spec.result.batch
    bodies = len(rows) * len(columns) * len({vectors for vectors, _ in work})
    row_tasks = sum(count for _, count in rows) * spec.result.batch
    total += _traffic(spec, schedule, sum(work.values()), row_tasks, target)
    return total * (1 + BODY * bodies + sharing(row_tasks * sum(work.values())))


def sharing(tasks: int) -> float:
    """The relative price of tasks too few to be shared out evenly among threads."""
    return 0.01 * TASKS / tasks if tasks < TASKS else 0.0


@lru_cache(maxsize=4096)
def sizes_of(length: int, limit: int) -> tuple[tuple[int, int], ...]:
    """(tile size, how many) of a Cut."""
    return tuple(Cut(length, limit).sizes.items())


def _traffic(spec: ConvSpec, schedule: ConvSchedule, count: int, rows: int, target: Target) -> float:
    # bytes that come again from behind L2 because the other operand's turn was too long, at 16 a cycle
    source = spec.source.image * spec.result.batch
    weights = FLOAT * spec.result.blocks * spec.result.block * spec.kernel[0] * spec.kernel[1]
    weights *= spec.source.channels // spec.group
    if schedule.outer == "channels":
        again = source * (count - 1) if source > target.l2 // 2 else 0
        if weights / count > target.l2 * 3 // 4:
            again += weights * (rows - 1)
    else:
        again = weights * (rows - 1) if weights > target.l2 // 2 else 0
    return again / 16


def _candidates(spec: ConvSpec, target: Target) -> Iterator[ConvSchedule]:
    shapes: list[tuple[int, int] | None] = [None]
    if can_flatten(spec):
        pixels = spec.result.height * spec.result.width
        widths = [w for w in range(6, min(pixels, WIDEST)) if pixels % w == 0]
        shapes = [(pixels // w, w) for w in (*widths, pixels)]
    for shape in shapes:
        height, width = shape or (spec.result.height, spec.result.width)
        for vectors in range(1, min(4, spec.result.blocks) + 1):
            yield from _tiles(spec, target, shape, height, width, vectors)


def _tiles(
    spec: ConvSpec, target: Target, shape: tuple[int, int] | None, height: int, width: int, vectors: int
) -> Iterator[ConvSchedule]:
    seen = set()
    for rows in range(1, min(height, 4) + 1):
        limit = next((c for c in range(width, 0, -1) if fits(rows * c, vectors, target)), 0)
        for columns in {limit, limit - 1} if limit else ():
            if columns < 1 or (shape and rows > 1 and columns < width):
                continue  # flat rows of a tile must be neighbours in memory
            cut = sizes_of(width, columns)[0][0]
            if (rows, cut) in seen:
                continue
            seen.add((rows, cut))
            for outer in ("channels", "rows"):
                yield ConvSchedule(vectors, rows, cut, outer=outer, flat=shape)
