"""How long a class waits: 30 users step through the passes of different recordings; ms per route, CPU-s of the server.

python benchmarks/serve.py [RUN.glowrec …] [--users 30] [--seconds 30] [--think 2] [--workers 0]
Without recordings, the gallery's models are compiled, each with and without fusion. Every user goes to the next pass
that changed something, as the page does: scene, numbers, changes, then the neighbours' scenes that it prefetches, the
open dock (text, program, memory), and the card of one node (life, why). The server starts with empty caches.
"""

import argparse
import gzip
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path

import orjson
import psutil

Times = dict[str, list[float]]
LIMIT = 150.0  # ms that the slowest of 20 answers may take


class User:
    """Steps through one recording over one connection, as a browser does."""

    def __init__(self, port: int, recording: str, times: Times, lock: threading.Lock) -> None:
        self.connection = HTTPConnection("127.0.0.1", port, timeout=60)
        self.here = f"/api/r/{recording}"
        self.times, self.lock = times, lock

    def get(self, route: str, path: str) -> dict:
        """Return an answer; its time goes to `route`."""
        start = time.perf_counter()
        self.connection.request("GET", f"{self.here}/{path}", headers={"Accept-Encoding": "gzip"})
        answer = self.connection.getresponse()
        body = answer.read()
        spent = (time.perf_counter() - start) * 1e3
        if answer.status == 404 and route in ("life", "why"):
            return {}  # a place of the machine's own, such as a halo, has no life; the page says so
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.status} {body[:200]!r}")
        with self.lock:
            self.times.setdefault(route, []).append(spent)
        return orjson.loads(gzip.decompress(body) if answer.headers.get("Content-Encoding") == "gzip" else body)

    def open(self) -> tuple[list[int], int]:
        """Return the states that differ and the first program among them."""
        self.get("overview", "overview")
        rows = self.get("passes", "passes")["rows"]
        stops = [at for at, changes in zip(rows["snapshot"], rows["changes"], strict=True) if at == 0 or changes]
        levels = dict(zip(rows["snapshot"], rows["level"], strict=True))
        return stops, next((at for at in stops if levels[at] == "program"), len(levels))

    def step(self, at: int, after: int, is_program: bool) -> None:
        """Ask for everything that one step to state `at` shows."""
        base = f"base={at - 1}&" if at else ""
        scene = self.get("scene", f"scene/{at}?{base}fold=blocks")
        self.get("numbers", f"numbers/{at}")
        if at:
            self.get("changes", f"changes/{at}")
        for dock in ("program", "memory") if is_program else ("text",):
            self.get(dock, f"{dock}/{at}")
        name = urllib.parse.quote(picked(scene, at), safe="")
        for card in ("life", "why"):
            self.get(card, f"{card}/{at}?name={name}")
        self.get("scene (prefetched)", f"scene/{after}?base={after - 1}&fold=blocks")


def picked(scene: dict, at: int) -> str:
    """Return the value that a click on some box selects: the box's own, or the first one that it stands for."""
    names = scene["boxes"]["name"]
    box = at % len(names)
    return scene["members"].get(str(box), [names[box]])[0].removeprefix("input:")


def use(user: User, think: float, end: float, first: int) -> None:
    """Step until `end` (of time.monotonic), from the imported graph on, and think in between."""
    stops, programs = user.open()
    place = 0
    time.sleep(think * (first % 10) / 10)
    while time.monotonic() < end:
        at, after = stops[place % len(stops)], stops[(place + 1) % len(stops)]
        user.step(at, max(after, 1), at >= programs)
        place += 1
        time.sleep(think)


def recordings(folder: Path) -> list[Path]:
    """Compile the gallery twice over; returns the recordings."""
    import glowviz
    from glowviz.gallery import cards

    made = []
    for card in cards():
        for disabled in ((), ("fuse",)):
            path = folder / f"{len(made)}.glowrec"
            glowviz.compile(card.build(), shapes=card.shapes(), record=path, disable=disabled)
            made.append(path)
    return made


def started(store: Path, workers: int) -> tuple[subprocess.Popen[bytes], int]:
    """Start the server on a store of its own; returns its process and its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    one = ("import glowviz.app.wsgi as w; from werkzeug.serving import make_server, WSGIRequestHandler as H; "
           "H.log_request = lambda *a: None; H.protocol_version = 'HTTP/1.1'; "
           f"make_server('127.0.0.1', {port}, w.application(), threaded=True, request_handler=H).serve_forever()")
    many = ["-m", "gunicorn", "-w", str(workers), "--threads", "16", "--keep-alive", "30", "-b", f"127.0.0.1:{port}",
            "glowviz.app.wsgi:application()"]
    command = [sys.executable, *(many if workers else ["-c", one])]
    process = subprocess.Popen(command, env=os.environ | {"GLOWVIZ_CACHE": str(store)}, stderr=subprocess.DEVNULL)
    until(lambda: urllib.request.urlopen(f"http://127.0.0.1:{port}/api/health", timeout=5).close())
    return process, port


def until(ask: Callable[[], None], seconds: float = 60) -> None:
    """Ask until it goes well."""
    end = time.monotonic() + seconds
    while True:
        try:
            return ask()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


def cpu_seconds(process: subprocess.Popen[bytes]) -> float:
    """Return the processor time of the server and its workers so far."""
    root = psutil.Process(process.pid)
    return sum(sum(one.cpu_times()[:2]) for one in (root, *root.children(recursive=True)))


def report(times: Times, cpu: float, seconds: float) -> Iterator[str]:
    """Yield the table, line by line."""
    yield f"{'route':20} {'answers':>7} {'p50 ms':>8} {'p95 ms':>8} {'max ms':>8}"
    everything = [one for found in times.values() for one in found]
    for route, found in [*sorted(times.items()), ("all", everything)]:
        ordered = sorted(found)
        p95 = ordered[int(0.95 * (len(ordered) - 1))]
        late = "  > 150" if p95 > LIMIT else ""
        yield f"{route:20} {len(found):7} {ordered[len(found) // 2]:8.1f} {p95:8.1f} {ordered[-1]:8.1f}{late}"
    yield f"server: {cpu:.1f} CPU-s in {seconds:.0f} s, {1e3 * cpu / max(1, len(everything)):.1f} ms an answer"


def main() -> None:
    """Run the class and print the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("recordings", nargs="*", type=Path)
    options.add_argument("--users", type=int, default=30)
    options.add_argument("--seconds", type=float, default=30)
    options.add_argument("--think", type=float, default=2)
    options.add_argument("--workers", type=int, default=0, help="gunicorn's; 0 = the server of `glowviz` itself")
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        names = [f"{at:032x}" for at, _ in enumerate(asked.recordings or recordings(Path(folder)))]
        target = Path(folder) / "store" / "recordings"
        target.mkdir(parents=True)
        for name, path in zip(names, asked.recordings or sorted(Path(folder).glob("*.glowrec")), strict=True):
            shutil.copyfile(path, target / f"{name}.glowrec")
        process, port = started(Path(folder), asked.workers)
        times: Times = {}
        try:
            seconds, lock = time.monotonic(), threading.Lock()
            users = [threading.Thread(target=use, daemon=True, args=(
                User(port, names[at % len(names)], times, lock), asked.think, seconds + asked.seconds, at))
                for at in range(asked.users)]
            before = cpu_seconds(process)
            for user in users:
                user.start()
            for user in users:
                user.join()
            print(*report(times, cpu_seconds(process) - before, time.monotonic() - seconds), sep="\n")
        finally:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    main()
