"""The registry's answers for heavy instructions: convolutions, products and pools, alone or with an epilogue."""

from __future__ import annotations

from glowviz.compiler.backends.cpu.kernels.boxes import Unsupported
from glowviz.compiler.backends.cpu.kernels.movement import copy
from glowviz.compiler.backends.cpu.planner import plan_of
from glowviz.compiler.backends.cpu.registry import KernelCode, kernel
from glowviz.compiler.program import Instr, Program
from glowviz.compiler.target import Target


@kernel(
    "conv", "packed_conv", "conv_transpose", "packed_conv_transpose", "matmul", "gemm", "max_pool", "average_pool",
    "global_average_pool", "global_max_pool", "winograd_conv", "winograd_input", "winograd_result", "fused",
    "wide_conv", "wide_matmul", "wide_gemm", "strassen_sums", "strassen_product",
)  # fmt: skip
def native(instr: Instr, program: Program, target: Target) -> KernelCode | None:
    """The kernel of a heavy instruction; None where the interpreter has to compute it."""
    try:
        return plan_of(instr, program, target).code(instr.schedule, program, target)
    except Unsupported:
        return None


kernel("pack")(copy)  # weights that every run packs anew are a copy into another order
