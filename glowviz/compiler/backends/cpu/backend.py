"""The CPU backend: one Target, a number of threads, and `build`."""

from __future__ import annotations

from dataclasses import dataclass

from glowviz.compiler.backends.base import BackendProblem
from glowviz.compiler.backends.cpu import cpu_targets
from glowviz.compiler.backends.cpu.build import build
from glowviz.compiler.backends.cpu.executable import CpuExecutable
from glowviz.compiler.program import MemoryPlan, Program
from glowviz.compiler.rewrite import Pass
from glowviz.compiler.target import Target


@dataclass(frozen=True)
class CpuBackend:
    """Machine code through LLVM, one function for each instruction."""

    name: str
    target: Target
    threads: int = 1

    def passes(self, level: str) -> tuple[Pass, ...]:
        """The backend's own passes of one level, in order."""
        return ()

    def build(self, program: Program, plan: MemoryPlan) -> CpuExecutable:
        """Emit, compile and load; BackendProblem where this machine cannot run the target's code."""
        lacks = missing_features(self.target)
        if lacks:
            raise BackendProblem(
                f"this processor has no {lacks}", f"backend {self.name}", "a processor that runs the target's code",
                "use target='cpu', which fits this machine",
            )  # fmt: skip
        return build(program, plan, self.target, self.threads)


def missing_features(target: Target) -> str:
    """What the target's code needs and this machine lacks; empty where it runs."""
    here = cpu_targets.host_target()
    if target.triple.split("-")[0] != here.triple.split("-")[0]:
        return f"{target.triple.split('-')[0]} instructions"
    if target.vector_width > here.vector_width:
        return {16: "AVX-512", 8: "AVX2"}.get(target.vector_width, "vectors that wide")
    return "FMA" if target.has_fma and not here.has_fma else ""


def host(threads: int) -> CpuBackend:
    """This machine."""
    return CpuBackend("cpu", cpu_targets.host_target(), threads)


def avx512(threads: int) -> CpuBackend:
    """x86-64-v4."""
    return CpuBackend("cpu-avx512", cpu_targets.avx512(), threads)


def avx2(threads: int) -> CpuBackend:
    """x86-64-v3."""
    return CpuBackend("cpu-avx2", cpu_targets.avx2(), threads)


def baseline(threads: int) -> CpuBackend:
    """x86-64."""
    return CpuBackend("cpu-baseline", cpu_targets.baseline(), threads)
