"""step_between finds exactly what identity says, whatever a pass does to a graph, and its ranks rise along it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from glowviz.compiler.graph import Graph, Node, Origin
from glowviz.compiler.ops import Add, Relu
from glowviz.compiler.rewrite import Edit
from glowviz.compiler.step import GraphStep, ranks_of, step_between
from glowviz.compiler.types import Type

F4 = Type("f32", (4,))


def node(name: str, operand: str = "x") -> Node:
    return Node(Relu(operand), (name,), (F4,), Origin.of(name))


def graph(*names: str) -> Graph:
    return table({name: node(name) for name in names})


def table(nodes: dict[str, Node]) -> Graph:
    return Graph("g", {"x": F4}, {}, nodes)


def check(before: Graph, after: Graph) -> GraphStep:
    """The step, after comparing it with what looking every name up says."""
    before.makers  # noqa: B018  # from here on they are carried along
    step = step_between(before, after)
    old, new = before.nodes, after.nodes
    added = [name for name, one in new.items() if old.get(name) is not one]
    assert list(step.added) == added
    assert set(step.gone) == {name for name, one in old.items() if new.get(name) is not one}
    kept = [name for name in new if name not in step.added]
    assert step.in_order == (kept == [name for name in old if name not in step.gone])
    assert step.steady == ([n for n in new if n in old] == [n for n in old if n in new])
    ranks = ranks_of(after)
    assert set(ranks) == set(new)
    assert all(ranks[a] < ranks[b] for a, b in pairwise(new))
    assert after.makers == Graph.makers.func(after)  # type: ignore[attr-defined]  # computed afresh
    moved = {name for name in kept if ranks[name] != ranks_of(before)[name]}
    assert set(step.ranks) in (set(added) | moved, set(new))
    assert step_between(before, after) is step
    return step


@pytest.mark.parametrize("after", ["abcde", "acde", "bcde", "abcd", "abXcde", "Xabcde", "abcdeX", "XYabcdeZ", "Xbd",
                                   "V", "aWXdYe", "edcba", "badce", "abced", "eabcd"])
def test_what_comes_goes_and_moves_is_found(after: str) -> None:
    before = graph(*"abcde")
    check(before, table({name: before.nodes.get(name) or node(name) for name in after}))


@pytest.mark.parametrize("replaced", ["a", "e", "ac", "abcde", "bX", "eX", "Xa"])
@pytest.mark.parametrize("after", ["abcde", "abXcde", "bXde", "dXe", "abcdX", "bacXde"])
def test_what_is_replaced_is_found(replaced: str, after: str) -> None:
    before = graph(*"abcde")
    nodes = {name: before.nodes[name] if name in before.nodes and name not in replaced else node(name)
             for name in after}
    step = check(before, table(nodes))
    if step.steady:
        assert all(step.ranks[name] == ranks_of(before)[name] for name in step.added if name in before.nodes)


def test_random_passes() -> None:
    rng = np.random.default_rng(3)
    now = graph(*(f"n{k}" for k in range(40)))
    for turn in range(200):
        names = [name for name in now.nodes if rng.random() > 0.1]
        for k in range(rng.integers(0, 4)):
            names.insert(int(rng.integers(0, len(names) + 1)), f"t{turn}.{k}")
        if rng.random() < 0.2:
            names.append(names.pop(int(rng.integers(0, len(names)))))
        later = table({name: now.nodes[name] if name in now.nodes and rng.random() > 0.1 else node(name)
                       for name in names})
        check(now, later)
        now = later if len(later) > 20 else graph(*(f"r{turn}.{k}" for k in range(40)))


def test_a_node_that_stays_under_another_name_is_found() -> None:
    before = graph(*"abc")
    nodes = {"a": before.nodes["a"], "q": before.nodes["b"], "c": before.nodes["c"]}
    assert set(step_between(before, table(nodes)).added) == {"q"}


def test_ranks_are_numbered_anew_when_there_is_no_number_left_between() -> None:
    now = graph("a", "z")
    renumbered = 0
    for k in range(60):
        names = list(now.nodes)
        nodes = {name: now.nodes.get(name) or node(name) for name in ("a", f"n{k}", *names[1:])}
        later = table(nodes)
        renumbered += len(check(now, later).ranks) > 1
        now = later
    assert 1 <= renumbered <= 5


def test_a_value_that_changes_its_maker_is_carried_to_the_new_one() -> None:
    old = Node(Relu("x"), ("a", "b"), (F4, F4))
    before = table({"a": old, "c": Node(Add("a", "b"), ("c",), (F4,))})
    before.makers  # noqa: B018
    halves = {"a": Node(Relu("x"), ("a",), (F4,)), "b": Node(Relu("x"), ("b",), (F4,)), "c": before.nodes["c"]}
    after = table(halves)
    step_between(before, after)
    assert after.makers == {"a": halves["a"], "b": halves["b"], "c": halves["c"]}


def test_an_edit_makes_a_steady_step() -> None:
    before = graph(*"abcde")
    edit = Edit(before)
    edit.insert(node("X"), before="c")
    edit.replace_node(before.nodes["d"], node("d"))
    edit.remove(before.nodes["e"])
    step = check(before, edit.finish())
    assert (list(step.added), list(step.gone), step.steady) == (["X", "d"], ["d", "e"], True)
