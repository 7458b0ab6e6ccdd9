"""A Site is one ONNX node being read: its operands, its attributes, and what may be put in its place."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from onnx import NodeProto

from glowviz.compiler.graph import Origin
from glowviz.compiler.importer.problem import RE_EXPORT, ImportProblem, told
from glowviz.compiler.importer.sketch import Sketch
from glowviz.compiler.importer.source import Source
from glowviz.compiler.ops.base import Op
from glowviz.compiler.types import Type


class NotTaken(Exception):
    """The node has a form that our op does not have; it is expanded or shown as Opaque, with this reason."""


@dataclass
class Site:
    """What a quirk reads and writes. `version` is that of the op's domain; `attrs` have the defaults of their time."""

    node: NodeProto
    domain: str
    kind: str
    version: int
    operands: tuple[str | None, ...]
    results: tuple[str, ...]
    attrs: dict[str, Any]
    origin: Origin
    sketch: Sketch
    source: Source
    read: Container[str]
    """Values that somebody reads."""
    given: Mapping[str, Any] = field(default_factory=dict)
    """Attributes that the file itself writes; a quirk leaves them as they are."""

    @property
    def where(self) -> str:
        """The file and the node, for messages."""
        return place(self.source, self.node, self.origin)

    def problem(self, what: str, expected: str) -> ImportProblem:
        """A refusal of this node, to be raised."""
        return ImportProblem(what, self.where, expected, RE_EXPORT)

    def operand(self, index: int) -> str | None:
        """The operand's value, None where it is absent."""
        return self.operands[index] if index < len(self.operands) else None

    def need(self, index: int) -> str:
        """The operand's value, which must be there."""
        value = self.operand(index)
        if value is None:
            raise self.problem(f"{self.kind} lacks operand {index + 1}", "all its operands")
        return value

    def type(self, value: str) -> Type:
        return self.sketch.types[value]

    def rank(self, value: str) -> int | None:
        shape = self.type(value).shape
        return None if shape is None else len(shape)

    def known(self, index: int) -> np.ndarray | None:
        """The content of an operand, if it is known when reading."""
        value = self.operand(index)
        return None if value is None else self.sketch.known(value)

    def absorbed(self, index: int, what: str) -> np.ndarray:
        """The content of an operand that becomes an attribute; NotTaken where it is not known."""
        array = self.known(index)
        if array is None:
            raise NotTaken(f"its {what} are computed while it runs")
        self.drop(index)
        return array

    def drop(self, index: int) -> None:
        """The operand is not read any more."""
        value = self.operand(index)
        if value is not None:
            self.sketch.absorb(value)

    def ints(self, name: str) -> tuple[int, ...]:
        """A list of numbers; empty where it is absent."""
        value = self.attrs.get(name, ())
        if not isinstance(value, tuple) or not all(isinstance(v, int) for v in value):
            raise self.problem(f"Attribute {name} of {self.kind} is {value!r}", "a list of integers")
        return value

    def number(self, name: str, default: float) -> Any:
        """An int or float attribute."""
        value = self.attrs.get(name, default)
        if not isinstance(value, int | float):
            raise self.problem(f"Attribute {name} of {self.kind} is {value!r}", "a number")
        return value

    def add(self, op: Op, name: str) -> str:
        """An extra node before the one that defines the results; its value is named after them."""
        value = self.sketch.fresh(f"{self.results[0]}.{name}")
        self.sketch.define(op, (value,), self.origin, self.where)
        return value

    def const(self, array: Any, name: str, dtype: Any = np.int64) -> str:
        """An extra constant, named after the results."""
        return self.sketch.add_constant(
            self.sketch.fresh(f"{self.results[0]}.{name}"), np.asarray(array, dtype), self.origin, self.where
        )


def place(source: Source, node: NodeProto, origin: Origin) -> str:
    """`net.onnx, node conv1 (Conv)`."""
    return f"{source.name}, node {told(origin.names[0])} ({told(node.op_type)})"
