"""Products of 8-bit matrices by dot products of four bytes: columns are interleaved once, rows broadcast.

C[m, n] = Σ_k (R[m, k] - r) · (X[k, n] - x). Vectors run along n; four neighbours along k lie in each 32-bit lane. The
columns are the places of a map (a convolution) or the columns of a matrix. vpdpbusd multiplies unsigned with signed
bytes: where a side has the other sign its bytes are shifted by 128, and so is its zero point.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from glowviz.compiler.backends.cpu.kernels.cells import Cells
from glowviz.compiler.backends.cpu.kernels.geometry import Cut
from glowviz.compiler.backends.cpu.kernels.nest import Piece
from glowviz.compiler.backends.cpu.values import Index, Value, vector_of
from glowviz.compiler.types import Order

LANES = 16
PANEL = 64
"""Columns of a panel: four vectors of sums for each row."""
SUMS = 24
"""Accumulators; vectors of columns and a broadcast row take the rest of 32 registers."""
SHARES = 16
"""Tasks that are enough to be shared out."""
LEAST_ROWS = 128
"""Rows for which interleaving the columns once more is worth another task."""
WIDE, BYTES = f"<{LANES} x i32>", f"<{4 * LANES} x i8>"
FLIP = 128
FOURS, PANELS = Order(((0, 0), (1, 0), (0, 4))), Order(((1, 0), (0, 0), (1, PANEL), (0, 4)))
"""Orders of a matrix whose columns lie as vpdpbusd takes them: all together, or whole panels one behind the other."""
ROW = 24
"""Bytes of what is kept of a row in `ends`."""

Finish = Callable[[Index, Index, list[list[Value]]], None]
"""Takes the first row, the first column and the sums of a tile: rows of vectors."""


@dataclass(frozen=True)
class Columns:
    """A panel is rows x width neighbouring columns, `most` at most; `row` and `step` are the bytes between them.

    `lines` and `pieces` count columns in all.
    """

    lines: int
    pieces: int
    row: int
    step: int
    unsigned: bool
    most: int = PANEL
    mixed: int = 0
    """Where four bytes of each column lie side by side already, so many columns lie together."""

    @property
    def width(self) -> int:
        """Neighbours along a line in one panel."""
        cut = Cut(self.pieces, self.most)
        return cut.short + bool(cut.long_tiles)

    @property
    def rows(self) -> int:
        """Lines in one panel: several only where each is whole."""
        return max(1, min(self.lines, self.most // self.width)) if self.width == self.pieces else 1

    @property
    def count(self) -> int:
        """Columns of a panel."""
        return self.rows * self.width

    @property
    def vectors(self) -> int:
        """Vectors of a panel."""
        return -(-self.count // LANES)

    def lanes(self, vector: int) -> int:
        """Lanes of a vector that count."""
        return min(LANES, self.count - vector * LANES)

    @property
    def tiles(self) -> tuple[int, int]:
        """Panels along lines, and along a line."""
        return -(-self.lines // self.rows), -(-self.pieces // self.width)


@dataclass
class ByteProduct:
    """Writes the product of `rows` rows of `depth` bytes, `pitch` bytes apart, with columns of as many.

    The distances from a column's first byte to its others must be in `places` (i64) before a panel is made.
    """

    cells: Cells
    rows: int
    depth: int
    pitch: int
    columns: Columns
    rows_unsigned: bool
    signed_rows: bool
    """Whether rows are the signed side of the dot product."""

    def __post_init__(self) -> None:
        self.em: Any = self.cells.em
        self.groups = -(-self.depth // 4)
        self.tall = max(1, min(self.rows, SUMS // self.columns.vectors))
        down, along = self.columns.tiles
        self.panels = down * along
        wanted = -(-SHARES // self.panels)
        self.cut = Cut(self.rows, max(LEAST_ROWS, -(-self.rows // wanted)))
        self.blocks = self.cut.tiles
        row = self.columns.vectors * 64
        compact = self.depth * row // 4 if self.columns.rows > 1 else 0
        sizes = (self.groups * row, 8 * self.depth, compact, row, ROW * self.cut.limit)
        starts = [sum(-(-size // 64) * 64 for size in sizes[:n]) for n in range(len(sizes) + 1)]
        self.cells.scratch = starts[-1]
        area = self.em.offset(self.em.argument(len(self.cells.operands)), self.em.worker * self.cells.scratch)
        self.panel, self.places, self.compact, self.sums, self.ends = (self.em.offset(area, s) for s in starts[:-1])

    @property
    def row_shift(self) -> int:
        """What is taken off each row byte before it is multiplied."""
        return FLIP * (self.rows_unsigned - (not self.signed_rows))

    @property
    def column_shift(self) -> int:
        """What is taken off each column byte before it is multiplied."""
        return FLIP * (self.columns.unsigned - self.signed_rows)

    # -- tasks ------------------------------------------------------------------------------------
    def piece(self, lead: Sequence[int], emit: Callable[[Sequence[Index], Task], None]) -> Piece:
        """All products of a batch of `lead` matrices; `emit` writes one task for given places of the batch."""
        share = max(1, self.panels * self.blocks // SHARES)
        tasks = -(-self.panels // share)

        def one(tile: Index) -> None:
            em = self.em
            block, rest = em.remainder(tile, self.blocks), em.divide(tile, self.blocks)
            first = em.remainder(rest, tasks) * share
            at = self.cells.unravel(em.divide(rest, tasks), lead)
            low = em.smaller(block * self.cut.limit, self.rows - min(self.rows, self.cut.limit))
            last = em.smaller(first + share, self.panels)
            emit(at, Task(self, low, first, last))

        total = tasks * self.blocks
        for n in lead:
            total *= n
        return Piece(total, one)

    def corner(self, panel: Index) -> tuple[Index, Index]:
        """First line and column of a panel; the last ones overlap those before."""
        em, columns = self.em, self.columns
        _, along = columns.tiles
        line = em.smaller(em.divide(panel, along) * columns.rows, columns.lines - columns.rows)
        piece = em.smaller(em.remainder(panel, along) * columns.width, columns.pieces - columns.width)
        return line, piece

    # -- columns ----------------------------------------------------------------------------------
    def interleave(self, source: Value, sums: bool) -> None:
        """Fill the panel with the columns from `source` on; with `sums` also the sums of each."""
        em, count = self.em, self.columns.vectors

        def group(number: Index, present: int, carry: list[Value]) -> list[Value]:
            mixed = self.mixed(source, number, present)
            for v, vector in enumerate(mixed):
                em.store(vector, em.offset(self.panel, number * (64 * count) + 64 * v))
            return [self.dot(total, em.constant(1, BYTES), v) for total, v in zip(carry, mixed, strict=sums)]

        zeros = [em.constant(0, WIDE)] * count if sums else []
        for v, total in enumerate(self._over_groups(zeros, group)):
            em.store(total, em.offset(self.sums, v * 64))

    def _over_groups(self, first: list[Value], group: Callable[[Index, int, list[Value]], list[Value]]) -> list[Value]:
        """`group(number, bytes of it, values)` for all groups of four along k; the last may have fewer."""
        whole = self.depth // 4
        found = first
        if whole:
            with self.em.loop(0, whole, carry=first) as loop:
                loop.next = group(loop.index, 4, loop.carry)
            found = loop.results
        return group(whole, self.depth % 4, found) if self.depth % 4 else found

    def mixed(self, source: Value, group: Index, present: int) -> list[Value]:
        """The columns of a panel, four bytes of each side by side."""
        em, found = self.em, []
        if self.columns.mixed:
            here = em.offset(source, group * (4 * self.columns.mixed))
            for v in range(self.columns.vectors):
                lanes, start = self.columns.lanes(v), em.offset(here, 64 * v)
                some = em.load_lanes(start, em.first_lanes(4 * lanes, 64), BYTES)
                found.append(self._flipped(em.load(start, BYTES) if lanes == LANES else some, present))
            return found
        starts = [self._start(source, group, n) for n in range(present)]
        for v in range(self.columns.vectors):
            parts = [self._bytes(start, v) for start in starts]
            parts += [em.constant(0, parts[0].type)] * (4 - present)
            pairs = [em.shuffle(parts[n], parts[n + 1], range(2 * LANES)) for n in (0, 2)]
            order = [n + LANES * part for n in range(LANES) for part in range(4)]
            found.append(self._flipped(em.shuffle(pairs[0], pairs[1], order), present))
        return found

    def _flipped(self, mixed: Value, present: int) -> Value:
        if not self.column_shift:
            return mixed
        em = self.em
        word = sum(FLIP << 8 * n for n in range(present))
        return mixed ^ em.bits_as(em.constant(word - (word >> 31 << 32), WIDE), BYTES)

    def _start(self, source: Value, group: Index, n: int) -> Value:
        em = self.em
        if self.columns.rows > 1:
            return em.offset(self.compact, (group * 4 + n) * (self.columns.vectors * LANES))
        return em.offset(source, em.load(em.offset(self.places, group * 32 + 8 * n), "i64"))

    def prepare(self, source: Value) -> None:
        """Where lines are short, the columns from `source` on without gaps between lines."""
        if self.columns.rows > 1:
            self._compact(source)

    def _bytes(self, start: Value, vector: int) -> Value:
        if self.columns.rows > 1:
            return self.em.load(self.em.offset(start, vector * LANES), vector_of("i8", LANES))
        return self._strided(start, vector * LANES, self.columns.lanes(vector))

    def _strided(self, start: Value, first: int, lanes: int) -> Value:
        """`lanes` bytes from number `first` on, one in every `step`."""
        em, step = self.em, self.columns.step
        here, kind = em.offset(start, first * step), vector_of("i8", LANES * step)
        touched = (lanes - 1) * step + 1
        full = lanes == LANES and step == 1
        found = em.load(here, kind) if full else em.load_lanes(here, em.first_lanes(touched, LANES * step), kind)
        return found if step == 1 else em.shuffle(found, found, range(0, LANES * step, step))

    def _compact(self, source: Value) -> None:
        """The lines of a panel one behind the other, for every k; what a copy writes too much the next one mends."""
        em, columns = self.em, self.columns
        pitch = columns.vectors * LANES
        with em.loop(0, self.depth) as loop:
            start = em.offset(source, em.load(em.offset(self.places, loop.index * 8), "i64"))
            goal = em.offset(self.compact, loop.index * pitch)
            for y in range(columns.rows):
                for at in range(0, columns.width, LANES):
                    lanes = min(LANES, columns.width - at)
                    found = self._strided(em.offset(start, y * columns.row), at, lanes)
                    place = y * columns.width + at
                    if place + LANES <= pitch:
                        em.store(found, em.offset(goal, place))
                    else:
                        em.store_lanes(found, em.offset(goal, place), em.first_lanes(pitch - place, LANES))

    # -- sums -------------------------------------------------------------------------------------
    def multiply(self, row: Value, source: Value | None, sums: bool) -> list[list[Value]]:
        """Sums of `tall` rows from `row` on with the panel; with `source`, with columns read from there.

        With `source` and `sums`, those of the columns too, which are left where they are expected.
        """
        em, count = self.em, self.columns.vectors

        def group(number: Index, present: int, totals: list[Value]) -> list[Value]:
            here = em.offset(self.panel, number * (64 * count))
            vectors = (
                [em.load(em.offset(here, 64 * v), BYTES) for v in range(count)]
                if source is None else self.mixed(source, number, present)
            )  # fmt: skip
            found: list[Value] = []
            for n in range(self.tall):
                four = self._row_bytes(em.offset(row, n * self.pitch), number, present)
                found += [self.dot(totals[n * count + v], four, vector) for v, vector in enumerate(vectors)]
            seen = zip(totals[len(found) :], vectors, strict=False)
            return [*found, *(self.dot(total, em.constant(1, BYTES), vector) for total, vector in seen)]

        rows = self.tall + (sums and source is not None)
        totals = self._over_groups([em.constant(0, WIDE)] * (rows * count), group)
        for v, total in enumerate(totals[self.tall * count :]):
            em.store(total, em.offset(self.sums, v * 64))
        return [totals[n * count : (n + 1) * count] for n in range(self.tall)]

    def _row_bytes(self, row: Value, group: Index, present: int) -> Value:
        """Four bytes of a row in every lane; of fewer, those that a column has zeros for may be anything."""
        em = self.em
        if present == 4:
            word = em.load(em.offset(row, group * 4), "i32")
        elif self.depth < 4:
            one, *more = (em.convert("zext", em.load(em.offset(row, n), "i8"), "i32") for n in range(present))
            word = one
            for n, byte in enumerate(more, 1):
                word = word | (byte << 8 * n)
        else:  # nothing behind the row is read
            word = em.load(em.offset(row, self.depth - 4), "i32")
            word = em.value("i32", f"lshr i32 {word.text}, {8 * (4 - present)}")
        four = em.bits_as(em.splat(word, LANES), BYTES)
        return four ^ em.constant(-FLIP, BYTES) if self.row_shift else four

    def dot(self, total: Value, row: Value, column: Value) -> Value:
        """total + row · column."""
        return dot_bytes(self.em, total, *((column, row) if self.signed_rows else (row, column)))

    def row_sum(self, start: Value) -> Value:
        """The sum of the bytes of a row as they are multiplied, i32."""
        em, total = self.em, self.em.constant(0, WIDE)
        whole = self.depth // 64 * 64
        if whole:
            with em.loop(0, whole, 64, carry=[total]) as loop:
                loop.next = [self._ones(loop.carry[0], em.load(em.offset(start, loop.index), BYTES))]
            total = loop.results[0]
        if whole < self.depth:
            rest = em.load_lanes(em.offset(start, whole), em.first_lanes(self.depth - whole, 64), BYTES)
            total = self._ones(total, rest)
        return em.reduce_add(total) - self.row_shift * self.depth

    def _ones(self, total: Value, raw: Value) -> Value:
        ones = self.em.constant(1, BYTES)
        return dot_bytes(self.em, total, *((raw, ones) if self.rows_unsigned else (ones, raw)))


@dataclass
class Task:
    """Some panels of columns and a block of rows from `low` on."""

    product: ByteProduct
    low: Index
    first: Index
    last: Index

    def each_row(self, body: Callable[[Index, Index], None]) -> None:
        """`body(row number, its number in the block)` once for every row."""
        p = self.product
        with p.em.loop(0, min(p.rows, p.cut.limit)) as loop:
            body(loop.index + self.low, loop.index)

    def each_panel(self, source: Callable[[Index, Index], Value], row: Value, finish: Finish, sums: bool) -> None:
        """Columns from `source(line, piece)`, rows from `row` (the first of all) on; `finish` gets every tile.

        With `sums`, those of the panel's columns are in `product.sums` when it is asked.
        """
        p, em = self.product, self.product.em
        count = min(p.rows, p.cut.limit)
        with em.loop(self.first, self.last) as panels:
            line, piece = p.corner(panels.index)
            start, column = source(line, piece), line * p.columns.pieces + piece
            p.prepare(start)
            once = count == p.tall and (count + sums + 1) * p.columns.vectors < p.cells.target.registers
            if not once:
                p.interleave(start, sums)
            with em.loop(0, -(-count // p.tall)) as loop:
                inside = em.smaller(loop.index * p.tall, count - p.tall) + self.low
                here = em.offset(row, inside * p.pitch)
                finish(inside, column, p.multiply(here, start if once else None, sums))


def dot_bytes(em: Any, total: Value, unsigned: Value, signed: Value) -> Value:
    """total + the four products of each 32-bit lane."""
    name = "llvm.x86.avx512.vpdpbusd.512"
    em.declarations[name] = f"declare {WIDE} @{name}({WIDE}, {BYTES}, {BYTES})"
    return em.value(WIDE, f"call {WIDE} @{name}({total!r}, {unsigned!r}, {signed!r})")
