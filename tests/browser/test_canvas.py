"""The canvas: frames and breadcrumb, programs in the order in which they run, and budgets of large pictures."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from time import process_time

import pytest
from playwright.sync_api import Browser

import glowviz
from glowviz.app.recordings import JobProgress, RecordingReader
from glowviz.app.server import create_app, make_web_server
from glowviz.compiler.recording.writer import Recorder, Step
from glowviz.compiler.text import parse_graph
from glowviz.gallery import card
from tests.app.fake_recording import BIG, HUGE, fake_services
from tests.browser.conftest import Tab, watched

pytestmark = pytest.mark.browser
SMALL, DEEP, DEEPER = ("0" * 30 + number for number in ("a1", "a2", "a3"))
MIB = 1 << 20


def layers(count: int) -> str:
    """Attention and feed-forward layers of 15 nodes, in scopes of their own."""
    lines, value = [], "x"
    for i in range(count):
        made = {}

        def add(name: str, op: str, *operands: str, shape: str = "1x8x16", i: int = i, made: dict = made) -> str:
            scope = "attn" if name in "ln q k v kt qk soft ctx proj add" else "mlp"
            made[name] = f"l{i}_{name}"
            reads = ", ".join(f"%{made.get(one, one)}" for one in operands)
            attributes = {"Transpose": " {perm=[0, 2, 1]}", "Softmax": " {axis=-1}"}.get(op, "")
            lines.append(f'  %{made[name]}: f32[{shape}] = {op}({reads}){attributes}  as "{name}"'
                         f'  from "/model/layers.{i}/{scope}/{name}"')
            return made[name]

        add("ln", "Relu", value)
        for name in "qkv":
            add(name, "MatMul", "ln", "w")
        add("kt", "Transpose", "k", shape="1x16x8")
        add("qk", "MatMul", "q", "kt", shape="1x8x8")
        add("soft", "Softmax", "qk", shape="1x8x8")
        add("ctx", "MatMul", "soft", "v")
        add("proj", "MatMul", "ctx", "w")
        add("add", "Add", value, "proj")
        for name, op, *operands in (("ln2", "Relu", "add"), ("fc1", "MatMul", "ln2", "w"), ("act", "Sigmoid", "fc1"),
                                    ("fc2", "MatMul", "act", "w")):
            add(name, op, *operands)
        value = add("add2", "Add", "add", "fc2")
    head = ["graph @tfm(%x: f32[1x8x16]) {", "  const %w: f32[16x16] = normal(seed=1)"]
    return "\n".join([*head, *lines, f'  return "y"=%{value}', "}"])


def imported(text: str, path: Path) -> Path:
    recorder = Recorder(path, {"disabled": [], "model": "made up"})
    recorder.step(Step("import", "Import", "graph"), graph=parse_graph(text))
    recorder.finish()
    return path


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Recordings by id; the largest is made by the test that wants it."""
    folder = tmp_path_factory.mktemp("recordings")
    small = folder / "small.glowrec"
    glowviz.compile(str(card("everything").path()), shapes=card("everything").shapes(), record=small, measured_runs=1)
    return {SMALL: small, DEEP: imported(layers(667), folder / "deep.glowrec"), DEEPER: folder / "deeper.glowrec"}


@pytest.fixture(scope="module")
def real_address(tmp_path_factory: pytest.TempPathFactory, paths: dict[str, Path]) -> Iterator[str]:
    """The address of a server that answers from the recordings of `paths`."""
    readers: dict[str, RecordingReader] = {}

    def open_reader(name: str) -> RecordingReader:
        if name not in readers:
            readers[name] = RecordingReader(paths[name], {"title": paths[name].stem}, lambda: JobProgress("done"))
        return readers[name]

    services = replace(fake_services(tmp_path_factory.mktemp("store")), open_reader=open_reader)
    server = make_web_server(create_app(services), "127.0.0.1", 0)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def real(browser: Browser, real_address: str) -> Iterator[Tab]:
    context = browser.new_context(viewport={"width": 1400, "height": 900}, reduced_motion="reduce")
    opened = watched(context.new_page(), real_address)
    yield opened
    context.close()
    assert not opened.faults


def nodes(tab: Tab) -> dict[str, dict]:
    return {node["id"]: node for node in tab.page.evaluate("window.glowviz.graph.nodes()")}


def test_a_block_becomes_a_frame_and_what_is_above_stays_on_screen(real: Tab) -> None:
    real.open(SMALL)
    before = nodes(real)
    name = next(name for name, node in before.items() if node["kind"] == 1)
    real.click(name, times=2)
    real.until("window.glowviz.graph.nodes().some(node => node.kind === 2)")
    after = nodes(real)
    frame = after[name]
    assert frame["kind"] == 2
    stage = real.page.locator(".graph-canvas").bounding_box()
    assert stage is not None
    assert frame["y"] + frame["h"] <= stage["y"] + stage["height"]
    assert real.page.locator("[role=treeitem][aria-level='2']").count() == 5  # the outline is nested too
    for other, node in before.items():
        if node["y"] < before[name]["y"]:
            assert after[other]["x"] - frame["x"] - frame["w"] / 2 == pytest.approx(
                node["x"] - before[name]["x"] - before[name]["w"] / 2, abs=1.5)
            assert after[other]["y"] - frame["y"] == pytest.approx(node["y"] - before[name]["y"], abs=1.5)
    real.picture("frame")
    real.page.mouse.click(frame["x"] + 14, frame["y"] + 12)  # the fold mark
    real.until("window.glowviz.graph.nodes().every(node => node.kind !== 2)")
    assert real.state("opened") == []


