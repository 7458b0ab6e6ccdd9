"""A rule is a function that matches at an anchor op and returns the rewrite, or says why it does not apply."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from glowviz.compiler.graph import Constant, Graph, Node, Origin
from glowviz.compiler.ops.base import Op
from glowviz.compiler.recording.records import Change, Refusal, log
from glowviz.compiler.rewrite.edit import Build, Edit
from glowviz.compiler.types import TypeProblem


class Keep(Exception):
    """Pattern matched, condition failed. The text names the values and the condition."""


class Miss(Exception):
    """The pattern broke at a neighbour: what was looked for, what stood there, and the value in the way."""

    def __init__(self, expected: str, found: str, stranger: str) -> None:
        super().__init__(f"Looked for {expected}. Found {found}.")
        self.expected, self.found, self.stranger = expected, found, stranger


class DoesNotSettle(RuntimeError):
    """Rules of one pass undo each other for ever."""


@dataclass(frozen=True)
class Rewrite:
    """What a rule wants: `result` takes the place of the anchor's results.

    An Op stands where the anchor stood and defines the same values. A value name (one per result) replaces
    the anchor's results; where the name was just built, for a node or a constant, it takes over the old
    result's name.
    `absorbs` are nodes that disappear into the rewrite as soon as nobody else reads them.
    """

    result: Op | str | tuple[str, ...]
    reason: str
    absorbs: tuple[Node, ...] = ()
    continues: Mapping[str, str] = field(default_factory=dict)


RuleFunction = Callable[[Edit, Node], "Rewrite | None"]


@dataclass(frozen=True)
class Rule:
    """A rewrite with its name, its anchors and, in its docstring, the pattern it stands for."""

    name: str
    anchors: tuple[type[Op], ...]
    function: RuleFunction
    summary: str
    pass_name: str

    def __call__(self, edit: Edit, node: Node) -> Rewrite | None:
        return self.function(edit, node)


RULES: dict[str, Rule] = {}
"""Every rule by name."""


def rule(*anchors: type[Op]) -> Callable[[RuleFunction], Rule]:
    """Declare a rule that is tried at every node whose op is one of the anchors (or a subclass)."""

    def declare(function: RuleFunction) -> Rule:
        summary = (function.__doc__ or "").strip()
        pass_name = function.__module__.rsplit(".", 1)[-1]
        made = Rule(function.__name__, anchors, function, summary, pass_name)
        RULES[made.name] = made
        return made

    return declare


def expect(edit: Edit, value: str | None, *kinds: type[Op], role: str = "") -> Any:
    """The op that makes `value`, which must be one of `kinds`; otherwise the rule misses, and that is remembered."""
    op = edit.op(value)
    if isinstance(op, kinds):
        return op
    wanted = " or ".join(k.__name__ for k in kinds) + (f" {role}" if role else "")
    found = f"{op.name} %{value}" if op is not None else f"%{value}, which no node makes"
    raise Miss(wanted, found, value or "")


_LIMIT: ContextVar[int | None] = ContextVar("glowviz_firing_limit", default=None)


@contextmanager
def firing_limit(limit: int | None) -> Iterator[None]:
    """Passes stop after so many firings while the block runs: how a search finds the one rewrite that does harm."""
    token = _LIMIT.set(limit)
    try:
        yield
    finally:
        _LIMIT.reset(token)


_WATCH: ContextVar[Callable[[str, str], None] | None] = ContextVar("glowviz_attempts", default=None)


@contextmanager
def attempts_to(watch: Callable[[str, str], None]) -> Iterator[None]:
    """`watch(rule, node)` is called before each attempt while the block runs: a crash can be blamed on the last one."""
    token = _WATCH.set(watch)
    try:
        yield
    finally:
        _WATCH.reset(token)


def _may_fire() -> bool:
    limit = _LIMIT.get()
    return limit is None or len(log().changes) < limit


def apply(graph: Graph, rules: tuple[Rule, ...]) -> Graph:
    """The graph after the rules have fired everywhere they can, tried in order at every node until nothing changes."""
    by_op = _Dispatch(rules)
    edit = Edit(graph)
    queue = deque(node.name for node in graph if by_op[type(node.op)])
    waiting = set(queue)
    budget = 20 * len(graph) + 1000
    while queue and _may_fire():
        name = queue.popleft()
        waiting.discard(name)
        node = edit.node(name)
        if node is None:
            continue
        touched = _try_rules(edit, node, by_op[type(node.op)])
        for near in _neighbours(edit, touched, by_op):
            if near not in waiting:
                waiting.add(near)
                queue.append(near)
        budget -= bool(touched)
        if budget < 0:
            raise DoesNotSettle(f"rules {', '.join(r.name for r in rules)} still fire at %{name}: they undo each other")
    return edit.finish()


class _Dispatch(dict[type, tuple[Rule, ...]]):
    """Rules by op class, subclasses of anchors included."""

    def __init__(self, rules: tuple[Rule, ...]) -> None:
        self._rules = rules

    def __missing__(self, cls: type) -> tuple[Rule, ...]:
        self[cls] = found = tuple(r for r in self._rules if issubclass(cls, r.anchors))
        return found


def _try_rules(edit: Edit, node: Node, rules: tuple[Rule, ...]) -> list[str]:
    watch = _WATCH.get()
    for one in rules:
        log().tried += 1
        if watch is not None:
            watch(one.name, node.name)
        rewrite = attempt(edit, node, one)
        if rewrite is not None:
            return perform(edit, node, one, rewrite)
    return []


def attempt(edit: Edit, node: Node, one: Rule) -> Rewrite | None:
    """What a rule wants at a node; refusals are recorded with their reason."""
    edit.pending = None
    try:
        return one(edit, node)
    except Keep as keep:
        log().refuse(Refusal(one.name, node.name, "keep", str(keep)), anonymous(str(keep)))
    except Miss as miss:
        refusal = Refusal(one.name, node.name, "miss", str(miss), miss.expected, miss.found, miss.stranger)
        log().refuse(refusal, anonymous(str(miss)))
    except TypeProblem as problem:
        reason = f"the rewrite would not have a type: {problem}"
        log().refuse(Refusal(one.name, node.name, "keep", reason), anonymous(reason))
    return None


def anonymous(reason: str) -> str:
    """A reason without value names and numbers, so that equal reasons group."""
    return re.sub(r"\d+(\.\d+)?", "#", re.sub(r'%[\w.:/"-]+', "%…", reason))


def perform(edit: Edit, node: Node, one: Rule, rewrite: Rewrite) -> list[str]:
    """Carry out a rewrite and record it; returns the names of nodes that are new or changed."""
    if not _may_fire():
        edit.pending = None
        return []
    # absorbed nodes are listed from the anchor backwards; names stand in the order of the data
    origin = Origin.union(*(n.origin for n in reversed(rewrite.absorbs)), node.origin)
    label = _label(edit, node, rewrite)
    build, edit.pending = edit.pending, None
    touched: list[str] = []
    if build is not None:
        touched = _insert(edit, build, node, rewrite, origin, label)
    removed: list[str] = []
    readers: list[str] = []
    if isinstance(rewrite.result, Op):
        types = node.types
        edit.replace_node(node, Node(rewrite.result, node.results, types, origin, label))
        changed = (node.name,)
    else:
        readers = [user.name for result in node.results for user in edit.users(result)]
        changed = _redirect(edit, build, node, rewrite, removed, origin)
    removed += _absorb(edit, rewrite.absorbs)
    added = tuple(n for n in touched if n not in changed)
    log().change(
        Change(one.name, node.name, rewrite.reason, tuple(removed), added, changed, dict(rewrite.continues))
    )
    # who reads a value that became an input or a constant has no changed maker to be found by
    return [*touched, *changed, *readers]


def _label(edit: Edit, node: Node, rewrite: Rewrite) -> str:
    for old, new in rewrite.continues.items():
        continued = edit.node(old)
        if new == node.name and continued is not None and continued.label:
            return continued.label
    return node.label


def _insert(edit: Edit, build: Build, node: Node, rewrite: Rewrite, origin: Origin, label: str) -> list[str]:
    """Put the built nodes in front of the anchor; those that stand for its results take over their names."""
    wanted = () if isinstance(rewrite.result, Op) else _as_tuple(rewrite.result)
    if wanted and len(set(wanted)) == len(wanted) and all(build.makes(v) for v in wanted):
        for old, new in zip(node.results, wanted, strict=False):
            build.rename(new, old)
    settled = wanted if len(set(wanted)) == len(node.results) and build.constants.keys() >= set(wanted) else ()
    for constant in build.constants.values():
        if constant.name not in settled:
            edit.add_constant(constant)
    if settled:
        _become_constants(edit, [build.constants[v] for v in settled], node)
    for new in build.new.values():
        renewed = new.evolve(origin=origin, label=label)
        if renewed.name in node.results:
            edit.replace_node(node, renewed)
        else:
            edit.insert(renewed, before=node.name)
    return list(build.new)


def _become_constants(edit: Edit, constants: list[Constant], node: Node) -> None:
    """Constants that stand for all results of the anchor take over their names: the numbers are the same."""
    edit.remove(node)
    for constant, result in zip(constants, node.results, strict=True):
        edit.add_constant(replace(constant, name=result))


def _redirect(
    edit: Edit, build: Build | None, node: Node, rewrite: Rewrite, removed: list[str], origin: Origin
) -> tuple[str, ...]:
    """Make the anchor's users read the values that replace it, unless built nodes have taken over its names."""
    values = _as_tuple(rewrite.result)  # type: ignore[arg-type]  # not an Op here
    if edit.node(node.name) is None:
        removed.append(node.name)
        return ()
    if edit.node(node.name) is not node:
        return (node.name,)
    for old, new in zip(node.results, values, strict=False):
        if old != new:
            edit.rewire(old, new)
            edit.join_origin(new, origin)
    edit.remove(node)
    removed.append(node.name)
    return tuple(dict.fromkeys(m.name for v in values if (m := edit.maker(v)) is not None))


