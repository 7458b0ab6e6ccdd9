"""What a file says arrives in the Graph: names, constants, order, branches, functions, and what nobody knows."""

from __future__ import annotations

import time
from itertools import pairwise

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from glowviz.compiler.graph import Region
from glowviz.compiler.importer import ImportProblem, read_model
from glowviz.compiler.ops import Conv, Opaque
from glowviz.compiler.text import parse_graph, print_graph
from glowviz.compiler.types import SequenceType, Symbol, Type
from glowviz.compiler.verify import verify_graph
from tests.compiler.importer.small import F32, by_us, kinds, model, node, read, value

ODD = ["a b", "%x", "ünï", "__proto__", "<script>", "a/b:0", "1", "x\ty", "名"]


def test_value_names_are_kept_whatever_they_are() -> None:
    names = [*ODD, "end"]
    nodes = [node("Relu", [a], [b]) for a, b in pairwise(names)]
    graph = read(model(nodes, [value(names[0])], ["end"]))
    assert list(graph.inputs) == names[:1]
    assert list(graph.nodes) == names[1:]
    assert print_graph(parse_graph(print_graph(graph))) == print_graph(graph)
    verify_graph(graph)


def test_operands_and_attributes_arrive() -> None:
    given = {"strides": [2, 1], "pads": [1, 0, 1, 0], "group": 1, "kernel_shape": [3, 1]}
    conv = node("Conv", ["x", "w", "b"], ["y"], name="c", **given)
    weights = {"w": np.zeros((4, 3, 3, 1), np.float32), "b": np.zeros(4, np.float32)}
    graph = read(model([conv], [value("x", (1, 3, 8, 8))], ["y"], weights))
    assert graph.nodes["y"].op == Conv("x", "w", "b", strides=(2, 1), pads=(1, 0, 1, 0))
    assert graph.nodes["y"].type == Type("f32", (1, 4, 4, 8))
    assert graph.nodes["y"].origin.names == ("c",)


@pytest.mark.parametrize("ir", [3, 8])
def test_initializers_among_the_inputs_are_constants(ir: int) -> None:
    weights = {"w": np.ones(3, np.float32)}
    proto = model([node("Add", ["x", "w"], ["y"])], [value("x")], ["y"], weights, ir=ir, listed=True)
    graph = read(proto)
    assert list(graph.inputs) == ["x"]
    assert list(graph.constants) == ["w"]
    found = next(f for f in graph.metadata["findings"] if f["kind"] == "inputs")
    assert (found["where"], found["count"]) == (("w",), 1)


def test_free_dimensions_keep_their_names() -> None:
    proto = model([node("Relu", ["x"], ["y"])], [value("x", ("batch", 3, None, "w"))], ["y"])
    graph = read(proto)
    assert graph.inputs["x"] == Type("f32", (Symbol("batch"), 3, Symbol("x.2"), Symbol("w")))
    assert graph.nodes["y"].type == graph.inputs["x"]


def test_shapes_bind_inputs() -> None:
    proto = model([node("Relu", ["x"], ["y"])], [value("x", ("b", "c"))], ["y"])
    assert read(proto, shapes={"x": (2, 5)}).nodes["y"].type == Type("f32", (2, 5))


def test_unknown_rank_of_an_input_stays_unknown() -> None:
    graph = read(model([node("Relu", ["x"], ["y"])], [value("x", None)], ["y"]))
    assert graph.inputs["x"].shape is None
    assert graph.nodes["y"].type == Type("f32", None)


def test_element_types_without_shapes() -> None:
    nodes = [
        node("Shape", ["x"], ["s"]), node("Cast", ["x"], ["c"], to=TensorProto.INT32),
        node("Equal", ["c", "c"], ["e"]), node("Where", ["e", "x", "x"], ["w"]),
    ]
    graph = read(model(nodes, [value("x", None)], ["s", "w"]))
    assert [graph.type(v).elem for v in ("s", "c", "e", "w")] == ["i64", "i32", "bool", "f32"]


