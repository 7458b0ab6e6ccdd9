"""Who touches which buffer when: the facts every program pass asks, views followed to the memory they name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from glowviz.compiler.program import Alloc, Dealloc, Instr, Program, Statement, View
from glowviz.compiler.recording.records import Change, Refusal, log


@dataclass
class Access:
    """Positions of statements that read and write the memory of one root buffer."""

    reads: list[int] = field(default_factory=list)
    writes: list[int] = field(default_factory=list)

    @property
    def first(self) -> int:
        return min((*self.reads, *self.writes), default=-1)

    @property
    def last(self) -> int:
        return max((*self.reads, *self.writes), default=-1)


def accesses(program: Program) -> dict[str, Access]:
    """Root buffer to its accesses; outputs, next contents, and states as they are left are read at the end."""
    found: dict[str, Access] = {name: Access() for name, b in program.buffers.items() if b.base is None}
    for position, statement in enumerate(program.body):
        if isinstance(statement, Instr):
            for name in (*statement.ins, *statement.scratch):
                found[program.root(name).name].reads.append(position)
            for name in (*statement.outs, *statement.scratch):
                found[program.root(name).name].writes.append(position)
    end = len(program.body)
    for name in leaving(program):
        found[name].reads.append(end)
    return found


def leaving(program: Program) -> set[str]:
    """Root buffers whose content is needed after the run: outputs, next contents, and states nobody else renews."""
    names = {program.root(name).name for name in (*(o.buffer for o in program.outputs), *program.updates.values())}
    return names | {b.name for b in program.of_kind("state") if b.name not in program.updates}


def lasts_until(program: Program, name: str) -> int:
    """The statement that ends the life of a root buffer; one past the end for what nobody deallocates."""
    marks = (k for k, s in enumerate(program.body) if isinstance(s, Dealloc) and s.buffer == name)
    return next(marks, len(program.body) + 1)


def renamed(statement: Statement, names: Mapping[str, str]) -> Statement:
    """The statement with buffers called otherwise; the same object where nothing is renamed."""
    if not isinstance(statement, Instr):
        return type(statement)(names[statement.buffer]) if statement.buffer in names else statement
    if names.keys().isdisjoint(statement.touched):
        return statement
    return statement.evolve(
        op=statement.op.with_operands(names),
        outs=tuple(names.get(b, b) for b in statement.outs),
        scratch=tuple(names.get(b, b) for b in statement.scratch),
    )


def substitute(program: Program, names: Mapping[str, str]) -> Program:
    """Every use of a buffer in `names` uses the other one; the replaced buffers and their marks disappear."""
    final = {name: _end_of(name, names) for name in names}
    marks = (Alloc, Dealloc, View)
    kept = (s for s in program.body if not (isinstance(s, marks) and s.buffer in final))
    body = tuple(renamed(s, final) for s in kept)
    buffers = {
        name: b.evolve(base=final[b.base]) if b.base in final else b
        for name, b in program.buffers.items()
        if name not in final
    }
    updates = {state: final.get(name, name) for state, name in program.updates.items()}
    return program.evolve(buffers=buffers, body=body, updates=updates)


def _end_of(name: str, names: Mapping[str, str]) -> str:
    while name in names:
        name = names[name]
    return name


def without(program: Program, gone: Callable[[Statement], bool]) -> Program:
    """The program without some statements; the same object when none go."""
    body = tuple(s for s in program.body if not gone(s))
    return program if len(body) == len(program.body) else program.evolve(body=body)


def title(instr: Instr) -> str:
    """How a reason names an instruction: its value, or its name and first result."""
    return instr.value or f"{instr.name} {', '.join(instr.outs)}"


def fired(rule: str, anchor: str, reason: str, removed: Iterable[str] = (), changed: Iterable[str] = ()) -> None:
    """Record one firing of a program pass."""
    log().change(Change(rule, anchor, reason, tuple(removed), (), tuple(changed)))


def kept(rule: str, anchor: str, reason: str, pattern: str) -> None:
    """Record that a program pass looked and left things as they are."""
    log().refuse(Refusal(rule, anchor, "keep", reason), pattern)
