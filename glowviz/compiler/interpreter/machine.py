"""A Program runs statement by statement over real bytes, so a wrong lifetime, alias or address gives wrong numbers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, MutableMapping
from dataclasses import replace
from typing import Any

import numpy as np

from glowviz.compiler.interpreter.control import drive
from glowviz.compiler.interpreter.evaluate import RunProblem, evaluate, place
from glowviz.compiler.interpreter.graphs import check_inputs
from glowviz.compiler.interpreter.memory import Memory, Sides
from glowviz.compiler.ops import Conv, FillHalo, Fused, Op
from glowviz.compiler.program import Alloc, Dealloc, Instr, MemoryPlan, Program, Statement

Watch = Callable[[Instr, Mapping[str, np.ndarray]], None]
"""Called after every instruction with copies of what it wrote, logical arrays by buffer name."""


def run_program(
    program: Program,
    inputs: Mapping[str, Any],
    plan: MemoryPlan | None = None,
    *,
    watch: Watch | None = None,
    states: MutableMapping[str, np.ndarray] | None = None,
) -> dict[str, np.ndarray]:
    """The public outputs by name. With a plan, buffers lie in its arenas at their addresses.

    `states` holds the states' contents between runs: it is read (a missing one starts with its initial content)
    and renewed. RunProblem says what cannot be run, where, and what to do.
    """
    return Machine(program, plan).run(inputs, watch, states)


class Machine:
    """A program with its memory: weights are written once, everything else at every run. One run at a time."""

    def __init__(
        self, program: Program, plan: MemoryPlan | None = None, activations: np.ndarray | None = None
    ) -> None:
        self.program = program
        self.memory = Memory(program, plan, activations)
        self._bodies: dict[int, list[_Body]] = {}
        for instr in program.instructions:
            inside = self.memory.bytes_of(instr.scratch[-1]) if plan is not None and instr.regions else None
            plans = plan.nested[instr.value] if plan is not None and instr.regions else (None,) * len(instr.regions)
            pairs = zip(instr.regions, plans, strict=True)
            self._bodies[id(instr)] = [_Body(Machine(nested, inner, inside)) for nested, inner in pairs]
        for buffer in program.of_kind("weight"):
            if buffer.payload is not None:
                self.memory.store(buffer.name, buffer.payload.array)

    def run(
        self,
        inputs: Mapping[str, Any],
        watch: Watch | None = None,
        states: MutableMapping[str, np.ndarray] | None = None,
    ) -> dict[str, np.ndarray]:
        """The public outputs by name, as copies."""
        program, memory = self.program, self.memory
        for buffer in program.of_kind("input", "output", "activation", "scratch"):
            memory.poison(buffer.name)
        self._fill(inputs, states)
        last = max((i for i, s in enumerate(program.body) if isinstance(s, Instr)), default=-1)
        self._statements(program.body[: last + 1], watch)
        # deallocs behind the last instruction end the run, and with it what the states take over
        outputs = {o.public: memory.load(o.buffer) for o in program.outputs}
        if states is not None:
            for buffer in program.of_kind("state"):
                states[buffer.name] = memory.load(program.updates.get(buffer.name, buffer.name))
        return outputs

    def _fill(self, inputs: Mapping[str, Any], states: Mapping[str, np.ndarray] | None) -> None:
        """Inputs and states get their contents."""
        wanted = {b.name: b.type for b in self.program.of_kind("input")}
        for name, array in check_inputs(wanted, inputs).items():
            self.memory.store(name, array)
        for buffer in self.program.of_kind("state"):
            held = None if states is None else states.get(buffer.name)
            if held is None and buffer.payload is not None:
                held = buffer.payload.array
            if held is not None:
                self.memory.store(buffer.name, held)

    def _statements(self, body: tuple[Statement, ...], watch: Watch | None) -> None:
        for statement in body:
            if isinstance(statement, Alloc | Dealloc):
                self.memory.poison(statement.buffer)
            elif isinstance(statement, Instr):
                self._instruction(statement, watch)

    def _instruction(self, instr: Instr, watch: Watch | None) -> None:
        try:
            self._perform(instr)
        except RunProblem:
            raise
        except ValueError as error:
            where = place(instr.op, instr.value or instr.outs[0], instr.origin)
            raise RunProblem(
                f"instruction {instr.name} does not fit its memory: {error}", where, "buffers of the op's own types",
                "This is a mistake in a pass; glowviz bisect MODEL finds which",
            ) from error
        if watch is not None:
            watch(instr, {name: self.memory.load(name) for name in instr.outs})

    def _perform(self, instr: Instr) -> None:
        memory = self.memory
        if isinstance(instr.op, FillHalo):
            memory.fill_halo(instr.outs[0])
            return
        # before the operands are read: a result that lies on one without leave has then destroyed it
        for name in (*instr.scratch, *(out for out in instr.outs if not self._in_place(instr, out))):
            memory.poison_inside(name)
        op, operands = self._loaded(instr)
        if instr.regions:
            types = [self.program.buffers[name].type for name in instr.outs]
            results = drive(op, operands, self._bodies[id(instr)], types)
        else:
            results = evaluate(op, operands, instr.value or instr.outs[0], instr.origin)
        for name, array in zip(instr.outs, results, strict=False):
            memory.store(name, array)
        for name in instr.scratch:
            memory.poison(name)

    def _loaded(self, instr: Instr) -> tuple[Op, dict[str, np.ndarray]]:
        """Operand arrays; where a halo stands for padding, it is part of the array and the op pads no more."""
        program, memory = self.program, self.memory
        operands = {name: memory.load(name) for name in instr.ins}
        beyond = {
            name: sides
            for name, sides in paddings(instr, program).items()
            if any(sides) and program.buffers[name].halo is not None
        }
        if not beyond:
            return instr.op, operands
        wide = {f"{name} with halo": memory.load(name, sides) for name, sides in beyond.items()}
        return _unpadded(instr.op, beyond), operands | wide

    def _range(self, name: str) -> tuple[str, int, int]:
        start = self.program.offset(name)
        return self.program.root(name).name, start, start + self.program.buffers[name].bytes

    def _in_place(self, instr: Instr, out: str) -> bool:
        """The result lies exactly where an operand lies that it may overwrite."""
        types = self.program.buffers
        operands = tuple(types[name].type for name in instr.ins)
        results = tuple(types[name].type for name in instr.outs)
        allowed = {self._range(name) for name in instr.op.may_overwrite(operands, results)}
        return self._range(out) in allowed


class _Body:
    """A nested program, run by a machine of its own."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._inputs = [b.name for b in machine.program.of_kind("input")]
        self._given: dict[str, Any] = {}
        self._found: list[Any] = []

    def put(self, position: int, content: Any) -> None:
        self._given[self._inputs[position]] = content

    def run(self) -> None:
        self._found = list(self._machine.run(self._given).values())

    def get(self, position: int) -> Any:
        return self._found[position]


