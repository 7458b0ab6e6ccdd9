"""Kernels on one screen: table, roofline and canvas share a selection; onnxruntime's times stand beside ours."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.conftest import Tab
from tests.browser.working import one_run, open_run

pytestmark = pytest.mark.browser
TABLE = ".kernel-table .virtual .table-row"


@pytest.fixture(scope="module")
def link(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with one_run(tmp_path_factory.mktemp("kernels")) as link:
        yield link


@pytest.fixture
def address() -> str:
    return "http://127.0.0.1"


def opened(tab: Tab, link: str) -> None:
    open_run(tab, f"{link}&dock=kernels")
    tab.page.wait_for_selector(TABLE)
    tab.page.wait_for_selector("canvas.roofline")


@pytest.mark.parametrize("tab", ["light", "dark"], indirect=True, ids=["light", "dark"])
def test_a_dot_a_row_and_a_box_are_one_selection(tab: Tab, link: str) -> None:
    opened(tab, link)
    chart = tab.page.locator("canvas.roofline")
    assert int(chart.get_attribute("data-dots") or 0) >= 3
    assert "Measured peaks:" in (chart.get_attribute("aria-label") or "")
    chart.focus()
    tab.page.keyboard.press("ArrowRight")
    tab.until("window.glowviz.state().selected !== null")
    chosen = tab.state("selected")
    tab.page.wait_for_selector(f"{TABLE}.chosen")
    facts = tab.page.inner_text(".kernel-facts")
    assert "FLOP on" in facts
    tab.picture(f"roofline-{tab.page.evaluate('document.documentElement.dataset.theme')}")
    tab.page.locator(f"{TABLE}:not(.chosen)").first.click()
    tab.until(f"window.glowviz.state().selected !== {json.dumps(chosen)}")


def test_the_view_says_whether_the_timing_was_alone(tab: Tab, link: str) -> None:
    opened(tab, link)
    said = tab.page.evaluate(
        "async () => (await (await fetch(`/api/r/${window.glowviz.state().recording}/kernels`)).json()).alone")
    assert said["alone"] == (tab.page.locator(".not-alone").count() == 0)
    head = tab.page.inner_text(".code-head")
    assert "sum of instructions" in head
    assert "n=20" in head


def test_onnxruntimes_profile_from_a_file(tab: Tab, link: str, tmp_path: Path) -> None:
    opened(tab, link)
    profile = tmp_path / "profile.json"
    nodes = [("c1_nchwc", "Conv"), ("c2_nchwc", "Conv"), ("c3", "Conv"), ("mystery", "Gelu")]
    profile.write_text(json.dumps([
        {"cat": "Node", "name": f"{name}_kernel_time", "dur": took, "args": {"op_name": op}}
        for name, op in nodes for took in (20, 22, 21)]))
    with tab.page.expect_file_chooser() as choosing:
        tab.page.get_by_role("button", name="Its profile…").click()
    choosing.value.set_files(profile)
    tab.page.wait_for_selector(".with-peer", timeout=30_000)
    tab.page.get_by_text("from a file").wait_for()
    assert "mystery (Gelu)" in tab.page.inner_text(".kernel-facts")
    cells = tab.page.locator(f"{TABLE} .k-peer_ms").all_inner_texts()
    assert any("µs" in cell and "×" in cell for cell in cells), cells
    wrong = tmp_path / "other.json"
    wrong.write_text("{}")
    with tab.page.expect_file_chooser() as choosing:
        tab.page.get_by_role("button", name="Its profile…").click()
    choosing.value.set_files(wrong)
    tab.page.get_by_text("is no profile of onnxruntime").wait_for(timeout=30_000)


def test_onnxruntime_is_timed_here(tab: Tab, link: str) -> None:
    pytest.importorskip("onnxruntime")
    opened(tab, link)
    tab.page.get_by_role("button", name="Beside onnxruntime").or_(
        tab.page.get_by_role("button", name="Measure again")).click()
    tab.page.get_by_text("× ours").first.wait_for(timeout=60_000)
    tab.until("document.querySelector('.peer .chip') === null", 60)
    assert "onnxruntime" in tab.page.inner_text(".table-head")
    tab.picture("beside-onnxruntime")
