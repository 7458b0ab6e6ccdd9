"""What each pass changed in which model, and how far the interpreter's results are apart before and after it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from glowviz.cli.checks import promised
from glowviz.cli.tables import columns
from glowviz.compiler.backends import backend_named
from glowviz.compiler.graph import Graph
from glowviz.compiler.importer import read_model
from glowviz.compiler.interpreter import Memo
from glowviz.compiler.ledger import Ledger
from glowviz.compiler.pipeline import arranged, import_graph, lower_to_program, optimize, with_shapes
from glowviz.compiler.problem import Problem
from glowviz.compiler.recording.records import PassLog
from glowviz.compiler.rewrite import PASSES
from glowviz.compiler.validate import Difference, differences, inputs_of, keeps, outputs_of, refuse_chance
from glowviz.gallery import cards
from tests.compiler.golden_files import ROOT as GOLDEN
from tests.compiler.golden_files import golden_paths, read, run
from tests.conformance import suites
from tests.conformance.outcome import _fixings, _with_constants, free_inputs
from tests.models import TRAINED, find_trained

TARGET = "cpu"
BIND = "bind_shapes"


@dataclass(frozen=True)
class Step:
    """One run of one pass on one model."""

    name: str
    model: str
    fired: int
    difference: Difference
    kept: bool
    """The promise holds, as `glowviz validate` sees it."""


def step_of(name: str, model: str, fired: int, before: Any, after: Any, feeds: Mapping[str, Any],
            outputs: tuple[Any, Any], bound: Graph | None = None) -> Step:
    """One run, judged."""
    found = differences(*outputs)
    return Step(name, model, fired, found, keeps(before, after, feeds, found, promised(name), bound))


@dataclass
class Watching(Ledger):
    """A Ledger that keeps (pass, IR after it, number of firings) of everything that ran."""

    ran: list[tuple[str, Any, int]] = field(default_factory=list)

    def _write(self, step: Any, after: Any, before: Any) -> None:
        super()._write(step, after, before)
        log = step.log if isinstance(step.log, PassLog) else PassLog()
        self.ran.append((step.name, after, len(log.changes)))


def on_model(label: str, graph: Graph, given: Mapping[str, Any] | None = None) -> Iterator[Step]:
    """Every pass of a compilation that changed something."""
    arrays = {n: np.asarray(a) if isinstance(a, np.generic) else a for n, a in (given or {}).items()}
    shapes = {n: a.shape for n, a in arrays.items() if isinstance(a, np.ndarray) and n in graph.inputs
              and not graph.inputs[n].static}
    backend = backend_named(TARGET, 1)
    ledger = Watching(backend.target, options=with_shapes(None, shapes or None))
    lower_to_program(optimize(import_graph(graph, None, ledger), ledger, backend, arranged(None)), ledger, backend)
    first = next(k for k, (name, _, _) in enumerate(ledger.ran) if name == BIND)
    bound = ledger.ran[first][1]
    refuse_chance(bound)
    feeds = {n: arrays[n] for n in bound.inputs} if set(bound.inputs) <= set(arrays) else inputs_of(bound)
    memo, before = Memo(), bound
    wanted = outputs_of(bound, feeds, memo)
    for name, after, fired in ledger.ran[first + 1:]:
        if after is before:
            continue
        found = outputs_of(after, feeds, memo)
        yield step_of(name, label, fired, before, after, feeds, (wanted, found), bound)
        before, wanted = after, found


def on_golden(path: Path) -> Iterator[Step]:
    """Every section of a golden file that changes something."""
    for step in run(read(path.read_text(encoding="utf-8"))):
        if step.after is not step.before:
            feeds = inputs_of(step.before)
            outputs = outputs_of(step.before, feeds), outputs_of(step.after, feeds)
            label = str(path.relative_to(GOLDEN))
            yield step_of(step.name, label, len(step.log.changes), step.before, step.after, feeds, outputs)


def on_case(suite: str, name: str) -> Iterator[Step]:
    """A case of a suite, fed what comes with it; operands that sizes follow from become constants where it takes that.

    Problem where it is refused, as `make conformance` counts it.
    """
    case = suites.load(suite, name)
    model = onnx.load_model_from_string(case.model)
    arrays = dict(zip(free_inputs(model, len(case.data[0][0])), case.data[0][0], strict=False))
    refused: Problem | None = None
    for fixed in _fixings(case, model):
        try:
            graph = read_model(_with_constants(model, arrays, fixed))
            yield from list(on_model(f"{suite}/{name}", graph, arrays))
            return
        except Problem as problem:
            refused = refused or problem
    if refused is not None:
        raise refused


def everything(every: int, gallery: Iterable[str] | None = None, trained: bool = True) -> Iterator[tuple[str, Any]]:
    """(label, steps to run) of all golden files, each `every`-th case of the suites, gallery cards, trained models."""
    for path in golden_paths():
        yield str(path.relative_to(GOLDEN)), on_golden(path)
    for suite in suites.SUITES:
        if every:
            yield from ((f"{suite}/{name}", on_case(suite, name)) for name in suites.names(suite)[::every])
    for card in cards():
        if gallery is None or card.name in gallery:
            yield card.name, on_model(card.name, read_model(str(card.path()), card.shapes() or None))
    for name in TRAINED if trained else ():
        path = find_trained(name)
        if path is not None:
            yield name, on_trained(name, path)


def on_trained(name: str, path: Path) -> Iterator[Step]:
    """A trained model, fed what it is made for."""
    from tests.compiler.test_trained_models import inputs

    feed = inputs(name)
    yield from on_model(name, read_model(str(path), {n: np.shape(a) for n, a in feed.items()}), feed)


@dataclass
class Row:
    """One pass over all models."""

    name: str
    models: set[str] = field(default_factory=set)
    fired: int = 0
    worst: Step | None = None
    broken: list[Step] = field(default_factory=list)

    def add(self, step: Step) -> None:
        self.models.add(step.model)
        self.fired += step.fired
        if self.worst is None or step.difference.relative > self.worst.difference.relative:
            self.worst = step
        if not step.kept:
            self.broken.append(step)


class Table(dict[str, Row]):
    """Rows by pass."""

    def add(self, steps: Iterable[Step]) -> None:
        for step in steps:
            self.setdefault(step.name, Row(step.name)).add(step)

    @property
    def broken(self) -> list[Step]:
        return [step for row in self.values() for step in row.broken]

    def text(self) -> str:
        """As columns: pass, models that it changed, firings, the worst difference and where."""
        return columns([_cells(row) for row in self.values()])


def _cells(row: Row) -> dict[str, str]:
    worst = row.worst.difference.relative if row.worst is not None else 0.0
    promise = promised(row.name)
    return {
        "pass": row.name, "models": str(len(row.models)), "fired": str(row.fired) if row.name in PASSES else "",
        "worst": f"{worst:.2g}" if worst else "0", "promised": f"{promise:g}" if promise else "bit for bit",
        "in": row.worst.model if row.worst is not None and worst else "", "": "BROKEN" if row.broken else "ok",
    }  # fmt: skip
