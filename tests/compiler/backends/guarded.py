"""Runs the kernels of light ops with every operand between forbidden pages; a byte too far ends the process.

Called as a script by test_guards.py, so that a crash ends this process and not the tests: it prints the name of
every op before it runs.
"""

from __future__ import annotations

import ctypes
import mmap
import sys
from pathlib import Path

import numpy as np

from glowviz.compiler.backends.cpu import cpu_targets
from glowviz.compiler.backends.cpu.build import build
from glowviz.compiler.backends.cpu.executable import CpuExecutable
from glowviz.compiler.backends.cpu.kernels.draft import STATUS
from glowviz.compiler.backends.cpu.objects import ObjectCache
from glowviz.compiler.ops import OPS
from tests.compiler.backends import test_general_samples, test_light_samples
from tests.compiler.backends.one_instruction import error, expected, plan_of, program_of

PAGE = mmap.PAGESIZE
KERNEL = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)
libc = ctypes.CDLL(None, use_errno=True)


class Fenced:
    """So many bytes that end (or begin) exactly at a page nobody may touch."""

    def __init__(self, size: int, at_end: bool) -> None:
        room = -(-max(size, 1) // PAGE) * PAGE
        self._pages = mmap.mmap(-1, room + 2 * PAGE)
        whole = np.frombuffer(self._pages, np.uint8)
        base = whole.ctypes.data
        for fence in (base, base + PAGE + room):
            if libc.mprotect(ctypes.c_void_p(fence), PAGE, 0):
                raise OSError(ctypes.get_errno(), "mprotect")
        start = PAGE + (room - size if at_end else 0)
        self.address = base + start
        self.bytes = whole[start : start + size]


def run_fenced(executable: CpuExecutable, at_end: bool) -> dict[str, np.ndarray]:
    """Outputs of a one-instruction program that was run before, computed again between fences."""
    binding, memory = executable.bindings[0], executable.memory
    if binding.code is None:
        return {}
    fenced = {n: Fenced(8 if n == STATUS else memory.bytes_of(n).size, at_end) for n in binding.code.operands}
    for name, region in fenced.items():
        if name != STATUS and name not in binding.instr.outs:
            region.bytes[:] = memory.bytes_of(name)
    scratch = Fenced(binding.code.scratch, at_end)
    arguments = np.array([*(fenced[name].address for name in binding.code.operands), scratch.address], np.uint64)
    function = executable._library.addresses[binding.symbol]
    KERNEL(function)(arguments.ctypes.data, 0, binding.code.split_tiles, 0)
    for name in binding.instr.outs:
        if name in fenced:
            memory.bytes_of(name)[:] = fenced[name].bytes
    return {name: memory.load(name) for name in binding.instr.outs}


def main(folder: str, level: str, *names: str) -> None:
    """Every sample of the named ops."""
    np.seterr(all="ignore")
    target, objects = getattr(cpu_targets, level)(), ObjectCache(Path(folder))
    for name in names:
        print(name, flush=True)
        general = name in test_general_samples.GENERAL
        suite = test_general_samples if general else test_light_samples
        for case in test_general_samples.cases(name) if general else test_light_samples.cases(OPS[name]):
            program, arrays = program_of(OPS[name], case, frozenset(suite.CONSTANT.get(name, "").split()))
            executable = build(program, plan_of(program), target, 1, objects)
            executable.run(arrays)
            for at_end in (True, False):
                for out, found in run_fenced(executable, at_end).items():
                    wanted = expected(program, arrays)[out]
                    assert error(found, wanted) <= (1e-3 if wanted.dtype == np.float16 else 2e-6), (name, out)
    print("done", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
