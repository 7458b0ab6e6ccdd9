"""Which kind of plan an instruction gets."""

from __future__ import annotations

from collections.abc import Callable

from glowviz.compiler.backends.cpu.heavy import Heavy, heavy_of, try_steps
from glowviz.compiler.backends.cpu.kernels.boxes import Unsupported
from glowviz.compiler.backends.cpu.packed_ops import PackedConv, PackedConvTranspose
from glowviz.compiler.backends.cpu.plan import Plan
from glowviz.compiler.backends.cpu.plan_maps import plan_conv, plan_conv_transpose, plan_pool
from glowviz.compiler.backends.cpu.plan_products import plan_gemm, plan_matmul
from glowviz.compiler.backends.cpu.plan_strassen import (
    plan_product_by_blocks,
    plan_strassen_product,
    plan_strassen_sums,
)
from glowviz.compiler.backends.cpu.plan_winograd import (
    plan_conv_by_tiles,
    plan_winograd_conv,
    plan_winograd_input,
    plan_winograd_result,
)
from glowviz.compiler.backends.cpu.strassen_ops import StrassenProduct, StrassenSums
from glowviz.compiler.backends.cpu.winograd_ops import WinogradConv, WinogradInput, WinogradResult
from glowviz.compiler.ops import (
    AveragePool,
    Conv,
    ConvTranspose,
    Gemm,
    GlobalAveragePool,
    GlobalMaxPool,
    MatMul,
    MaxPool,
    Op,
    WideConv,
    WideGemm,
    WideMatMul,
)
from glowviz.compiler.program import Instr, Program
from glowviz.compiler.target import Target

PLANNERS: dict[type[Op], Callable[[Heavy, Program, Target], Plan]] = {
    Conv: plan_conv,
    ConvTranspose: plan_conv_transpose,
    WideConv: plan_conv,
    PackedConv: plan_conv,
    PackedConvTranspose: plan_conv_transpose,
    MatMul: plan_matmul,
    Gemm: plan_gemm,
    WideMatMul: plan_matmul,
    WideGemm: plan_gemm,
    MaxPool: plan_pool,
    AveragePool: plan_pool,
    GlobalAveragePool: plan_pool,
    GlobalMaxPool: plan_pool,
    WinogradConv: plan_winograd_conv,
    WinogradInput: plan_winograd_input,
    WinogradResult: plan_winograd_result,
    StrassenSums: plan_strassen_sums,
    StrassenProduct: plan_strassen_product,
}


def plan_of(instr: Instr, program: Program, target: Target) -> Plan:
    """The plan of a heavy instruction; Unsupported says why there is none."""
    if program.touches_held(instr):
        raise Unsupported("a size is known only at run time")
    heavy = heavy_of(instr, program)
    if isinstance(heavy.op, Conv) and instr.schedule.get("algorithm") == "winograd":
        return plan_conv_by_tiles(heavy, program, target, instr.schedule["outputs"])
    if isinstance(heavy.op, MatMul | Gemm) and instr.schedule.get("algorithm") == "strassen":
        return plan_product_by_blocks(heavy, program, target, instr.schedule["levels"])
    return plan_heavy(heavy, program, target)


def plan_heavy(heavy: Heavy, program: Program, target: Target) -> Plan:
    """The plan of a heavy op with its epilogue."""
    planner = PLANNERS.get(type(heavy.op))
    if planner is None:
        raise Unsupported(f"no heavy kernel for {heavy.op.instruction}")
    if heavy.steps:
        try_steps(heavy, target)
    return planner(heavy, program, target)
