"""A run on the user's own input, in the page: a picture, arrays, what is expected of them, and where it goes wrong."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from PIL import Image
from playwright.sync_api import Route

from tests.browser.conftest import Tab, compiled, open_path
from tests.browser.test_hands_and_eyes import violations
from tests.browser.working import working

pytestmark = pytest.mark.browser
THEMES = pytest.mark.parametrize("tab", ["light", "dark"], indirect=True, ids=["light", "dark"])


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with working(tmp_path_factory.mktemp("store")) as (address, _):
        yield address


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two maps of a picture, their square root (NaN where they are negative), and rows of a table."""
    nodes = [helper.make_node("Conv", ["picture", "w"], ["maps"], name="edges", doc_string="finds edges"),
             helper.make_node("Sqrt", ["maps"], ["root"], name="root"),
             helper.make_node("Gather", ["table", "row"], ["picked"], name="pick")]
    ports = [("picture", 1, [1, 3, 12, 12]), ("row", 7, [2]), ("root", 1, [1, 2, 10, 10]), ("picked", 1, [2, 4])]
    inputs = [helper.make_tensor_value_info(*port) for port in ports]
    kernel = np.zeros((2, 3, 3, 3), np.float32)
    kernel[0, :, 1, 1], kernel[1, :, 1, 0], kernel[1, :, 1, 2] = 1, 1, -1
    weights = [numpy_helper.from_array(kernel, "w"),
               numpy_helper.from_array(np.arange(20, dtype=np.float32).reshape(5, 4), "table")]
    graph = helper.make_graph(nodes, "edges", inputs[:2], inputs[2:], weights)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9, doc_string="Edges.")
    made.metadata_props.add(key="licence", value="CC0")
    path = tmp_path_factory.mktemp("model") / "edges.onnx"
    onnx.save(made, path)
    return path


@pytest.fixture
def opened(tab: Tab, model: Path) -> Tab:
    open_path(tab, model)
    compiled(tab)
    tab.page.evaluate("window.glowviz.update({tab: 'values', selected: null})")
    return tab


def form(tab: Tab) -> None:
    tab.page.get_by_role("button", name="Run with your input").click()
    tab.page.locator(".given-input").first.wait_for()
    settled(tab)


def settled(tab: Tab) -> None:
    """Wait until the server has looked at what is given now."""
    tab.page.wait_for_timeout(250)
    tab.page.wait_for_load_state("networkidle")


def run(tab: Tab) -> None:
    before = tab.state("recording")
    tab.page.get_by_role("button", name="Run", exact=True).click()
    tab.until(f"window.glowviz.state().recording !== '{before}'")
    compiled(tab)


def ramp(path: Path) -> Path:
    """A picture that gets lighter to the right: its differences along a row are negative."""
    Image.fromarray(np.broadcast_to(np.arange(24, dtype=np.uint8)[:, None] * 10, (24, 24, 3)).copy()).save(path)
    return path


@THEMES
def test_a_picture_becomes_the_input_and_nan_is_hunted(opened: Tab, tmp_path: Path) -> None:
    theme = opened.page.evaluate("document.documentElement.dataset.theme")
    form(opened)
    assert "whole numbers 0 … 4, for it indexes 5" in opened.page.locator(".given-rows").inner_text()
    opened.page.get_by_label("Files for the inputs").set_input_files(ramp(tmp_path / "ramp.png"))
    told = opened.page.get_by_text("ramp.png: 24×24 → 12×12 (cut to the middle), red, green, blue, (x / 255")
    told.wait_for()
    opened.page.get_by_label("scale", exact=True).select_option("0..1")
    opened.page.get_by_text("red, green, blue, x / 255").wait_for()
    assert opened.page.locator(".given-input .map").count() == 4  # all colours together, and each
    assert not violations(opened)
    opened.picture(f"given-{theme}")
    run(opened)
    assert opened.state("tab") == "values"
    assert "ramp.png" in opened.page.locator(".given-list").inner_text()
    assert "on ramp.png" in opened.page.locator(".bound").inner_text()
    who = " ".join(opened.page.locator("[data-found=NaN] .who").inner_text().split())
    assert who.startswith("First: root by Sqrt root, as the model has it. It reads maps (−")
    opened.picture(f"values-nan-{theme}")
    opened.page.evaluate("window.glowviz.update({selected: 'picture'})")
    opened.page.locator(".maps .map").nth(3).wait_for()  # the picture in its colours, then three maps
    assert opened.page.locator(".maps .map").count() == 4
    assert "One colour scale for all" in opened.page.locator(".maps figcaption").inner_text()
    opened.page.evaluate("window.glowviz.update({selected: 'root'})")
    opened.page.locator(".odd-map").wait_for()
    assert opened.page.locator("dt.odd").inner_text().strip() == "NaN"
    assert not violations(opened)
    opened.picture(f"maps-{theme}")


