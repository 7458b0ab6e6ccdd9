"""A ModelProto becomes a Graph whose values keep their names and whose free dimensions keep theirs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from onnx import GraphProto, ModelProto, ValueInfoProto

from glowviz.compiler.graph import Graph, Output, Region
from glowviz.compiler.importer.hints import Hinter
from glowviz.compiler.importer.limits import check_name, function_key, opsets
from glowviz.compiler.importer.nodes import Nodes, Notes
from glowviz.compiler.importer.order import captured, in_order
from glowviz.compiler.importer.problem import RE_EXPORT, ImportProblem, told
from glowviz.compiler.importer.scope import Scope
from glowviz.compiler.importer.site import Site
from glowviz.compiler.importer.sketch import Sketch
from glowviz.compiler.importer.source import Source
from glowviz.compiler.importer.tensors import array_of, checked_count, dense_of, type_of
from glowviz.compiler.types import Type


def declared_inputs(model: ModelProto, name: str) -> dict[str, Type]:
    """Type of every input that is none of the initializers; one that is must agree with it."""
    constants: dict[str, Any] = {t.name: t for t in model.graph.initializer}
    constants.update({s.values.name: s for s in model.graph.sparse_initializer})
    inputs: dict[str, Type] = {}
    for value in model.graph.input:
        where = f"{name}, input {told(value.name)}"
        if value.name in constants:
            _check_same(value, constants[value.name], where)
            continue
        if value.name in inputs:
            raise ImportProblem(f"The input {told(value.name)} is listed twice", where, "every input once", RE_EXPORT)
        type_ = type_of(value.type, value.name, where, given=True)
        if type_.static:
            checked_count(type_.dims, where)
        inputs[value.name] = type_
    return inputs


def _check_same(value: ValueInfoProto, tensor: Any, where: str) -> None:
    """An input that is also an initializer has one type."""
    if not value.type.HasField("tensor_type"):
        return
    declared = value.type.tensor_type
    dims = list(tensor.dims)
    number = getattr(tensor, "data_type", declared.elem_type)
    shape = [d.dim_value if d.WhichOneof("value") == "dim_value" else None for d in declared.shape.dim]
    fits = len(shape) == len(dims) and all(s in (None, d) for s, d in zip(shape, dims, strict=True))
    if number != declared.elem_type or (declared.HasField("shape") and not fits):
        raise ImportProblem(
            f"The input {told(value.name)} is also an initializer of another type", where,
            f"one type; the initializer has the shape {dims}", RE_EXPORT,
        )


def _body_type(value: ValueInfoProto, index: int, site: Site) -> Type:
    """The type of a body's input; where the file leaves it out, that of a Loop: count, condition, then operands."""
    if value.type.WhichOneof("value") is not None:
        return type_of(value.type, value.name, site.where)
    if site.kind == "Loop" and index < 2:
        return Type("bool" if index else "i64", ())
    operand = site.operand(index)
    return Type("f32" if operand is None else site.type(operand).elem, None)


class Reader:
    """Reads one graph, the model's or the body of a node, into its own sketch."""

    def __init__(self, source: Source, notes: Notes) -> None:
        self.source, self.notes = source, notes
        self.versions = opsets(source.model)
        self.functions = {function_key(f): f for f in source.model.functions}
        self.hinter = Hinter(source.model, {}, False)

    def graph(self, inputs: Mapping[str, Type], bound: bool = False) -> tuple[Graph, Sketch]:
        """The model's graph with inputs of these types; `bound` where they are not those of the file."""
        proto = self.source.model.graph
        self.hinter = Hinter(self.source.model, inputs, bound)
        sketch = Sketch(self.source.model.graph.name or self.source.name, self.hinter)
        outputs = self._read(proto, sketch, inputs, self.versions)
        return sketch.finish(outputs), sketch

    def region(self, proto: GraphProto, site: Site, outside: tuple[tuple[str, str], ...]) -> Region:
        """The body of a node as a closed graph: its own inputs first, then every value it takes from outside."""
        sketch = Sketch(proto.name or site.kind, dict)
        inputs = {v.name: _body_type(v, i, site) for i, v in enumerate(proto.input)}
        for name, value in outside:
            inputs[name] = site.type(value)
            content = site.sketch.known(value)
            if content is not None:
                sketch.contents[name] = content
        outputs = self._read(proto, sketch, inputs, {**self.versions, site.domain: site.version}, inner=True)
        graph = sketch.finish(outputs)
        return Region(graph.name, graph.inputs, graph.constants, graph.nodes, graph.outputs)

    def _read(
        self, proto: GraphProto, sketch: Sketch, inputs: Mapping[str, Type], versions: Mapping[str, int],
        inner: bool = False,
    ) -> tuple[Output, ...]:
        for name, type_ in inputs.items():
            check_name(name, self.source.name)
            sketch.add_input(name, type_)
        self._initializers(proto, sketch)
        read = self._names(proto, sketch)
        nodes, sorted_ = in_order(proto.node, sketch.types)
        if sorted_:
            self.notes.add("unordered", sketch.name)
            if sketch.hints is self.hinter:
                self.hinter.nodes = list(nodes)
        own = self.notes if proto is self.source.model.graph else Notes(self.notes.found)
        Nodes(self.source, sketch, self.functions, read, own, self.region).run(nodes, Scope(versions))
        return self._results(proto, sketch) if inner else self._outputs(proto, sketch)

    def _results(self, proto: GraphProto, sketch: Sketch) -> tuple[Output, ...]:
        """What a body returns, by position: one value may stand there twice, and is named once."""
        seen: dict[str, None] = {}
        for output in proto.output:
            if output.name not in sketch:
                raise ImportProblem(
                    f"The output {told(output.name)} of {told(sketch.name)} is made by nothing", self.source.name,
                    "a value", RE_EXPORT,
                )
            name, number = output.name, 2
            while name in seen:
                name, number = f"{output.name}.{number}", number + 1
            seen[name] = None
        return tuple(Output(name, o.name) for name, o in zip(seen, proto.output, strict=True))

    def _initializers(self, proto: GraphProto, sketch: Sketch) -> None:
        for tensor in proto.initializer:
            where = f"{self.source.name}, initializer {told(tensor.name)}"
            check_name(tensor.name, where)
            sketch.add_constant(tensor.name, array_of(tensor, self.source, where), where=where)
        for sparse in proto.sparse_initializer:
            where = f"{self.source.name}, sparse initializer {told(sparse.values.name)}"
            sketch.add_constant(sparse.values.name, dense_of(sparse, self.source, where), where=where)
            self.notes.add("sparse", sparse.values.name)

    @staticmethod
    def _names(proto: GraphProto, sketch: Sketch) -> set[str]:
        """Names that are read; those that are defined are not given to anything else."""
        read = {o.name for o in proto.output}
        for node in proto.node:
            read.update(node.input)
            sketch.reserved.update(node.output)
            if node.attribute:
                read.update(captured(node))
        return read

    def _outputs(self, proto: GraphProto, sketch: Sketch) -> tuple[Output, ...]:
        names: dict[str, None] = {}
        for output in proto.output:
            if output.name not in sketch or output.name in names:
                what = "is listed twice" if output.name in names else "is made by nothing"
                raise ImportProblem(f"The output {told(output.name)} {what}", self.source.name, "a value", RE_EXPORT)
            names[output.name] = None
        return tuple(Output(name, name) for name in names)
