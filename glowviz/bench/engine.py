"""An Engine loads one model and runs it, numpy in, numpy out; each lives in a module and a process of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol

import numpy as np

from glowviz.compiler.problem import Problem

Arrays = Mapping[str, np.ndarray]

ENGINES = {
    "glowviz": "glowviz.bench.glowviz_engine",
    "onnxruntime": "glowviz.bench.onnxruntime_engine",
    "openvino": "glowviz.bench.openvino_engine",
    "mnn": "glowviz.bench.mnn_engine",
}


@dataclass(frozen=True)
class Signature:
    """What a loaded model takes and gives: input name -> (shape, numpy type name), and output names in order."""

    inputs: dict[str, tuple[tuple[int, ...], str]]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class Request:
    """What to load. `signature` is what another engine found, for those that cannot tell themselves.

    Engines that only know f32 take no notice of `precision`, and stand for the right answer.
    """

    path: str
    shapes: dict[str, tuple[int, ...]]
    threads: int
    signature: Signature | None = None
    precision: str = "f32"


class Engine(Protocol):
    """A model that is ready to run. Made by load(request) of its module.

    Arithmetic is f32, unless the engine has a `precision` that says otherwise.
    """

    version: str

    def signature(self) -> Signature | None:
        """Inputs and outputs with every dimension bound; None when the engine cannot tell."""
        ...

    def run(self, inputs: Arrays) -> Arrays:
        """All outputs as fresh arrays."""
        ...


def load(name: str, request: Request) -> Engine:
    """Import the engine's module and load the model. Problem when the name or the library is missing.

    A name with a dot is a module of one's own that has load(request) -> Engine.
    """
    if name not in ENGINES and "." not in name:
        raise Problem(f"No engine is called {name!r}.", "--against", ", ".join(ENGINES))
    try:
        module = import_module(ENGINES.get(name, name))
    except ImportError as error:
        raise Problem(f"{name} cannot be used: {error}.", "this environment", f"the package {name}",
                      "Install it: pip install 'glowviz[bench]'") from error
    return module.load(request)


def bound(name: str, dims: Sequence[int | str | None], shapes: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
    """The shape of one input: what the user gave, else the file's own; only a free first dimension becomes 1."""
    if name in shapes:
        return tuple(shapes[name])
    result = [1 if place == 0 and not isinstance(dim, int) else dim for place, dim in enumerate(dims)]
    if not all(isinstance(dim, int) for dim in result):
        example = "x".join(str(dim) if isinstance(dim, int) else "?" for dim in result)
        raise Problem(f"Input {name!r} has free dimensions.", f"shape {list(dims)}", "a size for each",
                      f"Give it with --shape {name}={example}")
    return tuple(int(dim) for dim in result if dim is not None)
