"""What the columns of a recording are computed from: names, work, bytes, and where runs of new nodes stand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from glowviz.compiler.graph import Constant, Graph, Node
from glowviz.compiler.program import Instr, Program
from glowviz.compiler.recording.rows import SEPARATOR


def runs(places: Sequence[int]) -> Iterator[tuple[int, int]]:
    """First and last of every run of neighbouring places."""
    first = last = -1
    for place in places:
        if place != last + 1 or first < 0:
            if first >= 0:
                yield first, last
            first = place
        last = place
    if first >= 0:
        yield first, last


def operand_column(op: Any) -> str:
    """Operand names in slot order, empty where absent."""
    names: list[str] = []
    for slot in op.slots():
        value = getattr(op, slot.name)
        if slot.variadic:
            names.extend(value)
        else:
            names.append(value or "")
    return SEPARATOR.join(names).rstrip(SEPARATOR)


def work_of(node: Node, graph: Graph) -> tuple[int, int]:
    """FLOPs and bytes moved of one node; nothing while its shapes are not bound."""
    try:
        operands = tuple(graph.type(o) for o in node.op.operands)
        if not all(getattr(t, "static", False) for t in (*operands, *node.types)):
            return 0, 0
        work = node.op.work(operands, node.types)
    except (NotImplementedError, ValueError, AttributeError):
        return 0, 0
    return work.flops, work.bytes


def bytes_of(c: Constant) -> int:
    return c.type.bytes if c.type.elem != "string" else 0


def statement_keys(program: Program) -> list[str]:
    """A stable name for every statement: its value, or what it does to which buffer, numbered where that repeats."""
    seen: dict[str, int] = {}
    keys: list[str] = []
    for statement in program.body:
        if isinstance(statement, Instr):
            key = statement.value or f"{statement.name} {statement.outs[0] if statement.outs else ''}"
        else:
            key = f"{type(statement).__name__.lower()} {statement.buffer}"
        seen[key] = seen.get(key, 0) + 1
        keys.append(key if seen[key] == 1 else f"{key} ({seen[key]})")
    return keys
