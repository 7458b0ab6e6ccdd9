"""Reductions and changes of rank whose axes are computed while the model runs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from glowviz.compiler.ops.activations import Identity
from glowviz.compiler.ops.base import OPS, Builder, Case, Op, Value, case
from glowviz.compiler.ops.cases import floats, ints
from glowviz.compiler.ops.shape import Known
from glowviz.compiler.types import KnownAtRunTime, Type, TypeProblem

LINEAR = ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd")
"""What leaves x as it is when it reduces no axis."""


class AlongAxes(Op):
    """A Reduce op, Squeeze or Unsqueeze (`kind`) whose axes are an operand.

    Where the axes are known it is lowered to that op; otherwise only a run knows its shape. With `noop` no axes mean
    none, without it all.
    """

    x: Value
    axes: Value
    kind: str
    keepdims: bool = True
    noop: bool = False
    family = "host"

    def fixed(self, axes: np.ndarray) -> Op:
        """The op with these axes."""
        numbers = tuple(int(a) for a in axes.reshape(-1))
        if not numbers and (self.noop or self.kind in ("Squeeze", "Unsqueeze")):
            if self.kind.startswith("Reduce") and self.kind not in LINEAR:
                raise TypeProblem(f"{self.kind} over no axis (noop_with_empty_axes) is not known here")
            return Identity(self.x)
        more = {"keepdims": self.keepdims} if self.kind.startswith("Reduce") else {}
        return OPS[self.kind](self.x, axes=numbers, **more)  # type: ignore[call-arg]  # fields are those of the class

    def infer(self, x: Type, axes: Type, *, known: Known) -> Type | tuple[Type, ...]:
        if axes.elem not in ("i32", "i64"):
            raise TypeProblem(f"axes must be i32 or i64, got {axes}")
        content = known["axes"]
        if content is None:
            raise KnownAtRunTime("axes are computed at run time, and the shape with them")
        return self.fixed(content).infer(x)

    def reference(self, x: np.ndarray, axes: np.ndarray) -> np.ndarray:
        return self.fixed(axes).reference(x)

    def lower(self, b: Builder) -> str | None:
        content = b.known(self.axes)
        return None if content is None else b.add(self.fixed(content))[0]

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        x = floats(rng, (2, 1, 3))
        yield case(x, ints(0, -1), kind="ReduceSum", keepdims=False)
        yield case(x, ints(1), kind="Squeeze")
        yield case(x, ints(0), kind="Unsqueeze")
        yield case(x, np.zeros(0, np.int64), kind="ReduceMax", noop=True)
