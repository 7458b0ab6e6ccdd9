"""The low-level IR: a Program is an immutable list of instructions over typed memory regions with lifetimes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import prod
from typing import Any, Literal

from glowviz.compiler.graph import NOWHERE, Origin, Payload
from glowviz.compiler.types import Type

BufferKind = Literal["input", "output", "weight", "state", "activation", "scratch", "view"]


@dataclass(frozen=True, slots=True)
class Halo:
    """Rows and columns around every spatial plane that padded reads see; all of them hold `fill`."""

    top: int = 0
    left: int = 0
    bottom: int = 0
    right: int = 0
    fill: float = 0.0

    def covers(self, other: Halo) -> bool:
        """Whoever needs `other` can read a buffer that has this halo."""
        sides = ((self.top, other.top), (self.left, other.left), (self.bottom, other.bottom), (self.right, other.right))
        return self.fill == other.fill and all(mine >= theirs for mine, theirs in sides)

    @property
    def width(self) -> int:
        return self.left + self.right

    @property
    def height(self) -> int:
        return self.top + self.bottom

    def __str__(self) -> str:
        return f"halo [{self.top}, {self.left}, {self.bottom}, {self.right}] fill {self.fill!r}"


@dataclass(frozen=True, slots=True, eq=False)
class Buffer:
    """A memory region. A `view` is part of its `base`, `offset` bytes behind its start; only it has a base.

    `address` is the offset in the arena of its class (weights, state, activations) once memory is planned.
    A held buffer has no place in any arena; alloc and dealloc still mark its life.
    With a halo, the two spatial dims (axes 2 and 3 of the logical shape) are physically larger.
    """

    name: str
    type: Type
    kind: BufferKind
    space: str = "host"
    halo: Halo | None = None
    payload: Payload | None = None
    base: str | None = None
    offset: int = 0
    address: int | None = None
    origin: Origin = NOWHERE

    @property
    def physical(self) -> tuple[int, ...]:
        """The physical shape, halo included."""
        shape = list(self.type.physical)
        if self.halo is not None:
            dims = self.type.order.dims if self.type.order else tuple((a, 0) for a in range(len(shape)))
            shape[dims.index((2, 0))] += self.halo.height
            shape[dims.index((3, 0))] += self.halo.width
        return tuple(shape)

    @property
    def held(self) -> bool:
        """Its content lies outside every arena: only a run knows its size, or it is a list, an optional or strings."""
        return self.type.held

    @property
    def bytes(self) -> int:
        """Bytes in its arena, halo included; 0 for what is held outside."""
        if self.held:
            return 0
        return prod(self.physical) * self.type.dtype.itemsize

    def evolve(self, **changes: Any) -> Buffer:
        return replace(self, **changes)


@dataclass(frozen=True, slots=True, eq=False)
class Alloc:
    """The life of an activation or scratch buffer begins."""

    buffer: str


@dataclass(frozen=True, slots=True, eq=False)
class Dealloc:
    """The life of a buffer ends; nothing may touch it or its views afterwards."""

    buffer: str


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """From here on the view buffer names a part of its base."""

    buffer: str


@dataclass(frozen=True, slots=True, eq=False)
class Instr:
    """One pass over memory: `op` reads the buffers it names as operands and writes `outs`, one per result.

    A buffer that is both in `outs` and an operand is worked on in place. `scratch` buffers have no content
    before or after. `schedule` holds the backend's visible choices (algorithm, tile, split …) as JSON data.
    """

    op: Any
    outs: tuple[str, ...]
    origin: Origin = NOWHERE
    label: str = ""
    scratch: tuple[str, ...] = ()
    schedule: Mapping[str, Any] = field(default_factory=dict)
    value: str = ""
    """The graph value this instruction computes (its first result)."""
    regions: tuple[Program, ...] = ()
    """Nested programs of if (then, else), loop and scan. Their activations lie in the one scratch buffer."""

    @property
    def name(self) -> str:
        """The instruction's name, `conv`."""
        return self.op.instruction

    @property
    def ins(self) -> tuple[str, ...]:
        return self.op.operands

    @property
    def inout(self) -> tuple[str, ...]:
        return tuple(name for name in self.outs if name in self.ins)

    @property
    def touched(self) -> tuple[str, ...]:
        """Every buffer named, each once."""
        return tuple(dict.fromkeys((*self.outs, *self.ins, *self.scratch)))

    def evolve(self, **changes: Any) -> Instr:
        return replace(self, **changes)


Statement = Alloc | Dealloc | View | Instr


@dataclass(frozen=True, slots=True, eq=False)
class PublicOutput:
    """A public result and the buffer it is read from after the last instruction."""

    public: str
    buffer: str


