"""Kernels run on plain numpy buffers, in one or several ranges, for tests and timing."""

import ctypes
import itertools
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from llvmlite import binding

from glowviz.compiler.backends.cpu.cpu_targets import avx2, avx512, baseline, host_target
from glowviz.compiler.backends.cpu.machine_code import (
    assembly,
    object_code,
    start_llvm,
    target_machine,
    undefined_symbols,
    vector_spills,
)
from glowviz.compiler.backends.cpu.registry import KernelCode
from glowviz.compiler.target import Target

SIGNATURE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)
GUARD = 64  # floats on both sides of every buffer that nobody may change


@lru_cache(maxsize=1)
def targets() -> tuple[Target, ...]:
    """The levels this machine can run."""
    levels = {16: (avx512(), avx2(), baseline()), 8: (avx2(), baseline()), 4: (baseline(),)}
    return levels[host_target().vector_width]


class Loaded:
    """A kernel in memory."""

    def __init__(self, code: KernelCode, target: Target) -> None:
        start_llvm()
        self.code = code
        machine = target_machine(target.triple, target.cpu, target.features)
        self.engine = binding.create_mcjit_compiler(binding.parse_assembly(""), _fresh(target))
        self.object = object_code(code.text, target)
        self.engine.add_object_file(binding.ObjectFileRef.from_data(self.object))
        self.engine.finalize_object()
        self.call = SIGNATURE(self.engine.get_function_address(code.name))
        assert machine is not None

    def run(self, arrays: Sequence[np.ndarray], pieces: int = 1) -> None:
        """Run over the whole split axis, cut into `pieces` ranges that are done backwards."""
        pointers = (ctypes.c_void_p * len(arrays))(*[a.ctypes.data for a in arrays])
        tiles = self.code.split_tiles
        edges = [tiles * n // pieces for n in range(pieces + 1)]
        for low, high in reversed(list(itertools.pairwise(edges))):
            self.call(ctypes.addressof(pointers), low, high, 0)


def _fresh(target: Target) -> binding.TargetMachine:
    kind = binding.Target.from_triple(target.triple)
    return kind.create_target_machine(cpu=target.cpu, features=target.features, opt=2)


def aligned(array: np.ndarray) -> np.ndarray:
    """A 64-byte aligned copy."""
    raw = np.zeros(array.nbytes + 64, np.uint8)
    start = -raw.ctypes.data % 64
    copy = raw[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def guarded(count: int) -> tuple[np.ndarray, np.ndarray]:
    """A result buffer of `count` floats filled with junk, inside a bigger one that `check_guards` looks at."""
    whole = aligned(np.full(count + 2 * GUARD, 12345.0, np.float32))
    return whole[GUARD : GUARD + count], whole


def check_guards(whole: np.ndarray) -> None:
    """Nobody wrote outside."""
    assert (whole[:GUARD] == 12345.0).all()
    assert (whole[-GUARD:] == 12345.0).all()


def check_code(code: KernelCode, target: Target, spills: bool = True) -> None:
    """No library calls, and no vector register on the stack."""
    text = assembly(code.text, target)
    assert undefined_symbols(text) <= {"memcpy", "memset", "memmove"}, undefined_symbols(text)
    if spills:
        assert not vector_spills(text), (code.name, target.name, code.schedule, vector_spills(text)[:5])


def close(result: np.ndarray, expected: np.ndarray, depth: int) -> None:
    """Error relative to the largest result, growing with the depth of the sum."""
    limit = 2e-6 * max(1.0, depth**0.5) * max(1e-30, float(np.abs(expected).max()))
    error = float(np.abs(result - expected).max())
    assert error <= limit, (error, limit)
