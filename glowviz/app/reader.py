"""Everything the page can ask of one recording is one method here; each returns a payload of docs/payloads.md."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

Payload = dict[str, Any]


@dataclass(frozen=True)
class SceneRequest:
    """Which picture is wanted: a snapshot, what it is compared with, and how it is folded."""

    snapshot: int
    base: int | None = None
    fold: str = "blocks"  # "blocks", "scopes" or "none"
    opened: Sequence[str] = field(default=())
    constants: bool = False

    def __post_init__(self) -> None:
        if self.fold not in ("blocks", "scopes", "none"):
            raise ValueError(f"fold is {self.fold!r}; expected blocks, scopes or none")


class Reader(Protocol):
    """Answers about one recording; every method raises Problem when it has no answer.

    A snapshot is a number from 0 (imported) to `snapshots() - 1`; names are value names or fold names.
    """

    def finished(self) -> bool:
        """Return whether the recording will not grow any more."""
        ...

    def snapshots(self) -> int:
        """Return how many snapshots there are so far."""
        ...

    def overview(self) -> Payload:
        """Return what the model is and what was found in it."""
        ...

    def passes(self) -> Payload:
        """Return the ledger."""
        ...

    def scene(self, request: SceneRequest) -> Payload:
        """Return the picture of one snapshot."""
        ...

    def scene_against(self, other: "Reader", request: SceneRequest) -> Payload:
        """Return the union of one snapshot with the corresponding one of another run."""
        ...

    def is_large(self, request: SceneRequest) -> bool:
        """Return whether that picture is so large that a job should draw it."""
        ...

    def numbers(self, snapshot: int) -> Payload:
        """Return the five numbers at one snapshot."""
        ...

    def life(self, snapshot: int, name: str) -> Payload:
        """Return the life card of a value or block."""
        ...

    def rewrites(self) -> Payload:
        """Return every firing of a rule, in order."""
        ...

    def changes(self, snapshot: int) -> Payload:
        """Return what the pass that made this snapshot changed, and what it declined to change."""
        ...

    def why(self, snapshot: int, name: str) -> Payload:
        """Return why passes left a node as it is."""
        ...

    def text(self, snapshot: int) -> Payload:
        """Return the printed IR of one snapshot, line by line."""
        ...

    def program(self, snapshot: int) -> Payload:
        """Return the printed low-level program at (or first after) one snapshot."""
        ...

    def memory(self, snapshot: int) -> Payload:
        """Return every buffer with address and lifetime."""
        ...

    def kernels(self) -> Payload:
        """Return one row per instruction with its kernel and timing."""
        ...

    def kernel(self, name: str) -> Payload:
        """Return one kernel's LLVM IR and assembly with the lines that belong together."""
        ...

    def cutout(self, snapshot: int, name: str) -> str:
        """Return the text (.glow) of the graph around a node."""
        ...

    def values(self, snapshot: int, name: str) -> Payload:
        """Return statistics of a tensor."""
        ...

    def search(self, query: str) -> Payload:
        """Return names of all snapshots that match, removed ones included."""
        ...

    def compare(self, other: "Reader") -> Payload:
        """Return this run beside another one of the same model."""
        ...

    def trace(self) -> Payload:
        """Return passes and kernels as Chrome's trace events."""
        ...

    def picture(self, snapshot: int) -> str:
        """Return one state as SVG."""
        ...

    def content(self) -> bytes:
        """Return the recording's file."""
        ...

    def chart(self, kind: str, mode: str) -> object:
        """Return a Plotly figure: kind is time, roofline or passes, mode is light or dark."""
        ...

    def hunt(self) -> Payload:
        """Return every value with its error, NaNs and infinities, in the order it is computed."""
        ...

    def problems(self) -> Payload:
        """Return what went wrong, newest first."""
        ...
