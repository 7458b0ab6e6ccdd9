"""A recording shows itself in a notebook: which model, for what, and what each pass did, as escaped HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

MOST = 40
"""Passes shown; the rest is counted."""
STYLE = "text-align:left;padding:2px 12px 2px 0"


def html(meta: Mapping[str, Any], passes: Sequence[Mapping[str, Any]]) -> str:
    """The facts and the passes that changed something; text of the model is escaped, and nothing is fetched."""
    title = " · ".join(str(meta[key]) for key in ("model", "target", "precision", "state") if meta.get(key))
    changed = [row for row in passes if row["fired"] or row["snapshot"] == 0 or row["status"] == "failed"]
    rows = "".join(map(_row, changed[:MOST]))
    more = len(changed) - MOST
    rest = f"<p>and {more} more</p>" if more > 0 else ""
    quiet = f"{len(passes) - len(changed)} passes found nothing to do."
    head = "".join(f'<th scope="col" style="{STYLE}">{word}</th>' for word in ("", "pass", "changes", "nodes", "ms"))
    return (f"<div><p><b>{escape(title)}</b></p><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
            f"{rest}<p>{quiet}</p></div>")


def _row(row: Mapping[str, Any]) -> str:
    name = "imported" if row["snapshot"] == 0 else row["name"]
    changes = "failed" if row["status"] == "failed" else f"{row['fired']:,}"
    cells = (row["snapshot"], name, changes, "" if row["nodes"] is None else f"{row['nodes']:,}",
             f"{(row['seconds'] or 0) * 1e3:.1f}")
    return "<tr>" + "".join(f'<td style="{STYLE}">{escape(str(cell))}</td>' for cell in cells) + "</tr>"
