"""An ImportProblem is the one error that reading a model file ends with."""

from __future__ import annotations

from glowviz.compiler.problem import Problem, told

__all__ = ["ImportProblem", "told"]

RE_EXPORT = "The file is inconsistent: export it again, or ask whoever made it"


class ImportProblem(Problem):
    """A file that is not taken: what is wrong, where in it, what was expected, what to do."""


class UnfitProblem(ImportProblem):
    """An op does not take operands of these types: in a branch that no run takes, that does no harm."""
