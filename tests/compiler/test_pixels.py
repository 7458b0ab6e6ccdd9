"""A picture becomes the numbers that its recipe says, in the order of the input's dimensions."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from glowviz.compiler import pixels
from glowviz.compiler.pixels import Picture, Recipe
from glowviz.compiler.problem import Problem
from glowviz.compiler.types import Type


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """4 × 2 pixels: left half red, right half blue."""
    array = np.zeros((2, 4, 3), np.uint8)
    array[:, :2, 0], array[:, 2:, 2] = 255, 51
    Image.fromarray(array).save(tmp_path / "two.png")
    return tmp_path / "two.png"


def test_channels_stand_where_the_input_has_them(picture: Path) -> None:
    plain = Recipe.of({"scale": "0..1"})
    first = Picture(picture, recipe=plain).array(Type("f32", (1, 3, 2, 4)))
    last = Picture(picture, recipe=plain).array(Type("f32", (2, 2, 4, 3)))
    np.testing.assert_allclose(first[0, :, 0, 0], [1, 0, 0])
    np.testing.assert_allclose(first[0, :, 1, 3], [0, 0, 0.2], rtol=1e-6)
    np.testing.assert_array_equal(last[1], first[0].transpose(1, 2, 0))


def test_bytes_stay_bytes_and_bgr_turns_channels(picture: Path) -> None:
    made, told = Picture(picture, "two.png", Recipe.of({"colours": "BGR"})).made(Type("u8", (1, 2, 4, 3)))
    assert made.dtype == np.uint8
    assert made[0, 0, 0].tolist() == [0, 0, 255]
    assert told == "two.png: 4×2 → 4×2 (same size), blue, green, red, x as it is"


def test_three_float_channels_are_scaled_as_imagenet(picture: Path) -> None:
    made, told = Picture(picture, "two.png").made(Type("f32", (1, 3, 2, 2)))
    assert made[0, 0, 0, 0] == pytest.approx((1 - 0.485) / 0.229, rel=1e-5)
    assert told == ("two.png: 4×2 → 2×2 (cut to the middle), red, green, blue, "
                    "(x / 255 − mean) / deviation of ImageNet")


@pytest.mark.parametrize(("fit", "corner"), [("stretch", 1.0), ("border", 0.0)])
def test_what_does_not_fit_is_stretched_or_has_a_border(picture: Path, fit: str, corner: float) -> None:
    made = Picture(picture, recipe=Recipe.of({"fit": fit, "scale": "0..1"})).array(Type("f32", (3, 4, 4)))
    assert made[0, 0, 0] == pytest.approx(corner)


def test_grey_light_and_paper(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((2, 2, 4), np.uint8)).save(tmp_path / "clear.png")
    shown = Picture(tmp_path / "clear.png").array(Type("f32", (2, 2)))
    assert shown.min() == 1.0  # what is clear is white
    inverted = Picture(tmp_path / "clear.png", recipe=Recipe.of({"light": "inverted"})).made(Type("f32", (1, 1, 2, 2)))
    assert inverted[0].max() == 0.0
    assert "dark and light exchanged" in inverted[1]


def test_what_is_no_picture_is_refused(tmp_path: Path, picture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(Problem, match="no picture that can be read"):
        Picture(tmp_path / "text.png").array(Type("f32", (1, 3, 2, 2)))
    with pytest.raises(Problem, match="holds no picture"):
        Picture(picture).array(Type("i64", (1, 3, 2, 2)))
    with pytest.raises(Problem, match="stretch"):
        Recipe.of({"fit": "squash"})
    monkeypatch.setattr(pixels, "MOST_PIXELS", 7)
    with pytest.raises(Problem, match="4 × 2 pixels"):
        Picture(picture).array(Type("f32", (1, 3, 2, 2)))
