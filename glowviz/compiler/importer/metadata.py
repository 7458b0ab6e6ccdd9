"""A finished Graph carries labels on its nodes and, in its metadata, what the file says of itself."""

from __future__ import annotations

import json
from typing import Any

from onnx import NodeProto

from glowviz.compiler.graph import Graph, Node, Origin
from glowviz.compiler.importer.findings import findings_of
from glowviz.compiler.importer.limits import opsets
from glowviz.compiler.importer.names import labels
from glowviz.compiler.importer.nodes import Notes
from glowviz.compiler.importer.properties import model_properties, node_properties, operators
from glowviz.compiler.importer.source import Source
from glowviz.compiler.onnx_words import LABEL, ORIGIN

SCOPES = ("pkg.torch.onnx.name_scopes", "namespace")


def finished(graph: Graph, source: Source, notes: Notes, guessed: tuple[str, ...]) -> Graph:
    """The graph with display names and metadata.

    Its metadata is plain data: file, file_bytes, external_files, producer, opsets (version by domain), ir_version, doc,
    metadata_props, graph, graph_doc, domain, model_version, functions, ports (text by input or output), operators and
    onnx (what ONNX says of each kind of node, and as JSON what the file says of each, by origin name), domains,
    onnx_nodes, weight_bytes, parameters, scopes (module path by origin name) and findings (each a dict of kind, what,
    where, count, cost, do).
    """
    protos = notes.protos
    given = {origin: (proto.name, proto.op_type) for origin, proto in protos.items()}
    told = _exported(protos)
    names = labels(graph, given)
    nodes = {name: _named(node, names[name], told) for name, node in graph.nodes.items()}
    named = graph.evolve(nodes=nodes)
    listed = {i.name for i in source.model.graph.input}
    inputs = [name for name in graph.constants if name in listed]
    found = findings_of(named, notes, inputs, guessed)
    return named.evolve(metadata=_metadata(named, source, protos) | {"findings": [f.plain() for f in found]})


def _named(node: Node, label: str, told: dict[str, tuple[Origin | None, str]]) -> Node:
    origin, own = told.get(node.origin.names[0], (None, "")) if node.origin.names else (None, "")
    return node.evolve(label=own or label, origin=origin or node.origin)


def _exported(protos: dict[str, NodeProto]) -> dict[str, tuple[Origin | None, str]]:
    """Origin and label of nodes that glowviz itself has written."""
    found: dict[str, tuple[Origin | None, str]] = {}
    for name, proto in protos.items():
        if not proto.metadata_props:
            continue
        own = {entry.key: entry.value for entry in proto.metadata_props}
        if ORIGIN in own or LABEL in own:
            found[name] = (_origin(own.get(ORIGIN, "")), own.get(LABEL, ""))
    return found


def _origin(text: str) -> Origin | None:
    try:
        names = json.loads(text)
    except ValueError:
        return None
    fits = isinstance(names, list) and names and all(isinstance(n, str) for n in names)
    return Origin.of(*names) if fits else None


def _metadata(graph: Graph, source: Source, protos: dict[str, NodeProto]) -> dict[str, Any]:
    model = source.model
    weights = graph.constants.values()
    return {
        "file": source.name,
        "file_bytes": source.bytes,
        "external_files": source.external.locations,
        "producer": " ".join(filter(None, (model.producer_name, model.producer_version))),
        "opsets": dict(opsets(model)),
        "ir_version": model.ir_version,
        "doc": model.doc_string or model.graph.doc_string,
        "metadata_props": {p.key: p.value for p in model.metadata_props},
        "domains": sorted({p.domain or "ai.onnx" for p in protos.values()}),
        "onnx_nodes": len(model.graph.node),
        "weight_bytes": sum(c.type.bytes for c in weights),
        "parameters": sum(c.type.count for c in weights if c.type.is_float),
        **model_properties(model),
        "operators": operators(protos.values(), opsets(model)),
        "onnx": node_properties(protos, opsets(model)),
        "scopes": {name: scope for name, proto in protos.items() if (scope := scope_of(proto))},
    }


def scope_of(proto: NodeProto) -> str:
    """The path of modules a node belongs to, `layer1/0/conv1`: what the exporter noted, else its name's folders."""
    own = {entry.key: entry.value for entry in proto.metadata_props} if proto.metadata_props else {}
    for key in SCOPES:
        if key in own:
            return _joined(own[key])
    if "/" in proto.name:
        return proto.name.strip("/").rpartition("/")[0]
    path, _, last = proto.name.rpartition(".")
    return path.replace(".", "/") if not last.isdigit() else ""


def _joined(text: str) -> str:
    """Both spellings of PyTorch: a list of paths, the last the longest; or `path: class/…`."""
    try:
        parts = json.loads(text.replace("'", '"'))
    except ValueError:
        parts = [step.split(":")[0] for step in text.split("/")]
    names = [p for p in parts if isinstance(p, str) and p] if isinstance(parts, list) else []
    return names[-2].replace(".", "/") if len(names) > 1 else ""
