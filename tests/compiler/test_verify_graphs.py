"""Every sentence about well-formed Graphs is checked: each has broken graphs that are refused with its own message."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from glowviz.compiler.graph import Constant, Graph, Node, Output, Payload, State
from glowviz.compiler.ops import Add, Concat, Conv, Relu, TopK
from glowviz.compiler.text import parse_graph
from glowviz.compiler.types import Quant, Type
from glowviz.compiler.verify import VerifyProblem, graphs, verify_graph
from tests.compiler.broken import Broken, mutants, refusal, sentences, unnoticed

F4 = Type("f32", (4,))
ONCE = "Every value is defined once."
NAMES = "Every node, constant and state is kept under its name."
RESULTS = "Every node has at least one result, and one type for each."
MORE = "A node has no more results than its op gives."
REQUIRED = "Every required operand is present."
MADE = "Every operand is an input, a constant, a state, or the result of an earlier node."
TYPES = "Every result has the element type, shape and memory order that its op infers from its operands"
QUANTIZED = "A quantized type has integer elements, and one scale for each index (or block) of its axis."
CONSTANT = "Every constant's content has its type's element type and shape."
STATE = "Every state's first content has its type's element type and shape."
OUTPUT = "Every public output names a value, and no public name stands twice."
UPDATE = "Every update renews a state of the graph, by a value of its type."
REGION = "A region is well formed and closed:"
BODIES = (
    "The bodies of If, Loop and Scan have room for what their op gives them, and return a value for each result."
)
REGION_PARTS = "it has no states, one input for each operand, of its type, and one output for each result."
HEAVY = "At most one node of a Fused region is not element-wise."


def text(body: str, inputs: str = "%x: f32[4]", returns: str = '"y"=%y') -> Callable[[], Graph]:
    """A graph from the lines between its braces."""
    return lambda: parse_graph(f"graph @g({inputs}) {{\n{body}\n" + (f"return {returns}\n" if returns else "") + "}")


def nodes(*made: Node, **keys: Node) -> Callable[[], Graph]:
    """A graph over %x that no text can say; `keys` keep a node under a name."""
    kept = {node.results[0] if node.results else "y": node for node in made} | keys
    return lambda: Graph("g", {"x": F4}, {}, kept, (Output("y", next(iter(kept))),))


def held(**tables: Any) -> Callable[[], Graph]:
    return lambda: Graph("g", {"x": F4}, **tables)


def numbers(dtype: Any, *shape: int) -> Payload:
    return Payload(np.zeros(shape, dtype))


def branch(type_: str, returns: str = ' return "a"=%a') -> Callable[[], Graph]:
    """An If whose bodies take a value of that type."""
    body = f"graph @b(%a: {type_}) {{{returns} }}"
    line = f"%y: f32[4] = If(%c, %x) {{then_branch={body}, else_branch={body}}}"
    return text(line, "%x: f32[4], %c: bool[]")


def fused(inputs: str, lines: str, returns: str, result: str = "%y: f32[4]", xs: str = "%x") -> Callable[[], Graph]:
    """A graph with one Fused node."""
    return text(f"{result} = Fused({xs}) {{body=graph @body({inputs}) {{\n{lines}\nreturn {returns}\n}}}}",
                inputs="%x: f32[4], %z: f32[4]")


RELU = "%y: f32[4] = Relu(%x)"
CASES = [
    Broken(ONCE, "%x is defined twice", text("%x: f32[4] = Relu(%x)", returns='"y"=%x')),
    Broken(ONCE, "It is an input and a constant", text(f"const %x: f32[4] = splat 1.0\n{RELU}")),
    Broken(ONCE, "It is a constant and a state", text(f"const %w: f32[1] = [1.0]\nstate %w: f32[1] = [1.0]\n{RELU}")),
    Broken(ONCE, "It is a result of TopK and a result of Relu", text(
        "const %k: i64[1] = [2]\n%y: f32[2], %i: i64[2] = TopK(%x, %k)\n%i: f32[4] = Relu(%x)")),
    Broken(ONCE, "It is a result of TopK and a result of TopK", text(
        "const %k: i64[1] = [2]\n%y: f32[2], %y: i64[2] = TopK(%x, %k)")),
    Broken(NAMES, "the node kept as %a defines %y first", nodes(a=Node(Relu("x"), ("y",), (F4,)))),
    Broken(NAMES, "what is kept as %a is called %w", held(constants={
        "a": Constant("w", F4, numbers(np.float32, 4))})),
    Broken(NAMES, "what is kept as %a is called %s", held(states={"a": State("s", F4, numbers(np.float32, 4))})),
    Broken(RESULTS, "the node kept as %y has a result without a name", nodes(y=Node(Relu("x"), (), ()))),
    Broken(RESULTS, "the node kept as %y has a result without a name", nodes(
        Node(TopK("x", "x"), ("y", ""), (F4, F4)))),
    Broken(RESULTS, "it has 1 results and 2 types", nodes(Node(Relu("x"), ("y",), (F4, F4)))),
    Broken(RESULTS, "it has 1 results and 0 types", nodes(Node(Relu("x"), ("y",), ()))),
    Broken(MORE, "it has 2 results. In %y (Relu). Expected at most 1", text("%y: f32[4], %z: f32[4] = Relu(%x)")),
    Broken(MORE, "it has 3 results. In %y (Split). Expected at most 2", text(
        "%y: f32[2], %z: f32[2], %q: f32[2] = Split(%x) {num_outputs=2}")),
    Broken(REQUIRED, "operand 'y' is missing", nodes(Node(Add("x", None), ("y",), (F4,)))),  # type: ignore[arg-type]
    Broken(REQUIRED, "operand 'w' is missing", nodes(Node(Conv("x", None), ("y",), (F4,)))),  # type: ignore[arg-type]
    Broken(MADE, "%q is used but nothing makes it", text("%y: f32[4] = Relu(%q)")),
    Broken(MADE, "%q is used but nothing makes it", text("%y: f32[8] = Concat(%x, %q) {axis=0}")),
    Broken(MADE, "%None is used but nothing makes it", nodes(
        Node(Concat(("x", None), 0), ("y",), (F4,)))),  # type: ignore[arg-type]
    Broken(MADE, "%y is used before it is made", text("%y: f32[4] = Relu(%y)")),
    Broken(MADE, "%b is used before it is made", text("%y: f32[4] = Relu(%b)\n%b: f32[4] = Relu(%x)")),
    Broken(MADE, "%b is used before it is made", text("%a: f32[4] = Add(%x, %b)\n%b: f32[4] = Relu(%a)",
                                                      returns='"y"=%b')),
    Broken(TYPES, "%y is said to be i32[4]", text("%y: i32[4] = Relu(%x)")),
    Broken(TYPES, "%y is said to be f32[5]", text("%y: f32[5] = Relu(%x)")),
    Broken(TYPES, "%y is said to be f32[4x1]", text("%y: f32[4x1] = Relu(%x)")),
    Broken(TYPES, "%i is said to be i32[2]", text("const %k: i64[1] = [2]\n%y: f32[2], %i: i32[2] = TopK(%x, %k)")),
    Broken(TYPES, "Expected f32[1x2x3x4]@NHWC, as its operands make it", text(
        "%y: f32[1x2x3x4] = Relu(%x)", inputs="%x: f32[1x2x3x4]@NHWC")),
    Broken(TYPES, "%y is said to be f32[1x2x3x4]@NCHW16c", text(
        "%y: f32[1x2x3x4]@NCHW16c = Reorder(%x) {order=@NHWC}", inputs="%x: f32[1x2x3x4]")),
    Broken(TYPES, "its operands do not fit: Add: shapes [4] and [3] do not broadcast", text(
        "%y: f32[4] = Add(%x, %z)", inputs="%x: f32[4], %z: f32[3]")),
    Broken(TYPES, "operands must have one element type", text(
        "%y: f32[4] = Add(%x, %z)", inputs="%x: f32[4], %z: i32[4]")),
    Broken(TYPES, "its operands do not fit: MatMul", text(
        "%y: f32[2x2] = MatMul(%x, %x)", inputs="%x: f32[2x3]")),
    Broken(TYPES, "its operands do not fit: Conv", text(
        "%y: f32[1x2x4x4] = Conv(%x, %w)", inputs="%x: f32[1x3x4x4], %w: f32[2x4x1x1]")),
    Broken(TYPES, "%y is said to be f32[2x2]", text("const %s: i64[2] = [4, 1]\n%y: f32[2x2] = Reshape(%x, %s)")),
    Broken(QUANTIZED, "f32(0.5, 0)[4] is quantized and its elements are f32", text(RELU, "%x: f32(0.5, 0)[4]")),
    Broken(QUANTIZED, "bool(0.5, 0)[1] is quantized", text(f"const %w: bool(0.5, 0)[1] = [true]\n{RELU}")),
    Broken(QUANTIZED, "is quantized along axis 1", text("%y: i8(axis=1, scale=[1.0], zero=0)[4] = Relu(%x)")),
    Broken(QUANTIZED, "is quantized along axis -1", nodes(
        Node(Relu("x"), ("y",), (Type("i8", (4,), Quant((1.0,), (0,), -1)),)))),
    Broken(QUANTIZED, "has 3 scales along axis 0. In input %x. Expected 4, one for each", text(
        RELU, "%x: i8(axis=0, scale=[1.0, 2.0, 3.0], zero=0)[4]")),
    Broken(QUANTIZED, "has 4 scales along axis 0. In constant %w. Expected 2, one for each index or block", text(
        f"const %w: i8(axis=0, block=2, scale=[1.0, 2.0, 3.0, 4.0], zero=0)[4] = splat 1\n{RELU}")),
    Broken(CONSTANT, "the content of constant %w is float32[3]", held(constants={
        "w": Constant("w", F4, numbers(np.float32, 3))})),
    Broken(CONSTANT, "the content of constant %w is float64[4]", held(constants={
        "w": Constant("w", F4, numbers(np.float64, 4))})),
    Broken(CONSTANT, "the content of constant %w is None[]", held(constants={
        "w": Constant("w", F4, Payload(None))})),  # type: ignore[arg-type]  # no array at all
    Broken(STATE, "the content of state %s is float32[3]", held(states={"s": State("s", F4, numbers(np.float32, 3))})),
    Broken(STATE, "the content of state %s is int32[4]", held(states={"s": State("s", F4, numbers(np.int32, 4))})),
    Broken(OUTPUT, "output 'y' is %q, which nothing makes", text(RELU, returns='"y"=%q')),
    Broken(OUTPUT, "two outputs are called 'y'", text(RELU, returns='"y"=%y, "y"=%x')),
    Broken(UPDATE, "next %x renews what is no state", text(f"{RELU}\nnext %x = %y")),
    Broken(UPDATE, "next %q renews what is no state", text(f"{RELU}\nnext %q = %y")),
    Broken(UPDATE, "%s is renewed by %y", text(f"state %s: f32[2] = splat 0.0\n{RELU}\nnext %s = %y")),
    Broken(UPDATE, "%s is renewed by %q", text(f"state %s: f32[4] = splat 0.0\n{RELU}\nnext %s = %q")),
    Broken(REGION, "%q is used but nothing makes it", fused("%a: f32[4]", "%b: f32[4] = Add(%a, %q)", '"b"=%b')),
    Broken(REGION, "%x is used but nothing makes it", fused("%a: f32[4]", "%b: f32[4] = Add(%a, %x)", '"b"=%b')),
    Broken(REGION, "output 'b' is %x, which nothing makes", fused("%a: f32[4]", "%b: f32[4] = Relu(%a)", '"b"=%x')),
    Broken(BODIES, "operand of its then_branch 0 is f32[4], the body's is f32[5]", branch("f32[5]")),
    Broken(BODIES, "returns 0 values for 1 results", branch("f32[4]", "")),
    Broken(REGION_PARTS, "its body has a state of its own", fused(
        "%a: f32[4]", "state %s: f32[1] = [0.0]\n%b: f32[4] = Add(%a, %s)", '"b"=%b')),
    Broken(REGION_PARTS, "its body has 2 inputs for 1 operands", fused(
        "%a: f32[4], %c: f32[4]", "%b: f32[4] = Add(%a, %c)", '"b"=%b')),
    Broken(REGION_PARTS, "its body has 1 inputs for 2 operands", fused(
        "%a: f32[4]", "%b: f32[4] = Relu(%a)", '"b"=%b', xs="%x, %z")),
    Broken(REGION_PARTS, "%x is f32[4], the region's %a is f32[1]", fused(
        "%a: f32[1], %c: f32[4]", "%b: f32[4] = Add(%a, %c)", '"b"=%b', xs="%x, %z")),
    Broken(REGION_PARTS, "its body returns 2 values", fused("%a: f32[4]", "%b: f32[4] = Relu(%a)", '"b"=%b, "c"=%b')),
    Broken(REGION_PARTS, "its body returns 1 values", fused(
        "%a: f32[4]", "%b: f32[4] = Relu(%a)", '"b"=%b', result="%y: f32[4], %u: f32[4]")),
    Broken(HEAVY, "its body holds Softmax and Softmax", fused(
        "%a: f32[4]", "%b: f32[4] = Softmax(%a)\n%c: f32[4] = Softmax(%b)", '"c"=%c')),
    Broken(HEAVY, "its body holds Softmax and Fused", fused(
        "%a: f32[4]", "%b: f32[4] = Softmax(%a)\n%c: f32[4] = Fused(%b) {body=graph @inner(%i: f32[4]) {\n"
        '%r: f32[4] = Relu(%i)\nreturn "r"=%r\n}}', '"c"=%c')),
]


@pytest.mark.parametrize("broken", CASES, ids=str)
def test_broken_graphs_are_refused(broken: Broken) -> None:
    said = refusal(verify_graph, broken)
    assert broken.message in said
    assert " In " in said, "the refusal says where"
    assert " Expected " in said, "the refusal says what was expected"


def test_every_sentence_has_a_broken_graph() -> None:
    stated = sentences(verify_graph.__doc__)
    assert len(stated) >= 15
    for sentence in stated:
        assert any(sentence.startswith(b.sentence) for b in CASES), sentence
    for broken in CASES:
        assert any(sentence.startswith(broken.sentence) for sentence in stated), broken.sentence


def test_every_check_is_tested() -> None:
    messages = {b: b.message for b in CASES}
    missing = [f"line {m.line}: {m.what}" for m in mutants(graphs) if unnoticed(m, {"verify_graph": CASES}, messages)]
    assert not missing, "checks of verify/graphs.py that no broken graph needs: " + "; ".join(missing)


GOOD = """graph @g(%x: f32[4]) {
  const %k: i64[1] = [2]
  state %s: f32[4] = splat 0.0
  %a: f32[4] = Relu(%x)
  %v: f32[2], %i: i64[2] = TopK(%a, %k)
  %b: f32[4] = Add(%a, %s)
  %c: f32[2] = Gather(%b, %i)
  return "y"=%c, "v"=%v
}"""


def _without(graph: Graph, name: str) -> Graph:
    return graph.evolve(nodes={k: n for k, n in graph.nodes.items() if k != name})


def _swapped(graph: Graph) -> Graph:
    order = ["a", "b", "c", "v"]
    return graph.evolve(nodes={name: graph.nodes[name] for name in order})


def _late(graph: Graph) -> Graph:
    nodes = {name: node for name, node in graph.nodes.items() if name != "a"}
    return graph.evolve(nodes=nodes | {"a": graph.nodes["a"].evolve(label="later")})


def _one_result(graph: Graph) -> Graph:
    node = graph.nodes["v"]
    return graph.evolve(nodes=dict(graph.nodes) | {"v": node.evolve(results=("v",), types=node.types[:1])})


def _wider(graph: Graph) -> Graph:
    node = graph.nodes["a"].evolve(types=(Type("f32", (5,)),))
    return graph.evolve(inputs={"x": Type("f32", (5,))}, nodes=dict(graph.nodes) | {"a": node})


def _other_count(graph: Graph) -> Graph:
    return graph.evolve(constants={"k": Constant("k", Type("i64", (1,)), Payload(np.array([3])))})


def _other_state(graph: Graph) -> Graph:
    return graph.evolve(states={"s": State("s", Type("f32", (3,)), numbers(np.float32, 3))})


@pytest.mark.parametrize(("change", "message"), [
    (lambda g: _without(g, "a"), "%a is used but nothing makes it"),
    (_swapped, "%i is used before it is made"),
    (_late, "%a is used before it is made"),
    (_one_result, "%i is used but nothing makes it"),
    (_wider, "shapes [5] and [4] do not broadcast"),
    (lambda g: g.evolve(inputs={"x": Type("f32", (5,))}), "%a is said to be f32[4]"),
    (lambda g: g.evolve(inputs={}), "%x is used but nothing makes it"),
    (_other_count, "%v is said to be f32[2]"),
    (lambda g: g.evolve(constants={}), "%k is used but nothing makes it"),
    (_other_state, "shapes [4] and [3] do not broadcast"),
    (lambda g: g.evolve(states={}), "%s is used but nothing makes it"),
    (lambda g: g.evolve(constants=dict(g.constants) | {"a": Constant("a", F4, numbers(np.float32, 4))}),
     "%a is defined twice"),
    (lambda g: g.evolve(outputs=(*g.outputs, Output("y", "b"))), "two outputs are called 'y'"),
])
def test_what_a_change_breaks_elsewhere_is_found(change: Callable[[Graph], Graph], message: str) -> None:
    """`since` looks at less and finds the same."""
    good = parse_graph(GOOD)
    verify_graph(good)
    bad = change(good)
    for since in (None, good):
        with pytest.raises(VerifyProblem) as caught:
            verify_graph(bad, since=since)
        assert message in str(caught.value)


def test_only_what_changed_is_looked_at_again() -> None:
    good = parse_graph(GOOD)
    bad = good.evolve(nodes=dict(good.nodes) | {"b": good.nodes["b"].evolve(types=(Type("f64", (4,)),))})
    verify_graph(bad, since=bad)  # by promise well formed, so nothing in it is asked for


def test_an_unbound_dimension_is_no_mistake() -> None:
    verify_graph(text("%y: f32[NxM] = Relu(%x)", "%x: f32[N<=8x4]")())
    verify_graph(text("%y: f32[*] = Relu(%x)", "%x: f32[*]")())
