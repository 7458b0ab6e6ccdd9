"""A drawing is a Placed: where every box stands, which row it is in, and how every edge runs."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

Point = tuple[float, float]
Size = tuple[float, float]


class LayoutError(ValueError):
    """A graph that cannot be drawn; the message says what, where and what to do."""


class CycleError(LayoutError):
    """The graph has a cycle; `cycle` holds its nodes, the first one not repeated."""

    def __init__(self, cycle: list[Any]) -> None:
        self.cycle = cycle
        names = [str(node) for node in cycle]
        if len(names) > 12:
            names = [*names[:6], f"… {len(names) - 11} more …", *names[-5:]]
        super().__init__(f"layouts need a DAG: found cycle {'→'.join([*names, names[0]])}")


class Stub(NamedTuple):
    """A long edge, drawn as a short tail at each end: `source` on its box's lower side, `target` on its
    box's upper side (the other way round for an edge marked `back`), both in px."""

    source: Point
    target: Point


Route = list[Point] | Stub


@dataclass(frozen=True, eq=False)
class Placed:
    """One drawing. Lengths are px, x grows to the right and y downwards, (0, 0) is the top left corner.

    x, y       node -> top left corner of its box
    layers     node -> its row, counted from 0 at the top; every edge leads to a later row
    routes     edge key, (u, v) or (u, v, key) of a multigraph -> corner points from u's side to v's side,
               at right angles except where a gap is too full; or a Stub
    width, height   lower right corner of everything drawn
    sizes      node -> (w, h), as they were given
    rows       y of each row's centre line
    crossings  edge crossings between adjacent rows, long edges followed row by row, stubs not counted
    """

    x: dict[Any, float]
    y: dict[Any, float]
    layers: dict[Any, int]
    routes: dict[Any, Route]
    width: float
    height: float
    sizes: Mapping[Any, Size]
    rows: tuple[float, ...] = ()
    crossings: int = 0

    def centre(self, node: Hashable) -> Point:
        """The middle of a node's box, px."""
        w, h = self.sizes[node]
        return self.x[node] + w / 2, self.y[node] + h / 2

    def positions(self) -> dict[Any, Point]:
        """Box centres as networkx's drawing functions want them: y grows upwards."""
        return {node: (cx, -cy) for node in self.x for cx, cy in (self.centre(node),)}

    def as_arrays(self, order: Iterable[Any], edges: Iterable[Any] | None = None) -> dict[str, np.ndarray]:
        """The drawing as compact columns, boxes in `order`, edges in `edges` (default: all, as in `routes`).

        boxes    float32 [n, 4]  x, y, w, h
        layers   int32 [n]
        points   float32 [p, 2]  all corner points; a stub has two, its source and its target end
        offsets  int32 [e + 1]   edge i owns points[offsets[i]:offsets[i + 1]]
        stubs    uint8 [e]       1 where edge i is a stub
        Raises KeyError for a node or edge that is not in the drawing.
        """
        nodes = list(order)
        boxes = np.array([(self.x[v], self.y[v], *self.sizes[v]) for v in nodes], np.float32)
        routes = list(self.routes.values()) if edges is None else [self.routes[edge] for edge in edges]
        offsets = np.zeros(len(routes) + 1, np.int32)
        np.cumsum([len(route) for route in routes], out=offsets[1:])
        points = np.array([point for route in routes for point in route], np.float32)
        return {
            "boxes": boxes.reshape(len(nodes), 4),
            "layers": np.array([self.layers[v] for v in nodes], np.int32),
            "points": points.reshape(-1, 2),
            "offsets": offsets,
            "stubs": np.array([isinstance(route, Stub) for route in routes], np.uint8),
        }
