"""A Ledger runs passes one by one: each is timed, verified, and written down with its reasons."""

from __future__ import annotations

import difflib
import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from glowviz.compiler.graph import Graph
from glowviz.compiler.ops.bodies import nodes_inside
from glowviz.compiler.plugins import load_plugins
from glowviz.compiler.predicates import peak_of
from glowviz.compiler.problem import Problem
from glowviz.compiler.program import Program
from glowviz.compiler.recording.records import PassLog
from glowviz.compiler.recording.writer import Recorder, Step
from glowviz.compiler.rewrite import PASSES, Pass, PassProblem
from glowviz.compiler.target import Target
from glowviz.compiler.text import print_graph, print_program
from glowviz.compiler.verify import verify_graph, verify_program

WHOLE = frozenset({"lower"})
"""Passes after which the whole IR is verified again, as it is after import and irgen."""
PEAK_LIMIT = 20_000
"""Nodes up to which the peak of the live set is computed after every pass."""


class CompileProblem(Problem):
    """A pass or stage that could not do its work; `stage` names it."""

    def __init__(self, stage: str, what: str, where: str = "", expected: str = "", do: str = "") -> None:
        super().__init__(what, where, expected, do)
        self.stage = stage
        self.args = (stage, what, where, expected, do)  # all of them, so that it survives pickling


def refuse_uncompilable(graph: Graph) -> None:
    """CompileProblem that names every operator that can only be looked at."""
    opaque = [node for node in nodes_inside(graph) if node.kind == "Opaque"]
    if opaque:
        listed = "; ".join(f"{node.op.op_type} ({', '.join(node.origin.names) or node.name})" for node in opaque[:20])
        more = f" and {len(opaque) - 20} more" if len(opaque) > 20 else ""
        plural = "operator" if len(opaque) == 1 else "operators"
        raise CompileProblem(
            "irgen", f"{len(opaque)} {plural} cannot be compiled, only looked at: {listed}{more}", graph.name,
            "operators of `glowviz ops` in a form that fixes all sizes", "Replace them or cut them out of the model.",
        )


