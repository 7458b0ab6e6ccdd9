"""ModelFacts is what can be said, and what must be asked, before a model is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from onnx import TensorProto

from glowviz.compiler.importer.limits import opsets
from glowviz.compiler.importer.source import Source
from glowviz.compiler.importer.tensors import ELEM_OF
from glowviz.compiler.shapes import FreeDim, free_dims, proposed_shapes, shape_text
from glowviz.compiler.types import ELEMENTS, Symbol, Type


@dataclass(frozen=True, slots=True)
class InputFacts:
    """One input: its type with names for free dimensions, and what a form shows for each dimension."""

    name: str
    elem: str
    dims: tuple[int | str, ...] | None
    """Names stand for free dimensions; None where the file does not even say the rank."""
    free: tuple[FreeDim, ...]
    proposed: tuple[int, ...] | None
    """A full shape that would do."""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """Inputs, outputs, versions and sizes of a model file."""

    name: str
    inputs: tuple[InputFacts, ...]
    outputs: tuple[str, ...]
    opsets: dict[str, int]
    """By domain; "" is ai.onnx."""
    ir_version: int
    producer: str
    doc: str
    nodes: int
    parameters: int
    """Elements of all initializers and Constant nodes."""
    weight_bytes: int
    file_bytes: int
    shapes: dict[str, tuple[int, ...]]
    """A full shape for every input with free dimensions: batch-like ones 1, others a usual number."""

    @property
    def asks(self) -> tuple[FreeDim, ...]:
        """The free dimensions that do not default to 1: somebody must give a number."""
        return tuple(free for one in self.inputs for free in one.free if not free.batch_like)

    @property
    def shape_option(self) -> str:
        """The exact `--shape x=1x3x224x224` that binds everything that must be given; empty where nothing must."""
        wanted = dict.fromkeys(free.input for free in self.asks)
        return " ".join(shape_text(name, self.shapes[name]) for name in wanted)


def facts_of(source: Source, inputs: Mapping[str, Type]) -> ModelFacts:
    """What the file says of itself; nothing is inferred."""
    model = source.model
    free = free_dims(inputs)
    shapes = proposed_shapes(inputs)
    made = (a.t for n in model.graph.node if n.op_type == "Constant" for a in n.attribute)
    tensors = [*model.graph.initializer, *made]
    counts = [(max(0, prod(t.dims)), _size(t)) for t in tensors]
    return ModelFacts(
        name=source.name,
        inputs=tuple(_input(name, type_, free, shapes) for name, type_ in inputs.items()),
        outputs=tuple(o.name for o in model.graph.output),
        opsets=opsets(model),
        ir_version=model.ir_version,
        producer=" ".join(filter(None, (model.producer_name, model.producer_version))),
        doc=model.doc_string or model.graph.doc_string,
        nodes=len(model.graph.node),
        parameters=sum(count for count, _ in counts),
        weight_bytes=sum(count * size for count, size in counts),
        file_bytes=source.bytes,
        shapes=shapes,
    )


def _size(tensor: TensorProto) -> int:
    elem = ELEM_OF.get(tensor.data_type, "u8")
    return ELEMENTS[elem].itemsize


def _input(
    name: str, type_: Type, free: tuple[FreeDim, ...], shapes: Mapping[str, tuple[int, ...]]
) -> InputFacts:
    dims = None if type_.shape is None else tuple(d.name if isinstance(d, Symbol) else d for d in type_.shape)
    own = tuple(f for f in free if f.input == name)
    return InputFacts(name, type_.elem, dims, own, shapes.get(name) or (type_.dims if type_.static else None))
