"""The page shows a recording as the screen design says, and one selection runs through all panes."""

import pytest

from glowviz.app.text_width import text_width
from tests.app.fake_recording import BIG, BROKEN, EMPTY, HUGE
from tests.browser.conftest import Tab

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("tab", ["light", "dark"], indirect=True, ids=["light", "dark"])
def test_resnet_opens_as_sixteen_boxes_at_full_size(tab: Tab) -> None:
    tab.open()
    nodes = tab.page.evaluate("window.glowviz.graph.nodes()")
    stage = tab.page.locator(".graph-canvas").bounding_box()
    assert stage is not None
    assert len(nodes) == 16
    assert {round(node["h"]) for node in nodes} == {28}
    assert all(stage["y"] <= node["y"] and node["y"] + node["h"] <= stage["y"] + stage["height"] for node in nodes)
    assert tab.state("dock") is None
    assert tab.page.locator(".number").count() == 5
    tab.picture(f"opened-{tab.page.evaluate('document.documentElement.dataset.theme')}")


def test_a_click_selects_everywhere_and_escape_lets_go(tab: Tab) -> None:
    tab.open(dock="text")
    tab.click("r1")
    tab.page.wait_for_selector(".life")
    assert tab.state("selected") == "r1"
    assert "fold_batchnorm merged n8" in tab.page.inner_text(".life")
    assert "%r1:" in tab.page.inner_text(".code-line.chosen")
    assert tab.page.locator(".pass .dot").count() == 2
    assert "selected=r1" in tab.page.url
    tab.page.keyboard.press("Escape")
    assert tab.state("selected") is None


def test_passes_are_stepped_with_keys_and_skip_the_quiet_ones(tab: Tab) -> None:
    tab.open()
    seen = []
    for _ in range(3):
        tab.page.keyboard.press("n")
        seen.append(tab.state("at"))
    tab.page.keyboard.press("p")
    assert [*seen, tab.state("at")] == [1, 3, 5, 3]
    assert tab.state("colour") == "Change"
    tab.until("window.glowviz.graph.nodes().some(node => node.state === 'removed')")
    assert {node["state"] for node in tab.page.evaluate("window.glowviz.graph.nodes()")} == {
        "same", "added", "removed", "changed", "merged"}
    tab.page.keyboard.press(".")
    assert tab.state("selected") == "r0"
    tab.picture("changes")


def test_arrow_keys_walk_along_edges(tab: Tab) -> None:
    tab.open()
    tab.page.locator(".graph-canvas").focus()
    walked = []
    for key in ("ArrowDown", "ArrowDown", "ArrowDown", "ArrowUp"):
        tab.page.keyboard.press(key)
        walked.append(tab.state("selected"))
    assert walked == ["r0", "r1", "r2", "r1"]


def test_a_block_unfolds_and_folds(tab: Tab) -> None:
    tab.open()
    name = "fold:res2.4"
    tab.click(name, times=2)
    tab.until("window.glowviz.graph.nodes().some(node => node.kind === 2)")
    assert tab.state("opened") == [name]
    tab.page.get_by_text("Fold 1 again").click()
    assert tab.state("opened") == []


def test_search_finds_what_is_gone(tab: Tab) -> None:
    tab.open()
    tab.page.keyboard.press("/")
    tab.page.keyboard.type("r12")
    tab.page.wait_for_selector(".choice-row")
    assert "gone in fuse (pass 5)" in tab.page.inner_text(".choice-row")
    tab.page.keyboard.press("Enter")
    assert (tab.state("selected"), tab.state("at")) == ("r12", 0)


def test_command_palette_runs_a_command(tab: Tab) -> None:
    tab.open()
    tab.page.keyboard.press("Control+k")
    tab.page.keyboard.type("dark")
    tab.page.keyboard.press("Enter")
    assert tab.page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_llvm_and_assembly_point_at_each_other(tab: Tab) -> None:
    tab.open(dock="llvm", dock2="asm")
    tab.page.get_by_text("vmovups").click()
    tab.until("document.querySelectorAll('.code-line.chosen').length === 2")
    assert "load" in tab.page.inner_text(".dock-side:first-child .code-line.chosen")


def test_memory_map_draws_ten_thousand_buffers_in_time(tab: Tab) -> None:
    tab.open(BIG, dock="memory")
    tab.page.wait_for_selector(".memory-canvas[data-milliseconds]")
    assert float(tab.page.get_attribute(".memory-canvas", "data-milliseconds") or "inf") <= 300
    place = tab.page.locator(".memory-canvas").bounding_box()
    assert place is not None
    tab.page.mouse.click(place["x"] + 66, place["y"] + place["height"] - 30)
    assert str(tab.state("selected")).startswith("r")