def test_nodes_out_of_order_are_sorted() -> None:
    nodes = [node("Relu", ["b"], ["c"]), node("Relu", ["a"], ["b"]), node("Relu", ["x"], ["a"])]
    graph = read(model(nodes, [value("x")], ["c"]))
    assert list(graph.nodes) == ["a", "b", "c"]
    assert "order" in [f["kind"] for f in graph.metadata["findings"]]


def test_node_names_are_unique_and_derived_where_missing() -> None:
    nodes = [
        node("Relu", ["x"], ["a"], name="n"), node("Relu", ["a"], ["b"], name="n"), node("Relu", ["b"], ["c"]),
        node("Relu", ["c"], ["d"], name="Relu_2"),
    ]
    graph = read(model(nodes, [value("x")], ["d"]))
    assert [n.origin.names for n in graph] == [("n",), ("n_2",), ("Relu_3",), ("Relu_2",)]


def test_optional_operands_may_be_left_out() -> None:
    nodes = [node("Clip", ["x", "", ""], ["y"]), node("Relu", ["y", ""], ["z"])]
    graph = read(model(nodes, [value("x")], ["z"]))
    assert kinds(graph) == ["Clip", "Relu"]


def test_nodes_without_a_named_result_are_left_out() -> None:
    nodes = [node("Relu", ["x"], [""], name="silent"), node("Relu", ["x"], ["y"])]
    graph = read(model(nodes, [value("x")], ["y"]))
    assert list(graph.nodes) == ["y"]
    assert "silent" in [f["kind"] for f in graph.metadata["findings"]]


def test_metadata_says_what_the_file_says() -> None:
    weights = {"w": np.ones((2, 3), np.float32)}
    proto = model([node("Relu", ["x"], ["y"], name="block/act/Relu")], [value("x")], ["y"], weights)
    proto.producer_name, proto.producer_version, proto.doc_string = "maker", "1.2", "what it is"
    proto.metadata_props.add(key="author", value="somebody")
    found = read(proto).metadata
    assert found["producer"] == "maker 1.2"
    assert found["opsets"] == {"": 17}
    assert found["doc"] == "what it is"
    assert found["metadata_props"] == {"author": "somebody"}
    assert found["scopes"] == {"block/act/Relu": "block/act"}
    assert (found["weight_bytes"], found["parameters"], found["onnx_nodes"]) == (24, 6, 1)


def test_scopes_that_pytorch_writes() -> None:
    one = node("Relu", ["x"], ["y"], name="node_relu_1")
    one.metadata_props.add(key="pkg.torch.onnx.name_scopes", value="['', 'layer1', 'layer1.0', 'relu']")
    assert read(model([one], [value("x")], ["y"])).metadata["scopes"] == {"node_relu_1": "layer1/0"}


# what nobody knows ---------------------------------------------------------------------------------


def unknown(**attributes: object) -> onnx.ModelProto:
    one = helper.make_node("Fancy", ["x", "", "w"], ["y", "", "z"], name="f", domain="ai.example", **attributes)
    after = node("Relu", ["y"], ["r"])
    outputs = [value("r"), value("z", (5,), TensorProto.INT64)]
    return model([one, after], [value("x")], outputs, {"w": np.ones(3, np.float32)}, domains={"ai.example": 3})


def test_unknown_ops_are_opaque_with_all_they_say() -> None:
    table = numpy_helper.from_array(np.arange(3), "t")
    graph = read(unknown(alpha=0.5, names=["a", "b"], table=table, sizes=[1, 2]))
    op = graph.nodes["y"].op
    assert isinstance(op, Opaque)
    assert (op.xs, op.full_name, op.opset) == (("x", "w"), "ai.example::Fancy", 3)
    assert op.attrs["alpha"] == 0.5
    assert op.attrs["names"] == ("a", "b")
    assert op.attrs["sizes"] == (1, 2)
    np.testing.assert_array_equal(op.attrs["table"], [0, 1, 2])
    assert graph.nodes["y"].results == ("y", "y.out1", "z")
    assert graph.type("z") == Type("i64", (5,))
    finding = graph.metadata["findings"][0]
    assert (finding["kind"], finding["what"], finding["where"]) == ("opaque", "1 × ai.example::Fancy", ("f",))
    assert print_graph(parse_graph(print_graph(graph))) == print_graph(graph)
    verify_graph(graph)


