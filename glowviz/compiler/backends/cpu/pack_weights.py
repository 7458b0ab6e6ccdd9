"""The program pass that gives every constant weight the memory order its kernel reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

import numpy as np

from glowviz.compiler.backends.cpu.choose_schedules import is_heavy
from glowviz.compiler.backends.cpu.kernels.boxes import Unsupported
from glowviz.compiler.backends.cpu.plan import Repacked
from glowviz.compiler.backends.cpu.planner import plan_of
from glowviz.compiler.graph import Payload
from glowviz.compiler.ops import Fused, Op, Pack
from glowviz.compiler.ops.base import Elementwise
from glowviz.compiler.program import Alloc, Buffer, Dealloc, Instr, Program, Statement
from glowviz.compiler.recording.records import Change, log
from glowviz.compiler.rewrite import program_pass
from glowviz.compiler.target import Target
from glowviz.compiler.types import Order, Type


@program_pass(required=True, tolerance=1e-5)  # weights in Winograd's form are rounded again; all others are only moved
def pack_weights(program: Program, target: Target) -> Program:
    """weight %w  ->  weight %w.packed @panels, done while compiling; %w of a run  ->  pack %w.packed before its use"""
    packer = _Packer(program, target)
    body = packer.ended([new for s in program.body for new in packer.statement(s)])
    return program.evolve(buffers=_used(packer.buffers, body, program), body=body)


class _Packer:
    def __init__(self, program: Program, target: Target) -> None:
        self.program, self.target = program, target
        self.buffers: dict[str, Buffer] = dict(program.buffers)
        self.made: dict[tuple[str, Order], str] = {}
        self.tiles: set[str] = set()
        self.valid: dict[Op, str] = {}
        """What was made of a map that nobody has written since."""

    def ended(self, body: list[Statement]) -> tuple[Statement, ...]:
        """The body with a dealloc behind the last reader of all tiles."""
        last: dict[str, int] = {}
        for position, statement in enumerate(body):
            if isinstance(statement, Instr):
                last.update(dict.fromkeys(self.tiles.intersection(statement.touched), position))
        ends: dict[int, list[Statement]] = {}
        for name, position in last.items():
            ends.setdefault(position, []).append(Dealloc(name))
        return tuple(new for position, s in enumerate(body) for new in (s, *ends.get(position, ())))

    def statement(self, statement: Statement) -> Iterator[Statement]:
        """The statement reading packed weights, and what was made of maps that it writes forgotten."""
        yield from self._packed_statement(statement)
        if isinstance(statement, Instr) and self.valid:
            written = {self.program.root(name).name for name in (*statement.outs, *statement.scratch)}
            self.valid = {
                op: name for op, name in self.valid.items()
                if not any(self.program.root(source).name in written for source in op.operands)
            }  # fmt: skip

    def _packed_statement(self, statement: Statement) -> Iterator[Statement]:
        """The statement reading packed weights; what only a run knows is packed right before and forgotten after."""
        if not isinstance(statement, Instr) or not is_heavy(statement):
            yield statement
            return
        try:
            plan = plan_of(statement, self.program, self.target)
        except Unsupported:
            yield statement
            return
        schedule, _ = plan.schedule(statement.schedule, self.target)
        if plan.repack is not None:
            yield from self._repacked(statement, plan.repack(schedule))
            return
        rename: dict[str, str] = {}
        late: list[str] = []
        for name, order in plan.orders(schedule).items():
            if self.program.buffers[name].type.order == order:
                continue
            if self.program.buffers[name].kind == "weight":
                rename[name] = self._packed(name, order, statement)
            else:
                rename[name] = self._packed_late(name, order, statement)
                late.append(rename[name])
                yield Alloc(rename[name])
                yield Instr(Pack(name, order), (rename[name],), statement.origin, value=rename[name])
        yield statement.evolve(op=statement.op.with_operands(rename)) if rename else statement
        yield from map(Dealloc, late)

    def _packed_late(self, name: str, order: Order, instr: Instr) -> str:
        """A buffer for weights that are packed in every run, just before the instruction that reads them."""
        old = self.program.buffers[name]
        new = self._fresh(f"{name}.packed")
        self.buffers[new] = Buffer(new, old.type.with_order(order), "activation", origin=old.origin)
        reason = (
            f"{instr.name} %{instr.value} streams %{name} as @{order}; each run has other contents, so each run packs"
        )
        log().change(Change("pack", name, reason, added=(new,)))
        return new

    def _repacked(self, instr: Instr, made: Repacked) -> Iterator[Statement]:
        """The instruction with its heavy op on flat packed weights, after what prepares its map."""
        new = self._fresh(f"{made.weight}.packed")
        old = self.buffers[made.weight]
        payload = Payload.later(made.pack, (made.size,), np.dtype(np.float32))
        self.buffers[new] = old.evolve(name=new, type=Type("f32", (made.size,)), payload=payload)
        reason = f"{instr.name} %{instr.value} streams %{made.weight} panel by panel; packed while compiling"
        log().change(Change("pack", made.weight, reason, added=(new,), continues={made.weight: new}))
        rename = {made.weight: new}
        if made.first is not None:
            (source,) = made.first.operands
            if made.first not in self.valid:
                self.valid[made.first] = tiles = self._tiles(made.first, source, instr)
                yield Alloc(tiles)
                yield Instr(made.first, (tiles,), instr.origin, instr.label, value=tiles, schedule=instr.schedule)
            rename[source] = self.valid[made.first]
        if isinstance(instr.op, Fused):
            yield instr.evolve(op=_with_center(instr.op, made.op, rename, self.buffers))
        else:
            yield instr.evolve(op=made.op.with_operands(rename))

    def _tiles(self, op: Op, source: str, instr: Instr) -> str:
        """A buffer for what `op` makes of a map, for `instr` and all that read the same."""
        name = self._fresh(f"{instr.outs[0]}.tiles")
        (type_,) = op.infer_types(lambda value: self.buffers[value].type, lambda _: None)
        self.buffers[name] = Buffer(name, type_, "activation", origin=instr.origin)
        self.tiles.add(name)
        reason = f"%{source} is transformed once for all panels of weights of {instr.name} %{instr.value}"
        log().change(Change("transform_apart", instr.value or instr.outs[0], reason, added=(name,)))
        return name

    def _packed(self, name: str, order: Order, instr: Instr) -> str:
        if (name, order) not in self.made:
            old = self.program.buffers[name]
            new = self._fresh(f"{name}.packed")
            self.buffers[new] = old.evolve(name=new, type=old.type.with_order(order))
            self.made[name, order] = new
            reason = f"{instr.name} %{instr.value} streams %{name} as @{order}; its contents are packed while compiling"
            log().change(Change("pack", name, reason, added=(new,), continues={name: new}))
        return self.made[name, order]

    def _fresh(self, name: str) -> str:
        number, found = 2, name
        while found in self.buffers:
            found, number = f"{name}{number}", number + 1
        return found


def _with_center(fused: Fused, center: Op, rename: Mapping[str, str], buffers: Mapping[str, Buffer]) -> Fused:
    """The fused op with another heavy op inside, which reads the buffers `rename` gives; its epilogue stays."""
    inner = {buffer: name for name, buffer in zip(fused.body.inputs, fused.xs, strict=True)}
    steps = {o for node in fused.body if isinstance(node.op, Elementwise) for o in node.op.operands}
    names = {new: f"{inner[old]}.of_tiles" if inner[old] in steps else inner[old] for old, new in rename.items()}
    read = center.with_operands({old: names[new] for old, new in rename.items()} | {
        buffer: name for buffer, name in inner.items() if buffer not in rename
    })  # fmt: skip
    nodes = {
        name: node if isinstance(node.op, Elementwise) else node.evolve(op=read)
        for name, node in fused.body.nodes.items()
    }
    gone = {inner[old] for old in rename} - steps
    kept = {name: buffer for buffer, name in inner.items() if name not in gone}
    xs = {**{name: kept[name] for name in fused.body.inputs if name in kept}, **{n: b for b, n in names.items()}}
    types = {n: fused.body.inputs[n] if n in kept else buffers[b].type for n, b in xs.items()}
    return Fused(tuple(xs.values()), replace(fused.body, nodes=nodes, inputs=types))


def _used(buffers: Mapping[str, Buffer], body: Iterable[Statement], program: Program) -> dict[str, Buffer]:
    """The buffers without weights that nobody reads any more, in the order in which instructions first read them."""
    read: dict[str, None] = {}
    for statement in body:
        if isinstance(statement, Instr):
            read.update(dict.fromkeys(statement.touched))
    read.update(dict.fromkeys((*(o.buffer for o in program.outputs), *program.updates.values())))
    bases = {b.base for b in buffers.values() if b.base}
    others = {n: b for n, b in buffers.items() if b.kind != "weight"}
    weights = {n: buffers[n] for n in read if n in buffers and buffers[n].kind == "weight"}
    based = {n: b for n, b in buffers.items() if b.kind == "weight" and n in bases}
    return {**others, **weights, **based}
