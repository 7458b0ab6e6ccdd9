"""Which pass, and which one rewrite in it, makes the peak grow, the run slower, or a pattern come or go."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from statistics import median
from typing import Any

from glowviz.compiler.backends import backend_named
from glowviz.compiler.backends.inputs import noise
from glowviz.compiler.cutout import cut_out, smallest_cut
from glowviz.compiler.graph import Graph
from glowviz.compiler.ledger import Ledger
from glowviz.compiler.pipeline import PRECISIONS, arranged, import_graph, lower_to_program, optimize, with_shapes
from glowviz.compiler.predicates import Pattern, Peak, Predicate
from glowviz.compiler.problem import Problem
from glowviz.compiler.program import Program
from glowviz.compiler.quiet import alone
from glowviz.compiler.recording.records import Change, PassLog
from glowviz.compiler.rewrite import PASSES, Pass, firing_limit

Steps = Sequence[tuple[str, Any]]
Progress = Callable[[float, str], None]
WINDOW, WINDOWS = 0.03, 7
"""Seconds of one window of runs, and how many are taken in turn of the two sides."""
SEVERAL = "It takes several rewrites of {} together, or what it does beside them."
OF_PROGRAM = "A part of a program cannot be cut out: the files hold the whole graph before irgen."


@dataclass(frozen=True)
class Culprit:
    """A pass, and where one can be named the rewrite in it (counted from 1), that does what was looked for."""

    position: int
    name: str
    told: str
    before: Any
    """The state that the pass was given."""
    rewrite: int = 0
    change: Change | None = None
    note: str = ""
    """Why there is no single rewrite to name, or no part that shows it."""
    part: Graph | None = None
    """The smallest part found on which the pass still does it; of a program pass, the whole graph before irgen."""

    @property
    def on_programs(self) -> bool:
        return not isinstance(self.before, Graph) or self.name not in PASSES


def bisect_states(
    steps: Steps, predicate: Predicate, target: str = "cpu", threads: int = 1,
    options: Mapping[str, Mapping[str, Any]] | None = None, progress: Progress = lambda share, text: None,
) -> Culprit | None:
    """The first of (pass, state) pairs at which the predicate's figure turns bad, down to the rewrite and a part.

    A state is held against the last one before it that the question makes sense for, of its own kind (graph or
    program), except for a limit of memory, which goes on from graphs to programs.
    """
    across = isinstance(predicate, Peak) and predicate.limit is not None
    last: dict[bool, float] = {}
    for position, (name, state) in enumerate(steps):
        if position and state is steps[position - 1][1]:
            continue
        progress(0.1 + 0.5 * position / len(steps), f"Bisect: {name}")
        found, kind = predicate.measure(state), isinstance(state, Graph) or across
        if found is None:
            continue
        if not kind and isinstance(predicate, Pattern):
            last.setdefault(kind, 0.0)  # before irgen there is no instruction at all
        if kind in last and predicate.bad(last[kind], found):
            culprit = Culprit(position, name, predicate.told(last[kind], found), steps[position - 1][1],
                              part=last_graph(steps[:position]))
            progress(0.7, f"Bisect: rewrites of {name}")
            return _narrowed(culprit, predicate, _replay_of(culprit, target, threads, options or {}))
        last[kind] = found
    return None


def last_graph(steps: Steps) -> Graph | None:
    """The newest graph: what can be written down of a fault in a program."""
    return next((state for _, state in reversed(steps) if isinstance(state, Graph)), None)


Replay = Callable[[Any, int | None], tuple[Any, list[Change]]]
"""State, how often the rules may fire → the state after the pass, and its changes."""


def _replay_of(
    culprit: Culprit, target: str, threads: int, options: Mapping[str, Mapping[str, Any]]
) -> Replay | None:
    """How to run the pass again; None for a stage that is no pass of rewrites."""
    backend = backend_named(target, threads)
    own = {one.name: one for level in ("graph", "lowered", "program") for one in backend.passes(level)}
    one: Pass | None = PASSES.get(culprit.name) or own.get(culprit.name)

    def replay(state: Any, limit: int | None) -> tuple[Any, list[Change]]:
        assert one is not None
        with firing_limit(limit):
            after, log = one.run(state, backend.target, **options.get(culprit.name, {}))
        return after, list(log.changes)

    return replay if one is not None else None


def _narrowed(culprit: Culprit, predicate: Predicate, replay: Replay | None) -> Culprit:
    """The culprit with its one rewrite, and the smallest part of the graph on which it still happens."""
    if replay is None:
        return replace(culprit, note=f"{culprit.name} is no pass of rewrites, so there is no single one to name.")
    origin = predicate.measure(culprit.before) or 0.0

    def is_bad(state: Any) -> bool:
        return predicate.bad(origin, predicate.measure(state) or 0.0)

    changes = replay(culprit.before, None)[1]
    number = _first_bad(len(changes), lambda limit: is_bad(replay(culprit.before, limit)[0]))
    if number is None:
        relaxed = predicate.of_part()
        moves = [relaxed.measure(replay(culprit.before, limit)[0]) or 0.0 for limit in range(min(len(changes), 60) + 1)]
        number = next((k + 1 for k, (old, new) in enumerate(pairwise(moves)) if relaxed.bad(old, new)), None)
    if number is None:
        return replace(culprit, note=SEVERAL.format(culprit.name))
    change = replay(culprit.before, number)[1][-1]
    found = replace(culprit, rewrite=number, change=change)
    if found.on_programs:
        return replace(found, note=OF_PROGRAM)
    return _cut(found, partial(shows, predicate.of_part(), replay))


def shows(predicate: Predicate, replay: Replay, part: Graph) -> bool:
    """Whether the pass does to a part what it did to the whole."""
    with suppress(Exception):  # a pass that falls over on a part does not show this
        figures = [predicate.measure(state) for state in (part, replay(part, None)[0])]
        return None not in figures and predicate.bad(*figures)  # type: ignore[arg-type]  # neither is None
    return False


def _cut(found: Culprit, does: Callable[[Graph], bool]) -> Culprit:
    assert found.change is not None
    names = dict.fromkeys((found.change.anchor, *found.change.changed, *found.change.removed))
    part = smallest_cut(found.before, names, does)
    note = "" if part is not None else f"No part alone shows it: the files hold all that {found.name} was given."
    return replace(found, part=part or found.before, note=note)


def _first_bad(count: int, is_bad: Callable[[int], bool]) -> int | None:
    """The least number of rewrites after which it is bad, by halving; None where 0 are, or all are not."""
    if not count or is_bad(0) or not is_bad(count):
        return None
    right, wrong = 0, count
    while wrong - right > 1:
        middle = (right + wrong) // 2
        if is_bad(middle):
            wrong = middle
        else:
            right = middle
    return wrong


# -- time -----------------------------------------------------------------------------------------------------------


@dataclass
class _Limited(Ledger):
    """Runs all passes, but the rules of one step may fire only so often; with 0 the step is left out."""

    position: int = -1
    limit: int | None = None
    count: int = 0
    changes: list[Change] = field(default_factory=list)

    def run(self, name: str, stage: str, ir: Any) -> Any:
        self.count += 1  # the imported graph is 0
        if self.count != self.position or self.limit is None:
            return super().run(name, stage, ir)
        if self.limit == 0:
            return ir
        with firing_limit(self.limit):
            return super().run(name, stage, ir)

    def perform(self, name: str, stage: str, level: str, work: Callable[[], tuple[Any, PassLog]], summary: str) -> Any:
        self.count += 1
        return super().perform(name, stage, level, work, summary)

    def _timed(self, one: Pass, ir: Any, step: Any) -> Any:
        after, log = super()._timed(one, ir, step)
        if self.count == self.position:
            self.changes = list(log.changes)
        return after, log


@dataclass(frozen=True)
class Compilation:
    """All choices of one compilation, to be made again with one step limited."""

    source: Any
    shapes: Mapping[str, tuple[int, ...]] | None = None
    target: str = "cpu"
    threads: int = 1
    disable: tuple[str, ...] = ()
    options: Mapping[str, Mapping[str, Any]] | None = None
    order: Any = None
    precision: str = "f32"

    def steps(self) -> list[tuple[str, Any]]:
        """Every (pass, state)."""
        kept: list[tuple[str, Any]] = []
        self._lowered(self._ledger(-1, None, kept))
        return kept

    def limited(self, position: int, limit: int | None) -> tuple[Any, list[Change]]:
        """Machine code with the rules of one step limited, and what that step changed."""
        ledger = self._ledger(position, limit, None)
        program, plan = self._lowered(ledger)
        return backend_named(self.target, self.threads).build(program, plan), ledger.changes

    def _ledger(self, position: int, limit: int | None, kept: list[tuple[str, Any]] | None) -> _Limited:
        backend = backend_named(self.target, self.threads)
        return _Limited(backend.target, None, frozenset(self.disable), with_shapes(self.options, self.shapes),
                        snapshots=kept, position=position, limit=limit)

    def _lowered(self, ledger: Ledger) -> tuple[Program, Any]:
        backend = backend_named(self.target, self.threads)
        stages = (*arranged(self.order), *PRECISIONS[self.precision])
        graph = optimize(import_graph(self.source, self.shapes, ledger), ledger, backend, stages)
        return lower_to_program(graph, ledger, backend)


def bisect_time(
    compilation: Compilation, percent: float, progress: Progress = lambda share, text: None
) -> Culprit | None:
    """The pass without which the run is faster by more than `percent`, beyond the spread of both: the worst of them.

    Each optional pass that changes something is left out of an otherwise equal compilation; both sides are timed in
    windows in turn, alone on this machine. Its rewrites are then limited to fewer and fewer.
    """
    steps = compilation.steps()
    whole, _ = compilation.limited(-1, None)
    worst: tuple[float, Culprit] | None = None
    tried = [k for k, ((_, old), (name, new)) in enumerate(pairwise(steps), 1)
             if new is not old and name in PASSES and not PASSES[name].required]
    for at, position in enumerate(tried):
        name = steps[position][0]
        progress(0.1 + 0.6 * at / len(tried), f"Bisect: timing without {name} (pass {position})")
        try:
            without, _ = compilation.limited(position, 0)
        except Problem:  # later passes rely on it here
            continue
        share, told = _slowdown(whole, without, percent)
        if told and (worst is None or share > worst[0]):
            worst = share, Culprit(position, name, told, steps[position - 1][1], part=last_graph(steps[:position]))
    return None if worst is None else _slow_rewrite(compilation, worst[1], percent, progress)


def _slow_rewrite(compilation: Compilation, found: Culprit, percent: float, progress: Progress) -> Culprit:
    progress(0.8, f"Bisect: rewrites of {found.name}")
    without, _ = compilation.limited(found.position, 0)
    _, changes = compilation.limited(found.position, None)

    def is_slow(limit: int) -> bool:
        return bool(limit) and bool(_slowdown(compilation.limited(found.position, limit)[0], without, percent)[1])

    number = _first_bad(len(changes), is_slow)
    if number is None:
        return replace(found, note=SEVERAL.format(found.name))
    change = compilation.limited(found.position, number)[1][-1]
    found = replace(found, rewrite=number, change=change)
    if found.on_programs or found.before.maker(change.anchor) is None:
        return replace(found, note=OF_PROGRAM if found.on_programs else "")
    # a part is not minimised by time, which would take hundreds of compilations
    return replace(found, part=cut_out(found.before, change.anchor))


def _slowdown(slow: Any, fast: Any, percent: float) -> tuple[float, str]:
    """How much longer one runs than the other (0.1 = 10 %), and in words where that is beyond both spreads."""
    sides = [slow, fast]
    samples: list[list[float]] = [[], []]
    feeds = [noise(side.program) for side in sides]
    for side, feed in zip(sides, feeds, strict=True):
        side.run(feed)
    with alone():
        for _ in range(WINDOWS):
            for k, side in enumerate(sides):
                samples[k].append(_window(side, feeds[k]))
    one, other = (median(side) for side in samples)
    around = sum((sorted(side)[-2] - sorted(side)[1]) / 2 for side in samples)
    share = one / other - 1
    if share <= percent / 100 or one - other <= around:
        return share, ""
    return share, f"a run takes {1e3 * one:.4g} ms with it and {1e3 * other:.4g} ms without (±{1e3 * around:.2g} ms)"


def _window(executable: Any, feed: Any) -> float:
    """Seconds of one run: the least of those in a window."""
    end, best = time.perf_counter() + WINDOW, float("inf")
    while time.perf_counter() < end or best == float("inf"):
        started = time.perf_counter()
        executable.run(feed)
        best = min(best, time.perf_counter() - started)
    return best


def slower(graph: Graph, name: str, percent: float, target: str = "cpu") -> str:
    """Whether a graph's code is slower with a pass than without it, in words; "" where it is not."""
    whole, _ = Compilation(graph, target=target).limited(-1, None)
    without, _ = Compilation(graph, target=target, disable=(name,)).limited(-1, None)
    return _slowdown(whole, without, percent)[1]
