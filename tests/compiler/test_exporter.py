"""What is exported loads in onnxruntime, computes the same, and comes back equal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnxruntime.capi import onnxruntime_pybind11_state as runtime

from examples.build import BUILDERS
from glowviz.compiler.exporter import ExportProblem, save, to_onnx
from glowviz.compiler.exporter.sheet import OPSET
from glowviz.compiler.graph import Constant, Graph, Node, Origin, Output, Payload, State, constant
from glowviz.compiler.importer import inspect_model, read_model
from glowviz.compiler.interpreter import run_graph, sample_inputs
from glowviz.compiler.ops import OPS, Add, Op, Opaque, Relu, Reorder, fuse_nodes
from glowviz.compiler.ops.bodies import Controlled
from glowviz.compiler.passes.bind_shapes import bind_shapes
from glowviz.compiler.text import parse_graph
from glowviz.compiler.types import Quant, Symbol, Type, TypeProblem, channels_last, of_array
from tests.compiler.importer.small import by_runtime, by_us, model, node, read, value
from tests.compiler.ops.test_onnxruntime import NOT_THERE
from tests.models import TRAINED, example, exported, light, light_names, trained


def assert_equal(first: Graph, second: Graph) -> None:
    """Everything that a Graph says is the same; a type that was not known may be known now."""
    assert first.inputs == second.inputs
    assert first.outputs == second.outputs
    assert list(first.constants) == list(second.constants)
    for name, one in first.constants.items():
        assert one.type == second.constants[name].type
        assert one.payload.digest == second.constants[name].payload.digest
    assert list(first.nodes) == list(second.nodes)
    for one, other in zip(first, second, strict=True):
        assert (_plain(one.op), one.results) == (_plain(other.op), other.results)
        assert (one.origin.names, one.label) == (other.origin.names, other.label)
        assert all(_same(a, b) for a, b in zip(one.types, other.types, strict=True))


def _plain(op: Op) -> Op | dict[str, object]:
    """The op as what can be compared: of bodies all that they say, with their constants in any order."""
    if not isinstance(op, Controlled):
        return op
    told = {name: _told(region) for name, region in op.regions.items()}
    return {**{name: value for name, value in vars(op).items() if name not in told}, **told}


def _told(body: Graph) -> tuple[object, ...]:
    contents = {name: (c.type, c.payload.digest) for name, c in body.constants.items()}
    nodes = [(_plain(n.op), n.results, n.types, n.origin.names, n.label) for n in body]
    return body.name, body.inputs, contents, nodes, body.outputs


def _same(before: Type, after: Type) -> bool:
    if before.shape is None or after.shape is None:
        return before.elem == after.elem
    known = zip(before.shape, after.shape, strict=True)
    return before.elem == after.elem and all(b == a or isinstance(b, Symbol) for b, a in known)


def assert_round_trip(graph: Graph) -> None:
    assert_equal(graph, read_model(to_onnx(graph).SerializeToString()))


def runs_alike(graph: Graph, seed: int = 0) -> None:
    """onnxruntime on the export against the interpreter on the graph."""
    given = sample_inputs(graph, seed)
    ours = run_graph(graph, given)
    for output, theirs in zip(graph.outputs, by_runtime(to_onnx(graph), given), strict=True):
        np.testing.assert_allclose(ours[output.public], theirs, rtol=2e-4, atol=2e-5)


# whole models --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", light_names())
def test_light_models_come_back_equal(name: str) -> None:
    graph = read_model(light(name))
    onnx.checker.check_model(to_onnx(graph))
    assert_round_trip(graph)


@pytest.mark.models
@pytest.mark.parametrize("name", TRAINED)
def test_trained_models_come_back_equal(name: str) -> None:
    assert_round_trip(read_model(trained(name)))


@pytest.mark.parametrize("name", ["choice", "steps", "tagger", "bert", "t5_encoder", "detector", "centerface_qdq"])
def test_what_torch_exports_comes_back_equal(name: str) -> None:
    assert_round_trip(read_model(exported(name)))


@pytest.mark.parametrize("name", [n for n in BUILDERS if not n.startswith(("light_", "bert", "resnet50"))])
def test_example_networks_come_back_equal(name: str) -> None:
    path = example(name)
    graph = read_model(path)
    assert_round_trip(graph)
    assert_round_trip(bind_shapes.function(graph, shapes=inspect_model(path).shapes))


@pytest.mark.models
def test_a_trained_model_computes_the_same() -> None:
    graph = bind_shapes.function(read_model(trained("magika")), shapes={"bytes": (2, 2048)})
    given = {"bytes": np.random.default_rng(0).integers(0, 256, (2, 2048)).astype(np.int32)}
    before = by_runtime(onnx.load(trained("magika")), given)
    np.testing.assert_allclose(by_runtime(to_onnx(graph), given)[0], before[0], rtol=1e-5, atol=1e-7)


# every op ------------------------------------------------------------------------------------------

EXPORTED = sorted(
    name for name, cls in OPS.items()
    if cls.onnx and onnx.defs.has(cls.onnx, OPSET, cls.domain) and not (cls.takes_held and cls.family == "host")
)  # fmt: skip
EXPORTED += ["ChannelShuffle"]  # ours alone, written as the three nodes it is made of
AS_GIVEN = {
    "StringConcat", "StringSplit", "StringNormalizer", "RegexFullMatch", "RoiAlign", "MaxRoiPool", "NonMaxSuppression",
    "MelWeightMatrix",
}
"""Ops whose operands are boxes, limits or sizes: random ones would mean nothing."""
NOT_IN_RUNTIME = {"f64", "f16", "bf16", "u8", "i8", "i16", "u16", "u32", "u64"}
"""Element types for which onnxruntime's CPU provider lacks many kernels; they are checked by coming back."""


