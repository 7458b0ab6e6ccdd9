"""A Net collects ONNX nodes, functions and seeded weights; `model()` gives the finished file."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

# IR 10 and an explicit opset are read by every onnxruntime of the last years;
# what onnx itself writes by default is newer than onnxruntime accepts.
IR_VERSION = 10

Array = np.ndarray
Dim = int | str
MODULES = "gallery.modules"
"""The domain of a file's own functions: one per module, as exporters that keep modules write them."""


def every_round(op: str) -> onnx.GraphProto:
    """The body of a Loop that sends its one value through an op in every round, whatever the value is."""
    own = [helper.make_tensor_value_info("round", onnx.TensorProto.INT64, []),
           helper.make_tensor_value_info("on", onnx.TensorProto.BOOL, [])]
    carried = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in ("before", "after")]
    still = helper.make_tensor_value_info("still", onnx.TensorProto.BOOL, [])
    nodes = [helper.make_node("Identity", ["on"], ["still"]), helper.make_node(op, ["before"], ["after"])]
    return helper.make_graph(nodes, f"every_round_{op}", [*own, carried[0]], [still, carried[1]])


class Module:
    """The body of an ONNX function in the making: nodes on named values, constants inside."""

    def __init__(self, name: str, inputs: Sequence[str], outputs: Sequence[str], opset: int = 17) -> None:
        self.name = name
        self.inputs = inputs
        self.outputs = outputs
        self.opset = opset
        self.nodes: list[onnx.NodeProto] = []

    def add(self, op: str, inputs: str, outputs: str, **attributes: Any) -> None:
        """Append one operator; operands and results are names with blanks between them."""
        self.nodes.append(helper.make_node(op, inputs.split(), outputs.split(), **attributes))

    def repeat(self, op: str, rounds: int, x: str, result: str) -> None:
        """Append a Loop that sends x through an op so many times."""
        self.constant(f"{result}.rounds", rounds)
        self.nodes.append(helper.make_node("Loop", [f"{result}.rounds", "", x], [result], body=every_round(op)))

    def constant(self, name: str, value: float | Sequence[float] | Sequence[int]) -> None:
        """A constant inside the body: f32, or i64 where all numbers are whole by type."""
        array = np.array(value)
        array = array.astype(np.float32) if array.dtype.kind == "f" else array
        self.add("Constant", "", name, value=numpy_helper.from_array(array))

    def proto(self) -> onnx.FunctionProto:
        """The finished function."""
        return helper.make_function(MODULES, self.name, list(self.inputs), list(self.outputs), self.nodes,
                                    [helper.make_opsetid("", self.opset)])


