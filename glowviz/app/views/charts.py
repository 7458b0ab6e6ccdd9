"""Plotly figures of a recording: where time goes, how each kernel uses the machine, what the passes achieved."""

import zlib
from typing import Any

import orjson
import plotly.graph_objects as go

from glowviz.app import theme
from glowviz.app.wording import median, spread
from glowviz.compiler.recording.reader import Recording

MS = {"ns": 1e-6, "us": 1e-3, "ms": 1.0, "s": 1e3}
MOST = 24


def figure(recording: Recording, kind: str, mode: str = "light") -> go.Figure:
    """Return chart `kind` (time, roofline or passes) in the colours of `mode`; raises KeyError for another kind."""
    draw = {"time": _time, "roofline": _roofline, "passes": _passes}[kind]
    made = go.Figure(layout={"template": None})
    draw(made, recording, mode)
    ink, muted, panel, line = (getattr(theme.SURFACES[name], mode) for name in ("ink", "muted", "panel", "line"))
    axis = {"gridcolor": line, "linecolor": line, "zerolinecolor": line, "tickfont": {"color": muted}}
    made.update_layout(
        paper_bgcolor=panel, plot_bgcolor=panel, font={"family": "Inter", "size": 12, "color": ink}, height=460,
        margin={"l": 8, "r": 16, "t": 8, "b": 8}, legend={"orientation": "h", "y": 1.06},
    )
    made.update_xaxes(axis, automargin=True)
    made.update_yaxes(axis, automargin=True)
    if not made.data:
        made.add_annotation(text="Nothing is timed yet.", showarrow=False, font={"color": muted})
    return made


def _rows(recording: Recording) -> list[dict[str, Any]]:
    """Return the timed kernels, slowest first, with ms, spread and the node they compute."""
    statements = recording.statements() if recording.last("program") is not None else []
    labels = {row["value"]: row["label"] for row in statements if row["value"]}
    samples = {row["kernel"]: [one * MS[row["unit"]] for one in orjson.loads(zlib.decompress(row["samples"]))]
               for row in recording.query("SELECT kernel, unit, samples FROM spans ORDER BY rowid")}
    rows = []
    for row in recording.query("SELECT position, instruction, name, value, flops, bytes FROM kernels"):
        if times := samples.get(row["position"]):
            op = row["name"].split(".")[0] or row["instruction"]
            rows.append({"title": labels.get(row["value"]) or row["value"], "op": op, "ms": median(times),
                         "spread": spread(times), "flops": row["flops"], "bytes": row["bytes"]})
    return sorted(rows, key=lambda row: -row["ms"])


def _time(made: go.Figure, recording: Recording, mode: str) -> None:
    rows = _rows(recording)[:MOST][::-1]
    muted = getattr(theme.SURFACES["muted"], mode)
    for family in theme.FAMILIES:
        own = [row for row in rows if theme.family_of(row["op"]) == family.key]
        if own:
            made.add_bar(
                y=[row["title"] for row in own], x=[row["ms"] for row in own], orientation="h", name=family.title,
                marker={"color": getattr(family.bar, mode)},
                error_x={"type": "data", "array": [row["spread"] for row in own], "color": muted, "thickness": 1},
                hovertemplate="%{y}<br>%{x:.3g} ms<extra></extra>")
    made.update_xaxes(title="ms, median ± half the quartile distance")
    made.update_yaxes(categoryorder="array", categoryarray=[row["title"] for row in rows])


def _roofline(made: go.Figure, recording: Recording, mode: str) -> None:
    rows = [row for row in _rows(recording) if row["flops"] and row["bytes"]]
    for family in theme.FAMILIES:
        own = [row for row in rows if theme.family_of(row["op"]) == family.key]
        if own:
            made.add_scatter(
                x=[row["flops"] / row["bytes"] for row in own], y=[row["flops"] / row["ms"] / 1e6 for row in own],
                mode="markers", name=family.title, text=[row["title"] for row in own],
                marker={"color": getattr(family.bar, mode), "size": 9, "line": {"width": 0}},
                hovertemplate="%{text}<br>%{x:.3g} FLOP a byte, %{y:.3g} GFLOP/s<extra></extra>")
    peak = (recording.meta.get("target_facts") or {}).get("peak_gflops")
    if rows and peak:
        made.add_hline(y=peak, line={"dash": "dot", "color": getattr(theme.SURFACES["muted"], mode)},
                       annotation_text=f"peak {peak:.0f} GFLOP/s")
    made.update_xaxes(title="FLOP per byte moved", type="log")
    made.update_yaxes(title="GFLOP/s", type="log")


def _passes(made: go.Figure, recording: Recording, mode: str) -> None:
    """Nodes, bytes moved and live memory after each pass that changed something, in % of the imported model."""
    steps = [step for step in recording.passes() if step["level"] != "program"]
    first = steps[min(1, len(steps) - 1)]
    for at, (key, title) in enumerate((("nodes", "nodes"), ("moved", "bytes moved"), ("peak", "live memory"))):
        if not first[key]:
            continue
        shade = theme.FAMILIES[(0, 2, 3)[at]].bar
        known = [step for step in steps[1:] if step[key] is not None and step["fired"]]
        made.add_scatter(
            x=[f"{step['snapshot']} {step['name']}" for step in known],
            y=[round(100 * step[key] / first[key], 1) for step in known], mode="lines", name=title,
            line={"shape": "hv", "width": 2, "color": getattr(shade, mode)},
            hovertemplate="%{x}<br>%{y:.1f} %<extra>" + title + "</extra>")
    made.update_yaxes(title="% of the imported model", rangemode="tozero")
    made.update_xaxes(tickangle=-45)
