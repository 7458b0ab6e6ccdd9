"""What the ONNX file says of a node and of the model, beside what ONNX itself says of what the file leaves out."""

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from glowviz.app.reader import Payload
from glowviz.compiler.recording.reader import Recording

MOST = 8  # nodes that one card tells of


def onnx_nodes(recording: Recording, names: Sequence[str]) -> list[Payload]:
    """Return docs/payloads.md `life.onnx`: one entry for each of the first eight ONNX nodes."""
    found = []
    for name in names[:MOST]:
        try:
            rows = recording.query("SELECT facts FROM onnx_nodes WHERE name = ?", name)
        except sqlite3.OperationalError:  # an older recording
            return []
        if rows:
            found.append(_node(orjson.loads(rows[0]["facts"]), name, recording))
    return found


def _node(said: dict[str, Any], name: str, recording: Recording) -> Payload:
    operators = (recording.meta.get("model_facts") or {}).get("operators") or {}
    known = operators.get(f"{said['domain']}:{said['op']}") or {}
    domain = said["domain"] or "ai.onnx"
    since = f", since version {known['since']}" if known.get("since") else ""
    version = f"opset {said['version']}" if said["version"] else "no opset"
    return {"name": said["name"] or name, "op": said["op"], "domain": domain, "version": f"{domain}, {version}{since}",
            "summary": known.get("summary", ""), "doc": said.get("doc", ""), "props": said.get("props", []),
            "attributes": _attributes(said["attributes"], known.get("attributes", [])),
            "inputs": list(_ports(said["inputs"], known.get("inputs", []))),
            "outputs": list(_ports(said["outputs"], known.get("outputs", [])))}


def _attributes(said: list[list[str]], known: list[list[str | None]]) -> list[list[Any]]:
    """Return [name, kind, value, given (0|1)]: what the file says first, then the defaults of what it leaves out."""
    given = {name for name, _, _ in said}
    left = [[name, kind, default or "not given", 0] for name, kind, default in known
            if name not in given and default is not None]
    return [*([name, kind, value, 1] for name, kind, value in said), *left]


def _ports(actual: list[str], formal: list[str]) -> Iterator[list[str]]:
    """Yield [what ONNX calls it, name in the file] of inputs or outputs; the last formal name may stand for many."""
    for at, name in enumerate(actual):
        called = formal[min(at, len(formal) - 1)] if formal else str(at)
        yield [called.removesuffix("…") + (f" {at - len(formal) + 1}" if called.endswith("…") else ""), name]


def model_facts(facts: dict[str, Any]) -> list[list[str]]:
    """Return [label, value] of what the file says of itself beyond sizes and versions."""
    rows = [("Graph", facts.get("graph") or ""), ("Domain", facts.get("domain") or ""),
            ("Model version", str(facts.get("model_version") or "")),
            ("Parameters", f"{facts['parameters']:,}" if facts.get("parameters") else ""),
            ("Functions", ", ".join(facts.get("functions") or ())),
            ("Data files", ", ".join(facts.get("external_files") or ()))]
    return [[label, value] for label, value in rows if value]


def model_texts(facts: dict[str, Any]) -> Payload:
    """Return {doc (paragraphs), props [[key, value]], ports {input or output: text}} as the file has them."""
    texts = dict.fromkeys(filter(None, (facts.get("doc"), facts.get("graph_doc"))))
    return {"doc": list(texts), "props": [[key, text] for key, text in (facts.get("metadata_props") or {}).items()],
            "ports": facts.get("ports") or {}}
