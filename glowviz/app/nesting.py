"""A Picture gets places: every frame is drawn by itself and stands as one large box in what is around it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from math import ceil
from statistics import median_low

import networkx as nx

from glowviz.app.boxes import NARROWEST, ROOT, Box, Picture, box_size
from glowviz.app.text_width import text_width
from glowviz.layouts import Placed, Point, Route, Stub, place

HEADER, PADDING, WAY_OUT = 26, 16, 10
"""px of a frame's title strip, around what is inside, and below the place where edges leave."""
ENTRY, EXIT = "\x1fin", "\x1fout"
"""Two places of no height in every frame, where edges pass its border."""
PORT = 12
MOST_UNEVEN = 120
"""px that a frame may be wider than what is inside, so that edges run straight on through its middle."""
Piece = tuple[str, str]


@dataclass
class Drawing:
    """Absolute px: the top left corner and size of every box and frame, and every edge's route."""

    x: dict[str, float]
    y: dict[str, float]
    sizes: dict[str, tuple[float, float]]
    routes: dict[Piece, Route]
    levels: dict[str, Placed] = field(default_factory=dict)
    """Frame (or ROOT) to the drawing of what is inside it."""

    def middle(self, name: str) -> float:
        """x of the middle of a box, px."""
        return self.x[name] + self.sizes[name][0] / 2

    def bounds(self) -> tuple[float, float, float, float]:
        """Left, top, width and height of everything drawn, px; nothing has no size."""
        names = list(self.x)
        xs = [x for route in self.routes.values() for x, _ in route]
        left = min([*(self.x[name] for name in names), *xs], default=0.0)
        right = max([*(self.x[name] + self.sizes[name][0] for name in names), *xs], default=0.0)
        top = min((self.y[name] for name in names), default=0.0)
        bottom = max((self.y[name] + self.sizes[name][1] for name in names), default=0.0)
        return left, top, right - left, bottom - top


@dataclass
class _Level:
    """What stands directly in one frame: its boxes, and the pieces of edges between them."""

    names: list[str] = field(default_factory=list)
    pieces: dict[Piece, str] = field(default_factory=dict)
    """(from, to) to the value that the first such edge carries."""


def draw(picture: Picture, previous: Drawing | None = None) -> Drawing:
    """Place all boxes; those of `previous` keep their places within the frame they are in."""
    levels, chains = _levels(picture)
    earlier = previous.levels if previous is not None else {}
    sizes: dict[str, tuple[float, float]] = {name: box_size(box) for name, box in picture.boxes.items()}
    placed: dict[str, Placed] = {}
    for name in _inside_out(picture):
        level = levels[name]
        placed[name] = _place_level(level, sizes, earlier.get(name), picture)
        if name != ROOT:
            sizes[name] = _frame_size(picture.frames[name], placed[name], previous, name)
    return _settled(_absolute(placed, sizes, chains), previous)


def _settled(drawing: Drawing, previous: Drawing | None) -> Drawing:
    """Undo a common shift: a box that grew at the left border pushes all others, and most should not move."""
    if previous is None:
        return drawing
    shifts = [drawing.middle(name) - previous.middle(name) for name in drawing.x if name in previous.x]
    dx = round(median_low(shifts)) if shifts else 0
    if dx:
        drawing.x = {name: x - dx for name, x in drawing.x.items()}
        drawing.routes = {edge: _shifted(route, -dx, 0) for edge, route in drawing.routes.items()}
    return drawing


def _shifted(route: Route, dx: float, dy: float) -> Route:
    points = [(x + dx, y + dy) for x, y in route]
    return Stub(*points) if isinstance(route, Stub) else points


def _inside_out(picture: Picture) -> list[str]:
    depth = {name: len(picture.around(name)) for name in picture.frames}
    return [*sorted(picture.frames, key=lambda name: -depth[name]), ROOT]


def _levels(picture: Picture) -> tuple[dict[str, _Level], dict[Piece, list[tuple[str, Piece]]]]:
    """What is in each frame, and for each edge the (frame, piece) that it is drawn by, in order."""
    levels = {name: _Level() for name in (*picture.frames, ROOT)}
    for name in (*picture.frames, *picture.boxes):
        levels[picture.parent.get(name, ROOT)].names.append(name)
    order = _first_places(picture)
    for level in levels.values():
        level.names.sort(key=order.__getitem__)
    chains = {edge: _chain(picture, *edge) for edge in picture.edges} if picture.frames else None
    found: dict[Piece, list[tuple[str, Piece]]] = {}
    for edge, link in picture.edges.items():
        found[edge] = chains[edge] if chains is not None else [(ROOT, edge)]
        for frame, piece in found[edge]:
            levels[frame].pieces.setdefault(piece, link.value)
    return levels, found


def _first_places(picture: Picture) -> dict[str, int]:
    """Where each box comes in the picture's order; a frame comes where the first box inside it does."""
    order = {name: k for k, name in enumerate(picture.boxes)}
    first: dict[str, int] = {}
    for name, at in order.items() if picture.frames else ():
        for frame in picture.around(name)[:-1]:
            first.setdefault(frame, at)
    return order | first


