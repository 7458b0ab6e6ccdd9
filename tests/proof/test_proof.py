"""Passes keep their promises on a sample of everything, and a pass that does not is in the table."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from glowviz.compiler.graph import Graph
from glowviz.compiler.importer import read_model
from glowviz.compiler.ops import Abs, Relu
from glowviz.compiler.pipeline import pipeline_passes
from glowviz.compiler.problem import Problem
from glowviz.compiler.rewrite import PASSES, Edit, graph_pass
from glowviz.gallery import card
from tests.compiler.golden_files import golden_paths
from tests.conformance import suites
from tests.proof.prove import Table, everything, on_case, on_golden, on_model

SAMPLE = {"node": 90, "simple": 4, "pytorch-operator": 4, "pytorch-converted": 8}
"""Of each suite, every so-many-th case."""
CARDS = ("ring", "digit", "everything", "transformer_block")


def on_card(name: str) -> Table:
    table = Table()
    table.add(on_model(name, read_model(str(card(name).path()), card(name).shapes() or None)))
    return table


@pytest.fixture
def wrong_pass() -> Iterator[None]:
    """relu_is_abs, behind everything else before lower."""
    kept = dict(PASSES)

    def relu_is_abs(graph: Graph) -> Graph:
        """Relu(x) -> Abs(x)"""
        edit = Edit(graph)
        for node in [node for node in graph if isinstance(node.op, Relu)]:
            edit.replace_node(node, node.evolve(op=Abs(node.op.x)))
        return edit.finish()

    made = graph_pass()(relu_is_abs)
    PASSES[made.name] = made.__class__(**{**vars(made), "after": ""})
    yield
    PASSES.clear()
    PASSES.update(kept)


def test_all_passes_keep_their_promise_on_the_golden_files() -> None:
    table = Table()
    for path in golden_paths():
        table.add(on_golden(path))
    assert not table.broken, table.text()
    assert set(pipeline_passes()) - set(table) == set(), "passes that change nothing in any golden file"


@pytest.mark.parametrize("name", CARDS)
def test_all_passes_keep_their_promise_on_the_gallery(name: str) -> None:
    table = on_card(name)
    assert not table.broken, table.text()
    assert {"irgen", "plan_memory", "fuse"} <= set(table)


def test_all_passes_keep_their_promise_on_a_sample_of_the_suites() -> None:
    table, done = Table(), 0
    for suite, every in SAMPLE.items():
        for name in suites.names(suite)[::every]:
            try:
                table.add(on_case(suite, name))
                done += 1
            except Problem:  # a refusal is for the conformance table
                continue
    assert not table.broken, "\n".join(f"{s.name} on {s.model}: {s.difference}" for s in table.broken)
    assert done >= 25


def test_a_pass_that_breaks_its_promise_is_in_the_table(wrong_pass: None) -> None:
    table = on_card("ring")  # where Relu meets negative numbers
    assert {step.name for step in table.broken} == {"relu_is_abs"}
    row = next(line for line in table.text().splitlines() if line.startswith("relu_is_abs"))
    assert row.endswith("BROKEN")
    assert "ring" in row


@pytest.mark.slow
@pytest.mark.models
@pytest.mark.timeout(7200)
def test_all_passes_keep_their_promise_on_everything() -> None:
    """What `make prove EVERY=1` runs."""
    table, faults = Table(), []
    for label, steps in everything(1):
        try:
            table.add(steps)
        except Problem:
            continue
        except Exception as fault:
            faults.append(f"{label}: {fault}")
    assert not table.broken, "\n".join(f"{s.name} on {s.model}: {s.difference}" for s in table.broken)
    assert not faults