@dataclass(frozen=True, eq=False)
class Program:
    """Buffers by name and statements in the order they run. Never changed after it is made."""

    name: str = "program"
    buffers: Mapping[str, Buffer] = field(default_factory=dict)
    body: tuple[Statement, ...] = ()
    outputs: tuple[PublicOutput, ...] = ()
    updates: Mapping[str, str] = field(default_factory=dict)
    """State buffer to the buffer whose content it takes over after the run."""
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def instructions(self) -> tuple[Instr, ...]:
        return tuple(s for s in self.body if isinstance(s, Instr))

    @cached_property
    def numbered(self) -> tuple[tuple[Program, Instr], ...]:
        """All instructions with their programs: its own in order, then those nested, in the order of their parents.

        The position in it is the number of an instruction in listings and recordings.
        """
        found: list[tuple[Program, Instr]] = [(self, instr) for instr in self.instructions]
        for _, instr in found:  # it grows while we look: nested programs of nested programs stand behind
            for nested in instr.regions:
                found += [(nested, inner) for inner in nested.instructions]
        return tuple(found)

    def root(self, name: str) -> Buffer:
        """The buffer that owns the memory of `name`: itself, or the end of its chain of views."""
        buffer = self.buffers[name]
        while buffer.base is not None:
            buffer = self.buffers[buffer.base]
        return buffer

    def offset(self, name: str) -> int:
        """Bytes from the start of `root(name)` to `name`."""
        buffer, total = self.buffers[name], 0
        while buffer.base is not None:
            total += buffer.offset
            buffer = self.buffers[buffer.base]
        return total

    def touches_held(self, instr: Instr) -> bool:
        """Some content of the instruction lies outside every arena, so that no machine code can reach it."""
        return any(self.buffers[name].held for name in instr.touched)

    def of_kind(self, *kinds: BufferKind) -> Iterator[Buffer]:
        return (b for b in self.buffers.values() if b.kind in kinds)

    def evolve(self, **changes: Any) -> Program:
        return replace(self, **changes)


@dataclass(frozen=True, slots=True)
class Placement:
    """Where one buffer lives: byte range in its arena, half-open interval of statement indices."""

    buffer: str
    arena: str
    offset: int
    size: int
    birth: int
    death: int


@dataclass(frozen=True, eq=False)
class MemoryPlan:
    """Every buffer's address, with the least that any plan for this order could need."""

    buffers: Mapping[str, Placement] = field(default_factory=dict)
    arenas: Mapping[str, int] = field(default_factory=dict)
    """Bytes per arena: weights, state, activations."""
    lower_bound: int = 0
    """Peak of the live activation set, in bytes."""
    nested: Mapping[str, tuple[MemoryPlan, ...]] = field(default_factory=dict)
    """Plans of nested programs by the value of their instruction."""
    alignment: int = 64

    @property
    def total(self) -> int:
        """Bytes of the activation arena."""
        return self.arenas.get("activations", 0)

    def check(self) -> None:
        """Prove that no two buffers alive at once overlap; raises MemoryOverlap with both names and ranges."""
        by_arena: dict[str, list[Placement]] = {}
        for placement in self.buffers.values():
            by_arena.setdefault(placement.arena, []).append(placement)
        for arena, placements in by_arena.items():
            _check_arena(arena, self.arenas.get(arena, 0), placements, self.alignment)


class MemoryOverlap(AssertionError):
    """Two buffers that live at the same time share bytes, or one leaves its arena."""


def _check_arena(arena: str, size: int, placements: list[Placement], alignment: int) -> None:
    events: list[tuple[int, int, Placement]] = []
    for p in (p for p in placements if p.size and p.death > p.birth):
        if p.offset < 0 or p.offset + p.size > size:
            end = p.offset + p.size
            raise MemoryOverlap(f"%{p.buffer} [{p.offset:#x}, {end:#x}) leaves {arena} of {size:#x} bytes")
        if p.offset % alignment:
            raise MemoryOverlap(f"%{p.buffer} at {p.offset:#x} in {arena} is not {alignment}-byte aligned")
        events += [(p.birth, 1, p), (p.death, 0, p)]
    live: dict[str, Placement] = {}
    for _, begins, p in sorted(events, key=lambda e: (e[0], e[1])):
        if not begins:
            del live[p.buffer]
            continue
        for other in live.values():
            if p.offset < other.offset + other.size and other.offset < p.offset + p.size:
                raise MemoryOverlap(
                    f"%{p.buffer} [{p.offset:#x}, {p.offset + p.size:#x}) and %{other.buffer} "
                    f"[{other.offset:#x}, {other.offset + other.size:#x}) live together from statement {p.birth}"
                )
        live[p.buffer] = p
