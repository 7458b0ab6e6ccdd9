"""Every row of the ledger is a sentence that needs no knowledge of the rules' names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import glowviz
from glowviz.app.rule_words import WORDS, rule_text
from glowviz.app.views.ledger import ledger
from glowviz.gallery import card

COMPILER = Path(glowviz.__file__).parent / "compiler"


@pytest.fixture(scope="module")
def sentences(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    path = tmp_path_factory.mktemp("words") / "digit.glowrec"
    glowviz.compile(card("digit").path(), target="cpu-avx2", record=path)
    return ledger(glowviz.open_recording(path))["rows"]["sentence"]


def test_no_row_speaks_of_rules(sentences: list[str]) -> None:
    assert len(sentences) > 40
    for text in sentences:
        assert text[0].isupper() or text[0].isdigit(), text
        assert text.endswith("."), text
        assert not re.search(r"\b[Rr]ule\b|[a-z]_[a-z]+_[a-z]", text), text


def test_rows_without_operators_say_what_went(sentences: list[str]) -> None:
    assert any(re.fullmatch(r"\d+ constants that nobody reads went\.", text) for text in sentences)
    assert "Transpose → a constant." in sentences
    assert any(text.startswith("9 buffers die earlier, after their last use.") for text in sentences)


def test_every_program_rule_has_words() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in (COMPILER / "program_passes").glob("*.py"))
    constants: dict[str, str] = {}
    for names, values in re.findall(r'^([A-Z]+(?:, [A-Z]+)*) = ("\w+"(?:, "\w+")*)$', source, re.MULTILINE):
        constants.update(zip(names.split(", "), values.replace('"', "").split(", "), strict=True))
    used = set(re.findall(r'\bfired\("(\w+)"', source))
    used |= {constants[name] for name in re.findall(r"\bfired\(([A-Z]+)\b", source) if name in constants}
    assert {"dead_store", "work_in_place", "concat_in_place"} <= used
    assert used <= WORDS.keys()


def test_one_and_several() -> None:
    assert rule_text("unused_constant", 1, "") == "one constant that nobody reads went"
    assert rule_text("unused_constant", 1234, "") == "1,234 constants that nobody reads went"


def test_an_unknown_rule_is_told_by_its_reason() -> None:
    assert rule_text("of_a_plug_in", 1, "%x is wide.") == "%x is wide"
    assert rule_text("of_a_plug_in", 3, "%x is wide") == "%x is wide (and 2 more alike)"
