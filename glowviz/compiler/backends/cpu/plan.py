"""A Plan is everything decided about one heavy instruction: spec, operands, the orders its weights must have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import lru_cache
from typing import Any

import numpy as np

from glowviz.compiler.backends.cpu.kernels.boxes import Unsupported
from glowviz.compiler.backends.cpu.kernels.epilogue import Step
from glowviz.compiler.backends.cpu.registry import KernelCode
from glowviz.compiler.ops import Op
from glowviz.compiler.program import Program
from glowviz.compiler.target import Target
from glowviz.compiler.types import Order

Emit = Callable[[Any, Any, Target, str, Step | None, str], KernelCode]


@dataclass(frozen=True)
class Family:
    """A kernel file: the name of its algorithm, its schedule class, its rule and its emitter."""

    algorithm: str
    schedule: type
    choose: Callable[[Any, Target], tuple[Any, str]]
    emit: Emit


@dataclass(frozen=True)
class Repacked:
    """The heavy op that reads `weight` packed as `pack` gives it: `size` numbers, flat.

    It reads what `first` makes of its map, if anything. Packing waits until there is a place for the result.
    """

    op: Op
    weight: str
    size: int
    pack: Callable[[], np.ndarray]
    first: Op | None = None

    @classmethod
    def of(cls, op: Op, weight: str, array: np.ndarray, first: Op | None = None) -> Repacked:
        """With weights that are packed already."""
        return cls(op, weight, array.size, lambda: array, first)


@dataclass(frozen=True)
class Plan:
    """How one instruction is to be computed; `orders` gives the order a weight must lie in under a schedule."""

    family: Family
    spec: Any
    operands: tuple[str, ...]
    step: Step | None = None
    orders: Callable[[Any], Mapping[str, Order]] = field(default=lambda schedule: {})
    label: str = ""
    repack: Callable[[Any], Repacked] | None = None
    """Where weights must lie in an order that no tiling describes: the op on packed weights, and those."""
    fixed: tuple[tuple[str, Any], ...] = ()
    """Parts of the schedule that packed weights have settled."""

    def choose(self, target: Target) -> dict[str, Any]:
        """The default schedule as JSON data: algorithm, its parameters, and why."""
        return self.written(*self._default(target))

    def written(self, schedule: Any, why: str) -> dict[str, Any]:
        """A schedule as it stands in an instruction."""
        return {"algorithm": self.family.algorithm, **asdict(schedule), "why": why}

    def _default(self, target: Target) -> tuple[Any, str]:
        schedule, why = self.family.choose(self.spec, target)
        return replace(schedule, **dict(self.fixed)), why

    def schedule(self, data: Mapping[str, Any], target: Target) -> tuple[Any, str]:
        """The schedule written in an instruction, or the default where nothing is written."""
        if data.get("algorithm") != self.family.algorithm:
            return self._default(target)
        known = {f.name for f in fields(self.family.schedule)}
        values = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items() if k in known}
        return self.family.schedule(**values), str(data.get("why", "set by hand"))

    def code(self, data: Mapping[str, Any], program: Program, target: Target) -> KernelCode:
        """The kernel; Unsupported where a weight does not lie as the schedule needs it."""
        if self.repack is not None:
            raise Unsupported("the weights are not packed")
        schedule, why = self.schedule(data, target)
        for name, order in self.orders(schedule).items():
            if program.buffers[name].type.order != order:
                raise Unsupported(f"%{name} is not packed in @{order}")
        made = _emitted(_Request(self.family, self.spec, schedule, target, self.label, why, self.step))
        return replace(made, operands=self.operands)


@dataclass(frozen=True)
class _Request:
    """A kernel to write. The spec's epilogue text stands for `step`: equal requests give equal code."""

    family: Family
    spec: Any
    schedule: Any
    target: Target
    label: str
    why: str
    step: Step | None = field(compare=False)


@lru_cache(maxsize=512)
def _emitted(request: _Request) -> KernelCode:
    family = request.family
    return family.emit(request.spec, request.schedule, request.target, request.label, request.step, request.why)
