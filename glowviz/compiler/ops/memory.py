"""Ops that change where numbers lie and not what they are."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from glowviz.compiler.ops.base import Case, Value, case
from glowviz.compiler.ops.cases import floats
from glowviz.compiler.ops.shape import Movement
from glowviz.compiler.types import Order, Type, TypeProblem, channel_blocked, channels_last


class Reorder(Movement):
    """The same logical values in another memory order; None is plain row-major."""

    x: Value
    order: Order | None = None

    def infer(self, x: Type) -> Type:
        if self.order is not None and self.order.rank != x.rank:
            raise TypeProblem(f"order @{self.order} is for rank {self.order.rank}, x is {x}")
        return x.with_order(self.order)

    def reference(self, x: np.ndarray) -> np.ndarray:
        return x

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        for order in (None, channels_last(4), channel_blocked(4, 4)):
            yield case(floats(rng, (2, 3, 4, 5)), order=order)


class Pack(Movement):
    """Constant weights in the order a kernel reads them; the logical values stay."""

    w: Value
    order: Order | None = None

    def infer(self, w: Type) -> Type:
        if self.order is not None and self.order.rank != w.rank:
            raise TypeProblem(f"order @{self.order} is for rank {self.order.rank}, w is {w}")
        return w.with_order(self.order)

    def reference(self, w: np.ndarray) -> np.ndarray:
        return w

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        features = Order(((0, 0), (1, 0), (2, 0), (3, 0), (1, 4), (0, 4)))
        yield case(floats(rng, (6, 3, 3, 3)), order=features)
        yield case(floats(rng, (5, 7)), order=Order(((1, 0), (0, 0), (1, 4))))


class Copy(Movement):
    """x again, in memory of its own."""

    x: Value
    inplace = ("x",)

    def infer(self, x: Type) -> Type:
        return x

    def reference(self, x: np.ndarray) -> np.ndarray:
        return x  # memory copies what it stores; sequences and optionals are no arrays

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield case(floats(rng, (2, 3)))


class FillHalo(Movement):
    """The halo of a buffer gets its fill value; what is inside stays. Instruction only: `fill_halo inout %x`."""

    x: Value
    inplace = ("x",)

    def infer(self, x: Type) -> Type:
        return x

    def reference(self, x: np.ndarray) -> np.ndarray:
        return x

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield case(floats(rng, (1, 2, 3, 4)))
