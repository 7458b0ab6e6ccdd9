"""A recording as one HTML file: the page's own modules with the payloads inlined, no server, no Dash, no request."""

import base64
import json
import re
from pathlib import Path

import glowviz
from glowviz.app import theme
from glowviz.app.collected import Progress, collect, packed
from glowviz.app.recordings import JobProgress, RecordingReader
from glowviz.compiler.recording.reader import Recording

IMPORT = re.compile(r'(\bfrom\s+|\bimport\s*\(?\s*)"(\.{1,2}/[^"]+)"')


def one_page(
    recording: Recording, title: str = "", view: str = "", progress: Progress = lambda done, what: None
) -> str:
    """Return the page: every state's picture and ledger, life cards, texts, memory, and as much code as fits.

    It opens in `view`, the fields of a permalink ("?at=3&selected=n8").
    """
    from glowviz.app.server import assets_folder

    name = title or str(recording.meta.get("model", "model"))
    reader = RecordingReader(recording.path, {"title": name}, lambda: JobProgress("done"))
    assets = assets_folder()
    return PAGE.format(
        title=_escaped(name), version=glowviz.__version__, css=theme.css() + style(assets),
        marks=json.dumps(theme.marks()), payloads=packed(collect(reader, progress)),
        view=_escaped(view).replace('"', "&quot;"), imports=json.dumps({"imports": modules(assets)}),
    )


PAGE = """<!DOCTYPE html>
<html lang="en" data-theme="light">
<head><meta charset="utf-8"><title>{title} · glowviz</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="generator" content="glowviz {version}">
<style>{css}</style>
<script type="application/json" id="glowviz-marks">{marks}</script>
<script type="text/plain" id="glowviz-payloads">{payloads}</script>
<meta name="glowviz-view" content="{view}">
<script type="importmap">{imports}</script></head>
<body><script type="module">import "glowviz/standalone.js";</script></body>
</html>
"""


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")


def style(assets: Path) -> str:
    """Return all style sheets with the fonts inside, so that the file needs nothing beside it."""
    sheets = "\n".join(path.read_text(encoding="utf-8") for path in sorted(assets.glob("*.css")))

    def inline(found: re.Match[str]) -> str:
        data = base64.b64encode((assets / found.group(1)).read_bytes()).decode()
        return f"url(data:font/woff2;base64,{data})"

    return re.sub(r"url\((fonts/[^)]+)\)", inline, sheets)


def modules(assets: Path) -> dict[str, str]:
    """Return an import map: every module by name, its text as a data address, its imports by name too."""
    found = {}
    for path in sorted(assets.rglob("*.js")):
        inside = path.relative_to(assets)
        if inside.name == "components.js":
            continue
        text = IMPORT.sub(lambda m, at=inside: f'{m.group(1)}"{_module_name(at, m.group(2))}"', path.read_text("utf-8"))
        encoded = base64.b64encode(text.encode()).decode()
        found[f"glowviz/{inside.as_posix()}"] = f"data:text/javascript;base64,{encoded}"
    return found


def _module_name(importer: Path, relative: str) -> str:
    """Return the name of a module that `importer` imports by a relative address."""
    parts: list[str] = list(importer.parent.parts)
    for part in relative.split("/"):
        if part == "..":
            parts.pop()
        elif part != ".":
            parts.append(part)
    return "glowviz/" + "/".join(parts)
