"""compare() times engines side by side: each in its own pinned process, short windows taken in turn A B C A B C."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from glowviz.bench.calibration import Calibration
from glowviz.bench.report import SCALED, Comparison, Report, Row
from glowviz.compiler.problem import Problem

WINDOW = 0.1  # seconds of calls in one window
LEAST_ROUNDS = 5
ANSWER_SEEDS = (101, 102)
LEAST_SPREAD = 1e-6  # an output flatter than this, relative to its size, says nothing about numbers


class Process:
    """A worker process and the pipe to it; `row` is what we know about its engine."""

    def __init__(self, engine: str) -> None:
        self.row = Row(engine)
        name, _, own = engine.partition("@")
        self.threads = int(own) if own else None
        self.said = tempfile.TemporaryFile()  # noqa: SIM115  (as long-lived as the process; close() closes it)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "glowviz.bench.worker", name], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=self.said, text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)})

    def order(self, do: str, **arguments: Any) -> dict[str, Any] | None:
        """Give an order and wait for its answer; None, with row.error set, when it failed or the process died."""
        if self.row.error:
            return None
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            self.row.error = f"its process ended with status {self.process.wait()} during {do}. {self._last_words()}"
            return None
        answer = json.loads(line)
        if "error" in answer:
            self.row.error = answer["error"]
            return None
        return answer

    def _last_words(self) -> str:
        self.said.seek(0)
        lines = self.said.read()[-4000:].decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else ""

    def close(self) -> None:
        """No more orders; the process ends by itself, or is ended."""
        try:
            self.process.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
        self.said.close()


def compare(models: Sequence[str | Path], engines: Sequence[str] = ("glowviz", "onnxruntime"), threads: int = 1,
            seconds: float = 2.0, shapes: Mapping[str, tuple[int, ...]] | None = None, precision: str = "f32",
            progress: Callable[[str], None] = lambda _: None) -> Report:
    """Time these engines on these models.

    Each engine has about `seconds` of calls a model, at least 5 windows; `shapes` binds free dimensions by
    input name; the first engine is the one that ratios are for; `glowviz@1` is an engine with a number of threads
    of its own. Engines that do not know the `precision` compute in f32. With several threads a calibration loop runs
    beside every window, and rounds in which the cores did not scale do not count for ratios. Raises Problem for a
    model that is not there; an engine that cannot run a model has its reason in its row instead of times.
    """
    for model in models:
        if not Path(model).is_file():
            raise Problem("There is no such file.", str(model), "an ONNX model")
    return Report([_compare_one(Path(model), engines, threads, seconds, dict(shapes or {}), precision, progress)
                   for model in models])


def _compare_one(model: Path, engines: Sequence[str], threads: int, seconds: float,
                 shapes: dict[str, tuple[int, ...]], precision: str, progress: Callable[[str], None]) -> Comparison:
    processes = [Process(engine) for engine in engines]
    try:
        signature = _load_all(processes, model, threads, shapes, precision, progress)
        inputs = {name: shape for name, (shape, _) in signature["inputs"].items()} if signature else {}
        comparison = Comparison(model.stem, threads, inputs, [process.row for process in processes],
                                precision=precision)
        _take_turns(comparison, processes, seconds, progress)
        comparison.notes += _compare_answers(processes)
        comparison.notes += [*_conditions(comparison.rows), *_scaling(comparison)]
        return comparison
    finally:
        for process in processes:
            process.close()


def _load_all(processes: list[Process], model: Path, threads: int, shapes: dict[str, tuple[int, ...]], precision: str,
              progress: Callable[[str], None]) -> dict[str, Any] | None:
    """Load the model everywhere, MNN last because another must tell it the inputs; gives the signature."""
    cores = sorted(os.sched_getaffinity(0))[:threads] if hasattr(os, "sched_getaffinity") else []
    signature: dict[str, Any] | None = None
    for process in sorted(processes, key=lambda process: process.row.engine == "mnn"):
        progress(f"{model.stem}: {process.row.engine} loads")
        own = process.threads or threads
        answer = process.order("load", path=str(model.resolve()), threads=own, cores=cores[:own], signature=signature,
                               shapes={name: list(shape) for name, shape in shapes.items()}, precision=precision)
        if answer is not None:
            row = process.row
            row.version, row.precision, row.pinned = answer["version"], answer["precision"], answer["pinned"]
            for name in ("import_cpu", "load_cpu", "first_cpu", "first_wall"):
                setattr(row, name, answer[name])
            signature = signature or answer["signature"]
    return signature


def _take_turns(
    comparison: Comparison, processes: list[Process], seconds: float, progress: Callable[[str], None]
) -> None:
    """One window each, again and again: every engine sees the same slow and fast minutes of the machine."""
    calibration = Calibration(comparison.threads) if comparison.threads > 1 else None
    rounds = max(LEAST_ROUNDS, round(seconds / WINDOW))
    for turn in range(rounds):
        if turn >= LEAST_ROUNDS and all(sum(process.row.times) >= 1000 * seconds for process in processes):
            break  # each call is longer than a window
        progress(f"round {turn + 1} of {rounds}")
        slowdowns = [calibration.slowdown()] if calibration is not None else []
        for process in processes:
            answer = process.order("window", seconds=min(WINDOW, seconds / rounds), seed=1000 * (turn + 1))
            if answer is not None:
                process.row.rounds.append(answer["times"])
                process.row.real_time = answer["real_time"]
            if calibration is not None and process.threads != 1:  # beside every window, for the cores change any time
                slowdowns.append(calibration.slowdown())
        comparison.slowdowns += [max(slowdowns)] if slowdowns else []
    for process in processes:
        if process.row.error:
            process.row.rounds.clear()
        memory = process.order("memory")
        process.row.peak = memory["peak"] if memory else 0


def _compare_answers(processes: list[Process]) -> list[str]:
    """Fill in each row's difference to the reference: the second engine, or the next that answers.

    The outputs for two inputs are compared; gives notes about outputs that cannot tell right from wrong.
    """
    notes: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        answers = {index: found for index, process in enumerate(processes)
                   if (found := _answers(process, Path(folder) / str(index)))}
    order = [index for index in answers if index > 0] + [index for index in answers if index == 0]
    if len(order) < 2:
        return notes
    reference = answers[order[0]]
    notes += [f"output {name} hardly varies: a difference there says little"
              for name, array in reference.items() if _flat(array)]
    for index, found in answers.items():
        if index != order[0]:
            processes[index].row.difference = largest_difference(found, reference)
    return notes


def _answers(process: Process, stem: Path) -> dict[str, np.ndarray]:
    """All outputs of all answer seeds, stacked by name."""
    found: list[dict[str, np.ndarray]] = []
    for seed in ANSWER_SEEDS:
        file = stem.with_name(f"{stem.name}-{seed}.npz")
        if process.order("answer", seed=seed, file=str(file)) is None:
            return {}
        with np.load(file) as arrays:
            found.append({name: arrays[name] for name in arrays.files})
    return {name: np.stack([entry[name] for entry in found]) for name in found[0]}


def _flat(array: np.ndarray) -> bool:
    wide = array.astype(np.float64)
    return bool(wide.std() <= LEAST_SPREAD * max(np.abs(wide).max(), 1e-300))


def largest_difference(ours: Mapping[str, np.ndarray], theirs: Mapping[str, np.ndarray]) -> float:
    """max |ours − theirs| ÷ max |theirs|, the worst output; infinite where names, shapes or finiteness differ."""
    if ours.keys() != theirs.keys():
        return float("inf")
    worst = 0.0
    for name, array in theirs.items():
        own, other = ours[name].astype(np.float64), array.astype(np.float64)
        if own.shape != other.shape or not np.isfinite(own).all():
            return float("inf")
        if own.size:
            worst = max(worst, float(np.abs(own - other).max() / max(np.abs(other).max(), 1e-30)))
    return worst


def _scaling(comparison: Comparison) -> list[str]:
    """How many rounds counted, where threads had to share the machine's cores."""
    if not comparison.slowdowns:
        return []
    good = sum(slowdown <= SCALED for slowdown in comparison.slowdowns)
    return [f"in {good} of {len(comparison.slowdowns)} rounds the cores scaled (calibration at most {SCALED})"]


def _conditions(rows: list[Row]) -> list[str]:
    """What made the times less sure than they could be."""
    timed = [row for row in rows if row.rounds]
    notes = []
    if any(not row.real_time for row in timed):
        notes.append("no real-time priority here: other processes may have cut into the windows")
    if any(not row.pinned for row in timed):
        notes.append("processes could not be pinned to cores")
    return notes
