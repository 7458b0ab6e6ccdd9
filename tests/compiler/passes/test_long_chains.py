"""A long chain is an ordinary input: no pass recurses, and a pass that finds nothing to do is quick."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest

from glowviz.compiler import passes
from glowviz.compiler.graph import Graph, Node, Output, constant
from glowviz.compiler.ops import OPS, Add, Mul, Op, Softmax, Tanh, Transpose
from glowviz.compiler.rewrite import PASSES
from glowviz.compiler.target import Target
from glowviz.compiler.types import Type
from glowviz.compiler.verify import verify_graph

assert passes.__name__
LENGTH = 20_000
SQUARE = Type("f32", (2, 2))
MACHINE = Target("long", keeps=frozenset(OPS), fuses=frozenset({"Conv"}), orders=(("Conv", "NCHW16c"),))
NAMES = sorted(n for n, p in PASSES.items() if p.level != "program" and n != "bind_shapes")
SECONDS_PER_NODE = 5e-5
"""CPU time allowed where nothing changes: measured 5e-6 on a quiet core; the margin is for busy ones."""


def chain(op: Callable[[str], Op]) -> Graph:
    nodes: dict[str, Node] = {}
    value = "x"
    for i in range(LENGTH):
        nodes[f"v{i}"] = Node(op(value), (f"v{i}",), (SQUARE,))
        value = f"v{i}"
    constants = {"c": constant("c", np.full((2,), 1.5, np.float32))}
    return Graph("chain", {"x": SQUARE, "z": SQUARE}, constants, nodes, (Output("y", value), Output("c", "c")))


CHAINS = {
    "tanh": chain(Tanh),
    "add": chain(lambda x: Add(x, "z")),
    "softmax": chain(Softmax),
}


@pytest.mark.parametrize("kind", CHAINS)
@pytest.mark.parametrize("name", NAMES)
def test_long_chain(name: str, kind: str) -> None:
    graph = CHAINS[kind]
    assert graph.users
    started = time.process_time()
    after, _ = PASSES[name].run(graph, MACHINE)
    spent = time.process_time() - started
    if after is graph:
        assert spent <= LENGTH * SECONDS_PER_NODE
    else:
        assert name == "fuse"
        verify_graph(after)


def test_long_chains_that_collapse() -> None:
    """Twenty thousand rewrites one after the other, each where the one before it stopped."""
    swapped = chain(lambda x: Transpose(x, perm=(1, 0)))
    after, log = PASSES["merge_transposes"].run(swapped)
    assert len(after) <= 1
    assert log.changes
    product, _ = PASSES["arithmetic"].run(chain(lambda x: Mul(x, "c")))
    verify_graph(product)
    assert len(product) < LENGTH