def graph_of_case(cls: type[Op], case: object, fixed: bool = False) -> Graph:
    """The graph of one sample of an op; operands that may decide shapes (or, `fixed`, all) are constants."""
    inputs: dict[str, Type] = {}
    constants: dict[str, Constant] = {}
    names: dict[str, object] = {}
    for place, slot in enumerate(cls.slots()):
        given = case.operands.get(str(place), case.operands.get(slot.name))  # type: ignore[attr-defined]
        arrays = given if slot.variadic else () if given is None else (given,)
        values = tuple(f"{slot.name}{i}" for i in range(len(arrays or ())))
        for name, array in zip(values, arrays or (), strict=True):
            array = np.asarray(array)
            if fixed or (array.dtype.kind in "iub" and array.ndim <= 1):
                constants[name] = constant(name, array)
            else:
                inputs[name] = of_array(array)
        names[slot.name] = values if slot.variadic else values[0] if values else None
    op = cls(**names, **case.attributes)  # type: ignore[attr-defined]
    known = {n: c.array for n, c in constants.items()}
    try:
        types = op.infer_types({**inputs, **{n: c.type for n, c in constants.items()}}.__getitem__, known.get)
    except TypeProblem:
        assert not fixed
        return graph_of_case(cls, case, fixed=True)
    results = tuple(f"out{i}" for i in range(len(types)))
    made = Node(op, results, types, Origin.of("one"), "one")
    return Graph("one", inputs, constants, {"out0": made}, tuple(Output(r, r) for r in results))


def samples_of(name: str) -> list[Graph]:
    cls = OPS[name]
    instance = object.__new__(cls)
    return [graph_of_case(cls, case, name in AS_GIVEN) for case in instance.samples(np.random.default_rng(0))]


@pytest.mark.parametrize("name", EXPORTED)
def test_samples_of_every_op_come_back_and_run(name: str) -> None:
    graphs = samples_of(name)
    assert graphs
    compared = False
    for graph in graphs:
        shapes = {n: t.dims for n, t in graph.inputs.items()}  # a first dim of 0 would count as free
        back = read_model(to_onnx(graph).SerializeToString(), shapes)
        assert [o.public for o in back.outputs] == [o.public for o in graph.outputs]
        assert [back.type(o.value) for o in back.outputs] == [graph.type(o.value) for o in graph.outputs]
        given = sample_inputs(graph)
        ours, again = run_graph(graph, given), run_graph(back, given)
        for output in graph.outputs:
            if ours[output.public].dtype == object:
                np.testing.assert_array_equal(ours[output.public], again[output.public])
                continue
            # attributes are f32 in ONNX, and Swish is written in other ops
            np.testing.assert_allclose(ours[output.public], again[output.public], rtol=1e-6)
        compared |= _compared(graph, given, ours)
    assert compared or name in NOT_THERE, f"onnxruntime ran no sample of {name}"


def _compared(graph: Graph, given: dict[str, np.ndarray], ours: dict[str, np.ndarray]) -> bool:
    """Compare with onnxruntime where it has a kernel for the form."""
    try:
        theirs = by_runtime(to_onnx(graph), given)
    except runtime.NotImplemented:
        return False
    except (runtime.Fail, runtime.InvalidGraph) as refusal:
        if any(t.elem in NOT_IN_RUNTIME for t in graph.inputs.values()) or "during initialization" in str(refusal):
            return False
        raise
    except (runtime.RuntimeException, runtime.InvalidArgument, RuntimeError):
        return False
    for output, other in zip(graph.outputs, theirs, strict=True):
        mine = ours[output.public]
        assert (mine.shape, mine.dtype) == (other.shape, other.dtype)
        # its align_corners rounds the size up where ONNX's definition does not (tests/compiler/ops has the list)
        corners = graph.nodes["out0"].op.attributes.get("coordinate_transformation_mode") == "align_corners"
        random = not graph.nodes["out0"].op.pure
        if mine.dtype.kind == "f" and np.isfinite(other).all() and not corners and not random:
            np.testing.assert_allclose(mine, other, rtol=2e-3, atol=2e-4)
    return True


