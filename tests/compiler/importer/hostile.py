"""Files that no reader may trust: each with the words that its refusal must hold, or with the promise that it loads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import AttributeProto, ModelProto, TensorProto, helper, numpy_helper

from tests.compiler.importer.small import model, node, value

Made = ModelProto | bytes


@dataclass(frozen=True)
class Hostile:
    """One file. `says` is part of the refusal's text; None means that the file must load."""

    name: str
    make: Callable[[], Made]
    says: str | None

    @property
    def content(self) -> bytes:
        made = self.make()
        return made if isinstance(made, bytes) else made.SerializeToString()


FILES: list[Hostile] = []


def file(says: str | None, name: str = "") -> Callable[[Callable[[], Made]], Callable[[], Made]]:
    def declare(make: Callable[[], Made]) -> Callable[[], Made]:
        FILES.append(Hostile(name or make.__name__, make, says))
        return make

    return declare


def relu(**options: object) -> ModelProto:
    return model([node("Relu", ["x"], ["y"], name="r")], [value("x")], ["y"], **options)  # type: ignore[arg-type]


def with_tensor(**fields: object) -> ModelProto:
    """A model whose one initializer, `w`, has these fields."""
    proto = model([node("Add", ["x", "w"], ["y"])], [value("x")], ["y"])
    proto.graph.initializer.append(TensorProto(**{"name": "w", "data_type": TensorProto.FLOAT, **fields}))
    return proto


# not protobuf, or not all of it --------------------------------------------------------------------


@file("is empty")
def empty() -> bytes:
    return b""


@file("no ONNX model")
def text() -> bytes:
    return b"This is not a model, it is a sentence that somebody wrote."


@file("no ONNX model")
def picture() -> bytes:
    return b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4


def big() -> bytes:
    weights = np.arange(1 << 16, dtype=np.float32).reshape(-1, 4)
    product = node("MatMul", ["x", "w"], ["y"])
    return model([product], [value("x", (1, 1 << 14))], ["y"], {"w": weights}).SerializeToString()


for cut in (1, 7, 100, 70_000, 140_000, 262_000):
    file("no complete ONNX model" if cut < 262_000 else "", f"truncated_by_{cut}")(lambda cut=cut: big()[:-cut])


@file("unknown kind")
def wrong_wire_type() -> bytes:
    return bytes([7 << 3 | 3]) + big()


@file("without end")
def endless_number() -> bytes:
    return b"\xff" * 70_000


@file("bytes, where")
def length_beyond_the_end() -> bytes:
    return bytes([7 << 3 | 2]) + b"\xff\xff\xff\xff\x7f" + bytes(70_000)


@file("no ONNX model")
def zeros() -> bytes:
    return bytes(1000)


@file("deep in each other")
def messages_within_messages() -> bytes:
    """Graph in attribute in node in graph …, each long enough to be walked."""
    body = bytes([5 << 3 | 2]) + _length(70_004) + bytes([9 << 3 | 2]) + _length(70_000) + bytes(70_000)
    for _ in range(25):
        for number in (6, 5, 1):
            body = bytes([number << 3 | 2]) + _length(len(body)) + body
    return bytes([7 << 3 | 2]) + _length(len(body)) + body


def _length(size: int) -> bytes:
    out = bytearray()
    while size > 0x7F:
        out.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([*out, size])


# names ---------------------------------------------------------------------------------------------


@file("UTF-8")
def name_that_is_no_text() -> bytes:
    return relu().SerializeToString().replace(b"r", b"\xff", 1).replace(b"Relu", b"\xffelu")


@file("UTF-8")
def input_that_is_no_text() -> bytes:
    proto = model([node("Relu", ["QQQQ"], ["y"])], [value("QQQQ")], ["y"])
    return proto.SerializeToString().replace(b"QQQQ", b"\xff\xfe\xfd\xfc")


@file("characters")
def endless_name() -> ModelProto:
    name = "n" * 100_000
    return model([node("Relu", [name], ["y"])], [value(name)], ["y"])


@file(None)
def duplicate_node_names() -> ModelProto:
    return model([node("Relu", ["x"], ["a"], name="n"), node("Relu", ["a"], ["y"], name="n")], [value("x")], ["y"])


@file("defined twice")
def value_defined_twice() -> ModelProto:
    return model([node("Relu", ["x"], ["y"]), node("Neg", ["x"], ["y"])], [value("x")], ["y"])


