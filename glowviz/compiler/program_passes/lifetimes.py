"""Lifetimes become as short as the uses allow: allocs sink, deallocs rise, and what nobody uses is not allocated."""

from __future__ import annotations

from glowviz.compiler.program import Alloc, Dealloc, Program, Statement, View
from glowviz.compiler.program_passes.access import accesses, fired
from glowviz.compiler.rewrite import program_pass


@program_pass()
def sink_allocs(program: Program) -> Program:
    """alloc %a; S…; first use of %a  ->  S…; alloc %a; first use of %a (views of %a move with it)"""
    uses = accesses(program)
    marks: dict[str, list[Statement]] = {}
    for statement in program.body:
        if isinstance(statement, (Alloc, View)):
            marks.setdefault(program.root(statement.buffer).name, []).append(statement)
    marks = {name: m for name, m in marks.items() if program.buffers[name].kind in ("activation", "scratch")}
    before: dict[int, list[Statement]] = {}
    for name, moved in marks.items():
        before.setdefault(uses[name].first, []).extend(moved)
    moving = {id(s) for moved in marks.values() for s in moved}
    body: list[Statement] = []
    for position, statement in enumerate(program.body):
        body.extend(before.get(position, ()))
        if id(statement) not in moving:
            body.append(statement)
    return _moved(program, (*before.get(-1, ()), *body), "sink_alloc", Alloc)


@program_pass()
def hoist_deallocs(program: Program) -> Program:
    """last use of %a; S…; dealloc %a  ->  last use of %a; dealloc %a; S…"""
    uses = accesses(program)
    after: dict[int, list[Statement]] = {}
    for statement in program.body:
        if isinstance(statement, Dealloc):
            after.setdefault(uses[statement.buffer].last, []).append(statement)
    end = len(program.body)
    body: list[Statement] = []
    for position, statement in enumerate(program.body):
        if not isinstance(statement, Dealloc):
            body.append(statement)
        body.extend(after.get(position, ()))
        if isinstance(statement, Alloc) and uses[statement.buffer].last < 0:
            body.append(Dealloc(statement.buffer))
    body.extend(after.get(end, ()))
    return _moved(program, tuple(body), "hoist_dealloc", Dealloc)


@program_pass()
def delete_dead_allocs(program: Program) -> Program:
    """alloc %a; dealloc %a  -- nothing between them uses %a ->  (nothing)"""
    uses = accesses(program)
    dead = {
        name for name, b in program.buffers.items()
        if b.base is None and b.kind in ("activation", "scratch", "weight") and uses[name].last < 0
    }
    used = {name for i in program.instructions for name in i.touched}
    used |= {o.buffer for o in program.outputs} | set(program.updates.values())
    dead |= {name for name, b in program.buffers.items() if b.base is not None and not _is_used(program, name, used)}
    if not dead:
        return program
    for name in sorted(dead):
        fired("dead_alloc", name, f"no instruction touches %{name}", (name,))
    body = tuple(s for s in program.body if not (isinstance(s, (Alloc, Dealloc, View)) and s.buffer in dead))
    return program.evolve(body=body, buffers={n: b for n, b in program.buffers.items() if n not in dead})


def _is_used(program: Program, view: str, used: set[str]) -> bool:
    """The view is touched, or is the base of one that is."""
    for name in used:
        buffer = program.buffers[name]
        while True:
            if buffer.name == view:
                return True
            if buffer.base is None:
                break
            buffer = program.buffers[buffer.base]
    return False


def _moved(program: Program, body: tuple[Statement, ...], rule: str, mark: type[Statement]) -> Program:
    """Record which marks changed their neighbours; the same program when none did."""
    if [id(s) for s in body] == [id(s) for s in program.body]:
        return program
    old = _distances(program.body, mark)
    new = _distances(body, mark)
    for name, distance in old.items():
        saved = abs(distance - new.get(name, distance))
        if saved:
            statements = "one statement" if saved == 1 else f"{saved} statements"
            fired(rule, name, f"%{name} lives {statements} shorter", changed=(name,))
    return program.evolve(body=body)


def _distances(body: tuple[Statement, ...], mark: type[Statement]) -> dict[str, int]:
    """Instructions between the start of the program and each mark."""
    found: dict[str, int] = {}
    passed = 0
    for statement in body:
        if isinstance(statement, mark) and not isinstance(statement, View):
            found[statement.buffer] = passed  # type: ignore[union-attr]  # a mark
        elif not isinstance(statement, (Alloc, Dealloc, View)):
            passed += 1
    return found
