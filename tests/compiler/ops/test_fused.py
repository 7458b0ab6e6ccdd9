"""A Fused is what its nodes were: built from nodes, taken apart again, with its heavy op and its epilogue."""

from __future__ import annotations

import numpy as np
import pytest

from glowviz.compiler.graph import Node
from glowviz.compiler.ops import Add, Conv, Fused, MatMul, Mul, Op, Relu, epilogue, fuse_nodes, heavy, unfused
from glowviz.compiler.types import Type, TypeProblem

ROW = Type("f32", (4,))
TYPES = {"x": Type("f32", (1, 3, 5, 5)), "w": Type("f32", (4, 3, 1, 1)), "r": Type("f32", (4, 1, 1))}
OUT = Type("f32", (1, 4, 5, 5))


def node(name: str, op: Op, type_: Type = OUT) -> Node:
    return Node(op, (name,), (type_,))


CONV = node("c", Conv("x", "w"))
SUM = node("s", Add("c", "r"))
RELU = node("y", Relu("s"))


def type_of(name: str) -> Type:
    return TYPES.get(name, OUT)


def test_operands_are_what_comes_from_outside_in_order() -> None:
    fused, results = fuse_nodes([CONV, SUM, RELU], ["y"], type_of)
    assert fused.operands == ("x", "w", "r")
    assert results == ("y",)
    assert tuple(fused.body.inputs) == ("x", "w", "r")
    assert fused.infer(*fused.gather(type_of)) == (OUT,)


def test_heavy_and_epilogue() -> None:
    fused, _ = fuse_nodes([CONV, SUM, RELU], ["y"], type_of)
    assert heavy(fused) is CONV
    assert epilogue(fused) == (SUM, RELU)
    stack, _ = fuse_nodes([SUM, RELU], ["y"], type_of)
    assert heavy(stack) is None
    assert epilogue(stack) == (SUM, RELU)
    assert heavy(Conv("x", "w")) is None
    assert epilogue(Conv("x", "w")) == ()


def test_renaming_operands_leaves_the_body_alone() -> None:
    fused, _ = fuse_nodes([CONV, SUM, RELU], ["y"], type_of)
    moved = fused.with_operands({"x": "elsewhere"})
    assert moved.operands == ("elsewhere", "w", "r")
    assert moved.body is fused.body


def test_taken_apart_after_renaming() -> None:
    fused, _ = fuse_nodes([CONV, SUM, RELU], ["y"], type_of)
    outside = Node(fused.with_operands({"x": "elsewhere"}), ("z",), (OUT,))
    parts = unfused(outside)
    assert [p.op.operands for p in parts] == [("elsewhere", "w"), ("c", "r"), ("s",)]
    assert [p.results for p in parts] == [("c",), ("s",), ("z",)]
    assert unfused(CONV) == (CONV,)


def test_fusing_a_fused_flattens_it() -> None:
    inner, _ = fuse_nodes([CONV, SUM], ["s"], type_of)
    outer, _ = fuse_nodes([Node(inner, ("s",), (OUT,)), RELU], ["y"], type_of)
    assert [n.kind for n in outer.body] == ["Conv", "Add", "Relu"]
    assert heavy(outer) is not None


def test_several_results() -> None:
    fused, results = fuse_nodes([CONV, SUM, RELU], ["y", "c"], type_of)
    assert results == ("y", "c")
    rng = np.random.default_rng(0)
    arrays = {n: rng.normal(size=t.dims).astype(np.float32) for n, t in TYPES.items()}
    y, c = fused.evaluate(arrays.__getitem__)
    np.testing.assert_array_equal(y, np.maximum(c + arrays["r"], 0))


def test_a_result_nobody_makes_is_refused() -> None:
    with pytest.raises(TypeProblem, match="%z is not made by the nodes"):
        fuse_nodes([CONV], ["z"], type_of)


def test_a_body_that_does_not_fit_its_operands_is_refused() -> None:
    fused, _ = fuse_nodes([CONV, SUM], ["s"], type_of)
    with pytest.raises(TypeProblem, match="Conv: x has 5 channels"):
        fused.infer((Type("f32", (1, 5, 5, 5)), TYPES["w"], TYPES["r"]))


def test_work_is_that_of_the_body() -> None:
    fused, _ = fuse_nodes([CONV, SUM, RELU], ["y"], type_of)
    types = tuple(TYPES[n] for n in fused.operands)
    work = fused.work(types, (OUT,))
    assert work.flops == 2 * 3 * 100 + 100 + 100
    assert work.bytes == sum(t.bytes for t in types) + OUT.bytes


def test_equal_only_to_itself() -> None:
    one, _ = fuse_nodes([SUM, RELU], ["y"], type_of)
    two, _ = fuse_nodes([SUM, RELU], ["y"], type_of)
    assert one == one.with_operands({})
    assert one != two
    assert isinstance(one, Fused)
    assert len({one, two}) == 2
    assert Mul("x", "y") == Mul("x", "y")
    assert MatMul("x", "y") != MatMul("y", "x")
    assert Type("f32", (4,)) == ROW
