"""Random inputs that a graph can take: numbers for floats, indices that stay inside what they index."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from glowviz.compiler.graph import Graph, Node
from glowviz.compiler.interpreter.contents import example
from glowviz.compiler.ops import (
    Cast,
    Clip,
    Concat,
    Expand,
    Flatten,
    Gather,
    GatherElements,
    GatherND,
    Identity,
    OneHot,
    Reorder,
    Reshape,
    ScatterElements,
    ScatterND,
    Slice,
    Split,
    Squeeze,
    Tile,
    Transpose,
    Unsqueeze,
)
from glowviz.compiler.types import ELEMENTS, INTEGERS, Type

SAME_NUMBERS = (
    Cast, Clip, Concat, Expand, Flatten, Identity, Reorder, Reshape, Slice, Split, Squeeze, Tile, Transpose, Unsqueeze,
)  # fmt: skip
"""Ops whose results hold the numbers of their first operands."""
PLAIN_LIMIT = 2
"""Integers that index nothing are 0 or 1: right for masks, token types and flags."""


def sample_inputs(graph: Graph, seed: int = 0) -> dict[str, np.ndarray]:
    """One array (for held types one content) per input, the same for the same seed.

    Floats are normally distributed; u8 and i8 use their whole range; bools are even; integers that reach an index
    operand (through casts, reshapes and the like) stay in its range, others are 0 or 1. Every shape must be bound.
    """
    rng = np.random.default_rng(seed)
    return {name: _sample(rng, type_, index_limit(graph, name)) for name, type_ in graph.inputs.items()}


def sample_words(graph: Graph, name: str) -> str:
    """What `sample_inputs` gives an input, in words: the range of an index says what it indexes."""
    type_ = graph.inputs[name]
    if type_.held:
        return "an example"
    if type_.elem not in INTEGERS:
        return "true or false" if type_.elem == "bool" else "normal, mean 0, deviation 1"
    limit = index_limit(graph, name)
    if limit is not None:
        return f"whole numbers 0 … {max(limit, 1) - 1:,}, for it indexes {limit:,}"
    if type_.elem in ("u8", "i8"):
        bounds = np.iinfo(ELEMENTS[type_.elem])
        return f"whole numbers {bounds.min} … {bounds.max}".replace("-", "−")
    return "0 or 1"


def _sample(rng: np.random.Generator, type_: Type, limit: int | None) -> np.ndarray:
    if type_.held:
        return example(type_, rng)
    dtype = ELEMENTS[type_.elem]
    if type_.elem == "bool":
        return rng.integers(0, 2, type_.dims).astype(dtype)
    if type_.elem in INTEGERS:
        low, high = 0, PLAIN_LIMIT if limit is None else max(limit, 1)
        if limit is None and type_.elem in ("u8", "i8"):
            low, high = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max) + 1
        return rng.integers(low, high, type_.dims).astype(dtype)
    return rng.normal(size=type_.dims).astype(dtype)


def index_limit(graph: Graph, value: str) -> int | None:
    """How many elements the value indexes, the least if several; None where it is no index."""
    limits: list[int] = []
    seen, waiting = {value}, [value]
    while waiting:
        name = waiting.pop()
        for user in graph.users.get(name, ()):
            limits.extend(_limits(graph, user, name))
            if isinstance(user.op, SAME_NUMBERS):
                new = [r for r in user.results if r not in seen]
                seen.update(new)
                waiting.extend(new)
    return min(limits, default=None)


def _limits(graph: Graph, node: Node, value: str) -> Iterator[int]:
    match node.op:
        case Gather(x=x, indices=indices, axis=axis) | GatherElements(x=x, indices=indices, axis=axis) | (
            ScatterElements(x=x, indices=indices, axis=axis)
        ) if indices == value:
            yield graph.type(x).dims[axis]
        case GatherND(x=x, indices=indices, batch_dims=batch) if indices == value:
            depth = graph.type(indices).dims[-1]
            yield min(graph.type(x).dims[batch : batch + depth], default=1)
        case ScatterND(x=x, indices=indices) if indices == value:
            yield min(graph.type(x).dims[: graph.type(indices).dims[-1]], default=1)
        case OneHot(indices=indices) if indices == value:
            yield graph.type(node.name).dims[node.op.axis]
