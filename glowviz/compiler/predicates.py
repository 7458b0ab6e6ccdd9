"""What may be asked of a state besides its numbers: how much memory it needs, and whether a pattern occurs in it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from glowviz.compiler.graph import Graph
from glowviz.compiler.irgen import live_peak
from glowviz.compiler.ops import OPS
from glowviz.compiler.problem import Problem
from glowviz.compiler.program import Alloc, Dealloc, Program

State = Graph | Program
ARROW = ">"


class Predicate(Protocol):
    """A figure of a state, and when a step from one state to the next made it bad."""

    def measure(self, state: State) -> float | None:
        """The figure; None where the question makes no sense for this state."""
        ...

    def bad(self, before: float, after: float) -> bool:
        """Whether the step between two figures is the one that is looked for."""
        ...

    def told(self, before: float, after: float) -> str:
        """The step in words."""
        ...

    def of_part(self) -> Predicate:
        """The same question for a part of the graph, whose figures are smaller."""
        ...


@dataclass(frozen=True)
class Peak:
    """The largest live set: it passes `limit` bytes, or (without a limit) it grows at all."""

    limit: int | None = None

    def measure(self, state: State) -> float | None:
        """Bytes; of a graph in the order it stands, of a program as its allocs say."""
        return peak_of(state)[0]

    def bad(self, before: float, after: float) -> bool:
        return after > before if self.limit is None else after > self.limit >= before

    def told(self, before: float, after: float) -> str:
        limit = "" if self.limit is None else f", over the limit of {_bytes(self.limit)}"
        return f"the peak of live memory rose from {_bytes(before)} to {_bytes(after)}{limit}"

    def of_part(self) -> Peak:
        return Peak()


@dataclass(frozen=True)
class Pattern:
    """A chain of ops, each reading the one before it, appears (`present`) or disappears: "Conv > BatchNormalization".

    Capitals are looked for in graphs, lower case (conv > max_pool) in programs. `*` is any op; type:f16 behind the
    chain asks for the type of the last result.
    """

    query: str
    present: bool = True

    def __post_init__(self) -> None:
        chain = self.chain
        if not chain:
            raise Problem("The pattern names no op", repr(self.query), "Conv, or Conv > Relu, or conv > max_pool",
                          "Name at least one.")
        if len({name[0].isupper() for name in chain if name != "*"}) > 1:
            raise Problem(f"{self.query!r} mixes ops of graphs and instructions of programs", "the pattern",
                          "all in capitals (Conv > Relu) or all in lower case (conv > relu)", "Ask for one of them.")
        known = {*OPS, *(op.instruction for op in OPS.values())}
        for name in (name for name in chain if name != "*" and name not in known):
            near = difflib.get_close_matches(name, known, n=1)
            raise Problem(f"There is no op {name!r}", "the pattern", "a name of `glowviz ops`",
                          f"Did you mean {near[0]}?" if near else "")

    @property
    def chain(self) -> tuple[str, ...]:
        """The ops in the order they run."""
        words = [word for word in self.query.replace("→", ARROW).split() if not word.startswith("type:")]
        names = (part.strip().removeprefix("op:") for part in " ".join(words).split(ARROW))
        return tuple(name for name in names if name)

    @property
    def type(self) -> str:
        """Part of the text of the last result's type; "" = any."""
        return next((w.removeprefix("type:") for w in self.query.split() if w.startswith("type:")), "")

    def measure(self, state: State) -> float | None:
        """How often it occurs; None in a graph for a pattern of instructions, and the reverse."""
        of_graph = any(name[0].isupper() for name in self.chain if name != "*")
        of_program = any(name[0].islower() for name in self.chain if name != "*")
        if (isinstance(state, Graph) and of_program) or (isinstance(state, Program) and of_graph):
            return None
        return float(sum(self._matches(step) for step in _steps(state)))

    def _matches(self, step: _Step) -> bool:
        if self.type and self.type not in step.type:
            return False
        ends, last = [step], self.chain[-1]
        for wanted in reversed(self.chain[:-1]):
            ends = [source for one in ends if last in ("*", one.name) for source in one.reads]
            last = wanted
        return any(last in ("*", one.name) for one in ends)

    def bad(self, before: float, after: float) -> bool:
        return (before == 0) == self.present and (after == 0) != self.present

    def told(self, before: float, after: float) -> str:
        if self.present:
            return f"{self.query} occurs {int(after)} times, and did not occur before"
        return f"{self.query} does not occur any more; it occurred {int(before)} times"

    def of_part(self) -> Pattern:
        return self


@dataclass
class _Step:
    """A node or an instruction, with those whose results it reads."""

    name: str
    type: str
    reads: tuple[_Step, ...]


def _steps(state: State) -> Iterable[_Step]:
    makers: dict[str, _Step] = {}
    if isinstance(state, Graph):
        for node in state:
            reads = tuple(makers[o] for o in node.op.operands if o in makers)
            step = _Step(node.kind, str(node.type), reads)
            makers.update(dict.fromkeys(node.results, step))
            yield step
        return
    for instr in state.instructions:
        kind = str(state.buffers[instr.outs[0]].type) if instr.outs else ""
        step = _Step(instr.name, kind, tuple(makers[_root(state, b)] for b in instr.ins if _root(state, b) in makers))
        makers.update((_root(state, buffer), step) for buffer in instr.outs)
        yield step


def _root(program: Program, name: str) -> str:
    while (base := program.buffers[name].base) is not None:
        name = base
    return name


def peak_of(state: Any, most: int | None = None) -> tuple[int | None, str]:
    """Bytes of the live set at its largest, and what runs then; None for a graph of more than `most` nodes."""
    if isinstance(state, Graph):
        return live_peak(state, tuple(state)) if most is None or len(state) <= most else (None, "")
    live = peak = 0
    where = ""
    current = ""
    for statement in state.body:
        if isinstance(statement, Alloc):
            live += state.buffers[statement.buffer].bytes
        elif isinstance(statement, Dealloc):
            live -= state.buffers[statement.buffer].bytes
        else:
            current = getattr(statement, "value", "") or current
        if live > peak:
            peak, where = live, current
    return peak, where


def _bytes(count: float) -> str:
    return f"{count / 2**20:.4g} MiB" if count >= 2**20 else f"{count / 2**10:.4g} KiB"
