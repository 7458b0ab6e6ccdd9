"""Every buffer gets an address at compile time; the plan carries the least any plan could need, and its own proof."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from glowviz.compiler.program import Alloc, Buffer, Dealloc, Instr, MemoryPlan, Placement, Program
from glowviz.compiler.recording.records import Change, log
from glowviz.compiler.rewrite.facts import bytes_text
from glowviz.compiler.types import Type

ALIGNMENT = 64
"""Bytes; a cache line and the widest vector."""


@dataclass(frozen=True)
class Packing:
    """Offsets for intervals; `total` bytes are used, `lower_bound` (the peak of the live set) must be."""

    offsets: tuple[int, ...]
    total: int
    lower_bound: int
    strategy: str = ""
    """Which order of placement won, and after how many tries."""


def pack(
    sizes: Sequence[int], births: Sequence[int], deaths: Sequence[int], alignment: int = ALIGNMENT, seconds: float = 0.2
) -> Packing:
    """Place half-open lifetimes [birth, death) of `sizes` bytes in one arena so that none overlap.

    Any-time: several placement orders first, then a seeded search that moves the buffers which stick out to
    the front, until the lower bound is reached or `seconds` of CPU time are spent.
    """
    if not len(sizes) == len(births) == len(deaths):
        counts = f"{len(sizes)} sizes, {len(births)} births, {len(deaths)} deaths"
        raise ValueError(f"pack needs one birth and one death per size, got {counts}")
    whole = [-(-size // alignment) * alignment for size in sizes]
    bound = _live_peak(whole, births, deaths)
    search = _Search(whole, births, deaths, bound)
    search.run(seconds)
    return Packing(tuple(search.best), search.total, bound, search.strategy)


def _live_peak(sizes: Sequence[int], births: Sequence[int], deaths: Sequence[int]) -> int:
    events = [(b, 1, s) for s, b, d in zip(sizes, births, deaths, strict=True) if d > b]
    events += [(d, 0, -s) for s, b, d in zip(sizes, births, deaths, strict=True) if d > b]
    live = peak = 0
    for _, _, change in sorted(events, key=lambda e: (e[0], e[1])):
        live += change
        peak = max(peak, live)
    return peak


class _Search:
    """Greedy placement in a given order, and local search over orders."""

    def __init__(self, sizes: list[int], births: Sequence[int], deaths: Sequence[int], bound: int) -> None:
        self.sizes, self.births, self.deaths, self.bound = sizes, births, deaths, bound
        self.real = [i for i in range(len(sizes)) if sizes[i] and deaths[i] > births[i]]
        self.rivals = _overlaps(self.real, births, deaths)
        self.best: list[int] = [0] * len(sizes)
        self.total = 0
        self.strategy = "nothing to place"
        self.tries = 0

    def run(self, seconds: float) -> None:
        if not self.real:
            return
        self.total = -1
        best_order = self.real
        for name, order in self._first_orders():
            if self._try(order, name):
                best_order = order
            if self.total == self.bound:
                return
        self._climb(list(best_order), seconds)

    def _first_orders(self) -> list[tuple[str, list[int]]]:
        s, b, d = self.sizes, self.births, self.deaths
        live = {i: max(sum(s[j] for j in (*self.rivals[i], i)), 0) for i in self.real}
        return [
            ("largest first", sorted(self.real, key=lambda i: (-s[i], b[i]))),
            ("largest area first", sorted(self.real, key=lambda i: -s[i] * (d[i] - b[i]))),
            ("most contended first", sorted(self.real, key=lambda i: (-live[i], -s[i]))),
            ("longest first", sorted(self.real, key=lambda i: (b[i] - d[i], -s[i]))),
            ("in order of birth", sorted(self.real, key=lambda i: (b[i], -s[i]))),
        ]

    def place(self, order: Sequence[int]) -> tuple[list[int], int]:
        """Every buffer at the lowest offset free among its placed rivals."""
        offsets = [-1] * len(self.sizes)
        top = 0
        for i in order:
            taken = sorted((offsets[j], offsets[j] + self.sizes[j]) for j in self.rivals[i] if offsets[j] >= 0)
            at, size = 0, self.sizes[i]
            for start, end in taken:
                if start - at >= size:
                    break
                at = max(at, end)
            offsets[i] = at
            top = max(top, at + size)
        return offsets, top

    def _try(self, order: Sequence[int], name: str) -> bool:
        offsets, top = self.place(order)
        self.tries += 1
        if self.total >= 0 and top >= self.total:
            return False
        self.best = [max(o, 0) for o in offsets]
        self.total, self.strategy = top, f"{name} (try {self.tries})"
        return True

    def _climb(self, order: list[int], seconds: float) -> None:
        rng = np.random.default_rng(len(self.sizes))
        deadline = time.thread_time() + seconds
        offsets, top = self.place(order)
        while time.thread_time() < deadline:
            candidate = self._mutated(order, offsets, top, rng)
            new_offsets, new_top = self.place(candidate)
            self.tries += 1
            if new_top <= top or rng.random() < 0.002:
                order, offsets, top = candidate, new_offsets, new_top
            if new_top < self.total:
                self.best = [max(o, 0) for o in new_offsets]
                self.total, self.strategy = new_top, f"search (try {self.tries})"
                if new_top == self.bound:
                    return

    def _mutated(self, order: list[int], offsets: list[int], top: int, rng: np.random.Generator) -> list[int]:
        """A buffer that ends at the top, or one of its rivals, is placed earlier."""
        high = [i for i in order if offsets[i] + self.sizes[i] == top]
        chosen = high[rng.integers(len(high))]
        if rng.random() < 0.6 and self.rivals[chosen]:
            chosen = self.rivals[chosen][rng.integers(len(self.rivals[chosen]))]
        candidate = list(order)
        position = candidate.index(chosen)
        candidate.pop(position)
        candidate.insert(int(rng.integers(max(position, 1) if rng.random() < 0.8 else len(order))), chosen)
        return candidate


def _overlaps(real: list[int], births: Sequence[int], deaths: Sequence[int]) -> dict[int, list[int]]:
    """For every interval the others that share a moment with it, by a sweep over births."""
    rivals: dict[int, list[int]] = {i: [] for i in real}
    live: list[int] = []
    for i in sorted(real, key=lambda i: births[i]):
        live = [j for j in live if deaths[j] > births[i]]
        for j in live:
            rivals[i].append(j)
            rivals[j].append(i)
        live.append(i)
    return rivals


ARENA_OF = {"weight": "weights", "state": "state", "input": "io", "output": "io"}


def plan_memory(program: Program, *, alignment: int = ALIGNMENT, seconds: float = 0.2) -> tuple[Program, MemoryPlan]:
    """The program with an address on every buffer, and the plan that says why they do not collide.

    Weights are laid out in execution order, so that the next panel can be prefetched; inputs, outputs and
    states keep their own place; activations and scratch share one arena by lifetime. Held buffers have no place.
    """
    program, nested = _with_nested_plans(program, alignment, seconds)
    lives = {name: life for name, life in lifetimes(program).items() if not program.buffers[name].held}
    placements = _fixed(program, alignment)
    moving = [program.buffers[name] for name in lives]
    births = [lives[b.name][0] for b in moving]
    deaths = [lives[b.name][1] for b in moving]
    packing = pack([b.bytes for b in moving], births, deaths, alignment, seconds)
    for buffer, offset, birth, death in zip(moving, packing.offsets, births, deaths, strict=True):
        placements[buffer.name] = Placement(buffer.name, "activations", offset, buffer.bytes, birth, death)
    arenas = {"activations": packing.total}
    for p in placements.values():
        arenas[p.arena] = max(arenas.get(p.arena, 0), -(-(p.offset + p.size) // alignment) * alignment)
    plan = MemoryPlan(placements, arenas, packing.lower_bound, nested, alignment)
    plan.check()
    _explain(packing, plan)
    return _addressed(program, placements), plan


def _with_nested_plans(
    program: Program, alignment: int, seconds: float
) -> tuple[Program, dict[str, tuple[MemoryPlan, ...]]]:
    """Nested programs get addresses first; the arena they share is a scratch buffer of their instruction."""
    if not any(instr.regions for instr in program.instructions):
        return program, {}
    plans: dict[str, tuple[MemoryPlan, ...]] = {}
    buffers, body = dict(program.buffers), []
    for statement in program.body:
        if not isinstance(statement, Instr) or not statement.regions:
            body.append(statement)
            continue
        with log().inside(statement.value):
            made = [plan_memory(p, alignment=alignment, seconds=seconds) for p in statement.regions]
        plans[statement.value] = tuple(plan for _, plan in made)
        arena = f"{statement.value}.arena"
        size = max(plan.total for _, plan in made)
        buffers[arena] = Buffer(arena, Type("u8", (size,)), "scratch", origin=statement.origin)
        planned = statement.evolve(regions=tuple(p for p, _ in made), scratch=(*statement.scratch, arena))
        body += [Alloc(arena), planned, Dealloc(arena)]
    return program.evolve(buffers=buffers, body=tuple(body)), plans


def _explain(packing: Packing, plan: MemoryPlan) -> None:
    gap = "equal to the lower bound" if plan.total == plan.lower_bound else (
        f"{plan.total / max(plan.lower_bound, 1):.3f} × the lower bound of {bytes_text(plan.lower_bound)}")
    reason = f"activations need {bytes_text(plan.total)}, {gap}; placed {packing.strategy}"
    log().change(Change("pack", "activations", reason, changed=tuple(plan.buffers)[:1]))


def lifetimes(program: Program) -> dict[str, tuple[int, int]]:
    """Activation and scratch buffers to the half-open interval of statements from alloc to dealloc."""
    lives: dict[str, tuple[int, int]] = {}
    for position, statement in enumerate(program.body):
        if isinstance(statement, Alloc):
            lives[statement.buffer] = (position, len(program.body))
        elif isinstance(statement, Dealloc) and statement.buffer in lives:
            lives[statement.buffer] = (lives[statement.buffer][0], position)
    return lives


def _fixed(program: Program, alignment: int) -> dict[str, Placement]:
    """Weights in the order they are first read, then inputs, outputs and states, each in their own arena."""
    ends: dict[str, int] = {}
    placements: dict[str, Placement] = {}
    for buffer in _in_order_of_use(program):
        arena = ARENA_OF.get(buffer.kind)
        if arena is None or buffer.held:
            continue
        offset = ends.get(arena, 0)
        placements[buffer.name] = Placement(buffer.name, arena, offset, buffer.bytes, 0, len(program.body))
        ends[arena] = offset + -(-buffer.bytes // alignment) * alignment
    return placements


def _in_order_of_use(program: Program) -> list[Buffer]:
    used = (name for s in program.body if isinstance(s, Instr) for name in s.touched)
    names = dict.fromkeys(program.root(name).name for name in used)
    return [program.buffers[n] for n in (*names, *(n for n in program.buffers if n not in names))]


def _addressed(program: Program, placements: dict[str, Placement]) -> Program:
    buffers = {
        name: b.evolve(address=placements[name].offset) if name in placements else b
        for name, b in program.buffers.items()
    }
    return program.evolve(buffers=buffers)
