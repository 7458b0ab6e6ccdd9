"""Matrix products of a Program by Strassen's scheme: which can, and what replaces the instruction."""

from __future__ import annotations

from functools import partial
from math import prod
from typing import Any

import numpy as np

from glowviz.compiler.backends.cpu.heavy import Heavy
from glowviz.compiler.backends.cpu.kernels import choose_strassen, strassen, strassen_sums
from glowviz.compiler.backends.cpu.kernels.boxes import Unsupported
from glowviz.compiler.backends.cpu.kernels.gemm import GemmSpec
from glowviz.compiler.backends.cpu.kernels.geometry import FLOAT
from glowviz.compiler.backends.cpu.kernels.strassen import StrassenSchedule, StrassenSpec
from glowviz.compiler.backends.cpu.maps import plain
from glowviz.compiler.backends.cpu.plan import Family, Plan, Repacked
from glowviz.compiler.backends.cpu.plan_products import extra_of, plan_gemm, plan_matmul
from glowviz.compiler.backends.cpu.strassen_ops import StrassenProduct, StrassenSums, spec_of
from glowviz.compiler.ops import Gemm, MatMul
from glowviz.compiler.program import Program
from glowviz.compiler.target import Target

PRODUCTS = Family("strassen", StrassenSchedule, choose_strassen.choose, strassen.emit)
SUMS = Family("strassen", StrassenSchedule, choose_strassen.choose, strassen_sums.emit)


def direct_plan(heavy: Heavy, program: Program, target: Target) -> Plan:
    """The plan of the plain product; Unsupported where blocks of it cannot stand for it."""
    op: Any = heavy.op
    if type(op) not in (MatMul, Gemm):
        raise Unsupported("not a matrix product of f32")
    plan = (plan_gemm if isinstance(op, Gemm) else plan_matmul)(heavy, program, target)
    spec: GemmSpec = plan.spec
    weight = program.buffers[op.b]
    if weight.payload is None or weight.kind != "weight" or weight.type.order is not None or spec.b is not None:
        raise Unsupported(f"%{op.b} is only known at run time")
    if spec.batch != 1 or spec.result.number != FLOAT:
        raise Unsupported("rows of the batch cannot be counted as one matrix of f32")
    if isinstance(op, Gemm) and (op.trans_a or not (spec.epilogue.bias or (op.c is None and op.alpha == 1.0))):
        raise Unsupported("transposes or factors of the operands")
    return plan


def by_blocks(plan: Plan, target: Target, levels: int) -> StrassenSpec:
    """The same product by so many levels."""
    spec: GemmSpec = plan.spec
    try:
        return StrassenSpec(
            spec.m, spec.n, spec.k, spec.a, spec.result, levels, target.vector_width, spec.epilogue
        )  # fmt: skip
    except ValueError as problem:
        raise Unsupported(str(problem)) from None


def constant_b(heavy: Heavy, program: Program) -> np.ndarray:
    """The weights [K, N]."""
    op: Any = heavy.op
    payload = program.buffers[op.b].payload
    assert payload is not None, "direct_plan asked for it"
    return payload.array.T if isinstance(op, Gemm) and op.trans_b else payload.array


def plan_product_by_blocks(heavy: Heavy, program: Program, target: Target, levels: int) -> Plan:
    """matmul or gemm with constant B, to be packed as strassen_sums and strassen_product."""
    plan = direct_plan(heavy, program, target)
    spec = by_blocks(plan, target, levels)
    op: Any = heavy.op
    shape = plain(program, heavy.result)
    if prod(shape) != spec.m * spec.n or shape[-1] != spec.n:
        raise Unsupported(f"%{heavy.result} is not a row of results for each row of A")

    def repack(schedule: StrassenSchedule) -> Repacked:
        size = strassen.packed_size(spec, schedule.vectors)
        pack = partial(_packed, heavy, program, spec, schedule)
        made = StrassenProduct(
            op.a, op.b, op.c if isinstance(op, Gemm) else None, shape, levels, schedule.vectors, schedule.turns,
            target.vector_width,
        )  # fmt: skip
        return Repacked(made, op.b, size, pack, StrassenSums(op.a, levels))

    return Plan(PRODUCTS, spec, plan.operands, plan.step, label=plan.label, repack=repack)


def _packed(heavy: Heavy, program: Program, spec: StrassenSpec, schedule: StrassenSchedule) -> np.ndarray:
    return strassen.pack_strassen(constant_b(heavy, program), spec, schedule.vectors, schedule.turns)


def plan_strassen_sums(heavy: Heavy, program: Program, target: Target) -> Plan:
    """strassen_sums: sums of blocks of A."""
    op: StrassenSums = heavy.op  # type: ignore[assignment]  # the caller looked
    dims = plain(program, op.x)
    spec = spec_of(prod(dims[:-1]), target.vector_width, dims[-1], op.levels, target.vector_width)
    return Plan(SUMS, spec, (heavy.result, op.x), label=_label(heavy, spec.m, spec.k))


def plan_strassen_product(heavy: Heavy, program: Program, target: Target) -> Plan:
    """strassen_product: products of sums, and their sums with the epilogue."""
    op: StrassenProduct = heavy.op  # type: ignore[assignment]  # the caller looked
    if op.lanes != target.vector_width:
        raise Unsupported(f"weights are packed for vectors of {op.lanes} numbers")
    plain(program, heavy.result)
    dense = op.spec(plain(program, op.s)[-1])
    epilogue = heavy.epilogue(op.b is not None, extra_of(program, (), dense.m, dense.n))
    spec = StrassenSpec(dense.m, dense.n, dense.k, dense.a, dense.result, op.levels, op.lanes, epilogue)
    fixed = (("levels", op.levels), ("vectors", op.vectors), ("turns", op.turns))
    bias = [op.b] if op.b else []
    operands = (heavy.result, op.s, op.w, *bias, *(buffer for _, buffer in heavy.extras))
    return Plan(PRODUCTS, spec, operands, heavy.step, label=_label(heavy, spec.m, spec.n, spec.k), fixed=fixed)


def _label(heavy: Heavy, *sizes: int) -> str:
    """`strassen_product.f32.128x768x768.add_gelu`: rows, columns, depth."""
    steps = "_".join(node.op.instruction for node in heavy.steps)
    return ".".join([heavy.op.instruction, "f32", "x".join(map(str, sizes)), *([steps] if steps else [])])
