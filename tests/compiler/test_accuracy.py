"""Our numbers beside onnxruntime's on whole models, and both beside a run in double precision."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

import glowviz
from examples.answers import faces, file_types
from glowviz.compiler.interpreter import run_graph
from glowviz.compiler.pipeline import bound_graph
from glowviz.compiler.validate import inputs_of
from tests.answers import (
    Arrays,
    before_saturation,
    cls_answer,
    cls_feed,
    det_answer,
    det_feed,
    magika_files,
    rebound,
    text_line,
)
from tests.models import example, light, picture, trained

TO_PEER, TO_TRUTH, FLOOR = 2e-5, 2.0, 2e-6
"""Largest difference to onnxruntime, as a part of max |output|; our error as a multiple of its own, and the least
error that this multiple starts from: what is promised with convolutions computed as they are defined."""
EXACT = {"choose_schedules": {"winograd": "off"}}
BY_TILES = 1e-4
"""What is promised of the default, which computes convolutions by Winograd's tiles where they pay."""
QUICK = (
    "light_squeezenet", "light_shufflenet", "mobilenet_v2", "resnet18", "minilm_pieces", "mobilenet_v3_small", "gpt2",
)
FULL = (
    "light_bvlc_alexnet", "light_densenet121", "light_inception_v1", "light_inception_v2", "light_resnet50",
    "light_vgg19", "light_zfnet512", "bert", "bert_pieces", "minilm", "unet", "vit", "resnet50",
)
SHIPPED = ("light_squeezenet", "light_shufflenet", "light_inception_v1", "light_resnet50")
TARGETS = ("cpu", "cpu-avx2", "cpu-baseline")


def peer_outputs(model: Path | bytes, feed: Arrays) -> Arrays:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model if isinstance(model, bytes) else str(model), options)
    return dict(zip([o.name for o in session.get_outputs()], session.run(None, feed), strict=True))  # type: ignore[arg-type]


def relative(found: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.abs(found - wanted).max() / np.abs(wanted).max())


def check(path: Path, target: str, host_calls: bool = False) -> None:
    """Compile, run on noise, and hold the result to both promises."""
    graph = bound_graph(path)
    feed = inputs_of(graph)
    executable = glowviz.compile(path, target=target, options=EXACT)
    ours, peers = executable.run(feed), peer_outputs(path, feed)
    truth = run_graph(graph, feed, precision="f64")
    for name, wanted in peers.items():
        assert np.std(wanted) > 0, f"{name} is degenerate: it proves nothing"
        assert relative(ours[name], wanted) <= TO_PEER
        allowed = max(FLOOR, TO_TRUTH * relative(wanted, truth[name]))
        assert relative(ours[name], truth[name]) <= allowed
    called = sorted({listing.instruction for listing in executable.listing() if not listing.native})
    assert host_calls or not called, f"not native: {called}"


@pytest.mark.parametrize("name", QUICK)
def test_quick_models_on_this_machine(name: str) -> None:
    check(example(name), "cpu")


@pytest.mark.parametrize("target", TARGETS[1:])
@pytest.mark.parametrize("name", ["light_squeezenet", "minilm_pieces"])
def test_other_targets(name: str, target: str) -> None:
    check(example(name), target)


def check_default(path: Path, target: str) -> None:
    """The default choice of algorithms keeps its wider promise."""
    feed = inputs_of(bound_graph(path))
    executable = glowviz.compile(path, target=target)
    assert any(listing.schedule.get("algorithm") == "winograd" for listing in executable.listing())
    ours = executable.run(feed)
    for name, wanted in peer_outputs(path, feed).items():
        assert np.std(wanted) > 0, f"{name} is degenerate: it proves nothing"
        assert relative(ours[name], wanted) <= BY_TILES


@pytest.mark.parametrize("name", ["light_squeezenet", "resnet18"])
def test_convolutions_by_tiles(name: str) -> None:
    check_default(example(name), "cpu")


