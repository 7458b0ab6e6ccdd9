"""The charts dialog: ids in (which recording, which chart, which theme), one small Plotly figure out."""

import dash_mantine_components as dmc
from dash import Dash, Input, Output, dcc, no_update
from dash.development.base_component import Component

from glowviz.app.problem import Problem
from glowviz.app.services import Services

CHARTS = {"time": "Where time goes", "roofline": "Work against traffic", "passes": "Along the passes"}


def dialog() -> list[Component]:
    """Return the dialog and the store by which assets/page/charts.js says what is on screen."""
    choice = dmc.SegmentedControl(
        id="charts-kind", value="time", data=[{"value": key, "label": title} for key, title in CHARTS.items()])
    graph = dcc.Graph(id="charts-figure", config={"displaylogo": False, "displayModeBar": False}, style={"height": 460})
    return [
        dcc.Store(id="charts-shown"),
        dmc.Modal(id="charts", title="Charts", size=980, opened=False, zIndex=50, children=[choice, graph]),
    ]


def register(app: Dash, services: Services) -> None:
    """Wire the dialog to the recordings of `services`."""

    @app.callback(
        Output("charts-figure", "figure"), Input("charts-shown", "data"), Input("charts-kind", "value"),
        prevent_initial_call=True,
    )
    def draw(shown: dict[str, str] | None, kind: str) -> object:
        return chart(services, shown, kind)


def chart(services: Services, shown: dict[str, str] | None, kind: str) -> object:
    """Return the figure for what is on screen; a recording that is gone gives an empty one that says so."""
    if not shown or kind not in CHARTS:
        return no_update
    try:
        reader = services.open_reader(str(shown.get("recording")))
        return reader.chart(kind, "dark" if shown.get("theme") == "dark" else "light")
    except Problem as problem:
        return {"data": [], "layout": {"annotations": [{"text": problem.what, "showarrow": False}]}}
