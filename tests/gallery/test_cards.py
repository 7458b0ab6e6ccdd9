"""Every card keeps what it says: nodes, weights, answers; and its file is built once, whole or not at all."""

import multiprocessing
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from glowviz.gallery import Card, card, cards, digit_head
from glowviz.gallery.build_digit import FONT, glyphs, pictures
from glowviz.gallery.train import softmax

NAMES = [entry.name for entry in cards()]


def session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options)


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GLOWVIZ_CACHE", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("name", NAMES)
def test_the_card_tells_the_truth_about_its_file(name: str) -> None:
    entry = card(name)
    model = onnx.load(entry.path())
    assert len(model.graph.node) == entry.nodes
    assert model.ir_version <= 10
    assert entry.weights in ("trained", "seeded")
    assert entry.trained == ("accuracy" in entry.facts())
    assert ("mean nothing" in entry.answers) == (not entry.trained)


@pytest.mark.parametrize("name", NAMES)
def test_every_card_runs_on_its_samples_with_a_lively_answer(name: str) -> None:
    entry = card(name)
    samples = entry.samples()
    assert samples
    run = session(entry.path())
    answers = [np.asarray(run.run(None, inputs)[0]) for inputs in samples.values()]
    spread = np.concatenate([answer.ravel() for answer in answers])
    assert np.isfinite(spread).all()
    assert spread.std() > 1e-3


@pytest.mark.parametrize("name", ["digit", "everything"])
def test_the_digit_cards_name_digits(name: str) -> None:
    entry = card(name)
    run = session(entry.path())
    for name, inputs in entry.samples().items():
        probability = np.asarray(run.run(["probability"], inputs)[0])
        assert str(probability.argmax()) == entry.expected()[name]
        assert probability.sum() == pytest.approx(1, abs=1e-5)
    x, digits = pictures(np.random.default_rng(99), 500)
    x = x.reshape(-1, *next(iter(entry.samples().values()))["picture"].shape[1:])
    named = np.asarray(run.run(["scores"], {"picture": x})[0]).argmax(axis=1)
    assert (named == digits).mean() > 0.96
    assert entry.facts()["accuracy"] == pytest.approx((named == digits).mean(), abs=0.03)


def test_the_ring_card_tells_inside_from_outside() -> None:
    entry = card("ring")
    run = session(entry.path())
    for name, inputs in entry.samples().items():
        inside = np.asarray(run.run(None, inputs)[0]).item() > 0.5
        assert ("inside" if inside else "outside") == entry.expected()[name]
    assert float(entry.facts()["accuracy"]) > 0.97


def test_the_font_has_ten_different_digits() -> None:
    shapes = glyphs()
    assert shapes.shape == (10, 7, 5)
    assert len({shape.tobytes() for shape in shapes}) == 10
    assert set(FONT) == set(".# \n")


def test_the_first_card_is_a_network_of_twelve_nodes() -> None:
    model = onnx.load(cards()[0].path())
    ops = [node.op_type for node in model.graph.node]
    assert ops == ["Pad", "Conv", "BatchNormalization", "MaxPool", "Transpose", "Relu", "Transpose", "MaxPool", "Conv",
                   "PRelu", "Activations", "Classifier"]
    assert [function.name for function in model.functions] == ops[-2:]
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"


def test_the_gradients_of_the_first_card_s_head_are_those_of_its_loss() -> None:
    rng = np.random.default_rng(3)
    weights = {name: array.astype(np.float64) for name, array in digit_head.first_weights(16, rng).items()}
    felt, digits = rng.uniform(0, 2, (20, 16)), rng.integers(0, 10, 20)

    def loss() -> float:
        share = softmax(digit_head.scores(weights, felt))
        return float(-np.log(share[np.arange(len(digits)), digits]).mean())

    for name, gradient in digit_head.gradients(weights, felt, digits).items():
        place, step = np.unravel_index(np.abs(gradient).argmax(), gradient.shape), 1e-4
        weights[name][place] += step
        above = loss()
        weights[name][place] -= 2 * step
        below = loss()
        weights[name][place] += step
        assert gradient[place] == pytest.approx((above - below) / (2 * step), rel=1e-3)


def test_a_card_is_built_once(empty_cache: Path) -> None:
    entry = card("ring")
    path = entry.path()
    assert path.is_relative_to(empty_cache)
    written = path.stat().st_mtime_ns
    assert entry.path().stat().st_mtime_ns == written
    assert {other.suffix for other in path.parent.iterdir()} == {".onnx", ".npz", ".json"}


@pytest.mark.parametrize("name", NAMES)
def test_the_samples_bind_every_input(name: str) -> None:
    graph = onnx.load(card(name).path()).graph
    dims = {entry.name: [dim.dim_value for dim in entry.type.tensor_type.shape.dim] for entry in graph.input}
    for entry, given in card(name).shapes().items():
        assert len(dims[entry]) == len(given)
        assert all(fixed in (0, bound) for fixed, bound in zip(dims[entry], given, strict=True))
    assert card(name).shapes().keys() == dims.keys()


def test_a_failing_builder_leaves_no_file(empty_cache: Path) -> None:
    broken = Card("broken", "t", "s", 1, "seeded", "a", "tests.gallery.test_cards:raises")
    with pytest.raises(ZeroDivisionError):
        broken.path()
    assert list(empty_cache.rglob("broken*")) == []


def raises() -> None:
    raise ZeroDivisionError


def test_files_of_older_builders_are_removed(empty_cache: Path) -> None:
    entry = card("ring")
    stale = entry.path().with_name("ring-000000000000.onnx")
    stale.write_bytes(b"old")
    neighbour = stale.with_name("other-000000000000.onnx")
    neighbour.write_bytes(b"kept")
    entry.path().unlink()
    entry.path()
    assert not stale.exists()
    assert neighbour.exists()


def _path_of_ring(_: int) -> str:
    return str(card("ring").path())


def test_processes_that_ask_at_once_get_one_whole_file(empty_cache: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        found = set(pool.map(_path_of_ring, range(3)))
    assert len(found) == 1
    onnx.checker.check_model(onnx.load(found.pop()))



def test_an_unknown_card_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(KeyError, match="transformer_block"):
        card("resnet5000")
