"""Large and odd graphs: frames, the memory map's hover and what stays on the canvas keep their budgets, asserted with a
margin of 2; a flat chain, a value with 5,000 readers, 2,000 scopes in scopes and a name of 300 letters all open."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from statistics import median

import pytest

import glowviz
from glowviz.app.server import real_services
from glowviz.app.store import Store
from glowviz.app.workshop import JobWorkshop
from glowviz.gallery import card
from tests.app.fake_recording import BIG, HUGE
from tests.browser.conftest import READY, Tab, serving
from tests.browser.test_canvas import imported

pytestmark = pytest.mark.browser
ROW = 44
LARGER = ("digit", "ring", "transformer_block", "mobilenet_v2_small", "resnet50")


def written(lines: list[str], last: str) -> str:
    return "\n".join(["graph @odd(%x: f32[4]) {", *lines, f'  return "y"=%{last}', "}"])


def chain(count: int) -> str:
    lines = [f"  %r{i}: f32[4] = Relu(%{f'r{i - 1}' if i else 'x'})" for i in range(count)]
    return written(lines, f"r{count - 1}")


def fan(count: int) -> str:
    readers = [f"  %c{i}: f32[4] = Sigmoid(%h)" for i in range(count)]
    together = ", ".join(f"%c{i}" for i in range(count))
    return written(["  %h: f32[4] = Relu(%x)", *readers, f"  %y: f32[4] = Sum({together})"], "y")


def deep(count: int) -> str:
    lines = [f"  %d{i}: f32[4] = Relu(%{f'd{i - 1}' if i else 'x'})  from \"{'s/' * (i + 1)}node\""
             for i in range(count)]
    return written(lines, f"d{count - 1}")


def long_named(length: int) -> str:
    name = "n" * length
    return written([f'  %{name}: f32[4] = Relu(%x)  as "{"wide " * (length // 5)}"  from "{name}"'], name)


ODD = {"chain": chain(3_000), "fan": fan(5_000), "deep": deep(2_000), "long": long_named(300)}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def server(store: Store) -> Iterator[str]:
    workshop = JobWorkshop(store)
    with serving(real_services(store, workshop)) as address:
        yield address
    workshop.close()


def opened(tab: Tab, server: str, recording: str, **view: object) -> None:
    tab.address = server
    tab.faults.clear()
    tab.open(recording, **view)
    tab.until("window.glowviz.graph.nodes().length > 0 || document.querySelector('.cover .state.failed')", 90)
    assert tab.page.locator(".state.failed").count() == 0


@pytest.fixture
def tab(tab: Tab, server: str) -> Iterator[Tab]:
    """A tab that may ask the real server too."""
    yield tab
    tab.faults[:] = [fault for fault in tab.faults if not fault.startswith(server)]


@pytest.mark.parametrize("name", ODD)
def test_odd_graphs_open_fold_and_unfold(tab: Tab, server: str, store: Store, tmp_path: Path, name: str) -> None:
    recording = store.adopt(imported(ODD[name], tmp_path / f"{name}.glowrec"))
    for fold in ("blocks", "scopes", "none"):
        opened(tab, server, recording, fold=fold)
        count = len(tab.page.evaluate("window.glowviz.graph.nodes()"))
        assert count <= 60 or (fold == "none" and count >= 2_000)
        for _ in range(3):  # from level to level
            inner = tab.page.evaluate("window.glowviz.graph.nodes().find(node => node.kind === 1)?.id")
            if inner is None:
                break
            tab.page.evaluate("id => window.glowviz.update({opened: [...window.glowviz.state().opened, id]})", inner)
            tab.page.wait_for_timeout(50)
            tab.until("window.glowviz.graph.nodes().filter(node => node.kind === 2).length"
                      " === window.glowviz.state().opened.length", 90)
    tab.page.keyboard.press("ArrowDown")
    tab.page.wait_for_selector(".life")
    assert tab.page.evaluate("document.querySelectorAll('*').length") <= 3000


@pytest.mark.slow
def test_a_flat_chain_of_a_hundred_thousand_opens(tab: Tab, server: str, store: Store, tmp_path: Path) -> None:
    recording = store.adopt(imported(chain(100_000), tmp_path / "chain.glowrec"))
    for fold in ("blocks", "none"):
        opened(tab, server, recording, fold=fold)


@pytest.mark.parametrize(("recording", "wanted", "limit"), [(BIG, 5_000, 33), (HUGE, 50_000, 50)], ids=["5k", "50k"])
def test_frames_of_moving_and_zooming(tab: Tab, recording: str, wanted: int, limit: float) -> None:
    """p95 of the script's part of a frame, in ms; the better of two tries, because neighbours share the machine."""
    tab.open(recording)
    tab.page.keyboard.press("f")
    tab.until("window.glowviz.graph.stats().drawn >= 10000")
    tab.page.mouse.move(650, 450)
    for _ in range(30):
        if tab.page.evaluate("window.glowviz.graph.stats().drawn") <= 1.1 * wanted:
            break
        tab.page.mouse.wheel(0, -20)
        tab.page.wait_for_timeout(250)
    assert tab.page.evaluate("window.glowviz.graph.stats().drawn") >= 0.8 * wanted
    worst = []
    for _ in range(2):
        tab.page.evaluate("window.glowviz.graph.reset()")
        for step in range(20):
            tab.page.mouse.wheel(0, 40 if step < 10 else -40)
            tab.page.wait_for_timeout(16)
        tab.page.mouse.down()
        for step in range(20):
            tab.page.mouse.move(650 + 4 * step, 450 + 3 * step)
            tab.page.wait_for_timeout(16)
        tab.page.mouse.up()
        stats = tab.page.evaluate("window.glowviz.graph.stats()")
        assert stats["frames"] >= 20
        worst.append(stats["p95"])
    assert min(worst) <= 2 * limit


