"""Onnxruntime's own profile tells what each of its nodes took: measured here, or read from a file somebody gives."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from glowviz.bench.engine import Request, load
from glowviz.bench.feeds import random_feed
from glowviz.compiler.problem import Problem
from glowviz.compiler.quiet import alone
from glowviz.compiler.recording.peers import Peer, PeerNode

ENGINE = "onnxruntime"
SUFFIX = "_kernel_time"
LARGEST = 512 << 20
"""Bytes of a profile, and of a model whose optimized graph is read, at most."""


def measured(path: Path, shapes: Mapping[str, tuple[int, ...]], threads: int, runs: int, progress: Any) -> Peer:
    """Time a model in this process: whole runs first, then each node, with all optimizations and seeded inputs.

    Problem where onnxruntime is not installed, or cannot load the model.
    """
    request = Request(str(path), dict(shapes), threads)
    progress(0.1, "onnxruntime: loading")
    with alone(lambda text: progress(0.2, text)) as quiet:
        whole, version = _whole_runs(request, runs)
        progress(0.5, "onnxruntime: timing its nodes")
        events, outputs = _profiled(request, runs)
    nodes = _nodes(events, outputs, skip=1)
    told = f"measured here, {len(whole)} runs, {threads} thread{'' if threads == 1 else 's'}, {quiet}"
    return Peer(ENGINE, version, threads, tuple(whole), told, "measured", nodes)


def _whole_runs(request: Request, runs: int) -> tuple[list[float], str]:
    """µs of whole runs, the first left out, and the version."""
    session = load(ENGINE, request)
    signature = session.signature()
    assert signature is not None
    inputs, samples = random_feed(signature, 0), list[float]()
    for _ in range(runs + 1):
        started = time.perf_counter_ns()
        session.run(inputs)
        samples.append((time.perf_counter_ns() - started) / 1e3)
    return samples[1:], session.version


def _profiled(request: Request, runs: int) -> tuple[list[Any], dict[str, tuple[str, ...]]]:
    """The profile's events, and what each node of the optimized graph makes."""
    import onnx

    from glowviz.bench.onnxruntime_engine import Session

    with tempfile.TemporaryDirectory() as folder:
        # onnxruntime writes its graph as one file, which ends at 2 GiB
        optimized = str(Path(folder) / "optimized.onnx") if Path(request.path).stat().st_size < LARGEST else ""
        session = Session(request, profile=str(Path(folder) / "profile"), optimized=optimized)
        inputs = random_feed(session.signature(), 0)
        for _ in range(runs + 1):
            session.run(inputs)
        events = json.loads(Path(session.session.end_profiling()).read_text(encoding="utf-8"))
        nodes = onnx.load(optimized, load_external_data=False).graph.node if optimized else ()
        return events, {node.name: tuple(node.output) for node in nodes}


def given(path: Path) -> Peer:
    """Read a profile that onnxruntime wrote (`enable_profiling`); Problem where the file is something else."""
    if path.stat().st_size > LARGEST:
        raise Problem(f"The profile has {path.stat().st_size >> 20} MiB.", path.name, f"at most {LARGEST >> 20} MiB",
                      "Profile fewer runs.")
    try:
        events = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise _no_profile(path, str(error)) from error
    nodes = _nodes(events, {}, skip=0) if isinstance(events, list) else ()
    if not nodes:
        raise _no_profile(path, "no event of category Node with a name in …_kernel_time")
    whole = [float(one["dur"]) for one in events if isinstance(one, dict) and one.get("name") == "model_run"]
    most = max(len(node.samples) for node in nodes)
    told = f"read from {path.name}: {most} run{'' if most == 1 else 's'}, how it was measured is not known"
    return Peer(ENGINE, "", 0, tuple(whole[1:] or whole), told, "given", nodes)


def _no_profile(path: Path, why: str) -> Problem:
    return Problem(f"{path.name} is no profile of onnxruntime: {why}.", path.name,
                   "the JSON file that a session with enable_profiling writes at end_profiling()",
                   "Set SessionOptions.enable_profiling = True, run the model some times, and give that file.")


def _nodes(events: Sequence[Any], outputs: Mapping[str, tuple[str, ...]], skip: int) -> tuple[PeerNode, ...]:
    """One entry per node, in the order they first ran; the first `skip` runs warm up where there are more."""
    found: dict[str, tuple[str, list[float]]] = {}
    for event in events:
        if not isinstance(event, dict) or event.get("cat") != "Node" or not str(event.get("name")).endswith(SUFFIX):
            continue
        name = str(event["name"]).removesuffix(SUFFIX)
        _, samples = found.setdefault(name, (str((event.get("args") or {}).get("op_name", "")), []))
        samples.append(float(event.get("dur", 0)))
    return tuple(PeerNode(name, op, outputs.get(name, ()), tuple(samples[skip:] or samples))
                 for name, (op, samples) in found.items())
