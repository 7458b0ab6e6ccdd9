"""What every op can, as a table of ops by concerns; a concern counts only where a sample exercised it."""

from __future__ import annotations

from typing import Any

import numpy as np

import glowviz.compiler.ops as ops
from glowviz.compiler.ops.base import Case, Elementwise, Op
from glowviz.compiler.ops.sketch import Sketch
from glowviz.compiler.ops.trial import bind, must_be_known, samples_of
from glowviz.compiler.types import Outside, Type, of_array


def rows() -> list[dict[str, Any]]:
    """One row per op, by family and name: what it is called, and which of its concerns its samples exercised."""
    kinds = sorted(ops.OPS.values(), key=lambda kind: (kind.family, kind.__name__))
    return [row(kind) for kind in kinds]


def row(kind: type[Op]) -> dict[str, Any]:
    """`infer`, `scalar`, `reference`, `lower`, `work`, `in place`: true where at least one sample shows it."""
    found: set[str] = set()
    samples = 0
    for case in samples_of(kind):
        samples += 1
        found |= exercised(kind, case)
    concerns = ("infer", "scalar", "reference", "lower", "work", "in place")
    return {
        "op": kind.__name__,
        "family": kind.family,
        "onnx": kind.onnx or "",
        "instruction": kind.instruction,
        **{concern: concern in found for concern in concerns},
        "samples": samples,
        "signature": signature(kind),
    }


def signature(kind: type[Op]) -> str:
    """`x, w, b?; strides, pads` — `?` may be missing, `*` is any number."""
    operands = ", ".join(s.name + ("*" if s.variadic else "?" if s.optional else "") for s in kind.slots())
    attributes = ", ".join(kind.attribute_fields())
    return f"{operands}; {attributes}" if attributes else operands


def exercised(kind: type[Op], case: Case) -> set[str]:
    """The concerns that one sample shows to work: types agree with results, and the lowered form with both."""
    op, arrays = bind(kind, case)
    types = op.infer_types(lambda name: of_array(arrays[name]), arrays.get)
    found = {"infer"}
    try:
        results = op.evaluate(arrays.__getitem__)
    except ValueError:  # an op that refuses to run
        return found
    pairs = zip(results, types, strict=True)
    if any(not isinstance(t, Outside) and of_array(r) != t.logical for r, t in pairs):
        return set()
    found.add("scalar" if isinstance(op, Elementwise) else "reference")
    operands = tuple(of_array(arrays[name]) for name in op.operands)
    work = op.work(operands, types)
    if work.flops >= 0 and work.bytes >= 0:
        found.add("work")
    if any(of_array(arrays[name]).bytes == types[0].bytes for name in op.may_overwrite(operands, types)):
        found.add("in place")
    if lowers(op, arrays, types):
        found.add("lower")
    return found


def lowers(op: Op, arrays: dict[str, np.ndarray], types: tuple[Type, ...]) -> bool:
    """Whether the op becomes smaller ops whose results have the same types."""
    fixed = must_be_known(op, arrays)
    sketch = Sketch({n: of_array(a) for n, a in arrays.items()}, {n: arrays[n] for n in fixed})
    lowered = op.lower(sketch)
    if lowered is None:
        return False
    names = (lowered,) if isinstance(lowered, str) else lowered
    return tuple(sketch.type(name) for name in names) == tuple(t.logical for t in types)
