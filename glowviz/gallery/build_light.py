"""The nine light_* models of the onnx package get seeded weights here, so that their answers are more than 1/1000.

As shipped, every weight is a ConstantOfShape and every softmax output is the same; see `fill_array` for the recipe.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

# What the weights that make the scores are multiplied by, so that the softmax behind them is neither flat
# nor saturated: found by running each filled model on N(0, 1) inputs; scores get a spread of 1 to 3.
CLASSIFIER_GAIN = {
    "light_bvlc_alexnet": 0.33, "light_densenet121": 0.2, "light_inception_v1": 7.0, "light_inception_v2": 0.12,
    "light_resnet50": 2.5e-4, "light_shufflenet": 8e-6, "light_squeezenet": 1.0, "light_vgg19": 0.33,
    "light_zfnet512": 1.0,
}


def folder() -> Path:
    """Where the installed onnx package keeps the light models; found without importing its test code."""
    spec = find_spec("onnx")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("The onnx package is not installed; install it with: pip install onnx")
    return Path(spec.submodule_search_locations[0]) / "backend" / "test" / "data" / "light"


def paths() -> dict[str, Path]:
    """Name -> file of every light model that the installed onnx package carries."""
    return {path.stem: path for path in sorted(folder().glob("light_*.onnx"))}


def _users(graph: onnx.GraphProto) -> dict[str, list[tuple[str, int]]]:
    users: dict[str, list[tuple[str, int]]] = {}
    for node in graph.node:
        for index, name in enumerate(node.input):
            users.setdefault(name, []).append((node.op_type, index))
    return users


def fill_array(name: str, shape: tuple[int, ...], users: list[tuple[str, int]], seed: int) -> np.ndarray:
    """Seeded values by what reads them: He for matrices and filters, near 1 for scales, small for biases."""
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    roles = set(users)
    if ("BatchNormalization", 1) in roles or ("BatchNormalization", 4) in roles:
        return rng.uniform(0.8, 1.2, shape).astype(np.float32)
    if ("BatchNormalization", 2) in roles or ("BatchNormalization", 3) in roles:
        return rng.normal(0, 0.1, shape).astype(np.float32)
    if any(op == "Unsqueeze" for op, _ in roles):
        return rng.uniform(0.8, 1.2, shape).astype(np.float32)
    if len(shape) >= 2:
        fan_in = int(np.prod(shape[1:]))
        return rng.standard_normal(shape, dtype=np.float32) * np.float32((2 / fan_in) ** 0.5)
    return rng.normal(0, 0.05, shape).astype(np.float32)


def _last_weight(graph: onnx.GraphProto) -> str:
    """The filter or matrix that makes the scores: the second operand of the last Conv or Gemm, before any Reshape."""
    heavy = [node for node in graph.node if node.op_type in ("Conv", "Gemm", "MatMul")]
    reshaped = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "Reshape"}
    return reshaped.get(heavy[-1].input[1], heavy[-1].input[1])


def _fills(graph: onnx.GraphProto) -> Iterator[tuple[onnx.NodeProto, tuple[int, ...]]]:
    shapes = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "ConstantOfShape" and node.input[0] in shapes:
            yield node, tuple(int(d) for d in numpy_helper.to_array(shapes[node.input[0]]))


def _replace(field: Any, values: list[Any]) -> None:
    """Give a repeated protobuf field new contents."""
    del field[:]
    field.extend(values)


def fill(model: onnx.ModelProto, name: str, seed: int = 0) -> onnx.ModelProto:
    """The model with each ConstantOfShape over a known shape replaced by a seeded initializer; IR 8, opset as it was.

    Initializers are no longer listed as inputs: onnxruntime would take them for changeable and fold nothing.
    """
    graph = model.graph
    users, gained = _users(graph), _last_weight(graph)
    replaced, arrays = [], []
    for node, shape in _fills(graph):
        array = fill_array(node.output[0], shape, users.get(node.output[0], []), seed)
        if node.output[0] == gained:
            array *= np.float32(CLASSIFIER_GAIN.get(name, 1.0))
        arrays.append(numpy_helper.from_array(array, node.output[0]))
        replaced.append(node.output[0])
    unneeded = {node.input[0] for node, _ in _fills(graph)}
    kept = [node for node in graph.node if not (node.op_type == "ConstantOfShape" and node.output[0] in set(replaced))]
    tensors = [tensor for tensor in graph.initializer if tensor.name not in unneeded] + arrays
    stored = {tensor.name for tensor in tensors} | unneeded
    inputs = [value for value in graph.input if value.name not in stored]
    _replace(graph.node, kept)
    _replace(graph.initializer, tensors)
    _replace(graph.input, inputs)
    model.ir_version = 8
    return model


def filled(name: str, seed: int = 0) -> onnx.ModelProto:
    """The light model of this name (such as "light_resnet50") with seeded weights.

    Raises FileNotFoundError where the installed onnx package carries no such file.
    """
    path = paths().get(name)
    if path is None:
        raise FileNotFoundError(f"The installed onnx package has no {name}.onnx; it has: {', '.join(paths())}")
    return fill(onnx.load(path), name, seed)
