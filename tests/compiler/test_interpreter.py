"""Graphs and Programs run as they are written; what is wrong in them shows in the numbers or is refused by name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from glowviz.compiler.graph import Graph, Node, Origin, Output, Payload, Region, State, constant
from glowviz.compiler.interpreter import Machine, Memo, RunProblem, run_graph, run_program, sample_inputs
from glowviz.compiler.irgen import irgen
from glowviz.compiler.memory import plan_memory
from glowviz.compiler.ops import (
    OPS,
    Add,
    Cast,
    Conv,
    FillHalo,
    Fused,
    Gather,
    MatMul,
    Mul,
    NonZero,
    Op,
    Opaque,
    Relu,
    Reorder,
    Sub,
    fuse_nodes,
)
from glowviz.compiler.ops.base import Case
from glowviz.compiler.ops.branches import Unfit
from glowviz.compiler.ops.trial import as_graph, samples_of
from glowviz.compiler.program import Alloc, Buffer, Dealloc, Halo, Instr, MemoryPlan, Placement, Program, PublicOutput
from glowviz.compiler.types import Order, Type, channel_blocked, channels_last, of_array

X = Type("f32", (1, 3, 6, 7))


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def graph_of(inputs: dict[str, Type], constants: dict[str, np.ndarray], *nodes: tuple[str, Op], returns: str) -> Graph:
    """A graph with one result per node; types follow by inference."""
    types = dict(inputs) | {name: of_array(a) for name, a in constants.items()}
    made: dict[str, Node] = {}
    for name, op in nodes:
        types[name] = op.infer_types(types.__getitem__, constants.get)[0]
        made[name] = Node(op, (name,), (types[name],), Origin.of(f"onnx_{name}"))
    held = {name: constant(name, a) for name, a in constants.items()}
    return Graph("g", inputs, held, made, (Output("out", returns),))


def two_branches(rng: np.random.Generator) -> Graph:
    w1, w2 = rng.normal(size=(4, 3, 3, 3)).astype(np.float32), rng.normal(size=(4, 3, 1, 1)).astype(np.float32)
    return graph_of(
        {"x": X},
        {"w1": w1, "w2": w2},
        ("a", Conv("x", "w1", pads=(1, 1, 1, 1))),
        ("b", Conv("x", "w2")),
        ("r", Relu("a")),
        ("s", Add("r", "b")),
        ("m", Mul("s", "s")),
        returns="m",
    )


# graphs ------------------------------------------------------------------------------------------


def test_a_graph_computes_what_numpy_computes(rng: np.random.Generator) -> None:
    a = rng.normal(size=(3, 4)).astype(np.float32)
    graph = graph_of({"x": Type("f32", (2, 3))}, {"a": a}, ("y", MatMul("x", "a")), ("z", Relu("y")), returns="z")
    x = rng.normal(size=(2, 3)).astype(np.float32)
    np.testing.assert_array_equal(run_graph(graph, {"x": x})["out"], np.maximum(x @ a, 0))


def test_double_precision_is_nearer_to_the_truth(rng: np.random.Generator) -> None:
    a = rng.normal(size=(300, 300)).astype(np.float32)
    graph = graph_of(
        {"x": Type("f32", (4, 300))}, {"a": a}, ("y", MatMul("x", "a")), ("z", Cast("y", to="f32")), returns="z"
    )
    x = rng.normal(size=(4, 300)).astype(np.float32)
    truth = x.astype(np.float64) @ a.astype(np.float64)
    wide = run_graph(graph, {"x": x}, precision="f64")["out"]
    assert wide.dtype == np.float64
    np.testing.assert_array_equal(wide, truth)
    assert np.abs(run_graph(graph, {"x": x})["out"] - truth).max() > 0


def test_double_precision_reaches_into_fused_bodies(rng: np.random.Generator) -> None:
    graph = graph_of(
        {"x": Type("f32", (5,))}, {"c": np.array(0.1, np.float32)}, ("y", Mul("x", "c")), ("z", Cast("y", to="f32")),
        returns="z",
    )  # fmt: skip
    fused, results = fuse_nodes(graph.nodes.values(), ("z",), graph.type)
    one = graph.evolve(nodes={"z": Node(fused, results, (graph.type("z"),))})
    x = sample_inputs(graph)
    np.testing.assert_array_equal(
        run_graph(one, x, precision="f64")["out"], run_graph(graph, x, precision="f64")["out"]
    )
    body = fused.body
    inside = Fused(("x",), replace(body, inputs={"x": body.inputs["x"]}, constants=graph.constants))
    whole = graph.evolve(constants={}, nodes={"z": Node(inside, results, (graph.type("z"),))})
    np.testing.assert_array_equal(
        run_graph(whole, x, precision="f64")["out"], run_graph(graph, x, precision="f64")["out"]
    )


def test_watch_sees_every_result(rng: np.random.Generator) -> None:
    graph = two_branches(rng)
    seen: list[str] = []
    run_graph(graph, sample_inputs(graph), watch=lambda node, results: seen.extend(results))
    assert seen == list(graph.nodes)


def test_memo_computes_only_the_changed_cone(rng: np.random.Generator) -> None:
    graph = two_branches(rng)
    feeds, memo = sample_inputs(graph), Memo()
    first = run_graph(graph, feeds, memo=memo)
    assert (memo.hits, memo.misses) == (0, 5)
    nodes = dict(graph.nodes)
    nodes["s"] = nodes["s"].evolve(op=Sub("r", "b"))
    second = run_graph(graph.evolve(nodes=nodes), feeds, memo=memo)
    assert (memo.hits, memo.misses) == (3, 7)
    assert np.abs(first["out"] - second["out"]).max() > 0


def test_memo_tells_one_operand_from_two(rng: np.random.Generator) -> None:
    memo = Memo()
    graph, feeds = as_graph(OPS["Concat"], Case({"xs": (np.ones((2, 2), np.float32),)}, {"axis": 0}))
    node = graph.nodes["out"].evolve(op=OPS["Concat"](("x0", "x0"), axis=0), types=(Type("f32", (4, 2)),))
    assert run_graph(graph, feeds, memo=memo)["out"].shape == (2, 2)
    assert run_graph(graph.evolve(nodes={"out": node}), feeds, memo=memo)["out"].shape == (4, 2)


def test_states_are_kept_by_the_caller() -> None:
    graph = graph_of({"x": Type("f32", ())}, {}, ("n", Add("x", "x")), returns="n")
    total = State("t", Type("f32", ()), Payload(np.array(1.0, np.float32)))
    node = Node(Add("t", "x"), ("u",), (Type("f32", ()),))
    graph = graph.evolve(
        states={"t": total}, nodes={"u": node}, outputs=(Output("out", "u"),), updates={"t": "u"}
    )
    held: dict[str, np.ndarray] = {}
    x = {"x": np.array(2.0, np.float32)}
    assert [float(run_graph(graph, x, states=held)["out"]) for _ in range(3)] == [3.0, 5.0, 7.0]
    assert float(run_graph(graph, x)["out"]) == 3.0
    held.clear()
    program = irgen(graph)
    assert [float(run_program(program, x, states=held)["out"]) for _ in range(3)] == [3.0, 5.0, 7.0]


def test_a_long_chain_needs_no_recursion() -> None:
    nodes = {}
    last = "x"
    for i in range(20_000):
        nodes[f"v{i}"] = Node(Relu(last), (f"v{i}",), (Type("f32", (1,)),))
        last = f"v{i}"
    graph = Graph("chain", {"x": Type("f32", (1,))}, {}, nodes, (Output("out", last),))
    assert run_graph(graph, {"x": np.array([2.0], np.float32)})["out"] == 2.0


# refusals ----------------------------------------------------------------------------------------


def test_opaque_is_refused_by_name() -> None:
    node = Node(Opaque(("x",), "ai.example", "Fancy", 3, {}, (X,)), ("y",), (X,), Origin.of("fancy_1"))
    graph = Graph("g", {"x": X}, {}, {"y": node}, (Output("out", "y"),))
    with pytest.raises(RunProblem, match=r"ai.example::Fancy \(opset 3\).*fancy_1.*add it as an op"):
        run_graph(graph, {"x": np.zeros(X.dims, np.float32)})


def test_an_index_out_of_range_is_told_with_its_node() -> None:
    graph = graph_of(
        {"i": Type("i64", (1,))}, {"table": np.zeros((4, 2), np.float32)}, ("y", Gather("table", "i")), returns="y"
    )
    with pytest.raises(RunProblem, match=r"index 7 is out of range for 4 elements.*onnx_y"):
        run_graph(graph, {"i": np.array([7])})


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "input 'x' is not given"),
        ({"x": np.zeros((1, 3, 6, 7), np.float32), "z": 1}, "no input 'z'"),
        ({"x": np.zeros((1, 3, 6, 6), np.float32)}, r"\[1, 3, 6, 6\]"),
        ({"x": np.zeros((1, 3, 6, 7))}, "float64"),
    ],
)
def test_wrong_inputs_are_refused(inputs: dict[str, object], message: str, rng: np.random.Generator) -> None:
    with pytest.raises(RunProblem, match=message):
        run_graph(two_branches(rng), inputs)


def test_a_type_that_lies_is_caught(rng: np.random.Generator) -> None:
    graph = two_branches(rng)
    nodes = dict(graph.nodes)
    nodes["b"] = nodes["b"].evolve(types=(Type("f32", (1, 4, 6, 6)),))
    with pytest.raises(RunProblem, match="its type says"):
        run_graph(graph.evolve(nodes=nodes), sample_inputs(graph))


# programs ----------------------------------------------------------------------------------------


def _program_cases() -> list[object]:
    found = []
    for name, kind in OPS.items():
        if kind in (Opaque, FillHalo, NonZero, Unfit):
            continue
        found += [pytest.param(kind, case, id=f"{name}-{i}") for i, case in enumerate(samples_of(kind))]
    return found


@pytest.mark.parametrize(("kind", "case"), _program_cases())
def test_a_program_computes_what_its_graph_computes(kind: type[Op], case: Case) -> None:
    graph, feeds = as_graph(kind, case)
    program, plan = plan_memory(irgen(graph))
    wanted = run_graph(graph, feeds)
    for found in (run_program(program, feeds), run_program(program, feeds, plan)):
        for name, array in wanted.items():
            np.testing.assert_array_equal(found[name], array)


def test_a_machine_runs_again_and_again(rng: np.random.Generator) -> None:
    graph = two_branches(rng)
    program, plan = plan_memory(irgen(graph))
    machine = Machine(program, plan)
    for seed in range(3):
        feeds = sample_inputs(graph, seed)
        np.testing.assert_array_equal(machine.run(feeds)["out"], run_graph(graph, feeds)["out"])


def test_watch_of_a_program_sees_what_is_written(rng: np.random.Generator) -> None:
    graph = two_branches(rng)
    program, plan = plan_memory(irgen(graph))
    seen: dict[str, np.ndarray] = {}
    run_program(program, sample_inputs(graph), plan, watch=lambda instr, outs: seen.update({instr.value: outs}))
    values = {name: array for outs in seen.values() for name, array in outs.items()}
    wanted: dict[str, np.ndarray] = {}
    run_graph(graph, sample_inputs(graph), watch=lambda node, results: wanted.update(results))
    for name, array in wanted.items():
        np.testing.assert_array_equal(values[name], array)


def test_buffers_that_share_bytes_give_wrong_numbers(rng: np.random.Generator) -> None:
    graph = two_branches(rng)
    feeds = sample_inputs(graph)
    program, plan = plan_memory(irgen(graph))
    where = dict(plan.buffers)
    where["b"] = replace(where["b"], offset=where["r"].offset)
    broken = MemoryPlan(where, plan.arenas, plan.lower_bound)
    assert not np.array_equal(run_program(program, feeds, broken)["out"], run_graph(graph, feeds)["out"])


def test_an_early_dealloc_gives_nan(rng: np.random.Generator) -> None:
    graph = two_branches(rng)
    program = irgen(graph)
    at = next(i for i, s in enumerate(program.body) if isinstance(s, Instr) and s.value == "s")
    body = [s for s in program.body if not (isinstance(s, Dealloc) and s.buffer == "b")]
    early = program.evolve(body=(*body[:at], Dealloc("b"), *body[at:]))
    assert np.isnan(run_program(early, sample_inputs(graph))["out"]).all()


def test_a_result_that_lies_on_its_operand_without_leave_destroys_it(rng: np.random.Generator) -> None:
    graph = graph_of({"x": Type("f32", (4, 4))}, {}, ("y", MatMul("x", "x")), ("z", MatMul("y", "x")), returns="z")
    program = irgen(graph)
    body = tuple(s.evolve(outs=("y",)) if isinstance(s, Instr) and s.value == "z" else s for s in program.body)
    copied = tuple(
        s.evolve(op=s.op.with_operands({"z": "y"})) if isinstance(s, Instr) and s.value == "out.save" else s
        for s in body
    )
    assert np.isnan(run_program(program.evolve(body=copied), sample_inputs(graph))["out"]).all()


def test_in_place_where_the_op_allows_it() -> None:
    kind = Type("f32", (3,))
    buffers = {"x": Buffer("x", kind, "input"), "a": Buffer("a", kind, "activation"), "y": Buffer("y", kind, "output")}
    code = (Instr(Add("x", "x"), ("a",)), Instr(Relu("a"), ("a",)), Instr(Mul("a", "x"), ("y",)))
    body = (Alloc("a"), *code, Dealloc("a"))
    program = Program("p", buffers, body, (PublicOutput("out", "y"),))
    x = np.array([-1, 2, 3], np.float32)
    np.testing.assert_array_equal(run_program(program, {"x": x})["out"], np.maximum(2 * x, 0) * x)


BLOCKED = channel_blocked(4, 4)


@pytest.mark.parametrize("order", [None, channels_last(4), BLOCKED])
@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("filled", [True, False])
def test_padded_reads_see_the_halo(order: Order | None, fused: bool, filled: bool, rng: np.random.Generator) -> None:
    w = rng.normal(size=(3, 3, 3, 3)).astype(np.float32)
    conv: Op = Conv("x", "w", strides=(2, 1), pads=(1, 1, 1, 1))
    graph = graph_of(
        {"x": X}, {"w": w}, ("a", conv), ("y", Relu("a")), returns="y"
    )
    type_ = graph.type("y")
    buffers = {
        "in": Buffer("in", X, "input"),
        "x": Buffer("x", X.with_order(order), "activation", halo=Halo(2, 1, 1, 3, 0.0)),
        "w": Buffer("w", of_array(w), "weight", payload=Payload(w)),
        "a": Buffer("a", type_, "activation"),
        "y": Buffer("y", type_, "output"),
    }
    head = (Alloc("x"), Alloc("a"), *((Instr(FillHalo("x"), ("x",)),) if filled else ()))
    load = Instr(Reorder("in", order), ("x",))
    if fused:
        op, _ = fuse_nodes(graph.nodes.values(), ("y",), graph.type)
        code = (load, Instr(op, ("y",)))
    else:
        code = (load, Instr(conv, ("a",)), Instr(Relu("a"), ("y",)))
    program = Program("p", buffers, (*head, *code, Dealloc("x"), Dealloc("a")), (PublicOutput("out", "y"),))
    feeds = sample_inputs(graph)
    found = run_program(program, {"in": feeds["x"]})["out"]
    if filled:
        np.testing.assert_allclose(found, run_graph(graph, feeds)["out"], atol=1e-5)
    else:
        assert np.isnan(found).any()


def test_views_share_the_bytes_of_their_base() -> None:
    half, whole = Type("f32", (1, 4)), Type("f32", (2, 4))
    buffers = {
        "x": Buffer("x", half, "input"),
        "y": Buffer("y", whole, "output"),
        "top": Buffer("top", half, "view", base="y"),
        "bottom": Buffer("bottom", half, "view", base="y", offset=16),
    }
    body = (Instr(Add("x", "x"), ("top",)), Instr(Mul("x", "x"), ("bottom",)))
    x = np.arange(4, dtype=np.float32).reshape(1, 4)
    found = run_program(Program("p", buffers, body, (PublicOutput("out", "y"),)), {"x": x})["out"]
    np.testing.assert_array_equal(found, np.concatenate([2 * x, x * x]))


def test_a_place_outside_of_the_arena_is_refused() -> None:
    kind = Type("f32", (3,))
    program = Program("p", {"x": Buffer("x", kind, "input")}, (), (PublicOutput("out", "x"),))
    plan = MemoryPlan({"x": Placement("x", "activations", 64, 12, 0, 1)}, {"activations": 64})
    with pytest.raises(ValueError, match="outside of activations"):
        run_program(program, {"x": np.zeros(3, np.float32)}, plan)


# random inputs -----------------------------------------------------------------------------------


def test_sample_inputs_stay_in_the_range_they_index(rng: np.random.Generator) -> None:
    table = rng.normal(size=(5, 2)).astype(np.float32)
    graph = graph_of(
        {"i": Type("i32", (40,)), "mask": Type("i64", (40,)), "p": Type("u8", (200,))},
        {"t": table},
        ("wide", Cast("i", to="i64")),
        ("y", Gather("t", "wide")),
        returns="y",
    )
    feeds = sample_inputs(graph, 3)
    assert set(feeds["i"]) == {0, 1, 2, 3, 4}
    assert set(feeds["mask"]) == {0, 1}
    assert feeds["p"].max() > 200
    np.testing.assert_array_equal(feeds["i"], sample_inputs(graph, 3)["i"])
    assert not np.array_equal(feeds["i"], sample_inputs(graph, 4)["i"])
    run_graph(graph, feeds)


def test_regions_of_fused_are_closed(rng: np.random.Generator) -> None:
    graph = two_branches(rng)
    fused, results = fuse_nodes([graph.nodes["s"], graph.nodes["m"]], ("m",), graph.type)
    assert isinstance(fused.body, Region)
    assert set(fused.body.inputs) == set(fused.xs) == {"r", "b"}
    nodes = {k: v for k, v in graph.nodes.items() if k not in ("s", "m")}
    nodes["m"] = Node(fused, results, (graph.type("m"),))
    feeds = sample_inputs(graph)
    np.testing.assert_array_equal(run_graph(graph.evolve(nodes=nodes), feeds)["out"], run_graph(graph, feeds)["out"])
