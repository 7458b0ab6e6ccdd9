"""The CPU backend: one Target, a number of threads, and `build`."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from glowviz.compiler.backends.base import BackendProblem
from glowviz.compiler.backends.cpu import cpu_targets
from glowviz.compiler.backends.cpu.build import build
from glowviz.compiler.backends.cpu.choose_schedules import choose_schedules
from glowviz.compiler.backends.cpu.detour import detour
from glowviz.compiler.backends.cpu.executable import CpuExecutable
from glowviz.compiler.backends.cpu.kept import WEIGHTS, can_be_kept, read_kept, write_kept
from glowviz.compiler.backends.cpu.pack_weights import pack_weights
from glowviz.compiler.backends.cpu.registry import GENERAL, KERNELS
from glowviz.compiler.backends.cpu.tuned import load_tuned
from glowviz.compiler.program import MemoryPlan, Program
from glowviz.compiler.rewrite import Pass
from glowviz.compiler.target import Target

KEEPS_NAMES = (
    "Softmax LogSoftmax LayerNormalization InstanceNormalization GroupNormalization LRN Resize ReduceMean "
    "ReduceL1 ReduceL2 ReduceSumSquare ReduceLogSum ReduceLogSumExp DepthToSpace SpaceToDepth Relu LeakyRelu "
    "PRelu Clip Elu Selu Sigmoid HardSigmoid HardSwish Swish Gelu Softplus Softsign Mish Mean Sum"
)
KEEPS = frozenset(KEEPS_NAMES.split())
"""Graph ops that the light kernels do in one visit, and that smaller ops would do in several."""

BYTE_DOTS = frozenset({"MatMulInteger"})
"""What is faster as it is where the machine multiplies bytes; elsewhere f32 products are."""


@dataclass(frozen=True)
class CpuBackend:
    """Machine code through LLVM, one function for each instruction."""

    name: str
    target: Target
    threads: int = 1

    def passes(self, level: str) -> tuple[Pass, ...]:
        """The backend's own passes of one level, in order."""
        return (detour, choose_schedules, pack_weights) if level == "program" else ()

    def build(self, program: Program, plan: MemoryPlan) -> CpuExecutable:
        """Emit, compile and load; BackendProblem where this machine cannot run the target's code."""
        self._refuse_foreign()
        return build(program, plan, self.target, self.threads)

    def facts(self) -> list[str] | None:
        """Name, threads, every field of the target, and the schedules that were measured to be faster."""
        if any(not one.__module__.startswith("glowviz.") for one in (*KERNELS.values(), *GENERAL.values())):
            return None
        target = [repr(sorted(v) if isinstance(v, frozenset) else v) for v in vars(self.target).values()]
        return [self.name, str(self.threads), *target, json.dumps(load_tuned(), sort_keys=True)]

    def build_into(self, folder: Path | None, program: Program, plan: MemoryPlan) -> tuple[CpuExecutable, bool]:
        """The same, leaving in a folder, if there is one, what `restore` needs; whether that is all there."""
        self._refuse_foreign()
        if folder is not None and can_be_kept(program):
            with suppress(OSError):  # a full disk, or one that cannot be written
                executable = build(program, plan, self.target, self.threads, weights=folder / WEIGHTS)
                return executable, write_kept(folder, executable)
        return build(program, plan, self.target, self.threads), False

    def restore(self, folder: Path) -> CpuExecutable:
        """What `build_into` left there, ready to run; its weights stay in the file."""
        self._refuse_foreign()
        return read_kept(folder)

    def _refuse_foreign(self) -> None:
        lacks = missing_features(self.target)
        if lacks:
            raise BackendProblem(
                f"this processor has no {lacks}", f"backend {self.name}", "a processor that runs the target's code",
                "use target='cpu', which fits this machine",
            )  # fmt: skip


def missing_features(target: Target) -> str:
    """What the target's code needs and this machine lacks; empty where it runs."""
    here = cpu_targets.host_target()
    if target.triple.split("-")[0] != here.triple.split("-")[0]:
        return f"{target.triple.split('-')[0]} instructions"
    if target.vector_width > here.vector_width:
        return {16: "AVX-512", 8: "AVX2"}.get(target.vector_width, "vectors that wide")
    return "FMA" if target.has_fma and not here.has_fma else ""


def complete(target: Target) -> Target:
    """The target with what the light kernels keep, and Resize in blocks, where channels stay neighbours."""
    block = dict(target.orders).get("Conv")
    orders = (*target.orders, ("Resize", block)) if block else target.orders
    return replace(target, keeps=target.keeps | KEEPS | (BYTE_DOTS if target.has_vnni else frozenset()), orders=orders)


def host(threads: int) -> CpuBackend:
    """This machine."""
    return CpuBackend("cpu", complete(cpu_targets.host_target()), threads)


def avx512(threads: int) -> CpuBackend:
    """x86-64-v4."""
    return CpuBackend("cpu-avx512", complete(cpu_targets.avx512()), threads)


def avx2(threads: int) -> CpuBackend:
    """x86-64-v3."""
    return CpuBackend("cpu-avx2", complete(cpu_targets.avx2()), threads)


def baseline(threads: int) -> CpuBackend:
    """x86-64."""
    return CpuBackend("cpu-baseline", complete(cpu_targets.baseline()), threads)