def test_the_breadcrumb_says_where_the_selection_is_and_leads_up(real: Tab) -> None:
    real.open(DEEP, fold="scopes")
    for title in ("layers.0 … layers.22", "layers.0", "attn"):
        name = next(node["id"] for node in nodes(real).values() if node["label"] == title)
        real.page.evaluate("name => window.glowviz.update({opened: [...window.glowviz.state().opened, name]})", name)
        real.until(f"window.glowviz.graph.nodes().some(node => node.kind === 2 && node.label === '{title}')")
    real.page.evaluate("window.glowviz.graph.select('l0_proj')")
    trail = real.page.locator(".crumbs button")
    assert trail.all_inner_texts() == ["deep", "layers.0 … layers.22", "layers.0", "attn", "proj"]
    real.picture("breadcrumb")
    trail.nth(2).click()
    assert str(real.state("selected")).endswith("layers.0")
    real.page.locator(".graph-canvas").focus()
    real.page.keyboard.press("Enter")
    real.until("window.glowviz.graph.nodes().filter(node => node.kind === 2).length === 1")


def test_a_program_state_shows_instructions_and_one_selection_runs_through(real: Tab) -> None:
    real.open(SMALL)
    rows = real.page.evaluate("window.glowviz.session().passes.rows")
    at = rows["snapshot"][rows["name"].index("plan_memory")]
    real.page.evaluate("at => window.glowviz.update({at, fold: 'none', colour: 'Change', dock: 'program'})", at)
    real.until("window.glowviz.graph.nodes().some(node => node.id.startsWith('step:'))")
    drawn = nodes(real)
    steps = [name for name, node in drawn.items() if name.startswith("step:")]
    assert {drawn[name]["state"] for name in steps} == {"same", "changed"}
    real.picture("program")
    name = next(name for name in steps if drawn[name]["op"] in ("conv", "max_pool") and drawn[name]["y"] > 200)
    real.click(name)
    assert real.state("selected") == name.removeprefix("step:")
    real.page.wait_for_selector(".life")
    real.page.keyboard.press("ArrowDown")
    assert real.state("selected") != name.removeprefix("step:")


def test_nothing_is_drawn_that_is_not_in_sight(tab: Tab) -> None:
    tab.open(BIG)
    drawn = tab.page.evaluate("window.glowviz.graph.stats().drawn")
    assert 0 < drawn <= 700  # a screen and its margin of ten thousand
    tab.page.keyboard.press("f")
    tab.until("window.glowviz.graph.stats().drawn === 10000")


def test_a_step_of_zoom_is_cheap(tab: Tab) -> None:
    """CPU time of the page's thread: 5 ms a step of the wheel at ten thousand boxes, asserted with a margin of 2."""
    tab.open(BIG)
    tab.page.mouse.move(650, 450)
    meter = tab.page.context.new_cdp_session(tab.page)
    meter.send("Performance.enable", {"timeDomain": "threadTicks"})

    def scripted() -> float:
        found = meter.send("Performance.getMetrics")["metrics"]
        return next(one["value"] for one in found if one["name"] == "ScriptDuration")

    begun, steps = scripted(), 0
    for direction in (60, -60):
        for _ in range(20):
            tab.page.mouse.wheel(0, direction)
            tab.page.wait_for_timeout(16)
            steps += 1
    assert (scripted() - begun) / steps <= 0.010


def test_fifty_thousand_boxes_stay_small_in_memory(tab: Tab) -> None:
    tab.open(HUGE)
    tab.page.keyboard.press("f")
    tab.until("window.glowviz.graph.stats().drawn === 50000")
    assert tab.page.evaluate("document.querySelectorAll('*').length") <= 3000
    meter = tab.page.context.new_cdp_session(tab.page)
    meter.send("HeapProfiler.collectGarbage")
    assert meter.send("Runtime.getHeapUsage")["usedSize"] <= 150 * MIB


def first_picture(tab: Tab, browser: Browser, recording: str) -> tuple[float, int]:
    """CPU-seconds of server and browser from the choice of a recording to its first picture, and its boxes."""
    tab.open(None)
    meter = browser.new_browser_cdp_session()

    def spent() -> float:
        return process_time() + sum(p["cpuTime"] for p in meter.send("SystemInfo.getProcessInfo")["processInfo"])

    begun = spent()
    tab.page.evaluate("recording => window.glowviz.update({recording})", recording)
    tab.until("window.glowviz.graph.nodes().length > 0", 60)
    used = spent() - begun
    meter.detach()
    return used, len(nodes(tab))


def test_the_first_picture_of_ten_thousand_nodes(real: Tab, browser: Browser) -> None:
    used, boxes = first_picture(real, browser, DEEP)
    assert 15 <= boxes <= 60
    assert used <= 2 * 2.5
    real.picture("ten-thousand")


@pytest.mark.slow
def test_the_first_picture_of_fifty_thousand_nodes(real: Tab, browser: Browser, paths: dict[str, Path]) -> None:
    imported(layers(3334), paths[DEEPER])
    used, boxes = first_picture(real, browser, DEEPER)
    assert 15 <= boxes <= 60
    assert used <= 2 * 10
