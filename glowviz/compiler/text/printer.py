"""Every Graph and Program has one text, which parses back to an equal one."""

from __future__ import annotations

from dataclasses import MISSING, fields
from functools import cache
from typing import Any

from glowviz.compiler.graph import Graph, Node, Region
from glowviz.compiler.program import Alloc, Buffer, Dealloc, Instr, Program, Statement, View
from glowviz.compiler.text.literals import (
    attribute_text,
    origin_text,
    payload_text,
    quoted,
    type_text,
    value_name,
)

INDENT = "  "


def print_graph(graph: Graph, indent: str = "") -> str:
    """The text of a graph; a region's text stands inside its node's attributes."""
    inner = indent + INDENT
    head = ", ".join(f"{value_name(n)}: {type_text(t)}" for n, t in graph.inputs.items())
    lines = [f"graph @{quoted(graph.name)}({head}) {{"]
    for c in graph.constants.values():
        origin = origin_text(c.origin)
        lines.append(f"{inner}const {value_name(c.name)}: {type_text(c.type)} = {payload_text(c.payload)}{origin}")
    for s in graph.states.values():
        lines.append(f"{inner}state {value_name(s.name)}: {type_text(s.type)} = {payload_text(s.initial)}")
    for node in graph.nodes.values():
        lines.append(inner + node_text(node, inner))
    for state, value in graph.updates.items():
        lines.append(f"{inner}next {value_name(state)} = {value_name(value)}")
    if graph.outputs:
        results = ", ".join(f'{_public(o.public)}={value_name(o.value)}' for o in graph.outputs)
        lines.append(f"{inner}return {results}")
    lines.append(indent + "}")
    return "\n".join(lines)


def node_text(node: Node, indent: str = "") -> str:
    """One statement: `%c0: f32[1x8x24x24] = Conv(%x, %w0) {strides=[1, 1]}  from conv1`."""
    results = ", ".join(f"{value_name(r)}: {type_text(t)}" for r, t in zip(node.results, node.types, strict=True))
    label = f"  as {quoted(node.label)}" if node.label and node.label != node.name else ""
    operands = ", ".join(_operand_texts(node.op))
    attributes = attributes_text(node.op, indent)
    return f"{results} = {node.op.name}({operands}){attributes}{label}{origin_text(node.origin)}"


def attributes_text(op: Any, indent: str = "") -> str:
    """` {name=value, …}` of the attributes that differ from their defaults."""
    shown = []
    for name, default in _defaults(type(op)):
        value = getattr(op, name)
        if value is default or (type(value) is type(default) and value == default):
            continue
        if isinstance(value, Region) and not (value.inputs or value.outputs):
            continue  # its program stands behind the instruction
        shown.append(f"{name}={attribute_text(value, lambda g: print_graph(g, indent))}")
    return " {" + ", ".join(shown) + "}" if shown else ""


def print_program(program: Program, indent: str = "") -> str:
    """The text of a program; addresses appear once memory is planned. Nested programs stand inside their statement."""
    inner = indent + INDENT
    lines = [f"program @{quoted(program.name)} {{"]
    for buffer in program.of_kind("input", "weight", "state", "output"):
        lines.append(inner + f"{buffer.kind} {buffer_text(buffer)}")
    lines += [inner + statement_text(statement, program, inner) for statement in program.body]
    for state, buffer in program.updates.items():
        lines.append(f"{inner}next {value_name(state)} = {value_name(buffer)}")
    if program.outputs:
        results = ", ".join(f"{_public(o.public)}={value_name(o.buffer)}" for o in program.outputs)
        lines.append(f"{inner}return {results}")
    lines.append(indent + "}")
    return "\n".join(lines)


def buffer_text(buffer: Buffer) -> str:
    """`%a0: f32[1x8x24x24] halo [1, 1, 1, 1] fill 0.0 at 0x40`."""
    halo = f" {buffer.halo}" if buffer.halo is not None else ""
    space = f" in {quoted(buffer.space)}" if buffer.space != "host" else ""
    base = f" of {value_name(buffer.base)} at +{buffer.offset:#x}" if buffer.base is not None else ""
    address = f" at {buffer.address:#x}" if buffer.address is not None else ""
    payload = f" = {payload_text(buffer.payload)}" if buffer.payload is not None else ""
    origin = origin_text(buffer.origin)
    return f"{value_name(buffer.name)}: {type_text(buffer.type)}{halo}{space}{base}{address}{payload}{origin}"


def statement_text(statement: Statement, program: Program, indent: str = "") -> str:
    """One statement of a program without its indentation."""
    if isinstance(statement, Instr):
        return instruction_text(statement, indent)
    if isinstance(statement, Dealloc):
        return f"dealloc {value_name(statement.buffer)}"
    buffer = program.buffers[statement.buffer]
    if isinstance(statement, View):
        return f"view {buffer_text(buffer)}"
    assert isinstance(statement, Alloc)
    return f"{'scratch' if buffer.kind == 'scratch' else 'alloc'} {buffer_text(buffer)}"


def instruction_text(instr: Instr, indent: str = "") -> str:
    """`conv out %a0, in %x, in %w0 {strides=[1, 1]}  of %c0  from conv1`; `inout` is the first result as well."""
    ins = instr.ins
    parts = [f"out {value_name(b)}" for b in instr.outs if b not in ins]
    for text in _operand_texts(instr.op):
        parts.append(f"in {text}")
    inout = {value_name(b) for b in instr.inout}
    parts = [f"inout {p[3:]}" if p.startswith("in ") and p[3:] in inout else p for p in parts]
    parts += [f"scratch {value_name(b)}" for b in instr.scratch]
    schedule = f" with {attribute_text(instr.schedule, print_graph)}" if instr.schedule else ""
    value = f"  of {value_name(instr.value)}" if instr.value else ""
    label = f"  as {quoted(instr.label)}" if instr.label else ""
    attributes = attributes_text(instr.op, indent)
    nested = "".join(f" runs {print_program(region, indent)}" for region in instr.regions)
    return f"{instr.name} {', '.join(parts)}{attributes}{schedule}{nested}{value}{label}{origin_text(instr.origin)}"


def _operand_texts(op: Any) -> list[str]:
    texts: list[str] = []
    for slot in op.slots():
        value = getattr(op, slot.name)
        if slot.variadic:
            texts.extend(value_name(v) for v in value)
        else:
            texts.append("_" if value is None else value_name(value))
    while texts and texts[-1] == "_":
        texts.pop()
    return texts


@cache
def _defaults(cls: type) -> tuple[tuple[str, Any], ...]:
    operands = {slot.name for slot in cls.slots()}  # type: ignore[attr-defined]  # an op class
    attributes = (f for f in fields(cls) if f.name not in operands)
    return tuple((f.name, _NONE if f.default is MISSING else f.default) for f in attributes)


_NONE = object()


def _public(name: str) -> str:
    text = quoted(name)
    return text if text.startswith('"') else f'"{text}"'
