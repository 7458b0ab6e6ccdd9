"""What the columns of a recording are computed from: names, work, bytes and interned texts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from glowviz.compiler.graph import NOWHERE, Constant, Graph, Node, Origin
from glowviz.compiler.program import Instr, Program
from glowviz.compiler.recording.rows import SEPARATOR
from glowviz.compiler.text.literals import type_text
from glowviz.compiler.text.printer import INDENT, attributes_text


class Interned:
    """Types, attributes and origins stand once in tables of their own; other rows hold their numbers."""

    def __init__(self) -> None:
        self._ids: dict[str, dict[Any, int]] = {"types": {}, "attributes": {}, "origins": {}}
        self._new: dict[str, list[tuple[Any, ...]]] = {"types": [], "attributes": [], "origins": []}

    def type(self, type_: Any) -> int:
        return self._ids["types"].get(type_) or self._add("types", type_, type_text(type_))

    def attributes(self, op: Any) -> int | None:
        """None where all have their defaults."""
        text = attributes_text(op, INDENT)
        return self._ids["attributes"].get(text) or self._add("attributes", text, text) if text else None

    def origin(self, origin: Origin) -> int | None:
        """None for what comes from nowhere."""
        known = self._ids["origins"].get(origin)
        if known is not None or origin is NOWHERE:
            return known
        made = SEPARATOR.join(origin.made) if origin.made else None
        return self._add("origins", origin, SEPARATOR.join(origin.names), made)

    def _add(self, table: str, key: Any, *columns: str | None) -> int:
        ids = self._ids[table]
        number = ids[key] = len(ids) + 1
        self._new[table].append((number, *columns))
        return number

    def new(self) -> Iterator[tuple[str, list[tuple[Any, ...]]]]:
        """Rows by table that are not written yet; they count as written now."""
        for table, rows in self._new.items():
            yield table, rows
            rows.clear()


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
