"""Random valid models with their inputs, from a seeded generator or as a hypothesis strategy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from hypothesis import strategies as st

import tests.fuzz.operators_elementwise
import tests.fuzz.operators_heavy
import tests.fuzz.operators_microsoft
import tests.fuzz.operators_ml
import tests.fuzz.operators_rare
import tests.fuzz.operators_sequences
import tests.fuzz.operators_shape  # noqa: F401  # all register their operators
from tests.fuzz.growing import Growing, NotValid
from tests.fuzz.registry import OPERATORS

OPSETS = (13, 15, 17, 18, 19, 21, 22, 23, 24, 26, 28)
OLD = {"Upsample": 9, "Scatter": 10, "GradientOf": 12}
"""Operators that newer opsets do not have, with the last one that does."""


@dataclass(frozen=True)
class Made:
    """A model, what it is given, and the outputs that every right implementation computes bit for bit."""

    model: onnx.ModelProto
    inputs: dict[str, np.ndarray]
    exact: set[str]
    special: bool

    @property
    def ops(self) -> tuple[str, ...]:
        return tuple(node.op_type for node in self.model.graph.node)


def grown(number: Callable[[int, int], int], allowed: Sequence[str] = ()) -> Made:
    """A model of one to eight nodes; every operator is as likely as any other."""
    g = Growing(number, opset=OPSETS[number(0, len(OPSETS) - 1)], special=number(0, 4) == 4)
    names = sorted(allowed or OPERATORS)
    wanted = number(1, 8)
    for _ in range(60):
        if len(g.nodes) >= wanted:
            break
        op = g.one_of(names)
        if op in OLD and not g.nodes:
            g.opset = OLD[op]
        try:
            OPERATORS[op](g, op)
        except NotValid:
            continue
    if not g.nodes:
        g.node("Identity", [g.fresh("f32", (2, 3))], exact=True)
    return Made(g.model(), g.inputs, g.exact_outputs(), g.special)


@st.composite
def models(draw: Callable[[Any], Any], allowed: Sequence[str] = ()) -> Made:
    """The same as a strategy."""
    return grown(lambda low, high: draw(st.integers(low, high)), allowed)
