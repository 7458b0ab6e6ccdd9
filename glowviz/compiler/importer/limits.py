"""A model that passes `check` has a known version, unique names and a size that can be worked on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import onnx
from onnx import AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto

from glowviz.compiler.importer.problem import RE_EXPORT, ImportProblem, told

NEWEST = 28
"""Newest opset whose ops are known here; an op that changed later is shown, not compiled."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of everything one file may hold."""

    nodes: int = 2_000_000
    """Nodes with those of subgraphs, and with function calls written out."""
    depth: int = 24
    """Subgraphs within subgraphs."""
    operands: int = 100_000
    """Operands or results of one node."""
    name: int = 65_536
    """Characters of one name."""


LIMITS = Limits()
FunctionKey = tuple[str, str, str]


def check(model: ModelProto, limits: Limits = LIMITS) -> None:
    """Refuse what no reader should try: unknown versions, no graph, too many nodes, functions that explode."""
    if model.ir_version < 1 or model.ir_version > onnx.IR_VERSION:
        raise ImportProblem(
            f"The file has ONNX IR version {model.ir_version}", "", f"1 to {onnx.IR_VERSION}",
            "Export it again with a current exporter",
        )
    opsets(model)
    if not model.HasField("graph") or not (model.graph.output or model.graph.node):
        raise ImportProblem("The file holds no graph", "", "a graph with nodes and outputs", "Export the model again")
    if not model.graph.output:
        raise ImportProblem("The graph has no outputs", "", "at least one output", "Export it with its outputs")
    _check_sizes(model, limits)


def opsets(model: ModelProto) -> dict[str, int]:
    """Version by domain ("" is ai.onnx); each domain once, each version one that exists."""
    found: dict[str, int] = {}
    for entry in model.opset_import:
        domain = plain_domain(entry.domain)
        if found.setdefault(domain, entry.version) != entry.version:
            raise ImportProblem(f"Two versions of the ops of {domain or 'ai.onnx'} are imported", "", "one", RE_EXPORT)
        newest = onnx.defs.onnx_opset_version() if not domain else (1 << 31)
        if not 1 <= entry.version <= newest:
            raise ImportProblem(
                f"The file uses opset {entry.version} of {domain or 'ai.onnx'}", "", f"1 to {newest}",
                "Convert it with onnx.version_converter, or export it for an older opset",
            )
    if not found and model.ir_version >= 3:
        raise ImportProblem("The file does not say its opset", "", "an opset_import entry", "Export the model again")
    found.setdefault("", 1 if not found else min(NEWEST, onnx.defs.onnx_opset_version()))
    return found


def plain_domain(domain: str) -> str:
    """The default domain has two names; we use the empty one."""
    return "" if domain == "ai.onnx" else domain


def subgraphs(node: NodeProto) -> Iterator[GraphProto]:
    """The bodies that a node carries as attributes, a then_branch first wherever the file has it."""
    for attribute in sorted(node.attribute, key=lambda one: one.name != "then_branch"):
        if attribute.type == AttributeProto.GRAPH or attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def function_key(function: FunctionProto) -> FunctionKey:
    """Domain, name and overload: what a call must match."""
    return plain_domain(function.domain), function.name, getattr(function, "overload", "")


def call_key(node: NodeProto) -> FunctionKey:
    """Domain, op and overload of a node."""
    return plain_domain(node.domain), node.op_type, getattr(node, "overload", "")


def _check_sizes(model: ModelProto, limits: Limits) -> None:
    check_texts(model)
    costs = _function_costs(model, limits)
    total = _cost(model.graph.node, costs, limits, "the graph")
    if total > limits.nodes:
        raise ImportProblem(
            f"The model has {total:,} nodes when its functions are written out", "", f"at most {limits.nodes:,}",
            "Export a part of it",
        )


def _function_costs(model: ModelProto, limits: Limits) -> dict[FunctionKey, int]:
    """Nodes of every function with the functions it calls; one that calls itself is refused."""
    functions = {function_key(f): f for f in model.functions}
    if len(functions) != len(model.functions):
        raise ImportProblem("Two functions of the file have one name", "", "one function per name", RE_EXPORT)
    costs: dict[FunctionKey, int] = {}
    open_: set[FunctionKey] = set()
    for first in functions:
        stack = [first]
        while stack:
            key = stack[-1]
            if key in costs:
                stack.pop()
                continue
            open_.add(key)
            calls = (call_key(n) for n in _with_subgraphs(functions[key].node, limits, told(key[1])))
            missing = [c for c in calls if c in functions and c not in costs]
            if any(c in open_ for c in missing):
                raise ImportProblem(f"Function {told(key[1])} calls itself", "", "functions without cycles", RE_EXPORT)
            if not missing:
                costs[stack.pop()] = _cost(functions[key].node, costs, limits, told(key[1]))
            stack.extend(missing)
    return costs


