"""A ModelProto says everything that the Graph says: names, types, origins and labels come back when it is read."""

from __future__ import annotations

import json
from collections.abc import Iterable

import onnx
from onnx import GraphProto, ModelProto, StringStringEntryProto, ValueInfoProto, helper

from glowviz.compiler.exporter.forms import write_node
from glowviz.compiler.exporter.problem import ExportProblem
from glowviz.compiler.exporter.sheet import OPSET, Sheet, type_proto
from glowviz.compiler.graph import Graph, Node, Origin, Output
from glowviz.compiler.onnx_words import LABEL, ORIGIN
from glowviz.compiler.ops import Fused
from glowviz.compiler.ops.fused import unfused
from glowviz.compiler.types import Type

IR_VERSION = 10


def model_of(graph: Graph) -> ModelProto:
    """The whole model."""
    sheet = Sheet()
    proto = graph_of(graph, sheet)
    opsets = [helper.make_opsetid("", OPSET)]
    opsets += [helper.make_opsetid(domain, version) for domain, version in sorted(sheet.domains.items())]
    model = helper.make_model(proto, opset_imports=opsets, ir_version=IR_VERSION, producer_name="glowviz")
    model.doc_string = str(graph.metadata.get("doc", ""))
    for key, value in graph.metadata.get("metadata_props", {}).items():
        model.metadata_props.append(StringStringEntryProto(key=key, value=value))
    return model


def graph_of(graph: Graph, sheet: Sheet) -> GraphProto:
    """One graph, or a region without the inputs that it takes from outside (they are named in `sheet`)."""
    graph = written_out(graph)
    _refuse_quantized(graph)
    sheet.graph = graph
    shared = {name: there for name, c in graph.constants.items() if (there := sheet.around(c)) is not None}
    sheet.rename.update(shared)
    for name in (*graph.inputs, *graph.constants, *graph.states):
        sheet.claim(name)
    _public_names(graph, sheet)
    for name, state in graph.states.items():
        if name not in graph.updates:
            sheet.constant(state.initial.array, name, sheet.value(name))
    for constant in (c for name, c in graph.constants.items() if name not in shared):
        sheet.constant(constant.array, constant.name, sheet.value(constant.name))
    for node in graph:
        before = len(sheet.nodes)
        write_node(sheet, node, graph_of)
        _describe(sheet, node, before)
    for output in _outputs(graph):
        if sheet.value(output.value) != output.public:
            sheet.node("Identity", [sheet.value(output.value)], [output.public])
    return _proto(graph, sheet)


def written_out(graph: Graph) -> Graph:
    """The graph with the bodies of Fused in their place; a body inside a body is written out too."""
    while any(isinstance(n.op, Fused) for n in graph):
        nodes: dict[str, Node] = {}
        constants = dict(graph.constants)
        for node in graph:
            for inner in unfused(node):
                own = inner if inner is node else inner.evolve(
                    origin=inner.origin if inner.origin.names else node.origin, label=inner.label or node.label
                )
                nodes[own.name] = own
            if isinstance(node.op, Fused):
                constants.update(node.op.body.constants)
        graph = graph.evolve(nodes=nodes, constants=constants)
    return graph


def _refuse_quantized(graph: Graph) -> None:
    for node in graph:
        if any(t.quant is not None for t in node.types):
            raise ExportProblem(
                f"%{node.name} is quantized: {node.type}", "", "values that are not quantized",
                "Export the graph as it is before it is quantized",
            )


def _public_names(graph: Graph, sheet: Sheet) -> None:
    """A result that is returned under another name is called that, where nothing else is; others keep their names."""
    makers = graph.makers
    for output in _outputs(graph):
        if output.value in makers and output.value not in sheet.rename and sheet.free(output.public, graph):
            sheet.rename[output.value] = output.public
            sheet.taken.add(output.public)
        elif output.value != output.public:
            sheet.taken.add(output.public)
    for value in makers:
        sheet.claim(value)


def _describe(sheet: Sheet, node: Node, before: int) -> None:
    """Names, origin and label of the protos that a node has become."""
    stem = node.origin.names[0] if node.origin.names else node.name
    for proto in sheet.nodes[before:]:
        proto.name = sheet.node_name(stem)
    if len(sheet.nodes) > before:
        last = sheet.nodes[-1]
        if node.origin.names:
            _entry(last, ORIGIN, json.dumps(_names(node.origin)))
        if node.label:
            _entry(last, LABEL, node.label)


def _names(origin: Origin) -> list[str]:
    return list(origin.names)


def _entry(proto: onnx.NodeProto, key: str, value: str) -> None:
    proto.metadata_props.append(StringStringEntryProto(key=key, value=value))


def _proto(graph: Graph, sheet: Sheet) -> GraphProto:
    inputs = [value_info(n, t) for n, t in graph.inputs.items() if n not in sheet.outside]
    inputs += [value_info(n, s.type) for n, s in graph.states.items() if n in graph.updates]
    outputs = [value_info(o.public, graph.type(o.value)) for o in _outputs(graph)]
    public = {o.public for o in _outputs(graph)}
    infos = [
        value_info(sheet.value(r), t)
        for node in graph for r, t in zip(node.results, node.types, strict=True) if sheet.value(r) not in public
    ]
    proto = GraphProto(name=graph.name or "graph")
    proto.node.extend(sheet.nodes)
    proto.initializer.extend(sheet.initializers)
    proto.input.extend(inputs)
    proto.output.extend(outputs)
    proto.value_info.extend(infos)
    return proto


def _outputs(graph: Graph) -> Iterable[Output]:
    yield from graph.outputs
    for state, value in graph.updates.items():
        yield Output(f"{state}.next", value)


def value_info(name: str, type_: Type) -> ValueInfoProto:
    """Name and type; a shape only where the rank is known."""
    return ValueInfoProto(name=name, type=type_proto(type_))
