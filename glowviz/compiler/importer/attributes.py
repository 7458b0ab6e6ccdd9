"""Attributes of a node are plain Python values; floats print as short as they were written."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from onnx import AttributeProto, NodeProto, defs

from glowviz.compiler.importer.problem import RE_EXPORT, ImportProblem, told

_FIELDS = {
    AttributeProto.FLOAT: "f", AttributeProto.INT: "i", AttributeProto.STRING: "s", AttributeProto.TENSOR: "t",
    AttributeProto.GRAPH: "g", AttributeProto.FLOATS: "floats", AttributeProto.INTS: "ints",
    AttributeProto.STRINGS: "strings", AttributeProto.TENSORS: "tensors", AttributeProto.GRAPHS: "graphs",
    AttributeProto.SPARSE_TENSOR: "sparse_tensor", AttributeProto.SPARSE_TENSORS: "sparse_tensors",
    AttributeProto.TYPE_PROTO: "tp", AttributeProto.TYPE_PROTOS: "type_protos",
}


def attributes_of(node: NodeProto, where: str) -> dict[str, Any]:
    """Every attribute by name: int, float, str, tuples of them; tensors and graphs stay protobuf."""
    found: dict[str, Any] = {}
    for attribute in node.attribute:
        if attribute.name in found or not attribute.name:
            raise ImportProblem(
                f"{told(node.op_type)} has the attribute {told(attribute.name)} twice or without a name", where,
                "every attribute once, with its name", RE_EXPORT,
            )
        found[attribute.name] = value_of(attribute, where)
    return found


def value_of(attribute: AttributeProto, where: str) -> Any:
    """The value of one attribute in the field that its type names (old files name none)."""
    field = _FIELDS.get(attribute.type) or _guessed(attribute)
    if field is None:
        raise ImportProblem(
            f"Attribute {told(attribute.name)} has the unknown type {attribute.type}", where, "a type of ONNX",
            RE_EXPORT,
        )
    value = getattr(attribute, field)
    if field == "f":
        return shortest(value)
    if field == "floats":
        return tuple(map(shortest, value))
    if field == "s":
        return _text(value)
    if field == "strings":
        return tuple(map(_text, value))
    return value if field in ("i", "t", "g", "tp", "sparse_tensor") else tuple(value)


def _guessed(attribute: AttributeProto) -> str | None:
    if attribute.type != AttributeProto.UNDEFINED:
        return None
    scalars = [f for f in ("f", "i", "s", "t", "g") if attribute.HasField(f)]
    lists = [f for f in ("floats", "ints", "strings", "tensors", "graphs") if len(getattr(attribute, f))]
    return next(iter(scalars + lists), None)


def shortest(value: float) -> float:
    """The number with the fewest digits that is the same as float32: 0.1, not 0.10000000149."""
    return float(str(np.float32(value)))


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


@cache
def schema_of(op_type: str, version: int, domain: str) -> Any:
    """ONNX's definition of an op in an opset; None where it has none."""
    try:
        return defs.get_schema(op_type, version, domain)
    except Exception:  # onnx's SchemaError is not a public class
        return None


@cache
def defaults_of(op_type: str, version: int, domain: str) -> dict[str, Any]:
    """Attribute defaults of an op in an opset: what is not written has the value of its own time."""
    schema = schema_of(op_type, version, domain)
    if schema is None:
        return {}
    return {
        name: value_of(attribute.default_value, op_type)
        for name, attribute in schema.attributes.items()
        if attribute.default_value.type != AttributeProto.UNDEFINED
    }
