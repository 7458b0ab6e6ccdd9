"""The app as it is behind real recordings: a server with its own store and jobs, and a small network compiled in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from glowviz.app.server import real_services
from glowviz.app.store import Store
from glowviz.app.workshop import JobWorkshop
from tests.browser.conftest import READY, Tab, compiled, serving
from tests.small_network import TEXT


@contextmanager
def working(folder: Path, **options: Any) -> Iterator[tuple[str, JobWorkshop]]:
    """The address of a server on a store in this folder, and its workshop with these options, until the block ends."""
    workshop = JobWorkshop(Store(folder), **options)
    with serving(real_services(workshop.store, workshop)) as address:
        yield address, workshop
    workshop.close()


def network(folder: Path) -> Path:
    """A file with the small network."""
    path = folder / "tasks.glow"
    path.write_text(TEXT)
    return path


@contextmanager
def one_run(folder: Path, **options: Any) -> Iterator[str]:
    """The permalink of the small network, which is being compiled."""
    with working(folder, **options) as (address, workshop):
        yield f"{address}/?recording={workshop.open_path(network(folder))['recording']}"


def open_run(tab: Tab, link: str) -> None:
    """Open a permalink of `one_run`, and wait until it is compiled and timed."""
    tab.address = link.split("/?")[0]
    tab.page.goto(link)
    tab.page.wait_for_selector(READY)
    compiled(tab)
