"""What a recorded run is given and held against: the user's arrays, checked before anything is compiled with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from glowviz.compiler.graph import Graph
from glowviz.compiler.problem import Problem
from glowviz.compiler.validate import difference, inputs_of

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class TrialRun:
    """Arrays by input name (empty: seeded random ones), and expected arrays by the name of an output or any value.

    Where outputs are expected, errors are measured against them instead of the imported graph's own.
    """

    inputs: Arrays = field(default_factory=dict)
    expected: Arrays = field(default_factory=dict)

    def feeds(self, graph: Graph) -> dict[str, np.ndarray]:
        """Return what the graph runs on; a Problem names the input that is missing, unknown or of another form."""
        if not self.inputs:
            return inputs_of(graph)
        unknown = sorted(set(self.inputs) - set(graph.inputs))
        missing = sorted(set(graph.inputs) - set(self.inputs))
        if unknown or missing:
            told = f"no array for {', '.join(missing)}" if missing else f"no input is called {', '.join(unknown)}"
            raise Problem(f"The inputs do not fit: {told}", "the given inputs", ", ".join(graph.inputs),
                          "Name the arrays as the model names its inputs")
        return {name: self._fitting(name, graph) for name in graph.inputs}

    def _fitting(self, name: str, graph: Graph) -> np.ndarray:
        array, wanted = self.inputs[name], graph.inputs[name]
        if array.shape != tuple(wanted.shape or ()) or np.dtype(array.dtype) != wanted.dtype:
            raise Problem(f"The array for {name} is {array.dtype}[{'x'.join(map(str, array.shape))}]",
                          "the given inputs", f"{wanted.dtype}[{'x'.join(map(str, wanted.shape or ()))}]",
                          "Convert it with numpy, or bind the shape with --shape")
        return array

    def reference(self, made: Mapping[str, Any]) -> dict[str, Any]:
        """Return what was expected instead of what the imported graph made, where something was expected."""
        return {name: self._expected(name, value) for name, value in made.items()}

    def _expected(self, name: str, made: Any) -> Any:
        if name not in self.expected:
            return made
        array = self.expected[name]
        if array.shape != np.shape(made):
            raise Problem(f"What is expected of {name} has the shape {list(array.shape)}", "the expected values",
                          f"the shape {list(np.shape(made))}", "Compare the two models' outputs by name")
        return array.astype(made.dtype) if isinstance(made, np.ndarray) else array

    def refuse_unknown(self, known: set[str]) -> None:
        """Raise a Problem for expected values that the model does not have."""
        unknown = sorted(set(self.expected) - known)
        if unknown:
            raise Problem(f"The model has no value {', '.join(unknown[:5])}", "the expected values",
                          f"names such as {', '.join(sorted(known)[:5])}", "Name the arrays as the model does")

    def error_of(self, name: str, made: Any) -> float | None:
        """Return max |difference| / max |expected| of a value; None where nothing is expected of it."""
        if name not in self.expected:
            return None
        return difference(name, self._expected(name, made), made).relative