class Net:
    """An ONNX graph in the making.

    Values are names (str). Each weight is drawn from a generator seeded by (seed, name), so adding
    a layer leaves the weights of all the others as they were.
    """

    def __init__(self, name: str, seed: int = 0, opset: int = 17) -> None:
        self.name = name
        self.seed = seed
        self.opset = opset
        self.nodes: list[onnx.NodeProto] = []
        self.modules: list[onnx.FunctionProto] = []
        self.weights: dict[str, onnx.TensorProto] = {}
        self.inputs: list[onnx.ValueInfoProto] = []
        self.outputs: list[onnx.ValueInfoProto] = []

    def random(self, name: str) -> np.random.Generator:
        """The generator that belongs to this name."""
        return np.random.default_rng([self.seed, zlib.crc32(name.encode())])

    def input(self, name: str, shape: Sequence[Dim], elem: int = onnx.TensorProto.FLOAT) -> str:
        """Declare a graph input; text stands for a dimension that is bound later."""
        self.inputs.append(helper.make_tensor_value_info(name, elem, list(shape)))
        return name

    def output(self, name: str, value: str, shape: Sequence[Dim], elem: int = onnx.TensorProto.FLOAT) -> None:
        """Make `value`, which nothing reads, the graph output called `name`."""
        producer = next(node for node in self.nodes if value in node.output)
        producer.output[list(producer.output).index(value)] = name
        self.outputs.append(helper.make_tensor_value_info(name, elem, list(shape)))

    def weight(self, name: str, array: Array) -> str:
        """Store an array under this name; a name can be stored once."""
        if name in self.weights:
            raise ValueError(f"The weight {name!r} exists already; give each layer its own name.")
        self.weights[name] = numpy_helper.from_array(np.asarray(array, order="C"), name)
        return name

    def array(self, name: str) -> Array:
        """The stored weight of this name."""
        return numpy_helper.to_array(self.weights[name])

    def scalar(self, name: str, number: float) -> str:
        """Store one float32 number."""
        return self.weight(name, np.array(number, np.float32))

    def integers(self, name: str, numbers: Sequence[int]) -> str:
        """Store a vector of int64, as shapes, axes and pads are given."""
        return self.weight(name, np.array(numbers, np.int64))

    def add(self, op: str, *inputs: str, name: str, **attributes: Any) -> str:
        """Append one operator with one result, and return the result's name."""
        result = f"{name}.out"
        self.nodes.append(helper.make_node(op, list(inputs), [result], name=name, **attributes))
        return result

    def repeat(self, op: str, rounds: int, x: str, *, name: str) -> str:
        """Append a Loop that sends x through an op so many times."""
        count = self.weight(f"{name}.rounds", np.array(rounds, np.int64))
        return self.add("Loop", count, "", x, name=name, body=every_round(op))

    def call(self, module: Module, *inputs: str, name: str) -> list[str]:
        """Append a call of a function that the file brings along, and return the names of its results."""
        self.modules.append(module.proto())
        made = [f"{name}.{result}" for result in module.outputs]
        self.nodes.append(helper.make_node(module.name, list(inputs), made, name=name, domain=MODULES))
        return made

    def normal(self, name: str, shape: Sequence[int], scale: float) -> str:
        """Store weights drawn from N(0, scale²), float32."""
        values = self.random(name).standard_normal(tuple(shape), dtype=np.float32)
        return self.weight(name, values * np.float32(scale))

    def conv(self, x: str, channels: tuple[int, int], kernel: int, *, name: str, stride: int = 1,
             pad: int | None = None, group: int = 1, gain: float = 2.0, bias: bool = True) -> str:
        """A square convolution from channels[0] to channels[1], weights N(0, gain / fan_in).

        gain 2 keeps the spread of values after a Relu, gain 1 after nothing; pad None means "same".
        """
        fan_in = channels[0] // group * kernel * kernel
        shape = (channels[1], channels[0] // group, kernel, kernel)
        operands = [x, self.normal(f"{name}.weight", shape, (gain / fan_in) ** 0.5)]
        if bias:
            operands.append(self.normal(f"{name}.bias", (channels[1],), 0.05))
        edge = kernel // 2 if pad is None else pad
        return self.add("Conv", *operands, name=name, kernel_shape=[kernel] * 2, strides=[stride] * 2,
                        pads=[edge] * 4, group=group)

    def batch_norm(self, x: str, channels: int, *, name: str, gain: float = 1.0) -> str:
        """Batch normalization with statistics near those of N(0, 1) inputs, scaled by gain."""
        rng = self.random(name)
        scale = self.weight(f"{name}.scale", (gain * rng.uniform(0.8, 1.2, channels)).astype(np.float32))
        bias = self.weight(f"{name}.bias", rng.normal(0, 0.1, channels).astype(np.float32))
        mean = self.weight(f"{name}.mean", rng.normal(0, 0.1, channels).astype(np.float32))
        variance = self.weight(f"{name}.var", rng.uniform(0.8, 1.2, channels).astype(np.float32))
        return self.add("BatchNormalization", x, scale, bias, mean, variance, name=name, epsilon=1e-5)

    def linear(self, x: str, widths: tuple[int, int], *, name: str, gain: float = 1.0) -> str:
        """x @ W + b over the last dimension, as MatMul and Add: the form exporters give a 3-D input."""
        weight = self.normal(f"{name}.weight", widths, (gain / widths[0]) ** 0.5)
        product = self.add("MatMul", x, weight, name=f"{name}.matmul")
        return self.add("Add", product, self.normal(f"{name}.bias", (widths[1],), 0.05), name=f"{name}.add")

    def gemm(self, x: str, widths: tuple[int, int], *, name: str, gain: float = 1.0) -> str:
        """x @ W' + b of a 2-D input, weights stored as [out, in]."""
        weight = self.normal(f"{name}.weight", (widths[1], widths[0]), (gain / widths[0]) ** 0.5)
        bias = self.normal(f"{name}.bias", (widths[1],), 0.05)
        return self.add("Gemm", x, weight, bias, name=name, transB=1)

    def model(self) -> onnx.ModelProto:
        """The finished model, checked, with every intermediate shape that ONNX can infer left out."""
        graph = helper.make_graph(self.nodes, self.name, self.inputs, self.outputs,
                                  initializer=list(self.weights.values()))
        own = [helper.make_opsetid(MODULES, 1)] if self.modules else []
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset), *own],
                                  functions=self.modules, producer_name="glowviz", ir_version=IR_VERSION)
        onnx.checker.check_model(model)
        return model


@dataclass(frozen=True)
class Built:
    """What a card's builder gives: the model, what was measured while building, and inputs to try.

    `facts` is plain data (such as the accuracy on unseen pictures); `samples` maps a sample's name to
    its arrays by input name; `expected` says what a right answer to that sample is.
    """

    model: onnx.ModelProto
    facts: dict[str, float | int | str] = field(default_factory=dict)
    samples: dict[str, dict[str, Array]] = field(default_factory=dict)
    expected: dict[str, str] = field(default_factory=dict)
