"""On random graphs every pass keeps the numbers within its promise, is well formed, and settles."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from glowviz.compiler import passes
from glowviz.compiler.graph import Graph
from glowviz.compiler.interpreter import run_graph, sample_inputs
from glowviz.compiler.rewrite import PASSES
from glowviz.compiler.target import Target
from glowviz.compiler.text import parse_graph, print_graph
from glowviz.compiler.verify import verify_graph
from tests.compiler.passes.random_graphs import graphs

assert passes.__name__
NAMES = sorted(n for n, p in PASSES.items() if p.level != "program" and n != "bind_shapes")
MACHINES = (
    Target("plain"),
    Target(
        "blocked", vector_width=4, orders=(("Conv", "NCHW4c"),), fuses=frozenset({"Conv", "MatMul", "Gemm"}),
        keeps=frozenset({"Relu", "Softmax", "MaxPool"}),
    ),
)
CAREFUL = settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=25, derandomize=True)


def unlike(before: dict[str, np.ndarray], after: dict[str, np.ndarray], tolerance: float) -> str:
    """Which output differs by more than the tolerance allows, relative to all outputs' largest number."""
    scale = max((float(np.abs(a[np.isfinite(a)]).max(initial=0)) for a in before.values()), default=0.0)
    for name, old in before.items():
        new = after[name]
        same = (old == new) | (np.isnan(old) & np.isnan(new))
        with np.errstate(invalid="ignore"):
            apart = np.abs(np.where(same, 0, new.astype(np.float64) - old.astype(np.float64)))
        if old.shape != new.shape or not bool((apart <= tolerance * max(scale, 1.0)).all()):
            return f"{name}: {old} became {new}"
    return ""


def check(name: str, graph: Graph, machine: Target) -> Graph:
    """Run one pass and check all it promises; returns its result."""
    after, log = PASSES[name].run(graph, machine)
    verify_graph(after, since=graph)
    verify_graph(after)
    assert (after is graph) == (print_graph(after) == print_graph(graph)), "unchanged means the same object"
    assert bool(log.changes) == (after is not graph), "every change is recorded"
    feeds = sample_inputs(graph)
    wrong = unlike(run_graph(graph, feeds), run_graph(after, feeds), 4 * PASSES[name].tolerance)
    assert not wrong, f"{name}: {wrong}\n{print_graph(graph)}\n--- {name}\n{print_graph(after)}"
    return after


@pytest.mark.parametrize("name", NAMES)
@given(graph=graphs())
@CAREFUL
def test_pass_keeps_numbers(name: str, graph: Graph) -> None:
    for machine in MACHINES:
        check(name, graph, machine)


@given(graph=graphs())
@settings(CAREFUL, max_examples=40)
def test_pipeline_keeps_numbers(graph: Graph) -> None:
    """All passes one after the other, twice: the second round finds little and breaks nothing."""
    for machine in MACHINES:
        current = graph
        for name in (*ORDER, *ORDER):
            current = check(name, current, machine)


@given(graph=graphs())
@CAREFUL
def test_drawn_graphs_print_and_parse(graph: Graph) -> None:
    """What the property tests report can be pasted into a golden file."""
    text = print_graph(graph)
    payloads = {c.payload.digest: c.payload for c in graph.constants.values()}
    assert print_graph(parse_graph(text, payloads)) == text


ORDER = (
    "fold_constants", "dce", "fold_softmax", "fold_layernorm", "fold_gelu", "fold_leaky_relu", "fold_hardswish",
    "fold_swish", "eliminate_noop", "sink_transposes", "merge_transposes", "transpose_to_reshape", "arithmetic",
    "clean_clips", "sink_elementwise", "clean_reshapes", "cse", "merge_pad", "clean_concat_slice", "fold_constants",
    "swap_relu_maxpool", "fold_batchnorm", "cse", "dce", "lower", "arithmetic", "clean_reshapes", "fold_constants",
    "fold_batchnorm", "cse", "dce", "choose_order", "fuse", "dce",
)  # fmt: skip
