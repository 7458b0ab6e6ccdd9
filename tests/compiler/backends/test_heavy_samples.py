"""Every sample of every heavy op runs natively on three x86 levels, from row-major maps too, like numpy."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from glowviz.compiler.backends.cpu import cpu_targets
from glowviz.compiler.backends.cpu.backend import missing_features
from glowviz.compiler.backends.cpu.build import build
from glowviz.compiler.backends.cpu.choose_schedules import choose_schedules
from glowviz.compiler.backends.cpu.detour import detour
from glowviz.compiler.backends.cpu.objects import ObjectCache
from glowviz.compiler.backends.cpu.pack_weights import pack_weights
from glowviz.compiler.backends.cpu.packed_ops import PackedConv, PackedConvTranspose
from glowviz.compiler.backends.cpu.strassen_ops import StrassenProduct, StrassenSums
from glowviz.compiler.backends.cpu.winograd_ops import WinogradConv, WinogradInput, WinogradResult
from glowviz.compiler.memory import plan_memory
from glowviz.compiler.ops import OPS
from glowviz.compiler.ops.base import Case, Op, case
from glowviz.compiler.program import Program
from glowviz.compiler.target import Target
from glowviz.compiler.verify import verify_plan, verify_program
from tests.compiler.backends.one_instruction import Arrays, error, expected, program_of

TARGETS = {t.name: t for t in (cpu_targets.avx512(), cpu_targets.avx2(), cpu_targets.baseline())}
HEAVY = (
    "Conv", "ConvTranspose", "MatMul", "Gemm", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool",
)  # fmt: skip
WEIGHTS = frozenset({"w", "b"})
TOLERANCE = 1.6e-5
HALF_TOLERANCE = 1e-3
"""One unit in the last place of f16 (2^-10) relative to the largest element: where numpy rounds in between."""


def cases(op: type[Op]) -> Iterator[Case]:
    yield from object.__new__(op).samples(np.random.default_rng(0))
    rng = np.random.default_rng(1)
    if op.__name__ == "Conv":
        shape = rng.normal(size=(1, 40, 9, 7)).astype(np.float32), rng.normal(size=(40, 5, 3, 3)).astype(np.float32)
        yield case(*shape, rng.normal(size=40).astype(np.float32), group=8, pads=(1, 1, 1, 1))
        shape = rng.normal(size=(2, 3, 4, 5, 35)), rng.normal(size=(7, 3, 3, 2, 3))
        for kind in (np.float32, np.float64, np.float16):
            x, w, b = (a.astype(kind) for a in (*shape, rng.normal(size=7)))
            yield case(x, w, b, pads=(1, 0, 1, 1, 1, 1), dilations=(1, 2, 1))
    if op.__name__ == "MatMul":
        yield case(rng.normal(size=(2, 1, 33)).astype(np.float32), rng.normal(size=(33, 70)).astype(np.float32))
        yield case(rng.normal(size=(2, 1, 6, 600)), rng.normal(size=(3, 600, 37)))
        yield case(rng.integers(-9, 9, (5, 4, 1)).astype(np.int32), rng.integers(-9, 9, (1, 9)).astype(np.int32))


def compiled(program: Program, target: Target) -> Program:
    """The program after the backend's passes, each checked by the verifier."""
    for one in (detour, choose_schedules, pack_weights):
        program, _ = one.run(program, target)
        verify_program(program)
    return program


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> ObjectCache:
    return ObjectCache(tmp_path_factory.mktemp("objects"))


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
@pytest.mark.parametrize("name", HEAVY)
def test_samples(name: str, target: Target, objects: ObjectCache) -> None:
    if missing_features(target):
        pytest.skip("this processor cannot run the code")
    op = OPS[name]
    for sample in cases(op):
        for constant in (frozenset(), WEIGHTS):
            program, inputs = program_of(op, sample, constant)
            check(op, program, inputs, sample, target, objects)
            if name == "MaxPool":
                check(op, one_result(program), inputs, sample, target, objects)


def one_result(program: Program) -> Program:
    """The same instruction without its second result."""
    (instr,) = program.instructions
    keep = instr.outs[0]
    buffers = {n: b for n, b in program.buffers.items() if n not in instr.outs[1:]}
    return program.evolve(buffers=buffers, body=(instr.evolve(outs=(keep,)),), outputs=program.outputs[:1])


def check(
    op: type[Op], program: Program, inputs: Arrays, sample: Case, target: Target, objects: ObjectCache
) -> None:  # fmt: skip
    wanted = expected(program, inputs)
    arrays = {b.name: b.payload.array for b in program.of_kind("weight") if b.payload} | inputs
    ready, plan = plan_memory(compiled(program, target))
    verify_plan(ready, plan)
    executable = build(ready, plan, target, objects=objects)
    lines = executable.listing()
    told = [(line.instruction, line.why) for line in lines if not line.native]
    assert not told, (sample.attributes, {n: a.shape for n, a in arrays.items()}, told)
    found = executable.run(inputs)
    for name in program.buffers.keys() & wanted.keys():
        tolerance = HALF_TOLERANCE if wanted[name].dtype == np.float16 else TOLERANCE
        assert error(found[name], wanted[name]) <= tolerance, (sample.attributes, name)
    executable.close()


@pytest.mark.parametrize("op", [
    PackedConv, PackedConvTranspose, WinogradConv, WinogradInput, WinogradResult, StrassenSums, StrassenProduct,
])  # fmt: skip
def test_packed_ops_mean_what_their_plain_forms_mean(op: type[Op]) -> None:
    sample = next(cases(op))
    program, inputs = program_of(op, sample)
    result = next(iter(expected(program, inputs).values()))
    assert result.shape == program.buffers["y0"].type.dims
    assert np.abs(result).max() > 0.1
