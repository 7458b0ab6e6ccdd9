"""The life of a value is the list of things that passes did to it, read from their own records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Event:
    """One thing that happened to a value: at which snapshot, in which pass, by which rule, and why."""

    snapshot: int
    pass_name: str
    kind: str
    """born, changed, absorbed another, merged into another, removed."""
    rule: str
    reason: str
    other: tuple[str, ...] = ()
    """The nodes it became, came from or absorbed."""


class Version(Protocol):
    """What a birth needs to know of the first version of a node."""

    @property
    def born(self) -> int: ...
    @property
    def origin(self) -> tuple[str, ...]: ...
    @property
    def made(self) -> tuple[str, ...]: ...
    @property
    def op(self) -> str: ...


def birth(first: Version, pass_names: Mapping[int, str]) -> Event:
    """Born at import from its ONNX node, or made by a pass."""
    pass_name = pass_names.get(first.born, "")
    if first.origin:
        reason = f"from ONNX {', '.join(first.origin)} ({first.op})"
    else:
        reason = f"made by {first.made[0]} for %{first.made[1]}" if first.made else f"a {first.op}"
    return Event(first.born, pass_name, "born", "", reason, first.origin)


def events_of(change: Mapping[str, Any], name: str) -> list[Event]:
    """What one rule firing means for one node; [] when it does not name it."""
    head = (change["snapshot"], change["pass_name"])
    tail = (change["rule"], change["reason"])
    heirs = (*change["changed"], *change["added"])
    if name in change["removed"]:
        heir = change["continues"].get(name)
        kind = "merged" if heirs else "removed"
        return [Event(*head, kind, *tail, (heir,) if heir else heirs)]
    if name in change["changed"]:
        return [Event(*head, "absorbed" if change["removed"] else "changed", *tail, change["removed"])]
    if name in change["added"]:
        return [Event(*head, "added", *tail, (*change["removed"], change["anchor"]))]
    return []
