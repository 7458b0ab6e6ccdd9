"""A permalink carries the whole view, camera included; the browser's Back and Forward undo and redo every change."""

import pytest

from tests.browser.conftest import READY, Tab

pytestmark = pytest.mark.browser
CAMERA = "window.glowviz.graph.camera()"


def drag(tab: Tab, dx: int, dy: int) -> None:
    stage = tab.page.locator(".graph-canvas").bounding_box()
    assert stage is not None
    x, y = stage["x"] + 40, stage["y"] + 300
    tab.page.mouse.move(x, y)
    tab.page.mouse.down()
    tab.page.mouse.move(x + dx, y + dy, steps=4)
    tab.page.mouse.up()


def test_a_permalink_restores_the_camera_to_the_pixel(tab: Tab) -> None:
    tab.open(at=3, selected="r2", dock="memory")
    tab.page.keyboard.press("+")
    drag(tab, 60, -45)
    tab.until("window.glowviz.state().camera !== null")
    before = {node["id"]: node for node in tab.page.evaluate("window.glowviz.graph.nodes()")}
    tab.page.get_by_role("button", name="Share").click()
    link = tab.page.evaluate("navigator.clipboard.readText()")
    tab.page.goto("about:blank")
    tab.page.goto(link)
    tab.page.wait_for_selector(READY)
    tab.until(f"{CAMERA}.k > 1")
    assert (tab.state("at"), tab.state("selected"), tab.state("dock")) == (3, "r2", "memory")
    for node in tab.page.evaluate("window.glowviz.graph.nodes()"):
        for key in ("x", "y", "w"):
            assert node[key] == pytest.approx(before[node["id"]][key], abs=1)


def test_back_and_forward_undo_and_redo_every_change_of_view(tab: Tab) -> None:
    tab.open()
    tab.page.keyboard.press("n")
    tab.page.evaluate("window.glowviz.update({selected: 'r2'})")
    tab.page.keyboard.press("d")
    drag(tab, 50, 30)
    tab.until("window.glowviz.state().camera !== null")
    seen = []
    for _ in range(4):
        tab.page.go_back()
        seen.append((tab.state("camera"), tab.state("dock"), tab.state("selected"), tab.state("at")))
    assert seen == [(None, "text", "r2", 1), (None, None, "r2", 1), (None, None, None, 1), (None, None, None, 0)]
    for _ in range(4):
        tab.page.go_forward()
    tab.until("window.glowviz.state().camera !== null")
    assert (tab.state("dock"), tab.state("selected"), tab.state("at")) == ("text", "r2", 1)


def test_the_undo_key_goes_back_but_never_leaves_the_page(tab: Tab) -> None:
    tab.open()
    tab.page.keyboard.press("n")
    assert tab.state("at") == 1
    tab.page.keyboard.press("u")
    tab.until("window.glowviz.state().at === 0")
    tab.page.keyboard.press("u")
    tab.page.keyboard.press("U")
    tab.until("window.glowviz.state().at === 1")
    assert tab.page.url.startswith(tab.address)
