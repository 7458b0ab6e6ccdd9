"""Sequences and optionals in ONNX: element types are numbers and messages there, names here."""

from __future__ import annotations

from typing import Any

from glowviz.compiler.importer.quirks import op, plain, quirk
from glowviz.compiler.importer.site import Site
from glowviz.compiler.importer.tensors import type_of
from glowviz.compiler.ops.base import Op
from glowviz.compiler.types import OptionalType, SequenceType


@quirk("SequenceEmpty")
def sequence_empty(site: Site) -> Op:
    """Without an element type it is f32."""
    if not site.attrs.get("dtype"):
        site.attrs.pop("dtype", None)
    return plain(site)


@quirk("Optional")
def optional(site: Site) -> Op:
    """Its attribute says of what kind nothing is."""
    if site.operand(0) is not None:
        return op("Optional", site.need(0))
    proto: Any = site.attrs.get("type")
    held = None if proto is None else type_of(proto, "type", site.where)
    if isinstance(held, OptionalType):
        held = held.item
    if held is None:
        raise site.problem("Optional has neither an operand nor a type", "one of both")
    return op("Optional", None, elem=held.elem, sequence=isinstance(held, SequenceType))
