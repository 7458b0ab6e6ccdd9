"""The two Dash components that hand a region of the page to a plain JavaScript module of assets/."""

from dash.development.base_component import Component

NAMESPACE = "glowviz_ui"
"""assets/components.js registers the same name on `window`."""


class GraphView(Component):
    """The graph canvas; `selected` (a value name or None) is written back for server callbacks.

    Geometry never passes through props: the module fetches it from /api (docs/payloads.md).
    """

    _namespace = NAMESPACE
    _type = "GraphView"

    def __init__(self, id: str, selected: str | None = None) -> None:
        _declare(self, ["id", "selected"])
        super().__init__(id=id, selected=selected)


class Pane(Component):
    """A region drawn by the module of this `kind` (assets/main.js lists them)."""

    _namespace = NAMESPACE
    _type = "Pane"

    def __init__(self, id: str, kind: str) -> None:
        _declare(self, ["id", "kind"])
        super().__init__(id=id, kind=kind)


def _declare(component: Component, names: list[str]) -> None:
    """Tell Dash which properties exist: what its component generator writes into every class."""
    component._prop_names = names
    component.available_properties = names  # type: ignore[attr-defined]  # set by Dash's generator, not annotated
    component._valid_wildcard_attributes = []
    component.available_wildcard_properties = []
