"""The same kernels as NEON code: all of whole networks become assembly that calls nothing and spills in no hot loop.

No aarch64 machine runs it here, so this looks at the assembly.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import pytest

from glowviz.compiler import pipeline
from glowviz.compiler.backends.cpu.backend import CpuBackend, complete
from glowviz.compiler.backends.cpu.build import load_kernels
from glowviz.compiler.backends.cpu.cpu_targets import aarch64
from glowviz.compiler.backends.cpu.kernels.elementwise import elementwise, is_elementwise
from glowviz.compiler.backends.cpu.machine_code import assembly, hot_spills, undefined_symbols
from glowviz.compiler.backends.cpu.registry import KernelCode, lower
from glowviz.compiler.ledger import Ledger
from glowviz.compiler.ops import OPS
from glowviz.compiler.program import Instr, Program
from tests.compiler.backends.one_instruction import program_of
from tests.compiler.backends.test_general_samples import CONSTANT, GENERAL, cases
from tests.models import example

BACKEND = CpuBackend("aarch64", complete(aarch64()))
ALLOWED = {"memcpy", "memset", "memmove"}
QUICK = ("mobilenet_v2", "minilm_pieces", "light_squeezenet")
SLOW = (
    "light_bvlc_alexnet", "light_densenet121", "light_inception_v1", "light_inception_v2", "light_resnet50",
    "light_shufflenet", "light_vgg19", "light_zfnet512",
)  # fmt: skip
SPILLING_LOOPS = 3
"""Kernels of the nine light models (of about 550) whose innermost loop keeps a vector or two on the stack."""


def program_for(name: str) -> Program:
    """The planned program of an example network."""
    load_kernels()
    ledger = Ledger(BACKEND.target, None, frozenset(), {}, lambda _: None)
    graph = pipeline.optimize(pipeline.import_graph(example(name), None, ledger), ledger, BACKEND)
    return pipeline.lower_to_program(graph, ledger, BACKEND)[0]


def kernel_of(instr: Instr, program: Program) -> KernelCode:
    """The kernel; there must be one."""
    lowering = elementwise if is_elementwise(instr.op) else partial(lower, instr.name)
    code = lowering(instr, program, BACKEND.target)
    assert code is not None, instr.name
    return code


def listings(program: Program) -> Iterator[tuple[str, str]]:
    """Name and assembly of every different kernel."""
    codes = {code.text: code for code in (kernel_of(instr, program) for instr in program.instructions)}
    for text, code in codes.items():
        yield code.name, assembly(text, BACKEND.target)


@pytest.mark.parametrize("name", QUICK)
def test_whole_networks(name: str) -> None:
    multiplying = 0
    for kernel, text in listings(program_for(name)):
        assert undefined_symbols(text) <= ALLOWED, kernel
        assert not hot_spills(text), (kernel, hot_spills(text))
        multiplying += "fmla" in text
    assert multiplying > 3


@pytest.mark.slow
def test_the_light_models() -> None:
    spilling = set()
    for name in SLOW:
        for kernel, text in listings(program_for(name)):
            assert undefined_symbols(text) <= ALLOWED, kernel
            if hot_spills(text):
                spilling.add(kernel)
    assert len(spilling) <= SPILLING_LOOPS, spilling


def test_every_general_kernel() -> None:
    load_kernels()
    for name in GENERAL:
        one = next(iter(cases(name)))
        with np.errstate(all="ignore"):
            program, _ = program_of(OPS[name], one, frozenset(CONSTANT.get(name, "").split()))
        code = kernel_of(program.instructions[0], program)
        assert undefined_symbols(assembly(code.text, BACKEND.target)) <= ALLOWED, name


def test_a_hot_spill_is_seen() -> None:
    text = ".LBB0_1:\n\tstr\tq3, [sp, #16]\n\tfmla\tv0.4s, v1.4s, v2.4s\n\tb.ne\t.LBB0_1\n\tldr\tq3, [sp, #16]\n"
    assert hot_spills(text) == ["str\tq3, [sp, #16]"]
    assert hot_spills(text.replace("b.ne\t.LBB0_1", "b.ne\t.LBB0_2")) == []
    assert hot_spills(".LBB0_1:\n\tvmovups\t%zmm0, -72(%rsp)\n\tjne\t.LBB0_1\n") == ["vmovups\t%zmm0, -72(%rsp)"]
    nested = ".LBB0_1:\n\tstr\tq3, [sp]\n.LBB0_2:\n\tnop\n\tb.lt\t.LBB0_2\n\tcbnz\tx8, .LBB0_1\n"
    assert hot_spills(nested) == []
