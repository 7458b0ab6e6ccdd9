"""The program pass after which heavy instructions find their maps in blocks, with the halo they read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from glowviz.compiler.backends.cpu.choose_schedules import is_heavy
from glowviz.compiler.backends.cpu.heavy import Heavy
from glowviz.compiler.backends.cpu.kernels import conv_transpose
from glowviz.compiler.backends.cpu.kernels.boxes import Unsupported
from glowviz.compiler.backends.cpu.kernels.byte_products import FOURS, PANEL, PANELS
from glowviz.compiler.backends.cpu.kernels.geometry import Map
from glowviz.compiler.backends.cpu.plain_maps import on_plain_maps, wants_padding_apart
from glowviz.compiler.backends.cpu.plan_maps import pair
from glowviz.compiler.backends.cpu.planner import plan_heavy, plan_of
from glowviz.compiler.graph import Payload, Region
from glowviz.compiler.ops import (
    Conv,
    ConvTranspose,
    FillHalo,
    Fused,
    MatMulInteger,
    Op,
    QLinearMatMul,
    Reorder,
    WideConv,
)
from glowviz.compiler.ops.base import Elementwise
from glowviz.compiler.ops.pool import Pool
from glowviz.compiler.program import Alloc, Buffer, Dealloc, Halo, Instr, Program, Statement, View
from glowviz.compiler.recording.records import Change, log
from glowviz.compiler.rewrite import program_pass
from glowviz.compiler.target import Target
from glowviz.compiler.types import Type, channel_blocked

FEW_CHANNELS = 4
"""Channels up to which a convolution reads a row-major map as it is."""


@program_pass(required=True)
def detour(program: Program, target: Target) -> Program:
    """conv %y, %x (row-major, or no halo)  ->  reorder %x.blocks, %x; conv %y.blocks, %x.blocks; reorder %y, %y.blocks

    Also splits an instruction whose epilogue no kernel can run into the heavy part and the rest.
    """
    work = _Work(program, target)
    body = tuple(new for s in program.body for new in work.statement(s))
    return program if body == program.body else program.evolve(buffers=work.buffers, body=body)


@dataclass
class _Work:
    program: Program
    target: Target
    buffers: dict[str, Buffer] = field(init=False)

    def __post_init__(self) -> None:
        self.buffers = dict(self.program.buffers)

    def statement(self, statement: Statement) -> Iterator[Statement]:
        """What stands for a statement: itself where a kernel takes it as it is, or none ever can."""
        if isinstance(statement, Instr) and self._now().touches_held(statement):
            yield statement
            return
        if isinstance(statement, Instr) and wants_padding_apart(statement, self.buffers, self.target):
            yield from on_plain_maps(statement, self.buffers, self._buffer)
            return
        if isinstance(statement, Instr) and isinstance(statement.op, (MatMulInteger, QLinearMatMul)):
            statement = self._in_fours(statement)
        if isinstance(statement, Instr) and isinstance(statement.op, Fused) and is_heavy(statement):
            statement = self._with_weights(statement)
        if not isinstance(statement, Instr) or not is_heavy(statement) or self._plans(statement):
            yield statement
        elif isinstance(statement.op, Fused):
            yield from self._split(statement)
        else:
            yield from self._blocked(statement)

    def _plans(self, instr: Instr) -> bool:
        try:
            plan_of(instr, self._now(), self.target)
        except Unsupported:
            return False
        return True

    def _now(self) -> Program:
        return self.program.evolve(buffers=self.buffers)

    def _buffer(self, name: str, **facts: Any) -> str:
        number, found = 2, name
        while found in self.buffers:
            found, number = f"{name}{number}", number + 1
        self.buffers[found] = Buffer(found, **facts)
        return found

    def _in_fours(self, instr: Instr) -> Instr:
        """A product of bytes with its constant columns as the machine multiplies them."""
        b = self.buffers[instr.op.b]
        if not self.target.has_vnni or b.kind != "weight" or b.type.rank != 2 or b.type.order is not None:
            return instr
        type_ = b.type.with_order(PANELS if b.type.dims[1] % PANEL == 0 else FOURS)
        name = self._buffer(f"{b.name}.fours", type=type_, kind="weight", payload=b.payload, origin=b.origin)
        reason = f"{instr.name} multiplies four bytes of a column at once; %{b.name} is packed so while compiling"
        log().change(Change("pack", b.name, reason, added=(name,), continues={b.name: name}))
        return instr.evolve(op=instr.op.evolve(b=name))

    # -- constants of a region ---------------------------------------------------------------------
    def _with_weights(self, instr: Instr) -> Instr:
        """The instruction with what its heavy op reads, and every longer constant, as weights of the Program."""
        fused: Fused = instr.op
        center = next(node for node in fused.body if not isinstance(node.op, Elementwise))
        out = {n: c for n, c in fused.body.constants.items() if n in center.op.operands or c.array.size > 1}
        if not out:
            return instr
        names = {
            n: self._buffer(f"{n}.weight", type=c.type, kind="weight", payload=c.payload, origin=c.origin)
            for n, c in out.items()
        }
        body = replace(
            fused.body,
            inputs={**fused.body.inputs, **{n: c.type for n, c in out.items()}},
            constants={n: c for n, c in fused.body.constants.items() if n not in out},
        )
        return instr.evolve(op=Fused((*fused.xs, *names.values()), body))

    # -- an epilogue apart ------------------------------------------------------------------------
    def _split(self, instr: Instr) -> Iterator[Statement]:
        fused: Fused = instr.op
        center = next(node for node in fused.body if not isinstance(node.op, Elementwise))
        rest = {node.name: node for node in fused.body if node is not center}
        names = dict(zip(fused.body.inputs, fused.xs, strict=True))
        simple = len(fused.body.outputs) == len(center.results) == 1 and all(o in names for o in center.op.operands)
        if not simple or not rest or center.name == fused.body.outputs[0].value:
            yield instr
            return
        order = self.buffers[instr.outs[0]].type.order
        middle = self._buffer(
            f"{instr.outs[0]}.sum", type=center.type.with_order(order), kind="activation", origin=instr.origin
        )  # fmt: skip
        heavy = Instr(center.op.with_operands(names), (middle,), instr.origin, instr.label, value=middle)
        reads = dict.fromkeys(o for node in rest.values() for o in node.op.operands if o in names)
        types = {name: fused.body.inputs[name] for name in reads} | {center.name: self.buffers[middle].type}
        body = Region(
            name="body", inputs=types, nodes=rest, outputs=fused.body.outputs, constants=fused.body.constants
        )  # fmt: skip
        after = instr.evolve(op=Fused((*(names[r] for r in reads), middle), body))
        reason = f"no kernel runs the epilogue of %{instr.value} on its sums, so it is a pass of its own"
        log().change(Change("split_epilogue", instr.value, reason, added=(middle,)))
        yield Alloc(middle)
        yield from self.statement(heavy)
        yield after
        yield Dealloc(middle)

    # -- maps in blocks -----------------------------------------------------------------------------
    def _blocked(self, instr: Instr) -> Iterator[Statement]:
        op: Any = instr.op
        before, kept = dict(self.buffers), [instr]
        try:
            if not isinstance(op, (Conv, ConvTranspose, Pool)) and "global" not in op.instruction:
                raise Unsupported("not a map")
            kept = list(self._around(instr))
        except Unsupported:
            self.buffers = before
            kept = list(on_plain_maps(instr, before, self._buffer)) if isinstance(op, Conv) else kept
        yield from kept

    def _around(self, instr: Instr) -> Iterator[Statement]:
        op: Any = instr.op
        x, y = self.buffers[op.x], self.buffers[instr.outs[0]]
        elem = "bf16" if isinstance(op, WideConv) else "f32"
        if x.type.elem != elem or x.type.rank not in (3, 4) or len(instr.outs) > 1:
            raise Unsupported("not an f32 map, or places are asked for too")
        views, wide = [], op
        x_name, y_name = x.name, y.name
        if x.type.rank == 3:
            wide = self._with_rows(op)
            x_name, y_name = (self._view_with_rows(b) for b in (x, y))
            views = [View(x_name), View(y_name)]
        block = self.target.vector_width
        few = type(op) is Conv and op.group == 1 and x.type.dims[1] <= FEW_CHANNELS
        source = self._copy(x_name, "blocks", 1 if few else block, self._halo(wide, x_name, y_name))
        goal = self._copy(y_name, "blocks", block, None)
        inner = instr.evolve(op=wide.evolve(x=source), outs=(goal,))
        plan_heavy(Heavy(inner.op, goal), self._now(), self.target)
        reason = f"{instr.name} runs on blocks of {block} channels with its padding in the buffer"
        log().change(Change("detour", instr.value or y.name, reason, added=(source, goal)))
        yield from views
        yield Alloc(source)
        if self.buffers[source].halo is not None:
            yield Instr(FillHalo(source), (source,), instr.origin, value=f"{source}.halo")
        yield Instr(Reorder(x_name, self.buffers[source].type.order), (source,), instr.origin, value=source)
        yield Alloc(goal)
        yield inner
        yield Dealloc(source)
        yield Instr(Reorder(goal, self.buffers[y_name].type.order), (y_name,), instr.origin, value=f"{goal}.plain")
        yield Dealloc(goal)

    def _copy(self, name: str, ending: str, block: int, halo: Halo | None) -> str:
        buffer = self.buffers[name]
        order = channel_blocked(4, block) if block > 1 else None
        type_ = buffer.type.with_order(order)
        return self._buffer(
            f"{name}.{ending}", type=type_, kind="activation", halo=halo, origin=buffer.origin
        )  # fmt: skip

    def _halo(self, op: Any, x: str, y: str) -> Halo | None:
        """What the op reads around its map; pools read nothing."""
        types = (self.buffers[x].type, self.buffers[op.w].type if hasattr(op, "w") else self.buffers[x].type)
        if isinstance(op, Conv):
            sides = op.padding(types, (self.buffers[y].type,)).get(op.x, (0, 0, 0, 0))
        elif isinstance(op, ConvTranspose):
            spread = op.spread(types[0].dims, types[1].dims)
            maps = [Map(*b.type.dims, 1, (1 << 20,) * 4) for b in (self.buffers[x], self.buffers[y])]  # type: ignore[arg-type]  # four numbers
            sides = conv_transpose.reach(
                conv_transpose.ConvTransposeSpec(
                    maps[0], maps[1], pair(spread.kernel), pair(spread.strides), pair(spread.dilations),
                    pair(spread.begins), op.group,
                )
            )  # fmt: skip
        else:
            sides = (0, 0, 0, 0)
        return Halo(*sides) if any(sides) else None

    # -- one dimension as one row -----------------------------------------------------------------
    def _view_with_rows(self, buffer: Buffer) -> str:
        """The map [N, C, L] as [N, C, 1, L], the same bytes."""
        n, c, length = buffer.type.dims
        order = buffer.type.order
        if order is not None:
            if order != channel_blocked(3, order.tile(1)):
                raise Unsupported(f"%{buffer.name} lies in @{order}")
            order = channel_blocked(4, order.tile(1))
        type_ = Type(buffer.type.elem, (n, c, 1, length), order=order)
        return self._buffer(
            f"{buffer.name}.rows", type=type_, kind="view", base=buffer.name, origin=buffer.origin
        )  # fmt: skip

    def _with_rows(self, op: Any) -> Op:
        """The one-dimensional op as a two-dimensional one, its weights too."""
        if "global" in op.instruction:
            return op
        x = self.buffers[op.x].type.dims
        if isinstance(op, Pool):
            windows = op.windows(x)
            begins, ends = (0, *windows.begins), (0, *windows.ends)
            return op.evolve(
                kernel=(1, *windows.kernel), strides=(1, *windows.strides), pads=(*begins, *ends),
                dilations=(1, *windows.dilations), auto_pad="NOTSET",
            )  # fmt: skip
        weight = self.buffers[op.w]
        if weight.payload is None or weight.kind != "weight":
            raise Unsupported(f"%{op.w} is only known at run time")
        array = weight.payload.array[:, :, None]
        name = self._buffer(
            f"{weight.name}.rows", type=Type(weight.type.elem, array.shape), kind="weight", payload=Payload(array),
            origin=weight.origin,
        )  # fmt: skip
        if isinstance(op, Conv):
            shape = op.windows(x, weight.type.dims)
            pads = (0, *shape.begins, 0, *shape.ends)
            return op.evolve(
                w=name, strides=(1, *shape.strides), dilations=(1, *shape.dilations), pads=pads, auto_pad="NOTSET"
            )  # fmt: skip
        spread = op.spread(x, weight.type.dims)
        stride, dilation, begin = spread.strides[0], spread.dilations[0], spread.begins[0]
        # an output_shape would make the pads anew, as ONNX has it, and shift the map
        end = stride * (x[2] - 1) + dilation * (spread.kernel[0] - 1) + 1 - begin - spread.out[0]
        return op.evolve(
            w=name, strides=(1, stride), dilations=(1, dilation), auto_pad="NOTSET", output_shape=(),
            pads=(0, begin, 0, max(end, 0)), output_padding=(0, max(-end, 0)),
        )  # fmt: skip
