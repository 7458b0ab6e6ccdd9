"""An ONNX node whose op has a class of its own becomes that op: operands by position, attributes by name."""

from __future__ import annotations

from functools import cache
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np

from glowviz.compiler.importer.site import NotTaken, Site
from glowviz.compiler.importer.tensors import elem_of
from glowviz.compiler.onnx_words import FIELD_OF
from glowviz.compiler.ops.base import OPS, Op, snake_case

IGNORED: dict[str, frozenset[str]] = {
    "": frozenset({"consumed_inputs", "stash_type", "saturate", "round_mode"}),
    "Conv": frozenset({"kernel_shape"}),
    "ConvTranspose": frozenset({"kernel_shape"}),
    "ConvInteger": frozenset({"kernel_shape"}),
    "QLinearConv": frozenset({"kernel_shape"}),
    "DeformConv": frozenset({"kernel_shape"}),
    "TopK": frozenset({"sorted"}),
    "BatchNormalization": frozenset({"momentum", "training_mode", "is_test", "spatial"}),
    "Dropout": frozenset({"seed", "ratio", "is_test"}),
}
"""Attributes that do not change what our op computes (quirks have refused the values that do)."""


@cache
def class_of(domain: str, op_type: str) -> type[Op] | None:
    """The op class that is this ONNX op."""
    return next((c for c in OPS.values() if c.onnx == op_type and c.domain == domain), None)


def convert(cls: type[Op], site: Site) -> Op:
    """The op with the site's operands and attributes; NotTaken where it has something that the class lacks."""
    if not _many_results(cls):
        site.results = _read_results(site)
    if len(site.results) > len(cls.outputs) and not _many_results(cls):
        raise NotTaken(f"result {len(site.results)} of it is used")
    fields = _operands(cls, site)
    kinds = _kinds(cls)
    for name, value in site.attrs.items():
        field = FIELD_OF.get(name) or snake_case(name)
        if field in kinds and field not in cls_operands(cls):
            fields[field] = coerce(value, kinds[field], name, site)
        elif name not in IGNORED[""] and name not in IGNORED.get(cls.__name__, frozenset()):
            raise NotTaken(f"its attribute {name} is not known here")
    try:
        return cls(**fields)
    except TypeError:
        raise site.problem(f"{site.kind} lacks an attribute", "all that ONNX requires") from None


def _read_results(site: Site) -> tuple[str, ...]:
    """The results without trailing ones that nobody reads (masks, indices, statistics for training)."""
    last = max((i for i, r in enumerate(site.results) if r in site.read), default=0)
    return site.results[: last + 1]


def _many_results(cls: type[Op]) -> bool:
    return cls.__name__ == "Split"


@cache
def cls_operands(cls: type[Op]) -> frozenset[str]:
    return frozenset(slot.name for slot in cls.slots())


def _operands(cls: type[Op], site: Site) -> dict[str, Any]:
    given: list[str | None] = list(site.operands)
    fields: dict[str, Any] = {}
    for slot in cls.slots():
        if slot.variadic:
            fields[slot.name] = tuple(v for v in given if v is not None)
            given = []
            continue
        value = given.pop(0) if given else None
        if value is None and not slot.optional:
            raise site.problem(f"{site.kind} lacks its operand {slot.name}", "all its operands")
        fields[slot.name] = value
    if any(v is not None for v in given):
        raise NotTaken(f"it has {len(site.operands)} operands")
    return fields


@cache
def _kinds(cls: type[Op]) -> dict[str, Any]:
    return {name: kind for name, kind in get_type_hints(cls).items() if name in cls.__dataclass_fields__}  # type: ignore[attr-defined]


def coerce(value: Any, kind: Any, name: str, site: Site) -> Any:
    """An attribute's value as its field wants it: bool for 0 and 1, an element name for a type number."""
    if get_origin(kind) in (Union, UnionType):
        kinds = get_args(kind)
        kind = next((k for k in kinds if isinstance(k, type) and isinstance(value, k)), kinds[0])
    if kind is str and isinstance(value, int):
        return elem_of(value, site.where)
    if kind is bool and isinstance(value, int):
        return bool(value)
    if kind is float and isinstance(value, int | float):
        return float(value)
    if get_origin(kind) is tuple and isinstance(value, tuple):
        return tuple(map(_plain, value))
    if isinstance(kind, type) and isinstance(value, kind):
        return value
    raise site.problem(f"Attribute {name} of {site.kind} is {value!r}", _said(kind))


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _said(kind: Any) -> str:
    if get_origin(kind) is tuple:
        return "a list"
    return {int: "an integer", float: "a number", str: "a text", bool: "0 or 1"}.get(kind, str(kind))
