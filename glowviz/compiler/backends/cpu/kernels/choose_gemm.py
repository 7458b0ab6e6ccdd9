"""The default schedule of a matrix product follows from a count of cycles and of bytes that come again."""

from collections.abc import Iterator
from dataclasses import replace

from glowviz.compiler.backends.cpu.kernels.choose_conv import BODY, ENTRY, LATENCY, LOAD, STORE, sharing
from glowviz.compiler.backends.cpu.kernels.gemm import GemmSchedule, GemmSpec
from glowviz.compiler.backends.cpu.kernels.geometry import FLOAT, Cut
from glowviz.compiler.backends.cpu.kernels.tile import fits
from glowviz.compiler.target import Target

L2_BYTES = 24.0  # a cycle, streaming
L3_BYTES = 32.0  # a cycle, prefetched while FMAs run
DRAM_BYTES = 7.0  # a cycle, of weights that no cache holds
COLD = 0.9  # of the time of that stream that the first tile of rows does not hide: it alone waits, others find it near
ROWS_AGAIN = 0.25  # of a byte of A that comes again for the next panel: rows are few long streams, easily foreseen
COPY_ROWS = 4  # tiles of rows that pay for gathering a panel first
PREFETCHERS = 8  # rows that use a line of weights, at least: beside fewer of them asking costs more than it brings
FEW_TILES = 3  # tiles of rows that do not come back to a panel often enough to keep it near
FAR_ROW = 2048  # bytes between rows of B from which every row costs a new page or cache set


def choose(spec: GemmSpec, target: Target) -> tuple[GemmSchedule, str]:
    """The cheapest schedule by the model, and the sentence that says why."""
    candidates = _costs(spec, target)
    best, _, schedule = min(candidates, key=lambda c: c[:2])
    share = 100 * spec.flops / (4 if spec.pairs else 2) / target.vector_width / best
    tile = f"tile {schedule.rows}x{schedule.vectors * target.vector_width}"
    how = "panels of B copied to scratch" if schedule.copy else f"{schedule.outer} outermost"
    return schedule, f"{tile}: the model expects {share:.0f} % of the FMA rate, best of {len(candidates)}; {how}"


def ranked(spec: GemmSpec, target: Target, most: int) -> list[GemmSchedule]:
    """The cheapest schedules, the default first."""
    return [schedule for _, _, schedule in sorted(_costs(spec, target), key=lambda c: c[:2])[:most]]


def _costs(spec: GemmSpec, target: Target) -> list[tuple[float, int, GemmSchedule]]:
    found = [replace(s, prefetch=asks_ahead(spec, s, target)) for s in _candidates(spec, target)]
    return [(cost(spec, s, target), n, s) for n, s in enumerate(found)]


def asks_ahead(spec: GemmSpec, schedule: GemmSchedule, target: Target) -> bool:
    """Whether the next panel of weights is worth asking for: it comes from far and there is time to ask.

    Where many tiles of rows come back to a panel, both panels must stay in L2.
    """
    panel = FLOAT * spec.k * schedule.vectors * target.vector_width
    far = spec.b is None and schedule.outer == "panels" and FLOAT * spec.k * spec.n > target.l2 // 4
    few = Cut(spec.m, schedule.rows).tiles <= FEW_TILES
    return far and spec.m >= PREFETCHERS and (few or panel <= target.l2 // 3)


def cost(spec: GemmSpec, schedule: GemmSchedule, target: Target) -> float:
    """Model cycles: FMAs or loads, whichever is more, plus ends of tiles, copies and streams."""
    width = schedule.vectors * target.vector_width
    sizes = Cut(spec.m, schedule.rows).sizes
    panels = {schedule.vectors: spec.n // width}
    rest = -(-(spec.n % width) // target.vector_width)
    if rest:
        panels[rest] = panels.get(rest, 0) + 1
    total = 0.0
    for vectors, panel_count in panels.items():
        for rows, count in sizes.items():
            total += (
                (_step(spec, rows, vectors, target) * spec.k + STORE * rows * vectors + ENTRY) * count * panel_count
            )
        if schedule.copy:
            total += 2.0 * spec.k * vectors * panel_count
    total *= spec.batch
    total += COLD * max(
        0.0, _cold(spec, target) - total / (1 if schedule.prefetch else Cut(spec.m, schedule.rows).tiles)
    )
    tasks = spec.batch * sum(panels.values()) * (1 if schedule.copy else Cut(spec.m, schedule.rows).tiles)
    total += _traffic(spec, schedule, target)
    return total * (1 + BODY * len(sizes) * len(panels) + sharing(tasks))


def _cold(spec: GemmSpec, target: Target) -> float:
    """Cycles of the stream of weights from memory, where they are more than what stays near."""
    size = FLOAT * spec.k * spec.n
    return size / DRAM_BYTES if spec.b is None and size > target.l2 else 0.0


def _step(spec: GemmSpec, rows: int, vectors: int, target: Target) -> float:
    work = max(rows * vectors, rows + vectors, LATENCY) + LOAD * (rows + vectors)
    if FLOAT * spec.k * vectors * target.vector_width > target.l1 // 2:
        work = max(work, vectors * target.vector_width * FLOAT / L2_BYTES)
    # rows a power of two apart share few sets of L1, so many of them push each other out
    return work * 1.15 if rows > 8 and spec.a.row % 4096 == 0 else work


def _traffic(spec: GemmSpec, schedule: GemmSchedule, target: Target) -> float:
    width, tiles = schedule.vectors * target.vector_width, Cut(spec.m, schedule.rows).tiles
    b, a, panels = FLOAT * spec.k * spec.n, FLOAT * spec.m * spec.k, -(-spec.n // width)
    if schedule.outer == "panels":
        again = a * (panels - 1) * ROWS_AGAIN if a > target.l2 // 2 else 0
        again += b * (tiles - 1) if FLOAT * spec.k * width > target.l2 * 5 // 8 else 0
    else:
        again = b * (tiles - 1) if b > target.l2 // 2 else 0
    return again * spec.batch / L3_BYTES


def _candidates(spec: GemmSpec, target: Target) -> Iterator[GemmSchedule]:
    most = -(-spec.n // target.vector_width)
    # a mask for the last columns of an uncopied B lives in a vector register, except with AVX-512
    masks = int(spec.b is not None and spec.n % target.vector_width > 0 and target.registers < 32)
    widest = target.registers // 2
    if spec.in_blocks:  # two sets of sums; without FMA the weights are loaded beside them
        widest = (target.registers - 3 - masks) // (2 if target.has_fma else 3)
    for vectors in range(1, min(most, widest) + 1):
        limit = next((r for r in range(min(spec.m, 32), 0, -1) if fits(r, vectors, target, masks)), 0)
        for rows in {max(Cut(spec.m, r).sizes) for r in (limit, limit - 1, limit - 2) if r > 0}:
            if _must_copy(spec, rows):
                yield GemmSchedule(rows, vectors, copy=True)
            else:
                yield GemmSchedule(rows, vectors)
                yield GemmSchedule(rows, vectors, outer="rows")


def _must_copy(spec: GemmSpec, rows: int) -> bool:
    if spec.b is None:
        return False
    if spec.b.column != FLOAT:
        return True
    return spec.b.row >= FAR_ROW and Cut(spec.m, rows).tiles >= COPY_ROWS and spec.k > 64
