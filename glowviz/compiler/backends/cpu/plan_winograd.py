"""Convolutions of a Program by Winograd's tiles: which can, with what tile, and what replaces the instruction."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from glowviz.compiler.backends.cpu.heavy import Heavy
from glowviz.compiler.backends.cpu.kernels import choose_winograd, winograd
from glowviz.compiler.backends.cpu.kernels.boxes import Unsupported
from glowviz.compiler.backends.cpu.kernels.geometry import Map
from glowviz.compiler.backends.cpu.kernels.winograd import WinogradSchedule, WinogradSpec
from glowviz.compiler.backends.cpu.kernels.winograd_transforms import Filtering
from glowviz.compiler.backends.cpu.maps import NUMBERS, map_of
from glowviz.compiler.backends.cpu.plan import Family, Plan, Repacked
from glowviz.compiler.backends.cpu.plan_maps import blocked_map, epilogue_extra, name_of, result_map
from glowviz.compiler.backends.cpu.winograd_ops import WinogradConv, WinogradInput, WinogradResult
from glowviz.compiler.graph import Payload
from glowviz.compiler.ops import Conv
from glowviz.compiler.ops.wide import widened
from glowviz.compiler.program import Program
from glowviz.compiler.target import Target

WHOLE = Family("winograd", WinogradSchedule, choose_winograd.choose, winograd.emit)
INPUT = Family("winograd", WinogradSchedule, choose_winograd.choose, winograd.emit_input)
RESULT = Family("winograd", WinogradSchedule, choose_winograd.choose, winograd.emit_result)


def plan_conv_by_tiles(heavy: Heavy, program: Program, target: Target, outputs: int) -> Plan:
    """conv with constant weights, to be packed as winograd_conv or as winograd_input and winograd_result."""
    op: Any = heavy.op
    if not isinstance(op, Conv):
        raise Unsupported("not a convolution")
    weight, x = program.buffers[op.w], program.buffers[op.x]
    if weight.payload is None or weight.kind != "weight" or weight.type.order is not None:
        raise Unsupported(f"%{op.w} is only known at run time")
    shape, windows = weight.type.dims, op.windows(x.type.dims, weight.type.dims)
    if len(shape) != 4 or set(windows.strides) != {1} or set(windows.dilations) != {1} or shape[2] != shape[3]:
        raise Unsupported("Winograd's tiles need a square kernel, stride 1 and no dilation")
    pads = (*windows.begins, *windows.ends)
    spec = _spec(heavy, program, target, Filtering(outputs, shape[2]), pads[:2], op.group)
    contents = weight.payload

    def repack(schedule: WinogradSchedule) -> Repacked:
        size = winograd.packed_size(spec, schedule.vectors)
        pack = partial(_packed, contents, spec, schedule.vectors)
        facts: dict[str, Any] = {"tile": outputs, "shape": shape, "group": op.group, "vectors": schedule.vectors}
        if not schedule.apart:
            whole = WinogradConv(op.x, op.w, op.b, pads, block=target.vector_width, **facts)
            return Repacked(whole, op.w, size, pack)
        first = WinogradInput(op.x, pads, outputs, shape[2], target.vector_width)
        image = (spec.result.batch, spec.result.height, spec.result.width)
        return Repacked(WinogradResult(op.x, op.w, op.b, image, **facts), op.w, size, pack, first)

    return Plan(WHOLE, spec, _operands(heavy, op.x), heavy.step, repack=repack)


def _packed(contents: Payload, spec: WinogradSpec, vectors: int) -> np.ndarray:
    return winograd.pack_winograd_weights(widened(contents.array), spec, vectors)


def plan_winograd_conv(heavy: Heavy, program: Program, target: Target) -> Plan:
    """winograd_conv: everything in one kernel."""
    op: WinogradConv = heavy.op  # type: ignore[assignment]  # the caller looked
    spec = _spec(heavy, program, target, Filtering(op.tile, op.shape[-1]), op.pads[:2], op.group)
    fixed = (("vectors", op.vectors),)
    return Plan(WHOLE, spec, _operands(heavy, op.x), heavy.step, label=_label(heavy, spec), fixed=fixed)


def plan_winograd_input(heavy: Heavy, program: Program, target: Target) -> Plan:
    """winograd_input: tiles of a map into points."""
    op: WinogradInput = heavy.op  # type: ignore[assignment]  # the caller looked
    source = blocked_map(op.x, program, target, tuple(NUMBERS))
    shape = op.spec(program.buffers[op.x].type.dims).result
    result = Map(source.batch, source.block, shape.height, shape.width, source.block)
    spec = _made(WinogradSpec, source, result, Filtering(op.tile, op.taps), op.pads[:2])
    return Plan(INPUT, spec, (heavy.result, op.x), label=_label(heavy, spec))


def plan_winograd_result(heavy: Heavy, program: Program, target: Target) -> Plan:
    """winograd_result: products at every point, and back to pixels with the epilogue."""
    op: WinogradResult = heavy.op  # type: ignore[assignment]  # the caller looked
    plain = op.spec(target.vector_width)
    result = result_map(heavy, program, target)
    epilogue = heavy.epilogue(op.b is not None, epilogue_extra(program, result))
    spec = _made(WinogradSpec, plain.source, result, plain.filtering, (0, 0), op.group, epilogue)
    fixed = (("vectors", op.vectors),)
    return Plan(RESULT, spec, _operands(heavy, op.v), heavy.step, label=_label(heavy, spec), fixed=fixed)


def _spec(
    heavy: Heavy, program: Program, target: Target, filtering: Filtering, pads: tuple[int, ...], group: int
) -> WinogradSpec:
    op: Any = heavy.op
    source = map_of(program.buffers[op.x], target.vector_width, tuple(NUMBERS))
    result = result_map(heavy, program, target)
    if source.block != target.vector_width:
        raise Unsupported(f"%{op.x} is row-major")
    epilogue = heavy.epilogue(op.b is not None, epilogue_extra(program, result))
    return _made(WinogradSpec, source, result, filtering, pads, group, epilogue)


def _operands(heavy: Heavy, source: str) -> tuple[str, ...]:
    op: Any = heavy.op
    return (heavy.result, source, op.w, *([op.b] if op.b else []), *(buffer for _, buffer in heavy.extras))


def _label(heavy: Heavy, spec: WinogradSpec) -> str:
    taps = spec.filtering.taps
    return name_of(heavy, spec.source, spec.result, (taps, taps), (1, 1))


def _made(kind: Any, *arguments: Any) -> Any:
    try:
        return kind(*arguments)
    except ValueError as problem:  # a halo that is too small, groups that cut blocks
        raise Unsupported(str(problem)) from None
