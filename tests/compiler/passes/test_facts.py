"""What rules ask about values: contents, readers, costs, and trees of products taken apart."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from glowviz.compiler import passes
from glowviz.compiler.graph import Graph
from glowviz.compiler.rewrite import Edit, Keep
from glowviz.compiler.rewrite.facts import (
    bytes_text,
    compact,
    flops_text,
    heavy_before,
    need_only_user,
    product_terms,
    same,
    shortest,
    splat_of,
    stored_bytes,
    sum_terms,
    users_text,
    what_it_is,
)
from glowviz.compiler.text import parse_graph

assert passes.__name__


def graph(body: str) -> Graph:
    return parse_graph("graph @g(%x: f32[2x3], %z: f32[2x3]) {" + body + "}")


@pytest.mark.parametrize(
    ("array", "number"),
    [
        (np.array(2.5, np.float32), 2.5),
        (np.full((3, 4), 7), 7),
        (np.array([True, True]), True),
        (np.array([1.0, 1.0], ml_dtypes.bfloat16), 1.0),
        (np.array([0.0, -0.0], np.float32), 0.0),
        (np.array([1.0, 2.0, 1.0]), None),
        (np.array([np.nan, np.nan]), None),
        (np.zeros((0, 3)), None),
        (np.array(["a", "a"], object), None),
    ],
)
def test_splat_of(array: np.ndarray, number: object) -> None:
    assert splat_of(array) == number


def test_compact_keeps_bits_and_frees_bytes() -> None:
    ones = np.ones((64, 64), np.float32)
    assert stored_bytes(compact(ones)) == 4
    assert compact(ones).shape == (64, 64)
    assert bool((compact(ones) == 1).all())
    for other in (np.array([0.0, -0.0], np.float32), np.arange(4), np.array([[1.0, 1.0], [1.0, 2.0]])):
        assert compact(other) is other
    nan = np.array([np.nan, np.nan], np.float32)
    assert stored_bytes(compact(nan)) == 4, "equal bits, though not equal numbers"


def test_costs_are_told_in_units() -> None:
    assert [flops_text(n) for n in (12, 1152, 231_211_008, 8_170_000_000)] == [
        "12 FLOP", "1.15 kFLOP", "231 MFLOP", "8.17 GFLOP"]
    assert [bytes_text(n) for n in (64, 802_816, 9_437_184)] == ["64 B", "784 KiB", "9 MiB"]


def test_readers_are_named() -> None:
    lines = "".join(f"%r{i}: f32[2x3] = Relu(%a)\n" for i in range(6))
    edit = Edit(graph("%a: f32[2x3] = Neg(%x)\n" + lines + 'return "a"=%a'))
    told = users_text(edit, "a")
    assert told == "%a has 7 users (Relu %r0, Relu %r1, Relu %r2 and 4 more)"
    node = edit.node("a")
    assert node is not None
    with pytest.raises(Keep, match=r"and 4 more\)\. It would run twice\."):
        need_only_user(edit, node, "It would run twice.")
    assert what_it_is(edit, "r0") == "computed by Relu"
    assert what_it_is(edit, "x") == "an input of the graph"


def test_products_and_sums_are_taken_apart() -> None:
    edit = Edit(graph("""
      const %h: f32[] = 0.5
      const %t: f32[3] = [4.0, 4.0, 4.0]
      %a: f32[2x3] = Mul(%h, %x)
      %b: f32[2x3] = Mul(%a, %z)
      %y: f32[2x3] = Div(%b, %t)
      %p: f32[2x3] = Add(%x, %h)
      %q: f32[2x3] = Sub(%p, %t)
      return "y"=%y, "q"=%q"""))
    y, q = edit.node("y"), edit.node("q")
    assert y is not None
    assert q is not None
    product, total = product_terms(edit, y), sum_terms(edit, q)
    assert (product.number, product.values, [n.name for n in product.inner]) == (0.125, ["x", "z"], ["b", "a"])
    assert (total.number, total.values) == (-3.5, ["x"])


def test_equal_values_are_recognised() -> None:
    edit = Edit(graph("""
      const %c: f32[] = 0.1
      const %d: f32[] = 0.1
      %a: f32[2x3] = Sub(%x, %z)
      %b: f32[2x3] = Sub(%x, %z)
      return "a"=%a, "b"=%b"""))
    assert same(edit, "a", "b")
    assert same(edit, "c", "d")
    assert not same(edit, "a", "x")
    assert shortest(edit, "c") == 0.1


def test_heavy_before_looks_through_what_an_epilogue_takes() -> None:
    body = """
      const %w: f32[3x3] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]
      %m: f32[2x3] = MatMul(%x, %w)
      %a: f32[2x3] = Add(%m, %z)
      %r: f32[2x3] = Relu(%a)
      %s: f32[2x3] = Softmax(%r)
      return "s"=%s"""
    edit = Edit(graph(body))
    found = heavy_before(edit, "r")
    assert found is not None
    assert found.name == "m"
    assert heavy_before(edit, "s") is None, "a Softmax stands between"
    assert heavy_before(Edit(graph(body + ', "m"=%m')), "r") is None, "the product is read elsewhere"
