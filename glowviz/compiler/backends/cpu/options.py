"""Of the ways in which layers may be computed, the fastest are taken whose rounding errors together stay small."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any


def nothing(error: float) -> dict[str, Any]:
    """The schedule of the plain way: none, so that the default is taken."""
    return {}


@dataclass(frozen=True)
class Option:
    """One way to compute a layer: model cycles, and what estimates its error, which is asked only where it matters."""

    cost: float
    estimate: Callable[[], float]
    describe: Callable[[float], dict[str, Any]] = nothing
    """The schedule, given the error."""
    depth: int = 0
    """How often the scheme is applied inside itself."""
    growth: int = 0
    """Bytes more than the plain weights."""

    @cached_property
    def error(self) -> float:
        """As a part of the layer's largest result."""
        return self.estimate()

    @property
    def schedule(self) -> dict[str, Any]:
        return self.describe(self.error)

    @property
    def plain(self) -> bool:
        """It is how the layer is computed without further errors."""
        return self.describe is nothing


@dataclass(frozen=True)
class Layer:
    """What an instruction may be: its options from the fastest on; the last is the plain one."""

    name: str
    options: tuple[Option, ...]

    @property
    def best(self) -> Option:
        return self.options[0]

    @property
    def slower(self) -> Layer:
        """Without the fastest option."""
        return replace(self, options=self.options[1:])


def within(layers: list[Layer], budget: float, weigh: Callable[[float], float] = float) -> list[Layer]:
    """The layers, with slower options where their errors, each weighed, would add up to more than the budget.

    The first to go back is the one that saves most error for each cycle that it costs.
    """
    def price(layer: Layer) -> float:
        now, then = layer.options[:2]
        return max(weigh(now.error) - weigh(then.error), 0.0) / max(then.cost - now.cost, 1.0)

    found = list(layers)
    while sum(weigh(layer.best.error) for layer in found) > budget:
        able = [n for n, layer in enumerate(found) if not layer.best.plain]
        if not able:
            break
        worst = max(able, key=lambda n: price(found[n]))
        found[worst] = found[worst].slower
    return found


def chosen(layers: list[Layer]) -> dict[str, dict[str, Any]]:
    """Name -> schedule of every layer that is not computed the plain way."""
    return {layer.name: layer.best.schedule for layer in layers if not layer.best.plain}
