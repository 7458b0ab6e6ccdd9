"""Default schedules of real networks' shapes stay in registers; the passes write down what they chose and why."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest
from kernel_harness import check_code, targets

from glowviz.compiler.backends.cpu import choose_algorithms
from glowviz.compiler.backends.cpu.build import load_kernels
from glowviz.compiler.backends.cpu.choose_schedules import choose_schedules
from glowviz.compiler.backends.cpu.cpu_targets import aarch64, host_target
from glowviz.compiler.backends.cpu.detour import detour
from glowviz.compiler.backends.cpu.kernels import choose_conv, choose_gemm, conv, depthwise, gemm
from glowviz.compiler.backends.cpu.kernels.epilogue import Epilogue, Extra, add_relu_step
from glowviz.compiler.backends.cpu.kernels.geometry import Map, Matrix
from glowviz.compiler.backends.cpu.kernels.winograd import WinogradSchedule
from glowviz.compiler.backends.cpu.machine_code import assembly, object_code
from glowviz.compiler.backends.cpu.pack_weights import pack_weights
from glowviz.compiler.backends.cpu.registry import lower
from glowviz.compiler.graph import Node, Origin, Output, Payload, Region
from glowviz.compiler.interpreter.machine import run_program
from glowviz.compiler.ops import Add, Conv, FillHalo, Fused
from glowviz.compiler.problem import Problem
from glowviz.compiler.program import Buffer, Halo, Instr, Program, PublicOutput
from glowviz.compiler.target import Target
from glowviz.compiler.types import Type, channel_blocked
from glowviz.compiler.verify import verify_program

load_kernels()
MOST_BYTES = 16 << 10
# inputs, outputs, size of the result, kernel, stride: of ResNet-50, EfficientNet, detectors and segmentation
SHAPES = [
    (3, 64, 112, 7, 2), (64, 64, 56, 1, 1), (64, 64, 56, 3, 1), (64, 256, 56, 1, 1), (256, 128, 56, 1, 1),
    (128, 128, 28, 3, 2), (128, 512, 28, 1, 1), (256, 512, 28, 1, 2), (128, 128, 28, 3, 1), (256, 256, 14, 3, 1),
    (1024, 256, 14, 1, 1), (512, 1024, 14, 1, 2), (512, 512, 7, 3, 2), (512, 2048, 7, 1, 1), (2048, 512, 7, 1, 1),
    (3, 32, 112, 3, 2), (24, 144, 56, 1, 1), (144, 40, 28, 1, 1), (40, 240, 28, 1, 1), (16, 1, 80, 1, 1),
    (255, 85, 13, 1, 1), (1, 8, 28, 5, 1), (48, 48, 10, 5, 1),
]  # fmt: skip
PRODUCTS = [(128, 768, 768), (128, 3072, 768), (197, 192, 192), (1, 1000, 2048), (7, 64, 300), (33, 10, 5)]
LEVELS = (host_target(), *targets()[1:], aarch64())


def conv_spec(shape: tuple[int, ...], target: Target) -> conv.ConvSpec:
    inputs, outputs, size, kernel, stride = shape
    pad, block = kernel // 2, target.vector_width
    source = Map(1, inputs, size * stride, size * stride, 1 if inputs <= 4 else block, (pad,) * 4)
    result = Map(1, outputs, size, size, block)
    epilogue = Epilogue(True, "add relu", (Extra(result),))
    return conv.ConvSpec(source, result, (kernel,) * 2, (stride,) * 2, pads=(pad, pad), epilogue=epilogue)


@pytest.mark.parametrize("target", LEVELS, ids=lambda t: t.name)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_convolutions_stay_in_registers(shape: tuple[int, ...], target: Target) -> None:
    spec = conv_spec(shape, target)
    schedule, why = choose_conv.choose(spec, target)
    assert "FMA rate" in why
    code = conv.emit(spec, schedule, target, "conv", add_relu_step)
    if target.name == "aarch64":
        assert "fmla" in assembly(code.text, target)
        return
    check_code(code, target)
    assert len(object_code(code.text, target)) <= MOST_BYTES
    assert code.split_tiles >= min(8, spec.result.blocks * spec.result.height)


@pytest.mark.parametrize("target", LEVELS[:-1], ids=lambda t: t.name)
@pytest.mark.parametrize(("m", "n", "k"), PRODUCTS)
def test_products_stay_in_registers(m: int, n: int, k: int, target: Target) -> None:
    spec = gemm.GemmSpec(m, n, k, Matrix.dense(m, k), Matrix.dense(m, n), epilogue=Epilogue(True))
    schedule, _ = choose_gemm.choose(spec, target)
    code = gemm.emit(spec, schedule, target, "gemm")
    check_code(code, target)
    assert len(object_code(code.text, target)) <= MOST_BYTES


@pytest.mark.parametrize("target", LEVELS[:-1], ids=lambda t: t.name)
@pytest.mark.parametrize(("size", "kernel", "stride"), [(112, 3, 1), (56, 3, 2), (28, 5, 1), (14, 5, 2), (7, 3, 1)])
def test_depthwise_stays_in_registers(size: int, kernel: int, stride: int, target: Target) -> None:
    pad, block = kernel // 2, target.vector_width
    source = Map(1, 96, size * stride, size * stride, block, (pad,) * 4)
    spec = depthwise.DepthwiseSpec(
        source, Map(1, 96, size, size, block), (kernel,) * 2, (stride,) * 2, (1, 1), (pad, pad), Epilogue(True)
    )
    check_code(depthwise.emit(spec, depthwise.choose(spec, target)[0], target, "depthwise"), target)


def program(order: bool, target: Target, group: int = 1) -> Program:
    """conv %y, %x, %w with a residual nobody adds, in blocks or row-major."""
    blocked = channel_blocked(4, target.vector_width) if order else None
    weights = np.random.default_rng(0).normal(size=(32, 32 // group, 3, 3)).astype(np.float32)
    buffers = (
        Buffer("x", Type("f32", (1, 32, 8, 8), order=blocked), "input", halo=Halo(1, 1, 1, 1) if order else None),
        Buffer("w", Type("f32", weights.shape), "weight", payload=Payload(weights)),
        Buffer("y", Type("f32", (1, 32, 8, 8), order=blocked), "output"),
    )
    body = [Instr(Conv("x", "w", pads=(1, 1, 1, 1), group=group), ("y",), value="y")]
    if order:
        body.insert(0, Instr(FillHalo("x"), ("x",), value="x.halo"))
    return Program("p", {b.name: b for b in buffers}, tuple(body), (PublicOutput("y", "y"),))


def test_schedules_are_json_and_kept_where_they_stand() -> None:
    target = targets()[0]
    chosen, log = choose_schedules.run(program(True, target), target, winograd="off")
    instr = chosen.instructions[-1]
    assert json.loads(json.dumps(instr.schedule))["algorithm"] == "direct"
    assert [c.reason for c in log.changes] == [instr.schedule["why"]]
    again, log = choose_schedules.run(chosen, target)
    assert again.instructions[-1] is instr
    assert not log.changes


def test_a_schedule_set_by_hand_is_obeyed() -> None:
    target = targets()[0]
    mine = {"algorithm": "direct", **asdict(conv.ConvSchedule(1, 1, 3))}
    start = program(True, target)
    start = start.evolve(body=(start.body[0], start.instructions[-1].evolve(schedule=mine)))
    packed, _ = pack_weights.run(choose_schedules.run(start, target)[0], target)
    code = lower("conv", packed.instructions[-1], packed, target)
    assert code is not None
    assert (code.schedule["columns"], code.why) == (3, "set by hand")
    assert packed.buffers["w.packed"].type.order is not None
    assert packed.buffers["w.packed"].type.order.tile(0) == target.vector_width


@pytest.mark.parametrize("group", [1, 4])
def test_packed_weights_replace_their_originals(group: int) -> None:
    target = targets()[0]
    start, _ = choose_schedules.run(program(True, target, group), target, winograd="off")
    packed, log = pack_weights.run(start, target)
    verify_program(packed)
    assert "w" not in packed.buffers
    assert [c.rule for c in log.changes] == ["pack"]
    assert log.changes[0].continues == {"w": "w.packed"}
    assert packed.instructions[-1].name == ("conv" if group == 1 else "packed_conv")
    assert lower(packed.instructions[-1].name, packed.instructions[-1], packed, target) is not None
    assert pack_weights.run(packed, target)[0].buffers == packed.buffers


def test_row_major_maps_take_a_detour() -> None:
    target = targets()[0]
    around, log = detour.run(program(False, target), target)
    verify_program(around)
    assert [i.name for i in around.instructions] == ["fill_halo", "reorder", "conv", "reorder"]
    assert [c.rule for c in log.changes] == ["detour"]
    straight = program(True, target)
    assert detour.run(straight, target)[0] is straight


def test_unpacked_weights_are_no_kernel() -> None:
    target = targets()[0]
    start = program(True, target)
    assert lower("conv", start.instructions[-1], start, target) is None


def wide_program(target: Target) -> Program:
    """As `program`, with a map on which tiles pay, and a residual that is the convolution's own input."""
    start = program(True, target)
    type_ = Type("f32", (1, 32, 56, 56), order=start.buffers["x"].type.order)
    buffers = {n: b.evolve(type=type_) if n in ("x", "y") else b for n, b in start.buffers.items()}
    conv_type = Type("f32", (1, 32, 56, 56), order=type_.order)
    conv_node = Node(Conv("a", "w", pads=(1, 1, 1, 1)), ("c",), (conv_type,), Origin.of("conv"))
    add = Node(Add("c", "a"), ("s",), (conv_type,), Origin.of("add"))
    inputs = {"a": type_, "w": start.buffers["w"].type}
    body = Region(name="body", inputs=inputs, nodes={"c": conv_node, "s": add}, outputs=(Output("s", "s"),))
    fused = start.instructions[-1].evolve(op=Fused(("x", "w"), body))
    return start.evolve(buffers=buffers, body=(start.body[0], fused))


