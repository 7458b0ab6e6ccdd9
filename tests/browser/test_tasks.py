"""The ten tasks of the explorer, done by a scripted person whose clicks and keys are counted; hovering is free.

Each starts from the recording freshly opened with nothing selected. Typing a search is one.
"""

from collections.abc import Iterator
from pathlib import Path

import onnx
import pytest
from playwright.sync_api import Locator

from tests.browser.conftest import READY, Tab
from tests.browser.working import one_run, open_run

pytestmark = pytest.mark.browser
WRONG = Path(__file__).with_name("wrong_pass.py")
SIX_LINES = """graph @six(%x: f32[4]) {
  %a: f32[4] = Relu(%x)
  %b: f32[4] = Relu(%x)
  %c: f32[4] = Add(%a, %b)
  return "y"=%c
}"""


class Hands:
    """Does what a person does, and counts it."""

    def __init__(self, tab: Tab) -> None:
        self.tab = tab
        self.count = 0

    def click(self, where: Locator) -> None:
        self.count += 1
        where.click()

    def box(self, name: str) -> None:
        self.count += 1
        self.tab.click(name)

    def key(self, key: str) -> None:
        self.count += 1
        self.tab.page.keyboard.press(key)

    def type(self, text: str) -> None:
        self.count += 1
        self.tab.page.keyboard.type(text)


