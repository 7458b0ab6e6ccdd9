"""The saved page folds and unfolds block by block like the app, from disk and without a request; jobs write it."""

import json
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import pytest
from playwright.sync_api import Browser

import glowviz
from glowviz.app.collected import openable
from glowviz.app.export import one_page
from glowviz.app.reader import SceneRequest
from glowviz.app.recordings import JobProgress, RecordingReader
from glowviz.app.scene import LARGE
from glowviz.app.server import real_services
from glowviz.app.store import Store
from glowviz.app.workshop import JobWorkshop
from glowviz.compiler.recording.reader import Recording
from glowviz.gallery import card
from tests.browser.conftest import READY, Tab, serving, watched
from tests.browser.test_canvas import imported, layers

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two recordings with their pages: all passes of a small model, and blocks in blocks in scopes."""
    folder = tmp_path_factory.mktemp("pages")
    small = card("everything")
    glowviz.compile(str(small.path()), shapes=small.shapes(), record=folder / "small.glowrec", measured_runs=2)
    imported(layers(60), folder / "deep.glowrec")
    for name in ("small", "deep"):
        (folder / f"{name}.html").write_text(one_page(Recording(folder / f"{name}.glowrec")), encoding="utf-8")
    return folder


@pytest.fixture
def saved(browser: Browser) -> Iterator[Tab]:
    context = browser.new_context(viewport={"width": 1400, "height": 900}, reduced_motion="reduce", offline=True)
    tab = watched(context.new_page(), "file:")
    requests: list[str] = []
    tab.page.on("request", lambda sent: requests.append(sent.url) if not sent.url.startswith("data:") else None)
    yield tab
    context.close()
    assert not tab.faults
    assert len(requests) == 1, requests  # the file itself


def show(tab: Tab, path: Path) -> None:
    tab.page.goto(path.as_uri())
    tab.page.wait_for_selector(READY)


def reader(folder: Path, name: str) -> RecordingReader:
    return RecordingReader(folder / f"{name}.glowrec", {}, lambda: JobProgress("done"))


def shown(tab: Tab, **view: object) -> dict[str, dict]:
    """The boxes of the page in a view, once it is drawn."""
    tab.page.evaluate("view => window.glowviz.update(view)", view)
    tab.page.wait_for_timeout(60)
    tab.until("window.glowviz.graph.nodes().length > 0")
    return {node["id"]: node for node in tab.page.evaluate("window.glowviz.graph.nodes()")}


def overlapping(boxes: dict[str, dict], parent: dict[str, str]) -> list[tuple[str, str]]:
    """Pairs of boxes of one frame that lie on one another."""
    pairs = [(a, b) for a, b in combinations(boxes, 2) if parent[a] == parent[b]]
    return [(a, b) for a, b in pairs
            if boxes[a]["x"] + boxes[a]["w"] > boxes[b]["x"] + 1 and boxes[b]["x"] + boxes[b]["w"] > boxes[a]["x"] + 1
            and boxes[a]["y"] + boxes[a]["h"] > boxes[b]["y"] + 1 and boxes[b]["y"] + boxes[b]["h"] > boxes[a]["y"] + 1]


def agrees(tab: Tab, drawn: RecordingReader, at: int, fold: str, opened: tuple[str, ...]) -> None:
    """The page draws what the server would: the same boxes with the same words and marks, none on another."""
    base = at - 1 if at else None
    wanted = drawn.scene(SceneRequest(at, base, fold, opened))
    boxes = shown(tab, at=at, fold=fold, opened=list(opened))
    columns = wanted["boxes"]
    assert set(boxes) == set(columns["name"]), (at, opened)
    names = columns["name"]
    for k, name in enumerate(names):
        box = boxes[name]
        assert (box["label"], box["kind"]) == (columns["title"][k], columns["kind"][k]), name
    told = tab.page.evaluate("""() => window.glowviz.graph.edges()""")
    joined = {(names[a], names[b]) for a, b in zip(wanted["edges"]["from"], wanted["edges"]["to"], strict=True)}
    assert {tuple(pair) for pair in told} == joined, (at, opened)
    parent = {name: names[columns["parent"][k]] if columns["parent"][k] >= 0 else "" for k, name in enumerate(names)}
    assert not overlapping(boxes, parent), (at, opened)
    for name, around in parent.items():
        if around:
            assert boxes[around]["y"] <= boxes[name]["y"], name
            assert boxes[name]["y"] + boxes[name]["h"] <= boxes[around]["y"] + boxes[around]["h"] + 1, name


def test_each_block_unfolds_by_itself_in_every_state(saved: Tab, folder: Path) -> None:
    show(saved, folder / "small.html")
    drawn = reader(folder, "small")
    blocks = [name for name in drawn.scene(SceneRequest(0))["boxes"]["name"] if name.startswith("fold:")]
    assert len(blocks) >= 3
    last = drawn.snapshots() - 1
    for at in (0, drawn.recording.last("graph") or 0, last):
        for opened in ((blocks[0],), (blocks[-1],), (blocks[0], blocks[2]), ()):
            agrees(saved, drawn, at, "blocks", opened)
    saved.picture("saved-page-unfolded")


def test_blocks_in_blocks_unfold_step_by_step(saved: Tab, folder: Path) -> None:
    show(saved, folder / "deep.html")
    drawn = reader(folder, "deep")
    for fold in ("blocks", "scopes"):
        opened: tuple[str, ...] = ()
        for _ in range(3):
            scene = drawn.scene(SceneRequest(0, None, fold, opened))
            inner = [scene["boxes"]["name"][int(at)] for at in scene["members"]]
            if not inner:
                break
            opened += (inner[len(opened) % len(inner)],)
            agrees(saved, drawn, 0, fold, opened)
        assert len(opened) >= 2, fold
    saved.picture("saved-page-nested")


def test_a_double_click_unfolds_one_block_and_a_click_on_its_head_folds_it(saved: Tab, folder: Path) -> None:
    show(saved, folder / "small.html")
    boxes = shown(saved)
    name = next(name for name, box in boxes.items() if box["kind"] == 1)
    saved.click(name, times=2)
    saved.until("window.glowviz.graph.nodes().filter(node => node.kind === 2).length === 1")
    after = {node["id"]: node for node in saved.page.evaluate("window.glowviz.graph.nodes()")}
    assert {other for other, box in after.items() if box["kind"] == 1} == {
        other for other, box in boxes.items() if box["kind"] == 1} - {name}
    frame = after[name]
    saved.page.mouse.click(frame["x"] + 14, frame["y"] + 12)
    saved.until("window.glowviz.graph.nodes().every(node => node.kind !== 2)")


def test_selection_and_cards_follow_into_unfolded_blocks(saved: Tab, folder: Path) -> None:
    show(saved, folder / "small.html")
    boxes = shown(saved)
    name = next(name for name, box in boxes.items() if box["kind"] == 1)
    inside = set(shown(saved, opened=[name])) - set(boxes)
    for inner in sorted(inside)[:4]:
        saved.page.evaluate("id => window.glowviz.graph.select(id)", inner)
        saved.page.wait_for_selector(".life")
        assert saved.state("selected") == inner
        assert not saved.page.locator(".tab-body .state.failed").count()


def test_the_page_of_a_large_model_unfolds_as_far_as_pictures_stay_small(tmp_path: Path) -> None:
    drawn = RecordingReader(imported(layers(400), tmp_path / "large.glowrec"), {}, lambda: JobProgress("done"))
    opened = openable(drawn, "blocks")
    assert opened
    assert not drawn.is_large(SceneRequest(0, None, "blocks", opened))
    seen = drawn.scene(SceneRequest(0, None, "blocks", opened))
    assert seen["members"]  # some blocks stay folded
    assert len(seen["boxes"]["name"]) <= 2 * LARGE


@pytest.fixture(scope="module")
def link(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Iterator[str]:
    """The address of a real server with the small recording and a long one, without their ids."""
    store = Store(tmp_path_factory.mktemp("store"))
    workshop = JobWorkshop(store)
    imported(layers(400), folder / "long.glowrec")
    ids = [store.adopt(folder / f"{name}.glowrec") for name in ("small", "long")]
    with serving(real_services(store, workshop)) as address:
        yield " ".join((address, *ids))
    workshop.close()


@pytest.fixture
def tab(browser: Browser, link: str) -> Iterator[Tab]:
    context = browser.new_context(viewport={"width": 1400, "height": 900}, accept_downloads=True)
    opened = watched(context.new_page(), link.split()[0])
    yield opened
    context.close()
    assert not opened.faults


def test_saving_is_a_job_that_says_how_far_it_is_and_is_cancelled(tab: Tab, link: str) -> None:
    _, small, long = link.split()
    tab.open(long)
    tab.page.get_by_role("button", name="Save page").click()
    tab.page.locator("#status .job", has_text="Saving: ").wait_for()
    tab.page.locator("#status .job").get_by_role("button", name="Cancel").click()
    tab.until("!document.querySelector('#status .job')")
    tab.open(small)  # everything else goes on
    with tab.page.expect_download() as waiting:
        tab.page.get_by_role("button", name="Save page").click()
    assert waiting.value.suggested_filename == "glowviz.html"
    assert "glowviz-payloads" in Path(waiting.value.path()).read_text(encoding="utf-8")


def test_all_answers_are_saved_as_json(tab: Tab, link: str) -> None:
    tab.open(link.split()[1])
    tab.page.keyboard.press(">")
    tab.page.keyboard.type("answers json")
    with tab.page.expect_download() as waiting:
        tab.page.keyboard.press("Enter")
    assert waiting.value.suggested_filename == "recording.json"
    answers = json.loads(Path(waiting.value.path()).read_text(encoding="utf-8"))
    assert any(address.endswith("/overview") for address in answers)
