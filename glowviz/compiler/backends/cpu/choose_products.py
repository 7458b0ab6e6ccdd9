"""Which matrix products of a Program are done by Strassen's scheme, and how deep: errors and memory stay small."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf
from typing import Any

from glowviz.compiler.backends.cpu.heavy import heavy_of
from glowviz.compiler.backends.cpu.kernels import choose_gemm, choose_strassen
from glowviz.compiler.backends.cpu.kernels.boxes import Unsupported
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


@dataclass(frozen=True)
class Option:
    """One way to compute a product: model cycles, estimated error, bytes more than the plain weights, schedule.

    Without a schedule it is the plain product.
    """

    cost: float
    error: float
    growth: int
    schedule: dict[str, Any]


@dataclass(frozen=True)
class Layer:
    """What a product may be: its options from the fastest on; the last is plain."""

    name: str
    options: tuple[Option, ...]

    @property
    def best(self) -> Option:
        return self.options[0]

    @property
    def slower(self) -> Layer:
        """Without the fastest option."""
        return replace(self, options=self.options[1:])

    @property
    def price(self) -> float:
        """Cycles that going back one option costs, for each square of an error that it saves."""
        if len(self.options) < 2:
            return inf
        now, then = self.options[:2]
        return (then.cost - now.cost) / max(now.error**2 - then.error**2, 1e-30)


def products(program: Program, target: Target) -> dict[str, dict[str, Any]]:
    """Value of each product that is to be done by blocks -> its schedule."""
    layers = []
    for instr in program.instructions:
        try:
            layers.append(Layer(instr.value or instr.outs[0], options_of(instr, program, target)))
        except Unsupported:
            continue
    deep = [n for n, layer in enumerate(layers) if layer.best.schedule["levels"] > 1]
    while deep and sum(layer.best.growth for layer in layers) > GROWTH:
        worst = deep.pop(max(range(len(deep)), key=lambda n: layers[deep[n]].best.growth))
        layers[worst] = layers[worst].slower
    allowed = MORE**2 * sum(layer.options[-1].error ** 2 for layer in layers)
    while any(layer.best.schedule for layer in layers) and sum(layer.best.error**2 for layer in layers) > allowed:
        worst = min(range(len(layers)), key=lambda n: layers[n].price)
        layers[worst] = layers[worst].slower
    return {layer.name: layer.best.schedule for layer in layers if layer.best.schedule}


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
    found = [Option(plain, least, 0, {})]
    for levels, turns in CHOICES:
        try:
            plan = plan_product_by_blocks(heavy, program, target, levels)
        except Unsupported:
            continue
        schedule, why = choose_strassen.choose(plan.spec, target)
        schedule = replace(schedule, turns=choose_strassen.even(plan.spec.depth, turns))
        cost = choose_strassen.cost(plan.spec, schedule, target)
        shallower = min(o.cost for o in found if o.schedule.get("levels", 0) < levels)
        if cost < min(WORTH * shallower, found[-1].cost):
            error = choose_strassen.scheme_error(constant_b(heavy, program), plan.spec, schedule.turns)
            growth = plan.spec.weight_bytes - 4 * plan.spec.k * plan.spec.n
            told = _told(levels, why, cost / plain, error / least)
            found.append(Option(cost, error, growth, plan.written(schedule, told)))
    if len(found) == 1:
        raise Unsupported("the plain product is expected to be the fastest")
    return tuple(reversed(found))


def _told(levels: int, why: str, share: float, rounding: float) -> str:
    return (
        f"Strassen's scheme, {levels} level{'s' if levels > 1 else ''}: {7**levels} products of blocks instead of "
        f"{8**levels}, {100 * share:.0f} % of the plain product's cycles; {why}; {rounding:.1f} times its rounding "
        "error, estimated on these weights"
    )
