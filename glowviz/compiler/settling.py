"""Inputs that sizes follow from (a shape, axes, scales) are found, and a graph is made for one content of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from glowviz.compiler.graph import Graph, Node, constant
from glowviz.compiler.ops.base import Op
from glowviz.compiler.ops.inference import Known
from glowviz.compiler.types import KnownAtRunTime, Type

Contents = Mapping[str, np.ndarray]
MOST = 64
"""Elements of an input that may be a size, axes or scales; nobody writes longer ones."""
ROUNDS = 8
"""Sizes that follow from sizes that follow from sizes: graphs are not deeper than that."""


def settled(
    graph: Graph, inputs: Mapping[str, Any], bound: Callable[[Graph], Graph]
) -> tuple[Graph, tuple[str, ...]]:  # fmt: skip
    """The graph with constants for the inputs that sizes follow from, and the names of these inputs.

    `bound` types all nodes of a graph. Only small numeric inputs are taken, and only where an op cannot tell its
    result's shape without them; numbers of other inputs never become constants.
    """
    asked: set[str] = set()
    nodes: set[str] = set()
    for _ in range(ROUNDS):
        more = _asked_inputs(bound(graph), nodes) & inputs.keys()
        if not more:
            break
        asked |= more
        graph = with_contents(graph, {name: np.asarray(inputs[name]) for name in more})
    return graph, tuple(sorted(asked))


def with_contents(graph: Graph, contents: Contents) -> Graph:
    """The graph with these inputs as constants."""
    inputs = {name: type_ for name, type_ in graph.inputs.items() if name not in contents}
    constants = {name: constant(name, np.asarray(array)) for name, array in contents.items()}
    return graph.evolve(inputs=inputs, constants={**graph.constants, **constants})


def _asked_inputs(graph: Graph, nodes: set[str]) -> set[str]:
    """The inputs behind contents that open results wait for; `nodes` remembers whose results were open."""
    types = {**graph.inputs, **{c.name: c.type for c in graph.constants.values()}}
    types |= {s.name: s.type for s in graph.states.values()}
    makers = {result: node for node in graph for result in node.results}
    types |= {r: t for node in graph for r, t in zip(node.results, node.types, strict=True)}
    constants = graph.constants
    known = Known(lambda n: constants[n].array if n in constants else None, makers.get, types.__getitem__)
    found: set[str] = set()
    for node in graph:
        if node.name not in nodes and all(type_.static for type_ in node.types):
            continue
        waits, values = _unknown_contents(node.op, types.__getitem__, known)
        if waits or node.name in nodes:  # a settled one may still ask for a content: Resize for its region
            nodes.add(node.name)
            for value in values:
                found |= _inputs_behind(value, graph, makers) or set()
    return found


class _Asked(dict[str, Any]):
    """Contents by field; remembers which ones were asked for and are not known."""

    def __init__(self, contents: Mapping[str, Any]) -> None:
        super().__init__(contents)
        self.unknown: set[str] = set()

    def __getitem__(self, field: str) -> Any:
        content = super().__getitem__(field)
        if content is None:
            self.unknown.add(field)
        return content

    def get(self, field: str, default: Any = None) -> Any:
        try:
            return self[field]
        except KeyError:
            return default


def _unknown_contents(op: Op, type_of: Callable[[str], Type], known: Known) -> tuple[bool, list[str]]:
    """Whether the op waits for contents to tell its result's shape, and the operands whose contents it asks for."""
    slots = [slot.name for slot in op.slots()]
    asked = _Asked(dict(zip(slots, op.gather(known), strict=True)))
    waits = False
    try:
        op.infer(*op.gather(type_of), known=asked)
    except KnownAtRunTime:
        waits = True
    except (TypeError, ValueError, LookupError, ArithmeticError):
        return False, []  # it takes no contents, or operands have no shape yet
    values = [getattr(op, field) for field in sorted(asked.unknown)]
    return waits, [value for value in values if isinstance(value, str)]


def _inputs_behind(value: str, graph: Graph, makers: Mapping[str, Node]) -> set[str] | None:
    """The inputs a value is computed from; None where one of them is more than a few numbers."""
    found, stack, seen = set[str](), [value], set[str]()
    while stack:
        name = stack.pop()
        if name in seen or name in graph.constants:
            continue
        seen.add(name)
        if name in graph.inputs:
            if not _is_few_numbers(graph.inputs[name]):
                return None
            found.add(name)
        elif name not in makers or not makers[name].op.pure:
            return None
        elif not makers[name].op.reads_types_only:
            stack += makers[name].op.operands
    return found


def _is_few_numbers(type_: Type) -> bool:
    return type_.static and type_.rank <= 1 and type_.count <= MOST and type_.elem != "str"