def test_tiles_are_chosen_where_they_pay_and_say_why() -> None:
    target = targets()[0]
    chosen, log = choose_schedules.run(wide_program(target), target)
    schedule = chosen.instructions[-1].schedule
    assert json.loads(json.dumps(schedule))["algorithm"] == "winograd"
    assert "Winograd F(" in log.changes[0].reason
    assert "sampled tiles" in log.changes[0].reason
    direct, _ = choose_schedules.run(wide_program(target), target, winograd="off")
    assert direct.instructions[-1].schedule["algorithm"] == "direct"


@pytest.mark.parametrize("apart", [False, True])
def test_a_convolution_by_tiles_keeps_its_epilogue(apart: bool) -> None:
    target = targets()[0]
    start = wide_program(target)
    mine = {"algorithm": "winograd", **asdict(WinogradSchedule(4, 1, 14, 28, apart))}
    start = start.evolve(body=(start.body[0], start.instructions[-1].evolve(schedule=mine)))
    packed, _ = pack_weights.run(choose_schedules.run(start, target)[0], target)
    verify_program(packed)
    names = [i.name for i in packed.instructions]
    assert names == ["fill_halo", "winograd_input", "fused"] if apart else names == ["fill_halo", "fused"]
    for instr in packed.instructions[1:]:
        assert lower(instr.name, instr, packed, target) is not None
    x = np.random.default_rng(2).normal(size=(1, 32, 56, 56)).astype(np.float32)
    found, wanted = (run_program(p, {"x": x})["y"] for p in (packed, start))
    assert np.abs(found - wanted).max() <= 1e-5 * np.abs(wanted).max()


def test_layers_give_back_error_where_it_saves_least_time(monkeypatch: pytest.MonkeyPatch) -> None:
    target = targets()[0]
    chosen = [choose_schedules.run(wide_program(target), target)[0].instructions[-1].schedule]
    for budget in (3e-7, 1e-9):
        monkeypatch.setattr(choose_algorithms, "BUDGET", budget)
        chosen.append(choose_schedules.run(wide_program(target), target)[0].instructions[-1].schedule)
    assert chosen[0]["outputs"] > chosen[1]["outputs"] == 2
    assert chosen[2]["algorithm"] == "direct"


def test_only_known_choices_of_tiles() -> None:
    target = targets()[0]
    with pytest.raises(Problem, match="'auto' or 'off'"):
        choose_schedules.run(program(True, target), target, winograd="always")