def _absorb(edit: Edit, absorbed: tuple[Node, ...]) -> list[str]:
    gone = []
    for node in absorbed:
        current = edit.node(node.name)
        if current is not None and not any(edit.use_count(r) for r in current.results):
            edit.remove(current)
            gone.append(node.name)
    return gone


def _as_tuple(result: str | tuple[str, ...]) -> tuple[str, ...]:
    return (result,) if isinstance(result, str) else result


def _neighbours(edit: Edit, touched: list[str], by_op: _Dispatch) -> list[str]:
    """Changed nodes, their users and their operands' makers: where a rule may fire now."""
    near: dict[str, None] = {}
    for name in touched:
        node = edit.node(name)
        if node is None:
            continue
        around = [node, *(u for r in node.results for u in edit.users(r))]
        around += [m for o in node.op.operands if (m := edit.maker(o)) is not None]
        near.update(dict.fromkeys(n.name for n in around if by_op[type(n.op)]))
    return list(near)


Verdict = Literal["fires", "keeps", "misses", "does not match", "other anchor", "not there"]


@dataclass(frozen=True)
class Explanation:
    """What a rule would do at a node of a snapshot, and why."""

    rule: str
    node: str
    verdict: Verdict
    reason: str
    expected: str = ""
    found: str = ""
    stranger: str = ""


def explain(one: Rule | str, node: str, graph: Graph) -> Explanation:
    """Try a rule at one node of a snapshot without changing anything; answers also for rules that never ran."""
    one = RULES[one] if isinstance(one, str) else one
    edit = Edit(graph)
    anchor = edit.node(node) or edit.maker(node)
    if anchor is None:
        return Explanation(one.name, node, "not there", f"%{node} is not in this snapshot")
    if not isinstance(anchor.op, one.anchors):
        wanted = " or ".join(a.__name__ for a in one.anchors)
        return Explanation(one.name, node, "other anchor", f"{one.name} starts at {wanted}; %{node} is {anchor.kind}")
    try:
        rewrite = one(edit, anchor)
    except Keep as keep:
        return Explanation(one.name, node, "keeps", str(keep))
    except Miss as miss:
        return Explanation(one.name, node, "misses", str(miss), miss.expected, miss.found, miss.stranger)
    except TypeProblem as problem:
        return Explanation(one.name, node, "keeps", f"the rewrite would not have a type: {problem}")
    if rewrite is None:
        return Explanation(one.name, node, "does not match", f"%{node} does not look like {one.summary}")
    return Explanation(one.name, node, "fires", rewrite.reason)