# what is special -----------------------------------------------------------------------------------


def test_fused_bodies_are_written_out() -> None:
    graph = parse_graph("""
        graph @g(%x: f32[2x3], %y: f32[2x3]) {
          %a: f32[2x3] = Add(%x, %y)  from add
          %r: f32[2x3] = Relu(%a)  from relu
          return "out"=%r
        }""")
    fused, results = fuse_nodes(graph.nodes.values(), ["r"], graph.type)
    node_ = Node(fused, results, (Type("f32", (2, 3)),), Origin.of("add", "relu"), "both")
    small = graph.evolve(nodes={"r": node_})
    back = read_model(to_onnx(small).SerializeToString())
    assert [n.kind for n in back] == ["Add", "Relu"]
    assert [n.origin.names for n in back] == [("add",), ("relu",)]
    runs_alike(small)


def test_orders_are_dropped_and_constants_are_logical() -> None:
    weights = np.arange(48, dtype=np.float32).reshape(1, 3, 4, 4)
    order = channels_last(4)
    held = Constant("w", of_array(weights).with_order(order), Payload(weights))
    nodes = {
        "r": Node(Reorder("x", order), ("r",), (Type("f32", (1, 3, 4, 4), order=order),)),
        "s": Node(Add("r", "w"), ("s",), (Type("f32", (1, 3, 4, 4), order=order),)),
        "y": Node(Reorder("s", None), ("y",), (Type("f32", (1, 3, 4, 4)),)),
    }
    graph = Graph("g", {"x": Type("f32", (1, 3, 4, 4))}, {"w": held}, nodes, (Output("y", "y"),))
    x = np.ones((1, 3, 4, 4), np.float32)
    np.testing.assert_array_equal(by_runtime(to_onnx(graph), {"x": x})[0], x + weights)


