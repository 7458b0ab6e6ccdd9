"""Small ONNX models by hand, and two ways to run them: onnxruntime on the file, ours on what was read from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from glowviz.compiler.graph import Graph
from glowviz.compiler.importer import read_model
from glowviz.compiler.interpreter import run_graph
from glowviz.compiler.passes.bind_shapes import bind_shapes

F32, I64 = TensorProto.FLOAT, TensorProto.INT64
Dims = Sequence[int | str | None] | None


def node(op_type: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any) -> NodeProto:
    return helper.make_node(op_type, list(inputs), list(outputs), **attributes)


def value(name: str, dims: Dims = (2, 3), elem: int = F32) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, elem, None if dims is None else list(dims))


def model(
    nodes: Sequence[NodeProto],
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[str | onnx.ValueInfoProto],
    constants: Mapping[str, Any] | None = None,
    opset: int = 17,
    ir: int = 8,
    listed: bool = False,
    functions: Sequence[onnx.FunctionProto] = (),
    domains: Mapping[str, int] | None = None,
) -> ModelProto:
    """A model; outputs given by name have no declared type, `listed` puts the constants among the inputs too."""
    arrays = {name: np.asarray(array) for name, array in (constants or {}).items()}
    tensors = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    extra = [value(t.name, list(t.dims), t.data_type) for t in tensors] if listed else []
    found = [onnx.ValueInfoProto(name=o) if isinstance(o, str) else o for o in outputs]
    graph = helper.make_graph(list(nodes), "small", [*inputs, *extra], found, tensors)
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, v) for d, v in (domains or {}).items())]
    return helper.make_model(graph, opset_imports=opsets, ir_version=ir, functions=list(functions))


def read(proto: ModelProto, **options: Any) -> Graph:
    """Through bytes, as a file would come."""
    return read_model(proto.SerializeToString(), **options)


def by_runtime(proto: ModelProto, given: Mapping[str, np.ndarray], optimized: bool = True) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if not optimized:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, dict(given))


def by_us(graph: Graph, given: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """What the interpreter makes of the graph once its shapes are bound to those of the arrays."""
    bound = bind_shapes.function(graph, shapes={name: array.shape for name, array in given.items()})
    found = run_graph(bound, given)
    return [found[output.public] for output in bound.outputs]


def kinds(graph: Graph) -> list[str]:
    return [n.kind for n in graph]
