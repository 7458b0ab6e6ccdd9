"""Which matrix products of a Program are done by Strassen's scheme, and how deep: errors and memory stay small."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from glowviz.compiler.backends.cpu.heavy import Heavy, heavy_of
from glowviz.compiler.backends.cpu.kernels import choose_gemm, choose_strassen
from glowviz.compiler.backends.cpu.kernels.boxes import Unsupported
from glowviz.compiler.backends.cpu.kernels.strassen import StrassenSchedule, StrassenSpec
from glowviz.compiler.backends.cpu.options import Layer, Option, chosen, within
from glowviz.compiler.backends.cpu.plan import Plan
from glowviz.compiler.backends.cpu.plan_strassen import constant_b, direct_plan, plan_product_by_blocks
from glowviz.compiler.program import Instr, Program
from glowviz.compiler.target import Target

CHOICES = ((1, 96), (1, 192), (2, 96))
"""Levels, and turns of a reduction in one sum: more turns move less and round more. To try, the most exact first.

A third level would make weights five times as large.
"""
WORTH = 0.95  # of the plain product's time from which sums are worth their memory, and a second level beside the first
MORE = 1.5
"""How many times the rounding errors of a network's plain products those of its scheme may be, as root mean squares:
the largest ones grow more, and what is promised is twice onnxruntime's. Independent errors add like squares."""
GROWTH = 96 << 20
"""Bytes that the second level may add to the weights of a network; the first makes them 1.75 times as large."""


def products(program: Program, target: Target) -> dict[str, dict[str, Any]]:
    """Value of each product that is to be done by blocks -> its schedule."""
    layers = []
    for instr in program.instructions:
        try:
            layers.append(Layer(instr.value or instr.outs[0], options_of(instr, program, target)))
        except Unsupported:
            continue
    deep = [n for n, layer in enumerate(layers) if layer.best.depth > 1]
    while deep and sum(layer.best.growth for layer in layers) > GROWTH:
        worst = deep.pop(max(range(len(deep)), key=lambda n: layers[deep[n]].best.growth))
        layers[worst] = layers[worst].slower
    allowed = MORE**2 * sum(layer.options[-1].error ** 2 for layer in layers)
    return chosen(within(layers, allowed, lambda error: error**2))


def options_of(instr: Instr, program: Program, target: Target) -> tuple[Option, ...]:
    """The options of one product; Unsupported where only the plain one exists."""
    if instr.schedule:
        raise Unsupported("the schedule is set already")
    if program.touches_held(instr):
        raise Unsupported("its size shows only when it runs")
    heavy = heavy_of(instr, program)
    direct = direct_plan(heavy, program, target)
    schedule, _ = choose_gemm.choose(direct.spec, target)
    plain = choose_gemm.cost(direct.spec, schedule, target)
    least = choose_strassen.plain_error(direct.spec.k, target)
    found = [Option(plain, lambda: least)]
    for levels, turns in CHOICES:
        try:
            plan = plan_product_by_blocks(heavy, program, target, levels)
        except Unsupported:
            continue
        schedule, why = choose_strassen.choose(plan.spec, target)
        schedule = replace(schedule, turns=choose_strassen.even(plan.spec.depth, turns))
        cost = choose_strassen.cost(plan.spec, schedule, target)
        shallower = min(o.cost for o in found if o.depth < levels)
        if cost < min(WORTH * shallower, found[-1].cost):
            estimate = partial(_estimated, heavy, program, plan.spec, schedule.turns)
            told = partial(_told, levels, why, cost / plain, least)
            growth = plan.spec.weight_bytes - 4 * plan.spec.k * plan.spec.n
            found.append(Option(cost, estimate, partial(_described, plan, schedule, told), levels, growth))
    if len(found) == 1:
        raise Unsupported("the plain product is expected to be the fastest")
    return tuple(reversed(found))


def _estimated(heavy: Heavy, program: Program, spec: StrassenSpec, turns: int) -> float:
    return choose_strassen.scheme_error(constant_b(heavy, program), spec, turns)


def _described(plan: Plan, schedule: StrassenSchedule, told: Callable[[float], str], error: float) -> dict[str, Any]:
    return plan.written(schedule, told(error))


def _told(levels: int, why: str, share: float, least: float, error: float) -> str:
    return (
        f"Strassen's scheme, {levels} level{'s' if levels > 1 else ''}: {7**levels} products of blocks instead of "
        f"{8**levels}, {100 * share:.0f} % of the plain product's cycles; {why}; {error / least:.1f} times its "
        "rounding error, estimated on these weights"
    )
