"""Trained models, compiled by us to machine code, answer what a person can check: files, text, notes, faces, speech."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from PIL import Image, ImageDraw, ImageFont, features

from examples.answers import faces, file_types, notes, read_text, sentences, speech
from examples.answers.packages import Arrays, Run, compiled, model_file
from tests.answers import magika_files
from tests.models import package_file, picture, trained

pytestmark = pytest.mark.models

PAGE = (
    "Region-based segmentation", "Let us first determine markers of the coins and the",
    "background. These markers are pixels that we can label", "unambiguously as either object or background. Here,",
    "the markers are found at the two extreme parts of the", "histogram of grey values:",
)  # fmt: skip
"""The six lines of prose on scikit-image's page.png."""


def peer(path: Path) -> Run:
    """onnxruntime's way to run a file."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(str(path), options)
    names = [output.name for output in session.get_outputs()]

    def run(inputs: Arrays) -> Arrays:
        return {name: np.asarray(array) for name, array in zip(names, session.run(None, inputs), strict=True)}

    return run


def test_eight_kinds_of_file_are_named() -> None:
    run = compiled(trained("magika"), file_types.SHAPES)
    answers = {kind: file_types.answer(run(file_types.feed(content))) for kind, content in magika_files().items()}
    assert {kind: named for kind, (named, _) in answers.items()} == {kind: kind for kind in answers}
    assert min(probability for _, probability in answers.values()) > 0.5


def test_the_one_face_is_found() -> None:
    inputs = faces.feed(picture("astronaut"))
    (face,) = faces.answer(compiled(trained("centerface"), {"input.1": inputs["input.1"].shape})(inputs))
    wanted = {"x": 226, "y": 118, "width": 88, "height": 120}
    assert {name: face[name] for name in wanted} == pytest.approx(wanted, abs=4)
    assert face["score"] == pytest.approx(0.929, abs=0.005)


def test_the_printed_page_is_read_letter_by_letter() -> None:
    """The reader is trained on Chinese, where words have no spaces between them, so it leaves some out."""
    trained("ppocr_rec")
    found = read_text.Reader(picture("page")).text(picture("page"))
    assert [line.replace(" ", "") for line in found[:6]] == [line.replace(" ", "") for line in PAGE]
    assert sum(line in PAGE for line in found) >= 1, "one even with all its spaces"
    assert len(found) == 7, "the seventh is code, cut off by the edge"


@pytest.mark.slow
def test_the_page_is_read_as_onnxruntime_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = read_text.Reader(picture("page")).text(picture("page"))
    monkeypatch.setattr(read_text, "compiled", lambda path, shapes: peer(path))
    assert read_text.Reader(picture("page")).text(picture("page")) == ours


def drawn(*lines: str) -> np.ndarray:
    """Lines of black letters on white: RGB uint8[h × w × 3]."""
    image = Image.new("RGB", (480, 32 + 48 * len(lines)), "white")
    font = ImageFont.load_default(32)
    for k, line in enumerate(lines):
        ImageDraw.Draw(image).text((24, 20 + 48 * k), line, "black", font)
    return np.asarray(image)


@pytest.mark.skipif(not features.check("freetype2"), reason="without freetype Pillow draws letters of one size only")
@pytest.mark.parametrize("turned", [pytest.param(False, marks=pytest.mark.slow), True])
def test_clear_lines_are_read_exactly_also_upside_down(turned: bool) -> None:
    trained("ppocr_rec")
    lines = ("Graph Lowering Compiler", "(arXiv:1805.00907)")
    image = drawn(*lines)
    image = np.ascontiguousarray(image[::-1, ::-1]) if turned else image
    assert read_text.Reader(image).text(image) == list(reversed(lines) if turned else lines)


@pytest.mark.parametrize(("hertz", "midi"), [(261.63, 60), (440.0, 69)])
def test_a_note_is_heard(hertz: float, midi: int) -> None:
    note, sure = notes.answer(compiled(trained("basic_pitch"))(notes.feed(notes.tone(hertz))))
    assert note == midi
    assert sure > 0.3


@pytest.mark.parametrize("name", speech.FILES)
def test_speech_is_told_from_silence_and_from_a_tone(name: str) -> None:
    trained(name)
    run, rate = speech.detector(name), name not in speech.WITHOUT_RATE
    t = np.arange(speech.RATE) / speech.RATE
    said = speech.probabilities(run, speech.voice(), rate)
    assert said.max() > 0.9
    assert said.mean() > 0.3
    for sound in (np.zeros(speech.RATE), 0.3 * np.sin(2 * np.pi * 440 * t)):
        assert speech.probabilities(run, sound.astype(np.float32), rate).max() < 0.2


def test_the_state_that_is_carried_on_matters_and_is_onnxruntimes() -> None:
    path, sound = trained("silero"), speech.voice("aiu")
    run = speech.detector()
    ours, theirs = (speech.probabilities(one, sound) for one in (run, peer(path)))
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
    stateless = [speech.probabilities(run, sound[k : k + speech.FRAME])
                 for k in range(0, len(sound) - speech.FRAME, speech.FRAME)]
    assert np.abs(np.concatenate(stateless) - ours[: len(stateless)]).max() > 0.1


@pytest.mark.filterwarnings("ignore::glowviz.compiler.specialize.CompiledAgain")
def test_sentences_of_one_meaning_are_alike() -> None:
    path = trained("minilm")
    pairs = [("the cat sat on the mat", "the dog sat on the mat"), ("this movie was great", "that was a good film"),
             ("a man is playing the guitar", "a woman is playing music")]
    said = [sentence for pair in pairs for sentence in pair]
    shapes = dict.fromkeys(("input_ids", "attention_mask", "token_type_ids"), (1, 8))
    cosines = sentences.alike(compiled(path, shapes), said)
    np.testing.assert_allclose(cosines, sentences.alike(peer(path), said), atol=1e-4)
    np.fill_diagonal(cosines, -1)
    assert cosines.argmax(axis=1).tolist() == [1, 0, 3, 2, 5, 4]


def test_the_scripts_print_what_they_find(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trained("magika")
    sound = tmp_path / "a.wav"
    with wave.open(str(sound), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(notes.RATE)
        file.writeframes((notes.tone(440, 1.9) * 20000).astype("<i2").tobytes())
    file_types.main([str(sound), __file__])
    notes.main([str(sound)])
    faces.main([str(package_file("skimage", "data/astronaut.png"))])
    told = capsys.readouterr().out
    assert ": wav (" in told
    assert ": python (" in told
    assert "MIDI 69" in told
    assert "x 226, y 118" in told


def test_a_missing_model_says_how_to_get_it() -> None:
    with pytest.raises(FileNotFoundError, match="make models"):
        model_file("no_such_package", "x.onnx")
