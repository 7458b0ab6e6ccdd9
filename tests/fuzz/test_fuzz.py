"""A sample of random models runs right; whole campaigns are `make fuzz N=2000`."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import HealthCheck, given, settings

from tests.fuzz.generator import Made, grown, models
from tests.fuzz.oracle import judge
from tests.fuzz.reduce import EXEMPTIONS, exempt, reduced, told
from tests.fuzz.registry import OPERATORS

CHUNKS, MODELS_A_CHUNK = 20, 9


def hold(made: Made) -> None:
    """Right, or refused by name; or what an exemption names."""
    verdict = judge(made)
    if verdict.kind in ("same", "refused", "invalid"):
        return
    small = reduced(made, verdict.kind, "cpu")
    text = judge(small).text
    assert exempt(small, text), f"{text}\n{told(small)}"


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_random_models(chunk: int) -> None:
    for number in range(MODELS_A_CHUNK):
        hold(grown(Random(f"test {chunk} {number}").randint))


@settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(models())
def test_random_models_that_shrink(made: Made) -> None:
    hold(made)


def test_most_models_are_valid_and_few_are_refused() -> None:
    kinds = [judge(grown(Random(f"kinds {number}").randint)).kind for number in range(25)]
    assert kinds.count("invalid") <= 1
    assert kinds.count("refused") <= 1


def test_the_generator_knows_many_operators() -> None:
    assert len(OPERATORS) >= 130


def test_exemptions_are_few_and_say_why() -> None:
    assert len(EXEMPTIONS) <= 5
    assert all(e.keys() >= {"ops", "text", "why"} for e in EXEMPTIONS)