BY_TILES_TOO = (
    "light_bvlc_alexnet", "light_densenet121", "light_inception_v1", "light_inception_v2", "light_resnet50",
    "light_vgg19", "resnet50", "unet", "light_squeezenet", "resnet18",
)


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", BY_TILES_TOO)
def test_convolutions_by_tiles_on_every_target(name: str, target: str) -> None:
    check_default(example(name), target)


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", QUICK + FULL)
def test_every_model_on_every_target(name: str, target: str) -> None:
    check(example(name), target)


@pytest.mark.parametrize("name", SHIPPED)
def test_light_models_as_they_are_shipped(name: str) -> None:
    """Weights are one number each, so all scores are equal: what is proven is shapes, memory and order."""
    path = light(name)
    feed = inputs_of(bound_graph(path))
    ours = glowviz.compile(path).run(feed)
    for name_, wanted in peer_outputs(path, feed).items():
        assert relative(ours[name_], wanted) <= TO_PEER


@pytest.mark.parametrize("name", ["light_squeezenet", "minilm_pieces"])
def test_same_bits_for_any_number_of_threads(name: str) -> None:
    path = example(name)
    feed = inputs_of(bound_graph(path))
    one = glowviz.compile(path, threads=1).run(feed)
    for threads in (2, 4):
        more = glowviz.compile(path, threads=threads).run(feed)
        assert all(np.array_equal(one[name_], more[name_]) for name_ in one)


def trained_feed(name: str) -> Arrays:
    """What the test of a trained model's answer gives it."""
    if name == "magika":
        return file_types.feed(magika_files()["python"])
    if name == "centerface":
        return faces.feed(picture("astronaut"))
    page = picture("page")
    if name == "ppocr_det":
        return det_feed(page)
    line = cls_feed(text_line(page, (13, 40)))
    return line if name == "ppocr_cls" else {"x": np.ascontiguousarray(line["x"])}


@pytest.mark.models
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", ["magika", "centerface", "ppocr_det", "ppocr_cls", "ppocr_rec"])
def test_trained_models_have_the_numbers_of_the_peer(name: str, target: str) -> None:
    feed = trained_feed(name)
    shapes = {key: value.shape for key, value in feed.items()}
    model = before_saturation(rebound(trained(name), shapes))
    ours = glowviz.compile(model, shapes=shapes, target=target, options=EXACT).run(feed)
    peers = peer_outputs(model, feed)
    truth = run_graph(bound_graph(model, shapes), feed, precision="f64")
    for key, wanted in peers.items():
        assert relative(ours[key], wanted) <= TO_PEER, key
        assert relative(ours[key], truth[key]) <= max(FLOOR, TO_TRUTH * relative(wanted, truth[key])), key


@pytest.mark.models
def test_magika_names_kinds_of_files() -> None:
    executable = glowviz.compile(trained("magika"), shapes=file_types.SHAPES)
    for kind, content in magika_files().items():
        named, probability = file_types.answer(executable.run(file_types.feed(content)))
        assert (named, probability > 0.5) == (kind, True)


@pytest.mark.models
def test_centerface_finds_the_one_face() -> None:
    feed = faces.feed(picture("astronaut"))
    executable = glowviz.compile(trained("centerface"), shapes={k: v.shape for k, v in feed.items()})
    (face,) = faces.answer(executable.run(feed))
    assert (face["x"], face["y"]) == (pytest.approx(226, abs=3), pytest.approx(118, abs=3))
    assert face["score"] == pytest.approx(0.929, abs=0.01)


@pytest.mark.models
def test_text_rows_are_found_and_read_upright() -> None:
    page = picture("page")
    feed = det_feed(page)
    finder = glowviz.compile(trained("ppocr_det"), shapes={k: v.shape for k, v in feed.items()})
    rows = det_answer(finder.run(feed))
    assert len(rows) == 7
    reader = None
    for row in rows:
        line = text_line(page, row)
        for wanted, turned in (("upright", line), ("upside down", line[::-1, ::-1])):
            lines = cls_feed(turned)
            reader = reader or glowviz.compile(trained("ppocr_cls"), shapes={k: v.shape for k, v in lines.items()})
            assert cls_answer(reader.run(lines))[0] == wanted