def _cost(nodes: object, costs: dict[FunctionKey, int], limits: Limits, where: str) -> int:
    return sum(costs.get(call_key(n), 1) if costs else 1 for n in _with_subgraphs(nodes, limits, where))


def _with_subgraphs(nodes: object, limits: Limits, where: str) -> Iterator[NodeProto]:
    """Every node and, level by level, those of its bodies."""
    stack: list[tuple[object, int]] = [(nodes, 0)]
    seen = 0
    while stack:
        level, depth = stack.pop()
        if depth > limits.depth:
            raise ImportProblem(
                f"Bodies of If, Loop or Scan lie more than {limits.depth} deep in each other", where,
                f"at most {limits.depth}", "Export a part of the model",
            )
        for node in level:  # type: ignore[attr-defined]  # a repeated field of NodeProto
            seen += 1
            if seen > limits.nodes:
                most = f"at most {limits.nodes:,}"
                raise ImportProblem(f"More than {limits.nodes:,} nodes", where, most, "Export a part")
            yield node
            if node.attribute:
                stack.extend((body.node, depth + 1) for body in subgraphs(node))


def check_texts(model: ModelProto) -> None:
    """Protobuf hands out bytes where a name is no UTF-8 text; nobody behind this function meets one."""
    texts: set[object] = {model.producer_name, model.producer_version, model.doc_string}
    texts.update(t for o in model.opset_import for t in (o.domain,))
    texts.update(t for p in model.metadata_props for t in (p.key, p.value))
    for function in model.functions:
        texts.update((function.name, function.domain, *function.input, *function.output, *function.attribute))
        texts.update(o.domain for o in function.opset_import)
        _collect(function.node, texts)
    _collect_graph(model.graph, texts)
    _collect(model.graph.node, texts)
    if any(text.__class__ is bytes for text in texts):
        found = next(text for text in texts if isinstance(text, bytes))
        raise ImportProblem(
            f"A name in the file is not UTF-8 text: {told(found.decode('utf-8', 'replace'))}", "", "names in UTF-8",
            "Copy or export the file again; it may be damaged",
        )


def _collect(nodes: object, texts: set[object]) -> None:
    for node in _with_subgraphs(nodes, LIMITS, "the graph"):
        texts.update(node.input)
        texts.update(node.output)
        texts.update((node.name, node.op_type, node.domain))
        for attribute in node.attribute:
            texts.update((attribute.name, attribute.ref_attr_name))
        for entry in node.metadata_props:
            texts.update((entry.key, entry.value))
        if node.attribute:
            for body in subgraphs(node):
                _collect_graph(body, texts)


def _collect_graph(graph: GraphProto, texts: set[object]) -> None:
    texts.update((graph.name, graph.doc_string))
    texts.update(t.name for t in graph.initializer)
    texts.update(s.values.name for s in graph.sparse_initializer)
    texts.update(e.value for t in graph.initializer for e in t.external_data)
    texts.update(e.key for t in graph.initializer for e in t.external_data)
    for info in (*graph.input, *graph.output):
        texts.add(info.name)
        texts.update(d.dim_param for d in info.type.tensor_type.shape.dim)


def check_node(node: NodeProto, where: str, limits: Limits = LIMITS) -> None:
    """One node says what it does, and not too much of it."""
    if not node.op_type:
        raise ImportProblem("A node does not say its op", where, "an op name", RE_EXPORT)
    if len(node.input) > limits.operands or len(node.output) > limits.operands:
        raise ImportProblem(
            f"A node has {len(node.input):,} operands and {len(node.output):,} results", where,
            f"at most {limits.operands:,}", RE_EXPORT,
        )


def check_name(name: str, where: str, limits: Limits = LIMITS) -> None:
    """Names may be anything readable, but not novels."""
    if len(name) > limits.name:
        raise ImportProblem(
            f"A name has {len(name):,} characters: {told(name)}", where, f"at most {limits.name:,}", "Shorten it"
        )
