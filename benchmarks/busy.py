"""python benchmarks/busy.py [MODEL …] prints what two threads cost while another program keeps one core busy.

A process counts on the last core, without end and at normal priority. Runs on one and on two threads take turns, each
with a new input; the ratio of their medians is 1 where the busy core neither helps nor holds anybody up. Beside it
stands the same without the neighbour. Models are names of benchmarks/run.py or files.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402  (the path above comes first)

import glowviz  # noqa: E402
from benchmarks.run import BUILDERS, built  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS = 6.0
SPIN = "import os\nos.sched_setaffinity(0, {%d})\nwhile True: pass"


@contextmanager
def neighbour(wanted: bool) -> Iterator[None]:
    """While the block runs, the last core is busy, if that is wanted."""
    core = max(os.sched_getaffinity(0))
    process = subprocess.Popen([sys.executable, "-c", SPIN % core]) if wanted else None
    try:
        time.sleep(0.3)
        yield
    finally:
        if process is not None:
            process.kill()
            process.wait()


def turns(executables: list[glowviz.Executable]) -> list[list[float]]:
    """Seconds of every run of each executable."""
    rng = np.random.default_rng(0)
    times: list[list[float]] = [[] for _ in executables]
    while sum(map(sum, times)) < SECONDS:
        for executable, found in zip(executables, times, strict=True):
            for _ in range(5):
                feed = {b.name: _numbers(rng, b.type) for b in executable.program.of_kind("input")}
                started = time.perf_counter()
                executable.run(feed)
                found.append(time.perf_counter() - started)
    return times


def _numbers(rng: np.random.Generator, type_: Any) -> np.ndarray:
    floats = type_.dtype.kind == "f"
    return rng.standard_normal(type_.dims).astype(type_.dtype) if floats else np.ones(type_.dims, type_.dtype)


def line(name: str, model: Path) -> str:
    """One model."""
    executables = [glowviz.compile(model, threads=threads) for threads in (1, 2)]
    cells = []
    for wanted in (True, False):
        with neighbour(wanted):
            one, two = (median(times) for times in turns(executables))
            cells.append(f"{1e3 * one:>10.2f}{1e3 * two:>10.2f}{two / one:>8.2f}")
    return f"{name:<20}" + "".join(cells)


def main() -> None:
    """Print the table."""
    parser: Any = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=["light_resnet50", "mobilenet_v2", "minilm"])
    print(f"{'':<20}{'one core busy':^28}{'nobody else':^28}")
    print(f"{'model':<20}" + f"{'1 thr. ms':>10}{'2 thr. ms':>10}{'2 / 1':>8}" * 2)
    for name in parser.parse_args().models:
        print(line(Path(name).stem, built(name) if name in BUILDERS else Path(name)), flush=True)


if __name__ == "__main__":
    main()