def test_known_ops_in_unknown_forms_are_opaque() -> None:
    one = helper.make_node("Relu", ["x"], ["y"], name="odd", future=1)
    graph = read(model([one], [value("x")], ["y"]))
    assert isinstance(graph.nodes["y"].op, Opaque)
    assert "future" in graph.metadata["findings"][0]["cost"]
    assert graph.type("y") == Type("f32", (2, 3))


def test_ops_that_changed_after_the_newest_known_opset_are_opaque(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glowviz.compiler.importer.nodes.NEWEST", 26)
    changed = node("Einsum", ["x", "x"], ["y"], equation="ij,ij->i")
    assert kinds(read(model([changed], [value("x")], ["y"], opset=28))) == ["Opaque"]
    assert kinds(read(model([changed], [value("x")], ["y"], opset=26))) == ["Einsum"]
    assert kinds(read(model([node("Relu", ["x"], ["y"])], [value("x")], ["y"], opset=28))) == ["Relu"]


def test_a_sequence_has_a_type_of_its_own() -> None:
    nodes = [node("SequenceConstruct", ["x", "x"], ["s"]), node("SequenceAt", ["s", "i"], ["y"])]
    graph = read(model(nodes, [value("x")], ["y"], {"i": np.int64(0)}))
    assert graph.type("s") == SequenceType(graph.type("x"))
    assert graph.type("s").held
    assert graph.type("y").elem == "f32"


# functions and branches ----------------------------------------------------------------------------


def test_functions_of_the_file_are_written_out() -> None:
    body = [
        helper.make_node("Mul", ["a", "b"], ["t"]),
        helper.make_node("LeakyRelu", ["t"], ["out"]),
    ]
    reference = body[1].attribute.add()
    reference.name, reference.ref_attr_name, reference.type = "alpha", "slope", onnx.AttributeProto.FLOAT
    opset = [helper.make_opsetid("", 17)]
    function = helper.make_function("local", "Twice", ["a", "b"], ["out"], body, opset, ["slope"])
    calls = [
        helper.make_node("Twice", ["x", "x"], ["y"], name="first", domain="local", slope=0.25),
        helper.make_node("Twice", ["y", "x"], ["z"], name="second", domain="local", slope=0.5),
    ]
    graph = read(model(calls, [value("x")], ["z"], functions=[function], domains={"local": 1}))
    assert kinds(graph) == ["Mul", "LeakyRelu"] * 2
    assert list(graph.nodes) == ["y.t", "y", "z.t", "z"]
    assert [n.origin.names for n in graph] == [("first",), ("first",), ("second",), ("second",)]
    assert [n.op.alpha for n in graph if n.kind == "LeakyRelu"] == [0.25, 0.5]
    x = np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3)
    y = x * x
    np.testing.assert_allclose(by_us(graph, {"x": x})[0], np.where(y * x > 0, y * x, y * x * 0.5))


def test_functions_within_functions_and_results_passed_through() -> None:
    inner = helper.make_function("local", "Inner", ["a"], ["o"], [helper.make_node("Neg", ["a"], ["o"])],
                                 [helper.make_opsetid("", 17)])
    outer = helper.make_function(
        "local", "Outer", ["a"], ["n", "a"], [helper.make_node("Inner", ["a"], ["n"], domain="local")],
        [helper.make_opsetid("", 17), helper.make_opsetid("local", 1)],
    )
    call = helper.make_node("Outer", ["x"], ["y", "same"], domain="local")
    graph = read(model([call], [value("x")], ["y", "same"], functions=[inner, outer], domains={"local": 1}))
    assert kinds(graph) == ["Neg", "Identity"]


