"""The 13 trained models of packages, compiled for cpu: onnxruntime's answers, state carried over several calls."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
import onnxruntime
import pytest

from glowviz.compiler.pipeline import compile as compile_model
from glowviz.compiler.specialize import CompiledAgain
from tests.models import TRAINED, picture, trained

RNG = np.random.default_rng(0)
TOLERANCE = 1e-4
"""Largest difference, of the largest number of an output."""
CALLS = 3


def page(height: int, width: int) -> np.ndarray:
    """A corner of a printed page as PP-OCR wants it."""
    shown = picture("page").astype(np.float32)
    whole = np.zeros((height, width, 3), np.float32)
    cut = shown[:height, :width]
    whole[: cut.shape[0], : cut.shape[1]] = cut
    return np.ascontiguousarray(((whole / 255 - 0.5) / 0.5).transpose(2, 0, 1)[None])


def sound(*shape: int) -> np.ndarray:
    return (RNG.normal(size=shape) * 0.1).astype(np.float32)


def voice(**states: np.ndarray) -> dict[str, np.ndarray]:
    return {"input": sound(1, 576), **states}


STATE = {"state": np.zeros((2, 1, 128), np.float32)}
RATE = {"sr": np.array(16000, np.int64)}
CELLS = {name: np.zeros((1, 1, 128), np.float32) for name in "hc"}


def inputs(name: str) -> dict[str, Any]:
    """What a model is fed at its first call."""
    if name == "magika":
        return {"bytes": RNG.integers(0, 256, (1, 2048)).astype(np.int32)}
    if name == "centerface":
        return {"input.1": RNG.normal(size=(10, 3, 32, 32)).astype(np.float32)}
    if name.startswith("ppocr"):
        return {"x": page(*{"ppocr_det": (160, 320), "ppocr_rec": (48, 320), "ppocr_cls": (48, 192)}[name])}
    if name == "basic_pitch":
        return {"serving_default_input_2:0": sound(1, 43844, 1)}
    if name == "minilm":
        ids = RNG.integers(1, 30000, (1, 9))
        return {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    if name == "silero_sequence":
        return {"input": sound(5, 576), **CELLS}
    return voice(**STATE, **({} if name in ("silero_half", "silero_openvino") else RATE))


def carried(feed: dict[str, Any], answers: list[np.ndarray]) -> dict[str, Any]:
    """The next call's inputs: new sound, and the states that the last call gave."""
    states = [n for n in feed if n in ("state", "h", "c")]
    new = {n: sound(*feed[n].shape) for n in feed if n == "input"}
    return {**feed, **new, **dict(zip(states, answers[1:], strict=False))}


@pytest.mark.models
@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINED)
def test_answers_are_those_of_onnxruntime(name: str) -> None:
    path, feed = trained(name), inputs(name)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    exe = compile_model(path, shapes={n: a.shape for n, a in feed.items()})
    for _ in range(CALLS):
        wanted = session.run(None, feed)
        found = exe.run(feed)
        for output, theirs in zip(session.get_outputs(), wanted, strict=True):
            ours = found[output.name]
            assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
            assert np.abs(ours - theirs).max() <= TOLERANCE * np.abs(theirs).max(), output.name
        feed = carried(feed, wanted)


SWEEP = ((1, 16), (2, 64), (3, 128), (8, 256))


@pytest.mark.models
@pytest.mark.slow
def test_an_encoder_takes_every_batch_and_length() -> None:
    """Compiled once for one size, run with others: each compiled once, told with its time, and right."""
    path = trained("minilm")
    session = onnxruntime.InferenceSession(str(path))
    said: list[str] = []
    exe = compile_model(path, shapes=dict.fromkeys(inputs("minilm"), SWEEP[0]), progress=said.append)
    feeds = [_sentences(*size) for size in SWEEP]
    for times in range(2):
        for feed in feeds:
            fresh = times == 0 and feed is not feeds[0]
            with pytest.warns(CompiledAgain, match=r"again in [0-9.]+ s for --shape") if fresh else nullcontext():
                found = exe.run(feed)
            for output, theirs in zip(session.get_outputs(), session.run(None, feed), strict=True):
                ours = found[output.name]
                assert ours.shape == theirs.shape
                assert np.abs(ours - theirs).max() <= TOLERANCE * np.abs(theirs).max()
    assert [s.shapes["input_ids"] for s in exe.specializations] == list(SWEEP)
    assert all(s.seconds > 0 for s in exe.specializations)
    assert sum(text.startswith("Shapes: compiling again") for text in said) == len(SWEEP) - 1


def _sentences(rows: int, words: int) -> dict[str, Any]:
    """Random tokens; the second half of every row but the first is masked out."""
    ids = RNG.integers(1, 30000, (rows, words))
    mask = np.ones_like(ids)
    mask[1:, words // 2:] = 0
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
