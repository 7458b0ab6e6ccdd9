"""A compilation that crashes, loops or eats memory ends one job; the page says what, where, what to do, and goes on."""

from collections.abc import Iterator
from pathlib import Path

import onnx
import pytest

from glowviz.jobs import Limits
from tests.browser.conftest import Tab, compiled, open_path
from tests.browser.working import working

pytestmark = pytest.mark.browser
OWN = Path(__file__).with_name("accident_passes.py")
TEXT = """graph @{name}(%x: f32[4]) {{
  %a: f32[4] = Cos(%x)
  %b: f32[4] = Sin(%a)
  %c: f32[4] = Relu(%b)
  %d: f32[4] = Tanh(%c)
  %e: f32[4] = Relu(%d)
  return "y"=%e
}}
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    options = {"load": [str(OWN)], "limits": Limits(memory=2 << 30)}
    with working(tmp_path_factory.mktemp("store"), **options) as (address, _):
        yield address


def opened(tab: Tab, folder: Path, name: str) -> None:
    path = folder / f"{name}.glow"
    path.write_text(TEXT.format(name=name))
    open_path(tab, path)


@pytest.mark.parametrize(("name", "what", "expected"), [
    ("crash", "SIGSEGV", "an answer"), ("loop", "cancelled", "somebody waits for"), ("eat", "memory", "limit")])
def test_an_accident_is_told_in_its_row_and_the_next_job_is_served(
    tab: Tab, tmp_path: Path, name: str, what: str, expected: str
) -> None:
    opened(tab, tmp_path, name)
    if name == "loop":
        tab.page.get_by_role("button", name="Cancel").click()
    tab.page.wait_for_selector(".pass.failed .problem", timeout=30_000)
    row = tab.page.locator(".pass.failed")
    assert row.get_attribute("data-pass") == "cse"
    text = row.inner_text()
    for words in (what, expected, "witch", "cse"):  # what, expected, do ("switch off the pass"), where
        assert words in text, text
    _last_good_state_is_shown(tab, name)
    _report_and_cutouts(tab, name, tmp_path)
    tab.picture(f"accident-{name}")
    opened(tab, tmp_path, "healthy")
    compiled(tab)
    assert tab.page.locator(".pass.failed").count() == 0


def _last_good_state_is_shown(tab: Tab, name: str) -> None:
    tab.until("window.glowviz.graph.nodes().length >= 5")
    unreached = tab.page.locator(".pass.unreached, .group-head:has-text('not reached')")
    assert unreached.count() >= 5
    if name == "eat":  # a refused allocation is an error that Python reports, not the end of a process
        return
    tab.until("window.glowviz.state().selected === 'c'")
    assert "rule accident at %c" in tab.page.inner_text(".pass.failed .where")


def _report_and_cutouts(tab: Tab, name: str, folder: Path) -> None:
    card = tab.page.locator(".pass.failed .problem")
    card.get_by_role("button", name="Copy report").click()
    report = tab.page.evaluate("navigator.clipboard.readText()")
    for words in ("failed", "what:", "where:", "versions:", "options:"):
        assert words in report
    for kind in ("glow", "onnx"):
        with tab.page.expect_download() as waiting:
            card.get_by_role("link", name=f"(.{kind})").click()
        saved = folder / f"{name}-cutout.{kind}"
        waiting.value.save_as(saved)
        ops = saved.read_text() if kind == "glow" else " ".join(node.op_type for node in onnx.load(saved).graph.node)
        assert "Tanh" in ops
        assert "Relu" in ops
