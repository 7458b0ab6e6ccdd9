"""Ops that are defined as functions, in the file or by ONNX, are replaced by the nodes of their bodies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from onnx import AttributeProto, FunctionProto, NodeProto, TypeProto, helper

from glowviz.compiler.importer.attributes import schema_of
from glowviz.compiler.importer.limits import FunctionKey, call_key, subgraphs
from glowviz.compiler.importer.site import Site
from glowviz.compiler.importer.tensors import ELEM_OF
from glowviz.compiler.types import OptionalType, SequenceType, Type

NUMBER_OF = {elem: number for number, elem in ELEM_OF.items()}


def body_of(site: Site, functions: Mapping[FunctionKey, FunctionProto]) -> FunctionProto | None:
    """The function that a node stands for: one of the file's, or ONNX's own definition of the op."""
    own = functions.get(call_key(site.node))
    if own is not None:
        return own
    schema = schema_of(site.kind, site.version, site.domain)
    if schema is None or not site.given.keys() <= set(schema.attributes):
        return None  # it says something that the definition knows nothing of
    try:
        if schema.has_function:
            content = schema.get_function_with_opset_version(_newest(schema.function_opset_versions, site.version))
        elif schema.has_context_dependent_function:
            version = _newest(schema.context_dependent_function_opset_versions, site.version)
            types = [_type_bytes(site, v) for v in site.operands]
            node = site.node.SerializeToString()
            content = schema.get_context_dependent_function_with_opset_version(version, node, types)
        else:
            return None
    except Exception:  # onnx refuses bodies for some operand types with classes of its own
        return None
    return FunctionProto.FromString(content) if content else None


def _newest(versions: Any, wanted: int) -> int:
    fitting = [v for v in versions if v <= wanted]
    return max(fitting) if fitting else min(versions)


def _type_bytes(site: Site, value: str | None) -> bytes:
    return b"" if value is None else type_proto(site.type(value)).SerializeToString()


def type_proto(type_: Type) -> TypeProto:
    """ONNX's form of a type; without a shape where the rank is not known."""
    if isinstance(type_, SequenceType):
        return helper.make_sequence_type_proto(type_proto(type_.item))
    if isinstance(type_, OptionalType):
        return helper.make_optional_type_proto(type_proto(type_.item))
    dims = None if type_.shape is None else [d if isinstance(d, int) else d.name for d in type_.shape]
    return helper.make_tensor_type_proto(NUMBER_OF[type_.elem], dims)


def with_attributes(node: NodeProto, bound: Mapping[str, AttributeProto]) -> NodeProto:
    """A node of a body with the attributes that refer to the function's own filled in, also inside its bodies."""
    if not any(_refers(a) for a in node.attribute):
        return node
    made = NodeProto()
    made.CopyFrom(node)
    _bind(made, bound)
    return made


def _refers(attribute: AttributeProto) -> bool:
    return bool(attribute.ref_attr_name) or attribute.HasField("g") or bool(attribute.graphs)


def _bind(node: NodeProto, bound: Mapping[str, AttributeProto]) -> None:
    stack = [node]
    while stack:
        current = stack.pop()
        if any(a.ref_attr_name for a in current.attribute):
            kept = [made for a in current.attribute if (made := _bound(a, bound)) is not None]
            del current.attribute[:]
            current.attribute.extend(kept)
        for body in subgraphs(current):
            stack.extend(body.node)


def _bound(attribute: AttributeProto, bound: Mapping[str, AttributeProto]) -> AttributeProto | None:
    """A copy of the attribute with its value; None where the call leaves it out."""
    found = bound.get(attribute.ref_attr_name) if attribute.ref_attr_name else attribute
    if found is None:
        return None
    made = AttributeProto()
    made.CopyFrom(found)
    made.name = attribute.name
    return made


def bound_attributes(function: FunctionProto, site: Site) -> dict[str, AttributeProto]:
    """Values of a function's attributes in one call: what the call gives, else the defaults of function or op."""
    schema = schema_of(site.kind, site.version, site.domain)
    declared = schema.attributes.values() if schema is not None else ()
    bound = {a.name: a.default_value for a in declared if a.default_value.type != AttributeProto.UNDEFINED}
    bound.update({a.name: a for a in function.attribute_proto})
    bound.update({a.name: a for a in site.node.attribute})
    return bound
