"""Commands that make something: the app, a recording, results, a comparison of engines."""

from __future__ import annotations

import argparse
import os
import sqlite3
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from glowviz.cli.sources import (
    GALLERY,
    about,
    card_of,
    clear,
    compile_options,
    model_path,
    progress,
    shapes_of,
    source,
    trial_of,
    writable,
)
from glowviz.compiler.problem import Problem
from glowviz.compiler.trial_run import Given, with_batch
from glowviz.compiler.types import Type


def serve(options: argparse.Namespace) -> int:
    """Open the app on this machine; with a model (or recording) it is compiled and shown."""
    from glowviz.app.server import serve as serve_app

    if options.model is not None and not options.model.startswith(GALLERY) and not Path(options.model).is_file():
        raise Problem(f"{options.model} is not there", "glowviz MODEL", "an .onnx, .glow or .glowrec file",
                      "Check the path, or open the gallery with `glowviz` alone")
    from glowviz.compiler.loading import settled

    return serve_app(
        model=options.model, shapes=dict(options.shape), host=options.host, port=options.port,
        browser=not options.no_browser, cluster=options.cluster,
        load=[settled(one, options.after) for one in options.load],
    )  # fmt: skip


def compile_model(options: argparse.Namespace) -> int:
    """Compile a model and write the recording of every step."""
    import glowviz

    started = time.process_time()
    output = writable(options.output)
    chosen, trial = compile_options(options), trial_of(options)
    fresh = output.with_name(f".{output.name}.{os.getpid()}")  # what stands at `output` stays until there is a better
    try:
        executable = glowviz.compile(source(options.model), record=fresh, measured_runs=options.time or bool(trial),
                                     trial=trial, **chosen)
        os.replace(fresh, output)
    except Problem as problem:
        kept = _keep_steps(fresh, output)
        raise Problem(problem.what, problem.where, problem.expected, f"{problem.do}{kept}") from problem
    finally:
        fresh.unlink(missing_ok=True)
    clear(options)
    listing = executable.listing()
    hosts = [one.instruction for one in listing if not one.native]
    note = f" ({len(hosts)} by host calls: {', '.join(sorted(set(hosts)))})" if hosts else ""
    print(f"{output}: {len(listing)} instructions{note}, {output.stat().st_size / 2**20:.2f} MiB, "
          f"{time.process_time() - started:.2f} CPU-s", file=sys.stderr)
    return 0


def _keep_steps(fresh: Path, output: Path) -> str:
    """A compilation that failed on the way leaves its recording: the app shows the state before, and the fault."""
    from glowviz.compiler.recording.reader import Recording
    from glowviz.compiler.recording.schema import RecordingProblem

    try:
        steps = len(Recording(fresh))
    except (RecordingProblem, sqlite3.Error):
        steps = 0
    if not steps:
        return ""
    os.replace(fresh, output)
    return f" (The steps before it: glowviz {output})"


def run_model(options: argparse.Namespace) -> int:
    """Compile a model and run it once."""
    import glowviz

    output = writable(options.outputs, "--outputs") if options.outputs else None
    given = _given(options)
    executable = glowviz.compile(source(options.model), **compile_options(options))
    clear(options)
    results = executable.run(given if given is not None else _something_to_run_on(options))
    if output is not None:
        with output.open("wb") as file:  # by handle: numpy would append .npz to a name
            np.savez(file, allow_pickle=False, **results)  # type: ignore[arg-type]  # arrays by name
        return 0
    for name, array in results.items():
        print(f"{name}\t{array.dtype}[{'x'.join(map(str, array.shape))}]\t{_statistics(array)}")
    return 0


def _given(options: argparse.Namespace) -> Mapping[str, np.ndarray] | None:
    """The arrays of --inputs; pictures become some here. None where nothing is given."""
    from glowviz.compiler.pipeline import bound_graph

    trial = trial_of(options)
    if trial is None:
        return None
    graph = bound_graph(source(options.model), shapes_of(options))
    with about("--inputs"):
        named = trial.named(graph)
        made = {name: _made(graph.inputs[name], one) for name, one in named.items()}
    for name in made if trial.loose else ():
        print(f"{name}: {trial.told(graph)[name]}", file=sys.stderr)
    return made


def _made(wanted: Type, given: Given) -> np.ndarray:
    """A picture as the input wants it; an array as it is, of any shape, for the executable specializes."""
    if isinstance(given, np.ndarray):
        return with_batch(given, () if wanted.held else wanted.dims)
    return given.array(wanted)


def _something_to_run_on(options: argparse.Namespace) -> Mapping[str, np.ndarray]:
    """Inputs when none are given: a gallery model has a sample, any other gets noise; either is said on stderr."""
    from glowviz.compiler.pipeline import bound_graph
    from glowviz.compiler.validate import inputs_of

    card = card_of(options.model)
    if card is not None and card.trained and not options.shape:
        name, arrays = next(iter(card.samples().items()))
        print(f"input: the sample {name!r}; the right answer is {card.expected()[name]}", file=sys.stderr)
        return arrays
    print("input: seeded noise, so the answers mean nothing", file=sys.stderr)
    return inputs_of(bound_graph(source(options.model), shapes_of(options)))


def _statistics(array: np.ndarray) -> str:
    if not array.size or array.dtype.kind not in "fiub":
        return f"{array.size} elements"
    real = array.astype(np.float64)
    return f"min {real.min():.6g}  mean {real.mean():.6g}  max {real.max():.6g}  largest at {int(real.argmax())}"


def bench(options: argparse.Namespace) -> int:
    """Time our code beside other engines: own processes, interleaved windows, outputs compared."""
    from glowviz.bench import compare
    from glowviz.bench.engine import ENGINES

    engines = ["glowviz", *(name.strip() for name in options.against.split(",") if name.strip())]
    for name in engines:
        if name not in ENGINES and "." not in name:
            raise Problem(f"No engine is called {name!r}", "--against", ", ".join(ENGINES),
                          "Give one of these, or a module of your own with a dot in its name")
    models = [model_path(model) for model in options.models]
    how = (engines, options.threads, options.seconds, dict(options.shape), options.precision)
    if options.sweep:
        return _sweep(models, options, how)
    report = compare(models, *how)
    print(report.json() if options.json else report.text())
    return 0


def _sweep(models: list[str], options: argparse.Namespace, how: tuple[Any, ...]) -> int:
    """Compare at several sizes, and print how time grows."""
    from glowviz.bench.sweep import growth, sweep

    for model in models:
        report = sweep(model, dict(options.sweep), *how)
        print(report.json() if options.json else f"{report.text()}\n\n{growth(report)}")
    return 0


def tune(options: argparse.Namespace) -> int:
    """Try a few schedules for every heavy kernel, keep the fastest in the cache, and print what was tried."""
    from glowviz.bench.tune import tune as tune_model

    found = tune_model(source(options.model), shapes=shapes_of(options), target=options.target,
                       threads=options.threads, progress=progress(options))
    clear(options)
    print("\n".join(tried.text() for tried in found))
    changed = [tried for tried in found if tried.best]
    before = sum(tried.times[0] for tried in found)
    after = sum(tried.times[tried.best] for tried in found)
    print(f"{len(changed)} of {len(found)} kernels have a faster schedule: "
          f"{before / 1e3:.2f} ms -> {after / 1e3:.2f} ms")
    return 0
