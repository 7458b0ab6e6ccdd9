"""A difference is measured, and the pass and the rewrite that made it are found."""

from __future__ import annotations

import numpy as np
import pytest

from glowviz.compiler.graph import Graph, Node, Output, Payload, State, constant
from glowviz.compiler.irgen import irgen
from glowviz.compiler.ops import Abs, Add, Identity, Mul, Neg, Op, RandomUniformLike, Relu, Sub
from glowviz.compiler.program import Instr
from glowviz.compiler.rewrite import Edit, Pass, Rewrite, Rule, apply
from glowviz.compiler.types import Type
from glowviz.compiler.validate import (
    ValidationProblem,
    bisect_passes,
    bisect_rewrites,
    compare,
    difference,
    differences,
    first_broken,
    first_value,
    keeps,
)

KIND = Type("f32", (4, 5))


def chain(*ops: type[Op], name: str = "g") -> Graph:
    """x -> op -> op …, the last one public."""
    nodes: dict[str, Node] = {}
    last = "x"
    for i, op in enumerate(ops):
        nodes[f"v{i}"] = Node(op(last), (f"v{i}",), (KIND,))
        last = f"v{i}"
    return Graph(name, {"x": KIND}, {}, nodes, (Output("out", last),))


def with_op(graph: Graph, name: str, op: Op) -> Graph:
    nodes = dict(graph.nodes)
    nodes[name] = nodes[name].evolve(op=op)
    return graph.evolve(nodes=nodes)


def test_equal_graphs_are_exactly_equal() -> None:
    graph = chain(Relu, Neg)
    found = compare(graph, graph)
    assert found.exact
    assert found.within(0)
    assert found.relative == 0
    assert str(found) == "exactly equal"


def test_a_graph_and_its_program_are_equal() -> None:
    graph = chain(Relu, Neg, Abs)
    assert compare(graph, irgen(graph)).exact


def test_a_difference_names_output_place_and_size() -> None:
    before = np.array([[1.0, -4.0], [2.0, 3.0]], np.float32)
    after = before.copy()
    after[1, 0] += 0.5
    found = difference("y", before, after)
    assert (found.absolute, found.scale, found.worst, found.unequal) == (0.5, 4.0, (1, 0), 1)
    assert found.relative == 0.125
    text = str(differences({"y": before}, {"y": after}))
    assert text == "output 'y' differs by 0.5 at [1, 0], 0.125 of its largest value 4"


@pytest.mark.parametrize(
    ("before", "after", "absolute"),
    [
        ([np.nan, 1.0], [np.nan, 1.0], 0.0),
        ([np.inf, 1.0], [np.inf, 1.0], 0.0),
        ([np.nan, 1.0], [0.0, 1.0], np.inf),
        ([1.0, 1.0], [1.0, np.nan], np.inf),
        ([np.inf, 1.0], [-np.inf, 1.0], np.inf),
        ([0.0, 0.0], [0.0, 0.25], 0.25),
    ],
)
def test_nan_and_infinity(before: list[float], after: list[float], absolute: float) -> None:
    found = difference("y", np.array(before, np.float32), np.array(after, np.float32))
    assert found.absolute == absolute
    assert found.relative == absolute


def test_single_numbers_are_compared_like_arrays() -> None:
    assert difference("y", np.float32(2), np.array(2, np.float32)).unequal == 0
    assert difference("y", np.float32(2), np.float32(3)).absolute == 1


def test_shapes_that_differ_are_infinitely_far() -> None:
    assert difference("y", np.zeros((2,)), np.zeros((1, 2))).absolute == np.inf


def test_other_public_names_are_refused() -> None:
    graph = chain(Relu)
    with pytest.raises(ValidationProblem, match=r"gone \['out'\], new \['result'\]"):
        compare(graph, graph.evolve(outputs=(Output("result", "v0"),)))


def test_a_small_tolerance_is_not_zero() -> None:
    eps = np.float32(1e-7)
    graph = chain(Relu).evolve(constants={"c": constant("c", np.array(1 + eps, np.float32))})
    other = with_op(graph, "v0", Mul("x", "c"))
    plain = with_op(graph, "v0", Mul("x", "x"))
    found = compare(with_op(graph, "v0", Abs("x")), other, {"x": np.ones(KIND.dims, np.float32)})
    assert not found.exact
    assert not found.within(0)
    assert found.within(1e-6)
    assert not compare(other, plain).within(1e-6)


@pytest.mark.parametrize("bad", [1, 2, 5, 7])
def test_the_first_bad_pass_is_found(bad: int) -> None:
    good, wrong = chain(Relu, Neg), chain(Relu, Abs)
    snapshots = [(f"pass{i}", good if i < bad else wrong) for i in range(8)]
    found = bisect_passes(snapshots)
    assert found is not None
    assert (found.position, found.name) == (bad, f"pass{bad}")
    assert found.before is good
    assert found.after is wrong
    assert found.difference.relative > 1


def test_a_bad_program_pass_is_found() -> None:
    graph = chain(Relu, Neg, Abs)
    program = irgen(graph)
    drop = tuple(s for s in program.body if not (isinstance(s, Instr) and s.value == "v1"))
    snapshots = [("imported", graph), ("irgen", program), ("dse", program.evolve(body=drop))]
    found = bisect_passes(snapshots)
    assert found is not None
    assert found.name == "dse"
    assert found.difference.relative == np.inf


