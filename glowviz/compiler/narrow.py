"""Of all changes between two snapshots, the fewest that still make the difference are found by applying some of them.

A value name always means the same numbers, so every changed node may stand beside the unchanged ones: a state in
between computes the same as both, or shows whose change is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from difflib import SequenceMatcher
from typing import Any, Protocol

from glowviz.compiler.graph import NOWHERE, Graph, Node
from glowviz.compiler.program import Buffer, Instr, Program, Statement
from glowviz.compiler.rewrite import Edit
from glowviz.compiler.text import buffer_text, node_text, payload_text, statement_text
from glowviz.compiler.types import TypeProblem
from glowviz.compiler.verify import VerifyProblem, verify_graph, verify_program


class Steps(Protocol):
    """The changes from one snapshot to the next, each of which can be made or left out."""

    units: tuple[str, ...]

    def apply(self, chosen: Sequence[str]) -> Any:
        """The first snapshot with only the chosen changes; None where that cannot stand."""
        ...

    def told(self, unit: str) -> str:
        """One change in words."""
        ...

    def names(self, unit: str) -> tuple[str, ...]:
        """The values that a change touches."""
        ...


def steps_between(before: Any, after: Any) -> Steps:
    """The changes between two snapshots of the same kind."""
    return GraphSteps(before, after) if isinstance(before, Graph) else ProgramSteps(before, after)


def fewest(units: Sequence[str], shows: Callable[[Sequence[str]], bool]) -> tuple[str, ...]:
    """The smallest set found for which `shows` still holds, none of which can be left out; all of them show it.

    Delta debugging: ddmin of Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input" (2002), fig. 3.
    """
    left, pieces = list(units), 2
    while len(left) > 1:
        size = -(-len(left) // pieces)
        parts = [left[at:at + size] for at in range(0, len(left), size)]
        found = next((part for part in parts if shows(part)), None)
        if found is not None:
            left, pieces = found, 2
            continue
        rests = ([u for u in left if u not in part] for part in parts) if pieces > 2 else iter(())
        found = next((rest for rest in rests if shows(rest)), None)
        if found is not None:
            left, pieces = found, max(pieces - 1, 2)
        elif pieces >= len(left):
            break
        else:
            pieces = min(len(left), 2 * pieces)
    return tuple(left)


@dataclass
class GraphSteps:
    """Changed nodes, constants and outputs of a Graph; new nodes come with those that read them."""

    before: Graph
    after: Graph
    units: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        old, new = self.before, self.after
        nodes = [n for n, node in new.nodes.items() if n in old.nodes and old.nodes[n].op != node.op]
        constants = [
            n for n, c in new.constants.items()
            if (n in old.constants and old.constants[n].payload.digest != c.payload.digest) or n in old.nodes
        ]
        redirected = [o.public for o, was in zip(new.outputs, old.outputs, strict=False) if o.value != was.value]
        updated = [n for n, value in new.updates.items() if old.updates.get(n) != value]
        self.units = (*(f"%{n}" for n in (*nodes, *constants)), *(f"return {n}" for n in redirected),
                      *(f"next {n}" for n in updated))

    def apply(self, chosen: Sequence[str]) -> Graph | None:
        """None where types do not fit together."""
        edit = Edit(self.before)
        wanted = set(chosen)
        moved = {o.public: o.value for o in self.after.outputs if f"return {o.public}" in wanted}
        renewed = {n: v for n, v in self.after.updates.items() if f"next {n}" in wanted}
        try:
            for unit in chosen:
                if unit.startswith("%"):
                    self._change(edit, unit[1:])
            self._bring(edit, (*moved.values(), *renewed.values()))
            graph = edit.finish()
            outputs = tuple(type(o)(o.public, moved.get(o.public, o.value)) for o in graph.outputs)
            graph = graph.evolve(outputs=outputs, updates={**graph.updates, **renewed})
            verify_graph(graph)
        except (VerifyProblem, TypeProblem, ValueError, KeyError):
            return None
        return graph

    def _change(self, edit: Edit, name: str) -> None:
        old = edit.node(name)
        constant = self.after.constants.get(name)
        if constant is not None:
            if old is not None:
                edit.remove(old)
            edit.add_constant(constant)
            for user in edit.users(name):
                edit.replace_node(user, user.evolve())  # its type may follow from the content
            return
        new = self.after.nodes[name]
        self._bring(edit, new.op.operands)
        if old is not None:
            edit.replace_node(old, new)

    def _bring(self, edit: Edit, values: Sequence[str]) -> None:
        """What is read and not there yet."""
        waiting = list(values)
        while waiting:
            value = waiting.pop()
            if value in edit:
                continue
            maker = self.after.maker(value)
            if maker is None:
                edit.add_constant(self.after.constants[value])
            else:
                edit.insert(maker, before="")
                waiting += maker.op.operands

    def told(self, unit: str) -> str:
        """`%y: f32[4] = Sub(%a, %b) became Sub(%b, %a)`."""
        name = unit.removeprefix("%")
        if not unit.startswith("%"):
            return f"{unit}: another value leaves the graph"
        old, new = self.before.nodes.get(name), self.after.nodes.get(name)
        if old is None:
            old_text, new_text = (payload_text(g.constants[name].payload) for g in (self.before, self.after))
            return f"%{name} = {old_text} became {new_text}"
        return f"{_line(old)} became {_line(new).partition(' = ')[2] if new is not None else 'a constant'}"

    def names(self, unit: str) -> tuple[str, ...]:
        name = unit.split(maxsplit=1)[-1].removeprefix("%")
        if unit.startswith("return "):
            return tuple(o.value for g in (self.before, self.after) for o in g.outputs if o.public == name)
        if unit.startswith("next "):
            return (self.before.updates[name], self.after.updates[name])
        if name in self.before.constants:
            return tuple(user.name for user in self.before.users.get(name, ()))
        return (name,)


def _line(node: Node) -> str:
    return " ".join(node_text(node.evolve(origin=NOWHERE, label="")).split())


@dataclass
class ProgramSteps:
    """Changed statements and buffers of a Program, and what is read from it at the end."""

    before: Program
    after: Program
    units: tuple[str, ...] = field(init=False)
    _spans: dict[str, tuple[int, int, int, int]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        old, new = self.before, self.after
        lines = [[_key(s, p) for s in p.body] for p in (old, new)]
        for tag, i1, i2, j1, j2 in SequenceMatcher(None, *lines, autojunk=False).get_opcodes():
            if tag != "equal":
                single = tag == "replace" and i2 - i1 == j2 - j1
                spans = [(i1, i2, j1, j2)]
                if single:
                    spans = [(i1 + k, i1 + k + 1, j1 + k, j1 + k + 1) for k in range(i2 - i1)]
                self._spans |= {f"statement {span[0]} -> {span[2]}": span for span in spans}
        buffers = [f"%{n}" for n, b in new.buffers.items() if n in old.buffers and _differs(old.buffers[n], b)]
        ends = [(tuple((o.public, o.buffer) for o in p.outputs), dict(p.updates)) for p in (old, new)]
        self.units = (*self._spans, *buffers, *(("what is read at the end",) if ends[0] != ends[1] else ()))

    def apply(self, chosen: Sequence[str]) -> Program | None:
        """None where the program would not be well formed."""
        old, new, wanted = self.before, self.after, set(chosen)
        body: list[Statement] = []
        done = 0
        for unit, (i1, i2, j1, j2) in self._spans.items():
            body += old.body[done:i1]
            body += new.body[j1:j2] if unit in wanted else old.body[i1:i2]
            done = i2
        body += old.body[done:]
        end = new if "what is read at the end" in wanted else old
        buffers = {n: b for n, b in old.buffers.items() if f"%{n}" not in wanted}
        buffers |= {n: b for n, b in new.buffers.items() if n not in old.buffers or f"%{n}" in wanted}
        program = old.evolve(body=tuple(body), outputs=end.outputs, updates=end.updates)
        program = program.evolve(buffers=_used(program, buffers))
        try:
            verify_program(program)
        except (VerifyProblem, ValueError, KeyError):
            return None
        return program

    def told(self, unit: str) -> str:
        """The statements before and after."""
        if unit in self._spans:
            i1, i2, j1, j2 = self._spans[unit]
            old = "; ".join(_text(s, self.before) for s in self.before.body[i1:i2]) or "nothing"
            new = "; ".join(_text(s, self.after) for s in self.after.body[j1:j2]) or "nothing"
            return f"{old} became {new}"
        if not unit.startswith("%"):
            return f"{unit}: another buffer"
        old, new = (" ".join(buffer_text(p.buffers[unit[1:]]).split()) for p in (self.before, self.after))
        return f"{old} became {new}" if old != new else f"{old} holds other numbers"

    def names(self, unit: str) -> tuple[str, ...]:
        if unit not in self._spans:
            return tuple(s.value for s in self.before.instructions if unit[1:] in s.touched)
        i1, i2, j1, j2 = self._spans[unit]
        touched = (*self.before.body[i1:i2], *self.after.body[j1:j2])
        return tuple(dict.fromkeys(s.value if isinstance(s, Instr) else s.buffer for s in touched))


def _used(program: Program, buffers: dict[str, Buffer]) -> dict[str, Buffer]:
    """Buffers that statements or the interface name, with what they are views of."""
    names = {n for s in program.body for n in (s.touched if isinstance(s, Instr) else (s.buffer,))}
    names |= {o.buffer for o in program.outputs} | {n for pair in program.updates.items() for n in pair}
    names |= {n for n, b in buffers.items() if b.kind in ("input", "output", "state")}
    waiting = list(names)
    while waiting:
        base = buffers[waiting.pop()].base
        if base is not None and base not in names:
            names.add(base)
            waiting.append(base)
    return {n: b for n, b in buffers.items() if n in names}


def _key(statement: Statement, program: Program) -> str:
    """Equal for statements that do the same."""
    plain = statement.evolve(origin=NOWHERE, label="") if isinstance(statement, Instr) else statement
    return statement_text(plain, program)


def _text(statement: Statement, program: Program) -> str:
    return " ".join(_key(statement, program).split())


def _differs(a: Buffer, b: Buffer) -> bool:
    if a is b:
        return False
    pairs = [(getattr(a, f.name), getattr(b, f.name)) for f in fields(Buffer) if f.name not in ("payload", "origin")]
    digests = [None if x.payload is None else x.payload.digest for x in (a, b)]
    return digests[0] != digests[1] or any(x != y for x, y in pairs)