HOVER = """() => {
  const canvas = document.querySelector(".memory-canvas"), place = canvas.getBoundingClientRect(), times = [];
  let told = 0;
  for (let k = 0; k < 200; k += 1) {
    const clientX = place.left + 70 + (place.width - 90) * ((k * 37) % 200) / 200;
    const clientY = place.top + 40 + (place.height - 60) * ((k * 91) % 200) / 200;
    const begin = performance.now();
    canvas.dispatchEvent(new PointerEvent("pointermove", { bubbles: true, clientX, clientY }));
    document.body.getBoundingClientRect();
    times.push(performance.now() - begin);
    told += document.querySelector(".memory-stage .tip").hidden ? 0 : 1;
  }
  times.sort((a, b) => a - b);
  return [times[190], told];
}"""


def test_hovering_over_ten_thousand_buffers(tab: Tab) -> None:
    tab.open(BIG, dock="memory")
    tab.page.wait_for_selector(".memory-canvas[data-milliseconds]")
    results = [tab.page.evaluate(HOVER) for _ in range(2)]
    assert all(told >= 50 for _, told in results)
    assert min(ms for ms, _ in results) <= 2 * 16


@pytest.mark.parametrize("name", ["everything", *(pytest.param(name, marks=pytest.mark.slow) for name in LARGER)])
def test_what_survives_stays_on_the_canvas(tab: Tab, server: str, store: Store, tmp_path: Path, name: str) -> None:
    """Over every pass of a bundled model: px that boxes move on screen, by what selects them, as the page steps."""
    path = tmp_path / f"{name}.glowrec"
    glowviz.compile(str(card(name).path()), shapes=card(name).shapes(), record=path, measured_runs=1)
    opened(tab, server, store.adopt(path))
    for fold in ("blocks", "none"):
        tab.page.evaluate("fold => window.glowviz.update({fold, at: 0})", fold)
        pictures = []
        for at in range(tab.page.evaluate("window.glowviz.session().overview.snapshots")):
            tab.page.evaluate("at => window.glowviz.update({at})", at)
            tab.until(f"window.glowviz.graph.at() === {at}")
            zoom = tab.page.evaluate("window.glowviz.graph.camera().k")
            boxes = tab.page.evaluate("window.glowviz.graph.nodes()")
            pictures.append({box["id"].removeprefix("step:"): ((box["x"] + box["w"] / 2) / zoom, box["y"] / zoom)
                             for box in boxes})
        moved = []
        for before, after in pairwise(pictures):
            both = [key for key in after if key in before]
            away = sorted(max(abs(after[key][0] - before[key][0]), abs(after[key][1] - before[key][1])) for key in both)
            moved += away
            assert not away or median(away) <= ROW
        moved.sort()
        assert median(moved) <= 1, fold
        assert moved[int(0.95 * len(moved))] <= ROW, fold
    assert tab.page.locator(READY).count() == 1
