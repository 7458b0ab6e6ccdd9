"""precision="bf16": machine code and interpreter agree, threads change no bit, and what cannot be is refused."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnxruntime
import pytest

import glowviz
from glowviz.compiler.backends import backend_named
from glowviz.compiler.exporter import to_onnx
from glowviz.compiler.graph import Graph
from glowviz.compiler.interpreter import run_graph
from glowviz.compiler.pipeline import compile, snapshots
from glowviz.compiler.problem import Problem
from glowviz.compiler.text import parse_graph
from glowviz.gallery.cards import Card, cards
from tests.compiler.backends.test_heavy_epilogues import GRAPHS as EPILOGUES
from tests.compiler.backends.test_heavy_epilogues import inputs_of

HERE = backend_named("cpu").target.has_bf16
needs_bf16 = pytest.mark.skipif(not HERE, reason="this processor has no avx512_bf16")
HALF_ULP = 2.0**-9
GRAPHS = EPILOGUES | {
    "a block with its residual": """
        graph @g(%x: f32[2x20x12x10]) {
          const %w1: f32[37x20x1x1] = normal(seed=1)
          const %w2: f32[37x37x3x3] = normal(seed=2)
          const %w3: f32[24x37x3x3] = normal(seed=3)
          const %b: f32[37] = normal(seed=4)
          %c1: f32[2x37x12x10] = Conv(%x, %w1, %b)
          %r1: f32[2x37x12x10] = Relu(%c1)
          %c2: f32[2x37x12x10] = Conv(%r1, %w2) {pads=[1, 1, 1, 1]}
          %s: f32[2x37x12x10] = Add(%c2, %r1)
          %r2: f32[2x37x12x10] = Relu(%s)
          %p: f32[2x37x6x5] = MaxPool(%r2) {kernel=[2, 2], strides=[2, 2]}
          %c3: f32[2x24x3x3] = Conv(%p, %w3) {pads=[1, 1, 1, 1], strides=[2, 2]}
          return "y"=%c3
        }""",
    "an encoder's products": """
        graph @g(%x: f32[2x9x34]) {
          const %w1: f32[34x70] = normal(seed=1)
          const %w2: f32[70x34] = normal(seed=2)
          const %b: f32[70] = normal(seed=3)
          %m: f32[2x9x70] = MatMul(%x, %w1)
          %n: f32[2x9x70] = Add(%m, %b)
          %g: f32[2x9x70] = Gelu(%n) {approximate="none"}
          %o: f32[2x9x34] = MatMul(%g, %w2)
          %y: f32[2x9x34] = Add(%o, %x)
          return "y"=%y
        }""",
    "many rows, and one": """
        graph @g(%x: f32[1x1030], %y: f32[300x64]) {
          const %w: f32[41x1030] = normal(seed=1)
          const %c: f32[41] = normal(seed=2)
          const %v: f32[64x130] = normal(seed=3)
          %a: f32[1x41] = Gemm(%x, %w, %c) {trans_b=true}
          %b: f32[300x130] = MatMul(%y, %v)
          return "a"=%a, "b"=%b
        }""",
}


def errors(found: Mapping[str, np.ndarray], right: Mapping[str, np.ndarray]) -> tuple[float, float]:
    """The largest and the mean difference, as parts of the largest number."""
    apart = [np.abs(found[n] - y.astype(np.float64)) / max(float(np.abs(y).max()), 1e-30) for n, y in right.items()]
    return max(float(a.max()) for a in apart), max(float(a.mean()) for a in apart)


def narrowed(text: str, target: str) -> Graph:
    """The graph behind the pass."""
    return dict(snapshots(parse_graph(text), target=target, precision="bf16"))["use_bf16"]


@needs_bf16
@pytest.mark.parametrize("case", GRAPHS)
def test_machine_code_rounds_like_the_interpreter(case: str) -> None:
    """A sum that lies between two bf16 numbers may go to either; on the whole the numbers are the same."""
    graph = parse_graph(GRAPHS[case])
    feeds = inputs_of(graph)
    exe = compile(graph, precision="bf16")
    assert all(listing.native for listing in exe.listing())
    right = run_graph(narrowed(GRAPHS[case], "cpu"), feeds)
    most, mean = errors(exe.run(feeds), right)
    assert most <= 8 * HALF_ULP
    assert mean <= HALF_ULP / 20


@pytest.mark.parametrize("case", GRAPHS)
def test_error_is_that_of_bf16(case: str) -> None:
    graph = parse_graph(GRAPHS[case])
    feeds = inputs_of(graph)
    found = compile(graph, target="interpreter", precision="bf16").run(feeds)
    most, mean = errors(found, run_graph(graph, feeds, precision="f64"))
    assert most <= 16 * HALF_ULP
    assert mean <= 2 * HALF_ULP


@needs_bf16
@pytest.mark.parametrize("case", ["a block with its residual", "an encoder's products", "many rows, and one"])
def test_products_are_products_of_pairs(case: str) -> None:
    exe = compile(parse_graph(GRAPHS[case]), precision="bf16")
    wide = [listing for listing in exe.listing() if "wide" in listing.kernel]
    assert wide
    assert all("vdpbf16ps" in listing.assembly for listing in wide if listing.schedule["algorithm"] != "winograd")


@needs_bf16
def test_threads_change_no_bit() -> None:
    graph = parse_graph(GRAPHS["a block with its residual"])
    feeds = inputs_of(graph)
    bits = {compile(graph, precision="bf16", threads=n).run(feeds)["y"].tobytes() for n in (1, 2, 4)}
    assert len(bits) == 1


@needs_bf16
@pytest.mark.parametrize("card", [card for card in cards() if card.trained], ids=lambda card: card.name)
def test_trained_networks_answer_the_same(card: Card) -> None:
    plain = compile(card.path(), shapes=card.shapes())
    narrow = compile(card.path(), shapes=card.shapes(), precision="bf16")
    for feeds in card.samples().values():
        right, found = plain.run(feeds), narrow.run(feeds)
        for name, y in right.items():
            assert y.argmax() == found[name].argmax()
            assert ((y > 0.5) == (found[name] > 0.5)).all() or y.max() > 1


@needs_bf16
def test_conversions_meet_and_go() -> None:
    """Between the products of a network nothing but what they store converts; half the activations' bytes are left."""
    after = narrowed(GRAPHS["a block with its residual"], "cpu")
    casts = [node for node in after if node.kind == "Cast"]
    assert [node.op.x for node in casts] == ["x.NCHW16c"] or [node.op.x for node in casts] == ["x"]
    stored = [node.type.elem for node in after if node.kind == "Fused"]
    assert stored.count("bf16") == 2


