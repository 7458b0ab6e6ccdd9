"""Convolutions and pools of a Program as kernel specs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from glowviz.compiler.backends.cpu.heavy import Heavy
from glowviz.compiler.backends.cpu.kernels import choose_conv, conv, conv_transpose, depthwise, pool
from glowviz.compiler.backends.cpu.kernels.boxes import Unsupported
from glowviz.compiler.backends.cpu.kernels.epilogue import Extra
from glowviz.compiler.backends.cpu.kernels.geometry import Map
from glowviz.compiler.backends.cpu.maps import NUMBERS, map_of, steps_of
from glowviz.compiler.backends.cpu.packed_ops import PackedConv, PackedConvTranspose
from glowviz.compiler.backends.cpu.plan import Family, Plan, Repacked
from glowviz.compiler.ops import AveragePool, Conv, ConvTranspose, GlobalAveragePool, GlobalMaxPool, MaxPool, WideConv
from glowviz.compiler.program import Program
from glowviz.compiler.target import Target
from glowviz.compiler.types import Order

DIRECT = Family("direct", conv.ConvSchedule, choose_conv.choose, conv.emit)
DEPTHWISE = Family("depthwise", depthwise.DepthwiseSchedule, depthwise.choose, depthwise.emit)
GATHER = Family(
    "phases", conv_transpose.ConvTransposeSchedule, conv_transpose.choose, conv_transpose.emit
)  # fmt: skip
WINDOWS = Family("windows", pool.PoolSchedule, pool.choose, pool.emit)


def pair(values: tuple[int, ...]) -> tuple[int, int]:
    """Two spatial numbers; a one-dimensional map is one row."""
    return (values[0], values[1]) if len(values) == 2 else (1, values[0])


def _pads(values: tuple[int, ...]) -> tuple[int, int]:
    return (values[0], values[1]) if len(values) == 2 else (0, values[0])


def result_map(heavy: Heavy, program: Program, target: Target) -> Map:
    """The map an instruction writes; Unsupported where it is not in blocks."""
    result = map_of(program.buffers[heavy.result], target.vector_width, tuple(NUMBERS))
    if result.block != target.vector_width:
        raise Unsupported(f"%{heavy.result} is row-major; the kernel writes blocks of {target.vector_width} channels")
    return result


def blocked_map(name: str, program: Program, target: Target, elems: tuple[str, ...] = ("f32",)) -> Map:
    """A map that is read; Unsupported where it is not in blocks."""
    source = map_of(program.buffers[name], target.vector_width, elems)
    if source.block != target.vector_width:
        raise Unsupported(f"%{name} is row-major; the kernel reads blocks of {target.vector_width} channels")
    return source


def epilogue_extra(program: Program, result: Map) -> Any:
    """How a buffer is read in the epilogue of a map."""
    return lambda name: Extra(map=steps_of(program.buffers[name], result))


def plan_conv(heavy: Heavy, program: Program, target: Target) -> Plan:
    """conv, wide_conv and packed_conv: depthwise where every group is one channel, else the direct kernel."""
    op: Conv | PackedConv = heavy.op  # type: ignore[assignment]  # the caller looked
    wide = isinstance(op, WideConv)
    source = pairs_of(op, program, target) if wide else map_of(program.buffers[op.x], target.vector_width)
    read = map_of(program.buffers[op.x], target.vector_width, tuple(NUMBERS))
    result = result_map(heavy, program, target)
    shape = op.shape if isinstance(op, PackedConv) else program.buffers[op.w].type.dims
    windows = op.windows(program.buffers[op.x].type.dims, shape)
    geometry = (pair(windows.kernel), pair(windows.strides), pair(windows.dilations), _pads(windows.begins))
    epilogue = heavy.epilogue(op.b is not None, epilogue_extra(program, result))
    extras = tuple(buffer for _, buffer in heavy.extras)
    operands = (heavy.result, op.x, op.w, *([op.b] if op.b else []), *extras)
    label = name_of(heavy, read, result, geometry[0], geometry[1])
    if is_depthwise(source, result, op.group):
        spec = _made(depthwise.DepthwiseSpec, source, result, *geometry, epilogue)
        order = Order(((0, 0), (1, 0), (2, 0), (3, 0), (0, target.vector_width)))
        return Plan(DEPTHWISE, spec, operands, heavy.step, lambda _: {op.w: wide_order(order, shape)}, label)
    direct = _made(conv.ConvSpec, source, result, *geometry, op.group, epilogue, wide)
    if isinstance(op, PackedConv):
        return Plan(DIRECT, direct, operands, heavy.step, label=label)
    if op.group > 1:
        return Plan(DIRECT, direct, operands, heavy.step, label=label, repack=_repack(op, direct, program))

    def orders(schedule: conv.ConvSchedule) -> Mapping[str, Order]:
        return {op.w: wide_order(conv.conv_weight_order(direct, schedule), shape)}

    return Plan(DIRECT, direct, operands, heavy.step, orders, label)


def pairs_of(op: WideConv, program: Program, target: Target) -> Map:
    """The map of bf16 that a wide_conv reads, counted in pairs; Unsupported where no kernel reads it so."""
    if not target.has_bf16:
        raise Unsupported(f"{target.name} has no instruction for bf16")
    source = map_of(program.buffers[op.x], target.vector_width, ("bf16",))
    if source.block == 1 or op.group > 1:
        raise Unsupported(f"%{op.x} is row-major, or its channels are in groups: pairs of channels need neighbours")
    return source.in_pairs


def _repack(op: Conv | ConvTranspose, spec: Any, program: Program) -> Callable[[Any], Repacked]:
    """How the op and its constant weights change under a schedule; Unsupported where they are not constant."""
    weight = program.buffers[op.w]
    if weight.payload is None or weight.kind != "weight":
        raise Unsupported(f"%{op.w} is only known at run time")
    shape, array, blocks = weight.type.dims, weight.payload.array, (spec.source.block, spec.result.block)

    def repack(schedule: Any) -> Repacked:
        if isinstance(op, Conv):
            packed = PackedConv(
                op.x, op.w, op.b, op.strides, op.pads, op.dilations, op.group, op.auto_pad, shape, blocks,
                schedule.vectors,
            )  # fmt: skip
            return Repacked.of(packed, op.w, packed.pack(array))
        other = PackedConvTranspose(
            op.x, op.w, op.b, op.strides, op.pads, op.dilations, op.group, op.output_padding, op.output_shape,
            op.auto_pad, shape, blocks, schedule.vectors,
        )  # fmt: skip
        return Repacked.of(other, op.w, other.pack(array, program.buffers[op.x].type.dims))

    return repack


def is_depthwise(source: Map, result: Map, group: int) -> bool:
    """Whether every channel has a kernel of its own, and its map is blocked."""
    return group == source.channels == result.channels and group > 1 and source.block == result.block


def wide_order(order: Order, shape: tuple[int, ...]) -> Order:
    """An order of rank 4 for weights of that rank, or without its row axis for weights [O, C, K]."""
    if len(shape) == 4:
        return order
    dims = tuple((axis if axis < 2 else axis - 1, factor) for axis, factor in order.dims if axis != 2)
    return Order(dims)


def plan_conv_transpose(heavy: Heavy, program: Program, target: Target) -> Plan:
    """conv_transpose and packed_conv_transpose: gathered by phases."""
    op: ConvTranspose | PackedConvTranspose = heavy.op  # type: ignore[assignment]  # the caller looked
    source, result = blocked_map(op.x, program, target), result_map(heavy, program, target)
    packed = isinstance(op, PackedConvTranspose)
    shape = op.shape if packed else program.buffers[op.w].type.dims
    spread = op.spread(program.buffers[op.x].type.dims, shape)
    epilogue = heavy.epilogue(op.b is not None, epilogue_extra(program, result))
    spec = _made(
        conv_transpose.ConvTransposeSpec, source, result, pair(spread.kernel), pair(spread.strides),
        pair(spread.dilations), _pads(spread.begins), op.group, epilogue,
    )  # fmt: skip
    operands = (heavy.result, op.x, op.w, *([op.b] if op.b else []), *(b for _, b in heavy.extras))
    label = name_of(heavy, source, result, pair(spread.kernel), pair(spread.strides))
    repack = None if packed else _repack(op, spec, program)
    return Plan(GATHER, spec, operands, heavy.step, label=label, repack=repack)


def plan_pool(heavy: Heavy, program: Program, target: Target) -> Plan:
    """max_pool, average_pool and their global forms, on blocked maps."""
    op: Any = heavy.op
    source = blocked_map(op.x, program, target, tuple(NUMBERS))
    result = result_map(heavy, program, target)
    epilogue = heavy.epilogue(False, epilogue_extra(program, result))
    kind = "max" if isinstance(op, (MaxPool, GlobalMaxPool)) else "average"
    if isinstance(op, (GlobalAveragePool, GlobalMaxPool)):
        spec = pool.PoolSpec(kind, source, result, (source.height, source.width), epilogue=epilogue)
    else:
        windows = op.windows(program.buffers[op.x].type.dims)
        pads = (*_pads(windows.begins), *_pads(windows.ends))
        include = isinstance(op, AveragePool) and op.count_include_pad
        spec = pool.PoolSpec(
            kind, source, result, pair(windows.kernel), pair(windows.strides), pair(windows.dilations),
            pads, include, epilogue,
        )  # fmt: skip
    operands = (heavy.result, op.x, *(buffer for _, buffer in heavy.extras))
    return Plan(WINDOWS, spec, operands, heavy.step, label=name_of(heavy, source, result, spec.kernel, spec.strides))


KINDS = {number: elem for elem, number in NUMBERS.items()}


def _made(kind: Any, *arguments: Any) -> Any:
    try:
        return kind(*arguments)
    except ValueError as problem:  # a halo that is too small
        raise Unsupported(str(problem)) from None


def name_of(heavy: Heavy, source: Map, result: Map, kernel: tuple[int, int], strides: tuple[int, int]) -> str:
    """`conv.f32.c16.k3s2.64x128.28x28.relu`: what assembly labels and listings show."""
    steps = "_".join(node.op.instruction for node in heavy.steps)
    sizes = f"k{kernel[0]}x{kernel[1]}s{strides[0]}.{source.channels}x{result.channels}.{result.height}x{result.width}"
    parts = [heavy.op.instruction, KINDS[source.number], f"c{result.block}", sizes, *([steps] if steps else [])]
    return ".".join(parts)
