"""Names, numbers, attributes and constant contents have one spelling each, and it reads back as the same value."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from glowviz.compiler.graph import Graph, Origin, Payload
from glowviz.compiler.types import ELEMENT_OF, OptionalType, Order, SequenceType, Type

LITERAL_ELEMENTS = 16
"""Constants up to this many elements are written out."""
PLAIN_NAME = re.compile(r"[A-Za-z0-9_.]+\Z")


@lru_cache(maxsize=1 << 17)
def quoted(name: str) -> str:
    """A name as it is, or JSON-quoted where it holds anything but letters, digits, `_` and `.`."""
    return name if PLAIN_NAME.match(name) else json.dumps(name, ensure_ascii=False)


def value_name(name: str) -> str:
    return "%" + quoted(name)


@lru_cache(maxsize=4096)
def type_text(type_: Type | SequenceType | OptionalType) -> str:
    return str(type_)


def origin_text(origin: Origin) -> str:
    """`  from conv1, bn1`, `  made by lower for %relu1`, or nothing."""
    if origin.names:
        return "  from " + ", ".join(map(quoted, origin.names))
    if origin.made is not None:
        return f"  made by {quoted(origin.made[0])} for {value_name(origin.made[1])}"
    return ""


def number_text(number: Any) -> str:
    """The shortest spelling that reads back as the same number."""
    if isinstance(number, (bool, np.bool_)):
        return "true" if number else "false"
    if isinstance(number, (complex, np.complexfloating)):
        return f"complex({number_text(number.real)}, {number_text(number.imag)})"
    if isinstance(number, (int, np.integer)):
        return str(int(number))
    if isinstance(number, np.floating) and not isinstance(number, float):
        return _float_text(float(number), lambda: str(number))
    return _float_text(float(number), lambda: repr(float(number)))


def _float_text(number: float, spell: Callable[[], str]) -> str:
    if math.isnan(number):
        return "nan"
    if math.isinf(number):
        return "inf" if number > 0 else "-inf"
    return spell()


def payload_text(payload: Payload) -> str:
    """A literal, `splat c`, the generator it was written with, or the full content hash."""
    if payload.spelling:
        return payload.spelling
    shape, _ = payload.like
    if shape and math.prod(shape) > LITERAL_ELEMENTS:
        element = payload.splat
        return "sha256:" + payload.digest if element is None else "splat " + element_text(element)
    array = payload.array
    if array.ndim == 0:
        return element_text(array[()])
    return "[" + ", ".join(element_text(v) for v in array.reshape(-1)) + "]"


def element_text(element: Any) -> str:
    if isinstance(element, (str, bytes)):
        return json.dumps(element if isinstance(element, str) else element.decode("utf-8", "replace"))
    return number_text(element)


def attribute_text(value: Any, nested: Callable[[Graph], str]) -> str:
    """JSON, with `@order`, `graph …` and `tensor …` where JSON has no word."""
    if value is None:
        return "null"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, (bool, int, float, complex, np.generic)):
        return number_text(value)
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(attribute_text(v, nested) for v in value) + "]"
    if isinstance(value, Order):
        return f"@{value}"
    if isinstance(value, Graph):
        return nested(value)
    if isinstance(value, Mapping):
        items = (f"{quoted(str(k))}: {attribute_text(v, nested)}" for k, v in value.items())
        return "{" + ", ".join(items) + "}"
    if isinstance(value, (Type, SequenceType, OptionalType)):
        return f"type {type_text(value)}"
    if isinstance(value, np.ndarray):
        shape = "x".join(map(str, value.shape))
        return f"tensor {ELEMENT_OF[value.dtype]}[{shape}] = {payload_text(Payload(value))}"
    raise TypeError(f"no text form for an attribute of type {type(value).__name__}: {value!r}")
