"""Light kernels in every memory order, with halos and partial blocks: right numbers, zeros in spare lanes."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from glowviz.compiler.backends.cpu.build import build
from glowviz.compiler.backends.cpu.cpu_targets import host_target
from glowviz.compiler.backends.cpu.executable import CpuExecutable
from glowviz.compiler.backends.cpu.kernels.boxes import Access, Axis, boxes, direct, padding, strides_of
from glowviz.compiler.backends.cpu.objects import ObjectCache
from glowviz.compiler.ops import OPS
from glowviz.compiler.ops.base import Case, case
from glowviz.compiler.program import Buffer, Halo, Program
from glowviz.compiler.types import Order, Type, channel_blocked, channels_last
from tests.compiler.backends.one_instruction import error, expected, plan_of, program_of

ORDERS: dict[str, Order | None] = {
    "NCHW": None, "NHWC": channels_last(4), "NCHW16c": channel_blocked(4, 16), "NCHW8c": channel_blocked(4, 8),
    "NCHW4c": channel_blocked(4, 4), "CHWN": Order(((1, 0), (2, 0), (3, 0), (0, 0))),
}  # fmt: skip
HALOS = {"none": None, "even": Halo(1, 1, 1, 1), "odd": Halo(0, 2, 1, 0, -np.inf)}
POISON = 0xC3


def run(program: Program, arrays: dict[str, np.ndarray], objects: ObjectCache) -> CpuExecutable:
    """Run in poisoned memory and compare; the executable, to look at its memory."""
    executable = build(program, plan_of(program), host_target(), 1, objects)
    assert executable.listing()[0].native
    for buffer in program.of_kind("output"):
        if buffer.name not in program.instructions[0].ins:
            executable.memory.bytes_of(buffer.name)[:] = POISON
    found = executable.run(arrays)
    for name, wanted in expected(program, arrays).items():
        assert error(found[name], wanted) <= 2e-6
    return executable


def spare_lanes(executable: CpuExecutable, name: str) -> np.ndarray:
    """The contents of the lanes that stand for no channel, without the halo."""
    buffer = executable.program.buffers[name]
    found = [np.zeros(0, np.float32)]
    raw = executable.memory.bytes_of(name).view(np.float32)
    for box in padding(buffer):
        for place in product(*(range(d.extent) for d in box.dims)):
            at = box.bases[0] + sum(i * d.steps[0] for i, d in zip(place, box.dims, strict=True))
            found.append(raw[at // 4 : at // 4 + 1])
    return np.concatenate(found)


def halo_bytes(executable: CpuExecutable, name: str) -> np.ndarray:
    """The bytes of the buffer that no element of the tensor, and no spare lane beside one, owns."""
    buffer = executable.program.buffers[name]
    owned = np.zeros(buffer.bytes, bool)
    whole = buffer.type.order.tile(1) if buffer.type.order else 1
    dims = list(buffer.type.dims)
    dims[1] = -(-dims[1] // whole) * whole
    axes = tuple(Axis(0, ((a, 1),)) for a in range(4))
    for box in boxes(dims, [Access(buffer, axes)]):
        for place in product(*(range(d.extent) for d in box.dims)):
            at = box.bases[0] + sum(i * d.steps[0] for i, d in zip(place, box.dims, strict=True))
            owned[at : at + 4] = True
    return executable.memory.bytes_of(name)[~owned]


@pytest.mark.parametrize("halo", HALOS)
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("source", ORDERS)
def test_reorder_between_all_orders(source: str, order: str, halo: str, objects: ObjectCache) -> None:
    x = np.random.default_rng(0).normal(size=(2, 21, 5, 7)).astype(np.float32)
    orders = {"x": ORDERS[source], "y0": ORDERS[order]}
    program, arrays = program_of(OPS["Copy"], case(x), orders=orders, halos={"y0": HALOS[halo]})
    executable = run(program, arrays, objects)
    assert not spare_lanes(executable, "y0").any()
    assert (halo_bytes(executable, "y0") == POISON).all()


@pytest.mark.parametrize("order", ORDERS)
def test_halos_are_filled_and_the_inside_left(order: str, objects: ObjectCache) -> None:
    x = np.random.default_rng(0).normal(size=(1, 5, 3, 4)).astype(np.float32)
    for halo in (Halo(1, 2, 0, 1, 0.0), Halo(2, 1, 1, 1, -np.inf)):
        program, arrays = program_of(OPS["FillHalo"], case(x), orders={"x": ORDERS[order]}, halos={"x": halo})
        program = in_place(program)
        executable = build(program, plan_of(program), host_target(), 1, objects)
        executable.memory.bytes_of("x")[:] = POISON
        np.testing.assert_array_equal(executable.run(arrays)["y0"], x)
        outside = halo_bytes(executable, "x").view(np.float32)
        assert set(np.unique(outside)) <= {np.float32(halo.fill), np.float32(0)}
        wanted = 5 * ((3 + halo.height) * (4 + halo.width) - 12)
        assert np.count_nonzero(outside == halo.fill) >= wanted


def in_place(program: Program) -> Program:
    """The instruction writes the buffer it reads."""
    instr = program.instructions[0]
    outputs = (program.outputs[0].__class__("y0", "x"),)
    buffers = {"x": program.buffers["x"]}
    return program.evolve(buffers=buffers, body=(instr.evolve(outs=("x",)),), outputs=outputs)


@pytest.mark.parametrize("order", ORDERS)
def test_stacks_over_broadcasts_in_any_order(order: str, objects: ObjectCache) -> None:
    rng = np.random.default_rng(1)
    full = rng.normal(size=(2, 19, 3, 5)).astype(np.float32)
    others = [(19, 1, 1), (1, 1, 3, 5), (5,), (), (2, 19, 1, 1), (2, 1, 3, 1)]
    for shape in others:
        other = rng.normal(size=shape).astype(np.float32)
        program, arrays = program_of(OPS["Add"], case(full, other), orders={"x": ORDERS[order], "y0": ORDERS[order]},
                                     halos={"y0": HALOS["odd"]})  # fmt: skip
        executable = run(program, arrays, objects)
        assert not spare_lanes(executable, "y0").any()


def test_operands_of_different_orders_and_blocks_meet(objects: ObjectCache) -> None:
    rng = np.random.default_rng(1)
    x, y = (rng.normal(size=(2, 21, 3, 5)).astype(np.float32) for _ in range(2))
    trios = (("NCHW16c", "NCHW8c", "NCHW16c"), ("NHWC", "NCHW4c", "NCHW"), ("CHWN", "NHWC", "NCHW8c"))
    for left, right, result in trios:
        orders = {"x": ORDERS[left], "y": ORDERS[right], "y0": ORDERS[result]}
        program, arrays = program_of(OPS["Mul"], case(x, y), orders=orders)
        executable = run(program, arrays, objects)
        assert not spare_lanes(executable, "y0").any()


RANDOM = np.random.default_rng(0).normal(size=(2, 21, 9, 7)).astype(np.float32)
ROWS: dict[str, tuple[str, Case]] = {
    "sum over planes": ("ReduceSum", case(RANDOM + 1, axes=(2, 3))),
    "mean over channels": ("ReduceMean", case(RANDOM, axes=(1,))),
    "max over all": ("ReduceMax", case(RANDOM)),
    "softmax over channels": ("Softmax", case(RANDOM, axis=1)),
    "softmax over columns": ("Softmax", case(RANDOM.reshape(2, 9, 3, 49), axis=3)),
}


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("order", ORDERS)
def test_rows_in_any_order(order: str, name: str, objects: ObjectCache) -> None:
    op, sample = ROWS[name]
    result = ORDERS[order] if op == "Softmax" else None
    program, arrays = program_of(OPS[op], sample, orders={"x": ORDERS[order], "y0": result})
    executable = run(program, arrays, objects)
    assert not spare_lanes(executable, "y0").any()


@pytest.mark.parametrize("order", ["NCHW", "NHWC", "NCHW16c"])
@pytest.mark.parametrize("op", ["Concat", "Split", "Slice", "Pad", "Resize", "DepthToSpace", "Transpose"])
def test_movement_in_any_order(op: str, order: str, objects: ObjectCache) -> None:
    x = np.random.default_rng(0).normal(size=(1, 32, 4, 6)).astype(np.float32)
    i = np.array
    samples = {
        "Concat": (case((x[:, :24], x, x[:, :5]), axis=1), ""),
        "Split": (case(x, i([8, 19, 5]), axis=1), "split"),
        "Slice": (case(x, i([3, 1]), i([29, 6]), i([1, 3]), i([1, 2])), "starts ends axes steps"),
        "Pad": (case(x, i([0, 3, 1, 2, 0, 2, 1, 1])), "pads"),
        "Resize": (case(x, None, i([1, 1, 2, 3], np.float32), mode="linear"), "scales"),
        "DepthToSpace": (case(x, blocksize=2, mode="DCR"), ""),
        "Transpose": (case(x, perm=(0, 2, 3, 1)), ""),
    }
    sample, constant = samples[op]
    orders = dict.fromkeys(("x", "xs0", "xs1", "xs2", "y0", "y1", "y2"), ORDERS[order])
    program, arrays = program_of(OPS[op], sample, frozenset(constant.split()), orders)
    executable = run(program, arrays, objects)
    for name in program.instructions[0].outs:
        assert not spare_lanes(executable, name).any()


ORDER_NAMES = st.sampled_from([*ORDERS])


@given(st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_boxes_visit_every_address_once(data: st.DataObject) -> None:
    """A walk in boxes touches the same address pairs as a plain walk over all indices."""
    dims = data.draw(st.tuples(*(st.integers(1, n) for n in (2, 35, 3, 4))))
    accesses = []
    for name in ("a", "b"):
        order = ORDERS[data.draw(ORDER_NAMES)]
        halo = HALOS[data.draw(st.sampled_from([*HALOS]))]
        before = data.draw(st.integers(0, 20))
        step = data.draw(st.sampled_from([1, 1, 2, 3, -1]))
        start = before + (abs(step) * (dims[1] - 1) if step < 0 else 0)
        size = before + abs(step) * dims[1] + 1
        buffer = Buffer(name, Type("f32", (dims[0], size, *dims[2:]), order=order), "activation", halo=halo)
        axes = [Axis(0, ((a, 1),)) for a in range(4)]
        axes[1] = Axis(start, ((1, step),))
        accesses.append(Access(buffer, tuple(axes)))
    visited = []
    for box in boxes(dims, accesses):
        for place in product(*(range(d.extent) for d in box.dims)):
            moved = [sum(i * d.steps[p] for i, d in zip(place, box.dims, strict=True)) for p in range(2)]
            visited.append(tuple(base + m for base, m in zip(box.bases, moved, strict=True)))
    wanted = [tuple(_address(a, index) for a in accesses) for index in product(*map(range, dims))]
    assert sorted(visited) == sorted(wanted)


def _address(access: Access, index: tuple[int, ...]) -> int:
    lie = strides_of(access.buffer)
    total = lie.base
    for a, axis in enumerate(access.axes):
        i = axis.offset + sum(c * index[v] for v, c in axis.terms)
        total += i // lie.tile[a] * lie.outer[a] + i % lie.tile[a] * lie.inner[a]
    return total


def test_direct_broadcasts_from_the_right() -> None:
    assert direct(Buffer("b", Type("f32", (3, 1)), "input"), 4).axes == (Axis(0, ((2, 1),)), Axis())


