"""step_between tells what a pass did to a graph, found by identity: verifier and recorder ask the same question."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress, count
from operator import is_not, not_
from weakref import ref

from glowviz.compiler.graph import Graph, Node

LEAST_GAP = 1e-6
"""Between the ranks of two neighbours; below it all nodes are numbered anew."""


@dataclass(frozen=True, slots=True, eq=False)
class GraphStep:
    """What a pass did to the nodes; thousands of unchanged ones cost next to nothing."""

    added: Mapping[str, Node]
    """New, or other than before under this name; in the order of the new graph."""
    gone: Mapping[str, Node]
    """Of before: not there any more, or replaced under this name."""
    in_order: bool
    """What both graphs have stands in the same order in both."""
    steady: bool
    """And so do the names that both have, whatever node they stand for."""
    ranks: Mapping[str, float]
    """Of all that is added, and of what stays but needs another rank, in the order of the new graph."""


def step_between(before: Graph, after: Graph) -> GraphStep:
    """What is different in `after`. Asked first, it is remembered there, and so are the makers and ranks of `after`."""
    known = after.__dict__.get("_step")
    if known is not None and known[0]() is before:
        return known[1]
    change = _Change(before.nodes, after.nodes, before.__dict__.pop("_lists", None))
    old = ranks_of(before)
    step = GraphStep(change.added(), change.gone(), change.in_order, change.steady, _new_ranks(change, old))
    if "makers" in before.__dict__ and "makers" not in after.__dict__:
        after.__dict__["makers"] = _carried_makers(before.makers, step)
    after.__dict__["_ranks"] = _carried_ranks(old, step)
    after.__dict__["_step"] = (ref(before), step)
    after.__dict__["_lists"] = change.names, change.nodes  # for the next step, which takes them away
    return step


def ranks_of(graph: Graph) -> dict[str, float]:
    """A number for each node that rises along the graph; a node that stays where it is keeps it from pass to pass."""
    known = graph.__dict__.get("_ranks")
    if known is None:
        known = graph.__dict__["_ranks"] = dict(zip(graph.nodes, map(float, count(1)), strict=False))
    return known


def _carried_makers(makers: dict[str, Node], step: GraphStep) -> dict[str, Node]:
    """The makers of the next graph, from those of the one before: copying is cheaper than asking every node."""
    carried = makers.copy()  # not dict(makers), which is slow after deletions
    for node in step.added.values():
        for result in node.results:
            carried[result] = node
    for node in step.gone.values():
        for result in node.results:
            if carried.get(result) is node:
                del carried[result]
    return carried


def _carried_ranks(ranks: dict[str, float], step: GraphStep) -> dict[str, float]:
    carried = ranks.copy()
    for name in step.gone:
        if name not in step.added:
            del carried[name]
    carried.update(step.ranks)
    return carried


class _Change:
    """Where two tables of nodes differ: `places` in the new one, `lost` places of the old one."""

    def __init__(
        self, old: Mapping[str, Node], new: Mapping[str, Node], old_lists: tuple[list[str], list[Node]] | None
    ) -> None:
        self.old, self.new = old, new
        self.names, self.nodes = list(new), list(new.values())
        self.old_names, self.old_nodes = old_lists or (list(old), list(old.values()))
        self.places: list[int] = []
        self.lost: list[int] = []
        self.in_order = self.steady = old is new or self._walk()
        if not self.steady:
            self._look_up()

    def added(self) -> dict[str, Node]:
        return {self.names[i]: self.nodes[i] for i in self.places}

    def gone(self) -> dict[str, Node]:
        return {self.old_names[k]: self.old_nodes[k] for k in self.lost}

    def _walk(self) -> bool:
        """Go along both at once; False where a name that both have has changed its place.

        Pairs of identical nodes are passed over without a line of Python: ten thousand of them take 0.3 ms.
        """
        ours, theirs = iter(self.nodes), iter(self.old_nodes)
        shift = old_shift = 0  # nodes that stand in one of them alone, so far
        i = k = -1  # the last pair of which the names were compared
        for pair in compress(count(), map(is_not, ours, theirs)):
            first, old_first = pair + shift, pair + old_shift
            if self.names[i + 1 : first] != self.old_names[k + 1 : old_first]:
                return False
            i, k = self._next_pair(first, old_first)
            if i < 0:
                return False
            for _ in range(i - first):
                next(ours, None)
            for _ in range(k - old_first):
                next(theirs, None)
            shift, old_shift = shift + i - first, old_shift + k - old_first
        alike = max(0, min(len(self.names) - i, len(self.old_names) - k) - 1)
        same = self.names[i + 1 : i + 1 + alike] == self.old_names[k + 1 : k + 1 + alike]
        return same and self._rest(i + 1 + alike, k + 1 + alike)

    def _next_pair(self, i: int, k: int) -> tuple[int, int]:
        """From two different nodes on, where both have the same name again; -1 where they do not."""
        while i < len(self.names) and k < len(self.old_names):
            name, old_name = self.names[i], self.old_names[k]
            if name == old_name:
                if self.nodes[i] is not self.old_nodes[k]:
                    self.places.append(i)
                    self.lost.append(k)
                return i, k
            if name not in self.old:
                self.places.append(i)
                i += 1
            elif old_name not in self.new:
                self.lost.append(k)
                k += 1
            else:
                return -1, -1
        return (len(self.names), len(self.old_names)) if self._rest(i, k) else (-1, -1)

    def _rest(self, i: int, k: int) -> bool:
        """All from here on stands in one of them alone."""
        names, old_names = self.names[i:], self.old_names[k:]
        self.places += range(i, len(self.names))
        self.lost += range(k, len(self.old_names))
        return self.old.keys().isdisjoint(names) and self.new.keys().isdisjoint(old_names)

    def _look_up(self) -> None:
        """The same by looking every name up in the other table."""
        other = list(map(is_not, self.nodes, map(self.old.get, self.names)))
        lost = list(map(is_not, self.old_nodes, map(self.new.get, self.old_names)))
        kept, old_kept = compress(self.names, map(not_, other)), compress(self.old_names, map(not_, lost))
        self.in_order = list(kept) == list(old_kept)
        self.places, self.lost = list(compress(count(), other)), list(compress(count(), lost))


def _new_ranks(change: _Change, old: Mapping[str, float]) -> dict[str, float]:
    """The rank of every node that needs one, in graph order."""
    if not change.in_order:
        return dict(_moved(change, old))
    between = _between(change, old)
    if between is None:  # there is no number left between two of the old ones
        return dict(_spread(change.names, 0.0, len(change.names) + 1.0))
    return between


def _between(change: _Change, old: Mapping[str, float]) -> dict[str, float] | None:
    """What is replaced where it stands keeps its rank; each run of others lies between those around it."""
    names = change.names
    ranks = dict.fromkeys([names[i] for i in change.places], 0.0)
    places = change.places
    if change.steady:
        ranks = {name: old.get(name, 0.0) for name in ranks}
        places = [i for i in places if names[i] not in old]
    for first, last in runs(places):
        low = old[names[first - 1]] if first else 0.0
        high = old[names[last + 1]] if last + 1 < len(names) else low + last - first + 2.0
        if high - low < LEAST_GAP:
            return None
        ranks.update(_spread(names[first : last + 1], low, high))
    return ranks


def _moved(change: _Change, old: Mapping[str, float]) -> Iterator[tuple[str, float]]:
    """The same where nodes that stay have changed places: those that stand too late get another rank."""
    added = set(change.places)
    waiting: list[str] = []
    low = 0.0
    for i, name in enumerate(change.names):
        rank = 0.0 if i in added else old[name]
        if rank > low:
            yield from _spread(waiting, low, rank)
            waiting = []
            low = rank
        else:
            waiting.append(name)
    yield from _spread(waiting, low, low + len(waiting) + 1.0)


def _spread(names: Sequence[str], low: float, high: float) -> Iterator[tuple[str, float]]:
    """Ranks for a run of nodes, evenly between those of its neighbours."""
    step = (high - low) / (len(names) + 1)
    return ((name, low + step * k) for k, name in enumerate(names, 1))


def runs(places: Sequence[int]) -> Iterator[tuple[int, int]]:
    """First and last of every run of neighbouring places."""
    first = last = -1
    for place in places:
        if place != last + 1 or first < 0:
            if first >= 0:
                yield first, last
            first = place
        last = place
    if first >= 0:
        yield first, last
