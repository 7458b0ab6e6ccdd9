"""A run is written as one page, or as all its answers, by a job: with progress, and in nobody's way."""

import os
from collections.abc import Callable
from pathlib import Path

import orjson

from glowviz.app.answers import OPTIONS
from glowviz.app.collected import collect
from glowviz.app.export import one_page
from glowviz.app.recordings import JobProgress, RecordingReader
from glowviz.compiler.recording.reader import Recording
from glowviz.jobs import Limits

FUNCTIONS = {"page": "glowviz.app.saving:page", "answers": "glowviz.app.saving:answers"}
"""Kind of file → the job that writes it."""
LIMITS = Limits(wall=600, cpu=600, memory=6 << 30)
PAGE, ANSWERS = "glowviz.html", "recording.json"
KINDNESS = 10  # how far the scheduler puts it behind whatever somebody looks at
Progress = Callable[[float, str], None]


def page(recording: str, title: str, view: str, folder: Path, progress: Progress) -> dict[str, list[str]]:
    """Write a recording as one HTML file that opens in `view`, the fields of a permalink; returns {files}."""
    _step_back()
    text = one_page(Recording(Path(recording)), title, view, progress)
    (folder / PAGE).write_text(text, encoding="utf-8")
    return {"files": [PAGE]}


def answers(recording: str, title: str, folder: Path, progress: Progress) -> dict[str, list[str]]:
    """Write address → answer, all that a page without a server needs; returns {files}."""
    _step_back()
    reader = RecordingReader(Path(recording), {"title": title}, lambda: JobProgress("done"))
    (folder / ANSWERS).write_bytes(orjson.dumps(collect(reader, progress), option=OPTIONS))
    return {"files": [ANSWERS]}


def _step_back() -> None:
    if hasattr(os, "nice"):
        os.nice(KINDNESS)
