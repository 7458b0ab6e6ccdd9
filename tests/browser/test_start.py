"""The first page opens models: from the gallery, by path, and as streamed uploads that ask for free dimensions."""

from pathlib import Path

import pytest

from tests.app.fake_recording import RECORDING
from tests.browser.conftest import Tab

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("tab", ["light", "dark"], indirect=True, ids=["light", "dark"])
def test_first_page_has_three_doors_and_the_gallery(tab: Tab) -> None:
    tab.open(None)
    tab.page.wait_for_selector(".gallery-card")
    assert tab.page.locator(".door").count() == 3
    tab.picture(f"start-{tab.page.evaluate('document.documentElement.dataset.theme')}")
    tab.page.locator(".gallery-card").first.click()
    tab.until("window.glowviz.state().at === 1")
    assert tab.state("recording") == RECORDING
    tab.page.wait_for_selector(".coach")
    tab.page.keyboard.press("Escape")
    assert tab.page.locator(".coach").count() == 0


def test_a_wrong_path_is_answered_on_the_page(tab: Tab) -> None:
    tab.open(None)
    tab.page.fill(".by-path input", "/no/such/model.onnx")
    tab.page.click(".by-path button")
    tab.page.wait_for_selector(".start-note .failed")
    assert "There is no file /no/such/model.onnx" in tab.page.inner_text(".start-note")
    tab.faults[:] = [fault for fault in tab.faults if "404" not in fault]


def test_upload_streams_and_asks_for_free_dimensions(tab: Tab, tmp_path: Path) -> None:
    model, data = tmp_path / "free.onnx", tmp_path / "free.data"
    model.write_bytes(b"x" * 3_000_000)
    data.write_bytes(b"y" * 1000)
    tab.open(None)
    tab.page.set_input_files("input[type=file]", [model, data])
    tab.page.wait_for_selector(".shapes")
    assert "position 1" in tab.page.inner_text(".shapes")
    tab.faults[:] = [fault for fault in tab.faults if "422" not in fault]
    tab.picture("dimensions")


def test_editor_follows_the_text(tab: Tab) -> None:
    tab.open(None)
    tab.page.locator(".door").get_by_role("button", name="Write a graph").click()
    tab.until("document.querySelector('.result').textContent.startsWith('GRAPH')")
    assert "cse merged" in tab.page.inner_text(".reasons")
    tab.picture("editor")
