"""Whatever the compiler makes leads back to nodes of the model, or says which pass made it and for what."""

from __future__ import annotations

from functools import cache
from random import Random
from typing import Any

import pytest

from examples.build import BUILDERS
from glowviz.compiler.graph import Graph, Origin
from glowviz.compiler.pipeline import snapshots
from glowviz.compiler.problem import Problem
from glowviz.compiler.program import Instr, Program
from glowviz.gallery import card, cards
from tests.fuzz.generator import grown

SHAPES = {"ring": {"point": (128, 2)}}
EXAMPLES = ("mobilenet_v3_small", "minilm_pieces", "unet", "vit", "gpt2", "light_shufflenet", "light_inception_v2")
NAMES = [*(c.name for c in cards()), *EXAMPLES]


@cache
def compiled(name: str) -> list[tuple[str, Any]]:
    """Every snapshot of a gallery card or an example network."""
    if name in EXAMPLES:
        return snapshots(BUILDERS[name]())
    return snapshots(str(card(name).path()), shapes=SHAPES.get(name))


def leads_somewhere(origin: Origin) -> bool:
    return bool(origin.names) or origin.made is not None


@pytest.mark.parametrize("name", NAMES)
def test_instructions_lead_to_nodes_of_the_model(name: str) -> None:
    steps = compiled(name)
    imported: Graph = steps[0][1]
    program: Program = steps[-1][1]
    real = {n for node in imported for n in node.origin.names} | set(imported.inputs) | set(imported.constants)
    instructions: tuple[Instr, ...] = program.instructions
    assert instructions
    traced = [i for i in instructions if i.origin.names]
    assert len(traced) >= 0.95 * len(instructions)
    for instr in traced:
        assert real.issuperset(instr.origin.names), f"{instr.name} %{instr.value}: {instr.origin}"


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_without_an_origin_after_any_pass(name: str) -> None:
    for step, ir in compiled(name):
        things = ir.nodes.values() if isinstance(ir, Graph) else ir.instructions
        for thing in things:
            what = thing.name if isinstance(ir, Graph) else thing.value
            assert leads_somewhere(thing.origin), f"after {step}, %{what} comes from nowhere"


@pytest.mark.parametrize("name", NAMES)
def test_no_node_of_the_model_is_forgotten_while_its_numbers_are_used(name: str) -> None:
    """Every imported node that the outputs depend on, and that computes at run time, is some instruction's origin."""
    steps = compiled(name)
    imported: Graph = steps[0][1]
    named = {n for i in steps[-1][1].instructions for n in i.origin.names}
    named |= {n for b in steps[-1][1].buffers.values() for n in b.origin.names}
    lost = [n.name for n in _live(imported) if n.origin.names and named.isdisjoint(n.origin.names)]
    assert len(lost) <= 0.02 * len(imported) + 1, f"{len(lost)} of {len(imported)} nodes left no trace: {lost[:5]}"


def _live(graph: Graph) -> list[Any]:
    """Nodes whose numbers depend on an input and reach an output."""
    reached: set[str] = set(graph.returned)
    needed = []
    for node in reversed(list(graph)):
        if reached.intersection(node.results):
            reached.update(node.op.operands)
            needed.append(node)
    running = set(graph.inputs)
    live = []
    for node in reversed(needed):
        if running.intersection(node.op.operands) and node.kind not in ("Shape", "Size"):
            running.update(node.results)
            live.append(node)
    return live


@pytest.mark.parametrize("chunk", range(4))
def test_random_models_lose_no_origin(chunk: int) -> None:
    """Every node, instruction and buffer in use of every state of models that nobody thought of: 100 %."""
    for number in range(8):
        made = grown(Random(f"origins {chunk} {number}").randint)
        try:
            steps = snapshots(made.model, target="interpreter")
        except Problem:
            continue  # refused by name; the generator's own test counts how often
        for step, ir in steps:
            for thing in ir.nodes.values() if isinstance(ir, Graph) else ir.instructions:
                assert leads_somewhere(thing.origin), (made.ops, step, thing)
