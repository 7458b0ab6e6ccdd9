"""What a recorded run is given and held against: the user's arrays and pictures, each checked against the model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from glowviz.compiler.array_files import arrays_of, is_array_file
from glowviz.compiler.backends.inputs import check_input
from glowviz.compiler.graph import Graph
from glowviz.compiler.interpreter.sample_inputs import sample_words
from glowviz.compiler.pixels import Picture, Recipe
from glowviz.compiler.problem import Problem, told
from glowviz.compiler.types import Type
from glowviz.compiler.validate import OutputDifference, difference, inputs_of

Arrays = Mapping[str, np.ndarray]
Given = np.ndarray | Picture
NAMELESS = re.compile(r"arr_\d+")
"""What numpy.savez calls arrays that were given no names."""


@dataclass(frozen=True)
class TrialRun:
    """Arrays or pictures by input name (none: random ones of `seed`), and expected arrays by output or any value.

    With `fill`, inputs that are not given are random too. Names in `loose` are only those of files, and may stand for
    whatever input is left. Where outputs are expected, errors are measured against them, not the imported graph's.
    """

    inputs: Mapping[str, Given] = field(default_factory=dict)
    expected: Arrays = field(default_factory=dict)
    seed: int = 0
    fill: bool = False
    loose: frozenset[str] = frozenset()
    sources: Mapping[str, str] = field(default_factory=dict)
    """Where an array comes from, by the name it was given under: a file, or a sample."""

    def feeds(self, graph: Graph) -> dict[str, np.ndarray]:
        """Return what the graph runs on; a Problem names the input that is missing, unknown or of another form."""
        given = self.named(graph)
        random = inputs_of(graph, self.seed) if len(given) < len(graph.inputs) else {}
        return {name: filled(name, type_, given[name])[0] if name in given else random[name]
                for name, type_ in graph.inputs.items()}

    def told(self, graph: Graph) -> dict[str, str]:
        """Return for each input where its numbers come from, as a sentence without its full stop."""
        given = self.named(graph)
        return {name: self.given_told(graph, name, filled(name, type_, given[name])[1])
                if name in given else self.random_told(graph, name) for name, type_ in graph.inputs.items()}

    def given_told(self, graph: Graph, name: str, told: str) -> str:
        """Return how an input came about, with the file it comes from."""
        source = next((self.sources[one] for one, wanted in placed(self.inputs, graph.inputs, self.loose).items()
                       if wanted == name and one in self.sources), "given")
        return told if told.startswith(f"{source}:") else f"{source}{told}"

    def random_told(self, graph: Graph, name: str) -> str:
        """Return what an input that is not given holds."""
        return f"random ({sample_words(graph, name)}; seed {self.seed})"

    def named(self, graph: Graph) -> dict[str, Given]:
        """Return what is given by input name; a Problem names the input that is missing or unknown."""
        names = placed(self.inputs, graph.inputs, self.loose)
        unknown = sorted(set(self.inputs) - set(names))
        missing = [name for name in graph.inputs if name not in names.values()]
        if unknown or (missing and self.inputs and not self.fill):
            short = missing and not self.fill
            about = f"no array for {', '.join(missing)}" if short else f"no input is called {', '.join(unknown)}"
            raise Problem(f"The inputs do not fit: {about}", "the given inputs", ", ".join(graph.inputs),
                          "Name the arrays as the model names its inputs")
        return {names[name]: one for name, one in self.inputs.items()}

    def reference(self, made: Mapping[str, Any]) -> dict[str, Any]:
        """Return what was expected instead of what the imported graph made, where something was expected."""
        return {name: self._expected(name, value) for name, value in made.items()}

    def _expected(self, name: str, made: Any) -> Any:
        if name not in self.expected:
            return made
        array = with_batch(self.expected[name], np.shape(made))
        if array.shape != np.shape(made):
            raise Problem(f"What is expected of {told(name)} has the shape {list(array.shape)}", "the expected values",
                          f"the shape {list(np.shape(made))}", "Compare the two models' outputs by name")
        return array.astype(made.dtype) if isinstance(made, np.ndarray) else array

    def refuse_unknown(self, known: set[str]) -> None:
        """Raise a Problem for expected values that the model does not have."""
        unknown = sorted(set(self.expected) - known)
        if unknown:
            raise Problem(f"The model has no value {', '.join(unknown[:5])}", "the expected values",
                          f"names such as {', '.join(sorted(known)[:5])}", "Name the arrays as the model does")

    def for_outputs(self, graph: Graph) -> TrialRun:
        """Return the same, where an expected output's name stands for an output without one (arr_0, a file's name)."""
        names = placed(self.expected, [one.public for one in graph.outputs], self.loose)
        expected = {names.get(name, name): array for name, array in self.expected.items()}
        return replace(self, expected=expected)

    def difference_of(self, name: str, made: Any) -> OutputDifference | None:
        """Return how far a value is from what is expected of it; None where nothing is."""
        return difference(name, self._expected(name, made), made) if name in self.expected else None


def placed(given: Iterable[str], wanted: Iterable[str], loose: Iterable[str] = ()) -> dict[str, str]:
    """Return given name → wanted name: equal names first, then names that say nothing in their order."""
    names, open_ = list(given), list(wanted)
    found = {name: name for name in names if name in open_}
    free = [name for name in open_ if name not in found]
    nameless = [name for name in names if name not in found and (name in set(loose) or NAMELESS.fullmatch(name))]
    return found | dict(zip(nameless, free, strict=False))


def filled(name: str, wanted: Type, given: Given) -> tuple[np.ndarray, str]:
    """Return an input of exactly the wanted type, and what was done for it in words; a Problem says what is wrong."""
    if isinstance(given, Picture):
        return given.made(wanted)
    array = with_batch(given, () if wanted.held else tuple(wanted.dims))
    fitted = check_input(name, wanted, array)
    if array.dtype == getattr(fitted, "dtype", None):
        return fitted, ""
    return fitted, f", {array.dtype} converted to {wanted.elem}"


def with_batch(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return an array with the leading dimensions of 1 that `shape` has, where that is all that is different."""
    if array.shape == shape or array.size != int(np.prod(shape)):
        return array
    ones = len(shape) - array.ndim
    return array.reshape(shape) if ones > 0 and shape == (1,) * ones + array.shape else array


