"""What a pass leaves behind besides its result: every firing with its reason, every refusal with its condition."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Literal

EXAMPLES = 100
"""Refusals kept by name per (rule, reason); the count goes on."""


@dataclass(frozen=True, slots=True)
class Change:
    """One firing of one rule: which nodes (or instructions, buffers) went and came, and why."""

    rule: str
    anchor: str
    reason: str
    removed: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    continues: Mapping[str, str] = field(default_factory=dict)
    """Old name to the name of the box that continues it on screen."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A rule that did not fire at a node: `keep` = pattern matched, condition failed; `miss` = pattern broken.

    For a miss, `expected` and `found` tell the neighbours, `stranger` names the value that was in the way.
    """

    rule: str
    anchor: str
    kind: Literal["keep", "miss"]
    reason: str
    expected: str = ""
    found: str = ""
    stranger: str = ""


@dataclass
class RefusalGroup:
    """All refusals of one rule for one reason (names in it replaced), counted, the first ones kept."""

    rule: str
    kind: str
    pattern: str
    count: int = 0
    examples: list[Refusal] = field(default_factory=list)


class PassLog:
    """Collects what happens during one pass; the records of a pass are part of its contract, not logging."""

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.groups: dict[tuple[str, str, str], RefusalGroup] = {}
        self.tried = 0
        """Anchors looked at."""
        self._seen: set[tuple[str, str, str]] = set()
        self._where = ""

    @contextmanager
    def inside(self, where: str) -> Iterator[None]:
        """What is recorded while the block runs happens in a body: its names stand behind `where/`."""
        before, self._where = self._where, f"{self._where}{where}/"
        try:
            yield
        finally:
            self._where = before

    def change(self, change: Change) -> None:
        self.changes.append(_moved(change, self._where) if self._where else change)

    def refuse(self, refusal: Refusal, pattern: str) -> None:
        """Keep a refusal once per rule, node and reason; `pattern` is the reason without names, for grouping."""
        if self._where:
            stranger = self._where + refusal.stranger if refusal.stranger else ""
            refusal = replace(refusal, anchor=self._where + refusal.anchor, stranger=stranger)
        key = (refusal.rule, refusal.anchor, refusal.reason)
        if key in self._seen:
            return
        self._seen.add(key)
        group = self.groups.setdefault(
            (refusal.rule, refusal.kind, pattern), RefusalGroup(refusal.rule, refusal.kind, pattern)
        )
        group.count += 1
        if len(group.examples) < EXAMPLES:
            group.examples.append(refusal)


def _moved(change: Change, where: str) -> Change:
    """The change as it is told outside of the body it happened in."""

    def all_of(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(where + name for name in names)

    return replace(
        change, anchor=where + change.anchor, removed=all_of(change.removed), added=all_of(change.added),
        changed=all_of(change.changed), continues={where + old: where + new for old, new in change.continues.items()},
    )  # fmt: skip


_CURRENT: ContextVar[PassLog] = ContextVar("glowviz_pass_log")


def log() -> PassLog:
    """The log of the pass that runs now; outside of a pass a new one that nobody reads."""
    return _CURRENT.get(None) or PassLog()


@contextmanager
def logging_to(target: PassLog) -> Iterator[PassLog]:
    """Send what passes record to `target` while the block runs."""
    token = _CURRENT.set(target)
    try:
        yield target
    finally:
        _CURRENT.reset(token)