@dataclass
class Ledger:
    """Runs passes over one IR value after the other; `recorder` (optional) keeps every step."""

    target: Target
    recorder: Recorder | None = None
    disable: frozenset[str] = frozenset()
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    progress: Callable[[str], None] = lambda _: None
    debug: int = field(default_factory=lambda: int(os.environ.get("GLOWVIZ_DEBUG", "0") or 0))
    verify_all: bool = field(default_factory=lambda: os.environ.get("GLOWVIZ_VERIFY") == "all")
    """After every pass the whole IR is verified, and not only what changed and its users."""
    snapshots: list[tuple[str, Any]] | None = None
    """Set to a list to keep every (pass, IR) pair in memory, as bisecting does."""
    _known_peak: tuple[int | None, str] = (None, "")
    _trusted: list[tuple[Step, Program]] = field(default_factory=list)
    """Programs that were not verified when they were made."""

    def __post_init__(self) -> None:
        load_plugins()

    def check(self, names: tuple[str, ...]) -> None:
        """Refuse switches and options that name no pass, and switching off what is required."""
        for name in (*self.disable, *self.options):
            if name not in PASSES:
                near = difflib.get_close_matches(name, PASSES, n=1)
                meant = f"did you mean {near[0]!r}? " if near else ""
                raise PassProblem(f"there is no pass {name!r}; {meant}The passes are: {', '.join(sorted(PASSES))}")
        for name, given in self.options.items():
            PASSES[name].check(given)
        for name in self.disable:
            if PASSES[name].required and name in names:
                raise PassProblem(f"pass {name} cannot be switched off: later passes rely on what it makes")

    def imported(self, graph: Graph, seconds: float) -> Graph:
        """The first snapshot: what the file says."""
        started = time.perf_counter()
        verify_graph(graph)
        step = Step("import", "Import", "graph", seconds=seconds, verify_seconds=time.perf_counter() - started,
                    summary="ONNX file -> Graph", required=True)
        self._write(step, graph, None)
        return graph

    def run(self, name: str, stage: str, ir: Any) -> Any:
        """One pass over a Graph or Program; the result is verified where it changed."""
        one = PASSES[name]
        step = Step(name, stage, one.level, summary=one.summary, promise=one.promise, required=one.required,
                    options=dict(self.options.get(name, {})))
        if name in self.disable:
            step.status = "off"
            self._write(step, ir, ir)
            return ir
        self.progress(f"{stage}: {name}")
        after, step.log = self._timed(one, ir, step)
        self._verified(step, None if self.verify_all or name in WHOLE else ir, after)
        self._write(step, after, ir)
        return after

    def perform(self, name: str, stage: str, level: str, work: Callable[[], tuple[Any, PassLog]], summary: str) -> Any:
        """A stage that is no pass of its own kind (irgen, plan_memory): timed, verified and recorded alike."""
        step = Step(name, stage, level, summary=summary, required=True)
        self.progress(f"{stage}: {name}")
        started = time.perf_counter()
        try:
            after, step.log = work()
        except Exception as fault:
            self._blame()
            raise self._failed(step, fault) from fault
        step.seconds = time.perf_counter() - started
        self._verified(step, None, after)
        self._write(step, after, None)
        return after

    def _timed(self, one: Pass, ir: Any, step: Step) -> tuple[Any, PassLog]:
        started = time.perf_counter()
        try:
            return one.run(ir, self.target, **self.options.get(one.name, {}))
        except Exception as fault:
            self._blame()
            raise self._failed(step, fault) from fault
        finally:
            step.seconds = time.perf_counter() - started

    def _verified(self, step: Step, before: Any, after: Any) -> None:
        """Verify what changed. Programs that nobody watches are verified once, after the last pass."""
        if isinstance(after, Program) and before is not None and not self._watched:
            self._trusted.append((step, after))
            return
        started = time.perf_counter()
        try:
            if isinstance(after, Graph):
                verify_graph(after, since=before)
            elif isinstance(after, Program):
                verify_program(after, since=before)
        except Exception as fault:
            self._blame()
            raise self._failed(step, fault) from fault
        step.verify_seconds = time.perf_counter() - started

    @property
    def _watched(self) -> bool:
        """Somebody looks at every step: a recording, a bisection, a test or a person."""
        return self.recorder is not None or self.snapshots is not None or bool(self.debug) or self.verify_all

    def _blame(self) -> None:
        """Something is wrong: raise for the first pass whose Program, trusted until now, is."""
        for step, program in self._trusted:
            try:
                verify_program(program)
            except Exception as fault:
                raise self._failed(step, fault) from fault

    def _failed(self, step: Step, fault: Exception) -> Exception:
        """Write the failed row; the error that the person gets says what, where, expected and what to do."""
        problem = fault if isinstance(fault, Problem) else _told(step, fault)
        step.status = "failed"
        trace = traceback.format_exception(fault)
        step.problem = {"what": problem.what, "where": problem.where, "expected": problem.expected, "do": problem.do,
                        "trace": "".join(trace)[-4000:]}
        if self.recorder is not None:
            self.recorder.step(step)
        return problem

    def _write(self, step: Step, after: Any, before: Any) -> None:
        if after is not before:
            self._known_peak = peak_of(after, PEAK_LIMIT)
        step.peak, step.peak_at = self._known_peak
        if self.snapshots is not None:
            self.snapshots.append((step.name, after))
        if self.recorder is not None:
            graph = after if isinstance(after, Graph) else None
            self.recorder.step(step, graph, after if isinstance(after, Program) else None)
        if self.debug:
            self._print(step, after, changed=after is not before)

    def _print(self, step: Step, after: Any, changed: bool) -> None:
        """GLOWVIZ_DEBUG: 1 names and times, 2 text after changes, 3 rules fired, 4 refusals."""
        note = "" if changed else " (unchanged)"
        print(f"{step.name}: {1000 * step.seconds:.1f} ms{note}", file=sys.stderr)
        if self.debug >= 3:
            for change in step.log.changes:
                print(f"  {change.rule} at %{change.anchor}: {change.reason}", file=sys.stderr)
        if self.debug >= 4:
            for group in step.log.groups.values():
                print(f"  {group.kind} {group.rule} ×{group.count}: {group.examples[0].reason}", file=sys.stderr)
        if self.debug >= 2 and changed:
            text = print_graph(after) if isinstance(after, Graph) else print_program(after)
            print(text, file=sys.stderr)


def _told(step: Step, fault: Exception) -> CompileProblem:
    """What a person reads of a pass that stumbled over its own feet, or over the limit of its process."""
    off = "" if step.required else f"Switch the pass off (--disable {step.name}) and go on."
    if isinstance(fault, MemoryError):
        what, expected = f"Pass {step.name} ran out of memory: {fault}", "values that fit into this process's limit"
        return CompileProblem(step.name, what, "this pass of the compiler", expected,
                              f"Try a smaller shape or batch. {off}".rstrip())
    return CompileProblem(
        step.name, f"Pass {step.name} failed: {fault}", "this pass of the compiler",
        "a result that the verifier accepts",
        f"This is a fault of glowviz or of your pass, not of your model. {off}".rstrip(),
    )

