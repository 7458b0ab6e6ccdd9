"""Networks as torch's exporter and onnxruntime's quantizer write them, compiled for cpu, agree with both."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

import glowviz
from examples.answers import faces
from glowviz.compiler.importer import read_model
from glowviz.compiler.interpreter import run_graph
from glowviz.compiler.passes.bind_shapes import bind_shapes
from glowviz.compiler.specialize import CompiledAgain
from tests.conformance.outcome import host_ops
from tests.models import ROOT, exported

NAMES = (
    "resnet18", "mobilenet_v3_small", "unet", "detector", "vit", "convnext", "efficientnet", "segformer", "swin",
    "tagger", "classifier", "bert", "gpt2", "llama", "t5_encoder", "whisper", "choice", "steps",
)  # fmt: skip
QUICK = ("tagger", "bert", "t5_encoder", "choice", "steps")
DYNAMIC = ("bert", "t5_encoder", "classifier")
QUANTIZED = ("centerface_qdq", "centerface_qoperator")
TOLERANCE = 1e-4
"""Largest difference, of the largest number of an output."""
Arrays = dict[str, np.ndarray]


def stored(path: Path) -> tuple[Arrays, Arrays]:
    """What the network is fed, and what torch answered."""
    with np.load(path.with_suffix(".npz")) as arrays:
        given = {name: arrays[name] for name in arrays.files}
    answers = {name.removeprefix("out:"): given.pop(name) for name in list(given) if name.startswith("out:")}
    return given, answers


def peer(path: Path, feed: Arrays, optimized: bool = True) -> Arrays:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    if not optimized:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(path), options)
    found = session.run(None, {value.name: feed[value.name] for value in session.get_inputs()})
    return {value.name: np.asarray(array) for value, array in zip(session.get_outputs(), found, strict=True)}


def assert_close(found: Arrays, wanted: Arrays) -> None:
    for name, array in wanted.items():
        assert (found[name].shape, found[name].dtype) == (array.shape, array.dtype)
        apart = np.abs(found[name].astype(np.float64) - array)
        assert apart.max(initial=0) <= TOLERANCE * np.abs(array).max(), name
        assert array.dtype.kind != "f" or array.std() > 1e-3, f"{name} hardly varies: it proves nothing"


def test_the_list_is_that_of_the_scripts() -> None:
    scripts = "".join((ROOT / "examples/exports" / f"{name}.py").read_text("utf-8") for name in ("vision", "language"))
    tables = "".join(re.findall(r"^NETWORKS = \{(.*?)\}", scripts, re.DOTALL | re.MULTILINE))
    assert sorted(re.findall(r'"(\w+)":', tables)) == sorted(NAMES)


@pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in NAMES])
def test_our_code_agrees_with_onnxruntime_and_with_torch(name: str) -> None:
    path = exported(name)
    feed, answers = stored(path)
    taken = {value.name: feed[value.name] for value in onnx.load(path).graph.input}
    executable = glowviz.compile(path, shapes={n: a.shape for n, a in taken.items()})
    found = executable.run(taken)
    assert_close(found, peer(path, feed))
    assert_close(found, answers)
    assert host_ops(executable) == ()


@pytest.mark.slow
@pytest.mark.parametrize("name", DYNAMIC)
def test_batches_and_lengths_are_swept(name: str) -> None:
    path = exported(name)
    feed, _ = stored(path)
    executable = glowviz.compile(path, shapes={n: a.shape for n, a in feed.items()})
    rng = np.random.default_rng(0)
    sizes = ((1, 16), (2, 33), (3, 64), (8, 100))
    for rows, length in sizes:
        ids = rng.integers(1, 200, (rows, length))
        inputs = {n: ids if n.endswith("ids") else np.ones_like(ids) for n in feed}
        with pytest.warns(CompiledAgain):
            found = executable.run(inputs)
        assert_close(found, peer(path, inputs))
    assert len(executable.specializations) == 1 + len(sizes)


@pytest.mark.slow
@pytest.mark.parametrize("name", QUANTIZED)
def test_eight_bits_find_the_same_face(name: str) -> None:
    """A result in eight bits moves by a whole step where a rounding falls otherwise, in onnxruntime's own code too.

    So the interpreter must have what onnxruntime has before it rewrites anything, and our code the same answer.
    """
    path = exported(name)
    feed, _ = stored(path)
    plain, theirs = peer(path, feed, optimized=False), peer(path, feed)
    exact = run_graph(bind_shapes.function(read_model(path)), feed)
    ours = glowviz.compile(path).run(feed)
    for output, array in plain.items():
        np.testing.assert_allclose(exact[output], array, rtol=1e-6, atol=1e-6)
        assert np.corrcoef(ours[output].ravel(), array.ravel())[0, 1] > 0.995
    score = max(face["score"] for face in faces.answer(theirs))
    assert max(face["score"] for face in faces.answer(ours)) == pytest.approx(score, abs=0.01)
