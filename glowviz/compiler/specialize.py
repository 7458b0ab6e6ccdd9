"""A compiled model takes other sizes where its file leaves them open: it is compiled again, once for each shape."""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from glowviz.compiler.backends.base import Executable, Listing, MemoryAccount
from glowviz.compiler.graph import Graph
from glowviz.compiler.importer import inspect_model
from glowviz.compiler.interpreter.machine import Watch
from glowviz.compiler.program import MemoryPlan, Program
from glowviz.compiler.shapes import shape_text
from glowviz.compiler.target import Span
from glowviz.compiler.types import Symbol

Shapes = Mapping[str, tuple[int, ...]]
Open = Mapping[str, tuple[int | str, ...] | None]
"""Inputs by name with the dims that the model declares: names are free, None where not even the rank is told."""


class CompiledAgain(UserWarning):
    """An input had another shape than the model was compiled for; told once for every new shape."""


@dataclass(frozen=True)
class Specialization:
    """The code for one set of input shapes, and how many seconds it took to make."""

    shapes: Shapes
    seconds: float
    executable: Executable


class Specialized:
    """The executable of the first shapes; `run` makes and keeps another one where an input has another shape.

    Everything but `run`, `timings` and `close` is that of the first. `again(shapes)` compiles; `source`, the model,
    says which dims are open. A model with states has one set of them, so it keeps to its first shapes.
    """

    def __init__(
        self, first: Executable, seconds: float, source: Any, again: Callable[[Shapes], Executable],
        progress: Callable[[str], None],
    ) -> None:
        self._first, self._source, self._again, self._progress = first, source, again, progress
        self._wanted = {b.name: b.type.dims for b in first.program.of_kind("input") if not b.held}
        self._states = any(True for _ in first.program.of_kind("state"))
        self._made = {_key(self._wanted): Specialization(self._wanted, seconds, first)}
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        if name == "_first":  # before it is there, or where a copy asks
            raise AttributeError(name)
        return getattr(self._first, name)

    @property
    def program(self) -> Program:
        return self._first.program

    @property
    def plan(self) -> MemoryPlan:
        return self._first.plan

    def listing(self) -> tuple[Listing, ...]:
        return self._first.listing()

    def peak_gflops(self) -> float | None:
        return self._first.peak_gflops()

    def account(self) -> MemoryAccount:
        return self._first.account()

    def save(self, path: Path | str) -> Path:
        return self._first.save(path)

    @property
    def specializations(self) -> tuple[Specialization, ...]:
        """What was compiled so far, the first one first."""
        return tuple(self._made.values())

    def run(self, inputs: Mapping[str, Any], watch: Watch | None = None) -> dict[str, np.ndarray]:
        """All outputs by public name; a new shape of an open dimension is compiled first, and a warning says so."""
        return self._for(inputs).run(inputs, watch)

    def timings(self, runs: int = 30, inputs: Mapping[str, Any] | None = None) -> tuple[Span, ...]:
        """Those of the code for these inputs' shapes."""
        return (self._first if inputs is None else self._for(inputs)).timings(runs, inputs)

    def close(self) -> None:
        """End all threads."""
        for made in self.specializations:
            getattr(made.executable, "close", lambda: None)()

    def _for(self, inputs: Mapping[str, Any]) -> Executable:
        if not isinstance(inputs, Mapping) or self._states or set(inputs) != {*self._wanted, *self._held()}:
            return self._first
        shapes = {name: tuple(np.shape(inputs[name])) for name in self._wanted}
        if shapes == self._wanted:
            return self._first
        with self._lock:
            found = self._made.get(_key(shapes))
            if found is None:
                if not self._is_open(shapes):
                    return self._first  # it refuses them in its own words
                found = self._made[_key(shapes)] = self._compiled(shapes)
        return found.executable

    def _held(self) -> list[str]:
        return [b.name for b in self._first.program.of_kind("input") if b.held]

    def _is_open(self, shapes: Shapes) -> bool:
        """Every size that differs from the first shapes is one that the model leaves open, one number for a name."""
        declared, values = declared_dims(self._source), {}
        for name, shape in shapes.items():
            dims = declared.get(name, ())
            if dims is None:
                continue
            if len(dims) != len(shape):
                return False
            for dim, number in zip(dims, shape, strict=True):
                if number != (values.setdefault(dim, number) if isinstance(dim, str) else dim):
                    return False
        return True

    def _compiled(self, shapes: Shapes) -> Specialization:
        told = " ".join(shape_text(name, shape) for name, shape in shapes.items() if shape != self._wanted[name])
        self._progress(f"Shapes: compiling again for {told}")
        started = time.perf_counter()
        executable = self._again(shapes)
        seconds = time.perf_counter() - started
        warnings.warn(f"compiled again in {seconds:.2f} s for {told}; kept for later runs", CompiledAgain, stacklevel=5)
        return Specialization(shapes, seconds, executable)


def _key(shapes: Shapes) -> tuple[tuple[str, tuple[int, ...]], ...]:
    return tuple(sorted(shapes.items()))


def declared_dims(source: Any) -> Open:
    """The dims of every input as the model itself declares them."""
    if isinstance(source, Graph):
        return {
            name: None if t.shape is None else tuple(str(d) if isinstance(d, Symbol) else d for d in t.shape)
            for name, t in source.inputs.items()
        }
    return {facts.name: facts.dims for facts in inspect_model(source).inputs}
