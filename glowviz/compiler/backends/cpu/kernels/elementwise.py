"""Element-wise instructions and stacks of them, over any broadcast and any memory order, in one pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from glowviz.compiler.backends.cpu.kernels.boxes import Box, Unsupported, boxes, direct
from glowviz.compiler.backends.cpu.kernels.draft import Draft, known, supported
from glowviz.compiler.backends.cpu.kernels.elements import calculated_kind, fetch, put
from glowviz.compiler.backends.cpu.kernels.movement import copy
from glowviz.compiler.backends.cpu.kernels.nest import Lanes, box_pieces
from glowviz.compiler.backends.cpu.registry import KernelCode, kernel
from glowviz.compiler.backends.cpu.values import Number, Value, element_of, vector_of
from glowviz.compiler.graph import Region
from glowviz.compiler.ops.base import Elementwise
from glowviz.compiler.program import Instr, Program
from glowviz.compiler.target import Target

Operands = Mapping[str, "Value | Number"]
Arithmetic = Callable[[Operands, int], Sequence[Value]]
"""Results from operand values by buffer name, for so many lanes."""


def is_elementwise(op: object) -> bool:
    """Whether a kernel of this file takes the op: one line of arithmetic, or a region of nothing else."""
    region = getattr(op, "body", None)
    if isinstance(region, Region):
        return all(isinstance(node.op, Elementwise) for node in region)
    return isinstance(op, Elementwise)


@supported
def elementwise(instr: Instr, program: Program, target: Target) -> KernelCode:
    """One pass over the result's memory; every operand is read where the broadcast puts it."""
    return _one_pass(Draft(instr, program, target), _arithmetic)


@kernel("bit_shift")
@supported
def bit_shift(instr: Instr, program: Program, target: Target) -> KernelCode:
    """Shifts beyond the width, and negative ones, leave what the sign makes of it: 0 or -1."""

    def shifted(draft: Draft, values: Operands, lanes: int) -> Sequence[Value]:
        op, (x, y) = instr.op, (values[name] for name in instr.op.operands)
        if not isinstance(x, Value) or not isinstance(y, Value):
            raise Unsupported("a shift by a Python number")
        if op.direction == "LEFT":
            return [x << y]
        within = (y >= 0) & (y < int(element_of(x.type)[1:]))
        sign = draft.em.select(x < 0, x.match(-1), x.match(0))
        return [draft.em.select(within, x >> y, sign if not x.unsigned else x.match(0))]

    return _one_pass(Draft(instr, program, target), shifted)


kernel("bit_cast")(copy)


def _one_pass(draft: Draft, formula: Callable[[Draft, Operands, int], Sequence[Value]]) -> KernelCode:
    instr, arithmetic = draft.instr, partial(formula, draft)
    rank = len(draft.result.type.dims)
    for buffer in draft.buffers[: len(instr.outs)]:
        if buffer.type.dims != draft.result.type.dims:
            raise Unsupported("results of different shapes")
    accesses = [direct(b, rank) for b in draft.buffers]
    found = boxes(draft.result.type.dims, accesses)
    unroll = 4 if _weight(instr) <= 4 else 1
    for box in found:
        draft.pieces += _pieces(draft, box, arithmetic, unroll)
    why = "one pass in the memory order of the result" + (", split at tile borders" if len(found) > 1 else "")
    return draft.finish(why, vectors=unroll, boxes=len(found))


def _pieces(draft: Draft, box: Box, arithmetic: Arithmetic, unroll: int) -> list:
    numbers = range(len(draft.buffers))
    body = partial(_body, draft, arithmetic)
    return box_pieces(draft.em, box, draft.pointers, draft.sizes(numbers), body, unroll)


def _body(draft: Draft, arithmetic: Arithmetic, lanes: Lanes) -> None:
    outs = len(draft.instr.outs)
    values: dict[str, Value | Number] = {}
    for name in draft.instr.ins:
        p = draft.number(name)
        if name not in values:
            exponent = _exponent(draft, name)
            elem = draft.buffers[p].type.elem
            values[name] = fetch(draft.em, elem, lanes, p) if exponent is None else exponent
    for p, value in zip(range(outs), arithmetic(values, lanes.count), strict=True):
        elem = draft.buffers[p].type.elem
        if element_of(value.type) != calculated_kind(elem):
            raise Unsupported(f"the result is {value.type}, not {elem}")
        put(draft.em, elem, lanes, p, value)


def _exponent(draft: Draft, name: str) -> float | None:
    # a constant exponent becomes multiplications
    op = draft.instr.op
    if draft.instr.name != "pow" or name != op.y or name == op.x:
        return None
    array = known(draft.program, name)
    return float(array.reshape(-1)[0]) if array is not None and array.size == 1 else None


def _arithmetic(draft: Draft, values: Operands, lanes: int) -> Sequence[Value]:
    op = draft.instr.op
    if isinstance(op, Elementwise):
        return [op.scalar(draft.em.m, *(values[name] for name in op.operands))]
    region = op.body
    inner = dict(zip(region.inputs, (values[name] for name in op.operands), strict=True))
    return run_region(draft, region, inner, lanes)


def run_region(draft: Draft, region: Region, values: Operands, lanes: int) -> list[Value]:
    """The results of a region of element-wise ops."""
    em, found = draft.em, dict(values)
    for constant in region.constants.values():
        if constant.array.size != 1:
            raise Unsupported("a fused constant with more than one element")
        kind = vector_of(calculated_kind(constant.type.elem), lanes)
        found[constant.name] = em.constant(constant.array.reshape(-1)[0].item(), kind)
    for node in region:
        found[node.name] = node.op.scalar(em.m, *(found[name] for name in node.op.operands))
    results = [found[output.value] for output in region.outputs]
    return [r for r in results if isinstance(r, Value)]


def _weight(instr: Instr) -> int:
    region = getattr(instr.op, "body", None)
    heavy = {"exp", "log", "tanh", "erf", "pow", "sigmoid", "gelu", "mish", "softplus", "elu", "selu", "swish"}
    kinds = [node.op.instruction for node in region] if isinstance(region, Region) else [instr.op.instruction]
    return sum(5 if kind in heavy else 1 for kind in kinds)
