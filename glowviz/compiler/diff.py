"""What changed between two values of one IR: identity first, then content, names last."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from glowviz.compiler.graph import Graph, Node
from glowviz.compiler.program import Buffer, Instr, Program


@dataclass(frozen=True)
class Difference:
    """Names by what happened to them; `merged` maps what is gone to what stands for it now."""

    same: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    merged: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


def diff_graphs(before: Graph, after: Graph) -> Difference:
    """Nodes by name. Two nodes with equal op, operands, results and types are the same, wherever they stand.

    A node that is gone is merged into the node whose origin holds all of its ONNX names and did not before.
    """
    old, new = before.nodes, after.nodes
    same = [n for n, node in new.items() if n in old and (old[n] is node or _equal(old[n], node))]
    kept = set(same)
    changed = tuple(n for n in new if n in old and n not in kept)
    added = tuple(n for n in new if n not in old)
    removed = tuple(n for n in old if n not in new)
    return Difference(tuple(same), added, removed, changed, _merged(old, new, (*changed, *added, *same), removed))


def diff_programs(before: Program, after: Program) -> Difference:
    """Instructions by value name (or first result), buffers by name."""
    old, new = dict(_named(before)), dict(_named(after))
    same = tuple(n for n, thing in new.items() if n in old and (old[n] is thing or _equal_parts(old[n], thing)))
    kept = set(same)
    return Difference(
        same,
        tuple(n for n in new if n not in old),
        tuple(n for n in old if n not in new),
        tuple(n for n in new if n in old and n not in kept),
    )


def _equal(a: Node, b: Node) -> bool:
    return a.op == b.op and a.results == b.results and a.types == b.types


def _merged(
    old: Mapping[str, Node], new: Mapping[str, Node], heirs: Iterable[str], removed: tuple[str, ...]
) -> dict[str, str]:
    stands_for: dict[str, str] = {}
    for name in heirs:
        before = set(old[name].origin.names) if name in old else set()
        for onnx in new[name].origin.names:
            if onnx not in before:
                stands_for.setdefault(onnx, name)
    found: dict[str, str] = {}
    for name in removed:
        names = old[name].origin.names
        heir = stands_for.get(names[0]) if names else None
        if heir is not None:
            found[name] = heir
    return found


def _named(program: Program) -> Iterable[tuple[str, Instr | Buffer]]:
    yield from ((f"%{name}", buffer) for name, buffer in program.buffers.items())
    yield from ((i.value or f"{i.name} {i.outs[0]}", i) for i in program.instructions)


def _equal_parts(a: Instr | Buffer, b: Instr | Buffer) -> bool:
    if isinstance(a, Instr) and isinstance(b, Instr):
        return (a.op, a.outs, a.scratch, dict(a.schedule)) == (b.op, b.outs, b.scratch, dict(b.schedule))
    if isinstance(a, Buffer) and isinstance(b, Buffer):
        pairs = ((getattr(a, f), getattr(b, f)) for f in ("type", "kind", "halo", "base", "offset", "address"))
        return all(mine == theirs for mine, theirs in pairs)
    return False
