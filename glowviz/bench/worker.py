"""One engine in a process of its own: python -m glowviz.bench.worker NAME takes orders as JSON lines and answers so."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
import traceback
from importlib import import_module
from typing import IO, Any

import numpy as np

from glowviz.bench import clock
from glowviz.bench.engine import ENGINES, Engine, Request, Signature, load
from glowviz.bench.feeds import random_feed
from glowviz.compiler.problem import Problem


class Worker:
    """Holds the loaded engine between orders. Every order is a method that takes and gives plain data."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.engine: Engine | None = None
        self.known: Signature | None = None

    def load(self, path: str, shapes: dict[str, list[int]], threads: int, cores: list[int],
             signature: dict[str, Any] | None, precision: str = "f32") -> dict[str, Any]:
        """Load the model and answer once; seconds count from the file to that answer, the library's import apart."""
        pinned = clock.pin(cores)
        bound = {name: tuple(shape) for name, shape in shapes.items()}
        request = Request(path, bound, threads, signature_from(signature) if signature else None, precision)
        imported = clock.cpu_seconds()
        _import_only(self.name)
        start = (time.perf_counter(), clock.cpu_seconds())
        self.engine = load(self.name, request)
        loaded = (time.perf_counter(), clock.cpu_seconds())
        self.known = self.engine.signature()
        assert self.known is not None
        self.engine.run(random_feed(self.known, 0))
        return {"version": self.engine.version, "precision": getattr(self.engine, "precision", "f32"),
                "pinned": pinned, "signature": signature_to(self.known),
                "import_cpu": start[1] - imported, "load_wall": loaded[0] - start[0],
                "load_cpu": loaded[1] - start[1], "first_wall": time.perf_counter() - start[0],
                "first_cpu": clock.cpu_seconds() - start[1]}

    def window(self, seconds: float, seed: int) -> dict[str, Any]:
        """Nanoseconds of each call."""
        engine, known = self._ready()
        times, real_time = clock.window(engine.run, lambda s: random_feed(known, s), seconds, seed)
        return {"times": times, "real_time": real_time}

    def answer(self, seed: int, file: str) -> dict[str, Any]:
        """Write all outputs for the input of this seed."""
        engine, known = self._ready()
        np.savez(file, allow_pickle=False, **dict(engine.run(random_feed(known, seed))))
        return {}

    def memory(self) -> dict[str, Any]:
        """The peak so far, in bytes."""
        return {"peak": clock.peak_bytes()}

    def _ready(self) -> tuple[Engine, Signature]:
        assert self.engine is not None, "the first order is load"
        assert self.known is not None
        return self.engine, self.known


def _import_only(name: str) -> None:
    """Import the engine's library, so that loading is timed without it. Its absence is told by load."""
    with contextlib.suppress(ImportError):
        import_module(ENGINES.get(name, name))


def signature_to(signature: Signature) -> dict[str, Any]:
    """As JSON."""
    return {"inputs": {name: [list(shape), kind] for name, (shape, kind) in signature.inputs.items()},
            "outputs": list(signature.outputs)}


def signature_from(data: dict[str, Any]) -> Signature:
    """From JSON."""
    return Signature({name: (tuple(shape), kind) for name, (shape, kind) in data["inputs"].items()},
                     tuple(data["outputs"]))


def serve(name: str, orders: IO[str], answers: IO[str]) -> None:
    """Answer every order until there are no more; an error is an answer too."""
    worker = Worker(name)
    for line in orders:
        order = json.loads(line)
        try:
            answer = getattr(worker, order.pop("do"))(**order)
        except Problem as problem:
            answer = {"error": str(problem)}
        except Exception as error:
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    # Libraries print what they like; the answers keep the real stdout for themselves.
    with os.fdopen(os.dup(1), "w") as kept:
        os.dup2(2, 1)
        serve(sys.argv[1], sys.stdin, kept)
