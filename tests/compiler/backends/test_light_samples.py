"""Every sample of every light op runs as a program of one instruction on three x86 levels, like numpy, natively."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from glowviz.compiler.backends.cpu import cpu_targets
from glowviz.compiler.backends.cpu.backend import missing_features
from glowviz.compiler.backends.cpu.build import build
from glowviz.compiler.backends.cpu.kernels.elements import KINDS
from glowviz.compiler.backends.cpu.objects import ObjectCache
from glowviz.compiler.ops import OPS, Elementwise
from glowviz.compiler.ops.base import Case, Op
from glowviz.compiler.program import Program
from tests.compiler.backends.one_instruction import error, expected, plan_of, program_of

TARGETS = {t.name: t for t in (cpu_targets.avx512(), cpu_targets.avx2(), cpu_targets.baseline())}
MOVING_NAMES = (
    "Copy Identity Reorder Reshape Flatten Squeeze Unsqueeze Transpose Expand Tile Concat Split Slice Pad "
    "DepthToSpace SpaceToDepth ConstantOfShape Trilu Range Gather GatherElements Resize CumSum"
)
MOVING = MOVING_NAMES.split()
REDUCING_NAMES = (
    "ReduceSum ReduceMean ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceSumSquare ReduceLogSum "
    "ReduceLogSumExp ArgMax ArgMin Softmax LogSoftmax LayerNormalization InstanceNormalization "
    "GroupNormalization BatchNormalization LRN"
)
REDUCING = REDUCING_NAMES.split()
ELEMENTWISE = [name for name, op in OPS.items() if issubclass(op, Elementwise) and op.__module__.startswith("glowviz")]
CONSTANT: dict[str, str] = {
    "Reshape": "shape", "Slice": "starts ends axes steps", "Pad": "pads value axes", "Expand": "shape",
    "Tile": "repeats", "Split": "split", "ConstantOfShape": "shape", "CumSum": "axis", "Resize": "roi scales sizes",
    "Trilu": "k",
}  # fmt: skip
"""Operands that must be known when compiling."""
TOLERANCE = 2e-6


def cases(op: type[Op]) -> Iterator[Case]:
    return object.__new__(op).samples(np.random.default_rng(0))


def may_be_host_call(program: Program) -> bool:
    """Only element kinds that no kernel reads: floats and integers of fewer than 8 bits, floats of 8, texts."""
    return any(buffer.type.elem not in KINDS for buffer in program.buffers.values())


@pytest.mark.parametrize("level", TARGETS)
@pytest.mark.parametrize("name", [*ELEMENTWISE, *MOVING, *REDUCING])
def test_samples_equal_numpy(name: str, level: str, objects: ObjectCache) -> None:
    op, target = OPS[name], TARGETS[level]
    if missing_features(target):
        pytest.skip(f"this processor has no {missing_features(target)}")
    for number, case in enumerate(cases(op)):
        program, arrays = program_of(op, case, frozenset(CONSTANT.get(name, "").split()))
        executable = build(program, plan_of(program), target, 1, objects)
        found, wanted = executable.run(arrays), expected(program, arrays)
        for out, value in wanted.items():
            worst = error(found[out], value)
            assert worst <= TOLERANCE, f"{name} sample {number}, %{out}: {worst:.3g}"
        if not executable.listing()[0].native:
            assert may_be_host_call(program), f"{name} sample {number} fell to a host call"