def test_public_names_survive() -> None:
    """A result returned under another name, an input returned as it is, one value returned twice, a taken name."""
    relu = Node(Relu("x"), ("v",), (Type("f32", (2,)),))
    taken = Node(Relu("v"), ("out",), (Type("f32", (2,)),))
    outputs = (Output("out", "v"), Output("again", "v"), Output("same", "x"), Output("last", "out"))
    graph = Graph("g", {"x": Type("f32", (2,))}, {}, {"v": relu, "out": taken}, outputs)
    proto = to_onnx(graph)
    onnx.checker.check_model(proto)
    assert [o.name for o in proto.graph.output] == ["out", "again", "same", "last"]
    x = np.float32([-1, 2])
    for found, expected in zip(by_runtime(proto, {"x": x}), ([0, 2], [0, 2], [-1, 2], [0, 2]), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_origins_and_labels_come_back() -> None:
    made = Node(Relu("x"), ("y",), (Type("f32", (2,)),), Origin.of("conv1", 'odd "name"'), "the label")
    graph = Graph("g", {"x": Type("f32", (2,))}, {}, {"y": made}, (Output("y", "y"),))
    back = read_model(to_onnx(graph).SerializeToString())
    assert back.nodes["y"].origin.names == ("conv1", 'odd "name"')
    assert back.nodes["y"].label == "the label"


def test_unknown_ops_come_back() -> None:
    one = helper.make_node("F", ["x", "", "x"], ["y", "", "z"], domain="d", k=[1, 2], s="t", f=0.5,
                           t=onnx.numpy_helper.from_array(np.arange(3.0), "t"))
    proto = model([one], [value("x")], [value("y"), value("z", (4,), TensorProto.INT32)], domains={"d": 3})
    graph = read(proto)
    back = read_model(to_onnx(graph).SerializeToString())
    first, second = graph.nodes["y"].op, back.nodes["y"].op
    assert isinstance(second, Opaque)
    np.testing.assert_array_equal(first.attrs["t"], second.attrs["t"])
    plain = [{k: v for k, v in op.attrs.items() if k != "t"} for op in (first, second)]
    assert plain[0] == plain[1]
    assert (first.xs, first.full_name, first.opset) == (second.xs, second.full_name, second.opset)


def test_bodies_find_what_they_take_from_outside() -> None:
    inner = onnx.ValueInfoProto(name="o")
    then = helper.make_graph([node("Add", ["a", "k"], ["o"])], "then", [], [inner])
    other = helper.make_graph([node("Mul", ["a", "k"], ["o"])], "else", [], [inner])
    nodes = [node("Relu", ["x"], ["a"]), node("If", ["c"], ["y"], then_branch=then, else_branch=other)]
    proto = model(nodes, [value("x"), value("c", (), TensorProto.BOOL)], ["y"], {"k": np.float32(3)})
    graph = read(proto)
    renamed = graph.evolve(nodes={
        "b": graph.nodes["a"].evolve(results=("b",)),
        "y": graph.nodes["y"].evolve(op=graph.nodes["y"].op.with_operands({"a": "b"})),
    })
    exported = to_onnx(renamed)
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    for condition, expected in ((True, x + 3), (False, x * 3)):
        given = {"x": x, "c": np.array(condition)}
        np.testing.assert_array_equal(by_runtime(exported, given)[0], expected)


def test_ops_whose_form_has_changed_are_refused() -> None:
    one = node("Dropout", ["x"], ["y"], is_test=0)  # in training mode
    graph = read(model([one], [value("x", (1, 1, 3))], ["y"], opset=6))
    with pytest.raises(ExportProblem, match="another form"):
        to_onnx(graph)


def test_what_onnx_has_no_word_for_is_refused() -> None:
    made = Node(OPS["FillHalo"]("x"), ("y",), (Type("f32", (2,)),))
    graph = Graph("g", {"x": Type("f32", (2,))}, {}, {"y": made}, (Output("y", "y"),))
    with pytest.raises(ExportProblem, match="FillHalo %y"):
        to_onnx(graph)


def test_quantized_values_are_refused() -> None:
    made = Node(Relu("x"), ("y",), (Type("i8", (2,), Quant((0.5,))),))
    graph = Graph("g", {"x": Type("i8", (2,))}, {}, {"y": made}, (Output("y", "y"),))
    with pytest.raises(ExportProblem, match="quantized"):
        to_onnx(graph)


def test_states_become_inputs_and_outputs() -> None:
    state = State("s", Type("f32", (2,)), Payload(np.zeros(2, np.float32)))
    made = Node(Add("x", "s"), ("y",), (Type("f32", (2,)),))
    graph = Graph("g", {"x": Type("f32", (2,))}, {}, {"y": made}, (Output("y", "y"),), {"s": state}, {"s": "y"})
    proto = to_onnx(graph)
    assert [i.name for i in proto.graph.input] == ["x", "s"]
    assert [o.name for o in proto.graph.output] == ["y", "s.next"]
    x = np.float32([1, 2])
    for found in by_runtime(proto, {"x": x, "s": x}):
        np.testing.assert_array_equal(found, x * 2)


def test_versions_that_every_runtime_loads() -> None:
    proto = to_onnx(read(model([node("Relu", ["x"], ["y"])], [value("x")], ["y"], opset=26)))
    assert (proto.ir_version, proto.opset_import[0].version) == (10, 21)


def test_metadata_of_the_model_is_kept() -> None:
    proto = model([node("Relu", ["x"], ["y"])], [value("x")], ["y"])
    proto.metadata_props.add(key="character", value="abc")
    proto.doc_string = "a model"
    back = read_model(to_onnx(read(proto)).SerializeToString())
    assert back.metadata["metadata_props"] == {"character": "abc"}
    assert back.metadata["doc"] == "a model"


def test_strings_and_small_integers_come_back() -> None:
    import ml_dtypes

    constants = {
        "s": constant("s", np.array(["a", "ü"], object)),
        "i": constant("i", np.array([-8, 7, 3]).astype(ml_dtypes.int4)),
        "b": constant("b", np.array([1.5, -2]).astype(ml_dtypes.bfloat16)),
        "e": constant("e", np.zeros((0, 3), np.float32)),
        "z": constant("z", np.float32(1.5)),
    }
    graph = Graph("g", {}, constants, {}, tuple(Output(n, n) for n in constants))
    back = read_model(to_onnx(graph).SerializeToString())
    found = {o.public: back.constants[back.nodes[o.value].op.operands[0] if o.value in back.nodes else o.value]
             for o in back.outputs}
    for name, one in constants.items():
        assert found[name].type == one.type
        assert found[name].payload.digest == one.payload.digest


def test_save_writes_a_file_and_big_weights_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = read(model([node("MatMul", ["x", "w"], ["y"])], [value("x")], ["y"], {"w": np.ones((3, 600), np.float32)}))
    save(graph, tmp_path / "one.onnx")
    assert [p.name for p in tmp_path.iterdir()] == ["one.onnx"]
    monkeypatch.setattr("glowviz.compiler.exporter.LARGEST_FILE", 1000)
    for _ in range(2):  # the second time over the first
        save(graph, str(tmp_path / "two.onnx"))
    assert (tmp_path / "two.onnx.data").stat().st_size < 2 * 7200
    back = read_model(tmp_path / "two.onnx")
    assert_equal(graph, back)
    x = np.ones((2, 3), np.float32)
    np.testing.assert_array_equal(by_us(back, {"x": x})[0], x @ np.ones((3, 600), np.float32))
