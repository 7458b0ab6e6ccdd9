"""The whole way: a file is opened, compiled in a child process, watched pass by pass, changed, and exported."""

from collections.abc import Iterator
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper
from playwright.sync_api import Browser

import glowviz
from glowviz.app.export import one_page
from glowviz.app.workshop import JobWorkshop
from glowviz.compiler.backends import backend_named
from glowviz.compiler.text import parse_graph
from tests.app.test_recordings import TEXT
from tests.browser.conftest import Tab, compiled, open_path, watched
from tests.browser.working import working

pytestmark = pytest.mark.browser
HOSTILE = [
    "<img src=x onerror=alert(1)>", "__proto__", "![x](http://example.org/x.png)", "a\u202eb", "{{7*7}}", "\u0301" * 50,
]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, JobWorkshop]]:
    with working(tmp_path_factory.mktemp("store")) as served:
        yield served


@pytest.fixture
def workshop(served: tuple[str, JobWorkshop]) -> JobWorkshop:
    return served[1]


@pytest.fixture
def address(served: tuple[str, JobWorkshop]) -> str:
    return served[0]


def model_file(path: Path, names: list[str]) -> Path:
    """Write a chain of Relu nodes with these names, whose input leaves its length open."""
    values = ["x", *(f"{name}/out" for name in names)]
    nodes = [helper.make_node("Relu", [values[i]], [values[i + 1]], name=name) for i, name in enumerate(names)]
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["length", 4]) for name in (values[0], values[-1])]
    graph = helper.make_graph(nodes, "chain", ports[:1], ports[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


def test_a_text_model_is_opened_compiled_and_walked_through(tab: Tab, tmp_path: Path) -> None:
    path = tmp_path / "small.glow"
    path.write_text(TEXT)
    open_path(tab, path)
    compiled(tab)
    assert tab.page.locator(".pass").count() > 20
    tab.page.evaluate("window.glowviz.update({at: window.glowviz.session().overview.snapshots - 1, dock: 'kernels'})")
    tab.page.wait_for_selector(".table-row:not(.table-head)")
    assert "s ±" in tab.page.inner_text(".number[data-key=time]")
    tab.page.evaluate("window.glowviz.update({dock: 'llvm', dock2: 'asm'})")
    tab.page.wait_for_selector(".dock-side:nth-child(2) .code-line")
    assert "define" in tab.page.inner_text(".dock-side:first-child .code")
    tab.picture("real-code")


@pytest.mark.skipif(not backend_named("cpu").target.has_bf16, reason="this processor has no avx512_bf16")
def test_precision_is_chosen_in_the_settings_and_stands_beside_the_numbers(tab: Tab, tmp_path: Path) -> None:
    path = tmp_path / "small.glow"
    path.write_text(TEXT)
    open_path(tab, path)
    compiled(tab)
    assert "f32" in tab.page.inner_text("button.bound")
    before = tab.state("recording")
    tab.page.click("button.bound")
    tab.page.select_option("select[aria-label=Precision]", "bf16")
    tab.page.click(".settings .actions button")
    tab.until(f"window.glowviz.state().recording !== {before!r}")
    compiled(tab)
    assert "bf16" in tab.page.inner_text("button.bound")
    assert "Precision" in tab.page.inner_text("#region-ledger")


def test_a_pass_is_switched_off_and_the_place_kept(tab: Tab, tmp_path: Path) -> None:
    path = tmp_path / "small.glow"
    path.write_text(TEXT)
    open_path(tab, path)
    compiled(tab)
    first = tab.state("recording")
    tab.page.locator(".pass[data-pass=fold_batchnorm]").first.click()
    at = tab.state("at")
    tab.page.get_by_text("Run without it").click()
    tab.until(f"window.glowviz.state().recording !== '{first}'", 60)
    compiled(tab)
    tab.until(f"window.glowviz.state().at === {at}")
    tab.until("document.querySelectorAll('.pass.off').length > 0")
    tab.page.get_by_text("Run with it").click()
    tab.until(f"window.glowviz.state().recording === '{first}'", 60)


def test_an_upload_asks_for_its_length_and_hostile_names_stay_text(tab: Tab, tmp_path: Path) -> None:
    path = model_file(tmp_path / "chain.onnx", HOSTILE)
    tab.open(None)
    title = tab.page.title()
    tab.page.set_input_files("input[type=file]", path)
    tab.page.wait_for_selector(".shapes, .failed", timeout=60_000)
    tab.faults[:] = [fault for fault in tab.faults if "422" not in fault]
    if tab.page.locator(".shapes").count():
        tab.page.fill(".shapes input", "3")
        tab.page.click(".shapes button[type=submit]")
        tab.until("window.glowviz.state().recording !== null", 60)
        compiled(tab)
        for dock in ("text", "program", "memory", "kernels"):
            tab.page.evaluate("dock => window.glowviz.update({dock})", dock)
            tab.page.wait_for_timeout(100)
        for node in tab.page.evaluate("window.glowviz.graph.nodes()"):
            tab.page.evaluate("id => window.glowviz.graph.select(id)", node["id"])
            tab.page.wait_for_timeout(60)
    assert tab.page.evaluate("Object.keys(Object.prototype).length") == 0
    assert tab.page.locator("img[src=x], a[href^='javascript:']").count() == 0
    assert tab.page.title() == title
    tab.picture("hostile")


def test_a_file_that_is_no_model_is_refused_in_words(tab: Tab, tmp_path: Path) -> None:
    path = tmp_path / "bad.onnx"
    path.write_bytes(b"this is no protobuf" * 100)
    tab.open(None)
    tab.page.set_input_files("input[type=file]", path)
    tab.page.wait_for_selector(".start-note .failed", timeout=60_000)
    assert tab.page.inner_text(".start-note .failed .what")
    tab.faults[:] = [fault for fault in tab.faults if "400" not in fault]


@pytest.fixture
def exported(browser: Browser, tmp_path: Path) -> Iterator[Tab]:
    """A recording's page opened from disk; whatever it asks for beyond the file is noted as a fault."""
    record, page_file = tmp_path / "small.glowrec", tmp_path / "small.html"
    glowviz.compile(parse_graph(TEXT), target="interpreter", record=record)
    page_file.write_text(one_page(glowviz.open_recording(record)), encoding="utf-8")
    context = browser.new_context(viewport={"width": 1400, "height": 900}, accept_downloads=True)
    tab = watched(context.new_page(), page_file.as_uri())
    tab.page.goto(page_file.as_uri())
    tab.page.wait_for_selector("html[data-ready=true]")
    yield tab
    context.close()
    assert not tab.faults


def test_the_exported_page_works_from_a_file_without_any_request(exported: Tab) -> None:
    tab = exported
    for _ in range(3):
        before = tab.state("at")
        tab.page.keyboard.press("n")
        tab.until(f"window.glowviz.state().at > {before}")
        tab.page.wait_for_selector("html[data-ready=true]")
    count = tab.page.evaluate("window.glowviz.session().overview.snapshots")
    for name in tab.page.evaluate("window.glowviz.graph.nodes().map(node => node.id)"):
        for kind in ("life", "why"):
            tab.page.evaluate("([selected, tab]) => window.glowviz.update({selected, tab})", [name, kind])
            tab.page.wait_for_timeout(40)
            assert not tab.page.locator(".tab-body .state.failed").count(), (name, kind)
    for at in (0, count - 1):
        for dock in ("text", "program", "memory", "kernels", "problems"):
            tab.page.evaluate("([at, dock]) => window.glowviz.update({at, dock, dock2: null})", [at, dock])
            tab.page.wait_for_timeout(60)
            assert not tab.page.locator(".dock-side .state.failed").count(), (at, dock)
    for fold in ("none", "scopes", "blocks"):
        tab.page.evaluate("fold => window.glowviz.update({fold, at: 0})", fold)
    tab.page.evaluate("window.glowviz.update({constants: true, at: 0})")
    tab.page.wait_for_selector("html[data-ready=true]")
    assert not tab.page.locator(".cover .state.failed").count()


@pytest.mark.parametrize(("query", "hit"), [
    ("norm", True), ("op:BatchNorm", True), ("op:Relu unread", False), ("dtype:f32 op:Conv", True), ("dtype:i8", False),
    ("pass:fold_batchnorm", True), ("scope:nowhere", False), ("cost>1e9", False)])
def test_the_exported_page_searches_with_filters(exported: Tab, query: str, hit: bool) -> None:
    exported.page.keyboard.press("/")
    exported.page.keyboard.type(query)
    exported.page.wait_for_selector(".choice-row" if hit else ".overlay .state.empty:has-text('Nothing')")


def test_the_canvas_is_saved_as_png(exported: Tab) -> None:
    exported.page.keyboard.press("Control+k")
    exported.page.keyboard.type("png")
    with exported.page.expect_download() as download:
        exported.page.keyboard.press("Enter")
    assert download.value.suggested_filename == "graph.png"
    assert Path(download.value.path()).read_bytes().startswith(b"\x89PNG")
