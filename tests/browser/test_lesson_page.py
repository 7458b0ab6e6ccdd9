"""A lesson's one file is taught from disk: no request, stepping, cards, refusals, the map, and the votes."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser

from glowviz.app.lesson_page import lesson_page
from glowviz.app.lessons import lesson
from tests.browser.conftest import READY, Tab, watched

pytestmark = pytest.mark.browser
LARGEST = 3 << 20  # bytes
Teach = Callable[..., Tab]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lessons")


def taught(browser: Browser, folder: Path, name: str, theme: Literal["light", "dark"]) -> Tab:
    """A tab that shows the built lesson from disk; whatever it requests beyond that file is a fault."""
    path = folder / f"{name}.html"
    if not path.exists():
        path.write_text(lesson_page(lesson(name)), encoding="utf-8")
        assert path.stat().st_size <= LARGEST
    context = browser.new_context(viewport={"width": 1400, "height": 900}, color_scheme=theme, reduced_motion="reduce",
                                  offline=True)
    tab = watched(context.new_page(), path.as_uri())
    tab.page.goto(path.as_uri())
    tab.page.wait_for_selector(READY)
    return tab


@pytest.fixture
def teach(browser: Browser, folder: Path) -> Iterator[Teach]:
    tabs: list[Tab] = []

    def begin(name: str, theme: Literal["light", "dark"] = "light") -> Tab:
        tabs.append(taught(browser, folder, name, theme))
        return tabs[-1]

    yield begin
    for tab in tabs:
        tab.page.context.close()
        assert not tab.faults


def follow(tab: Tab, steps: int) -> None:
    """Go through a lesson, revealing every answer; nothing may be missing from the file."""
    panel = tab.page.locator(".lesson")
    for step in range(1, steps + 1):
        panel.get_by_text(f"step {step} of {steps}").wait_for()
        if panel.get_by_role("radiogroup").count():
            panel.get_by_role("radio").first.click()
            panel.get_by_role("button", name="Reveal").click()
            assert panel.locator(".option.right").count() == 1
        tab.page.wait_for_timeout(60)
        assert tab.page.locator(".state.failed").count() == 0
        if step < steps:
            tab.page.keyboard.press("PageDown")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_memory_planning_is_taught_from_disk(teach: Teach, theme: Literal["light", "dark"]) -> None:
    tab = teach("3_memory_planning", theme)
    follow(tab, 9)
    for _ in range(2):
        tab.page.keyboard.press("PageUp")
    tab.page.locator(".memory-canvas").wait_for()
    foot = "document.querySelector('.lesson').getBoundingClientRect().bottom"
    assert tab.page.evaluate(f"{foot} <= document.querySelector('#dock').getBoundingClientRect().top")
    table = {row.get_attribute("data-scheme"): row.inner_text() for row in tab.page.locator("[data-scheme]").all()}
    assert "224 KiB" in table["first fit"]
    assert "160 KiB" in table["ours"]
    assert "160 KiB" in table["bound"]
    tab.page.locator("[data-scheme=bound]").scroll_into_view_if_needed()
    tab.picture(f"lesson-memory-{theme}")
    slider = tab.page.get_by_label("Statement of the schedule")
    slider.focus()
    for _ in range(4):
        slider.press("ArrowRight")
    tab.until("window.glowviz.state().selected === 'narrow'")  # born at statement 3
    assert "96 KiB alive" in tab.page.locator(".scrubber output").inner_text()
    assert "narrow" in tab.page.locator(".scrubber output").inner_text()
    tab.picture(f"memory-scrubbed-{theme}")


def test_the_first_two_lessons_are_taught_from_disk(teach: Teach) -> None:
    follow(teach("1_fold_batchnorm"), 8)
    tab = teach("2_lowering_and_fusion")
    follow(tab, 9)
    tab.page.keyboard.press("PageUp")
    tab.page.get_by_text("has 2 users").first.wait_for()
    tab.picture("lesson-fusion")


def test_the_wrong_pass_is_found_by_reading(teach: Teach) -> None:
    tab = teach("4_find_the_wrong_pass")
    follow(tab, 6)
    at = next(step for step in range(tab.page.evaluate("window.glowviz.session().passes.rows.name.length"))
              if tab.page.evaluate("i => window.glowviz.session().passes.rows.name[i]", step) == "sink_elementwise")
    errors = []
    for state in (at - 1, at):
        tab.page.evaluate("at => window.glowviz.update({at})", state)
        tab.until(f"window.glowviz.state().at === {state}")
        tab.page.wait_for_timeout(80)
        errors.append(tab.page.locator(".number", has_text="Error").inner_text())
    assert errors[0] != errors[1]
    tab.picture("lesson-wrong-pass")


def test_the_projector_scales_everything_by_one_setting(teach: Teach) -> None:
    tab = teach("2_lowering_and_fusion")
    sizes = """['.lesson .caption', '.number', '.pass', '.dock .pane-tab', '.lesson kbd']
        .map(one => parseFloat(getComputedStyle(document.querySelector(one)).fontSize))"""
    before = tab.page.evaluate(sizes)
    tab.page.keyboard.press("J")
    tab.until("window.glowviz.state().projector")
    assert tab.page.evaluate(sizes) == pytest.approx([1.5 * one for one in before])
    tab.picture("lesson-projector")