@file("defined twice")
def result_is_an_input() -> ModelProto:
    return model([node("Relu", ["x"], ["x"]), node("Relu", ["x"], ["y"])], [value("x")], ["y"])


@file("defined twice")
def two_initializers_of_one_name() -> ModelProto:
    proto = with_tensor(dims=[3], float_data=[1, 2, 3])
    proto.graph.initializer.append(proto.graph.initializer[0])
    return proto


@file("listed twice")
def input_listed_twice() -> ModelProto:
    return model([node("Relu", ["x"], ["y"])], [value("x"), value("x")], ["y"])


@file("listed twice")
def output_listed_twice() -> ModelProto:
    return model([node("Relu", ["x"], ["y"])], [value("x")], ["y", "y"])


@file("made by nothing")
def output_that_nothing_makes() -> ModelProto:
    return model([node("Relu", ["x"], ["y"])], [value("x")], ["z"])


@file("nothing defines it")
def missing_operand() -> ModelProto:
    return model([node("Add", ["x", "gone"], ["y"])], [value("x")], ["y"])


@file("lacks its operand y")
def operand_left_out() -> ModelProto:
    return model([node("Add", ["x", ""], ["y"])], [value("x")], ["y"])


@file("in a circle")
def cycle() -> ModelProto:
    return model([node("Add", ["x", "b"], ["a"]), node("Relu", ["a"], ["b"])], [value("x")], ["b"])


@file("in a circle")
def reads_itself() -> ModelProto:
    return model([node("Add", ["x", "y"], ["y"])], [value("x")], ["y"])


@file("does not say its op")
def node_without_op() -> ModelProto:
    return model([node("", ["x"], ["y"])], [value("x")], ["y"])


# versions ------------------------------------------------------------------------------------------


@file("opset 9999")
def opset_from_the_future() -> ModelProto:
    return relu(opset=9999)


@file("opset 0")
def opset_zero() -> ModelProto:
    return relu(opset=0)


@file("opset -3")
def opset_negative() -> ModelProto:
    return relu(opset=-3)


@file("Two versions")
def default_domain_twice() -> ModelProto:
    return relu(domains={"ai.onnx": 9})


@file("does not say its opset")
def no_opset() -> ModelProto:
    proto = relu()
    del proto.opset_import[:]
    return proto


@file("IR version 999")
def ir_from_the_future() -> ModelProto:
    return relu(ir=999)


@file("IR version 0")
def no_ir_version() -> ModelProto:
    proto = relu()
    proto.ClearField("ir_version")
    return proto


@file(None)
def unknown_domain() -> ModelProto:
    one = helper.make_node("F", ["x"], ["y"], domain="who.knows")
    return model([one], [value("x")], ["y"], domains={"who.knows": 1})


@file(None)
def unknown_op() -> ModelProto:
    return model([node("NoSuchOp", ["x"], ["y"])], [value("x")], ["y"])


# no graph ------------------------------------------------------------------------------------------


@file("holds no graph")
def no_graph() -> ModelProto:
    proto = relu()
    proto.ClearField("graph")
    return proto


@file("no outputs")
def no_outputs() -> ModelProto:
    return model([node("Relu", ["x"], ["y"])], [value("x")], [])


@file(None)
def no_nodes() -> ModelProto:
    return model([], [value("x")], ["x"])


# tensors -------------------------------------------------------------------------------------------


