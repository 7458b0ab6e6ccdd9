"""The page can be used without a mouse, without colour and without sight: axe-core finds nothing serious in any view.

axe-core (MPL-2.0) comes with the test dependency axe-playwright-python and is never part of what is installed or sent.
"""

import pytest

from tests.app.fake_recording import BIG, BROKEN, RECORDING
from tests.browser.conftest import Tab

pytestmark = pytest.mark.browser
VIEWS = {
    "start": (None, {}),
    "opened": (RECORDING, {}),
    "life and assembly": (RECORDING, {"selected": "r1", "tab": "life", "dock": "llvm", "dock2": "asm", "at": 3}),
    "changes and text": (RECORDING, {"tab": "changes", "dock": "text", "at": 3, "colour": "Change"}),
    "why and program": (RECORDING, {"selected": "r1", "tab": "why", "dock": "program", "dock2": "memory", "at": 3}),
    "values and kernels": (RECORDING, {"selected": "r0", "tab": "values", "dock": "kernels", "colour": "Time"}),
    "problems": (BROKEN, {"dock": "problems"}),
}
OVERLAYS = {"search": "/", "commands": ">", "keys": "?", "editor": "e"}


def violations(tab: Tab) -> list[str]:
    """Return what axe-core calls serious or critical, each with the elements it is about."""
    Axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-core is not installed").Axe
    found = Axe().run(tab.page, options={"resultTypes": ["violations"]}).response["violations"]
    return [f"{one['id']}: {one['help']} " + " | ".join(node["html"][:160] for node in one["nodes"][:4])
            for one in found if one["impact"] in ("serious", "critical")]