def test_expected_values_make_heat_and_the_tolerance_is_one(opened: Tab, tmp_path: Path) -> None:
    x = np.ones((1, 3, 12, 12), np.float32)
    np.savez(tmp_path / "in.npz", picture=x, row=np.int64([1, 3]))
    np.savez(tmp_path / "out.npz", maps=np.stack([np.full((10, 10), 3.3), np.zeros((10, 10))])[None],
             picked=np.arange(20, dtype=np.float32).reshape(5, 4)[[1, 3]])
    form(opened)
    opened.page.get_by_label("Files for the inputs").set_input_files(tmp_path / "in.npz")
    opened.page.get_by_label("Files with expected values").set_input_files(tmp_path / "out.npz")
    opened.page.get_by_text("float64[1x2x10x10]").wait_for()
    settled(opened)
    run(opened)
    wrong = opened.page.locator("[data-found=error]")
    wrong.get_by_text("First:").wait_for()
    assert wrong.locator("p button").inner_text() == "maps"
    opened.page.get_by_role("button", name="Error on the graph").click()
    legend = opened.page.locator(".legend")
    legend.get_by_text("✕ 1 of").wait_for()
    opened.picture("heat-of-errors")
    legend.get_by_label("Tolerance of the heat").fill("0.5")
    legend.get_by_label("Tolerance of the heat").press("Enter")
    legend.get_by_text("✓ all").wait_for()
    wrong.get_by_text("are within it").wait_for()
    assert "tolerance=0.5" in opened.page.url
    opened.page.locator(".hunt").get_by_role("button", name="Bisect").click()
    assert opened.page.locator(".bisect").get_by_label("Tolerance").input_value() == "0.5"
    opened.page.get_by_text("No pass changes a result by more than 0.5").wait_for(timeout=60_000)
    opened.page.keyboard.press("Escape")
    opened.page.go_back()
    legend.get_by_text("✕ 1 of").wait_for()  # the tolerance is undone as any view is


def test_what_does_not_fit_is_said_in_place(opened: Tab, tmp_path: Path) -> None:
    np.savez(tmp_path / "small.npz", picture=np.ones((1, 3, 8, 8), np.float32))
    form(opened)
    opened.page.get_by_label("Files for the inputs").set_input_files(tmp_path / "small.npz")
    problem = opened.page.locator(".given-input.bad")
    problem.get_by_text("the shape is [1x3x8x8]").wait_for()
    assert "Expected: [1x3x12x12]" in problem.inner_text()
    assert opened.page.get_by_role("button", name="Run", exact=True).is_disabled()
    opened.picture("given-bad-shape")
    opened.page.get_by_label("Without small.npz").click()
    (tmp_path / "broken.npy").write_bytes(b"\x93NUMPY nothing of the kind")
    opened.page.get_by_label("File for row").set_input_files(tmp_path / "broken.npy")
    opened.page.locator(".given-rows").get_by_text("broken.npy is not an .npz or .npy file").wait_for()
    assert opened.page.get_by_role("button", name="Run", exact=True).is_disabled()
    assert "Traceback" not in opened.page.inner_text("body")
    opened.picture("given-broken")
    opened.page.get_by_label("Without broken.npy").click()
    settled(opened)
    assert opened.page.get_by_role("button", name="Run", exact=True).is_enabled()
    opened.faults[:] = [fault for fault in opened.faults if "400" not in fault]


def test_sending_shows_progress_and_can_be_cancelled(opened: Tab, tmp_path: Path) -> None:
    np.save(tmp_path / "picture.npy", np.ones((1, 3, 12, 12), np.float32))
    held: list[Route] = []
    opened.page.route("**/api/uploads/*?name=*", lambda route: held.append(route))
    form(opened)
    opened.page.get_by_label("File for picture").set_input_files(tmp_path / "picture.npy")
    sending = opened.page.locator(".sending")
    sending.wait_for()
    opened.picture("given-sending")
    sending.get_by_role("button", name="Cancel").click()
    opened.page.get_by_text("Cancelled; nothing was kept.").wait_for()
    assert held
    opened.page.unroute_all(behavior="ignoreErrors")


def test_files_dropped_on_an_open_model_are_inputs(opened: Tab, tmp_path: Path) -> None:
    opened.page.evaluate("""() => {
      const files = new DataTransfer();
      files.items.add(new File(['nothing'], 'notes.npy'));
      window.dispatchEvent(new DragEvent('drop', { dataTransfer: files, cancelable: true }));
    }""")
    opened.page.locator(".given-files").first.get_by_text("notes.npy").wait_for()
    opened.page.get_by_text("notes.npy is not an .npz or .npy file").wait_for()
    opened.faults[:] = [fault for fault in opened.faults if "400" not in fault]


@THEMES
def test_the_card_tells_what_the_file_says(opened: Tab) -> None:
    theme = opened.page.evaluate("document.documentElement.dataset.theme")
    opened.page.evaluate("window.glowviz.update({selected: 'maps', tab: 'life'})")
    node = opened.page.locator(".onnx-node")
    node.wait_for()
    text = node.inner_text()
    assert "ai.onnx, opset 17, since version 11" in text
    assert "finds edges" in text
    group = node.locator("tr.default").filter(has_text="group")
    assert group.inner_text().split() == ["group", "int", "1", "(default)"]
    node.scroll_into_view_if_needed()
    opened.picture(f"properties-{theme}")
    node.get_by_role("button", name="w", exact=True).click()
    opened.page.locator(".card-stack.flat .map").first.wait_for()
    assert "216 B" in opened.page.locator(".tab-body").inner_text()
    assert not violations(opened)
    opened.picture(f"weight-{theme}")
    opened.page.evaluate("window.glowviz.update({selected: null, tab: 'overview'})")
    opened.page.get_by_text("Description and 1 metadata").click()
    opened.page.get_by_text("CC0").wait_for()
    opened.picture(f"overview-file-{theme}")