def tensor_files() -> Iterator[tuple[str, str, dict[str, object]]]:
    yield "too_few_bytes", "holds 8 bytes", {"dims": [3], "raw_data": bytes(8)}
    yield "too_many_bytes", "holds 16 bytes", {"dims": [3], "raw_data": bytes(16)}
    yield "too_few_numbers", "holds 2 elements", {"dims": [3], "float_data": [1, 2]}
    yield "no_content", "holds 0 elements", {"dims": [3]}
    yield "wrong_field", "holds 0 elements", {"dims": [3], "int64_data": [1, 2, 3]}
    yield "negative_dim", "shape [-3]", {"dims": [-3], "raw_data": b""}
    yield "two_negative_dims", "shape [-3x-1]", {"dims": [-3, -1], "raw_data": bytes(12)}
    yield "huge_dims", "elements", {"dims": [1 << 40, 1 << 40], "raw_data": bytes(12)}
    yield "overflowing_dims", "elements", {"dims": [1 << 62, 4], "raw_data": b""}
    yield "sixteen_terabytes", "elements", {"dims": [1 << 42], "raw_data": bytes(12)}
    yield "half_terabyte", "holds 12 bytes", {"dims": [1 << 37], "raw_data": bytes(12)}
    yield "many_dims", "shape", {"dims": [1] * 100, "raw_data": bytes(4)}
    yield "unknown_element_type", "Element type 99", {"dims": [1], "raw_data": bytes(4), "data_type": 99}
    yield "undefined_element_type", "Element type UNDEFINED", {"dims": [1], "raw_data": bytes(4), "data_type": 0}
    yield "too_few_strings", "holds 1 strings", {"dims": [2], "string_data": [b"a"], "data_type": TensorProto.STRING}
    yield "number_out_of_range", "", {"dims": [1], "int32_data": [70_000], "data_type": TensorProto.UINT8}
    segment = TensorProto.Segment(begin=0, end=1)
    yield "segments", "segments", {"dims": [1], "raw_data": bytes(4), "segment": segment}
    integers = {"dims": [3], "int64_data": [1, 2, 3], "data_type": TensorProto.INT64}
    yield "other_type_than_x", "one element type", integers
    yield "other_shape_than_x", "do not broadcast", {"dims": [7], "raw_data": bytes(28)}


for _name, _says, _fields in tensor_files():
    file(_says, _name)(lambda fields=_fields: with_tensor(**fields))


@file("initializer of another type")
def input_and_initializer_disagree() -> ModelProto:
    proto = with_tensor(dims=[3], float_data=[1, 2, 3])
    proto.graph.input.append(value("w", (4,)))
    return proto


@file("in a field for another element type")
def floats_that_are_integers() -> ModelProto:
    return with_tensor(dims=[1 << 15], float_data=[1.0] * (1 << 15), data_type=TensorProto.INT32)


def sparse(indices: list[int], dims: list[int]) -> ModelProto:
    values = helper.make_tensor("w", TensorProto.FLOAT, [len(indices)], [1.0] * len(indices))
    made = helper.make_sparse_tensor(values, numpy_helper.from_array(np.array(indices, np.int64), "i"), [2, 3])
    made.dims[:] = dims
    proto = model([node("Add", ["x", "w"], ["y"])], [value("x")], ["y"])
    proto.graph.sparse_initializer.append(made)
    return proto


file(None, "sparse")(lambda: sparse([1, 5], [2, 3]))
file("outside its shape", "sparse_outside")(lambda: sparse([1, 6], [2, 3]))
file("outside its shape", "sparse_negative")(lambda: sparse([-1], [2, 3]))
file("cannot be written out", "sparse_bomb")(lambda: sparse([1], [1 << 19, 1 << 19]))
file("shape", "sparse_negative_dims")(lambda: sparse([1], [-2, -3]))


# declared shapes -----------------------------------------------------------------------------------


@file("Dimension 1 of x is -7")
def negative_input_dim() -> ModelProto:
    return model([node("Relu", ["x"], ["y"])], [value("x", (2, -7))], ["y"])


@file("elements")
def input_of_petabytes() -> ModelProto:
    return model([node("Relu", ["x"], ["y"])], [value("x", (1 << 30, 1 << 30))], ["y"])


@file("Dimension 0 of x is 4611686018427387904")
def input_dim_beyond_everything() -> ModelProto:
    return model([node("Relu", ["x"], ["y"])], [value("x", (1 << 62,))], ["y"])


@file("has the type")
def input_without_type() -> ModelProto:
    return model([node("Relu", ["x"], ["y"])], [onnx.ValueInfoProto(name="x")], ["y"])


@file("TiB")
def result_of_petabytes() -> ModelProto:
    shape = np.array([1 << 30, 1 << 20], np.int64)
    return model([node("Expand", ["x", "s"], ["y"])], [value("x", (1, 1))], ["y"], {"s": shape})


@file("TiB")
def filled_terabytes() -> ModelProto:
    return model([node("ConstantOfShape", ["s"], ["y"])], [], ["y"], {"s": np.array([1 << 45], np.int64)})


@file("TiB")
def repeated_terabytes() -> ModelProto:
    return model([node("Tile", ["x", "r"], ["y"])], [value("x")], ["y"], {"r": np.array([1 << 22, 1 << 22], np.int64)})


