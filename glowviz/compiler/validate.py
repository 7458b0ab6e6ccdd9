"""Before = after: how far two snapshots differ, which pass made the difference, and which single rewrite."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from glowviz.compiler.graph import Graph
from glowviz.compiler.interpreter import Memo, run_graph, run_program, sample_inputs
from glowviz.compiler.narrow import fewest, steps_between
from glowviz.compiler.ops.bodies import nodes_inside
from glowviz.compiler.ops.chance import Chance
from glowviz.compiler.problem import Problem
from glowviz.compiler.program import Instr, Program
from glowviz.compiler.recording.records import Change
from glowviz.compiler.rewrite import Pass, PassLog, firing_limit
from glowviz.compiler.target import Target

Snapshot = Graph | Program
Arrays = Mapping[str, np.ndarray]
DEFAULT_TOLERANCE = 2e-5
"""Of max |value|: what f32 arithmetic in another order may change over a whole network."""

ROUNDING = 8.0
"""How many times the error against double precision may grow where a pass changes the order of roundings."""


class ValidationProblem(Problem):
    """Two snapshots that cannot be compared, or a search that has nothing to find."""


@dataclass(frozen=True, slots=True)
class OutputDifference:
    """One public output of two snapshots."""

    public: str
    absolute: float
    """max |after - before|; infinite where one is NaN or infinite and the other is not, or shapes differ."""
    scale: float
    """max |before|."""
    worst: tuple[int, ...]
    """Index of the largest difference."""
    unequal: int
    """Elements that are not bit for bit the same number."""

    @property
    def relative(self) -> float:
        """max |difference| / max |before|; the absolute one where everything before was 0."""
        return self.absolute / self.scale if self.scale else self.absolute


@dataclass(frozen=True, slots=True)
class Difference:
    """How far two snapshots differ on the same inputs."""

    outputs: tuple[OutputDifference, ...]

    @property
    def worst(self) -> OutputDifference | None:
        """The output that differs most, relative to its own size; None without outputs."""
        return max(self.outputs, key=lambda o: o.relative, default=None)

    @property
    def relative(self) -> float:
        """The largest relative difference of any output."""
        return self.worst.relative if self.worst is not None else 0.0

    @property
    def exact(self) -> bool:
        """Every element of every output is the same number."""
        return not any(o.unequal for o in self.outputs)

    def within(self, tolerance: float) -> bool:
        """Equal enough; a tolerance of 0 asks for the same numbers bit for bit."""
        return self.exact if tolerance == 0 else self.relative <= tolerance

    def __str__(self) -> str:
        worst = self.worst
        if worst is None or self.exact:
            return "exactly equal"
        index = ", ".join(map(str, worst.worst))
        return (
            f"output {worst.public!r} differs by {worst.absolute:.3g} at [{index}], "
            f"{worst.relative:.3g} of its largest value {worst.scale:.3g}"
        )


def compare(
    before: Snapshot,
    after: Snapshot,
    inputs: Arrays | None = None,
    seed: int = 0,
    memo: Memo | None = None,
) -> Difference:
    """Run both on the same inputs (random ones of `seed` if none are given) and compare every public output.

    With a `memo`, Graphs share all results whose op and operands did not change.
    """
    feeds = inputs_of(before, seed) if inputs is None else inputs
    memo = memo if memo is not None else Memo()
    return differences(outputs_of(before, feeds, memo), outputs_of(after, feeds, memo))


def inputs_of(snapshot: Snapshot, seed: int = 0) -> dict[str, np.ndarray]:
    """Random inputs; those of a Program are as its buffers say (give a Graph's where indices matter)."""
    if isinstance(snapshot, Graph):
        return sample_inputs(snapshot, seed)
    return sample_inputs(Graph(inputs={b.name: b.type for b in snapshot.of_kind("input")}), seed)


def outputs_of(snapshot: Snapshot, inputs: Arrays, memo: Memo | None = None) -> dict[str, np.ndarray]:
    """What a snapshot computes, by the interpreter: its outputs, and as `next NAME` the states that it renews."""
    states: dict[str, np.ndarray] = {}
    if isinstance(snapshot, Graph):
        found = run_graph(snapshot, inputs, memo=memo, states=states)
    else:
        found = run_program(snapshot, inputs, states=states)
    return found | {f"next {name}": states[name] for name in snapshot.updates}


def refuse_chance(graph: Snapshot) -> None:
    """ValidationProblem for a Graph whose results are others at every run."""
    nodes = nodes_inside(graph) if isinstance(graph, Graph) else ()
    name = next((n.name for n in nodes if isinstance(n.op, Chance) and getattr(n.op, "seed", 0) is None), None)
    if name is not None:
        raise ValidationProblem(f"%{name} is random, so no two runs are equal", "the model",
                                "the same numbers at every run", "Give its node a seed")


def differences(before: Arrays, after: Arrays) -> Difference:
    """Every output of `before` against the one of the same name; ValidationProblem where names differ."""
    if set(before) != set(after):
        gone, new = sorted(set(before) - set(after)), sorted(set(after) - set(before))
        raise ValidationProblem(
            f"the public outputs are not the same: gone {gone}, new {new}", "the two snapshots",
            "the same public names", "No pass may rename an output; glowviz bisect MODEL finds which one did",
        )
    return Difference(tuple(difference(name, before[name], after[name]) for name in before))


def keeps(
    before: Snapshot, after: Snapshot, inputs: Arrays, found: Difference, tolerance: float, model: Graph | None = None
) -> bool:
    """Whether a difference that was `found` is within the tolerance, or comes from rounding alone.

    A deep network may blow up the last bits of one f32 result. A pass that promises a tolerance above 0 also keeps it
    where the f32 error after it is at most ROUNDING times the one before, against double precision (of `model`, for
    Programs), and where two Graphs agree that well in double precision.
    """
    graph = before if isinstance(before, Graph) else model
    if found.within(tolerance) or tolerance == 0 or graph is None:
        return found.within(tolerance)
    exact = run_graph(graph, inputs, precision="f64")
    if isinstance(after, Graph) and not differences(exact, run_graph(after, inputs, precision="f64")).within(tolerance):
        return False
    results = [outputs_of(snapshot, inputs) for snapshot in (before, after)]
    errors = [differences(exact, {name: given[name] for name in exact}).relative for given in results]
    return errors[1] <= ROUNDING * errors[0]


def difference(public: str, before: Any, after: Any) -> OutputDifference:
    """One content against another; NaN equals NaN and an infinity equals itself, strings are equal or not."""
    before, after = (np.asarray(one) if isinstance(one, np.generic) else one for one in (before, after))
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        items = [difference(public, *pair) for pair in zip(before, after, strict=True)]
        return max(items, key=lambda o: (o.relative, o.unequal), default=OutputDifference(public, 0.0, 0.0, (), 0))
    if not (isinstance(before, np.ndarray) and isinstance(after, np.ndarray)):
        return OutputDifference(public, *((0.0, 0.0, (), 0) if before is after else (np.inf, 0.0, (), 1)))
    if before.shape == after.shape and before.dtype == object:
        unequal = int((before != after).sum())
        return OutputDifference(public, np.inf if unequal else 0.0, 0.0, (), unequal)
    if before.shape != after.shape:
        return OutputDifference(public, np.inf, 0.0, (), max(before.size, after.size))
    if not before.size:
        return OutputDifference(public, 0.0, 0.0, (), 0)
    old, new = before.astype(np.float64), after.astype(np.float64)
    same = (old == new) | (np.isnan(old) & np.isnan(new))
    with np.errstate(all="ignore"):
        apart = np.where(same, 0.0, np.abs(new - old))
    apart = np.where(np.isnan(apart), np.inf, apart)
    worst = np.unravel_index(int(np.argmax(apart)), apart.shape)
    finite = np.abs(old[np.isfinite(old)])
    scale = float(finite.max()) if finite.size else 0.0
    return OutputDifference(
        public, float(apart[worst]), scale, tuple(int(i) for i in worst), int(np.count_nonzero(~same))
    )


@dataclass(frozen=True)
class BadPass:
    """The first snapshot whose outputs are wrong, and the last one whose outputs are right."""

    position: int
    name: str
    before: Snapshot
    after: Snapshot
    difference: Difference


def bisect_passes(
    snapshots: Sequence[tuple[str, Snapshot]], inputs: Arrays | None = None, tolerance: float = DEFAULT_TOLERANCE,
    seed: int = 0, wanted: Arrays | None = None,
) -> BadPass | None:
    """The first of (name, snapshot) pairs whose outputs differ from the first one's; None where the last is right.

    `wanted` are outputs to hold them against instead; the first snapshot may then be the wrong one itself. Binary
    search: a difference that a later snapshot takes back may be missed. Names are those of the passes that
    made the snapshots; the first one is the model as imported. Programs and Graphs may be mixed.
    """
    if not snapshots:
        raise ValidationProblem("there are no snapshots to search", "bisect", "at least the imported graph")
    first = snapshots[0][1]
    feeds = inputs_of(first, seed) if inputs is None else inputs
    memo = Memo()
    wanted = outputs_of(first, feeds, memo) if wanted is None else wanted

    def off(position: int) -> Difference:
        return differences(wanted, outputs_of(snapshots[position][1], feeds, memo))

    found = off(len(snapshots) - 1)
    if found.within(tolerance):
        return None
    start = off(0)
    if not start.within(tolerance):
        return BadPass(0, snapshots[0][0], first, first, start)
    right, wrong = 0, len(snapshots) - 1
    while wrong - right > 1:
        middle = (right + wrong) // 2
        there = off(middle)
        if there.within(tolerance):
            right = middle
        else:
            wrong, found = middle, there
    return BadPass(wrong, snapshots[wrong][0], snapshots[right][1], snapshots[wrong][1], found)


def first_broken(
    snapshots: Sequence[tuple[str, Snapshot]], promised: Callable[[str], float], inputs: Arrays | None = None,
    seed: int = 0,
) -> BadPass | None:
    """The first of (name, snapshot) pairs that differs from the one before it by more than its pass has `promised`.

    Every pass is held to its own promise, whatever those before it changed within theirs.
    """
    feeds = inputs_of(snapshots[0][1], seed) if inputs is None and snapshots else inputs or {}
    if snapshots:
        refuse_chance(snapshots[0][1])
    memo = Memo()
    wanted: dict[str, np.ndarray] | None = None
    for position in range(1, len(snapshots)):
        (_, before), (name, after) = snapshots[position - 1 : position + 1]
        if after is before:
            continue
        old = outputs_of(before, feeds, memo) if wanted is None else wanted
        wanted = outputs_of(after, feeds, memo)
        found = differences(old, wanted)
        model = snapshots[0][1] if isinstance(snapshots[0][1], Graph) else None
        if not keeps(before, after, feeds, found, promised(name), model):
            return BadPass(position, name, before, after, found)
    return None


@dataclass(frozen=True)
class BadRewrite:
    """The one firing after which the outputs are wrong: its record, and the snapshots just before and after it."""

    number: int
    """Counted from 1, as the pass fired, or as its changes stand in the IR."""
    change: Change
    before: Snapshot
    after: Snapshot
    difference: Difference
    parts: tuple[str, ...] = ()
    """What was changed, in words: the fewest changes that still make the outputs wrong."""


def bisect_rewrites(
    snapshot: Snapshot,
    one: Pass,
    inputs: Arrays | None = None,
    tolerance: float | None = DEFAULT_TOLERANCE,
    target: Target | None = None,
    options: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> BadRewrite | None:
    """Replay a pass with fewer and fewer firings of its rules, or with fewer and fewer of the changes it makes.

    A `tolerance` of None is the pass's own promise. None where the pass does no harm.
    """
    search = _Search(snapshot, one, inputs_of(snapshot, seed) if inputs is None else inputs,
                     one.tolerance if tolerance is None else tolerance, target, options or {})
    whole, log = search.replay(None)
    if not search.wrong(whole):
        return None
    if not log.changes or search.wrong(search.replay(0)[0]):
        return search.narrowed(snapshot, whole, log)
    right, wrong = 0, len(log.changes)
    while wrong - right > 1:
        middle = (right + wrong) // 2
        if search.wrong(search.replay(middle)[0]):
            wrong = middle
        else:
            right = middle
    before, (after, record) = search.replay(right)[0], search.replay(wrong)
    if search.wrong(before) or not search.wrong(after):
        return search.narrowed(snapshot, whole, log)  # how often the rules may fire is not all that counts
    parts = search.narrowed(before, after, record).parts
    return BadRewrite(wrong, record.changes[-1], before, after, search.off(after), parts)


@dataclass
class _Search:
    """What is wanted of a pass, and how to ask whether it is so."""

    snapshot: Snapshot
    one: Pass
    feeds: Arrays
    tolerance: float
    target: Target | None
    options: Mapping[str, Any]
    memo: Memo = field(default_factory=Memo)

    def __post_init__(self) -> None:
        self.wanted = outputs_of(self.snapshot, self.feeds, self.memo)

    def replay(self, limit: int | None) -> tuple[Snapshot, PassLog]:
        with firing_limit(limit):
            return self.one.run(self.snapshot, self.target, **self.options)

    def off(self, result: Snapshot) -> Difference:
        return differences(self.wanted, outputs_of(result, self.feeds, self.memo))

    def wrong(self, result: Snapshot) -> bool:
        return not self.off(result).within(self.tolerance)

    def narrowed(self, before: Snapshot, after: Snapshot, log: PassLog) -> BadRewrite:
        """The fewest changes from `before` that still do the harm; told by a record of the pass where it has one."""
        steps = steps_between(before, after)

        def shows(chosen: Sequence[str]) -> bool:
            part = steps.apply(chosen)
            try:
                return part is not None and self.wrong(part)
            except Problem:  # what cannot run shows nothing
                return False

        whole = bool(steps.units) and shows(steps.units)
        units = fewest(steps.units, shows) if whole else steps.units
        made = steps.apply(units) if whole else after
        names = tuple(dict.fromkeys(name for unit in units for name in steps.names(unit)))
        parts = tuple(steps.told(unit) for unit in units)
        change = next((c for c in log.changes if {c.anchor, *c.changed, *c.removed, *c.added} & set(names)), None)
        if change is None:
            anchor = names[0] if names else ""
            change = Change(self.one.name, anchor, "; ".join(parts[:3]), changed=names)
        number = 1 + (steps.units.index(units[0]) if units else 0)
        return BadRewrite(number, change, before, made, self.off(made), parts)


def first_value(
    before: Snapshot, after: Snapshot, inputs: Arrays, tolerance: float
) -> tuple[OutputDifference, Any, Any] | None:
    """The first value of both, in the order of `before`, that is another one: the difference, expected and found.

    Numbers are those at the worst index; of arrays of different shapes, the shapes. None where all are equal.
    """
    old, new = (values_of(snapshot, inputs) for snapshot in (before, after))
    for name in (name for name in old if name in new):
        found = difference(name, old[name], new[name])
        if not Difference((found,)).within(tolerance):
            if getattr(old[name], "shape", ()) != getattr(new[name], "shape", ()):
                return found, list(old[name].shape), list(new[name].shape)
            return found, _at(old[name], found.worst), _at(new[name], found.worst)
    return None


def _at(content: Any, index: tuple[int, ...]) -> Any:
    return content[index] if isinstance(content, np.ndarray) and content.size else content


def values_of(snapshot: Snapshot, inputs: Arrays) -> dict[str, Any]:
    """Every value by name, in the order they are made, and then as `return NAME` the outputs.

    Of a Program, what the instruction that makes a value wrote.
    """
    found: dict[str, Any] = {}
    if isinstance(snapshot, Graph):
        outputs = run_graph(snapshot, inputs, watch=lambda _, made: found.update(made))
        return found | {f"return {name}": array for name, array in outputs.items()}

    def written(instr: Instr, made: Arrays) -> None:
        if instr.value and instr.outs[0] in made:
            found[instr.value] = made[instr.outs[0]]

    outputs = run_program(snapshot, inputs, watch=written)
    return found | {f"return {name}": array for name, array in outputs.items()}