def trial_from(
    files: Iterable[tuple[str, str, Path]], expected: Iterable[tuple[str, Path]] = (), recipe: Recipe | None = None,
    seed: int = 0, fill: bool = False,
) -> TrialRun:
    """Return the trial of some files: (input or "", name, path) of what is given, (name, path) of what is expected.

    Files are .npz, .npy or pictures, told by their first bytes; nothing in them is ever executed.
    """
    inputs: dict[str, Given] = {}
    loose: set[str] = set()
    sources: dict[str, str] = {}
    for wanted, name, path in files:
        found = _contents(name, path, recipe or Recipe())
        if wanted:
            found = {wanted: _only(name, wanted, found)}
        else:
            loose.update({Path(name).stem} & set(found))
        inputs.update(found)
        sources.update(dict.fromkeys(found, name))
    hoped: dict[str, np.ndarray] = {}
    for name, path in expected:
        hoped.update(arrays_of(path, name))
        loose.add(Path(name).stem)
    return TrialRun(inputs, hoped, seed, fill, frozenset(loose), sources)


def _contents(name: str, path: Path, recipe: Recipe) -> dict[str, Given]:
    if is_array_file(path) or name.lower().endswith((".npz", ".npy")):
        return dict(arrays_of(path, name))
    return {Path(name).stem: Picture(path, name, recipe)}


def _only(name: str, wanted: str, found: Mapping[str, Given]) -> Given:
    """Return the array of a file that is meant for one input: the only one, or the one of its name."""
    if wanted in found or len(found) == 1:
        return found.get(wanted, next(iter(found.values())))
    raise Problem(f"{told(name)} holds {len(found)} arrays, none of them called {told(wanted)}", name, "one array",
                  f"Leave out `{told(wanted)}=`, or save only this array")
