"""The two Dash components that hand a region of the page to a plain JavaScript module of assets/."""

from typing import ClassVar

from dash.development.base_component import Component


class _Module(Component):
    """What both components share; assets/components.js registers the same namespace on `window`."""

    _namespace = "glowviz_ui"
    _type = "Module"
    _children_props: ClassVar[list[str]] = []
    _base_nodes: ClassVar[list[str]] = ["children"]
    _prop_names: ClassVar[list[str]] = ["id"]
    _valid_wildcard_attributes: ClassVar[list[str]] = []
    available_properties: ClassVar[list[str]] = ["id"]
    available_wildcard_properties: ClassVar[list[str]] = []


class GraphView(_Module):
    """The graph canvas; `selected` (a value name or None) is written back for server callbacks.

    Geometry never passes through props: the module fetches it from /api (docs/payloads.md).
    """

    _namespace = "glowviz_ui"
    _type = "GraphView"
    _prop_names: ClassVar[list[str]] = ["id", "selected"]
    available_properties: ClassVar[list[str]] = ["id", "selected"]

    def __init__(self, id: str, selected: str | None = None) -> None:
        super().__init__(id=id, selected=selected)


class Pane(_Module):
    """A region drawn by assets/panes/<kind>.js."""

    _namespace = "glowviz_ui"
    _type = "Pane"
    _prop_names: ClassVar[list[str]] = ["id", "kind"]
    available_properties: ClassVar[list[str]] = ["id", "kind"]

    def __init__(self, id: str, kind: str) -> None:
        super().__init__(id=id, kind=kind)