def _chain(picture: Picture, source: str, target: str) -> list[tuple[str, Piece]]:
    """Cut an edge where it passes frames: out of those around the source, across, into those around the target."""
    out, into = picture.around(source), picture.around(target)
    shared = next(frame for frame in out if frame in into)
    found: list[tuple[str, Piece]] = []
    here = source
    for frame in out[: out.index(shared)]:
        found.append((frame, (here, EXIT)))
        here = frame
    inner = into[: into.index(shared)]
    found.append((shared, (here, inner[-1] if inner else target)))
    for outer, frame in pairwise([*reversed(inner), target]):
        found.append((outer, (ENTRY, frame)))
    return found


def _place_level(
    level: _Level, sizes: dict[str, tuple[float, float]], previous: Placed | None, picture: Picture
) -> Placed:
    names = list(level.names)
    ends: dict[str, set[str]] = {ENTRY: set(), EXIT: set()}
    for (source, target), value in level.pieces.items():
        for end, gates in ends.items():
            if end in (source, target):
                gates.add(value)
    here = {name: sizes[name] for name in names}
    for end, gates in ends.items():
        if gates:
            here[end] = (float(PORT * (len(gates) + 1)), 0.0)
    order = [*([ENTRY] if ends[ENTRY] else []), *names, *([EXIT] if ends[EXIT] else [])]
    lineage: dict[str, str | None] = {new: old for new, old in picture.heirs.items() if new in here}
    lineage |= {old: None for old in picture.heirs.values() if old in here}
    return place(_digraph(order, level.pieces, picture.in_line), here, previous=previous, lineage=lineage)


def _digraph(order: list[str], pieces: Mapping[Piece, str], in_line: bool) -> nx.DiGraph:
    """The graph to place; where blocks feed each other in a circle, edges against the order lead upwards."""
    digraph = nx.DiGraph()
    digraph.add_nodes_from(order)
    if in_line:
        for one, other in pairwise(order):
            digraph.add_edge(one, other, ports=("\x1fnext", "\x1fnext"))
    for (source, target), value in pieces.items():
        digraph.add_edge(source, target, ports=(value, source if target != EXIT else value))
    _turn_circles(digraph, order)
    return digraph


def _turn_circles(digraph: nx.DiGraph, order: Iterable[str]) -> None:
    if nx.is_directed_acyclic_graph(digraph):
        return
    rank = {name: k for k, name in enumerate(order)}
    for members in nx.strongly_connected_components(digraph):
        for source, target in digraph.subgraph(members).edges if len(members) > 1 else ():
            if rank[source] > rank[target]:
                digraph.edges[source, target]["back"] = True


def _axis(placed: Placed) -> float:
    """The x on which edges enter or leave, px: the frame's middle stands there, so that they run on straight."""
    gate = next((end for end in (ENTRY, EXIT) if end in placed.x), None)
    return placed.width / 2 if gate is None else placed.centre(gate)[0]


def _frame_size(frame: Box, placed: Placed, previous: Drawing | None, name: str) -> tuple[float, float]:
    axis = _axis(placed)
    title = 48 + text_width(frame.title, 12, bold=True)
    tight = placed.width + 2 * PADDING
    even = 2 * max(axis, placed.width - axis) + 2 * PADDING
    width = max(even if even - tight <= MOST_UNEVEN else tight, title, NARROWEST)
    height = HEADER + placed.height + (WAY_OUT if EXIT in placed.x else PADDING)
    if previous is not None and name in previous.levels:
        height = max(height, previous.sizes[name][1])  # what is below a frame stays when the frame has less inside
    return float(2 * ceil(width / 2)), float(ceil(height))


def _inset(placed: Placed, width: float) -> float:
    """How far from a frame's left border its drawing begins, px: its axis in the middle where that has room."""
    return min(max(width / 2 - _axis(placed), PADDING), max(PADDING, width - PADDING - placed.width))


def _absolute(
    placed: dict[str, Placed], sizes: dict[str, tuple[float, float]], chains: Mapping[Piece, list[tuple[str, Piece]]]
) -> Drawing:
    """Add up the places from the outermost drawing inwards."""
    origin: dict[str, Point] = {ROOT: (0.0, 0.0)}
    x: dict[str, float] = {}
    y: dict[str, float] = {}
    for frame in reversed(placed):
        level, (left, top) = placed[frame], origin[frame]
        for name in level.x:
            if name not in (ENTRY, EXIT):
                x[name], y[name] = level.x[name] + left, level.y[name] + top
            if name in placed:
                origin[name] = x[name] + _inset(placed[name], sizes[name][0]), y[name] + HEADER
    routes = {edge: _route(chain, placed, origin) for edge, chain in chains.items()}
    return Drawing(x, y, sizes, routes, placed)


def _route(chain: list[tuple[str, Piece]], placed: dict[str, Placed], origin: Mapping[str, Point]) -> Route:
    """The pieces of an edge joined where it passes frames; cut to a stub where one of them is."""
    points: list[Point] = []
    cut = False
    for frame, piece in chain:
        route = placed[frame].routes[piece]
        left, top = origin[frame]
        cut = cut or isinstance(route, Stub)
        moved = _shifted(route, left, top)
        if points:
            points += _join(points[-1], moved[0])
        points += moved
    return Stub(points[0], points[-1]) if cut else points


def _join(one: Point, other: Point) -> list[Point]:
    """The corners between an edge's end at a frame's border and its beginning on the other side."""
    if abs(one[0] - other[0]) < 1:
        return []
    y = one[1] + (other[1] - one[1]) * 0.75
    return [(one[0], y), (other[0], y)]
