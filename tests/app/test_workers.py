"""Two workers of gunicorn answer alike: what a recording says never depends on who is asked."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

import glowviz
from glowviz.app.store import Store
from glowviz.compiler.text import parse_graph
from tests.app.test_recordings import TEXT

pytest.importorskip("gunicorn")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("workers")
    glowviz.compile(parse_graph(TEXT), target="interpreter", record=folder / "small.glowrec")
    Store(folder / "store").adopt(folder / "small.glowrec")
    return folder


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "gunicorn", "-w", "2", "--threads", "2", "-b", f"127.0.0.1:{port}",
               "--log-level", "error", "glowviz.app.wsgi:application()"]
    server = subprocess.Popen(command, env=os.environ | {"GLOWVIZ_CACHE": str(folder)}, stderr=subprocess.PIPE)
    for _ in range(300):
        if server.poll() is not None:
            break
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/api/health", timeout=5).close()
            break
        except OSError:
            time.sleep(0.1)
    assert server.poll() is None, server.stderr.read() if server.stderr else ""
    yield f"http://127.0.0.1:{port}"
    server.terminate()
    server.communicate()


def asked(address: str, path: str) -> tuple[dict, str, str]:
    """Return the answer, its ETag, and the worker that gave it."""
    with urllib.request.urlopen(address + path, timeout=30) as answer:
        return orjson.loads(answer.read()), answer.headers["ETag"], answer.headers["X-Worker"]


def test_both_workers_step_through_a_recording(address: str) -> None:
    row = asked(address, "/api/recordings")[0]["recordings"][0]
    here = f"/api/r/{row['id']}"
    rows = asked(address, f"{here}/passes")[0]["rows"]
    stops = [at for at, changes in zip(rows["snapshot"], rows["changes"], strict=True) if at == 0 or changes]
    tags: dict[str, dict[str, str]] = {}
    for _ in range(40):
        for at in stops:
            for path in (f"{here}/scene/{at}?fold=blocks", f"{here}/numbers/{at}", f"{here}/text/{at}"):
                _, tag, worker = asked(address, path)
                tags.setdefault(path, {})[worker] = tag
        if all(len(found) == 2 for found in tags.values()):
            break
    assert {len(found) for found in tags.values()} == {2}, "one worker gave all answers"
    assert all(len(set(found.values())) == 1 for found in tags.values())


def test_paths_of_the_server_stay_closed(address: str) -> None:
    body = orjson.dumps({"path": "/etc/passwd"})
    request = urllib.request.Request(f"{address}/api/open", body, {"Content-Type": "application/json"})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=30)
    assert refused.value.code == 403
    refused.value.close()
