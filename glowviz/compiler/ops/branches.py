"""If runs one of two bodies; a branch that does not fit the shapes refuses only when a run takes it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from typing import Any, NoReturn

import numpy as np

from glowviz.compiler.graph import Node, Output, Region
from glowviz.compiler.ops.activations import Identity
from glowviz.compiler.ops.base import Case, Op, Value, Work, case
from glowviz.compiler.ops.bodies import (
    Controlled,
    Typed,
    body_work,
    input_types,
    join,
    output_types,
    retyped,
    run_body,
    sample_body,
    unlike,
)
from glowviz.compiler.ops.cases import floats
from glowviz.compiler.ops.elementwise import Add, Mul
from glowviz.compiler.problem import Problem
from glowviz.compiler.types import Type, TypeProblem


class If(Controlled):
    """The results of one body or the other; both get all of `xs`, in order."""

    condition: Value
    xs: tuple[Value, ...] = ()
    then_branch: Region = field(default_factory=Region)
    else_branch: Region = field(default_factory=Region)

    def settled(self, operands: tuple[Any, ...], typed: Typed) -> If:
        fits: dict[str, Region] = {}
        faults: dict[str, Exception] = {}
        for name, region in self.regions.items():
            try:
                fits[name] = typed(region, input_types(region, operands[1]))
            except (TypeProblem, Problem) as fault:
                faults[name] = fault
        if not fits:
            raise next(iter(faults.values()))
        branches = fits | {name: unfit(next(iter(fits.values())), str(fault)) for name, fault in faults.items()}
        return self if branches == self.regions else self.evolve(**branches)

    def misfit(self, operands: tuple[Any, ...], results: int) -> str | None:
        for name, region in self.regions.items():
            if len(region.outputs) < results:
                return f"its {name} returns {len(region.outputs)} values for {results} results"
            told = unlike(f"operand of its {name}", tuple(region.inputs.values()), operands[1])
            if told:
                return told
        return None

    def infer(self, condition: Type, xs: tuple[Type, ...]) -> tuple[Type, ...]:
        if condition.elem != "bool":
            raise TypeProblem(f"the condition is {condition}, not a bool")
        fitted = self.settled((condition, xs), retyped)
        pairs = zip(output_types(fitted.then_branch), output_types(fitted.else_branch), strict=True)
        return tuple(join(f"result{k}", *pair) for k, pair in enumerate(pairs))

    def reference(self, condition: np.ndarray, xs: tuple[Any, ...]) -> tuple[Any, ...]:
        taken = self.then_branch if bool(np.asarray(condition).reshape(-1)[0]) else self.else_branch
        return tuple(run_body(taken, xs))

    def work(self, operands: tuple[Type, ...], results: tuple[Type, ...]) -> Work:
        """That of the larger branch."""
        return max((body_work(region) for region in self.regions.values()), key=lambda work: work.flops)

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        x, y = floats(rng, (2, 3)), floats(rng, (2, 3))
        twice = sample_body({"x": x, "y": y}, {"t": Mul("x", "y"), "u": Add("t", "x")}, "u", "t")
        same = sample_body({"x": x, "y": y}, {"v": Add("x", "y"), "w": Identity("y")}, "v", "w")
        for condition in (True, False):
            yield case(np.array(condition), (x, y), then_branch=twice, else_branch=same)


class Unfit(Op):
    """What cannot be computed with operands of these types; it refuses when a run comes to it.

    It stands in the branch of an If that does not fit the shapes, for another branch may be the one that is taken.
    """

    reason: str = ""
    result_types: tuple[Type, ...] = ()
    family = "host"
    pure = False

    def infer(self) -> tuple[Type, ...]:
        return self.result_types

    def reference(self) -> NoReturn:
        raise ValueError(f"this branch does not fit the shapes: {self.reason}")

    def work(self, operands: tuple[Type, ...], results: tuple[Type, ...]) -> Work:
        return Work(0, 0)

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield case(reason="Add: shapes [2] and [3] do not broadcast", result_types=(Type("f32", (2,)),))


def unfit(other: Region, reason: str) -> Region:
    """A branch that refuses to run, with inputs and results like those of the other one."""
    names = tuple(f"unfit{k}" for k in range(len(other.outputs)))
    types = output_types(other)
    nodes = {names[0]: Node(Unfit(reason, types), names, types)} if names else {}
    return Region("unfit", dict(other.inputs), {}, nodes, tuple(Output(n, n) for n in names))
