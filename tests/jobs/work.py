"""Functions for the jobs of the tests: good ones, and one for each way to end badly."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from glowviz.compiler.problem import Problem
from glowviz.jobs import report_place


def add(a: int, b: int) -> dict[str, int]:
    return {"sum": a + b, "pid": os.getpid()}


def count_to(n: int, progress: Callable[[float, str], None]) -> int:
    for i in range(n):
        progress((i + 1) / n, f"step {i + 1}")
        time.sleep(0.06)
    return n


def write(folder: Path, text: str) -> str:
    (folder / "note.txt").write_text(text)
    Path("scratch.txt").write_text("gone with the job")
    return os.getcwd()


def read(model: str) -> str:
    return Path(model).read_text()


def refuse() -> None:
    raise Problem("The scale has 128 values.", "initializer s of model.onnx", "f32[64]", "Re-export the file.")


def stumble() -> None:
    raise KeyError("missing")


def segfault(progress: Callable[[float, str], None]) -> None:
    progress(0.5, "pass fuse")
    ctypes.string_at(0)


def spin() -> None:
    while True:
        pass


def sleep(seconds: float) -> str:
    time.sleep(seconds)
    return "slept"


def eat() -> int:
    kept = []
    while True:
        kept.append(np.ones(1 << 24, np.uint8))


def fill_disk(folder: Path) -> None:
    with (folder / "big").open("wb") as file:
        while True:
            file.write(b"0" * (1 << 20))


def leave() -> None:
    os._exit(7)


def killed_from_outside() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def object_answer() -> object:
    return object()


def start_another(folder: Path) -> None:
    """Start a process that outlives us, in a session of its own, and wait to be cancelled."""
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    (folder / "pid").write_text(str(other.pid))
    time.sleep(60)


def limits_seen() -> dict[str, int]:
    import resource
    kinds = ("RLIMIT_AS", "RLIMIT_CPU", "RLIMIT_FSIZE", "RLIMIT_CORE")
    return {kind: resource.getrlimit(getattr(resource, kind))[0] for kind in kinds}


def modules() -> list[str]:
    return sorted(sys.modules)


def compile_and_run(model: str, inputs: str, folder: Path, progress: Callable[[float, str], None]) -> int:
    """Compile a digit network, record it, and name the digit of the first picture in the inputs file."""
    import glowviz

    run = glowviz.compile(model, record=folder / "run.glowrec", progress=lambda line: progress(0.5, line))
    with np.load(inputs) as pictures:
        return int(run.run({"picture": pictures["a 7/picture"]})["scores"].argmax())


def crash_at_a_place(progress: Callable[[float, str], None]) -> None:
    progress(0.5, "Simplify: cse")
    progress(0.5, "Simplify: dce")  # at once after the other: both must be seen
    report_place("rule a at %b")
    ctypes.string_at(0)
