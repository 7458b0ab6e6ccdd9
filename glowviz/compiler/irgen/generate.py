"""Graph -> Program: every node is one instruction on explicit buffers, in the order that needs least memory."""

from __future__ import annotations

from collections.abc import Mapping

from glowviz.compiler.graph import Graph, Node, Origin, Region
from glowviz.compiler.irgen.halos import halos
from glowviz.compiler.irgen.schedule import Schedule, schedule
from glowviz.compiler.ops.bodies import Controlled
from glowviz.compiler.ops.control import Scan
from glowviz.compiler.ops.memory import Copy, FillHalo
from glowviz.compiler.program import (
    Alloc,
    Buffer,
    Dealloc,
    Halo,
    Instr,
    Program,
    PublicOutput,
    Statement,
    View,
)
from glowviz.compiler.recording.records import Change, Refusal, log
from glowviz.compiler.rewrite.facts import bytes_text
from glowviz.compiler.target import Target
from glowviz.compiler.types import Type

RESHAPES = frozenset({"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity"})
"""Ops whose result is the same bytes under another type, as long as both lie in row-major order."""


def irgen(graph: Graph, *, target: Target | None = None) -> Program:
    """Allocs first and deallocs last, as naive as Glow's; the program passes shrink lifetimes and remove copies."""
    plan = schedule(graph)
    blocked = target is not None and bool(target.orders)
    generator = Generator(graph, halos(graph) if blocked else {}, blocked)
    program = generator.run(plan)
    _explain(plan, program)
    return program


def _explain(plan: Schedule, program: Program) -> None:
    tried = ", ".join(f"{name} {bytes_text(peak)}" for name, peak in plan.tried)
    reason = f"order chosen: {plan.algorithm} (live set at most {bytes_text(plan.peak)}); tried: {tried}"
    added = tuple(i.value for i in program.instructions if i.value)
    log().change(Change("choose_order_of_instructions", plan.peak_at, reason, added=added[:1]))


def _runs_as_graph(op: Controlled) -> str:
    """Why the bodies do not become nested programs but are interpreted as graphs; empty where they do."""
    if isinstance(op, Scan) and op.batched:
        return "a scan over a batch (opset 8) runs in the interpreter"
    for region in op.regions.values():
        types = dict(region.inputs)
        for node in region:
            types.update(zip(node.results, node.types, strict=True))
        held = next((name for name, type_ in types.items() if type_.held), None)
        if held is not None:
            return f"%{held} in its body is held outside the arenas, so the interpreter runs it"
    return ""


