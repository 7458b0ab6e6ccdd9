"""A compiled model takes other sizes where its file leaves them open: it is compiled again, once for each shape.

So it is for each content of an input that sizes follow from (a shape, axes, scales), up to a limit: code for known
sizes needs no host call. Beyond the limit the code that takes any content runs.
"""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from glowviz.compiler.backends.base import Executable, Listing, MemoryAccount
from glowviz.compiler.graph import Graph
from glowviz.compiler.importer import inspect_model
from glowviz.compiler.interpreter.machine import Watch
from glowviz.compiler.problem import Problem
from glowviz.compiler.program import MemoryPlan, Program
from glowviz.compiler.settling import Contents
from glowviz.compiler.shapes import shape_text
from glowviz.compiler.target import Span
from glowviz.compiler.types import Symbol

Shapes = Mapping[str, tuple[int, ...]]
Open = Mapping[str, tuple[int | str, ...] | None]
"""Inputs by name with the dims that the model declares: names are free, None where not even the rank is told."""
CONTENTS = 8
"""Contents of inputs that sizes follow from for which code is made; who gives more of them would only wait."""
Settle = Callable[[Shapes, Mapping[str, Any]], tuple[str, ...]]
"""Names of the inputs that sizes follow from, for these shapes and inputs."""


class CompiledAgain(UserWarning):
    """An input had another shape than the model was compiled for; told once for every new shape."""


@dataclass(frozen=True)
class Specialization:
    """The code for one set of input shapes, and how many seconds it took to make.

    `contents` are inputs that became constants in it.
    """

    shapes: Shapes
    seconds: float
    executable: Executable
    contents: Contents = field(default_factory=dict)

    def fed(self, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        """What is left to give of all inputs."""
        return {n: a for n, a in inputs.items() if n not in self.contents} if self.contents else inputs


class Specialized:
    """The executable of the first shapes; `run` makes and keeps another one where an input has another shape.

    Everything but `run`, `timings`, `close` and what is asked with inputs is that of the first. `again` compiles for
    shapes and contents; `source`, the model, says which dims are open; `settle` says which contents sizes follow
    from (None: sizes stay open). A model with states has one set of them, so it keeps to its first shapes.
    """

    def __init__(
        self,
        first: Executable,
        seconds: float,
        source: Any,
        again: Callable[[Shapes, Contents], Executable],
        progress: Callable[[str], None],
        settle: Settle | None = None,
    ) -> None:
        self._first, self._source, self._again, self._progress = first, source, again, progress
        self._settle = settle if any(b.held and b.kind != "input" for b in first.program.buffers.values()) else None
        self._names: dict[Any, tuple[str, ...]] = {}
        self._wanted = {b.name: b.type.dims for b in first.program.of_kind("input") if not b.held}
        self._states = any(True for _ in first.program.of_kind("state"))
        self._made: dict[Any, Specialization] = {_key(self._wanted): Specialization(self._wanted, seconds, first)}
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

    def listing(self, inputs: Mapping[str, Any] | None = None) -> tuple[Listing, ...]:
        """That of the code for these inputs."""
        return (self._first if inputs is None else self._for(inputs).executable).listing()

    def peak_gflops(self) -> float | None:
        return self._first.peak_gflops()

    def peak_gbytes(self, threads: int = 1) -> dict[str, float]:
        return self._first.peak_gbytes(threads)

    def account(self) -> MemoryAccount:
        return self._first.account()

    def save(self, path: Path | str) -> Path:
        return self._first.save(path)

    @property
    def specializations(self) -> tuple[Specialization, ...]:
        """What was compiled so far, the first one first."""
        return tuple({id(made): made for made in self._made.values()}.values())

    def run(self, inputs: Mapping[str, Any], watch: Watch | None = None) -> dict[str, np.ndarray]:
        """All outputs by public name; a new shape of an open dimension is compiled first, and a warning says so."""
        made = self._for(inputs)
        return made.executable.run(made.fed(inputs), watch)

    def timings(self, runs: int = 30, inputs: Mapping[str, Any] | None = None) -> tuple[Span, ...]:
        """Those of the code for these inputs' shapes."""
        if inputs is None:
            return self._first.timings(runs)
        made = self._for(inputs)
        return made.executable.timings(runs, made.fed(inputs))

    def close(self) -> None:
        """End all threads."""
        for made in self.specializations:
            getattr(made.executable, "close", lambda: None)()

    def _for(self, inputs: Mapping[str, Any]) -> Specialization:
        first = self._made[_key(self._wanted)]
        if not isinstance(inputs, Mapping) or self._states or set(inputs) != {*self._wanted, *self._held()}:
            return first
        shapes = {name: tuple(np.shape(inputs[name])) for name in self._wanted}
        if shapes == self._wanted and self._settle is None:
            return first
        with self._lock:
            found = self._made.get(_key(shapes))
            if found is None:
                if not self._is_open(shapes):
                    return first  # it refuses them in its own words
                found = self._made[_key(shapes)] = self._compiled(shapes)
            return found if self._settle is None else self._settled(found, inputs, self._settle)

    def _settled(self, found: Specialization, inputs: Mapping[str, Any], settle: Settle) -> Specialization:
        """The code for these contents of inputs that sizes follow from; `found` where there are too many of them."""
        shape_key = _key(found.shapes)
        if shape_key not in self._names:
            self._names[shape_key] = settle(found.shapes, inputs)
        contents = {name: np.array(inputs[name]) for name in self._names[shape_key]}
        buffers = found.executable.program.buffers
        if not contents or any(a.dtype != buffers[n].type.dtype for n, a in contents.items()):
            return found
        key = (shape_key, *((name, array.tobytes()) for name, array in contents.items()))
        if key not in self._made and sum(bool(made.contents) for made in self._made.values()) < CONTENTS:
            self._made[key] = self._with_contents(found, contents)
        return self._made.get(key, found)

    def _with_contents(self, found: Specialization, contents: Contents) -> Specialization:
        told = ", ".join(f"{name}={array.tolist()}" for name, array in contents.items())
        self._progress(f"Sizes: compiling for {told}")
        started, again = time.perf_counter(), any(made.contents for made in self._made.values())
        try:
            executable = self._again({n: s for n, s in found.shapes.items() if n not in contents}, contents)
        except Problem:
            return found  # what takes any content says what is wrong with this one, if anything is
        seconds = time.perf_counter() - started
        if again:
            warnings.warn(
                f"compiled again in {seconds:.2f} s for {told}; kept for later runs", CompiledAgain, stacklevel=6
            )
        return Specialization(found.shapes, seconds, executable, contents)

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
        executable = self._again(shapes, {})
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
