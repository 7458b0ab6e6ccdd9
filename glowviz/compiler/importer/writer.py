"""A Writer puts several small nodes in the place of one, each named after it and its number."""

from __future__ import annotations

from typing import Any

import numpy as np

from glowviz.compiler.importer.quirks import op
from glowviz.compiler.importer.site import NotTaken, Site
from glowviz.compiler.ops.base import Op
from glowviz.compiler.types import Type


class Writer:
    """`do("Add", x, y)` adds a node and returns its (first) result."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._count = 0

    def __call__(self, kind: str, *operands: Any, **attributes: Any) -> str:
        """One node of the sketch, with one result."""
        self._count += 1
        return self.site.add(op(kind, *operands, **attributes), f"{kind.lower()}{self._count}")

    def several(self, results: int, made: Op) -> tuple[str, ...]:
        """One node with several results."""
        self._count += 1
        names = tuple(self.site.sketch.fresh(f"{self.site.results[0]}.part{self._count}.{i}") for i in range(results))
        self.site.sketch.define(made, names, self.site.origin, self.site.where)
        return names

    def const(self, array: Any, like: str | None = None) -> str:
        """A constant; with `like` of that value's element type, else i64."""
        self._count += 1
        dtype = np.int64 if like is None else self.site.type(like).dtype
        return self.site.const(array, f"const{self._count}", dtype)

    def finish(self, *values: str | None) -> None:
        """The site's results are these values; None where nobody may read the result."""
        made = dict(zip(self.site.results, values, strict=False))
        for result in self.site.results:
            if made.get(result) is None and result in self.site.read:
                raise NotTaken(f"its result {result} is used")
        for result, value in made.items():
            if value is not None:
                self.site.sketch.define(op("Identity", value), (result,), self.site.origin, self.site.where)

    def type(self, value: str) -> Type:
        """A value's type, which must be known."""
        return self.site.type(value)

    def static(self, value: str) -> tuple[int, ...]:
        """A value's shape in numbers; NotTaken where it is not known yet."""
        type_ = self.site.type(value)
        if not type_.static:
            raise NotTaken(f"the shape of {value} is not known: {type_}")
        return type_.dims
