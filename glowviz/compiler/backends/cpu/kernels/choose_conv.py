"""The default schedule of a convolution follows from a count of cycles, not from a search on the machine."""

from collections.abc import Iterator

from glowviz.compiler.backends.cpu.kernels.conv import (
    ConvSchedule,
    ConvSpec,
    can_flatten,
    flattened,
    panels,
)
from glowviz.compiler.backends.cpu.kernels.geometry import FLOAT, Cut
from glowviz.compiler.backends.cpu.kernels.tile import fits
from glowviz.compiler.target import Target

LATENCY = 8  # accumulators that keep two FMA units of latency 4 busy
STORE = 3.0  # cycles to finish one accumulator: epilogue and store
ENTRY = 40.0  # cycles to enter a tile: addresses, first misses, loop exits
BODY = 0.004  # relative price of each further body: code to compile and to fetch


def choose(spec: ConvSpec, target: Target) -> tuple[ConvSchedule, str]:
    """The cheapest schedule by the model below, and the sentence that says why."""
    candidates = [(cost(spec, s, target), n, s) for n, s in enumerate(_candidates(spec, target))]
    best, _, schedule = min(candidates, key=lambda c: c[:2])
    least = min_cycles(spec, target)
    shape = f"{schedule.rows}x{schedule.columns} pixels x {schedule.vectors * target.vector_width} channels"
    why = (
        f"tile {shape}: the model expects {100 * least / best:.0f} % of the FMA rate, "
        f"best of {len(candidates)}; {schedule.outer} outermost"
    )
    return schedule, why


def min_cycles(spec: ConvSpec, target: Target) -> float:
    """Cycles if one vector FMA a cycle were all there is (units of the model, not of the machine)."""
    return spec.flops / 2 / target.vector_width


def cost(spec: ConvSpec, schedule: ConvSchedule, target: Target) -> float:
    """Model cycles of a schedule: FMAs or loads, whichever is more, plus the ends of tiles."""
    if schedule.flat:
        spec = flattened(spec, schedule.flat)
    rows, columns = Cut(spec.result.height, schedule.rows), Cut(spec.result.width, schedule.columns)
    total, bodies = 0.0, set()
    for panel in panels(spec, schedule.vectors):
        steps = spec.kernel[0] * spec.kernel[1] * (panel.end - panel.first)
        for height, row_count in rows.sizes.items():
            for width, column_count in columns.sizes.items():
                bodies.add((panel.vectors, height, width))
                positions = height * width
                work = max(positions * panel.vectors, positions + panel.vectors, LATENCY)
                tile = work * steps + STORE * positions * panel.vectors + ENTRY
                total += tile * row_count * column_count
    total *= spec.result.batch
    return (total + _traffic(spec, schedule, target)) * (1 + BODY * len(bodies))


def _traffic(spec: ConvSpec, schedule: ConvSchedule, target: Target) -> float:
    # bytes that come again from behind L2 because the other operand's turn was too long, at 16 a cycle
    source = spec.source.image * spec.result.batch
    weights = FLOAT * spec.result.blocks * spec.result.block * spec.kernel[0] * spec.kernel[1]
    weights *= spec.source.channels // spec.group
    count = len(panels(spec, schedule.vectors))
    rows = Cut(spec.result.height, schedule.rows).tiles * spec.result.batch
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
        shapes = [(pixels // w, w) for w in range(1, pixels + 1) if pixels % w == 0 and (w >= 6 or w == pixels)]
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
        for columns in {limit, limit - 1, limit - 2} if limit else ():
            if columns < 1:
                continue
            cut = max(Cut(width, columns).sizes)
            if (rows, cut) in seen:
                continue
            seen.add((rows, cut))
            for outer in ("channels", "rows"):
                yield ConvSchedule(vectors, rows, cut, outer=outer, flat=shape)