# attributes ----------------------------------------------------------------------------------------


def attribute_files() -> Iterator[tuple[str, str, onnx.NodeProto]]:
    conv = {"strides": [0, 0]}
    yield "stride_zero", "strides must be at least 1", node("MaxPool", ["x"], ["y"], kernel_shape=[1, 1], **conv)
    yield "kernel_zero", "at least 1", node("MaxPool", ["x"], ["y"], kernel_shape=[0, 0])
    yield "kernel_too_large", "does not fit", node("MaxPool", ["x"], ["y"], kernel_shape=[99, 99])
    yield "huge_pads", "TiB", node("AveragePool", ["x"], ["y"], kernel_shape=[1, 1], pads=[1 << 40, 1 << 40, 0, 0])
    yield "pads_too_few", "pads", node("MaxPool", ["x"], ["y"], kernel_shape=[1, 1], pads=[1])
    yield "axis_far_away", "axis", node("Concat", ["x", "x"], ["y"], axis=-(1 << 63))
    yield "axis_too_large", "axis", node("Softmax", ["x"], ["y"], axis=9)
    yield "perm_twice", "perm", node("Transpose", ["x"], ["y"], perm=[0, 0, 1, 2])
    yield "perm_too_short", "perm", node("Transpose", ["x"], ["y"], perm=[0, 1])
    yield "axes_twice", "axes", node("ReduceSum", ["x", "axes"], ["y"])
    yield "attribute_of_another_type", "is 'abc'", node("Concat", ["x", "x"], ["y"], axis="abc")
    yield "list_for_a_number", "is (1, 2)", node("LeakyRelu", ["x"], ["y"], alpha=[1, 2])
    yield "cast_to_nothing", "Element type 77", node("Cast", ["x"], ["y"], to=77)
    yield "missing_attribute", "lacks an attribute", node("Concat", ["x", "x"], ["y"])
    yield "bad_equation", "", node("Einsum", ["x", "x"], ["y"], equation="ab,,->zz->")
    yield "bad_auto_pad", "auto_pad", node("MaxPool", ["x"], ["y"], kernel_shape=[1, 1], auto_pad="SIDEWAYS")
    yield "block_zero", "", node("DepthToSpace", ["x"], ["y"], blocksize=0)


for _name, _says, _node in attribute_files():
    file(_says, _name)(lambda one=_node: model(
        [one], [value("x", (1, 4, 6, 6))], ["y"], {"axes": np.array([1, 1], np.int64)}, opset=13,
    ))


@file("twice")
def attribute_twice() -> ModelProto:
    one = node("LeakyRelu", ["x"], ["y"], alpha=0.5)
    one.attribute.append(one.attribute[0])
    return model([one], [value("x")], ["y"])


@file("unknown type")
def attribute_of_unknown_type() -> ModelProto:
    one = node("LeakyRelu", ["x"], ["y"])
    one.attribute.append(AttributeProto(name="alpha", type=AttributeProto.UNDEFINED))
    return model([one], [value("x")], ["y"])


@file("no content")
def constant_without_content() -> ModelProto:
    return model([node("Constant", [], ["y"])], [], ["y"])


@file("axes")
def axes_that_are_floats() -> ModelProto:
    return model([node("Squeeze", ["x", "a"], ["y"])], [value("x", (1, 2))], ["y"], {"a": np.float32([0.0])})


@file("Slice")
def slice_without_agreement() -> ModelProto:
    return model([node("Slice", ["x"], ["y"], starts=[0], ends=[1, 2])], [value("x")], ["y"], opset=9)


@file("")
def reshape_to_nonsense() -> ModelProto:
    return model([node("Reshape", ["x", "s"], ["y"])], [value("x")], ["y"], {"s": np.array([-1, -1, -5], np.int64)})


@file("")
def split_beyond_the_end() -> ModelProto:
    split = node("Split", ["x", "s"], ["y", "z"], axis=1)
    return model([split], [value("x")], ["y", "z"], {"s": np.array([-1, 4], np.int64)})


@file("")
def gather_with_a_far_axis() -> ModelProto:
    return model([node("Gather", ["x", "i"], ["y"], axis=7)], [value("x")], ["y"], {"i": np.array([0])})


