"""What a recording says about the run itself: versions, choices, code, times and memory of the executable."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import time
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import orjson

from glowviz.compiler.backends.base import Backend, Executable
from glowviz.compiler.backends.inputs import noise
from glowviz.compiler.graph import Graph
from glowviz.compiler.ops.memory import FillHalo
from glowviz.compiler.problem import Problem
from glowviz.compiler.program import Instr, Program
from glowviz.compiler.recording.writer import Recorder

PACKAGES = ("glowviz", "numpy", "onnx", "llvmlite")


def refuse_unknown(precision: str, calibration: Any, known: Iterable[str] = ("f32",)) -> None:
    """Precisions that this version cannot compile are refused, never ignored."""
    names = " or ".join(map(repr, known))
    if precision not in known or calibration is not None:
        what = f"precision {precision!r}" if calibration is None else "calibration"
        raise Problem(f"{what} is not offered yet", "compile(precision=…, calibration=…)",
                      f"precision {names} and no calibration", "Leave both options away for f32.")


def refuse_unfit(precision: str, backend: Backend) -> None:
    """bf16 is refused where it would be emulated, more slowly than f32; the interpreter defines it."""
    if precision == "bf16" and not backend.target.has_bf16 and backend.name != "interpreter":
        raise Problem(f"precision 'bf16' needs the instruction vdpbf16ps, which target {backend.name!r} does not have",
                      "compile(precision=…)", "target 'cpu' on a processor with avx512_bf16, or 'interpreter'",
                      "Compile with precision='f32', which every target has.")


def describe_run(
    source: Any, backend: Backend, threads: int, disable: Iterable[str], options: Mapping[str, Any] | None,
    precision: str = "f32",
) -> dict[str, Any]:
    """Model, target, switches and versions, as JSON data."""
    path = os.fspath(source) if isinstance(source, (str, os.PathLike)) else None
    name = Path(str(path)).name if path is not None else source.name if isinstance(source, Graph) else "model"
    return {
        "state": "running",
        "model": name,
        "path": str(Path(str(path)).absolute()) if path is not None else None,
        "target": backend.name,
        "cpu": backend.target.cpu,
        "target_facts": {"peak_gflops": backend.target.peak_gflops},
        "threads": threads,
        "precision": precision,
        "disabled": sorted(disable),
        "options": {k: dict(v) for k, v in (options or {}).items()},
        "versions": {p: importlib.metadata.version(p) for p in PACKAGES} | {"python": platform.python_version()},
    }


def record_code(recorder: Recorder, executable: Executable) -> None:
    """One row per instruction: its kernel, the code at both levels, the line map, and the memory account."""
    program = executable.program
    instructions = program.numbered
    rows = []
    for listing in executable.listing():
        inside, instr = instructions[listing.position]
        flops, moved = work_of(instr, inside)
        rows.append((
            listing.position, listing.instruction, listing.kernel, listing.native, listing.value,
            orjson.dumps(dict(listing.schedule), default=str).decode(), listing.why, flops, moved,
            _packed(listing.llvm), _packed(listing.assembly), zlib.compress(orjson.dumps(list(listing.lines))),
            recorder.origin_id(instr.origin),
        ))
    recorder.insert("kernels", rows)
    record_account(recorder, executable)


def record_account(recorder: Recorder, executable: Executable) -> None:
    """Bytes by use, and the measured peak of the process."""
    account = executable.account()
    fields = ("weights", "packed", "activations", "state", "io", "scratch", "code", "process_peak")
    recorder.set_meta({"account": {f: getattr(account, f) for f in fields}})


def record_times(recorder: Recorder, executable: Executable, threads: int, runs: int = 30) -> None:
    """All samples of every instruction, and those of whole runs beside their sum."""
    samples: dict[int, dict[int, float]] = {}
    unit = "ns"
    for span in executable.timings(runs):
        position, run = int(span.counters["position"]), int(span.counters["run"])
        times = samples.setdefault(position, {})
        times[run] = max(times.get(run, 0.0), span.duration)
        unit = span.unit
    rows = [(k, threads, unit, zlib.compress(orjson.dumps(list(times.values())))) for k, times in samples.items()]
    recorder.insert("spans", rows)


def whole_runs(executable: Executable, runs: int) -> list[float]:
    """Wall time in ns of whole runs on seeded noise, the first one left out."""
    inputs = noise(executable.program)
    executable.run(inputs)
    samples: list[float] = []
    for _ in range(runs):
        started = time.perf_counter_ns()
        executable.run(inputs)
        samples.append(float(time.perf_counter_ns() - started))
    return samples


def record_runs(recorder: Recorder, threads: int, samples: list[float], note: str) -> None:
    """Whole runs in ns, all samples; `note` says how they were measured."""
    recorder.insert("runs", [(threads, "ns", zlib.compress(orjson.dumps(samples)), note)])


def work_of(instr: Instr, program: Program) -> tuple[int, int]:
    """FLOPs and bytes of one instruction; zero where its op does not say."""
    if isinstance(instr.op, FillHalo):  # what is inside stays
        return 0, sum(program.buffers[b].bytes - program.buffers[b].type.bytes for b in instr.outs)
    operands = tuple(program.buffers[b].type for b in instr.ins)
    results = tuple(program.buffers[b].type for b in instr.outs)
    try:
        work = instr.op.work(operands, results)
    except (NotImplementedError, ValueError, AttributeError, IndexError):
        return 0, 0
    return work.flops, work.bytes


def _packed(text: str) -> bytes:
    return zlib.compress(text.encode(), 6)
