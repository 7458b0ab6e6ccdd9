"""Every node is called by what says most: its own name, the stem of its weights, or op and shape."""

from __future__ import annotations

import numpy as np
import pytest

from glowviz.compiler.importer import read_model
from glowviz.compiler.importer.names import says_something, stem
from tests.compiler.importer.small import model, node, read, value
from tests.models import light, light_names, trained


@pytest.mark.parametrize(("name", "op"), [
    ("conv1", "MaxPool"), ("/layer1/layer1.0/conv1/Conv", "Conv"), ("p2o.Conv.3", "Conv"), ("block.0.act", "Relu"),
    ("StatefulPartitionedCall/model/dense/MatMul", "MatMul"), ("res2a_branch2b", "Conv"), ("名前", "Relu"),
])
def test_names_that_say_something(name: str, op: str) -> None:
    assert says_something(name, op)


@pytest.mark.parametrize(("name", "op"), [
    ("", "Relu"), ("n12", "Conv"), ("node_5", "Add"), ("Conv_7", "Conv"), ("node_conv2d_3", "Conv"), ("17", "Relu"),
    ("Relu", "Relu"), ("MatMul_12", "MatMul"), ("op.3", "Add"), ("node_Conv_14", "Conv"), ("relu_1", "Relu"),
])
def test_names_that_only_count(name: str, op: str) -> None:
    assert not says_something(name, op)


@pytest.mark.parametrize(("weights", "expected"), [
    (["gpu_0/res2_0_branch2b_w_0"], "res2_0_branch2b"),
    (["gpu_0/res2_0_branch2b_bn_s_0", "gpu_0/res2_0_branch2b_bn_b_0", "gpu_0/res2_0_branch2b_bn_rm_0"],
     "res2_0_branch2b_bn"),
    (["layer1.0.conv1.weight", "layer1.0.conv1.bias"], "layer1.0.conv1"),
    (["layers.0.weight"], "layers.0"),
    (["model/dense_2/kernel:0", "model/dense_2/bias:0"], "model/dense_2"),
    (["bn1.running_mean", "bn1.running_var", "bn1.weight"], "bn1"),
    (["onnx::Conv_423"], ""), (["423"], ""), (["const_fold_opt__12"], ""), ([], ""), (["w"], ""),
    (["encoder/attn/MatMul/ReadVariableOp:0"], "encoder/attn/MatMul"),
])
def test_stems_of_weights(weights: list[str], expected: str) -> None:
    assert stem(weights) == expected


def test_the_order_of_preference() -> None:
    nodes = [
        node("MatMul", ["x", "enc.fc.weight"], ["a"], name="MatMul_0"), node("Relu", ["a"], ["b"], name="n7"),
        node("Relu", ["b"], ["c"], name="final_act"), node("Relu", ["c"], ["d"]),
    ]
    graph = read(model(nodes, [value("x")], ["d"], {"enc.fc.weight": np.ones((3, 4), np.float32)}))
    assert [n.label for n in graph] == ["enc.fc", "Relu 2×4", "final_act", "Relu 2×4 #2"]


def test_labels_are_unique_and_stable() -> None:
    nodes = [node("Relu", ["x"], ["a"], name="same"), node("Relu", ["a"], ["b"], name="same")]
    nodes += [node("Relu", ["b"], ["c"], name="same #2")]
    proto = model(nodes, [value("x")], ["c"])
    labels = [n.label for n in read(proto)]
    assert labels == ["same", "same #3", "same #2"]
    assert labels == [n.label for n in read(proto)]


def test_shapes_and_axes_name_nothing() -> None:
    graph = read(model([node("Reshape", ["x", "my_shape"], ["y"])], [value("x")], ["y"], {"my_shape": np.array([6])}))
    assert graph.nodes["y"].label == "Reshape 6"


def test_extra_nodes_of_one_node_say_what_they_are() -> None:
    softmax = node("Softmax", ["x"], ["y"], name="probabilities", axis=1)
    proto = model([softmax], [value("x", (2, 3, 4))], ["y"], opset=9)
    assert [n.label for n in read(proto)] == [
        "probabilities · Flatten", "probabilities", "probabilities · Shape", "probabilities · Reshape"
    ]


def test_resnet50_of_the_onnx_package() -> None:
    """The example of the acceptance text: node n7 reads gpu_0/res2_0_branch2b_w_0."""
    graph = read_model(light("light_resnet50"))
    conv = next(n for n in graph if "gpu_0/res2_0_branch2b_w_0" in n.op.operands)
    assert conv.origin.names == ("n7",)
    assert conv.label == "res2_0_branch2b"
    batch_norm = graph.users[conv.name][0]
    assert batch_norm.label == "res2_0_branch2b_bn"


@pytest.mark.parametrize("name", light_names())
def test_labels_of_light_models_are_unique(name: str) -> None:
    graph = read_model(light(name))
    assert len({n.label for n in graph}) == len(graph)
    convs = [n.label for n in graph if n.kind == "Conv"]
    assert not [label for label in convs if label.startswith("Conv ")]


def test_labels_of_a_tensorflow_model() -> None:
    graph = read_model(trained("magika"))
    assert any(n.label.endswith("/Conv_0/Conv2D") for n in graph)
    assert len({n.label for n in graph}) == len(graph)
