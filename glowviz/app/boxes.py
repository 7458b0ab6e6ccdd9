"""A Picture is boxes, blocks and edges before they have places; a Sketch collects them node by node."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

from glowviz.app.folds import Fold
from glowviz.app.text_width import text_width

KINDS = {"node": 0, "fold": 1, "frame": 2, "input": 3, "output": 4}
BOX_HEIGHT, NARROWEST, WIDEST = 28, 96, 220
WIDEST_FOLD = 248
"""A block's title says what is inside, so it may take a little more room."""
ROOT = ""
"""The parent of what stands in no frame."""


@dataclass(frozen=True)
class Box:
    """One box before it has a place."""

    name: str
    title: str
    detail: str
    op: str
    kind: str
    state: str = "same"
    badge: str = ""
    type: str = ""
    count: int = 1
    repeat: int = 1
    changed: int = 0
    members: tuple[str, ...] = ()


class Link(NamedTuple):
    """An edge between two boxes: the value it carries and its state."""

    value: str
    state: str


@dataclass
class Picture:
    """Boxes and edges of one state, or of the union of two, with the frames of unfolded blocks around them."""

    boxes: dict[str, Box] = field(default_factory=dict)
    edges: dict[tuple[str, str], Link] = field(default_factory=dict)
    hidden: dict[str, int] = field(default_factory=dict)
    frames: dict[str, Box] = field(default_factory=dict)
    parent: dict[str, str] = field(default_factory=dict)
    """Box or frame to the frame around it; what stands in none is missing."""
    heirs: dict[str, str] = field(default_factory=dict)
    """New box to the box that it replaces, whose place it takes; what is gone then stands beside it."""
    in_line: bool = False
    """Whether the order of the boxes is a schedule, so that they stand one below the other."""

    def around(self, name: str) -> list[str]:
        """The frames around a box, innermost first, ROOT last."""
        found: list[str] = []
        while name in self.parent:
            name = self.parent[name]
            found.append(name)
        return [*found, ROOT]


def box_size(box: Box) -> tuple[int, int]:
    """Width from title and detail as they are drawn, between the narrowest and the widest; one height for all."""
    around = {"node": 46, "fold": 62}.get(box.kind, 34)  # bar, symbol, gaps; a fold has an arrow too
    inside = text_width(box.title, 12, bold=True) + text_width(box.detail, 11)
    widest = WIDEST_FOLD if box.kind == "fold" else WIDEST
    return min(widest, max(NARROWEST, round(inside) + around)), BOX_HEIGHT


T = TypeVar("T")
_EMPTY = Box("", "", "", "", "fold")


class Sketch(ABC, Generic[T]):
    """Boxes are added node by node; what is folded away is counted in its block, what is unfolded gets a frame."""

    def __init__(self, opened: Collection[str]) -> None:
        self.opened = frozenset(opened)
        self.picture = Picture()
        self.box_of: dict[str, str] = {}
        """Value to the box that makes it."""
        self._insides: dict[str, list[tuple[T, str]]] = {}
        self._folds: dict[str, Fold] = {}

    @abstractmethod
    def single(self, node: T, state: str) -> Box:
        """Return the box of a node that is not folded away."""

    @abstractmethod
    def summary(self, inside: Sequence[tuple[T, str]]) -> tuple[str, int, tuple[str, ...]]:
        """Return what a block is: the op that weighs most, how many nodes live in it, and their names."""

    def put(self, node: T, name: str, path: Iterable[Fold], state: str) -> str:
        """Draw a node, or count it in the outermost block around it that is not unfolded; returns the box."""
        around = ROOT
        for fold in path:
            self._folds[fold.name] = fold
            self._insides.setdefault(fold.name, []).append((node, state))
            home = self.picture.frames if fold.name in self.opened else self.picture.boxes
            home.setdefault(fold.name, _EMPTY)
            self._stand_in(fold.name, around)
            if home is self.picture.boxes:
                return fold.name
            around = fold.name
        self.picture.boxes[name] = self.single(node, state)
        self._stand_in(name, around)
        return name

    def _stand_in(self, name: str, around: str) -> None:
        if around != ROOT:
            self.picture.parent[name] = around

    def link(self, source: str, target: str, value: str, state: str = "same") -> None:
        """Join two boxes; what is inside one block is not drawn, and the first value names the edge."""
        if source != target:
            self.picture.edges.setdefault((source, target), Link(value, state))

    def finish(self) -> Picture:
        """Fill in what every block is and how much of it changed."""
        for name, inside in self._insides.items():
            kind = "frame" if name in self.picture.frames else "fold"
            box = self._block(self._folds[name], inside, kind)
            (self.picture.frames if kind == "frame" else self.picture.boxes)[name] = box
        return self.picture

    def _block(self, fold: Fold, inside: list[tuple[T, str]], kind: str) -> Box:
        changed = [state for _, state in inside if state != "same"]
        op, alive, members = self.summary(inside)
        title = fold.title + (f" ×{fold.repeat}" if fold.repeat > 1 else "")
        state = "merged" if "merged" in changed else "changed" if changed else "same"
        return Box(fold.name, title, str(alive), op, kind, state if kind == "fold" else "same",
                   f"⇄{len(changed)}" if changed else "", "", len(inside), fold.repeat, len(changed),
                   members if kind == "fold" else ())
