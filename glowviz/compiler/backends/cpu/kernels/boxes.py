"""Any affine walk over tensors in any memory order falls into boxes: nested loops with constant byte steps.

An iteration space has axes of given extents. Every operand axis is read at `offset + Σ coefficient · index`.
Where an operand is tiled (@NCHW16c), the iteration axis is cut at the tile borders, so that inside one box every
address is again a base plus a constant step per loop.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from math import gcd, lcm, prod

from glowviz.compiler.program import Buffer


class Unsupported(Exception):
    """This kernel family cannot do the instruction; the interpreter has to."""


@dataclass(frozen=True)
class Axis:
    """How one operand axis is indexed: offset + Σ coefficient · iteration index."""

    offset: int = 0
    terms: tuple[tuple[int, int], ...] = ()
    """(iteration axis, coefficient)"""


@dataclass(frozen=True)
class Access:
    """A buffer and how each of its logical axes follows the iteration axes."""

    buffer: Buffer
    axes: tuple[Axis, ...]


@dataclass(frozen=True)
class Dim:
    """One loop: turns, and the bytes each operand moves per turn."""

    extent: int
    steps: tuple[int, ...]


@dataclass(frozen=True)
class Box:
    """Nested loops, outermost first; `bases` are the byte offsets of the first element of each operand."""

    bases: tuple[int, ...]
    dims: tuple[Dim, ...]

    @property
    def count(self) -> int:
        return prod(d.extent for d in self.dims)


@dataclass(frozen=True)
class Strides:
    """Where a buffer's elements lie: byte step per logical axis, with at most one inner tile for each axis."""

    base: int
    outer: tuple[int, ...]
    tile: tuple[int, ...]
    inner: tuple[int, ...]


def strides_of(buffer: Buffer) -> Strides:
    """Byte steps of a buffer, halo included; Unsupported for orders with nested tiles."""
    shape, rank, size = buffer.physical, len(buffer.type.dims), buffer.type.dtype.itemsize
    dims = buffer.type.order.dims if buffer.type.order else tuple((a, 0) for a in range(rank))
    step, outer, tile, inner = size, [0] * rank, [1] * rank, [0] * rank
    for (axis, factor), extent in zip(reversed(dims), reversed(shape), strict=True):
        if factor == 0:
            outer[axis] = step
        elif tile[axis] == 1:
            tile[axis], inner[axis] = factor, step
        else:
            raise Unsupported(f"%{buffer.name} has nested tiles")
        step *= extent
    halo = buffer.halo
    base = halo.top * outer[2] + halo.left * outer[3] if halo else 0
    return Strides(base, tuple(outer), tuple(tile), tuple(inner))


def direct(buffer: Buffer, rank: int | None = None) -> Access:
    """The buffer's axes are the iteration's last ones; axes of size 1 stay where they are (broadcast)."""
    dims = buffer.type.dims
    lead = (len(dims) if rank is None else rank) - len(dims)
    return Access(buffer, tuple(Axis(0, ((lead + a, 1),) if n != 1 else ()) for a, n in enumerate(dims)))


@dataclass(frozen=True)
class _Fine:
    """An operand axis whose tile borders an iteration axis crosses."""

    operand: int
    coefficient: int
    offset: int
    tile: int
    outer: int
    inner: int


@dataclass(frozen=True)
class _Part:
    """A stretch of one iteration axis: what it adds to every base, and its one or two loops."""

    bases: tuple[int, ...]
    dims: tuple[Dim, ...]


def boxes(extents: Sequence[int], accesses: Sequence[Access]) -> list[Box]:
    """All boxes of the walk; none where it is empty. Unsupported where a tile is crossed along several axes."""
    if 0 in extents:
        return []
    bases = [0] * len(accesses)
    plain = [[0] * len(accesses) for _ in extents]
    fine: list[list[_Fine]] = [[] for _ in extents]
    for p, access in enumerate(accesses):
        strides = strides_of(access.buffer)
        bases[p] += strides.base
        for a, axis in enumerate(access.axes):
            bases[p] += _place(strides, a, p, axis, plain, fine)
    parts = [_parts(n, plain[v], fine[v]) for v, n in enumerate(extents)]
    return [_join(bases, chosen) for chosen in product(*parts)]