def test_ops_that_onnx_defines_as_functions_are_written_out() -> None:
    nodes = [node("MeanVarianceNormalization", ["x"], ["y"], name="mvn")]
    graph = read(model(nodes, [value("x", (2, 3, 4, 5))], ["y"], opset=13))
    assert "Opaque" not in kinds(graph)
    assert {n.origin.names for n in graph} == {("mvn",)}
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)
    mean, variance = x.mean((0, 2, 3), keepdims=True), x.var((0, 2, 3), keepdims=True)
    np.testing.assert_allclose(by_us(graph, {"x": x})[0], (x - mean) / np.sqrt(variance), atol=1e-4)


def test_functions_that_depend_on_operands_are_written_out() -> None:
    like = node("CastLike", ["x", "i"], ["y"])
    graph = read(model([like], [value("x"), value("i", (1,), TensorProto.INT64)], ["y"], opset=19))
    assert kinds(graph) == ["Cast"]
    assert graph.type("y") == Type("i64", (2, 3))


def branch(name: str, nodes: list[onnx.NodeProto], output: str) -> onnx.GraphProto:
    return helper.make_graph(nodes, name, [], [value(output, None)])


def conditional(condition: np.ndarray | None) -> onnx.ModelProto:
    then = branch("then", [node("Add", ["x", "k"], ["t"], name="plus")], "t")
    other = branch("else", [node("Mul", ["x", "k"], ["e"]), node("Neg", ["e"], ["e2"])], "e2")
    one = node("If", ["c"], ["y"], name="if", then_branch=then, else_branch=other)
    constants = {"k": np.float32(3)} | ({} if condition is None else {"c": condition})
    inputs = [value("x")] + ([value("c", (), TensorProto.BOOL)] if condition is None else [])
    return model([one], inputs, ["y"], constants)


@pytest.mark.parametrize(("condition", "expected"), [(True, ["Add"]), (False, ["Mul", "Neg"])])
def test_a_branch_with_a_known_condition_is_inlined(condition: bool, expected: list[str]) -> None:
    graph = read(conditional(np.array(condition)))
    assert kinds(graph) == expected
    assert "c" not in graph.constants
    assert {n.origin.names for n in graph} == ({("plus",)} if condition else {("if",)})
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.testing.assert_array_equal(by_us(graph, {"x": x})[0], x + 3 if condition else -(x * 3))


def test_a_branch_with_an_unknown_condition_has_closed_bodies() -> None:
    graph = read(conditional(None))
    op = graph.nodes["y"].op
    assert (op.condition, op.xs) == ("c", ("x",))
    then, other = op.then_branch, op.else_branch
    assert isinstance(then, Region)
    assert list(then.inputs) == list(other.inputs) == ["x"]
    assert list(then.constants) == list(other.constants) == ["k"], "what is known outside is a constant inside"
    assert kinds(other) == ["Mul", "Neg"]
    verify_graph(graph)
    assert print_graph(parse_graph(print_graph(graph))) == print_graph(graph)


def test_a_loop_without_types_has_those_of_its_operands() -> None:
    inputs = [onnx.ValueInfoProto(name=n) for n in ("i", "go", "so_far")]
    outputs = [onnx.ValueInfoProto(name=n) for n in ("on", "next")]
    nodes = [node("Identity", ["go"], ["on"]), node("Mul", ["so_far", "x"], ["next"])]
    body = helper.make_graph(nodes, "body", inputs, outputs)
    graph = read(model([node("Loop", ["m", "", "x"], ["y"], body=body)], [value("x")], ["y"], {"m": np.int64(3)}))
    op = graph.nodes["y"].op
    told = {n: str(t) for n, t in op.body.inputs.items()}
    assert told == {"i": "i64[]", "go": "bool[]", "so_far": "f32[2x3]", "x": "f32[2x3]"}
    assert (op.trip, op.condition, op.xs, op.carried) == ("m", None, ("x", "x"), 1)


