"""A Problem is an error written for a person: what is wrong, where, what was expected, and what to do."""

from __future__ import annotations

NAME_LIMIT = 120
"""Characters of a name from a file that a message repeats."""


class Problem(ValueError):
    """One refused input. `str()` is one line; the four parts stand by themselves for a card on the page."""

    def __init__(self, what: str, where: str = "", expected: str = "", do: str = "") -> None:
        super().__init__(what, where, expected, do)  # all four are args, so that it survives pickling
        self.what, self.where, self.expected, self.do = what, where, expected, do

    def __str__(self) -> str:
        parts = [self.what, f"In {self.where}" if self.where else ""]
        parts += [f"Expected {self.expected}" if self.expected else "", self.do]
        return " ".join(part if part.endswith((".", "?", "…")) else part + "." for part in parts if part)


def told(name: str) -> str:
    """A name from a file as a message shows it: control characters escaped, very long ones cut in the middle."""
    if name and len(name) <= NAME_LIMIT and name.isprintable():
        return name
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)
    if len(shown) > NAME_LIMIT:
        half = NAME_LIMIT // 2 - 1
        shown = f"{shown[:half]}…{shown[-half:]}"
    return shown or "(empty name)"