class Generator:
    """Collects buffers and statements of one program."""

    def __init__(self, graph: Graph, wanted_halos: Mapping[str, Halo], blocked: bool = False) -> None:
        self.graph = graph
        self.blocked = blocked
        """The machine has blocked orders, so that padded reads see a halo."""
        self.halos = wanted_halos
        self.buffers: dict[str, Buffer] = {}
        self.allocs: list[Statement] = []
        self.code: list[Statement] = []
        self.where: dict[str, str] = {}
        """Graph value to the buffer that holds it."""

    def run(self, plan: Schedule) -> Program:
        graph = self.graph
        for name, type_ in graph.inputs.items():
            self._declare(name, type_, "input", Origin.of(name))
        for state in graph.states.values():
            self.buffers[state.name] = Buffer(state.name, state.type, "state", payload=state.initial)
            self.where[state.name] = state.name
        for node in plan.nodes:
            self._node(node)
        outputs = tuple(self._output(o.public, o.value) for o in graph.outputs)
        updates = {state: self.where[value] for state, value in graph.updates.items()}
        deallocs = tuple(Dealloc(a.buffer) for a in self.allocs if isinstance(a, Alloc))
        body = (*self.allocs, *self.code, *deallocs)
        return Program(graph.name, self.buffers, body, outputs, updates, graph.metadata)

    def _declare(self, name: str, type_: Type, kind: str, origin: Origin) -> str:
        """A buffer for a value, with its halo and the instruction that fills the halo."""
        halo = self.halos.get(name)
        self.buffers[name] = Buffer(name, type_, kind, halo=halo, origin=origin)  # type: ignore[arg-type]  # a BufferKind
        self.where[name] = name
        if kind == "activation":
            self.allocs.append(Alloc(name))
        if halo is not None:
            self.code.append(Instr(FillHalo(name), (name,), origin, value=f"{name}.halo"))
        return name

    def _node(self, node: Node) -> None:
        if node.kind in RESHAPES and self._as_view(node):
            return
        typed = zip(node.results, node.types, strict=True)
        outs = tuple(self._declare(result, type_, "activation", node.origin) for result, type_ in typed)
        op = node.op.with_operands({o: self._buffer(o) for o in node.op.operands})
        regions = self._regions(node) if isinstance(op, Controlled) else ()
        if regions:
            op = op.evolve(**dict.fromkeys(op.regions, Region()))
        self.code.append(Instr(op, outs, node.origin, node.label, value=node.name, regions=regions))

    def _regions(self, node: Node) -> tuple[Program, ...]:
        """The programs of its bodies; none where the interpreter must run them as graphs."""
        reason = _runs_as_graph(node.op)
        if reason:
            log().refuse(Refusal("nest_bodies", node.name, "keep", reason), reason)
            return ()
        return tuple(self._nested(node, name, body) for name, body in node.op.regions.items())

    def _nested(self, node: Node, name: str, body: Region) -> Program:
        """The program of one body."""
        generator = Generator(body.evolve(name=name), halos(body) if self.blocked else {}, self.blocked)
        with log().inside(node.name):
            return generator.run(schedule(body))

    def _as_view(self, node: Node) -> bool:
        """The same bytes under another type: no instruction, a view. A halo on either side costs one copy."""
        source = self._buffer(node.op.operands[0])
        base, type_ = self.buffers[source], node.type
        if base.type.order or type_.order or base.kind == "weight" or base.type.elem != type_.elem:
            return False
        if base.held or type_.held:
            return False
        if base.halo is not None:
            source = self._copied(source, f"{node.name}.plain", base.type, node)
        if node.name not in self.halos:
            self._view(node.name, type_, source, node.origin)
            return True
        self._view(f"{node.name}.view", type_, source, node.origin)
        self._copied(f"{node.name}.view", node.name, type_, node)
        return True

    def _view(self, name: str, type_: Type, base: str, origin: Origin) -> None:
        self.buffers[name] = Buffer(name, type_, "view", base=base, origin=origin)
        self.where[name] = name
        self.code.append(View(name))

    def _copied(self, source: str, name: str, type_: Type, node: Node) -> str:
        """The same values in a buffer of their own, with the halo that its name asks for."""
        self._declare(name, type_, "activation", node.origin)
        self.code.append(Instr(Copy(source), (name,), node.origin, node.label, value=name))
        return name

    def _buffer(self, value: str) -> str:
        """The buffer of a value; a constant gets its weight buffer when it is first read."""
        if value not in self.where:
            constant = self.graph.constants[value]
            self.buffers[value] = Buffer(
                value, constant.type, "weight", payload=constant.payload, origin=constant.origin
            )
            self.where[value] = value
        return self.where[value]

    def _output(self, public: str, value: str) -> PublicOutput:
        """A copy into the output's own buffer, as Glow's SaveNode; copy_elimination removes what it can."""
        source = self._buffer(value)
        name = public if public not in self.buffers else f"{public}.out"
        type_ = self.buffers[source].type.logical
        found = self.buffers[source].origin  # none where an input is handed on as it came
        origin = found if found.names or found.made else Origin.made_by("irgen", public)
        self.buffers[name] = Buffer(name, type_, "output", origin=origin)
        self.code.append(Instr(Copy(source), (name,), origin, value=f"{name}.save"))
        return PublicOutput(public, name)