@pytest.mark.parametrize("tab", ["light", "dark"], indirect=True)
def test_axe_finds_nothing_serious_in_any_view(tab: Tab) -> None:
    found = []
    for name, (recording, view) in VIEWS.items():
        tab.open(recording, **view)
        tab.page.wait_for_timeout(250)
        found += [f"{name}: {one}" for one in violations(tab)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("tab", ["light", "dark"], indirect=True)
def test_axe_finds_nothing_serious_in_any_overlay(tab: Tab) -> None:
    found = []
    tab.open()
    for name, key in OVERLAYS.items():
        tab.page.keyboard.press(key)
        tab.page.wait_for_selector(".overlay")
        tab.page.wait_for_timeout(150)
        found += [f"{name}: {one}" for one in violations(tab)]
        tab.page.keyboard.press("Escape")
    assert not found, "\n".join(found)


def test_every_element_of_a_step_is_reached_by_keys_alone(tab: Tab) -> None:
    """T2 and T5 without a mouse: walk the graph, open the kernels, choose the slowest, read its node."""
    tab.open()
    tab.page.locator(".graph-canvas").focus()
    tab.page.keyboard.press("ArrowDown")
    tab.page.wait_for_selector(".life")
    tab.page.keyboard.press("/")
    tab.page.keyboard.type(">kernels")
    tab.until("document.querySelector('.overlay').getAttribute('aria-label') === 'Commands'")
    tab.page.keyboard.press("Enter")
    tab.page.wait_for_selector(".table-row:not(.table-head)")
    tab.page.keyboard.press("Escape")
    assert tab.state("selected") is None
    tab.page.locator(".virtual.table").focus()
    tab.page.keyboard.press("ArrowDown")
    tab.page.wait_for_selector(".table-row.chosen[aria-current=true]")
    assert tab.state("selected") is not None
    tab.page.locator(".pass.shown").focus()
    tab.page.keyboard.press("ArrowDown")
    assert tab.state("at") == 1
    tab.page.locator(".pass.shown").focus()
    tab.page.keyboard.press("Shift+ArrowDown")
    assert (tab.state("at"), tab.state("base")) == (1, 2)


def test_the_picture_is_also_a_tree_with_the_same_selection(tab: Tab) -> None:
    tab.open()
    rows = tab.page.locator("[role=tree] [role=treeitem]")
    assert rows.count() == len(tab.page.evaluate("window.glowviz.graph.nodes()"))
    assert tab.page.locator("[role=tree]").bounding_box()["width"] <= 1  # type: ignore[index]  # out of the way
    tab.page.keyboard.press("t")
    assert tab.page.locator("[role=tree]").bounding_box()["width"] > 200  # type: ignore[index]  # in sight when focused
    for _ in range(2):
        tab.page.keyboard.press("ArrowDown")
    assert tab.state("selected") == "r2"
    assert rows.nth(2).get_attribute("aria-selected") == "true"
    tab.until("document.querySelector('[aria-live=polite]').textContent.includes('Relu')")
    assert ", from BatchNormalization, to MaxPool" in tab.page.inner_text("[aria-live=polite]")
    tab.page.keyboard.press("End")
    assert tab.state("selected") == "r15"
    tab.picture("outline")
    tab.page.keyboard.press("Escape")
    assert tab.page.evaluate("document.activeElement.className") == "graph-canvas"


def test_the_tree_unfolds_and_folds_blocks(tab: Tab) -> None:
    tab.open()
    tab.page.keyboard.press("t")
    row = tab.page.locator("[role=treeitem][id$='-4']")
    for _ in range(4):
        tab.page.keyboard.press("ArrowDown")
    assert (tab.state("selected"), row.get_attribute("aria-expanded")) == ("fold:res2.4", "false")
    tab.page.keyboard.press("ArrowRight")
    tab.until("window.glowviz.graph.nodes().some(node => node.kind === 2)")
    assert tab.page.locator("[role=treeitem][aria-selected=true]").get_attribute("aria-expanded") == "true"
    tab.page.keyboard.press("ArrowLeft")
    tab.until("window.glowviz.graph.nodes().every(node => node.kind !== 2)")
    assert (tab.state("opened"), tab.state("selected")) == ([], "fold:res2.4")


def test_the_tree_of_a_large_picture_has_only_the_rows_near_the_current_one(tab: Tab) -> None:
    tab.open(BIG)
    assert tab.page.locator("[role=treeitem]").count() <= 130
    tab.page.keyboard.press("t")
    tab.page.keyboard.press("End")
    current = tab.page.locator(".outline-row.current")
    assert current.get_attribute("aria-posinset") == current.get_attribute("aria-setsize") == "10000"


@pytest.mark.parametrize(("width", "height", "projector"), [(1280, 720, False), (1400, 900, True)])
def test_nothing_is_cut_off_on_small_screens_and_projectors(tab: Tab, width: int, height: int, projector: bool) -> None:
    tab.page.set_viewport_size({"width": width, "height": height})
    tab.open(selected="r1", tab="life", at=3, dock="kernels")
    size = "getComputedStyle(document.querySelector('.life')).fontSize"
    plain = float(tab.page.evaluate(size).removesuffix("px"))
    if projector:
        tab.page.keyboard.press("J")
        assert float(tab.page.evaluate(size).removesuffix("px")) == pytest.approx(1.5 * plain)
        tab.until("window.glowviz.graph.camera().k === 1.5")
    shown = tab.page.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]")
    assert shown[0] <= width
    assert shown[1] <= height
    for part in ("bar", "numbers", "ledger", "canvas", "inspector", "dock", "status"):
        box = tab.page.locator(f"#region-{part}").bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= width + 1
        assert box["y"] + box["height"] <= height + 1
    tab.picture(f"eyes-{width}{'-projector' if projector else ''}")


def test_no_view_breaks_the_policy_or_asks_anybody_else(tab: Tab) -> None:
    """The fixture fails on console errors (a policy's violation is one) and on requests to the outside."""
    broken: list[str] = []
    tab.page.expose_function("noteViolation", lambda directive: broken.append(directive))
    tab.page.add_init_script(
        "document.addEventListener('securitypolicyviolation', (event) => noteViolation(event.violatedDirective))")
    for recording, view in VIEWS.values():
        tab.open(recording, **view)
        tab.page.wait_for_timeout(100)
    for key in OVERLAYS.values():
        tab.page.keyboard.press(key)
        tab.page.keyboard.press("Escape")
    tab.page.keyboard.press("g")
    tab.page.wait_for_timeout(500)
    assert not broken
