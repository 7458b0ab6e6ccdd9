"""The first two cards show the pipeline at work: the second gives every graph pass something to do."""


import numpy as np
import pytest

import glowviz
from glowviz.compiler.backends import backend_named
from glowviz.compiler.graph import Graph
from glowviz.compiler.importer import read_model
from glowviz.compiler.ledger import Ledger
from glowviz.compiler.pipeline import GRAPH_STAGES
from glowviz.gallery import card, cards


def idle(name: str) -> set[str]:
    """The graph passes that change nothing wherever the pipeline runs them."""
    ledger = Ledger(backend_named("cpu", 1).target)
    graph: Graph = read_model(str(card(name).path()), None)
    acted: set[str] = set()
    for stage in GRAPH_STAGES:
        for one in stage.passes:
            after = ledger.run(one, stage.name, graph)
            acted |= {one} if after is not graph else set()
            graph = after
    return {one for stage in GRAPH_STAGES for one in stage.passes} - acted


def test_the_second_card_gives_every_graph_pass_something_to_do() -> None:
    assert cards()[1].name == "everything"
    assert idle("everything") == set()


def test_the_first_card_leaves_only_the_long_patterns_to_the_second() -> None:
    assert cards()[0].nodes <= 22  # few enough to follow each one
    assert idle("digit") <= {"clean_concat_slice", "clean_clips", "sink_elementwise", "fold_gelu", "fold_hardswish",
                             "fold_layernorm", "fold_swish"}


@pytest.mark.parametrize("target", ["interpreter", "cpu"])
@pytest.mark.parametrize("name", ["digit", "everything"])
def test_our_own_compiler_names_the_digits_too(name: str, target: str) -> None:
    entry = card(name)
    run = glowviz.compile(entry.path(), target=target)
    for sample, inputs in entry.samples().items():
        outputs = run.run(inputs)
        assert str(outputs["scores"].argmax()) == entry.expected()[sample]
        assert np.isclose(outputs["probability"].sum(), 1, atol=1e-5)