@pytest.fixture(scope="module")
def link(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with one_run(tmp_path_factory.mktemp("tasks")) as link:
        yield link


@pytest.fixture(scope="module")
def wrong_link(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with one_run(tmp_path_factory.mktemp("wrong"), load=[str(WRONG)]) as link:
        yield link


def fresh(tab: Tab, link: str) -> Hands:
    """The recording freshly opened, compiled and timed, nothing selected."""
    open_run(tab, link)
    assert tab.state("selected") is None
    return Hands(tab)


@pytest.fixture
def address() -> str:
    return "http://127.0.0.1"


def test_t1_which_pass_removed_this_node_and_why(tab: Tab, link: str) -> None:
    hands = fresh(tab, link)
    hands.key("/")
    hands.type("norm1")
    tab.page.wait_for_selector(".choice-row .hit-why")
    answer = tab.page.locator(".choice-row").first.inner_text()
    assert "BatchNormalization gone in fold_batchnorm (pass" in answer
    assert "conv_bn: " in answer  # the rule, and after it the reason in words
    assert hands.count <= 2
    tab.picture("task-1")
    hands.key("Enter")
    tab.page.wait_for_selector(".life")
    assert "fold_batchnorm" in tab.page.inner_text(".life")


def test_t2_the_assembly_of_this_conv(tab: Tab, link: str) -> None:
    hands = fresh(tab, link)
    hands.box("c2")
    tab.page.wait_for_selector(".machine-code .asm")
    code = tab.page.inner_text(".machine-code .asm")
    assert "ret" in code
    assert "mm" in code  # vector registers
    assert hands.count == 1
    tab.picture("task-2")


def test_t3_what_sets_the_peak_and_what_would_shrink_it(tab: Tab, link: str) -> None:
    hands = fresh(tab, link)
    hands.click(tab.page.get_by_role("tab", name="Memory"))
    tab.page.wait_for_selector(".memory-side .fact-line")
    lines = tab.page.inner_text(".memory-side")
    assert "Activations peak at" in lines
    assert "while" in lines
    assert hands.count == 1
    assert "To shrink: without" in lines or "there is another peak" in lines
    tab.picture("task-3")


def test_t4_first_pass_whose_output_differs(tab: Tab, wrong_link: str, tmp_path: Path) -> None:
    hands = fresh(tab, wrong_link)
    hands.click(tab.page.get_by_role("button", name="Bisect", exact=True))
    tab.page.wait_for_selector(".bisect-result .rewrite", timeout=60_000)
    assert hands.count == 1
    told = tab.page.inner_text(".bisect-result")
    assert "merge_pad" in told
    assert "Rewrite 1 of the pass: rule relu_to_abs at wrong" in told
    tab.picture("task-4")
    saved = {}
    for name in ("cutout.onnx", "cutout.glow", "test_cutout.py"):
        with tab.page.expect_download() as waiting:
            tab.page.get_by_role("link", name=name).click()
        saved[name] = tmp_path / name
        waiting.value.save_as(saved[name])
    ops = [node.op_type for node in onnx.load(saved["cutout.onnx"]).graph.node]
    assert "Relu" in ops
    assert len(ops) < 10  # a part, not the whole
    assert "Relu" in saved["cutout.glow"].read_text()
    compile(saved["test_cutout.py"].read_text(), "test_cutout.py", "exec")
    tab.page.get_by_role("button", name="Show it").click()
    assert tab.state("selected") == "wrong"


def test_t4_says_when_nothing_differs(tab: Tab, link: str) -> None:
    hands = fresh(tab, link)
    hands.click(tab.page.get_by_role("button", name="Bisect", exact=True))
    tab.page.wait_for_selector(".bisect-result .good", timeout=60_000)
    assert "No pass changes a result" in tab.page.inner_text(".bisect-result")


def test_t5_slowest_kernel_to_its_onnx_nodes(tab: Tab, link: str) -> None:
    hands = fresh(tab, link)
    hands.click(tab.page.locator(".tab-body button.bar").first)
    tab.page.wait_for_selector(".life")
    names = tab.page.locator(".origin .chip").all_inner_texts()
    assert any(name.startswith(("conv", "norm", "relu", "tanh", "add")) for name in names), names
    assert hands.count == 1


def test_t6_effect_of_switching_one_pass_off(tab: Tab, link: str) -> None:
    hands = fresh(tab, link)
    hands.click(tab.page.locator(".pass[data-pass=fold_batchnorm]").first)
    hands.click(tab.page.get_by_role("button", name="Run without it"))
    tab.until("document.querySelector('.compare tr[data-figure=Time] + tr.difference')", 60)
    assert hands.count == 2
    figures = tab.page.inner_text(".compare")
    for label in ("Time", "Memory", "Error", "without fold_batchnorm", "all passes", "±"):
        assert label in figures
    told = tab.page.inner_text(".compare tr[data-figure=Time] + tr")
    assert ("within the spread" in told) != ("%" in told)  # a difference is called one only beyond the spread
    assert "off" in tab.page.inner_text(".compare section:nth-of-type(2)")
    tab.picture("task-6")


def test_t7_send_exactly_this_view(tab: Tab, link: str, tmp_path: Path) -> None:
    hands = fresh(tab, link)
    hands.click(tab.page.get_by_role("button", name="Share"))
    assert tab.page.evaluate("navigator.clipboard.readText()") == tab.page.url
    assert hands.count == 1
    tab.page.evaluate("window.glowviz.update({at: 3, selected: 'c2', dock: 'text'})")
    hands = Hands(tab)
    with tab.page.expect_download() as waiting:
        hands.click(tab.page.get_by_role("button", name="Save page"))
    assert hands.count == 1
    file = tmp_path / "page.html"
    waiting.value.save_as(file)
    tab.address = "file:"
    tab.page.goto(file.as_uri())
    tab.page.wait_for_selector(READY)
    assert [tab.state(key) for key in ("at", "selected", "dock")] == [3, "c2", "text"]
    tab.faults[:] = [fault for fault in tab.faults if not fault.startswith("file:")]


def test_t8_why_was_a_rule_not_applied_here(tab: Tab, link: str) -> None:
    hands = fresh(tab, link)
    hands.box("n3")
    tab.page.wait_for_selector(".left-alone .remark")
    told = tab.page.inner_text(".left-alone")
    assert "fold_batchnorm" in told
    assert "2 users" in told or "2 other" in told or "other users" in told, told
    assert hands.count == 1
    tab.picture("task-8")
    hands = fresh(tab, link)
    hands.click(tab.page.locator(".pass[data-pass=fold_batchnorm]").first)
    tab.page.wait_for_selector(".change-group.kept")
    assert "not done" in tab.page.inner_text(".tab-body")
    assert hands.count <= 2


def test_t9_why_is_it_slow_or_big_and_what_to_do(tab: Tab, link: str) -> None:
    hands = fresh(tab, link)
    tab.page.wait_for_selector(".finding")
    found = tab.page.locator(".finding").all_inner_texts()
    assert hands.count == 0
    assert 1 <= len(found) <= 5
    assert any("%" in text for text in found)
    tab.picture("task-9")
    hands.click(tab.page.locator(".finding-and-try .button").first)
    tab.until("document.querySelector('.compare tr[data-figure=Time] + tr.difference')", 60)
    assert hands.count == 1
    assert "±" in tab.page.inner_text(".compare tr[data-figure=Time]")


def test_t10_six_lines_and_a_pass(tab: Tab, link: str) -> None:
    hands = fresh(tab, link)
    hands.key("e")
    tab.page.wait_for_selector(".editor textarea:focus")
    assert hands.count == 1
    tab.page.keyboard.insert_text(SIX_LINES)
    tab.until("document.querySelector('.editor .result').textContent.split('Relu(').length === 2")
    assert "cse" in tab.page.inner_text(".editor .reasons")
    tab.picture("task-10")




def test_t4_by_a_pattern(tab: Tab, link: str, tmp_path: Path) -> None:
    hands = fresh(tab, link)
    hands.click(tab.page.get_by_role("button", name="Bisect", exact=True))
    tab.page.get_by_label("What a pass must do").select_option("pattern")
    tab.page.get_by_label("Ops, each reading").fill("Conv > BatchNormalization > Relu")
    tab.page.get_by_role("button", name="Search", exact=True).click()
    tab.page.wait_for_selector(".bisect-result .rewrite", timeout=60_000)
    told = tab.page.inner_text(".bisect-result")
    assert "fold_batchnorm" in told
    assert "takes it away" in told
    assert "rule conv_bn" in told
    for name in ("cutout.onnx", "cutout.glow", "test_cutout.py"):
        with tab.page.expect_download() as waiting:
            tab.page.get_by_role("link", name=name).click()
        waiting.value.save_as(tmp_path / name)
    assert len(onnx.load(tmp_path / "cutout.onnx").graph.node) < 5
    assert "Pattern" in (tmp_path / "test_cutout.py").read_text()
    tab.picture("bisect-pattern")
    tab.page.get_by_label("Ops, each reading").fill("Konv")
    tab.page.get_by_role("button", name="Search", exact=True).click()
    tab.page.get_by_text("There is no op 'Konv'").wait_for()
    tab.faults[:] = [fault for fault in tab.faults if "status of 400" not in fault]  # the browser notes the refusal


def test_t4_by_memory(tab: Tab, link: str) -> None:
    hands = fresh(tab, link)
    hands.click(tab.page.get_by_role("button", name="Bisect", exact=True))
    tab.page.get_by_label("What a pass must do").select_option("peak")
    tab.page.get_by_role("button", name="Search", exact=True).click()
    tab.page.get_by_text("is the first that raises the peak").wait_for(timeout=60_000)
    assert "rose from" in tab.page.inner_text(".bisect-result")
    tab.page.get_by_label("Limit in MiB").fill("1000")
    tab.page.get_by_role("button", name="Search", exact=True).click()
    tab.page.get_by_text("No pass brings live memory above the limit").wait_for(timeout=60_000)


def test_t4_by_time(tab: Tab, link: str) -> None:
    hands = fresh(tab, link)
    hands.click(tab.page.get_by_role("button", name="Bisect", exact=True))
    tab.page.get_by_label("What a pass must do").select_option("time")
    tab.page.get_by_label("Percent").fill("900")
    tab.page.get_by_label("Percent").press("Enter")
    tab.page.get_by_text("Without any one pass the run is not faster").wait_for(timeout=120_000)
