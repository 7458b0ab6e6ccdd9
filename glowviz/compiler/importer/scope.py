"""A Scope says what names mean inside a graph, a branch or the body of a function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from onnx import AttributeProto

from glowviz.compiler.importer.problem import RE_EXPORT, ImportProblem, told
from glowviz.compiler.importer.sketch import Sketch


@dataclass
class Scope:
    """Names of the file to values of the sketch. The outermost scope renames nothing."""

    versions: Mapping[str, int]
    outer: Scope | None = None
    """A branch sees its surroundings; a function body does not."""
    rename: dict[str, str] | None = None
    prefix: str = ""
    bound: Mapping[str, AttributeProto] | None = None
    absent: set[str] = field(default_factory=set)
    """Operands of a function that its caller leaves out."""
    reads: frozenset[str] = frozenset()
    """Names of the body that its nodes, their bodies or its outputs read."""

    def value(self, name: str, sketch: Sketch, where: str) -> str | None:
        """The value that a name means; None for an operand left out; missing ones are refused."""
        scope: Scope | None = self
        while scope is not None:
            if scope.rename is None:
                if name in sketch:
                    return name
            elif name in scope.rename:
                if scope.rename[name] in sketch:
                    return scope.rename[name]
                break  # its node comes later, or reads itself
            if name in scope.absent:
                return None
            scope = scope.outer
        raise ImportProblem(
            f"The value {told(name)} is used, but nothing defines it", where, "an input, initializer or earlier result",
            RE_EXPORT,
        )

    def define(self, name: str, sketch: Sketch) -> str:
        """The name that a result gets in the sketch."""
        if self.rename is None:
            return name
        if name in self.rename and self.rename[name] not in sketch:
            return self.rename[name]
        self.rename[name] = sketch.fresh(f"{self.prefix}.{name}")
        return self.rename[name]
