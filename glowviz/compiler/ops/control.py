"""What glowviz can look at but not compile."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Any, NoReturn

import numpy as np

from glowviz.compiler.ops.base import Case, Op, Value, Work, case
from glowviz.compiler.types import Type, TypeProblem


class Opaque(Op):
    """An op that glowviz does not know: it keeps what the model says of it, and refuses to run.

    `result_types` are those that the model declares, one per result; a shape of None is an unknown one.
    """

    xs: tuple[Value, ...]
    domain: str = ""  # type: ignore[misc]  # known ops have one per class, here the model says it
    op_type: str = ""
    opset: int = 0
    attrs: Mapping[str, Any] = field(default_factory=dict, hash=False)
    result_types: tuple[Type, ...] = ()
    family = "host"
    pure = False

    @property
    def full_name(self) -> str:
        """`ai.example::FancyOp`."""
        return f"{self.domain}::{self.op_type}" if self.domain else self.op_type

    def infer(self, xs: tuple[Type, ...]) -> tuple[Type, ...]:
        return self.result_types

    def infer_types(self, type_of: Any, known_of: Any) -> tuple[Type, ...]:
        return self.result_types

    def reference(self, xs: tuple[np.ndarray, ...]) -> NoReturn:
        raise TypeProblem(
            f"{self.full_name} (opset {self.opset}) has no meaning here: it can be looked at, not run. "
            f"Replace it in the model, or add it as an op (docs/adding-an-op.md)"
        )

    def work(self, operands: tuple[Type, ...], results: tuple[Type, ...]) -> Work:
        return Work(0, sum(t.bytes for t in (*operands, *results) if t.static))

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield case((np.zeros(2, np.float32),), op_type="Unknown", result_types=(Type("f32", (2,)),))