def test_an_old_form_of_unknown_rank_keeps_its_attributes() -> None:
    """A quirk that gives up has not eaten what the Opaque shows."""
    add = node("Add", ["x", "y"], ["z"], broadcast=1, axis=1)
    proto = model([add], [value("x", None), value("y", (3,))], ["z"], opset=6)
    assert read(proto).nodes["z"].op.attrs == {"axis": 1, "broadcast": 1}


def test_results_of_functions_that_nobody_asks_for() -> None:
    opsets = [helper.make_opsetid("", 17)]
    function = helper.make_function("f", "F", ["a"], ["b", "never", "c"], [
        helper.make_node("Relu", ["a"], ["b"]), helper.make_node("Neg", ["a"], ["c"])
    ], opsets)
    call = helper.make_node("F", ["x"], ["y", "", "z"], domain="f")
    graph = read(model([call], [value("x")], ["y", "z"], functions=[function], domains={"f": 1}))
    assert kinds(graph) == ["Relu", "Neg"]


def test_contents_known_only_at_run_time_give_sizes_known_only_then() -> None:
    graph = read(model([node("Resize", ["x", "", "s"], ["y"])], [value("x", (1, 1, 2, 2)), value("s", (4,))], ["y"]))
    assert kinds(graph) == ["Resize"]
    assert graph.type("y").held
    assert graph.type("y").rank == 4


def test_a_body_knows_the_constants_around_it() -> None:
    then = branch("then", [node("Squeeze", ["x", "a"], ["t"])], "t")
    other = branch("else", [node("Relu", ["x"], ["e"])], "e")
    one = node("If", ["c"], ["y"], then_branch=then, else_branch=other)
    proto = model([one], [value("x", (1, 3)), value("c", (), TensorProto.BOOL)], ["y"], {"a": np.array([0])})
    assert kinds(read(proto).nodes["y"].op.then_branch) == ["Squeeze"]


# size ----------------------------------------------------------------------------------------------


def chain(length: int, dims: tuple[int | str, ...]) -> onnx.ModelProto:
    nodes = [node("Relu", [f"v{i}"], [f"v{i + 1}"]) for i in range(length)]
    return model(nodes, [value("v0", dims)], [f"v{length}"])


@pytest.mark.parametrize("dims", [(2, 3), ("batch", 3)])
def test_a_long_chain_is_an_ordinary_input(dims: tuple[int | str, ...]) -> None:
    """20,000 nodes within seconds and without recursion; 100,000 take five times as long."""
    content = chain(20_000, dims).SerializeToString()
    started = time.process_time()
    graph = read_model(content)
    assert len(graph) == 20_000
    assert time.process_time() - started < 10


def test_a_deep_chain_of_shape_arithmetic_is_followed() -> None:
    nodes = [node("Shape", ["x"], ["s0"])]
    nodes += [node("Add", [f"s{i}", "zero"], [f"s{i + 1}"]) for i in range(3000)]
    nodes += [node("Reshape", ["y", "s3000"], ["z"])]
    proto = model(nodes, [value("x"), value("y", (6,))], ["z"], {"zero": np.int64(0)})
    assert read(proto).type("z") == Type("f32", (2, 3))


@pytest.mark.parametrize("source", ["path", "bytes", "model"])
def test_all_kinds_of_sources(source: str, tmp_path: object) -> None:
    proto = model([node("Relu", ["x"], ["y"])], [value("x")], ["y"])
    path = tmp_path / "net.onnx"  # type: ignore[operator]
    onnx.save(proto, path)
    given = {"path": path, "bytes": proto.SerializeToString(), "model": proto}[source]
    assert kinds(read_model(given)) == ["Relu"]
    assert F32 == 1


def test_a_model_from_memory_may_not_point_to_files() -> None:
    proto = model([node("Relu", ["x"], ["y"])], [value("x")], ["y"], {"w": np.ones(4, np.float32)})
    tensor = proto.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="w.bin")
    with pytest.raises(ImportProblem, match="came without a folder"):
        read(proto)
