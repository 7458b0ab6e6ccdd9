"""One op on real arrays: its results, or a Problem that says which op, where and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from glowviz.compiler.graph import Origin, Payload
from glowviz.compiler.interpreter.contents import content_text, each_array, row_major
from glowviz.compiler.ops import Cast, ConstantOfShape, Fused, Op, Opaque
from glowviz.compiler.problem import Problem, told
from glowviz.compiler.types import FLOATS, Type


class RunProblem(Problem):
    """Something that cannot be run: which op, where, what was expected and what to do."""


def evaluate(
    op: Op, operands: Mapping[str, Any], value: str, origin: Origin, types: tuple[Type, ...] = ()
) -> tuple[Any, ...]:
    """The results of an op: arrays, lists of arrays for sequences, None for an empty optional.

    With `types`, a result of another shape than promised is refused too.
    """
    where = place(op, value, origin)
    if isinstance(op, Opaque):
        raise RunProblem(
            f"{told(op.full_name)} (opset {op.opset}) is not known, so it can be looked at but not run", where, "",
            "Cut the model before it, replace it in the model, or add it as an op (docs/adding-an-op.md)",
        )
    try:
        with np.errstate(all="ignore"):
            results = op.evaluate(operands.__getitem__)
    except (ValueError, IndexError, TypeError, ArithmeticError, NotImplementedError) as error:
        shapes = ", ".join(f"%{told(o)} {content_text(operands[o])}" for o in op.operands)
        raise RunProblem(f"{op.name} cannot be computed: {error}", where, "", f"Its operands are {shapes}") from error
    for result, type_ in zip(results, types, strict=False):
        if type_.static and getattr(result, "shape", None) != type_.dims:
            raise RunProblem(
                f"{op.name} gives {content_text(result)}, its type says {type_}", where, "both to be one shape",
                "This is a mistake in glowviz: the op's infer and reference disagree; please report it with the model",
            )
    # row-major whatever numpy chose: the same numbers in another memory order may be summed up differently
    return tuple(row_major(result) for result in results)


def place(op: Op, value: str, origin: Origin) -> str:
    """`Conv %y (from conv1, bn1)`."""
    names = ", ".join(told(name) for name in origin.names[:4])
    return f"{op.name} %{told(value)}" + (f" (from {names})" if names else "")


def is_float(array: np.ndarray) -> bool:
    """A floating-point array, bf16 included."""
    return array.dtype.kind == "f" or array.dtype.name == "bfloat16"


def doubled(content: Any) -> Any:
    """Floats as doubles, everything else as it is; the same object where there is nothing to do."""
    if isinstance(content, np.ndarray):
        return content.astype(np.float64) if is_float(content) and content.dtype != np.float64 else content
    return each_array(content, doubled)


@cache
def in_double(op: Op) -> Op:
    """The op as it stands in a computation where every float is a double."""
    match op:
        case Cast() if op.to in FLOATS:
            return replace(op, to="f64")
        case ConstantOfShape() if op.elem in FLOATS:
            return replace(op, elem="f64")
        case Fused():
            constants = {
                name: replace(c, type=c.type.with_elem("f64"), payload=Payload(doubled(c.array)))
                if c.type.is_float
                else c
                for name, c in op.body.constants.items()
            }
            nodes = {name: node.evolve(op=in_double(node.op)) for name, node in op.body.nodes.items()}
            return replace(op, body=replace(op.body, constants=constants, nodes=nodes))
    return op
