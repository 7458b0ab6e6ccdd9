"""The nine light_* models of the onnx package, with seeded weights in place of the constants they ship with."""

import numpy as np
import onnx
from onnx import numpy_helper

from glowviz.gallery.build_light import filled


def build(name: str, batch: int = 1) -> onnx.ModelProto:
    """`name` is that of the file, such as "light_resnet50"; opset 9, as shipped, for so many pictures at once."""
    model = filled(name)
    return model if batch == 1 else _for_batch(model, batch)


def _for_batch(model: onnx.ModelProto, batch: int) -> onnx.ModelProto:
    """The model with another first dimension of its input and of every shape that it reshapes to."""
    graph = model.graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    for value in (*graph.input, *graph.output):
        if value.name not in weights:
            value.type.tensor_type.shape.dim[0].dim_value = batch
    del graph.value_info[:]
    for name in {node.input[1] for node in graph.node if node.op_type == "Reshape"} & set(weights):
        shape = numpy_helper.to_array(weights[name])
        weights[name].CopyFrom(numpy_helper.from_array(np.concatenate([[batch], shape[1:]]).astype(shape.dtype), name))
    return model