def _place(strides: Strides, a: int, p: int, axis: Axis, plain: list[list[int]], fine: list[list[_Fine]]) -> int:
    """Spread the steps of one operand axis over the iteration axes; gives its part of the base."""
    outer, tile, inner = strides.outer[a], strides.tile[a], strides.inner[a]
    crossing = [v for v, coefficient in axis.terms if coefficient % tile]
    if len(crossing) > 1:
        raise Unsupported("a tile is crossed along several axes at once")
    for v, coefficient in axis.terms:
        if v in crossing:
            fine[v].append(_Fine(p, coefficient, axis.offset, tile, outer, inner))
        else:
            plain[v][p] += coefficient // tile * outer
    return 0 if crossing else axis.offset // tile * outer + axis.offset % tile * inner


def _parts(extent: int, plain: list[int], fine: list[_Fine]) -> list[_Part]:
    if not fine:
        return [_Part((0,) * len(plain), (Dim(extent, tuple(plain)),))]
    period = lcm(*(f.tile // gcd(f.tile, f.coefficient) for f in fine))
    starts = [i for i in range(period) if i == 0 or any(_block(f, i) != _block(f, i - 1) for f in fine)]
    parts: list[_Part] = []
    for start, end in zip(starts, [*starts[1:], period], strict=True):
        whole = (extent - end) // period + 1 if extent >= end else 0
        if whole:
            parts.append(_part(start, (whole, end - start), period, plain, fine))
        rest = extent - (whole * period + start)
        if rest > 0:
            parts.append(_part(whole * period + start, (1, rest), period, plain, fine))
    return parts


def _block(f: _Fine, i: int) -> int:
    return (f.coefficient * i + f.offset) // f.tile


def _part(start: int, turns: tuple[int, int], period: int, plain: list[int], fine: list[_Fine]) -> _Part:
    bases = [step * start for step in plain]
    outer, inner = [step * period for step in plain], list(plain)
    for f in fine:
        first = f.coefficient * start + f.offset
        bases[f.operand] += first // f.tile * f.outer + first % f.tile * f.inner
        outer[f.operand] += f.coefficient * period // f.tile * f.outer
        inner[f.operand] += f.coefficient * f.inner
    return _Part(tuple(bases), (Dim(turns[0], tuple(outer)), Dim(turns[1], tuple(inner))))


def _join(bases: Sequence[int], parts: Sequence[_Part]) -> Box:
    total = tuple(sum(column) for column in zip(bases, *(part.bases for part in parts), strict=True))
    return Box(total, tuple(d for part in parts for d in part.dims if d.extent != 1))


def padding(buffer: Buffer) -> list[Box]:
    """The spare lanes of a tiled buffer's last blocks, for the one operand; no box where blocks are full."""
    strides, dims = strides_of(buffer), buffer.type.dims
    found: list[Box] = []
    for a, n in enumerate(dims):
        spare = -n % strides.tile[a]
        if spare:
            extents = (*dims[:a], spare, *dims[a + 1 :])
            axes = tuple(Axis(n if b == a else 0, ((b, 1),)) for b in range(len(dims)))
            found += boxes(extents, [Access(buffer, axes)])
    return found


def ordered(box: Box, by: int = 0) -> Box:
    """The same box with loops from the largest step of operand `by` to the smallest, and loops joined."""
    dims = sorted(box.dims, key=lambda d: -abs(d.steps[by]))
    return Box(box.bases, joined(dims))


def joined(dims: Iterable[Dim]) -> tuple[Dim, ...]:
    """Neighbouring loops that walk memory like one become one."""
    found: list[Dim] = []
    for dim in dims:
        if dim.extent == 1:
            continue
        if found and all(o == dim.extent * i for o, i in zip(found[-1].steps, dim.steps, strict=True)):
            found[-1] = Dim(found[-1].extent * dim.extent, dim.steps)
        else:
            found.append(dim)
    return tuple(found)


def chopped(box: Box, at: int, size: int) -> list[Box]:
    """Loop `at` in blocks of `size` turns (two loops), and a second box for what is left over."""
    dim = box.dims[at]
    whole, rest = divmod(dim.extent, size)
    found: list[Box] = []
    if whole:
        outer = Dim(whole, tuple(s * size for s in dim.steps))
        found.append(Box(box.bases, (*box.dims[:at], outer, Dim(size, dim.steps), *box.dims[at + 1 :])))
    if rest:
        bases = tuple(b + s * whole * size for b, s in zip(box.bases, dim.steps, strict=True))
        found.append(Box(bases, (*box.dims[:at], Dim(rest, dim.steps), *box.dims[at + 1 :])))
    return found
