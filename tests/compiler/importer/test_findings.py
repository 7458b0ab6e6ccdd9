"""Peculiarities of a model are found, counted, and told with what they cost and what to do."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from glowviz.compiler.importer import read_model
from tests.compiler.importer.small import model, node, read, value
from tests.models import light, trained


def found(proto: onnx.ModelProto, kind: str) -> dict[str, Any]:
    findings = {f["kind"]: f for f in read(proto).metadata["findings"]}
    assert kind in findings, sorted(findings)
    return findings[kind]


def test_nothing_to_find() -> None:
    proto = model([node("Add", ["x", "w"], ["y"])], [value("x")], ["y"], {"w": np.ones(3, np.float32)})
    assert read(proto).metadata["findings"] == []


def test_islands_of_f64() -> None:
    nodes = [
        node("Cast", ["x"], ["d"], to=TensorProto.DOUBLE), node("Exp", ["d"], ["e"]),
        node("Cast", ["e"], ["y"], to=TensorProto.FLOAT),
    ]
    one = found(model(nodes, [value("x")], ["y"]), "f64")
    assert one["what"] == "2 nodes in f64, the rest in narrower types"
    assert one["where"] == ("d", "e")


def test_a_model_in_f64() -> None:
    one = found(model([node("Exp", ["x"], ["y"])], [value("x", (2,), TensorProto.DOUBLE)], ["y"]), "f64")
    assert one["what"] == "All 1 node in f64"


def test_transposes_around_convolutions() -> None:
    nodes = [
        node("Transpose", ["x"], ["t"], perm=[0, 3, 1, 2]), node("Conv", ["t", "w"], ["c"]),
        node("Transpose", ["c"], ["y"], perm=[0, 2, 3, 1]), node("Transpose", ["y"], ["z"], perm=[3, 2, 1, 0]),
    ]
    weights = {"w": np.zeros((3, 3, 1, 1), np.float32)}
    one = found(model(nodes, [value("x", (1, 512, 512, 3))], ["z"], weights), "transposes")
    assert (one["count"], one["where"], one["cost"]) == (2, ("t", "y"), "12.0 MiB moved")


def test_dead_nodes_unused_constants_and_idle_inputs() -> None:
    nodes = [node("Relu", ["x"], ["y"]), node("Exp", ["x"], ["dead"]), node("Neg", ["dead"], ["deader"])]
    proto = model(nodes, [value("x"), value("z")], ["y"], {"w": np.ones((512, 512), np.float32)})
    assert found(proto, "dead")["where"] == ("dead", "deader")
    assert found(proto, "unused")["cost"] == "1.0 MiB of the file"
    assert found(proto, "idle")["where"] == ("z",)


def test_constants_as_nodes_and_work_on_constants() -> None:
    nodes = [
        node("Constant", [], ["k"], value_float=2.0), node("Neg", ["k"], ["n"]), node("Mul", ["x", "n"], ["y"]),
    ]
    proto = model(nodes, [value("x")], ["y"])
    assert found(proto, "constants")["count"] == 1
    assert found(proto, "computed")["where"] == ("n",)


def test_written_out_functions_and_branches() -> None:
    proto = model([node("MeanVarianceNormalization", ["x"], ["y"], name="m")], [value("x", (1, 2, 3, 4))], ["y"])
    assert found(proto, "functions")["where"] == ("m",)
    branch = onnx.helper.make_graph([node("Relu", ["x"], ["o"])], "b", [], [onnx.ValueInfoProto(name="o")])
    one = node("If", ["c"], ["y"], name="if", then_branch=branch, else_branch=branch)
    assert found(model([one], [value("x")], ["y"], {"c": np.array(True)}), "branches")["where"] == ("if",)


def test_opaque_ops_are_grouped_with_their_reason() -> None:
    nodes = [onnx.helper.make_node("F", [f"x{i}"], [f"x{i + 1}"], name=f"f{i}", domain="d") for i in range(3)]
    one = found(model(nodes, [value("x0")], ["x3"], domains={"d": 1}), "opaque")
    assert (one["what"], one["count"], one["where"]) == ("3 × d::F", 3, ("f0", "f1", "f2"))
    assert "does not know the domain d" in one["cost"]


def test_names_are_few_and_the_count_goes_on() -> None:
    nodes = [node("Relu", ["x"], [f"y{i}"]) for i in range(100)]
    one = found(model(nodes, [value("x")], ["y0"]), "dead")
    assert one["count"] == 99
    assert len(one["where"]) == 20


def test_findings_and_metadata_are_plain_data() -> None:
    graph = read_model(light("light_resnet50"))
    assert json.loads(json.dumps(graph.metadata))["findings"][0]["kind"]


@pytest.mark.parametrize(("name", "kinds"), [
    ("centerface", {"inputs", "unused"}), ("magika", {"transposes"}), ("ppocr_det", {"constants"}),
])
def test_findings_of_trained_models(name: str, kinds: set[str]) -> None:
    assert kinds <= {f["kind"] for f in read_model(trained(name)).metadata["findings"]}
