"""8-bit convolutions and matrix products by dot products of four bytes, where the machine has them (VNNI)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from glowviz.compiler.backends.cpu.kernels.boxes import Unsupported
from glowviz.compiler.backends.cpu.kernels.byte_planes import Planes
from glowviz.compiler.backends.cpu.kernels.byte_products import (
    FLIP,
    FOURS,
    LANES,
    PANEL,
    PANELS,
    ROW,
    ByteProduct,
    Columns,
    Task,
)
from glowviz.compiler.backends.cpu.kernels.cells import Cells, Tensor
from glowviz.compiler.backends.cpu.kernels.draft import supported
from glowviz.compiler.backends.cpu.kernels.requantize import Requantizer
from glowviz.compiler.backends.cpu.kernels.zero_points import Zero
from glowviz.compiler.backends.cpu.registry import KernelCode, kernel
from glowviz.compiler.backends.cpu.values import Index, Value, vector_of
from glowviz.compiler.ops import Conv
from glowviz.compiler.ops.integer_products import EIGHT
from glowviz.compiler.ops.windows import Windows
from glowviz.compiler.program import Instr, Program
from glowviz.compiler.target import Target

LEAST_FEATURES = 4
"""Features of a group from which interleaving its columns pays."""
WIDEST_STEP = 4
WIDER = {1: 4, 2: 2, 3: 2}
"""Of few rows the sums of more columns fit the registers, and b is read in longer stretches."""
FACTOR, ADDEND, ZERO, SUM = 0, 8, 12, 16  # where they lie in what is kept of a row


@dataclass
class _Ends:
    """What turns sums of a tile into results: Σ - r·Σx - x·Σr + depth·r·x + bias, then perhaps a requantizer."""

    cells: Cells
    product: ByteProduct
    rows: Zero
    columns: Zero
    requantizer: Requantizer | None
    bias: Tensor | None = None

    @property
    def needs_sums(self) -> bool:
        """Whether the sums of columns count."""
        return self.rows.always != 0

    def prepare(self, task: Task, row: Value, first: Index) -> None:
        """The addend, factor and zero point of each row into memory; `row` is row 0, number `first` for scales."""
        em: Any = self.cells.em
        p = self.product

        def each(number: Index, inside: Index) -> None:
            goal = em.offset(p.ends, inside * ROW)
            zero = self.rows.at(em, first + number)
            total = em.constant(0, "i32") if self.bias is None else self.bias.read([first + number])
            if self.columns.single and self.columns.always != 0:
                column = self.columns.at(em, 0)
                total = total - column * p.row_sum(em.offset(row, number * p.pitch))
                total = total + zero * column * p.depth
            elif not self.columns.single:
                em.store(p.row_sum(em.offset(row, number * p.pitch)), em.offset(goal, SUM))
            em.store(total, em.offset(goal, ADDEND))
            em.store(zero, em.offset(goal, ZERO))
            if self.requantizer is not None:
                em.store(self.requantizer.row_factor(first + number), em.offset(goal, FACTOR))

        task.each_row(each)

    def finish(self, task: Task, goal: Value, pitch: int, first: Index, column: Index, sums: list[list[Value]]) -> None:
        """A tile of results; `goal` is the address of row 0, column 0, rows lie `pitch` bytes apart."""
        em: Any = self.cells.em
        p = self.product
        if self.requantizer is not None:
            self.requantizer.start()
        ends = em.offset(p.ends, (em.index(first) - task.low) * ROW)
        for r, vectors in enumerate(sums):
            end = em.offset(ends, r * ROW)
            addend = em.load_splat(em.offset(end, ADDEND), LANES, "i32")
            for v, total in enumerate(vectors):
                lanes = p.columns.lanes(v)
                value = self._corrected(total + addend, end, column, v)
                if self.requantizer is not None:
                    value = self.requantizer.lanes(value, em.offset(end, FACTOR), column + v * LANES, lanes)
                self._store(value, em.offset(goal, (first + r) * pitch), column, v)

    def _corrected(self, total: Value, end: Value, column: Index, v: int) -> Value:
        em: Any = self.cells.em
        p = self.product
        columns = None
        if not self.columns.single:
            columns = self.columns.lanes(em, column + v * LANES, p.columns.lanes(v))
            total = total - columns * em.load_splat(em.offset(end, SUM), LANES, "i32")
        if not self.needs_sums:
            return total
        zero = em.load_splat(em.offset(end, ZERO), LANES, "i32")
        part = em.load(em.offset(p.sums, v * 64), vector_of("i32", LANES))
        return total - zero * (part if columns is None else part - columns * p.depth)

    def _store(self, value: Value, row: Value, column: Index, v: int) -> None:
        em: Any = self.cells.em
        size = self.cells.result.type.dtype.itemsize
        here, lanes = em.offset(row, (column + v * LANES) * size), self.product.columns.lanes(v)
        if lanes == LANES:
            em.store(value, here)
        else:
            em.store_lanes(value, here, em.first_lanes(lanes, LANES))


def _check(target: Target, *tensors: Tensor) -> None:
    if not target.has_vnni or target.vector_width != LANES:
        raise Unsupported("no dot products of bytes on this machine")
    for tensor in tensors:
        if tensor.elem not in EIGHT or tensor.buffer.type.order is not None or tensor.buffer.halo is not None:
            raise Unsupported(f"%{tensor.buffer.name} is {tensor.buffer.type}")
        if 0 in tensor.dims:
            raise Unsupported("an empty operand")


@kernel("conv_integer", "q_linear_conv")
@supported
def conv(instr: Instr, program: Program, target: Target) -> KernelCode:
    """Rows are the features of a group, columns the places of the map, whose padding must be in it already."""
    op = instr.op
    cells = Cells(instr, program, target)
    x, w = cells.tensor(op.x), cells.tensor(op.w)
    _check(target, x, w)
    windows = Conv("x", "w", None, op.strides, op.pads, op.dilations, op.group, op.auto_pad).windows(x.dims, w.dims)
    each_out = w.dims[0] // op.group
    if any(windows.begins) or any(windows.ends) or len(windows.kernel) > 2 or windows.strides[-1] > WIDEST_STEP:
        raise Unsupported("padding, three dims or large steps")
    quantized = instr.name == "q_linear_conv"
    requantizer = Requantizer(cells, op.x_scale, op.w_scale, op.y_scale, op.y_zero) if quantized else None
    bias = cells.tensor(op.b) if quantized and op.b is not None else None
    if each_out < LEAST_FEATURES and op.group > 1:
        return _depthwise(cells, windows, (x, w), requantizer, bias)
    columns, _, _ = _places(windows, x)
    depth = w.dims[1] * prod(windows.kernel)
    product = ByteProduct(cells, each_out, depth, depth, columns, w.elem == "u8", True)
    ends = _Ends(
        cells, product, Zero.of(cells, op.w_zero, product.row_shift), Zero.of(cells, op.x_zero, product.column_shift),
        requantizer, bias,
    )  # fmt: skip
    if not ends.columns.single:
        raise Unsupported("zero points along the map")
    cells.pieces.append(product.piece((x.dims[0], op.group), lambda at, task: _group(ends, windows, (x, w), at, task)))
    return cells.finish(
        f"{product.tall} features x {columns.rows}x{columns.width} places, four bytes of each at once",
        kernel=list(windows.kernel), panels=product.panels, blocks=product.blocks,
    )  # fmt: skip


def _group(ends: _Ends, windows: Windows, operands: tuple[Tensor, Tensor], at: Sequence[Index], task: Task) -> None:
    """One task of a convolution, for an image and a group."""
    (x, w), cells, product = operands, ends.cells, ends.product
    em, goal, columns, rest = cells.em, cells.result_tensor(), product.columns, [0] * len(windows.kernel)
    _, plane, row = _places(windows, x)
    taps = (d * s for d, s in zip(windows.dilations, (row, 1)[-len(rest) :], strict=True))
    _write_places(product, (w.dims[1], *windows.kernel), (plane, *taps))
    first = at[1] * product.rows
    weights = w.address([first, 0, *rest])
    ends.prepare(task, weights, first)
    base, result = x.address([at[0], at[1] * w.dims[1], *rest]), goal.address([at[0], first, *rest])
    pitch = prod(windows.out) * goal.buffer.type.dtype.itemsize
    task.each_panel(
        lambda line, piece: em.offset(base, line * columns.row + piece * columns.step), weights,
        lambda number, column, sums: ends.finish(task, result, pitch, number, column, sums), ends.needs_sums,
    )  # fmt: skip


def _depthwise(
    cells: Cells, windows: Windows, operands: tuple[Tensor, Tensor], requantizer: Requantizer | None,
    bias: Tensor | None,
) -> KernelCode:  # fmt: skip
    (x, w), op = operands, cells.instr.op
    if w.dims[1] != 1:
        raise Unsupported("groups of few features")
    rows, columns = (
        Zero.of(cells, zero, FLIP * flipped)
        for zero, flipped in ((op.w_zero, w.elem == "u8"), (op.x_zero, -(x.elem == "i8")))
    )
    if not columns.single:
        raise Unsupported("zero points along the map")
    planes = Planes(cells, windows, x, w, rows, columns, requantizer, bias, w.dims[0] // op.group)
    planes.write()
    return cells.finish("feature by feature, four taps of a row at once", kernel=list(windows.kernel))


def _places(windows: Windows, x: Tensor) -> tuple[Columns, int, int]:
    """The columns of a convolution, and the bytes of a plane and of a row of its map."""
    row, plane = x.dims[-1], prod(x.dims[2:])
    lines = windows.out[0] if len(windows.out) == 2 else 1
    if plane == prod(windows.out):
        return Columns(1, plane, 0, 1, x.elem == "u8"), plane, row
    down = windows.strides[0] if len(windows.out) == 2 else 1
    return Columns(lines, windows.out[-1], down * row, windows.strides[-1], x.elem == "u8"), plane, row


def _write_places(product: ByteProduct, extents: Sequence[int], steps: Sequence[int]) -> None:
    """The distance of every byte of a column from its first, in row-major order of `extents`."""
    em = product.em

    def body(at: list[Index]) -> None:
        number: Index = 0
        distance: Index = 0
        for index, extent, step in zip(at, extents, steps, strict=True):
            number = number * extent + index
            distance = index * step + distance
        em.store(em.index(distance), em.offset(product.places, number * 8))

    product.cells.nest(extents, body)


@kernel("mat_mul_integer", "q_linear_mat_mul")
@supported
def mat_mul(instr: Instr, program: Program, target: Target) -> KernelCode:
    """Rows are those of a, columns those of b."""
    op = instr.op
    cells = Cells(instr, program, target)
    em, goal, a, b = cells.em, cells.result_tensor(), cells.tensor(op.a), cells.tensor(op.b)
    packed = b.buffer.type.order in (FOURS, PANELS) and len(b.dims) == 2
    _check(target, a, *([] if packed else [b]))
    if len(a.dims) < 2 or len(b.dims) < 2:
        raise Unsupported("a row or column of one dim")
    (rows, depth), (_, width) = a.dims[-2:], b.dims[-2:]
    lead = goal.dims[:-2]
    panels = packed and b.buffer.type.order == PANELS
    mixed = 0 if not packed else PANEL if panels else width
    columns = Columns(1, width, 0, 1, b.elem == "u8", PANEL * (1 if panels else WIDER.get(rows, 1)), mixed)
    apart = 1 if not packed else 4 * -(-depth // 4) if panels else 4
    product = ByteProduct(cells, rows, depth, depth, columns, a.elem == "u8", False)
    ends = _Ends(
        cells, product, Zero.of(cells, op.a_zero, product.row_shift), Zero.of(cells, op.b_zero, product.column_shift),
        Requantizer(cells, op.a_scale, op.b_scale, op.y_scale, op.y_zero, True)
        if instr.name == "q_linear_mat_mul" else None,
    )  # fmt: skip

    def task(at: Sequence[Index], task: Task) -> None:
        if not packed:
            _write_places(product, (depth,), (width,))
        left = a.address([*_batch(a, at), 0, 0])
        right = b.pointer if packed else b.address([*_batch(b, at), 0, 0])
        result = goal.address([*at, 0, 0])
        ends.prepare(task, left, 0)
        task.each_panel(
            lambda line, piece: em.offset(right, piece * apart), left,
            lambda number, column, sums: ends.finish(
                task, result, width * goal.buffer.type.dtype.itemsize, number, column, sums
            ),
            ends.needs_sums,
        )  # fmt: skip

    cells.pieces.append(product.piece(lead, task))
    return cells.finish(f"{product.tall} rows x {columns.width} columns, four bytes of each at once", depth=depth)


def _batch(tensor: Tensor, at: Sequence[Index]) -> list[Index]:
    """The batch places of an operand that broadcasts."""
    lead = tensor.dims[:-2]
    return [0 if n == 1 else place for n, place in zip(lead, at[len(at) - len(lead) :], strict=True)]
