"""A Sheet collects what one GraphProto will hold, and keeps every name in it unique."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from onnx import AttributeProto, NodeProto, TensorProto, TypeProto, defs, helper, numpy_helper

from glowviz.compiler.exporter.problem import ExportProblem
from glowviz.compiler.graph import Constant, Graph
from glowviz.compiler.types import ELEMENTS, OptionalType, SequenceType, Type

OPSET = 21
"""The newest opset that every common runtime loads."""


class Sheet:
    """Nodes and initializers being written. `outside` maps inputs of a region to the names they have around it."""

    def __init__(self, outer: Sheet | None = None, outside: Mapping[str, str] | None = None) -> None:
        self.outer = outer
        self.graph = Graph()
        self.nodes: list[NodeProto] = []
        self.initializers: list[TensorProto] = []
        self.outside = dict(outside or {})
        self.rename: dict[str, str] = dict(self.outside)
        self.taken: set[str] = set() if outer is None else set(outer.taken)  # two bodies may use the same name
        self.written: set[str] = set() if outer is None else outer.written
        self.node_names: dict[str, int] = {} if outer is None else outer.node_names
        self.domains: dict[str, int] = {} if outer is None else outer.domains

    def value(self, name: str) -> str:
        """The ONNX name of a value: its own, unless that is taken."""
        found = self.rename.get(name)
        if found is None:
            self.claim(name)
            found = self.rename[name]
        return found

    def claim(self, name: str) -> None:
        """Give a value its name."""
        if name not in self.rename:
            self.rename[name] = self._unlike(name, self.taken)

    def fresh(self, wish: str) -> str:
        """A name that stands nowhere in the file, not even in a body."""
        return self._unlike(wish, self.written)

    def _unlike(self, wish: str, others: set[str]) -> str:
        name, number = wish, 2
        while name in others or name in self.taken or not name:
            name, number = f"{wish}.{number}", number + 1
        self.taken.add(name)
        self.written.add(name)
        return name

    def around(self, constant: Constant) -> str | None:
        """The name that the same constant has in a graph around this one, where it is there."""
        outer = self.outer
        while outer is not None:
            there = outer.graph.constants.get(constant.name)
            if there is not None and there.payload.digest == constant.payload.digest and there.type == constant.type:
                return outer.value(constant.name)
            outer = outer.outer
        return None

    def free(self, public: str, graph: Graph) -> bool:
        """Nothing else in the graph has this name."""
        return public not in self.taken and public not in graph

    def node_name(self, stem: str) -> str:
        """A name for a node that no other has."""
        count = self.node_names.get(stem, 0)
        self.node_names[stem] = count + 1
        return stem if not count else self.node_name(f"{stem}_{count + 1}")

    def constant(self, array: np.ndarray, wish: str, name: str | None = None) -> str:
        """An initializer; returns its name."""
        name = name or self.fresh(wish)
        if array.dtype == object:
            strings = [str(s).encode() for s in array.reshape(-1)]
            tensor = TensorProto(name=name, data_type=TensorProto.STRING, dims=array.shape, string_data=strings)
        else:
            tensor = numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name)
        self.initializers.append(tensor)
        return name

    def node(
        self, op_type: str, operands: list[str], results: list[str], attributes: Mapping[str, Any] | None = None,
        domain: str = "",
    ) -> NodeProto:
        """Append a node; attributes get the types that ONNX gives them."""
        while operands and not operands[-1]:
            operands = operands[:-1]
        proto = NodeProto(op_type=op_type, input=operands, output=results, domain=domain)
        for name, value in sorted((attributes or {}).items()):
            if value is not None:
                proto.attribute.append(_attribute(op_type, domain, name, value))
        self.nodes.append(proto)
        return proto


def _attribute(op_type: str, domain: str, name: str, value: Any) -> AttributeProto:
    """One attribute; an empty list needs the type that the op declares."""
    kind = None
    if not domain and defs.has(op_type, OPSET, ""):
        declared = defs.get_schema(op_type, OPSET, "").attributes.get(name)
        if declared is None:
            raise ExportProblem(f"{op_type} has no attribute {name} in opset {OPSET}", "", "", "Export another form")
        kind = AttributeProto.AttributeType.Value(str(declared.type).rpartition(".")[-1])
        if kind == AttributeProto.FLOAT:
            value = float(value)
        elif kind == AttributeProto.FLOATS:
            value = [float(v) for v in value]
    if isinstance(value, bool):
        value = int(value)
    empty = isinstance(value, tuple | list) and not value
    return helper.make_attribute(name, value, attr_type=(kind or AttributeProto.INTS) if empty else None)


def element(elem: str) -> int:
    """ONNX's number of an element type."""
    return TensorProto.STRING if elem == "string" else helper.np_dtype_to_tensor_dtype(ELEMENTS[elem])


def type_proto(type_: Type) -> TypeProto:
    """ONNX's form of a type; without a shape where the rank is not known."""
    if isinstance(type_, SequenceType):
        return helper.make_sequence_type_proto(type_proto(type_.item))
    if isinstance(type_, OptionalType):
        return helper.make_optional_type_proto(type_proto(type_.item))
    dims = None if type_.shape is None else [d if isinstance(d, int) else d.name for d in type_.shape]
    return helper.make_tensor_type_proto(element(type_.elem), dims)
