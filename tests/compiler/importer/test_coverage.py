"""Every op that ONNX defines has a class, a quirk or a function body; what has none is listed here with its reason."""

from __future__ import annotations

import pytest
from onnx import defs

from glowviz.compiler.importer.convert import class_of
from glowviz.compiler.importer.quirks import QUIRKS

WITHOUT = {
    "ai.onnx.ml::CastMap": "its operand is a map, which no other op makes",
    "ai.onnx.ml::DictVectorizer": "its operand is a map, which no other op makes",
    "ai.onnx.ml::ZipMap": "its result is a sequence of maps; the scores before it are what it repeats",
}
CONTROL = {"If", "Loop", "Scan"}
NEWEST = {(s.domain, s.name): s for s in defs.get_all_schemas() if not s.domain.startswith("ai.onnx.preview.t")}


def taken(domain: str, name: str) -> bool:
    key = f"{domain}::{name}" if domain else name
    schema = NEWEST[domain, name]
    function = schema.has_function or schema.has_context_dependent_function
    return bool(class_of(domain, name) or key in QUIRKS or name in CONTROL or function)


def test_there_are_many() -> None:
    assert len(NEWEST) > 200


@pytest.mark.parametrize(("domain", "name"), sorted(NEWEST))
def test_every_op_is_taken(domain: str, name: str) -> None:
    key = f"{domain}::{name}" if domain else name
    assert taken(domain, name) != (key in WITHOUT)
