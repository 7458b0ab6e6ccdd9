"""Box widths follow the bundled font: measured against widths that a browser reported."""

import pytest

from glowviz.app.text_width import text_width


def test_an_empty_text_has_no_width() -> None:
    assert text_width("", 12) == 0


def test_bold_is_wider_and_width_grows_with_size() -> None:
    assert text_width("Bottleneck", 12, bold=True) > text_width("Bottleneck", 12)
    assert text_width("Bottleneck", 24) == pytest.approx(2 * text_width("Bottleneck", 12))
    assert text_width("iii", 12) < text_width("mmm", 12)
