"""Browser tests drive the system's Chromium; a console error or a request to the outside fails the test."""

import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from glowviz.app.server import create_app, make_web_server
from glowviz.app.services import Services
from tests.app.fake_recording import RECORDING, fake_services

CANDIDATES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
READY = "html[data-ready=true]"


def chromium() -> str | None:
    """Return the browser to drive: the one the environment names, else the system's."""
    named = os.environ.get("GLOWVIZ_CHROMIUM")
    return named or next((path for name in CANDIDATES if (path := shutil.which(name))), None)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = chromium()
    if path is None:
        pytest.skip("no Chromium found: install one or name it in GLOWVIZ_CHROMIUM")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield running
        running.close()


@contextmanager
def serving(services: Services) -> Iterator[str]:
    """The address of a web server with these services, until the block ends."""
    server = make_web_server(create_app(services), "127.0.0.1", 0)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server that answers from the made-up recording."""
    with serving(fake_services(tmp_path_factory.mktemp("store"))) as address:
        yield address


@dataclass
class Tab:
    """A page with what went wrong in it."""

    page: Page
    address: str
    faults: list[str] = field(default_factory=list)

    def open(self, recording: str | None = RECORDING, **view: object) -> "Tab":
        """Open a recording (None: the first page) in the view the permalink fields give, and wait for the picture."""
        fields = {"recording": recording, **view}
        query = "&".join(f"{key}={value}" for key, value in fields.items() if value is not None)
        self.page.goto(f"{self.address}/?{query}")
        self.page.wait_for_selector(READY)
        return self

    def state(self, key: str) -> object:
        return self.page.evaluate("key => window.glowviz.state()[key]", key)

    def until(self, expression: str, seconds: float = 15) -> None:
        """Wait until `expression` is true; Playwright's own wait needs eval, which the page's CSP refuses."""
        end = time.monotonic() + seconds
        while not self.page.evaluate(expression):
            if time.monotonic() > end:
                raise AssertionError(f"never came true: {expression}")
            self.page.wait_for_timeout(30)

    def node(self, name: str) -> dict:
        return next(node for node in self.page.evaluate("window.glowviz.graph.nodes()") if node["id"] == name)

    def click(self, name: str, times: int = 1) -> None:
        """Click the middle of a box on the canvas."""
        box = self.node(name)
        self.page.mouse.click(box["x"] + box["w"] / 2, box["y"] + box["h"] / 2, click_count=times)

    def picture(self, name: str) -> Path:
        """Save a screenshot for people to look at; returns its path."""
        folder = Path(__file__).parent / "pictures"
        folder.mkdir(exist_ok=True)
        self.page.screenshot(path=folder / f"{name}.png")
        return folder / f"{name}.png"


def open_path(tab: Tab, path: Path) -> None:
    """Open a model of this machine from the first page and wait until its recording is on screen."""
    tab.open(None)
    tab.page.fill(".by-path input", str(path))
    tab.page.click(".by-path button")
    tab.until("window.glowviz.state().recording !== null", 60)


def compiled(tab: Tab) -> None:
    """Wait until the open model is compiled and timed."""
    tab.until("window.glowviz.session().overview?.status === 'done'", 60)
    tab.page.wait_for_selector(READY)


def watched(page: Page, address: str) -> Tab:
    """Return a tab that notes console errors, page errors and requests to anywhere but `address`."""
    page.set_default_timeout(15_000)
    opened = Tab(page, address)
    note = opened.faults.append
    page.on("console", lambda message: note(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: note(str(error)))
    page.on("request", lambda sent: None if sent.url.startswith((address, "data:", "blob:")) else note(sent.url))
    return opened


@pytest.fixture
def tab(browser: Browser, address: str, request: pytest.FixtureRequest) -> Iterator[Tab]:
    """A fresh tab at 1400×900; at the end it must have no console error, no page error and no outside request."""
    theme = getattr(request, "param", "light")
    context = browser.new_context(viewport={"width": 1400, "height": 900}, color_scheme=theme, reduced_motion="reduce")
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    opened = watched(context.new_page(), address)
    yield opened
    context.close()
    assert not opened.faults
