"""The compiler as one page: from an ONNX file to an Executable, every arrow a recorded step."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import glowviz.compiler.passes  # registers the graph passes
import glowviz.compiler.program_passes  # noqa: F401  # registers the program passes
from glowviz.compiler.backends import backend_named
from glowviz.compiler.backends.base import Backend, Executable, KeepingBackend
from glowviz.compiler.graph import Graph
from glowviz.compiler.importer import read_model
from glowviz.compiler.irgen import irgen
from glowviz.compiler.kept import shelf_of
from glowviz.compiler.ledger import Ledger, refuse_uncompilable
from glowviz.compiler.measure import measure
from glowviz.compiler.memory import plan_memory
from glowviz.compiler.program import MemoryPlan, Program
from glowviz.compiler.recording.records import PassLog, logging_to
from glowviz.compiler.recording.writer import Recorder
from glowviz.compiler.rewrite import PASSES, Pass, PassProblem
from glowviz.compiler.run_facts import describe_run, record_code, refuse_unfit, refuse_unknown
from glowviz.compiler.settling import Contents, settled, with_contents
from glowviz.compiler.specialize import Specialized
from glowviz.compiler.trial_run import TrialRun
from glowviz.compiler.verify import verify_plan

Source = Any
"""A path (text or pathlib), the bytes of a model, an onnx ModelProto, or a Graph."""


@dataclass(frozen=True)
class Stage:
    """A heading of the ledger and the passes under it."""

    name: str
    passes: tuple[str, ...]


GRAPH_STAGES: tuple[Stage, ...] = (
    Stage("Import", ("bind_shapes", "fold_constants", "dce")),
    Stage("Fold up", (
        "write_out_bodies", "eliminate_noop", "clean_clips", "fold_softmax", "fold_layernorm", "fold_gelu",
        "fold_leaky_relu", "fold_hardswish", "fold_swish", "dce",
    )),
    Stage("Simplify", (
        "eliminate_noop", "sink_transposes", "merge_transposes", "transpose_to_reshape", "arithmetic",
        "clean_reshapes", "cse", "merge_pad", "clean_clips", "clean_concat_slice", "sink_elementwise",
        "fold_constants", "swap_relu_maxpool", "fold_batchnorm", "cse", "dce",
    )),
    Stage("Lower", ("lower", "arithmetic", "clean_reshapes", "fold_constants", "fold_batchnorm", "cse", "dce")),
    Stage("Orders and fusion", ("choose_order", "fuse", "dce")),
)
PROGRAM_STAGES: tuple[Stage, ...] = (
    Stage("Program", (
        "peephole", "copy_elimination", "dse", "borrow_views", "share_buffers", "sink_allocs", "hoist_deallocs",
        "delete_dead_allocs", "make_weights_constant",
    )),
)


PRECISIONS: Mapping[str, tuple[Stage, ...]] = {"f32": (), "bf16": (Stage("Precision", ("use_bf16", "dce")),)}
"""Which passes a precision adds behind the graph stages: this is all that it changes here."""

Order = Mapping[str, Iterable[str]]
"""Graph passes by stage, in the order they run: what GRAPH_STAGES says unless somebody says otherwise."""


def arranged(order: Order | None) -> tuple[Stage, ...]:
    """The stages of graph passes, loaded ones included; PassProblem for an order that cannot be, with the reason."""
    if order is None:
        return with_loaded(GRAPH_STAGES)
    stages = tuple(Stage(name, tuple(passes)) for name, passes in order.items())
    names = [name for stage in stages for name in stage.passes]
    for name in names:
        if name not in PASSES or PASSES[name].level == "program":
            known = ", ".join(sorted(one.name for one in PASSES.values() if one.level != "program"))
            raise PassProblem(f"the order names {name!r}, which is no graph pass; these are: {known}")
    lowered = names.index("lower") if "lower" in names else len(names)
    early = [name for name in names[:lowered] if PASSES[name].level == "lowered"]
    if early:
        raise PassProblem(f"pass {early[0]} works on lowered graphs, so it must run after lower")
    missing = [one.name for one in PASSES.values() if one.required and one.level != "program" and one.name not in names]
    if missing:
        raise PassProblem(f"the order leaves out {missing[0]}, which later passes rely on")
    return with_loaded(stages)


def with_loaded(stages: tuple[Stage, ...], on_programs: bool = False) -> tuple[Stage, ...]:
    """The stages with the passes that have a place (`Pass.after`) and that no stage names."""
    named = {name for stage in stages for name in stage.passes}
    for one in PASSES.values():
        if one.after is not None and one.name not in named and (one.level == "program") == on_programs:
            stages = _placed(stages, one)
    return stages


def _placed(stages: tuple[Stage, ...], one: Pass) -> tuple[Stage, ...]:
    """The stages with one pass more: where its `after` runs first, behind those that stand there already."""
    flat = [(stage.name, name) for stage in stages for name in stage.passes]
    names = [name for _, name in flat]
    if one.after and one.after not in names:
        known = ", ".join(dict.fromkeys(names))
        raise PassProblem(f"{one.name} is to run after {one.after!r}, which is none of: {known}")
    at = names.index(one.after) + 1 if one.after else names.index("lower") if "lower" in names else len(names)
    while one.after and at < len(names) and PASSES[names[at]].after == one.after:
        at += 1
    flat.insert(at, (flat[max(at - 1, 0)][0], one.name))
    return tuple(Stage(s.name, tuple(name for stage, name in flat if stage == s.name)) for s in stages)


def pipeline_passes() -> tuple[str, ...]:
    """Names of all passes of the pipeline, each once, in the order they first run."""
    precise = (stage for stages in PRECISIONS.values() for stage in stages)
    stages = (*GRAPH_STAGES, *precise, *PROGRAM_STAGES)
    return tuple(dict.fromkeys(name for stage in stages for name in stage.passes))


def compile(
    source: Source,
    *,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    target: str = "cpu",
    threads: int = 1,
    precision: str = "f32",
    calibration: Any = None,
    disable: Iterable[str] = (),
    options: Mapping[str, Mapping[str, Any]] | None = None,
    order: Order | None = None,
    record: str | Path | None = None,
    measured_runs: int = 0,
    trial: TrialRun | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Executable:
    """Compile a model. `shapes` binds free dimensions (batch-like ones default to 1); `record` names a recording.

    `order` runs the graph passes in another order, stage by stage. With `measured_runs`, the recording also gets
    the times of so many runs, the error after every pass and statistics of every value, on the inputs of `trial` and
    against what it expects. Running with another size of an open dimension compiles again. Raises a Problem
    (what, where, expected, do) for whatever cannot be compiled.
    """
    backend, stages = _chosen(target, threads, precision, calibration, order)
    record, chosen = record or os.environ.get("GLOWVIZ_RECORD") or None, with_shapes(options, shapes)
    recorder = Recorder(record, describe_run(source, backend, threads, disable, chosen, precision)) if record else None
    kept: list[tuple[str, Any]] | None = [] if recorder is not None and measured_runs else None
    ledger = Ledger(backend.target, recorder, frozenset(disable), chosen, progress, snapshots=kept)
    with _finishing(recorder):
        if recorder is not None and order is not None:
            recorder.set_meta({"order": [[stage.name, list(stage.passes)] for stage in arranged(order)]})
        started = time.perf_counter()
        executable = built(source, shapes, ledger, backend, stages)
        seconds = time.perf_counter() - started
        if recorder is not None:
            record_code(recorder, executable)
            if kept is not None:
                measure(recorder, executable, kept, measured_runs, threads, progress, trial)
    settle = partial(_settling, source) if isinstance(backend, KeepingBackend) else None
    return Specialized(executable, seconds, source, partial(_again, source, ledger, backend, stages), progress, settle)


def _chosen(
    target: str, threads: int, precision: str, calibration: Any, order: Order | None
) -> tuple[Backend, tuple[Stage, ...]]:
    """The backend, and the stages with those of the precision; a Problem where they do not go together."""
    refuse_unknown(precision, calibration, PRECISIONS)
    backend, stages = backend_named(target, threads), (*arranged(order), *PRECISIONS[precision])
    refuse_unfit(precision, backend)
    return backend, stages


def _again(
    source: Source, ledger: Ledger, backend: Backend, stages: tuple[Stage, ...], shapes: Mapping[str, tuple[int, ...]],
    contents: Contents,
) -> Executable:  # fmt: skip
    """The same choices for other shapes, or for constants in the place of inputs; nothing is recorded."""
    fresh = replace(ledger, recorder=None, snapshots=None, options=with_shapes(ledger.options, shapes))
    if contents:
        source = with_contents(source if isinstance(source, Graph) else read_model(source, shapes), contents)
    return built(source, shapes, fresh, backend, stages)


def _settling(source: Source, shapes: Mapping[str, tuple[int, ...]], inputs: Mapping[str, Any]) -> tuple[str, ...]:
    """The inputs that sizes follow from."""
    graph = source if isinstance(source, Graph) else read_model(source, shapes)

    def bound(one: Graph) -> Graph:
        return bound_graph(one, {name: dims for name, dims in shapes.items() if name in one.inputs})

    return settled(graph, inputs, bound)[1]


def built(
    source: Source, shapes: Mapping[str, tuple[int, ...]] | None, ledger: Ledger, backend: Backend,
    stages: tuple[Stage, ...],
) -> Executable:
    """The whole way once, for one set of shapes; what was compiled before is found, unless somebody looks on."""
    made = partial(_planned, source, shapes, ledger, backend, stages)
    shelf = None
    if ledger.recorder is None and ledger.snapshots is None:
        order = [(stage.name, stage.passes) for stage in stages]
        shelf = shelf_of(source, backend, [shapes, order, sorted(ledger.disable), ledger.options])
    if shelf is None or not isinstance(backend, KeepingBackend):
        return backend.build(*made())
    found = shelf.find(backend)
    if found is not None:
        ledger.progress("Kept: compiled before, found in the cache")
    return found or shelf.make(lambda folder: backend.build_into(folder, *made()))


def _planned(
    source: Source, shapes: Mapping[str, tuple[int, ...]] | None, ledger: Ledger, backend: Backend,
    stages: tuple[Stage, ...],
) -> tuple[Program, MemoryPlan]:
    """Everything but code."""
    graph = optimize(import_graph(source, shapes, ledger), ledger, backend, stages)
    program, plan = lower_to_program(graph, ledger, backend)
    ledger.progress("Kernels: compiling")
    return program, plan


@contextmanager
def _finishing(recorder: Recorder | None) -> Iterator[None]:
    """Whatever happens, the recording is closed as one file that says how it ended."""
    state = "failed"
    try:
        yield
        state = "done"
    finally:
        if recorder is not None:
            recorder.finish(state)


def snapshots(
    source: Source,
    *,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    target: str = "cpu",
    threads: int = 1,
    precision: str = "f32",
    disable: Iterable[str] = (),
    options: Mapping[str, Mapping[str, Any]] | None = None,
    order: Order | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> list[tuple[str, Any]]:
    """Every (pass, Graph or Program) of a compilation up to the planned Program, kept in memory; no code is made."""
    backend, stages = _chosen(target, threads, precision, None, order)
    kept: list[tuple[str, Any]] = []
    ledger = Ledger(backend.target, None, frozenset(disable), with_shapes(options, shapes), progress, snapshots=kept)
    graph = optimize(import_graph(source, shapes, ledger), ledger, backend, stages)
    lower_to_program(graph, ledger, backend)
    return kept


def bound_graph(source: Source, shapes: Mapping[str, tuple[int, ...]] | None = None) -> Graph:
    """The imported graph with every dimension bound, as compile() would bind it."""
    graph = source if isinstance(source, Graph) else read_model(source, shapes)
    bound, _ = PASSES["bind_shapes"].run(graph, **with_shapes(None, shapes).get("bind_shapes", {}))
    return bound


def with_shapes(
    options: Mapping[str, Mapping[str, Any]] | None, shapes: Mapping[str, tuple[int, ...]] | None
) -> dict[str, Mapping[str, Any]]:
    """The options of all passes; bind_shapes gets the shapes."""
    found = dict(options or {})
    if shapes:
        found["bind_shapes"] = {"shapes": {name: tuple(dims) for name, dims in shapes.items()}}
    return found


def import_graph(source: Source, shapes: Mapping[str, tuple[int, ...]] | None, ledger: Ledger) -> Graph:
    """ONNX file -> Graph, as the file says it."""
    started = time.perf_counter()
    graph = source if isinstance(source, Graph) else read_model(source, shapes)
    if ledger.recorder is not None:
        facts = dict(graph.metadata)
        ledger.recorder.insert("onnx_nodes", facts.pop("onnx", {}).items())
        ledger.recorder.set_meta({"model_facts": facts})
    return ledger.imported(graph, time.perf_counter() - started)


def optimize(graph: Graph, ledger: Ledger, backend: Backend, stages: tuple[Stage, ...] = GRAPH_STAGES) -> Graph:
    """Graph -> Graph: fold up, simplify, lower (the backend keeps what it wants), simplify, choose orders, fuse."""
    ledger.check(tuple(name for stage in stages for name in stage.passes))
    for stage in stages:
        for name in stage.passes:
            graph = ledger.run(name, stage.name, graph)
    for level in ("graph", "lowered"):
        for one in backend.passes(level):
            graph = ledger.run(one.name, "Backend", graph)
    return graph


def lower_to_program(graph: Graph, ledger: Ledger, backend: Backend) -> tuple[Program, MemoryPlan]:
    """Graph -> Program -> addresses: everything that needs memory is decided before plan_memory."""
    program = ledger.perform("irgen", "Program", "program", lambda: _irgen(graph, backend), "Graph -> Program")
    for stage in with_loaded(PROGRAM_STAGES, on_programs=True):
        for name in stage.passes:
            program = ledger.run(name, stage.name, program)
    for one in backend.passes("program"):
        program = ledger.run(one.name, "Kernels", program)
    found: list[MemoryPlan] = []
    planned = partial(_plan, program, found)
    program = ledger.perform("plan_memory", "Memory", "program", planned, "lifetimes -> addresses")
    verify_plan(program, found[0])
    if ledger.recorder is not None:
        ledger.recorder.plan(found[0], program)
    return program, found[0]


def _irgen(graph: Graph, backend: Backend) -> tuple[Program, PassLog]:
    refuse_uncompilable(graph)
    with logging_to(PassLog()) as log:
        return irgen(graph, target=backend.target), log


def _plan(program: Program, found: list[MemoryPlan]) -> tuple[Program, PassLog]:
    with logging_to(PassLog()) as log:
        program, plan = plan_memory(program)
        found.append(plan)
        return program, log