def test_every_pane_has_an_empty_state(tab: Tab) -> None:
    tab.open(EMPTY)
    assert "no nodes" in tab.page.inner_text(".cover")
    sentences = {"life": "Click a box", "values": "Click a box", "why": "Click a box", "changes": "imported"}
    for key, words in sentences.items():
        tab.page.evaluate("tab => window.glowviz.update({tab})", key)
        assert words in tab.page.inner_text(".tab-body")
    for key in ("kernels", "problems", "llvm"):
        tab.page.evaluate("dock => window.glowviz.update({dock, dock2: null})", key)
        tab.page.wait_for_selector(".dock-side .state.empty")
    tab.picture("empty")


def test_a_failed_pass_says_what_to_do(tab: Tab) -> None:
    tab.open(BROKEN, dock="problems")
    tab.page.wait_for_selector(".problem")
    assert tab.page.locator(".pass.failed").count() == 1
    assert tab.page.locator(".pass.unreached").count() == 1
    closed = tab.page.locator(".group-head[aria-expanded=false]")  # a stage that nothing came to says nothing more
    assert closed.inner_text().startswith("Schedule")
    text = tab.page.inner_text(".problem")
    assert "128 values" in text
    assert "Skip this pass and go on" in text
    tab.picture("failed")


def test_an_unknown_recording_is_refused_in_words(tab: Tab) -> None:
    tab.page.goto(f"{tab.address}/?recording={'f' * 32}")
    tab.page.wait_for_selector(".cover .state.failed")
    assert "not on this server" in tab.page.inner_text(".cover")
    tab.faults[:] = [fault for fault in tab.faults if "404" not in fault]


def test_view_survives_the_permalink(tab: Tab) -> None:
    tab.open(at=3, selected="r2", colour="Time", dock="memory", tab="why", opened='["fold:res2.4"]')
    wanted = ["at", "selected", "colour", "dock", "tab", "opened"]
    assert [tab.state(key) for key in wanted] == [3, "r2", "Time", "memory", "why", ["fold:res2.4"]]
    tab.page.keyboard.press("d")
    tab.page.reload()
    tab.page.wait_for_selector("html[data-ready=true]")
    assert tab.state("dock") is None
    assert tab.state("selected") == "r2"


def test_sides_hide_and_the_canvas_keeps_its_width(tab: Tab) -> None:
    tab.open()
    tab.page.keyboard.press("[")
    assert tab.page.locator("#region-ledger").bounding_box()["width"] == 0  # type: ignore[index]
    tab.page.keyboard.press("[")
    bar = tab.page.locator("#splitter-left").bounding_box()
    assert bar is not None
    tab.page.mouse.move(bar["x"], 400)
    tab.page.mouse.down()
    tab.page.mouse.move(1200, 400, steps=4)
    tab.page.mouse.up()
    canvas = tab.page.locator("#region-canvas").bounding_box()
    assert canvas is not None
    assert canvas["width"] >= 480


@pytest.mark.parametrize(("recording", "boxes", "limit"), [(BIG, 10_000, 5), (HUGE, 50_000, 16)], ids=["10k", "50k"])
def test_moving_a_large_graph_is_cheap(tab: Tab, recording: str, boxes: int, limit: float) -> None:
    tab.open(recording)
    tab.page.keyboard.press("f")
    tab.page.wait_for_timeout(300)
    tab.page.evaluate("window.glowviz.graph.reset()")
    tab.page.mouse.move(700, 400)
    tab.page.mouse.down()
    for step in range(30):
        tab.page.mouse.move(700 + 4 * step, 400 + 3 * step)
    tab.page.mouse.up()
    stats = tab.page.evaluate("window.glowviz.graph.stats()")
    assert stats["boxes"] == boxes
    assert stats["median"] <= limit
    assert tab.page.evaluate("document.querySelectorAll('*').length") <= 3000


def test_text_is_as_wide_as_the_server_thinks(tab: Tab) -> None:
    tab.open()
    for text in ("Bottleneck with projection", "gpu_0/res2_0_branch2b", "64×56×56", "Conv 1x64"):
        measured = tab.page.evaluate(
            "text => { const c = document.createElement('canvas').getContext('2d'); c.font = '600 12px Inter';"
            " return c.measureText(text).width; }", text)
        assert text_width(text, 12, bold=True) == pytest.approx(measured, rel=0.06)
