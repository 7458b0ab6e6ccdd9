"""Stacks of element-wise ops as one kernel, and arithmetic that would end the process if nobody guarded it."""

from __future__ import annotations

import numpy as np
import pytest

from glowviz.compiler.backends.cpu.backend import missing_features
from glowviz.compiler.backends.cpu.build import build
from glowviz.compiler.backends.cpu.objects import ObjectCache
from glowviz.compiler.graph import Node
from glowviz.compiler.ops import OPS, Add, Cast, Clip, Exp, Gelu, Greater, Mul, Op, Where, fuse_nodes
from glowviz.compiler.ops.base import case
from glowviz.compiler.program import Buffer, Instr, MemoryPlan, Program, PublicOutput
from glowviz.compiler.target import Target
from glowviz.compiler.types import Type
from tests.compiler.backends.one_instruction import error, expected, plan_of, program_of
from tests.compiler.backends.test_light_samples import TARGETS


@pytest.fixture(params=TARGETS)
def target(request: pytest.FixtureRequest) -> Target:
    found = TARGETS[request.param]
    if missing_features(found):
        pytest.skip(f"this processor has no {missing_features(found)}")
    return found


def stack(types: dict[str, Type], steps: dict[str, Op], returned: list[str]) -> Program:
    """One fused instruction of these steps."""
    known = dict(types)
    for name, op in steps.items():
        (known[name],) = op.infer_types(known.__getitem__, lambda _: None)
    nodes = [Node(op, (name,), (known[name],)) for name, op in steps.items()]
    op, results = fuse_nodes(nodes, returned, known.__getitem__)
    buffers = {name: Buffer(name, type_, "input") for name, type_ in types.items()}
    buffers |= {name: Buffer(name, known[name], "output") for name in results}
    body = (Instr(op, results, value=results[0]),)
    return Program("stack", buffers, body, tuple(PublicOutput(r, r) for r in results))


def check(program: Program, arrays: dict[str, np.ndarray], target: Target, objects: ObjectCache) -> None:
    executable = build(program, MemoryPlan(), target, 1, objects)
    assert executable.listing()[0].native
    found = executable.run(arrays)
    for name, wanted in expected(program, arrays).items():
        assert error(found[name], wanted) <= 2e-6, name


def test_a_stack_of_broadcasts_and_two_results(target: Target, objects: ObjectCache) -> None:
    steps = {"a": Mul("x", "scale"), "b": Add("a", "bias"), "g": Gelu("b"), "c": Clip("g", low=-0.1, high=0.9)}
    types = {"x": Type("f32", (5, 33)), "scale": Type("f32", (33,)), "bias": Type("f32", (5, 1))}
    rng = np.random.default_rng(0)
    arrays = {name: rng.normal(size=t.dims).astype(np.float32) for name, t in types.items()}
    check(stack(types, steps, ["b", "c"]), arrays, target, objects)


def test_a_stack_that_changes_element_kinds(target: Target, objects: ObjectCache) -> None:
    steps = {
        "big": Greater("x", "y"), "count": Cast("big", to="i32"), "sum": Add("count", "n"),
        "power": Exp("x"), "real": Cast("sum", to="f32"), "z": Where("big", "power", "real"),
    }  # fmt: skip
    types = {"x": Type("f32", (3, 19)), "y": Type("f32", (19,)), "n": Type("i32", ())}
    rng = np.random.default_rng(0)
    arrays = {name: rng.normal(size=t.dims).astype(np.float32) for name, t in types.items() if t.is_float}
    check(stack(types, steps, ["z", "sum"]), arrays | {"n": np.array(7, np.int32)}, target, objects)


LIMITS = {kind: np.iinfo(kind) for kind in (np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint32, np.uint64)}


@pytest.mark.parametrize("kind", LIMITS, ids=lambda k: k.__name__)
@pytest.mark.parametrize("op", ["Div", "Mod"])
def test_no_division_ends_the_process(op: str, kind: type, target: Target, objects: ObjectCache) -> None:
    low, high = LIMITS[kind].min, LIMITS[kind].max
    some = np.array([low, low, high, 7, 0, 1, low + 1, high - 1] * 5, kind)
    by = np.array([0, high if low == 0 else -1, 0, 2, 0, high, high, 3] * 5, kind)
    for fmod in (False, True) if op == "Mod" else (None,):
        attributes = {} if fmod is None else {"fmod": fmod}
        program, arrays = program_of(OPS[op], case(some, by, **attributes))
        found = build(program, plan_of(program), target, 1, objects).run(arrays)["y0"]
        defined = (by != 0) & ~((some == low) & (by.astype(np.int64) == -1))
        np.testing.assert_array_equal(found[defined], expected(program, arrays)["y0"][defined])
        np.testing.assert_array_equal(found[by == 0], 0)


@pytest.mark.parametrize("to", ["i8", "i32", "i64", "u8", "bool", "f16"])
def test_casts_of_what_does_not_fit_are_defined(to: str, target: Target, objects: ObjectCache) -> None:
    x = np.array([np.nan, np.inf, -np.inf, 3e38, -1e20, 1.5, -0.0], np.float32)
    program, arrays = program_of(OPS["Cast"], case(x, to=to))
    executable = build(program, plan_of(program), target, 1, objects)
    first = executable.run(arrays)["y0"]
    np.testing.assert_array_equal(first, executable.run(arrays)["y0"])
    assert float(first[5]) == float(np.float32(1.5).astype(first.dtype))
    if to == "i64":
        assert list(first[:3]) == [0, 2**63 - 1, -(2**63)]


def test_nan_goes_through_maxima_and_softmax(target: Target, objects: ObjectCache) -> None:
    x = np.zeros((3, 40), np.float32)
    x[0, 17] = x[2, 39] = np.nan
    for op, attributes in (("Softmax", {"axis": 1}), ("ReduceMax", {"axes": (1,)}), ("ReduceMin", {"axes": (1,)}),
                           ("LogSoftmax", {"axis": 1}), ("Relu", {})):  # fmt: skip
        program, arrays = program_of(OPS[op], case(x, **attributes))
        found = build(program, plan_of(program), target, 1, objects).run(arrays)["y0"]
        np.testing.assert_array_equal(np.isnan(found), np.isnan(expected(program, arrays)["y0"]), err_msg=op)


def test_masked_positions_of_a_softmax_are_exactly_zero(target: Target, objects: ObjectCache) -> None:
    x = np.random.default_rng(0).normal(size=(4, 37)).astype(np.float32)
    x[:, 20:] = -np.inf
    x[1, 20:] = -1e9
    program, arrays = program_of(OPS["Softmax"], case(x))
    found = build(program, plan_of(program), target, 1, objects).run(arrays)["y0"]
    assert not found[:, 20:].any()
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-6)
