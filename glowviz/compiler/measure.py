"""After compiling, a recording gets its measured numbers: times, the error after every pass, statistics of values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from glowviz.compiler.backends.base import Executable
from glowviz.compiler.graph import Graph
from glowviz.compiler.interpreter import Memo, run_graph
from glowviz.compiler.recording.columns import work_of
from glowviz.compiler.recording.writer import Recorder
from glowviz.compiler.run_facts import record_account
from glowviz.compiler.tensor_facts import FEW_PIXELS, MANY_PIXELS, PIXELS, raster, statistics
from glowviz.compiler.timing import record_timing
from glowviz.compiler.trial_run import TrialRun
from glowviz.compiler.validate import difference, differences

MOST_FLOPS = 60e9
"""Work of one run of the interpreter beyond which errors are not measured (about half a minute)."""
MOST_BYTES = 4 << 30
"""Bytes of all values together beyond which errors are not measured: the interpreter keeps them."""
MOST_WEIGHTS = 1 << 30
"""Bytes of all weights together beyond which they have no statistics."""
VISIBLE = 1 / 512
"""Error from which a value's picture may differ from that of the imported graph's, so that it has one of its own."""

Steps = Sequence[tuple[str, Any]]
"""Every (pass, IR) of the compilation, as Ledger.snapshots keeps them; the position is the snapshot."""


def measure(
    recorder: Recorder, executable: Executable, steps: Steps, runs: int, threads: int, progress: Callable[[str], None],
    trial: TrialRun | None = None,
) -> None:  # fmt: skip
    """Time every kernel and whole runs `runs` times, then run the interpreter on every graph that a pass changed.

    `trial` is what the values come from and are held against; without it, seeded random inputs.
    """
    record_timing(recorder, executable, runs, threads, progress)
    record_account(recorder, executable)
    progress("Values: weights")
    record_weights(recorder, steps)
    progress("Values: error after every pass")
    record_errors(recorder, executable, steps, trial or TrialRun())


def record_weights(recorder: Recorder, steps: Steps) -> None:
    """Statistics and pictures of every constant, at the snapshot in which a pass made it (or the file brought it)."""
    graphs = [(k, ir) for k, (_, ir) in enumerate(steps) if isinstance(ir, Graph)]
    left, before = MOST_WEIGHTS, dict[str, Any]()
    for snapshot, graph in graphs:
        fresh = [c for name, c in graph.constants.items() if before.get(name) is not c.payload]
        left -= sum(c.type.bytes for c in fresh)
        if left < 0:
            return
        _keep(recorder, "statistics", (statistics(snapshot, c.name, c.payload.array, None) for c in fresh))
        _keep(recorder, "rasters", (raster(snapshot, c.name, c.payload.array, FEW_PIXELS) for c in fresh))
        before = {name: c.payload for name, c in graph.constants.items()}


def _keep(recorder: Recorder, table: str, rows: Iterable[tuple[Any, ...] | None]) -> None:
    recorder.insert(table, (row for row in rows if row is not None))


def record_errors(recorder: Recorder, executable: Executable, steps: Steps, trial: TrialRun) -> None:
    """The error of every changed graph and of the machine code, relative to the graph right after bind_shapes.

    Relative to what is expected, where outputs are. Without given inputs, seeded random ones; f32 interpreter against
    f32 interpreter, so a pass that keeps its promise shows 0 or the rounding it promised. What is too big is left out,
    and the recording says so.
    """
    first = next((k for k, (name, _) in enumerate(steps) if name == "bind_shapes"), 0)
    reference = steps[first][1]
    too_big = _too_big(reference)
    if too_big:
        recorder.set_meta({"errors": too_big})
        return
    feeds, memo, trial = trial.feeds(reference), Memo(), trial.for_outputs(reference)
    values: dict[str, np.ndarray] = {}
    made = run_graph(reference, feeds, memo=memo, watch=lambda _, made: values.update(made))
    trial.refuse_unknown({*made, *values})
    wanted = trial.reference(made)
    recorder.set_error(first, differences(wanted, made).relative)
    previous = reference
    for snapshot, (_, ir) in enumerate(steps[first + 1 :], first + 1):
        if isinstance(ir, Graph) and ir is not previous:
            recorder.set_error(snapshot, differences(wanted, run_graph(ir, feeds, memo=memo)).relative)
            previous = ir
    if trial.expected:
        public = {one.value: trial.expected[one.public] for one in reference.outputs if one.public in trial.expected}
        trial = replace(trial, expected={**public, **trial.expected})
    _record_code_values(recorder, executable, feeds, wanted, values, len(steps) - 1, trial)
    given = "the given input" if trial.inputs else "seeded random input"
    recorder.set_meta({"given": trial.told(reference) if trial.inputs or trial.seed else {}})
    against = "what was expected" if trial.expected else "the interpreter right after bind_shapes"
    recorder.set_meta({"errors": f"{given}; against {against}"})


def _too_big(graph: Graph) -> str:
    """Why errors are not measured for this graph; empty where they are."""
    types = [t for node in graph for t in node.types]
    if any(node.kind == "Opaque" for node in graph):
        return "not measured: the model has operators that only can be looked at"
    flops = sum(work_of(node, graph)[0] for node in graph)
    if flops > MOST_FLOPS:
        return f"not measured: {flops / 1e9:.0f} GFLOP would take the interpreter too long"
    size = sum(t.bytes for t in types)
    return f"not measured: all values together take {size / 2**30:.1f} GiB" if size > MOST_BYTES else ""


def _record_code_values(
    recorder: Recorder,
    executable: Executable,
    feeds: Mapping[str, np.ndarray],
    wanted: Mapping[str, np.ndarray],
    reference: Mapping[str, np.ndarray],
    snapshot: int,
    trial: TrialRun,
) -> None:
    """Run the machine code once, watching every instruction: error and statistics of each value."""
    value_of = {instr.outs[0]: instr.value for instr in executable.program.instructions if instr.outs}
    known, seen = {**feeds, **reference}, dict[str, Any]()
    pixels = MANY_PIXELS if trial.inputs else PIXELS
    rows = [statistics(0, name, array, trial.difference_of(name, array)) for name, array in known.items()]
    reference = trial.reference(reference)

    def watch(instr: Any, made: Mapping[str, np.ndarray]) -> None:
        for buffer, array in made.items():
            name = instr.value if buffer == instr.outs[0] else value_of.get(buffer, buffer)
            wanted = reference.get(name)
            same = isinstance(wanted, np.ndarray) and wanted.shape == getattr(array, "shape", None)
            error = difference(name, wanted, array) if same and wanted is not None else None
            rows.append(statistics(snapshot, name, array, error))
            if name not in known or (error is not None and error.relative > VISIBLE):
                seen[name] = raster(snapshot, name, array, pixels)

    found = executable.run(feeds, watch=watch)
    recorder.set_error(snapshot, differences(wanted, found).relative)
    _keep(recorder, "statistics", rows)
    _keep(recorder, "rasters", [*(raster(0, name, array, pixels) for name, array in known.items()), *seen.values()])
