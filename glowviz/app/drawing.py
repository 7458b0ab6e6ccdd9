"""A large picture is drawn in a child process, so that it holds up nobody else's page."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from glowviz.app.answers import OPTIONS
from glowviz.app.problem import Problem
from glowviz.app.reader import SceneRequest
from glowviz.app.recordings import JobProgress, RecordingReader
from glowviz.jobs import Limits, Pool, State, file_argument

FUNCTION = "glowviz.app.drawing:draw"
LIMITS = Limits(wall=300, cpu=300, memory=6 << 30)
FILE = "scene.json"


def draw(recording: str, request: dict[str, Any], folder: Path) -> str:
    """Draw the scene that `request` (the fields of SceneRequest) asks for; returns the name of a file in `folder`."""
    reader = RecordingReader(Path(recording), {}, lambda: JobProgress("done"))
    scene = reader.scene(SceneRequest(**request))
    (folder / FILE).write_bytes(orjson.dumps(scene, option=OPTIONS))
    return FILE


class Draughtsman:
    """Asks the pool for pictures; the same picture is drawn once, however often it is asked for."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool

    def scene(self, recording: Path, request: SceneRequest) -> bytes | dict[str, Any]:
        """Return the scene as JSON, or {waiting: number of the job, stage} while it is being drawn."""
        asked = json.loads(json.dumps(asdict(request)))  # tuples and lists are one to JSON, and to the job's key
        job = self.pool.submit(FUNCTION, {"recording": file_argument(recording), "request": asked}, LIMITS, urgent=True)
        if job.state is State.DONE:
            return job.output_path(FILE).read_bytes()
        return {"waiting": job.id, "stage": job.row().message}

    def progress(self, number: int) -> dict[str, Any]:
        """Return {state: "running" | "done"}; raises Problem where the drawing failed or there is no such job."""
        try:
            row = self.pool.job(number).row()
        except KeyError:
            row = None
        if row is None or row.function != FUNCTION:
            raise Problem(f"There is no drawing {number}.", remedy="Reload the page.", status=404)
        if row.state.final and row.state is not State.DONE:
            told = row.problem or {}
            raise Problem(told.get("what") or "The drawing was stopped.", told.get("where", "the graph's picture"),
                          told.get("expected", ""), "Fold the graph, or look at the neighbours of one node (o).",
                          status=500)
        return {"state": "done" if row.state is State.DONE else "running"}

    def cancel(self, number: int) -> None:
        """Stop a drawing."""
        self.progress(number)
        self.pool.job(number).cancel()
