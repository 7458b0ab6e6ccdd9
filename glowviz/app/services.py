"""What the web layer needs from the rest: readers of recordings and a workshop that compiles."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from glowviz.app.reader import Payload, Reader, SceneRequest
from glowviz.app.store import Store


class Workshop(Protocol):
    """Compiles in child processes; every method raises Problem when it refuses."""

    def compile(self, request: Payload) -> Payload:
        """Start (or find) the compilation that `request` asks for; returns {recording, job} or {dims}."""
        ...

    def job(self, identifier: str) -> Payload:
        """Return how far a job is."""
        ...

    def cancel(self, identifier: str) -> None:
        """End a job."""
        ...

    def open_path(self, path: Path, shapes: dict[str, int] | None = None) -> Payload:
        """Open a model or recording that lies on this machine; returns what `compile` returns."""
        ...

    def glow(self, text: str, passes: list[str]) -> Payload:
        """Run passes on the text of a graph; returns {text, reasons, scene}."""
        ...

    def order(self, identifier: str) -> Payload:
        """Return the order of graph passes of a recording as YAML, and what options its passes have."""
        ...

    def cutout(self, identifier: str, snapshot: int, name: str) -> Path:
        """Return an ONNX file of the graph around a node."""
        ...

    def bisect(self, identifier: str, tolerance: float) -> int:
        """Start the search for the first wrong pass; returns its number."""
        ...

    def beside(self, identifier: str, profile: str = "") -> int:
        """Start timing another engine beside a recording, or reading its profile; returns the number of the check."""
        ...

    def bisect_by(self, identifier: str, question: Payload) -> int:
        """Start the search for a pass by its peak, its time or a pattern; returns the number of the check."""
        ...

    def save(self, identifier: str, kind: str, view: str) -> int:
        """Start writing a recording as one file, kind "page" or "answers"; returns the number of the check."""
        ...

    def inputs(self, identifier: str) -> Payload:
        """Return what can be given to a recording's model."""
        ...

    def look(self, identifier: str, trial: Payload) -> Payload:
        """Return how each input would be filled by a trial, with what is wrong about it."""
        ...

    def check(self, number: int) -> Payload:
        """Return how far a search or saving is, with its answer."""
        ...

    def check_file(self, number: int, name: str) -> Path:
        """Return a file that a search left behind."""
        ...

    def cancel_check(self, number: int) -> None:
        """End a search."""
        ...

    def gallery(self) -> list[Payload]:
        """Return the gallery's cards."""
        ...


class Drawer(Protocol):
    """Draws large pictures in child processes."""

    def scene(self, recording: Path, request: SceneRequest) -> bytes | Payload:
        """Return the scene as JSON text, or {waiting: number of the drawing, stage}."""
        ...

    def progress(self, number: int) -> Payload:
        """Return {state: "running" | "done"}; raises Problem where the drawing failed."""
        ...

    def cancel(self, number: int) -> None:
        """Stop a drawing."""
        ...


@dataclass(frozen=True)
class Services:
    """What routes and callbacks are made with; no module keeps any of it in a global."""

    store: Store
    open_reader: Callable[[str], Reader]
    workshop: Workshop
    local: bool = True  # one user on loopback: paths of this machine may be opened
    drawer: Drawer | None = None  # without one, every picture is drawn by the process that is asked
