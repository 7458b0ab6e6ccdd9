"""One state of a recording as an SVG picture: the folded graph as the canvas draws it, in the light theme."""

from typing import Any
from xml.sax.saxutils import escape

from glowviz.app import theme
from glowviz.app.scene import Scenes
from glowviz.app.text_width import text_width
from glowviz.compiler.recording.reader import Recording

MARGIN = 12


def svg(recording: Recording, snapshot: int) -> str:
    """Return the picture of `snapshot` as SVG text, in px, with the fonts named but not inside."""
    scene = Scenes(recording).scene(snapshot, None, "blocks", (), False)
    width, height = (size + 2 * MARGIN for size in scene["size"])
    left, top = (place - MARGIN for place in scene["origin"])
    ground = theme.SURFACES["canvas"].light
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
             f'viewBox="{left} {top} {width} {height}" font-family="Inter, sans-serif">',
             f'<rect x="{left}" y="{top}" width="{width}" height="{height}" fill="{ground}"/>',
             *_edges(scene["edges"]), *_boxes(scene["boxes"]), "</svg>"]
    return "\n".join(parts) + "\n"


def _edges(edges: dict[str, list[Any]]) -> list[str]:
    colour = theme.SURFACES["control"].light
    lines = []
    for at, (first, end) in enumerate(zip(edges["start"], edges["start"][1:], strict=False)):
        points = [(edges["points"][2 * p], edges["points"][2 * p + 1]) for p in range(first, end)]
        if edges["stub"][at]:
            (x0, y0), (x1, y1) = points
            lines.append(f'<path d="M{x0} {y0}v14M{x1} {y1 - 14}v14" stroke="{colour}" fill="none"/>')
        else:
            text = " ".join(f"{x},{y}" for x, y in points)
            lines.append(f'<polyline points="{text}" stroke="{colour}" fill="none"/>')
        x, y = points[-1]
        lines.append(f'<path d="M{x} {y}l-3.2 -6h6.4z" fill="{colour}"/>')
    return lines


def _boxes(boxes: dict[str, list[Any]]) -> list[str]:
    ink, muted, line = (theme.SURFACES[name].light for name in ("ink", "muted", "line"))
    parts = []
    for at in range(len(boxes["name"])):
        x, y, w, h = (boxes[key][at] for key in "xywh")
        family = theme.FAMILIES[boxes["family"][at]]
        title, detail = boxes["title"][at], boxes["detail"][at]
        parts += [f"<g><title>{escape(boxes['name'][at])}</title>",
                  f'<rect x="{x}" y="{y}" width="{w}" height="{h}" rx="4" fill="{family.tint.light}" stroke="{line}"/>',
                  f'<rect x="{x}" y="{y}" width="4" height="{h}" fill="{family.bar.light}"/>',
                  f'<text x="{x + 12}" y="{y + 18}" font-size="12" font-weight="600" fill="{ink}">'
                  f"{escape(title)}</text>"]
        if text_width(title, 12, bold=True) + text_width(detail, 11) + 26 <= w:
            parts.append(f'<text x="{x + w - 8}" y="{y + 18}" font-size="11" text-anchor="end" fill="{muted}">'
                         f"{escape(detail)}</text>")
        parts.append("</g>")
    return parts
