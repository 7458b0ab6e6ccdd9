"""Opening files by path: a model as a Graph, a recording as a Recording."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from glowviz.compiler.graph import Graph
from glowviz.compiler.importer import read_model
from glowviz.compiler.recording.reader import Recording


def load(source: str | Path | bytes, shapes: Mapping[str, tuple[int, ...]] | None = None) -> Graph:
    """The imported Graph of a model file, exactly as the file says it; ImportProblem tells what it cannot take."""
    return read_model(source, shapes)


def open_recording(path: str | Path) -> Recording:
    """Open a recording read-only; RecordingProblem says in one sentence what is wrong with a file that is none."""
    return Recording(path)