@file("operands")
def too_many_operands() -> ModelProto:
    return model([node("Sum", ["x"] * 200_000, ["y"])], [value("x")], ["y"])


# bombs ---------------------------------------------------------------------------------------------


def bomb(levels: int, width: int) -> ModelProto:
    """Functions that call each other `width` times on every level: width ** levels nodes."""
    own = [helper.make_opsetid("", 17), helper.make_opsetid("f", 1)]
    functions = [helper.make_function("f", "F0", ["a"], ["b"], [helper.make_node("Relu", ["a"], ["b"])], own)]
    for level in range(1, levels + 1):
        names = ["a", *(f"t{i}" for i in range(width - 1)), "b"]
        calls = [helper.make_node(f"F{level - 1}", [names[i]], [names[i + 1]], domain="f") for i in range(width)]
        functions.append(helper.make_function("f", f"F{level}", ["a"], ["b"], calls, own))
    call = helper.make_node(f"F{levels}", ["x"], ["y"], domain="f")
    return model([call], [value("x")], ["y"], functions=functions, domains={"f": 1})


file("when its functions are written out", "function_bomb")(lambda: bomb(40, 2))
file(None, "small_functions")(lambda: bomb(4, 3))


@file("calls itself")
def recursive_function() -> ModelProto:
    own = [helper.make_opsetid("", 17), helper.make_opsetid("f", 1)]
    one = helper.make_function("f", "A", ["a"], ["b"], [helper.make_node("B", ["a"], ["b"], domain="f")], own)
    two = helper.make_function("f", "B", ["a"], ["b"], [helper.make_node("A", ["a"], ["b"], domain="f")], own)
    call = helper.make_node("A", ["x"], ["y"], domain="f")
    return model([call], [value("x")], ["y"], functions=[one, two], domains={"f": 1})


@file("nothing defines it")
def function_whose_body_reads_itself() -> ModelProto:
    own = [helper.make_opsetid("", 17)]
    one = helper.make_function("f", "A", ["a"], ["b"], [helper.make_node("Add", ["a", "b"], ["b"])], own)
    call = helper.make_node("A", ["x"], ["y"], domain="f")
    return model([call], [value("x")], ["y"], functions=[one], domains={"f": 1})


@file("is 'abc'")
def old_axis_that_is_a_text() -> ModelProto:
    one = node("Add", ["x", "w"], ["y"], broadcast=1, axis="abc")
    return model([one], [value("x")], ["y"], {"w": np.ones(2, np.float32)}, opset=6)


@file("one name")
def two_functions_of_one_name() -> ModelProto:
    own = [helper.make_opsetid("", 17)]
    one = helper.make_function("f", "A", ["a"], ["b"], [helper.make_node("Relu", ["a"], ["b"])], own)
    call = helper.make_node("A", ["x"], ["y"], domain="f")
    return model([call], [value("x")], ["y"], functions=[one, one], domains={"f": 1})


def nested(depth: int) -> ModelProto:
    """If in a branch of an If …; the conditions are not known."""
    body = [node("Relu", ["x"], ["o0"])]
    for level in range(depth):
        branch = helper.make_graph(body, "b", [], [onnx.ValueInfoProto(name=f"o{level}")])
        body = [node("If", ["c"], [f"o{level + 1}"], then_branch=branch, else_branch=branch)] if level < 6 else [
            helper.make_node("Wrap", ["c"], [f"o{level + 1}"], body=branch, domain="w")
        ]
    proto = model(body, [value("x"), value("c", (), TensorProto.BOOL)], [f"o{depth}"], domains={"w": 1})
    return proto


file(None, "nested_3")(lambda: nested(3))
file("deep", "nested_28")(lambda: nested(28))


@file("lacks a branch")
def if_without_branch() -> ModelProto:
    return model([node("If", ["c"], ["y"])], [], ["y"], {"c": np.array(True)})


@file("nothing defines it")
def branch_that_reads_nothing() -> ModelProto:
    branch = helper.make_graph([node("Relu", ["nowhere"], ["o"])], "b", [], [onnx.ValueInfoProto(name="o")])
    one = node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
    return model([one], [value("c", (), TensorProto.BOOL)], ["y"])


def wide() -> ModelProto:
    return model([node("Relu", ["x"], [f"y{i}"]) for i in range(5000)], [value("x")], [f"y{i}" for i in range(5000)])


file(None, "five_thousand_outputs")(wide)
