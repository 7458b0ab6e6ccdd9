"""The tables of what there is: ops by concern, passes with their options, backends."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import orjson


def ops(options: argparse.Namespace) -> int:
    """Every op and what it can: the op × concern table."""
    from glowviz.compiler.ops.table import rows
    from glowviz.compiler.plugins import load_plugins

    load_plugins()
    return show(rows(), options)


def passes(options: argparse.Namespace) -> int:
    """Every pass: its rewrite, its promise, its options."""
    return show(pass_rows(), options)


def pass_rows() -> list[dict[str, Any]]:
    """One row per pass of the pipeline, in order of first use, then one for each that other packages add."""
    from glowviz.compiler.pipeline import pipeline_passes
    from glowviz.compiler.plugins import load_plugins
    from glowviz.compiler.rewrite import PASSES

    load_plugins()
    added = [name for name, one in PASSES.items() if not one.function.__module__.startswith("glowviz.")]
    return [
        {
            "pass": name,
            "level": PASSES[name].level,
            "required": PASSES[name].required,
            "promise": PASSES[name].promise,
            "options": ", ".join(f"{o.name}={o.default!r}" for o in PASSES[name].options.values()),
            "rewrite": " ".join(PASSES[name].summary.split()),
        }
        for name in (*pipeline_passes(), *sorted(added))
    ]


def backends(options: argparse.Namespace) -> int:
    """Every backend this installation can compile for."""
    from glowviz.compiler.backends import known_backends

    return show([{"backend": name, "what": text} for name, text in known_backends().items()], options)


def show(rows: Sequence[dict[str, Any]], options: argparse.Namespace) -> int:
    """Print rows as JSON, as a Markdown table or as aligned columns."""
    if options.json:
        print(orjson.dumps(list(rows), option=orjson.OPT_INDENT_2).decode())
    else:
        print(markdown(rows) if options.markdown else columns(rows))
    return 0


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """Rows as a Markdown table; `|` inside a cell is escaped."""
    keys = list(rows[0]) if rows else []
    lines = [keys, ["---"] * len(keys)]
    lines += [[_cell(row[key]).replace("|", "\\|") for key in keys] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def columns(rows: Sequence[dict[str, Any]]) -> str:
    """Rows as text, one column per key; truth values are ● and nothing."""
    if not rows:
        return ""
    keys = list(rows[0])
    cells = [[_cell(row[key]) for key in keys] for row in rows]
    widths = [max(len(key), *(len(line[k]) for line in cells)) for k, key in enumerate(keys)]
    lines = [keys, *cells]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip() for line in lines)


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "●" if value else ""
    return str(value)
