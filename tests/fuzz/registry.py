"""Every operator that the generator knows, to the function that adds one to a growing model."""

from __future__ import annotations

from collections.abc import Callable

from tests.fuzz.growing import Growing

Rule = Callable[[Growing, str], None]
OPERATORS: dict[str, Rule] = {}


def operator(*names: str) -> Callable[[Rule], Rule]:
    """Register a rule for these op types."""

    def register(rule: Rule) -> Rule:
        OPERATORS.update(dict.fromkeys(names, rule))
        return rule

    return register
