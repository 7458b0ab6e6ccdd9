"""Layouts draw networkx DAGs: box sizes in, places of boxes and routes of edges out; they know nothing of tensors."""

from glowviz.layouts.layered import place
from glowviz.layouts.networkx_layouts import Engine, circular, from_networkx, multipartite, spring
from glowviz.layouts.placed import CycleError, LayoutError, Placed, Point, Route, Size, Stub
from glowviz.layouts.union import union, union_place

ENGINES: dict[str, Engine] = {
    "layered": place,
    "multipartite": multipartite,
    "spring": spring,
    "circular": circular,
}

__all__ = [
    "ENGINES",
    "CycleError",
    "Engine",
    "LayoutError",
    "Placed",
    "Point",
    "Route",
    "Size",
    "Stub",
    "circular",
    "from_networkx",
    "multipartite",
    "place",
    "spring",
    "union",
    "union_place",
]
