"""Jobs that put another engine's times beside ours: measured here in a process of its own, or read from its profile."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from glowviz.bench import onnxruntime_profile
from glowviz.compiler.graph import Graph
from glowviz.compiler.recording.peers import Peer, attach

Progress = Callable[[float, str], None]
RUNS = 20


def measure(
    main: str, files: dict[str, str], shapes: dict[str, list[int]], threads: int, record: str, at: float,
    progress: Progress, folder: Path,
) -> dict[str, Any]:
    """Time the model `main` in onnxruntime and add that to the recording `record`.

    `files` are uploaded side files by the name that the model calls them. `at` is when it was asked for: every
    asking is another measurement.
    """
    model = _model(Path(main), files, folder)
    bound = {name: tuple(dims) for name, dims in shapes.items()}
    return _attached(Path(record), onnxruntime_profile.measured(model, bound, threads, RUNS, progress))


def read(profile: str, record: str, at: float) -> dict[str, Any]:
    """Add what a profile says that somebody gave; `at` as above."""
    return _attached(Path(record), onnxruntime_profile.given(Path(profile)))


def _attached(record: Path, peer: Peer) -> dict[str, Any]:
    attach(record, peer)
    return {"engine": peer.engine, "nodes": len(peer.nodes), "told": peer.told}


def _model(main: Path, files: dict[str, str], folder: Path) -> Path:
    """The model as an ONNX file with its side files beside it under the names that it calls them."""
    if main.suffix == ".glow":
        from glowviz.compiler.exporter import save
        from glowviz.compiler.text import Contents, parse_graph

        graph: Graph = parse_graph(main.read_text(encoding="utf-8"), Contents(main))
        path = folder / "model.onnx"
        save(graph, path)
        return path
    if not files:
        return main
    beside = folder / main.name
    with suppress(FileExistsError):
        beside.symlink_to(main)
    for name, path in files.items():
        with suppress(FileExistsError):
            (folder / Path(name).name).symlink_to(path)
    return beside