def paddings(instr: Instr, program: Program) -> dict[str, Sides]:
    """Operands that the instruction reads beyond their border, and how far, as its op (or the body's) says."""

    def of(op: Op, type_of: Callable[[str], Any], results: tuple[Any, ...]) -> Mapping[str, Sides]:
        return op.padding(tuple(type_of(o) for o in op.operands), results)

    results = tuple(program.buffers[name].type for name in instr.outs)
    if not isinstance(instr.op, Fused):
        return dict(of(instr.op, lambda name: program.buffers[name].type, results))
    body = instr.op.body
    outside = dict(zip(body.inputs, instr.op.xs, strict=True))
    found: dict[str, Sides] = {}
    for node in body:
        inner = of(node.op, body.type, node.types)
        found.update({outside[name]: sides for name, sides in inner.items() if name in outside})
    return found


def _unpadded(op: Op, beyond: Collection[str]) -> Op:
    """The op reading `x with halo` instead of padding x itself."""
    if isinstance(op, Conv) and op.x in beyond:
        return replace(op, x=f"{op.x} with halo", pads=(), auto_pad="NOTSET")
    if not isinstance(op, Fused):
        return op
    pairs = [(name, outside) for name, outside in zip(op.body.inputs, op.xs, strict=True) if outside in beyond]
    inner = [name for name, _ in pairs]
    nodes = {key: node.evolve(op=_unpadded(node.op, inner)) for key, node in op.body.nodes.items()}
    inputs = dict(op.body.inputs) | {f"{name} with halo": op.body.inputs[name] for name in inner}
    wide = tuple(f"{outside} with halo" for _, outside in pairs)
    return Fused((*op.xs, *wide), replace(op.body, inputs=inputs, nodes=nodes))
