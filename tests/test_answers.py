"""The trained models answer rightly in onnxruntime, so the same feeds and readings can judge our own code."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from examples.answers import faces, file_types
from tests.answers import (
    Arrays,
    cls_answer,
    cls_feed,
    det_answer,
    det_feed,
    magika_files,
    rebound,
    text_line,
)
from tests.models import find_trained, package_file, picture, trained

pytestmark = pytest.mark.models


def peer(model: Path | bytes, feed: Arrays) -> Arrays:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    run = onnxruntime.InferenceSession(model if isinstance(model, bytes) else str(model), options)
    outputs = [np.asarray(output) for output in run.run(None, feed)]
    return dict(zip([value.name for value in run.get_outputs()], outputs, strict=True))


def test_magika_names_eight_kinds_of_file() -> None:
    model = trained("magika")
    for kind, content in magika_files().items():
        named, probability = file_types.answer(peer(model, file_types.feed(content)))
        assert named == kind
        assert probability > 0.5


def test_centerface_finds_the_one_face() -> None:
    model = rebound(trained("centerface"), {"input.1": (1, 3, 512, 512)})
    found = faces.answer(peer(model, faces.feed(picture("astronaut"))))
    assert len(found) == 1
    face = found[0]
    assert face["score"] == pytest.approx(0.929, abs=0.01)
    assert (face["x"], face["y"]) == (pytest.approx(226, abs=3), pytest.approx(118, abs=3))
    assert (face["width"], face["height"]) == (pytest.approx(88, abs=4), pytest.approx(120, abs=4))


def test_centerface_finds_no_face_in_text() -> None:
    model = rebound(trained("centerface"), {"input.1": (1, 3, 160, 384)})
    assert faces.answer(peer(model, faces.feed(picture("page")[:160]))) == []


def test_det_finds_the_seven_rows_of_text_and_cls_knows_which_way_is_up() -> None:
    page = picture("page")
    rows = det_answer(peer(trained("ppocr_det"), det_feed(page)))
    assert len(rows) == 7
    for row in rows:
        line = text_line(page, row)
        for turned, truth in ((line, "upright"), (line[::-1, ::-1], "upside down")):
            assert cls_answer(peer(trained("ppocr_cls"), cls_feed(turned)))[0] == truth


def test_det_finds_no_text_in_nothing() -> None:
    blank = np.full((191, 384, 3), 255, np.uint8)
    assert det_answer(peer(trained("ppocr_det"), det_feed(blank))) == []


def test_what_is_missing_is_none_or_a_skip_that_says_how_to_get_it() -> None:
    assert package_file("no_such_package", "x") is None
    assert package_file("numpy", "no/such/file") is None
    assert find_trained("magika") == trained("magika")
    with pytest.raises(pytest.skip.Exception, match="make models"):
        picture("no_such_picture")
