"""A builder that writes down what an op lowers to, without a graph around it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from glowviz.compiler.graph import Node
from glowviz.compiler.ops.base import INSTRUCTIONS, OPS, Op, snake_case
from glowviz.compiler.ops.inference import Known, infer
from glowviz.compiler.types import ELEMENTS, Type, of_array


class Sketch:
    """Collects nodes and constants over operands of given types; `known` holds the operands that are constants."""

    def __init__(self, types: Mapping[str, Type], known: Mapping[str, np.ndarray]) -> None:
        self.nodes: dict[str, Node] = {}
        self.constants: dict[str, np.ndarray] = dict(known)
        self._types: dict[str, Type] = dict(types)
        self._makers: dict[str, Node] = {}
        self._known = Known(self.constants.get, self._makers.get, self._types.__getitem__)
        self._methods = {**INSTRUCTIONS, **{snake_case(name): kind for name, kind in OPS.items()}}

    def type(self, value: str) -> Type:
        return self._types[value]

    def known(self, value: str) -> np.ndarray | None:
        return self._known(value)

    def const(self, array: Any, like: str | None = None, name: str = "c") -> str:
        """A constant; with `like`, of that value's element kind."""
        content = np.asarray(array, dtype=ELEMENTS[self.type(like).elem] if like is not None else None)
        fresh = f"{name}.{len(self.constants)}"
        self.constants[fresh] = content
        self._types[fresh] = of_array(content)
        return fresh

    def add(self, op: Op, results: int = 1) -> tuple[str, ...]:
        """A new node; the names of its results."""
        names = tuple(f"{op.instruction}.{len(self.nodes)}.{i}" for i in range(results))
        types = infer(op, self.type, self._known)[:results]
        node = Node(op, names, types)
        self.nodes[node.name] = node
        self._types.update(zip(names, types, strict=True))
        self._makers.update(dict.fromkeys(names, node))
        return names

    def one(self, op: Op) -> str:
        """A new node with one result, returned by name."""
        return self.add(op)[0]

    def __getattr__(self, name: str) -> Callable[..., str]:
        kind = self._methods.get(name)
        if kind is None:
            raise AttributeError(f"no op has the builder method {name!r}")
        return lambda *operands, **attributes: self.one(kind(*operands, **attributes))
