"""When a MemoryPlan is well formed for its Program: places for all lives, and no two of them collide."""

from __future__ import annotations

from glowviz.compiler.program import Alloc, Dealloc, MemoryOverlap, MemoryPlan, Program
from glowviz.compiler.verify.graphs import VerifyProblem
from glowviz.compiler.verify.programs import whole


def verify_plan(program: Program, plan: MemoryPlan) -> None:
    """When a MemoryPlan is well formed for its Program; VerifyProblem names the first thing that is not.

    Every owning buffer has a place of at least its size, a held one has none. It holds its place for its whole
    lifetime: activations and scratch from alloc to dealloc, everything else for the whole run. No two places that live
    at once overlap, every place is aligned and inside its arena. An address in the program is the address in the plan.
    """
    lives = _lifetimes(program)
    for buffer in program.buffers.values():
        if buffer.base is not None:
            continue
        place = plan.buffers.get(buffer.name)
        if buffer.held:
            if place is not None or buffer.address is not None:
                raise VerifyProblem(f"%{buffer.name} is held outside the arenas and has an address", whole(program),
                                    "no address for what has no bytes")
            continue
        if place is None:
            raise VerifyProblem(f"%{buffer.name} has no place in memory", whole(program), "an address for each buffer")
        if place.size < buffer.bytes:
            raise VerifyProblem(f"%{buffer.name} has {place.size} bytes", whole(program), f"{buffer.bytes} bytes")
        birth, death = lives.get(buffer.name, (0, len(program.body)))
        if place.birth > birth or place.death < death:
            raise VerifyProblem(f"%{buffer.name} holds its place for [{place.birth}, {place.death})", whole(program),
                                f"its lifetime, statements [{birth}, {death})")
        if buffer.address is not None and buffer.address != place.offset:
            raise VerifyProblem(f"%{buffer.name} stands at {buffer.address:#x}", whole(program),
                                f"{place.offset:#x}, as the plan says")
    try:
        plan.check()
    except MemoryOverlap as overlap:
        raise VerifyProblem(str(overlap), whole(program), "addresses that do not collide") from None


def _lifetimes(program: Program) -> dict[str, tuple[int, int]]:
    """Allocated buffers to the statements from their alloc to their dealloc."""
    births = {s.buffer: k for k, s in enumerate(program.body) if isinstance(s, Alloc)}
    deaths = {s.buffer: k for k, s in enumerate(program.body) if isinstance(s, Dealloc)}
    return {name: (birth, deaths.get(name, len(program.body))) for name, birth in births.items()}
