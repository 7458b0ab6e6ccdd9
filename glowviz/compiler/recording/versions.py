"""NodeVersions knows the living rows of the nodes table, and which rows end and begin with the next graph."""

from __future__ import annotations

from collections import Counter
from operator import itemgetter
from typing import Any

from glowviz.compiler.graph import Graph, Node
from glowviz.compiler.recording.columns import Interned, operand_column, work_of
from glowviz.compiler.recording.rows import SEPARATOR
from glowviz.compiler.recording.schema import ALIVE
from glowviz.compiler.step import step_between

Row = tuple[Any, ...]
"""name, born, died, rank; op, family, attributes, operands, results, types; origin, label; flops, moved."""
TYPES, ORIGIN = 9, 10
WHAT, WORK = slice(4, 10), slice(12, 14)
FLOPS, MOVED = itemgetter(12), itemgetter(13)


class NodeVersions:
    """One row for each node version; `flops` and `moved` are the sums over the living ones.

    `reads` counts the living nodes that read a value, `touched` has the values whose count the last step changed.
    """

    def __init__(self, interned: Interned) -> None:
        self.flops = self.moved = 0
        self.reads: Counter[str] = Counter()
        self.touched: set[str] = set()
        self._interned = interned
        self._alive: dict[str, Row] = {}
        self._rowids: dict[str, int] = {}
        self._work_of: dict[Any, tuple[int, int]] = {}

    def follow(self, before: Graph, after: Graph, snapshot: int, rowid: int) -> tuple[list[int], list[Row]]:
        """Rowids that end with this snapshot, and the rows that begin; the first of them will get `rowid`."""
        step = step_between(before, after)
        old = {name: self._alive.pop(name) for name in (*step.gone, *step.ranks) if name in self._alive}
        ended = [self._rowids.pop(name) for name in old]
        rows: list[Row] = []
        for name, rank in step.ranks.items():
            columns = self._columns(after.nodes[name], before.nodes.get(name), old.get(name), after)
            rows.append((name, snapshot, ALIVE, rank, *columns))
        self._alive.update(zip(step.ranks, rows, strict=True))
        self._rowids.update(zip(step.ranks, range(rowid, rowid + len(rows)), strict=True))
        gone = list(old.values())
        self.flops += sum(map(FLOPS, rows)) - sum(map(FLOPS, gone))
        self.moved += sum(map(MOVED, rows)) - sum(map(MOVED, gone))
        gone = [o for name in old for o in before.nodes[name].op.operands]
        come = [o for name in step.ranks for o in after.nodes[name].op.operands]
        self.reads.subtract(gone)
        self.reads.update(come)
        self.touched = {*gone, *come}
        return ended, rows

    def _columns(self, node: Node, before: Node | None, row: Row | None, graph: Graph) -> Row:
        """All but name, snapshots and rank; what is as it was before comes from that row."""
        if before is None or row is None:
            return self._fresh_columns(node, self._types(node), graph)
        if before.types is not node.types or before.results != node.results:
            return self._fresh_columns(node, self._types(node), graph)
        if before.op is not node.op:
            return self._fresh_columns(node, row[TYPES], graph)
        origin = row[ORIGIN] if before.origin is node.origin else self._interned.origin(node.origin)
        return (*row[WHAT], origin, node.label, *row[WORK])

    def _types(self, node: Node) -> str:
        return SEPARATOR.join([str(self._interned.type(t)) for t in node.types])

    def _fresh_columns(self, node: Node, types: str, graph: Graph) -> Row:
        op = node.op
        attributes = self._interned.attributes(op)
        flops, moved = self._work(node, attributes, types, graph)
        return (op.name, op.family, attributes, operand_column(op), SEPARATOR.join(node.results), types,
                self._interned.origin(node.origin), node.label, flops, moved)

    def _work(self, node: Node, attributes: int | None, types: str, graph: Graph) -> tuple[int, int]:
        """FLOPs and bytes moved; they follow from the op and the types alone, so equal ones are asked once."""
        key = (type(node.op), attributes, types, *[graph.type(o) for o in node.op.operands])
        found = self._work_of.get(key)
        if found is None:
            found = self._work_of[key] = work_of(node, graph)
        return found
