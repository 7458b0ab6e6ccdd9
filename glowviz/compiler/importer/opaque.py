"""A node that glowviz does not know keeps everything the file says of it, bodies as closed regions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from onnx import GraphProto, SparseTensorProto, TensorProto, TypeProto

from glowviz.compiler.graph import Region
from glowviz.compiler.importer.hints import onnx_types
from glowviz.compiler.importer.order import captured
from glowviz.compiler.importer.problem import ImportProblem
from glowviz.compiler.importer.scope import Scope
from glowviz.compiler.importer.site import Site
from glowviz.compiler.importer.tensors import array_of, dense_of, type_of
from glowviz.compiler.onnx_words import ABSENT, CAPTURED
from glowviz.compiler.ops.control import Opaque
from glowviz.compiler.types import Type

Body = Callable[[GraphProto, Site, tuple[tuple[str, str], ...]], Region]


def opaque(site: Site, scope: Scope, body: Body) -> Opaque:
    """The node with its attributes as plain values, arrays, types and regions."""
    names = captured(site.node) if site.node.attribute else ()
    outside = {n: v for n in names if (v := scope.value(n, site.sketch, site.where)) is not None}
    attrs: dict[str, Any] = {}
    for name in sorted(site.given):
        attrs[name] = _plain(site.given[name], site, tuple(outside.items()), body)
    absent = tuple(i for i, v in enumerate(site.operands) if v is None)
    if absent:
        attrs[ABSENT] = absent
    if outside:
        attrs[CAPTURED] = len(outside)
    operands = (*(v for v in site.operands if v is not None), *outside.values())
    return Opaque(operands, site.domain, site.kind, site.version, attrs, _result_types(site))


def _plain(value: Any, site: Site, outside: tuple[Any, ...], body: Body) -> Any:
    if isinstance(value, tuple):
        return tuple(_plain(v, site, outside, body) for v in value)
    if isinstance(value, TensorProto):
        return array_of(value, site.source, site.where)
    if isinstance(value, SparseTensorProto):
        return dense_of(value, site.source, site.where)
    if isinstance(value, GraphProto):
        return body(value, site, outside)
    if isinstance(value, TypeProto):
        try:
            return type_of(value, "type", site.where)
        except ImportProblem:
            return "a type without a name here"
    return value


def _result_types(site: Site) -> tuple[Type, ...]:
    """What ONNX's inference or the file says; else the element type of the first operand, of unknown shape."""
    hints, own = site.sketch.hints(), onnx_types(site) or {}
    types: list[Type] = []
    for result in site.results:
        hint = own.get(result)
        if hint is None or not hint.static:
            hint = hints.get(result) or hint
        if hint is None:
            site.sketch.guessed[result] = None
            hint = Type(next((site.type(v).elem for v in site.operands if v is not None), "f32"), None)
        types.append(hint)
    return tuple(types)
