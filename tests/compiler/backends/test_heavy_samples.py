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


def cases(op: type[Op]) -> Iterator[Case]:
    yield from object.__new__(op).samples(np.random.default_rng(0))
    rng = np.random.default_rng(1)
    if op.__name__ == "Conv":
        shape = rng.normal(size=(1, 40, 9, 7)).astype(np.float32), rng.normal(size=(40, 5, 3, 3)).astype(np.float32)
        yield case(*shape, rng.normal(size=40).astype(np.float32), group=8, pads=(1, 1, 1, 1))
    if op.__name__ == "MatMul":
        yield case(rng.normal(size=(2, 1, 33)).astype(np.float32), rng.normal(size=(33, 70)).astype(np.float32))


def may_be_host_call(op: type[Op], arrays: Arrays, program: Program) -> bool:
    """What no heavy kernel does: other kinds than f32, volumes, empty tensors, places of maxima."""
    first = arrays[next(iter(arrays))]
    if first.dtype != np.float32 or any(0 in a.shape for a in arrays.values()):
        return True
    maps = op.__name__ not in ("MatMul", "Gemm")
    op_now = program.instructions[0].op
    group = getattr(op_now, "group", 1)
    grouped = group > 1 and (group != first.shape[1] or group != arrays["w"].shape[0])
    if "w" in arrays and program.buffers["w"].kind != "weight" and (first.ndim == 3 or grouped):
        return True  # grouped and one-dimensional weights are packed only while compiling
    return (maps and first.ndim == 5) or len(program.instructions[-1].outs) > 1


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
    op, native = OPS[name], 0
    for sample in cases(op):
        run_time = name in ("MatMul", "Gemm", "Conv")
        for constant in (frozenset(), WEIGHTS) if run_time else (WEIGHTS,):
            program, inputs = program_of(op, sample, constant)
            if name == "MaxPool":
                program = one_result(program)
            native += check(op, program, inputs, sample, target, objects)
    assert native > 1


def one_result(program: Program) -> Program:
    """The same instruction without its second result."""
    (instr,) = program.instructions
    keep = instr.outs[0]
    buffers = {n: b for n, b in program.buffers.items() if n not in instr.outs[1:]}
    return program.evolve(buffers=buffers, body=(instr.evolve(outs=(keep,)),), outputs=program.outputs[:1])


def check(
    op: type[Op], program: Program, inputs: Arrays, sample: Case, target: Target, objects: ObjectCache
) -> bool:  # fmt: skip
    wanted = expected(program, inputs)
    arrays = {b.name: b.payload.array for b in program.of_kind("weight") if b.payload} | inputs
    host = may_be_host_call(op, arrays, program)
    ready, plan = plan_memory(compiled(program, target))
    verify_plan(ready, plan)
    executable = build(ready, plan, target, objects=objects)
    lines = executable.listing()
    told = [(line.instruction, line.why) for line in lines if not line.native]
    assert host or not told, (sample.attributes, {n: a.shape for n, a in arrays.items()}, told)
    found = executable.run(inputs)
    for name in program.buffers.keys() & wanted.keys():
        assert error(found[name], wanted[name]) <= TOLERANCE, (sample.attributes, name)
    executable.close()
    return all(line.native for line in lines)


@pytest.mark.parametrize("op", [PackedConv, PackedConvTranspose])
def test_packed_ops_mean_what_their_plain_forms_mean(op: type[Op]) -> None:
    sample = next(cases(op))
    program, inputs = program_of(op, sample)
    result = next(iter(expected(program, inputs).values()))
    assert result.shape == program.buffers["y0"].type.dims
    assert np.abs(result).max() > 0.1