def test_nothing_is_found_where_nothing_is_wrong() -> None:
    graph = chain(Relu, Neg)
    assert bisect_passes([("imported", graph), ("irgen", irgen(graph))]) is None
    with pytest.raises(ValidationProblem, match="no snapshots"):
        bisect_passes([])


def test_the_one_bad_rewrite_is_found() -> None:
    """Five Negs of Relus become Negs of Abs: only where the operand can be negative is that wrong."""

    def relu_to_abs(edit: Edit, node: Node) -> Rewrite | None:
        return Rewrite(Abs(node.op.x), f"%{node.name} is Abs now")

    one = Rule("relu_to_abs", (Relu,), relu_to_abs, "Relu(x) -> Abs(x)", "bad")
    careless = Pass("careless", lambda graph: apply(graph, (one,)), "graph", False, 0.0, "Relu(x) -> Abs(x)")
    graph = chain(Abs, Relu, Relu, Neg, Relu, Relu)
    found = bisect_rewrites(graph, careless)
    assert found is not None
    assert (found.number, found.change.anchor) == (3, "v4")
    assert found.before.nodes["v4"].kind == "Relu"
    assert found.after.nodes["v4"].kind == "Abs"
    assert found.after.nodes["v5"].kind == "Relu"
    assert not found.difference.within(1e-6)
    assert bisect_rewrites(chain(Abs, Relu, Relu), careless) is None


def test_harm_beside_the_rules_is_narrowed_to_the_node() -> None:
    def function(graph: Graph) -> Graph:
        return with_op(with_op(graph, "v1", Add("v0", "v0")), "v0", Abs("x"))

    broken = Pass("broken", function, "graph", False, 0.0, "")
    found = bisect_rewrites(chain(Abs, Relu, Neg), broken)
    assert found is not None
    assert (found.change.rule, found.change.anchor) == ("broken", "v1")
    assert found.parts == ("%v1: f32[4x5] = Relu(%v0) became Add(%v0, %v0)",)


def test_each_pass_is_held_to_its_own_promise() -> None:
    """One part in a thousand is what the second may do and the third may not."""
    graph = chain(Relu).evolve(constants={"c": constant("c", np.array(1.001, np.float32))})
    near = with_op(graph, "v0", Mul("x", "c"))
    inputs = {"x": np.ones(KIND.dims, np.float32)}
    snapshots = [("imported", graph), ("same", graph), ("loose", near), ("strict", graph)]
    found = first_broken(snapshots, {"loose": 0.01, "strict": 0.0}.__getitem__, inputs)
    assert found is not None
    assert (found.position, found.name) == (3, "strict")
    assert found.before is near
    assert first_broken(snapshots, lambda _: 0.01, inputs) is None


def test_rounding_alone_breaks_no_promise_above_zero() -> None:
    """(x + big) - big and x + (big - big): the first loses bits in f32, in double precision both are x."""
    big = constant("big", np.array(3e4, np.float32))
    rough = with_op(chain(Abs, Neg), "v0", Add("x", "big"))
    rough = with_op(rough, "v1", Sub("v0", "big")).evolve(constants={"big": big})
    right, wrong = chain(Relu, Identity), with_op(chain(Abs, Neg), "v1", Add("x", "x"))
    right = with_op(right, "v1", Identity("x"))
    inputs = {"x": np.linspace(0.1, 1, 20, dtype=np.float32).reshape(KIND.dims)}
    found = compare(rough, right, inputs)
    assert not found.within(1e-6)
    assert keeps(rough, right, inputs, found, 1e-6)
    assert not keeps(rough, right, inputs, found, 0.0)
    assert not keeps(right, rough, inputs, found, 1e-6), "what rounds far worse than before breaks its promise"
    assert not keeps(rough, wrong, inputs, compare(rough, wrong, inputs), 1e-6)


def test_what_is_random_is_not_compared() -> None:
    for seed, fine in ((None, False), (3.0, True)):
        graph = with_op(chain(Relu, Neg), "v0", RandomUniformLike("x", seed=seed))
        if fine:
            assert first_broken([("imported", graph), ("irgen", irgen(graph))], lambda _: 0.0) is None
        else:
            with pytest.raises(ValidationProblem, match="%v0 is random"):
                first_broken([("imported", graph)], lambda _: 0.0)


def test_the_first_value_that_differs_is_told_with_what_it_should_be() -> None:
    inputs = {"x": np.full(KIND.dims, -2, np.float32)}
    found = first_value(chain(Abs, Relu, Neg), chain(Abs, Neg, Neg), inputs, 0.0)
    assert found is not None
    assert (found[0].public, found[1], found[2]) == ("v1", 2.0, -2.0)
    assert first_value(chain(Abs, Relu), irgen(chain(Abs, Relu)), inputs, 0.0) is None


def test_a_state_that_is_renewed_wrongly_is_a_difference() -> None:
    state = State("s", KIND, Payload(np.zeros(KIND.dims, np.float32)))
    graph = chain(Relu, Neg).evolve(states={"s": state}, updates={"s": "v0"})
    assert not compare(graph, graph.evolve(updates={"s": "v1"})).exact
    assert compare(graph, irgen(graph)).exact
