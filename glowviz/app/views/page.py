"""The one page: five regions in fixed places, each handed to a drawing module."""

import dash_mantine_components as dmc
from dash import html
from dash.development.base_component import Component

from glowviz.app.callbacks import charts
from glowviz.app.graph_view import GraphView, Pane

FONT = "Inter, system-ui, sans-serif"
MONO = "'JetBrains Mono', ui-monospace, monospace"


def page() -> Component:
    """Return the whole page; everything that moves is drawn by assets/ from /api payloads."""
    return dmc.MantineProvider(
        id="mantine",
        forceColorScheme="light",
        theme={"fontFamily": FONT, "fontFamilyMonospace": MONO, "primaryColor": "blue", "defaultRadius": "sm"},
        children=html.Div(
            id="page",
            className="page",
            children=[
                _region("header", "bar", "bar"),
                _region("section", "numbers", "numbers", "The five numbers"),
                html.Main(className="regions", id="regions", children=_regions()),
                _region("section", "dock", "dock", "Dock"),
                _region("footer", "status", "status"),
                _region("div", "start", "start"),
                _region("div", "overlays", "overlays"),
                *charts.dialog(),
            ],
        ),
    )


def _regions() -> list[Component]:
    return [
        _region("nav", "ledger", "ledger", "Passes"),
        html.Div(className="splitter", id="splitter-left", role="separator"),
        html.Section(className="region canvas", id="region-canvas", children=GraphView(id="graph")),
        html.Div(className="splitter", id="splitter-right", role="separator"),
        _region("aside", "inspector", "inspector", "Inspector"),
    ]


def _region(tag: str, name: str, kind: str, label: str = "") -> Component:
    element = getattr(html, tag.capitalize())
    described = {"aria-label": label} if label else {}
    return element(className=f"region {name}", id=f"region-{name}", children=Pane(id=name, kind=kind), **described)
