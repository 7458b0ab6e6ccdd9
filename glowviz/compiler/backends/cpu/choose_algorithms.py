"""Which convolutions of a Program are done by Winograd's tiles: the fastest ones whose errors together stay small."""

from __future__ import annotations

from functools import partial
from typing import Any

from glowviz.compiler.backends.cpu.heavy import heavy_of
from glowviz.compiler.backends.cpu.kernels import choose_conv, choose_winograd
from glowviz.compiler.backends.cpu.kernels.boxes import Unsupported
from glowviz.compiler.backends.cpu.kernels.winograd_transforms import PAIRS
from glowviz.compiler.backends.cpu.options import Layer, Option, chosen, within
from glowviz.compiler.backends.cpu.plan import Plan
from glowviz.compiler.backends.cpu.plan_maps import DIRECT
from glowviz.compiler.backends.cpu.plan_winograd import plan_conv_by_tiles
from glowviz.compiler.backends.cpu.planner import plan_of
from glowviz.compiler.ops import Conv, WideConv
from glowviz.compiler.ops.wide import widened
from glowviz.compiler.program import Instr, Program
from glowviz.compiler.target import Target

BUDGET = 4e-5
"""What the estimated errors of all layers may add up to, as a part of each layer's largest result.

The promise for a network's outputs is 1e-4 of the largest.
"""
BUDGET_OF_BF16 = 1e-3
"""The same for convolutions of bf16 numbers, each of which was rounded by 2e-3 of itself at most."""
WORTH = 0.93  # of the time of direct convolution from which tiles are worth their memory
LARGEST = 8  # numbers of a transformed line, at most


def algorithms(program: Program, target: Target) -> dict[str, dict[str, Any]]:
    """Value of each convolution that is to be done by tiles -> its schedule."""
    narrow, wide = list[Layer](), list[Layer]()
    for instr in program.instructions:
        try:
            layer = Layer(instr.value or instr.outs[0], options_of(instr, program, target))
        except Unsupported:
            continue
        (wide if isinstance(heavy_of(instr, program).op, WideConv) else narrow).append(layer)
    return chosen(within(narrow, BUDGET)) | chosen(within(wide, BUDGET_OF_BF16))


def options_of(instr: Instr, program: Program, target: Target) -> tuple[Option, ...]:
    """The options of one convolution; Unsupported where only the direct one exists."""
    if instr.schedule:
        raise Unsupported("the schedule is set already")
    heavy = heavy_of(instr, program)
    if not isinstance(heavy.op, Conv):
        raise Unsupported("not a convolution")
    plan = plan_of(instr, program, target)
    if plan.family is not DIRECT:
        raise Unsupported("not a dense convolution")
    direct = choose_conv.expected(plan.spec, target)
    found = [Option(direct, lambda: 0.0)]
    taps = program.buffers[heavy.op.w].type.dims[-1]
    for size in (s for s in PAIRS if taps < s <= LARGEST and taps > 1):
        tiled = plan_conv_by_tiles(heavy, program, target, size - taps + 1)
        if size == LARGEST and not _small(tiled.spec, target):
            continue
        cost = choose_winograd.cost(tiled.spec, choose_winograd.choose(tiled.spec, target)[0], target)
        if cost < WORTH * found[-1].cost:
            describe = partial(_described, tiled, target, cost / direct)
            found.append(Option(cost, partial(_estimated, heavy.op, tiled, program), describe))
    if len(found) == 1:
        raise Unsupported("direct convolution is expected to be the fastest")
    return tuple(reversed(found))


def _estimated(op: Any, tiled: Plan, program: Program) -> float:
    """The error of a convolution by these tiles, with its own weights."""
    payload = program.buffers[op.w].payload
    assert payload is not None, "plan_conv_by_tiles asked for it"
    weights = widened(payload.array) if isinstance(op, WideConv) else payload.array
    return choose_winograd.estimated_error(weights, tiled.spec.filtering, op.group)


def _described(tiled: Plan, target: Target, share: float, error: float) -> dict[str, Any]:
    why = choose_winograd.choose(tiled.spec, target)[1]
    reason = f"{_named(tiled.spec.filtering)}: {100 * share:.0f} % of direct's cycles; {why}; {_told(error)}"
    return {**tiled.choose(target), "why": reason}


def _small(spec: Any, target: Target) -> bool:
    """Whether transformed weights stay in the last cache beside everything else."""
    return spec.points * spec.depth * spec.result.channels * 4 <= target.l3 // 4


def _named(filtering: Any) -> str:
    return f"Winograd F({filtering.outputs}x{filtering.outputs}, {filtering.taps}x{filtering.taps})"


def _told(error: float) -> str:
    return f"error {error:.0e} of the largest result on {choose_winograd.SAMPLES} sampled tiles"
