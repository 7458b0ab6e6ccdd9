"""Every view has an empty, a loading and an error state, and says in words what to do; each is photographed."""

from dataclasses import dataclass

import pytest

from tests.app.fake_recording import BIG, EMPTY, RECORDING
from tests.browser.conftest import Tab

pytestmark = pytest.mark.browser
PROBLEM = {"problem": {"what": "The disk is gone.", "where": "here", "expected": "a disk", "remedy": "Plug it in."}}


@dataclass(frozen=True)
class View:
    """A view: where it is drawn, which payload it asks for, and the state that shows it."""

    name: str
    place: str
    payload: str
    dock: str | None = None
    tab: str | None = None

    @property
    def fields(self) -> dict[str, object]:
        other = BIG if self.tab == "compare" else None
        return {"dock": self.dock, "tab": self.tab, "at": 3, "selected": "r0" if self.tab else None, "against": other}


INSPECTOR = [View(name, ".tab-body", name, tab=name) for name in ("overview", "life", "values", "why", "changes",
                                                                 "compare")]
DOCK = [View(name, ".dock-side:first-child", payload, dock=name) for name, payload in (
    ("text", "text"), ("program", "program"), ("llvm", "kernels"), ("asm", "kernels"), ("memory", "memory"),
    ("kernels", "kernels"), ("problems", "problems"))]
VIEWS = [View("canvas", ".cover", "scene"), View("ledger", "#ledger", "passes"), View("numbers", "#numbers", "numbers"),
         *INSPECTOR, *DOCK]
SILENT = {"numbers", "overview", "ledger", "text", "program", "memory"}  # these have something to say of any model


def go(tab: Tab, view: View, recording: str = RECORDING) -> None:
    query = "&".join(f"{key}={value}" for key, value in view.fields.items() if value is not None)
    tab.page.goto(f"{tab.address}/?recording={recording}&{query}")


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_loading_is_shown_while_the_answer_is_awaited(tab: Tab, view: View) -> None:
    tab.page.route(f"**/api/r/*/{view.payload}*", lambda route: None)
    tab.page.route(f"**/api/r/*/{view.payload}/**", lambda route: None)
    go(tab, view)
    tab.page.wait_for_selector(f"{view.place} .state.loading")
    tab.picture(f"loading-{view.name}")


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_an_error_is_told_in_place_and_can_be_tried_again(tab: Tab, view: View) -> None:
    for pattern in (f"**/api/r/*/{view.payload}*", f"**/api/r/*/{view.payload}/**"):
        tab.page.route(pattern, lambda route: route.fulfill(status=500, json=PROBLEM))
    go(tab, view)
    tab.page.wait_for_selector(f"{view.place} .state.failed")
    text = tab.page.inner_text(f"{view.place} .state.failed")
    assert "The disk is gone." in text
    assert "Plug it in." in text
    tab.picture(f"error-{view.name}")
    tab.page.unroute_all()
    again = tab.page.locator(f"{view.place} .state.failed button")
    if again.count():
        again.click()
        tab.until(f"!document.querySelector('{view.place} .state.failed')")
    tab.faults[:] = [fault for fault in tab.faults if "500" not in fault]


@pytest.mark.parametrize("view", [view for view in VIEWS if view.name not in SILENT], ids=lambda view: view.name)
def test_nothing_to_show_is_said(tab: Tab, view: View) -> None:
    fields = {**view.fields, "selected": None, "at": 0, "against": None}
    tab.open(EMPTY, **fields)
    tab.page.wait_for_selector(f"{view.place} .state.empty")
    assert len(tab.page.inner_text(f"{view.place} .state.empty")) > 10
    tab.picture(f"empty-{view.name}")


def test_the_gallery_waits_fails_and_may_be_empty(tab: Tab) -> None:
    answers = [("loading", lambda route: None), ("failed", lambda route: route.fulfill(status=500, json=PROBLEM)),
               ("empty", lambda route: route.fulfill(json={"cards": []}))]
    for state, answer in answers:
        tab.page.unroute_all(behavior="ignoreErrors")
        tab.page.route("**/api/gallery", answer)
        tab.page.goto(tab.address)
        tab.page.wait_for_selector(f".gallery .state.{state}")
        tab.picture(f"gallery-{state}")
    tab.faults[:] = [fault for fault in tab.faults if "500" not in fault]
