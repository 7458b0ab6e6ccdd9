"""What a file says of its nodes and of itself, word for word: the properties that people look up, kept by no pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

import onnx
import orjson
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto

MOST_ITEMS, MOST_TEXT = 64, 1000
"""Items of a list and characters of a text that are kept of one attribute."""
KINDS: dict[int, str] = {
    AttributeProto.FLOAT: "float", AttributeProto.INT: "int", AttributeProto.STRING: "string",
    AttributeProto.TENSOR: "tensor", AttributeProto.GRAPH: "graph", AttributeProto.SPARSE_TENSOR: "sparse tensor",
    AttributeProto.TYPE_PROTO: "type", AttributeProto.FLOATS: "float[]", AttributeProto.INTS: "int[]",
    AttributeProto.STRINGS: "string[]", AttributeProto.TENSORS: "tensor[]", AttributeProto.GRAPHS: "graph[]",
}  # fmt: skip


def model_properties(model: ModelProto) -> dict[str, Any]:
    """Name, versions and texts of the model as plain data, and the texts of its inputs and outputs."""
    graph = model.graph
    ports = {port.name: port.doc_string for port in (*graph.input, *graph.output) if port.doc_string}
    denoted = {port.name: found for port in (*graph.input, *graph.output) if (found := _denotation(port))}
    return {
        "graph": graph.name, "graph_doc": graph.doc_string, "domain": model.domain,
        "model_version": model.model_version,
        "functions": [f"{one.domain}.{one.name}" for one in model.functions],
        "ports": {name: "; ".join(filter(None, (ports.get(name), denoted.get(name)))) for name in {**ports, **denoted}},
    }


def _denotation(port: ValueInfoProto) -> str:
    """What the dimensions stand for, where the file says so: DATA_BATCH, DATA_CHANNEL."""
    dims = [dim.denotation for dim in port.type.tensor_type.shape.dim]
    return ", ".join(filter(None, (port.type.denotation, " × ".join(dims) if any(dims) else "")))


def node_properties(protos: Mapping[str, NodeProto], versions: Mapping[str, int]) -> dict[str, str]:
    """By origin name, JSON of what the file says of the node: {op, domain, version, name, doc, props, inputs, outputs,
    attributes [[name, kind, value]]}; `operators` of these say what the file leaves out."""
    return {name: orjson.dumps(_node(proto, versions)).decode() for name, proto in protos.items()}


def _node(proto: NodeProto, versions: Mapping[str, int]) -> dict[str, Any]:
    domain = "" if proto.domain == "ai.onnx" else proto.domain
    said: dict[str, Any] = {"op": proto.op_type, "domain": domain, "version": versions.get(domain, 0)}
    said |= {"name": proto.name, "inputs": list(proto.input), "outputs": list(proto.output)}
    said["attributes"] = [[one.name, KINDS.get(one.type, ""), value_text(one)] for one in proto.attribute]
    if proto.doc_string:
        said["doc"] = proto.doc_string[:MOST_TEXT]
    if proto.metadata_props:
        said["props"] = [[entry.key, entry.value[:MOST_TEXT]] for entry in proto.metadata_props]
    return said


def operators(protos: Iterable[NodeProto], versions: Mapping[str, int]) -> dict[str, Any]:
    """By `domain:Op`, what ONNX says of it: {since, summary, inputs, outputs, attributes [[name, kind, default]]}.

    A default of None means that the attribute is required, "" that leaving it out has a meaning of its own.
    """
    kinds = {(("" if proto.domain == "ai.onnx" else proto.domain), proto.op_type) for proto in protos}
    found = {f"{domain}:{op}": _operator(op, domain, versions.get(domain, 0)) for domain, op in sorted(kinds)}
    return {key: said for key, said in found.items() if said is not None}


@cache
def _operator(op: str, domain: str, version: int) -> dict[str, Any] | None:
    if not version or not onnx.defs.has(op, version, domain):
        return None
    schema = onnx.defs.get_schema(op, version, domain)
    kinds = {name: KINDS.get(getattr(one.type, "value", 0), "") for name, one in schema.attributes.items()}
    attributes = [[name, kinds[name], None if one.required else _default(one.default_value)]
                  for name, one in sorted(schema.attributes.items())]
    variadic = onnx.defs.OpSchema.FormalParameterOption.Variadic
    names = [[f"{one.name}…" if one.option == variadic else one.name for one in ports]
             for ports in (schema.inputs, schema.outputs)]
    summary = " ".join(schema.doc.strip().split("\n\n")[0].split()) if schema.doc else ""
    return {"since": schema.since_version, "summary": summary[:400], "inputs": names[0], "outputs": names[1],
            "attributes": attributes}  # fmt: skip


def _default(given: AttributeProto) -> str:
    return value_text(given) if given.name else ""


def value_text(one: AttributeProto) -> str:
    """An attribute's value in one line; long lists and texts are cut, and say how long they are."""
    match one.type:
        case AttributeProto.FLOAT:
            return f"{one.f:.7g}"
        case AttributeProto.INT:
            return str(one.i)
        case AttributeProto.STRING:
            return _text(one.s)
        case AttributeProto.FLOATS:
            return _list(f"{item:.7g}" for item in one.floats[: MOST_ITEMS + 1]) + _more(len(one.floats))
        case AttributeProto.INTS:
            return _list(map(str, one.ints[: MOST_ITEMS + 1])) + _more(len(one.ints))
        case AttributeProto.STRINGS:
            return _list(map(_text, one.strings[: MOST_ITEMS + 1])) + _more(len(one.strings))
        case AttributeProto.TENSOR:
            return _tensor(one.t)
        case AttributeProto.GRAPH:
            return _graph(one.g)
        case AttributeProto.TENSORS | AttributeProto.GRAPHS:
            return f"{len(one.tensors) + len(one.graphs)} of them"
        case _:
            return ""


def _text(given: bytes) -> str:
    text = given.decode("utf-8", "replace")
    return text if len(text) <= MOST_TEXT else f"{text[:MOST_TEXT]}… ({len(text):,} characters)"


def _list(items: Iterable[str]) -> str:
    return ", ".join(_first(items))


def _first(items: Iterable[str]) -> Iterator[str]:
    yield from (item for item, _ in zip(items, range(MOST_ITEMS), strict=False))


def _more(count: int) -> str:
    return f", … ({count:,} in all)" if count > MOST_ITEMS else ""


def _tensor(tensor: TensorProto) -> str:
    kind = TensorProto.DataType.Name(tensor.data_type).lower() if tensor.data_type else "?"
    return f"{kind}[{'x'.join(map(str, tensor.dims))}]" + (f" {tensor.name}" if tensor.name else "")


def _graph(graph: GraphProto) -> str:
    return f"{graph.name or 'a graph'} of {len(graph.node)} nodes"
