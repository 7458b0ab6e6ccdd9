"""The tokens hold what the screen design promises: readable contrast and one colour for one meaning."""

import re

import pytest

from glowviz.app import theme


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_text_is_readable_on_every_surface(mode: str) -> None:
    for text, ground, least in [("ink", "panel", 14), ("muted", "panel", 4.5), ("accent", "panel", 4.5)]:
        colours = [getattr(theme.SURFACES[name], mode) for name in (text, ground)]
        assert contrast(*colours) >= least, (mode, text, ground)
    for family in theme.FAMILIES:
        assert contrast(getattr(theme.INK, mode), getattr(family.tint, mode)) >= 7, family.key


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_bars_and_badges_stand_out(mode: str) -> None:
    canvas, panel = (getattr(theme.SURFACES[name], mode) for name in ("canvas", "panel"))
    for family in theme.FAMILIES:
        assert contrast(getattr(family.bar, mode), canvas) >= 3.3, family.key
    for mark in theme.CHANGES[1:]:
        assert contrast(panel, getattr(mark.shade, mode)) >= 4.4, mark.key


def test_every_variable_is_defined_for_both_themes() -> None:
    text = theme.css()
    light, dark = (text.split(f":root[data-theme={mode}]")[1].split("}")[0] for mode in ("light", "dark"))
    names = [set(re.findall(r"--([\w-]+):", block)) for block in (light, dark)]
    assert names[0] == names[1]
    assert {"ink", "family-7-bar", "change-4", "heat-high"} <= names[0]


def test_families_follow_the_op() -> None:
    wanted = {
        "Conv": "linear",
        "Conv+Relu": "linear",
        "Relu+Add": "elementwise",
        "Softmax": "norm",
        "MaxPool": "pool",
        "Cast": "quant",
        "Reshape": "shape",
        "LSTM": "control",
        "Opaque": "host",
        "conv": "linear",
        "Gelu": "elementwise",
    }
    assert {op: theme.family_of(op) for op in wanted} == wanted
