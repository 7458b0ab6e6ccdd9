"""The ledger's facts, what-if runs with options, both columns side by side, and stepping rewrite by rewrite."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.browser.conftest import Tab
from tests.browser.working import one_run, open_run

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def link(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with one_run(tmp_path_factory.mktemp("passes")) as link:
        yield link


@pytest.fixture
def address() -> str:
    return "http://127.0.0.1"


def test_a_row_says_what_its_pass_did_in_numbers(tab: Tab, link: str) -> None:
    open_run(tab, link)
    row = tab.page.locator(".pass[data-pass=fold_batchnorm]").first
    assert row.locator(".fired").inner_text() == "2 of 3"
    row.click()
    facts = tab.page.locator(".pass.shown .fact").all_inner_texts()
    for words in ("nodes", "FLOP", "moved", "error", "s", "tried"):  # the last but one is the time
        assert any(words in fact for fact in facts), (words, facts)


def test_rewrites_of_one_rule_are_stepped_through(tab: Tab, link: str) -> None:
    open_run(tab, link)
    tab.page.locator(".pass[data-pass=fold_batchnorm]").first.click()
    tab.page.locator(".change-group", has_text="next by conv_bn").first.get_by_text("next by conv_bn").click()
    tab.until("window.glowviz.state().selected === 'n1'")
    tab.page.locator(".stepper").get_by_text("1 of 2").wait_for()
    assert "conv_bn at n1:" in tab.page.inner_text(".stepper")
    tab.page.keyboard.press("w")
    tab.until("window.glowviz.state().selected === 'n2'")
    tab.page.locator(".stepper").get_by_text("2 of 2").wait_for()
    tab.picture("stepper")
    tab.page.keyboard.press("W")
    tab.until("window.glowviz.state().selected === 'n1'")


def test_rewrites_that_touch_a_value_lead_over_the_passes(tab: Tab, link: str) -> None:
    open_run(tab, link)
    tab.click("n2")
    seen = []
    for _ in range(3):
        tab.page.keyboard.press("x")
        tab.page.wait_for_timeout(250)
        assert tab.state("selected") == "n2"
        seen.append(tab.state("at"))
    assert seen == sorted(seen)
    assert len(set(seen)) > 1, seen
    life = tab.page.evaluate(
        "async () => (await (await fetch(`/api/r/${window.glowviz.state().recording}/life/99`.replace('99', "
        "window.glowviz.state().at) + '?name=n2')).json()).touched")
    assert set(seen) <= set(life)


def test_an_option_of_a_pass_is_tried_and_stands_beside(tab: Tab, link: str) -> None:
    open_run(tab, link)
    tab.page.keyboard.press(">")
    tab.page.keyboard.type("Compile again")
    tab.page.keyboard.press("Enter")
    tab.page.get_by_text("Options of passes", exact=True).click()
    tab.page.get_by_label("fuse max_nodes").fill("1")
    tab.picture("settings-options")
    tab.page.get_by_role("button", name="Compile", exact=True).click()
    tab.until("document.querySelector('.compare tr[data-figure=Time] + tr.difference')", 60)
    assert "fuse max_nodes=1" in tab.page.inner_text(".compare")
    fused = tab.page.locator(".pass[data-pass=fuse]").first
    fused.locator(".other").wait_for()
    mine, theirs = fused.locator(".fired").inner_text(), fused.locator(".other").inner_text()
    assert mine != theirs
    assert "of" in theirs
    same = tab.page.locator(".pass[data-pass=fold_batchnorm] .other").first
    assert same.inner_text() == "="


def test_two_rows_are_compared_by_shift(tab: Tab, link: str) -> None:
    open_run(tab, link)
    tab.page.locator(".pass[data-pass=fuse]").first.click()
    at = tab.state("at")
    tab.page.locator(".pass[data-pass=bind_shapes]").first.click(modifiers=["Shift"])
    tab.until("window.glowviz.state().base !== null")
    assert tab.state("at") == at
    tab.until("window.glowviz.graph.nodes().some((node) => ['merged', 'removed'].includes(node.state))")
    assert "against 1" in tab.page.inner_text(".canvas-bar")
