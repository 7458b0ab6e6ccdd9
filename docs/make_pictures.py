"""`make pictures` takes the pictures of the docs from the real app, at 1400 × 900 px in the light theme."""

from __future__ import annotations

import json
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Page, ViewportSize, sync_playwright

from glowviz.app.server import create_app, make_web_server, real_services
from glowviz.app.store import Store
from glowviz.app.workshop import JobWorkshop
from tests.browser.conftest import READY, chromium

FOLDER = Path(__file__).parent / "pictures"
SIZE: ViewportSize = {"width": 1400, "height": 900}

PICTURES: dict[str, tuple[str, dict[str, Any]]] = {
    "fold_batchnorm": ("resnet50", {"at": "fold_batchnorm", "colour": "Change", "selected": "r1", "tab": "life"}),
    "kernel": ("digit", {"at": "plan_memory", "selected": "scores", "tab": "life", "dock": "llvm", "dock2": "asm"}),
    "memory": ("resnet50", {"at": "plan_memory", "dock": "memory", "tab": "overview"}),
}
"""File name to gallery card and the fields of a permalink; `at` is the pass that changed something."""


def main() -> None:
    """Serve the app from a store of its own, compile the cards, and photograph each view."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        workshop = JobWorkshop(Store(Path(folder)))
        server = make_web_server(create_app(real_services(workshop.store, workshop)), "127.0.0.1", 0)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        try:
            take_all(address, workshop)
        finally:
            server.shutdown()
            workshop.close()


def take_all(address: str, workshop: JobWorkshop) -> None:
    """Take every picture; a browser page each, so that nothing of one view is left in the next."""
    compiled = {name: compiled_card(workshop, name) for name in {card for card, _ in PICTURES.values()}}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        for name, (card, view) in PICTURES.items():
            page = browser.new_page(viewport=SIZE, color_scheme="light", reduced_motion="reduce")
            place = address + permalink(address, compiled[card], view)
            take(page, place, FOLDER / f"{name}.png", code=view.get("dock") == "llvm")
            page.close()
        browser.close()


def compiled_card(workshop: JobWorkshop, card: str) -> str:
    """Compile a gallery card and return its recording's id."""
    recording = workshop.compile({"gallery": card})["recording"]
    while workshop.progress(recording).state == "running":
        time.sleep(0.2)
    return recording


def permalink(address: str, recording: str, view: dict[str, Any]) -> str:
    """The address of a view; the name of a pass becomes the number of its snapshot."""
    with urllib.request.urlopen(f"{address}/api/r/{recording}/passes") as answer:
        rows = json.load(answer)["rows"]
    steps = [at for at, name in zip(rows["snapshot"], rows["name"], strict=True) if name == view["at"]]
    loudest = max(steps, key=lambda at: rows["changes"][at])
    return "/?" + "&".join(f"{key}={value}" for key, value in {"recording": recording, **view, "at": loudest}.items())


def take(page: Page, address: str, path: Path, code: bool) -> None:
    """Photograph a page once it has drawn everything; of code, the inner loop with its matching lines."""
    page.goto(address)
    page.wait_for_selector(READY)
    page.wait_for_timeout(2500)
    if code:
        page.mouse.move(300, 780)
        page.mouse.wheel(0, 14 * 18)
        page.wait_for_timeout(500)
        page.get_by_text("@llvm.fmuladd").first.click()
        page.wait_for_timeout(500)
    page.screenshot(path=path)
    with Image.open(path) as picture:
        picture.convert("RGB").save(path, optimize=True)


if __name__ == "__main__":
    assert chromium(), "no Chromium found: install one or name it in GLOWVIZ_CHROMIUM"
    main()
