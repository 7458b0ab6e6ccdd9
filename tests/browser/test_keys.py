"""The ten tasks of the explorer with the keyboard alone: no pointer is ever moved, and the focus is where keys go."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.conftest import Tab
from tests.browser.test_tasks import SIX_LINES, WRONG
from tests.browser.working import one_run, open_run

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def link(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with one_run(tmp_path_factory.mktemp("keys")) as link:
        yield link


@pytest.fixture(scope="module")
def wrong_link(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with one_run(tmp_path_factory.mktemp("wrong_keys"), load=[str(WRONG)]) as link:
        yield link


@pytest.fixture
def address() -> str:
    return "http://127.0.0.1"


class Keys:
    """A person without a pointer, before a recording freshly opened with nothing selected."""

    def __init__(self, tab: Tab, link: str) -> None:
        self.tab = tab
        open_run(tab, link)
        assert tab.state("selected") is None

    def press(self, *keys: str) -> None:
        for key in keys:
            self.tab.page.keyboard.press(key)

    def command(self, words: str) -> None:
        """Run the first command that has these words."""
        self.press(">")
        self.tab.page.keyboard.type(words)
        self.tab.page.wait_for_selector(".choice-row[aria-selected=true]")
        self.press("Enter")

    def search(self, words: str) -> None:
        self.press("/")
        self.tab.page.keyboard.type(words)
        self.tab.page.wait_for_selector(".choice-row")

    def walk_to(self, name: str) -> None:
        """Follow edges downwards from the first box."""
        for _ in range(30):
            self.press("ArrowDown")
            if self.tab.state("selected") == name:
                return
        raise AssertionError(f"{name} was not reached")

    def read(self, place: str, *words: str, seconds: float = 60) -> str:
        self.tab.page.locator(place).first.wait_for(timeout=1000 * seconds)
        text = self.tab.page.inner_text(place)
        for word in words:
            assert word in text, text
        return text


def test_t1_which_pass_removed_this_node_and_why(tab: Tab, link: str) -> None:
    keys = Keys(tab, link)
    keys.search("op:BatchNormalization pass:fold_batchnorm norm1")
    keys.read(".choice-row", "gone in fold_batchnorm (pass", "conv_bn: ")
    keys.press("Enter")
    keys.read(".life", "fold_batchnorm")


def test_t2_the_assembly_of_this_conv(tab: Tab, link: str) -> None:
    keys = Keys(tab, link)
    keys.walk_to("c2")
    keys.read(".machine-code .asm", "ret", "mm")


def test_t3_what_sets_the_peak_and_what_would_shrink_it(tab: Tab, link: str) -> None:
    keys = Keys(tab, link)
    keys.command("show memory")
    told = keys.read(".memory-side", "Activations peak at", "while")
    assert "To shrink: without" in told or "there is another peak" in told
    tab.until("document.activeElement.classList.contains('scrub')")
    keys.press("ArrowRight", "ArrowRight")
    tab.until("document.querySelector('.scrubber output').textContent.startsWith('1 ')")


def test_t4_first_pass_whose_output_differs(tab: Tab, wrong_link: str) -> None:
    keys = Keys(tab, wrong_link)
    keys.command("bisect")
    keys.read(".bisect-result .rewrite", "relu_to_abs at wrong")
    for _ in range(8):
        if tab.page.evaluate("document.activeElement.textContent") == "Show it":
            break
        keys.press("Tab")
    keys.press("Enter")
    assert tab.state("selected") == "wrong"


def test_t5_slowest_kernel_to_its_onnx_nodes(tab: Tab, link: str) -> None:
    keys = Keys(tab, link)
    keys.command("show kernels")
    tab.until("document.activeElement.classList.contains('table')")
    keys.press("ArrowDown")
    names = keys.read(".origin").split()
    assert any(name.startswith(("conv", "norm", "relu", "tanh", "add")) for name in names), names


def test_t6_effect_of_switching_one_pass_off(tab: Tab, link: str) -> None:
    keys = Keys(tab, link)
    keys.command("run without fold_batchnorm")
    tab.until("document.querySelector('.compare tr[data-figure=Time] + tr.difference')", 60)
    keys.read(".compare", "Time", "Memory", "Error", "without fold_batchnorm", "±")
    keys.press("u")
    tab.until("window.glowviz.state().against === null")


def test_t7_send_exactly_this_view(tab: Tab, link: str, tmp_path: Path) -> None:
    keys = Keys(tab, link)
    keys.press("n")
    keys.walk_to("c2")
    keys.command("copy link")
    tab.until("document.querySelector('.overlay') === null")
    assert tab.page.evaluate("navigator.clipboard.readText()") == tab.page.url
    with tab.page.expect_download() as waiting:
        keys.command("one html page")
    assert waiting.value.suggested_filename == "glowviz.html"


def test_t8_why_was_a_rule_not_applied_here(tab: Tab, link: str) -> None:
    keys = Keys(tab, link)
    keys.walk_to("n3")
    assert "other users" in keys.read(".left-alone", "fold_batchnorm") or "2 " in keys.read(".left-alone")
    keys = Keys(tab, link)
    keys.command("go to pass fold_batchnorm")
    tab.page.wait_for_selector(".change-group.kept")
    keys.read(".tab-body", "not done")


def test_t9_why_is_it_slow_or_big_and_what_to_do(tab: Tab, link: str) -> None:
    keys = Keys(tab, link)
    assert tab.page.locator(".finding").count() >= 1
    keys.command("finding")
    tab.until("document.querySelector('.compare tr[data-figure=Time] + tr.difference')", 60)


def test_t10_six_lines_and_a_pass(tab: Tab, link: str) -> None:
    keys = Keys(tab, link)
    keys.press("e")
    tab.page.wait_for_selector(".editor textarea:focus")
    tab.page.keyboard.insert_text(SIX_LINES)
    tab.until("document.querySelector('.editor .result').textContent.split('Relu(').length === 2")
    keys.read(".editor .reasons", "cse")
    keys.press("Escape")
    assert tab.page.locator(".overlay").count() == 0


def test_tab_goes_round_all_regions_and_is_nowhere_caught(tab: Tab, link: str) -> None:
    Keys(tab, link)
    seen: list[str] = []
    for _ in range(120):
        tab.page.keyboard.press("Tab")
        seen.append(tab.page.evaluate(
            "document.activeElement.closest('.region')?.id ?? document.activeElement.tagName.toLowerCase()"))
        if seen[-1] == "body":
            break
    for region in ("bar", "ledger", "canvas", "inspector", "dock"):
        assert f"region-{region}" in seen, seen
    assert seen[-1] == "body"


def test_the_help_lists_every_key_that_acts(tab: Tab, link: str) -> None:
    keys = Keys(tab, link)
    keys.press("?")
    shown = set(tab.page.locator(".help kbd").all_inner_texts())
    for key in (*"np/>?tocfedlJu[].,", "Enter", "↓", "→", "Esc"):
        assert key in shown, key
