"""Sums of products of 8-bit integers with their zero points taken off, and what scales them back to 8 bits."""

from __future__ import annotations

from math import prod
from typing import Any

from glowviz.compiler.backends.cpu.kernels.any_windows import Taps
from glowviz.compiler.backends.cpu.kernels.boxes import Unsupported
from glowviz.compiler.backends.cpu.kernels.cells import Cells, Places, Tensor
from glowviz.compiler.backends.cpu.kernels.draft import supported
from glowviz.compiler.backends.cpu.kernels.elements import convert, saturated
from glowviz.compiler.backends.cpu.registry import KernelCode, kernel
from glowviz.compiler.backends.cpu.values import Index, Value
from glowviz.compiler.ops import Conv
from glowviz.compiler.ops.quantize import INTEGER_RANGES
from glowviz.compiler.program import Instr, Program
from glowviz.compiler.target import Target


def _moved(cells: Cells, tensor: Tensor, places: Places, zero: Tensor | None, per: Index) -> Value:
    """An element minus its zero point, as i32; a row of zero points has one for every `per`."""
    em = cells.em
    value = convert(em, tensor.read(places), "i32")
    if zero is None:
        return value
    return value - convert(em, _of(zero, per).read(_place(zero, per)), "i32")


def _of(per_index: Tensor, per: Index) -> Tensor:
    if len(per_index.dims) > 1 and prod(per_index.dims) > 1:
        raise Unsupported("scales or zero points of several dims")
    return per_index


def _place(tensor: Tensor, per: Index) -> Places:
    """Where the number for index `per` stands: the only one, or that of a row."""
    if prod(tensor.dims) == 1:
        return [0] * len(tensor.dims)
    return [per]


@kernel("conv_integer", "q_linear_conv")
@supported
def conv_integer(instr: Instr, program: Program, target: Target) -> KernelCode:
    """One result element after the other; padding has the value of the zero point, so it adds nothing."""
    op = instr.op
    cells = Cells(instr, program, target)
    em, goal, x, w = cells.em, cells.result_tensor(), cells.tensor(op.x), cells.tensor(op.w)
    x_zero, w_zero = (None if name is None else cells.tensor(name) for name in (op.x_zero, op.w_zero))
    windows = Conv("x", "w", None, op.strides, op.pads, op.dilations, op.group, op.auto_pad).windows(x.dims, w.dims)
    each_out, each_in = w.dims[0] // op.group, w.dims[1]

    def body(at: list[Index]) -> None:
        group, taps = em.divide(at[1], each_out), Taps(cells, windows, at[2:])

        def step(tap: list[Index], values: list[Value]) -> list[Value]:
            place, inside = taps.at(tap[1:])
            left = _moved(cells, x, [at[0], group * each_in + tap[0], *place], x_zero, 0)
            term = left * _moved(cells, w, [at[1], *tap], w_zero, at[1])
            return [values[0] + em.select(inside, term, term.match(0))]

        total = cells.fold((each_in, *windows.kernel), [em.constant(0, "i32")], step)[0]
        if instr.name == "q_linear_conv":
            bias = None if op.b is None else cells.tensor(op.b)
            total = total if bias is None else total + bias.read([at[1]])
            factor = _factor(cells, [(op.x_scale, 0), (op.w_scale, at[1])], (op.y_scale, 0))
            total = _requantized(cells, goal, total, factor, cells.tensor(op.y_zero), 0)
        goal.write(at, total)

    cells.over(goal.dims, body, each_in * prod(windows.kernel))
    return cells.finish("sums of i32, one result element after the other", kernel=list(windows.kernel))


def _factor(cells: Cells, scales: list[tuple[str, Index]], under: tuple[str, Index]) -> Value:
    """The product of scales over another scale, in double precision."""

    def read(name: str, per: Index) -> Value:
        tensor = cells.tensor(name)
        return convert(cells.em, _of(tensor, per).read(_place(tensor, per)), "double")

    (first, second) = (read(*pair) for pair in scales)
    return first * second / read(*under)


def _requantized(cells: Cells, goal: Tensor, total: Value, factor: Value, zero: Tensor, per: Index) -> Value:
    """round(f32(total · factor)) + zero, within the limits of the result's kind."""
    em: Any = cells.em
    scaled = em.convert("fptrunc", em.convert("sitofp", total, "double") * factor, "float")
    whole = em.convert("fpext", em.m.round(scaled), "double")
    shifted = whole + convert(em, _of(zero, per).read(_place(zero, per)), "double")
    low, high = INTEGER_RANGES[goal.elem]
    return convert(em, saturated(em, em.m.clip(shifted, float(low), float(high)), "i32"), goal.kind)


@kernel("q_linear_mat_mul")
@supported
def q_linear_mat_mul(instr: Instr, program: Program, target: Target) -> KernelCode:
    """One result element after the other."""
    op = instr.op
    cells = Cells(instr, program, target)
    em, goal, a, b = cells.em, cells.result_tensor(), cells.tensor(op.a), cells.tensor(op.b)
    if goal.elem not in INTEGER_RANGES or len(a.dims) < 2 or len(b.dims) < 2:
        raise Unsupported("small floats, or a row or column of one dim")

    def body(at: list[Index]) -> None:
        def step(k: list[Index], values: list[Value]) -> list[Value]:
            left = _moved(cells, a, [*_batch(a, at), at[-2], *k], cells.tensor(op.a_zero), at[-2])
            right = _moved(cells, b, [*_batch(b, at), *k, at[-1]], cells.tensor(op.b_zero), at[-1])
            return [values[0] + left * right]

        total = cells.fold(a.dims[-1:], [em.constant(0, "i32")], step)[0]
        factor = _factor(cells, [(op.a_scale, at[-2]), (op.b_scale, at[-1])], (op.y_scale, at[-2]))
        goal.write(at, _requantized(cells, goal, total, factor, cells.tensor(op.y_zero), at[-2]))

    cells.over(goal.dims, body, max(a.dims[-1], 1))
    return cells.finish("sums of i32, one result element after the other", depth=a.dims[-1])


def _batch(tensor: Tensor, at: list[Index]) -> list[Index]:
    """The batch places of an operand that broadcasts."""
    lead = tensor.dims[:-2]
    places = at[len(at) - 2 - len(lead) : len(at) - 2]
    return [0 if n == 1 else place for n, place in zip(lead, places, strict=True)]
