"""Values that go wrong are found without a selection: the first beyond an editable tolerance, and where NaN begins."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import glowviz
import glowviz.compiler.pipeline  # registers ops and passes
from glowviz.compiler.text import parse_graph
from glowviz.compiler.trial_run import TrialRun
from tests.app.test_hunt import TEXT
from tests.browser.conftest import READY, Tab, open_path
from tests.browser.working import working

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with working(tmp_path_factory.mktemp("store")) as (address, _):
        yield address


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("run") / "wrong.glowrec"
    x = np.array([1, 4, 9, -1], np.float32)
    glowviz.compile(parse_graph(TEXT), target="interpreter", record=path, measured_runs=1,
                    trial=TrialRun({"x": x}, {"a": np.abs(x) * 1.25}))
    return path


@pytest.mark.parametrize("tab", ["light", "dark"], indirect=True, ids=["light", "dark"])
def test_the_first_bad_value_and_the_first_nan(tab: Tab, recording: Path) -> None:
    open_path(tab, recording)
    tab.page.wait_for_selector(READY)
    tab.page.evaluate("window.glowviz.update({tab: 'values', colour: 'Error'})")
    wrong = tab.page.locator("[data-found=error]")
    wrong.get_by_text("First:").wait_for()
    assert wrong.locator("p button").inner_text() == "a"
    assert "b" in tab.page.locator("[data-found=NaN] tbody").inner_text()
    tab.picture(f"values-{tab.page.evaluate('document.documentElement.dataset.theme')}")
    tab.page.locator(".hunt").get_by_label("Tolerance").fill("0.3")
    tab.page.locator(".hunt").get_by_label("Tolerance").press("Enter")
    wrong.get_by_text("are within it").wait_for()
    tab.page.locator("[data-found=NaN] button").first.click()
    tab.until("window.glowviz.state().selected === 'b'")
    tab.page.locator(".histogram").first.wait_for()
