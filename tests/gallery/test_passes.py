"""The first two cards show the pipeline at work: every graph pass changes something, in the first within 12 nodes."""

import numpy as np
import onnx
import pytest

import glowviz
from glowviz.compiler.backends import backend_named
from glowviz.compiler.graph import Graph
from glowviz.compiler.importer import read_model
from glowviz.compiler.pipeline import GRAPH_STAGES
from glowviz.compiler.rewrite import PASSES
from glowviz.gallery import card, cards


def changes(name: str) -> dict[str, int]:
    """How many changes each graph pass makes, wherever the pipeline runs it."""
    target = backend_named("cpu", 1).target
    graph: Graph = read_model(str(card(name).path()), None)
    made: dict[str, int] = {}
    for stage in GRAPH_STAGES:
        for one in stage.passes:
            graph, log = PASSES[one].run(graph, target)
            made[one] = made.get(one, 0) + len(log.changes)
    return made


@pytest.mark.parametrize("name", ["digit", "everything"])
def test_every_graph_pass_changes_something_in_the_first_two_cards(name: str) -> None:
    assert [entry.name for entry in cards()[:2]] == ["digit", "everything"]
    assert [one for one, count in changes(name).items() if count == 0] == []


def test_the_first_card_has_twelve_nodes() -> None:
    assert len(onnx.load(cards()[0].path()).graph.node) == cards()[0].nodes == 12


@pytest.mark.parametrize("target", ["interpreter", "cpu"])
@pytest.mark.parametrize("name", ["digit", "everything"])
def test_our_own_compiler_names_the_digits_too(name: str, target: str) -> None:
    entry = card(name)
    run = glowviz.compile(entry.path(), target=target)
    for sample, inputs in entry.samples().items():
        outputs = run.run(inputs)
        assert str(outputs["scores"].argmax()) == entry.expected()[sample]
        assert np.isclose(outputs["probability"].sum(), 1, atol=1e-5)
