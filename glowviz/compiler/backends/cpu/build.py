"""A planned Program becomes a CpuExecutable: every instruction gets its kernel, every kernel its object code."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

from glowviz.compiler.backends.base import why_held
from glowviz.compiler.backends.cpu import kernels
from glowviz.compiler.backends.cpu.executable import Binding, CpuExecutable
from glowviz.compiler.backends.cpu.kernels.elementwise import elementwise, is_elementwise
from glowviz.compiler.backends.cpu.nested import Window
from glowviz.compiler.backends.cpu.objects import ObjectCache
from glowviz.compiler.backends.cpu.pool import CHUNKS
from glowviz.compiler.backends.cpu.registry import KernelCode, lower
from glowviz.compiler.ops.branches import Unfit
from glowviz.compiler.program import Instr, MemoryPlan, Program
from glowviz.compiler.target import Target

SMALL = 20_000
"""Floating-point operations and bytes up to which an instruction is one chunk: sharing it would cost more."""


@cache
def load_kernels() -> None:
    """Import every kernel module, so that the registry is complete."""
    for module in pkgutil.iter_modules(kernels.__path__):
        importlib.import_module(f"{kernels.__name__}.{module.name}")


def build(
    program: Program, plan: MemoryPlan, target: Target, threads: int = 1, objects: ObjectCache | None = None,
    weights: Path | None = None,
) -> CpuExecutable:  # fmt: skip
    """Emit, compile (or find in the cache) and load the code of a program; its weights may lie in a file."""
    load_kernels()
    return _executable(program, plan, target, threads, objects or ObjectCache(), weights=weights)


def _executable(
    program: Program,
    plan: MemoryPlan,
    target: Target,
    threads: int,
    objects: ObjectCache,
    activations: Window | None = None,
    weights: Path | None = None,
) -> CpuExecutable:
    """The executable of a program; of a nested one with the activations that are its."""
    names = _Names()
    bindings = [_bind(instr, program, target, threads, names) for instr in program.instructions]
    texts = {b.symbol: b.text for b in bindings if b.code is not None}
    compiled = {symbol: objects.object_of(text, target) for symbol, text in texts.items()}
    if objects.misses:
        objects.prune()
    nested = partial(_executable, target=target, threads=1, objects=objects)
    return CpuExecutable(program, plan, target, bindings, compiled, threads, objects, nested, activations, weights)


class _Names:
    """Equal texts share one function; different texts that ask for one name get different ones."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}

    def settle(self, code: KernelCode) -> tuple[str, str]:
        name, number = code.name, 2
        while self._texts.setdefault(name, code.text) != code.text:
            name, number = f"{code.name}.{number}", number + 1
        if name == code.name:
            return name, self._texts[name]
        # tables that belong to the kernel carry its name too
        text = code.text.replace(f"@{code.name}(", f"@{name}(")
        return name, text.replace(f"@{code.name}.table", f"@{name}.table")


def _bind(instr: Instr, program: Program, target: Target, threads: int, names: _Names) -> Binding:
    if instr.regions:
        return Binding(instr, why="the runtime counts and copies between runs of its nested programs")
    if isinstance(instr.op, Unfit):
        return Binding(instr, why="this branch does not fit the shapes, it refuses when a run takes it")
    if program.touches_held(instr):
        return Binding(instr, why=why_held(instr, program))
    lowering = elementwise if is_elementwise(instr.op) else partial(lower, instr.name)
    code = lowering(instr, program, target)
    if code is None:
        return Binding(instr)
    if not code.operands:
        code = _with_operands(code, instr)
    symbol, text = names.settle(code)
    return Binding(instr, code, symbol, text, _chunks(instr, program, code, threads))


def _with_operands(code: KernelCode, instr: Instr) -> KernelCode:
    return replace(code, operands=(*instr.outs, *instr.ins, *instr.scratch))


def _chunks(instr: Instr, program: Program, code: KernelCode, threads: int) -> int:
    types = [program.buffers[name].type for name in (*instr.ins, *instr.outs)]
    work = instr.op.work(tuple(types[: len(instr.ins)]), tuple(types[len(instr.ins) :]))
    if work.flops + work.bytes <= SMALL:
        return 1
    return min(code.split_tiles, CHUNKS if threads <= 4 else 2 * threads)
