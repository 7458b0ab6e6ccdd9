"""Any two runs of a server stand side by side: ledger in two columns, union on the canvas, memory, graphs, kernels."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.browser.conftest import READY, Tab, compiled
from tests.browser.working import network, working

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str, str]]:
    """The server's address, a run with all passes, and one without folding of BatchNorm and another order of days."""
    folder = tmp_path_factory.mktemp("compare")
    with working(folder) as (address, workshop):
        one = workshop.open_path(network(folder))["recording"]
        two = workshop.compile({"recording": one, "disable": ["fold_batchnorm"]})["recording"]
        yield address, one, two


@pytest.fixture
def address(runs: tuple[str, str, str]) -> str:
    return runs[0]


def states(tab: Tab) -> dict[str, str]:
    return {node["id"]: node["state"] for node in tab.page.evaluate("window.glowviz.graph.nodes()")}


def compare(tab: Tab, here: str, there: str, at: str) -> None:
    """Open one run after the first pass of this name, and choose the other in the Compare tab."""
    for run in (there, here):
        tab.open(run, fold="none")
        compiled(tab)
    tab.page.get_by_role("tab", name="Compare").click()
    tab.page.locator(f"[data-run='{there}']").click()
    tab.page.wait_for_selector(".compare")
    row = tab.page.locator(f".pass[data-pass={at}]").first
    tab.page.evaluate("at => window.glowviz.update({at})", int(row.get_attribute("data-at") or -1))
    tab.until("[...document.querySelectorAll('.pass .other.different')].length > 0")
    tab.page.wait_for_timeout(300)


@pytest.mark.parametrize("tab", ["light", "dark"], indirect=True, ids=["light", "dark"])
def test_the_union_of_two_runs_is_marked(tab: Tab, runs: tuple[str, str, str]) -> None:
    _, whole, without = runs
    compare(tab, whole, without, "fold_batchnorm")
    tab.until("window.glowviz.graph.nodes().some((node) => node.state === 'merged')")
    found = states(tab)
    # what this run folded is merged, and what the other never touched is the same
    assert "merged" in {found.get(name, "") for name in ("c1", "n1")}
    assert found["t3"] == "same"
    assert tab.state("union") is True
    assert "against the other run" in tab.page.inner_text(".canvas-bar")
    tab.picture(f"union-{tab.page.evaluate('document.documentElement.dataset.theme')}")
    row = tab.page.locator(".pass[data-pass=fold_batchnorm] .other").first
    assert row.inner_text() == "off"
    tab.page.get_by_role("button", name="This run alone on the canvas").click()
    tab.until("window.glowviz.state().union === false")
    tab.page.go_back()
    tab.until("window.glowviz.state().union === true")


def test_the_other_way_round_they_are_added(tab: Tab, runs: tuple[str, str, str]) -> None:
    _, whole, without = runs
    compare(tab, without, whole, "fold_batchnorm")
    tab.until("window.glowviz.graph.nodes().some((node) => ['added', 'changed'].includes(node.state))")
    told = tab.page.inner_text(".compare")
    for words in ("What changed", "Time", "Passes that did something else", "Last graphs", "Switched off"):
        assert words in told or tab.page.get_by_text(words).count(), words
    memory = tab.page.locator("details[data-compared=memory]")
    memory.locator("summary").click()
    assert "Weights" in (memory.text_content() or "")
    graph = tab.page.locator("section[data-compared=graph] p[data-state]").first
    assert any(kind in graph.inner_text() for kind in ("added", "changed", "removed", "merged"))
    graph.locator("button").first.click()
    tab.until("window.glowviz.state().selected !== null")


def test_a_link_brings_the_union_back(tab: Tab, runs: tuple[str, str, str]) -> None:
    _, whole, without = runs
    compare(tab, whole, without, "fold_batchnorm")
    before = states(tab)
    tab.page.goto(tab.page.url)
    tab.page.wait_for_selector(READY)
    tab.until("window.glowviz.graph.nodes().some((node) => node.state === 'merged')")
    assert states(tab) == before
