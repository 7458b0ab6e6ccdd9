"""networkx's own layouts draw the same graphs with the same boxes: no box overlaps another, edges are straight."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import networkx as nx
import numpy as np

from glowviz.layouts.coordinates import COLUMN_GAP
from glowviz.layouts.placed import LayoutError, Placed, Point, Size
from glowviz.layouts.problem import Problem, read
from glowviz.layouts.routing import ROW_GAP

Positions = Mapping[Any, Any]


class Engine(Protocol):
    """What every layout can be asked; see `layered.place` for the meaning."""

    def __call__(
        self,
        digraph: nx.DiGraph,
        sizes: Mapping[Any, Size],
        *,
        previous: Placed | None = None,
        lineage: Mapping[Any, Any] | None = None,
        stub_span: int = 40,
    ) -> Placed:
        """Draw the graph."""
        ...


def from_networkx(name: str, draw: Callable[[nx.DiGraph, Problem], Positions], limit: int) -> Engine:
    """An engine around a function that gives a position per node, of any scale, y upwards.

    The positions are spread until no boxes overlap; edges run straight from box to box. Such an engine does
    not know the previous drawing, and refuses more than `limit` boxes with a LayoutError.
    """

    def place(
        digraph: nx.DiGraph,
        sizes: Mapping[Any, Size],
        *,
        previous: Placed | None = None,
        lineage: Mapping[Any, Any] | None = None,
        stub_span: int = 40,
    ) -> Placed:
        problem = read(digraph, sizes)
        if len(problem.nodes) > limit:
            raise LayoutError(
                f"layout {name} draws at most {limit} boxes, this graph has {len(problem.nodes)}: "
                "fold some, or use the layered layout"
            )
        positions = draw(digraph, problem)
        centres = np.array([positions[node] for node in problem.nodes], np.float64).reshape(-1, 2) * (1, -1)
        return _finish(problem, _spread(centres, problem))

    return place


def _spread(centres: np.ndarray, problem: Problem) -> np.ndarray:
    """Scale x and y alike until every two boxes are apart in one of them; float64 [n, 2] in and out."""
    room = np.stack([problem.widths, problem.heights], axis=1).reshape(-1, 2) / 2
    scale = 1.0
    for i in range(1, len(centres)):
        distance = np.abs(centres[:i] - centres[i])
        distance[(distance < 1e-6).all(axis=1)] = 1e-6
        with np.errstate(divide="ignore"):
            needed = (room[:i] + room[i] + (COLUMN_GAP, ROW_GAP)) / distance
        scale = max(scale, float(needed.min(axis=1).max()))
    return centres * scale


def _finish(problem: Problem, centres: np.ndarray) -> Placed:
    room = np.stack([problem.widths, problem.heights], axis=1).reshape(-1, 2)
    corners = centres - room / 2
    corners -= corners.min(axis=0, initial=np.inf) if len(corners) else 0.0
    width, height = (corners + room).max(axis=0, initial=0.0).tolist()
    places = dict(zip(problem.nodes, corners.tolist(), strict=True))
    sizes = dict(zip(problem.nodes, map(tuple, room.tolist()), strict=True))
    middles = (corners + room / 2).tolist()
    routes = {}
    for key, tail, head in zip(problem.keys, problem.tails, problem.heads, strict=True):
        routes[key] = [
            _border(middles[tail], middles[head], room[tail]),
            _border(middles[head], middles[tail], room[head]),
        ]
    return Placed(
        x={node: place[0] for node, place in places.items()},
        y={node: place[1] for node, place in places.items()},
        layers=dict(zip(problem.nodes, problem.depth, strict=True)),
        routes=routes,
        width=width,
        height=height,
        sizes=sizes,
    )


def _border(start: list[float], end: list[float], room: np.ndarray) -> Point:
    """Where the line from the middle of a box to `end` leaves the box."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    part = min(room[0] / 2 / abs(dx) if dx else np.inf, room[1] / 2 / abs(dy) if dy else np.inf)
    return (float(start[0] + dx * part), float(start[1] + dy * part)) if part < np.inf else (start[0], start[1])


def _multipartite(digraph: nx.DiGraph, problem: Problem) -> Positions:
    rows: dict[int, list[Any]] = {}
    for node, depth in zip(problem.nodes, problem.depth, strict=True):
        rows.setdefault(-depth, []).append(node)
    return nx.multipartite_layout(digraph, subset_key=rows, align="horizontal") if rows else {}


def _spring(digraph: nx.DiGraph, problem: Problem) -> Positions:
    return nx.spring_layout(nx.Graph(digraph), seed=0)


def _circular(digraph: nx.DiGraph, problem: Problem) -> Positions:
    return nx.circular_layout(digraph)


multipartite = from_networkx("multipartite", _multipartite, 2000)
spring = from_networkx("spring", _spring, 499)  # from 500 boxes on networkx asks for scipy
circular = from_networkx("circular", _circular, 2000)
