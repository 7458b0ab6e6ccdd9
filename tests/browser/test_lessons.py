"""The lessons door opens a lesson: it shows its steps on a real compilation, asks, and reveals when asked to."""

from collections.abc import Iterator

import pytest

from tests.browser.conftest import READY, Tab, compiled
from tests.browser.working import working

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with working(tmp_path_factory.mktemp("store")) as (address, _):
        yield address


@pytest.mark.parametrize("tab", ["light", "dark"], indirect=True, ids=["light", "dark"])
def test_a_lesson_is_taught(tab: Tab) -> None:
    tab.open(None)
    tab.page.locator("[data-lesson='1_fold_batchnorm']").click()
    tab.until("window.glowviz.state().lesson !== null", 60)
    compiled(tab)
    panel = tab.page.locator(".lesson")
    panel.get_by_text("step 1 of 9").wait_for()
    panel.get_by_role("radio").nth(2).click()
    panel.get_by_role("button", name="Reveal").click()
    assert "144 products" in panel.inner_text()
    assert panel.locator(".option.wrong").count() == 1
    assert panel.locator(".option.right").inner_text().startswith("A")
    tab.page.keyboard.press("PageDown")
    tab.until("window.glowviz.state().selected === 'conv1'")
    tab.page.keyboard.press("PageDown")
    tab.until("window.glowviz.state().selected === 'norm1'")
    for _ in range(2):
        panel.get_by_role("button", name="Next").click()
    tab.until("window.glowviz.state().at > 0")
    assert tab.page.locator(".pass.shown").get_attribute("data-pass") == "fold_batchnorm"
    assert tab.state("tab") == "changes"
    tab.page.locator(".change-group").first.wait_for()
    tab.picture(f"lesson-{tab.page.evaluate('document.documentElement.dataset.theme')}")
    link = tab.page.url
    tab.page.goto("about:blank")
    tab.page.goto(link)
    tab.page.wait_for_selector(READY)
    panel.get_by_text("step 5 of 9").wait_for()
    panel.get_by_role("button", name="Leave the lesson").click()
    assert panel.is_hidden()
    assert tab.state("lesson") is None


def test_lessons_that_cannot_be_read_say_so(tab: Tab) -> None:
    parts = {"what": "bad.yaml lacks a field.", "where": "", "expected": "a title", "remedy": "Correct it."}
    for state, answer in (("loading", lambda route: None),
                          ("failed", lambda route: route.fulfill(status=400, json={"problem": parts})),
                          ("empty", lambda route: route.fulfill(json={"lessons": []}))):
        tab.page.unroute_all(behavior="ignoreErrors")
        tab.page.route("**/api/lessons", answer)
        tab.page.goto(tab.address)
        tab.page.wait_for_selector(f".lesson-list .state.{state}")
    tab.faults[:] = [fault for fault in tab.faults if "400" not in fault]