def test_the_graph_leaves_as_onnx() -> None:
    """Wide products are Casts and plain ones for everybody else."""
    after = narrowed(GRAPHS["an encoder's products"], "interpreter")
    model = to_onnx(after)
    assert {"Cast", "MatMul"} <= {node.op_type for node in model.graph.node}
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    feeds = inputs_of(after)
    answers = map(np.asarray, session.run(None, feeds))
    found = dict(zip((o.name for o in session.get_outputs()), answers, strict=True))
    most, mean = errors(found, run_graph(after, feeds))
    assert most <= 8 * HALF_ULP
    assert mean <= HALF_ULP / 20


@pytest.mark.parametrize("target", ["cpu-avx2", "cpu-baseline", "cpu-avx512"])
def test_targets_without_the_instruction_refuse(target: str) -> None:
    with pytest.raises(Problem, match="needs the instruction vdpbf16ps, which target") as refused:
        compile(parse_graph(GRAPHS["products"]), target=target, precision="bf16")
    assert "precision='f32'" in refused.value.do


def test_the_recording_says_the_precision(tmp_path: object) -> None:
    path = f"{tmp_path}/run.glowrec"
    compile(parse_graph(GRAPHS["products"]), target="interpreter", precision="bf16", record=path)
    recording = glowviz.open_recording(path)
    assert recording.meta["precision"] == "bf16"
    assert "use_bf16" in [one["name"] for one in recording.passes()]
