"""Free dimensions: which ones a model has, which default to 1, and what a person must write to bind the others."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations, product

from glowviz.compiler.problem import Problem, told
from glowviz.compiler.types import Dim, Outside, Symbol, Type

LARGEST = 1 << 40
"""Bytes of one value from which on a shape is taken for nonsense (1 TiB)."""

_NOT_BATCH = re.compile(r"(?i)(seq|len|time|step|height|width|frame|token|point|sample)")
_STATE = re.compile(r"(?i)(^|[^a-z])(state|hidden|cell|memory)([^a-z]|$)|^[hc]n?_?[0-9]?$")
"""Inputs carried from call to call: a dim of theirs that no other input has is a batch."""
OTHERS: tuple[int, ...] = (512, 48, 256, 224, 64, 32, 576, 640, 1024, 320, 16, 4096, 16000, 8, 2, 1)
"""Sizes that are tried where the usual one does not fit: of windows of sound, lines of text, pictures."""
PATIENCE = 2.0
"""CPU-seconds after which the search for sizes that fit takes what it has."""

Shapes = dict[str, tuple[int, ...]]


class ShapeProblem(Problem):
    """A shape that is missing, or that does not fit the model."""


@dataclass(frozen=True, slots=True)
class FreeDim:
    """One dimension of one input that the file leaves open."""

    input: str
    axis: int
    name: str
    batch_like: bool
    """It defaults to 1."""
    proposed: int
    """What a form offers: 1 for a batch, 224 for an image side, 128 for a sequence."""


def free_dims(inputs: Mapping[str, Type]) -> tuple[FreeDim, ...]:
    """Every open dimension of every input, in order."""
    return tuple(
        FreeDim(name, axis, dim.name, batch_like(axis, dim), _propose(name, type_.shape or (), axis, dim))
        for name, type_ in inputs.items()
        for axis, dim in enumerate(type_.shape or ())
        if isinstance(dim, Symbol)
    )


def batch_like(axis: int, dim: Symbol) -> bool:
    """The first dimension unless its name says otherwise; elsewhere only what is called batch."""
    if axis == 0:
        return not _NOT_BATCH.search(dim.name) or bool(re.match(r"(?i)batch", dim.name))
    return bool(re.match(r"(?i)^(batch|batch_?size|n|bs)$", dim.name))


def _propose(name: str, shape: tuple[Dim, ...], axis: int, dim: Symbol) -> int:
    if batch_like(axis, dim) or _STATE.search(name):
        return 1
    side = axis >= 2 and len(shape) == 4 and shape[1] in (1, 3, 4)
    last = axis in (1, 2) and len(shape) == 4 and shape[3] in (1, 3, 4)
    proposed = 224 if side or last else 128 if len(shape) in (1, 2, 3) else 1
    return proposed if dim.bound is None else min(proposed, dim.bound)


def shape_text(name: str, shape: Iterable[int]) -> str:
    """The exact option of the command line that binds one input, `--shape x=1x3x224x224`."""
    return f"--shape {shlex.quote(name + '=' + 'x'.join(map(str, shape)))}"


def proposed_shapes(inputs: Mapping[str, Type], others: Mapping[str, int] | None = None) -> Shapes:
    """A full shape for every input with open dimensions; one name has one value everywhere, `others` by name."""
    values = dict(others or {})
    for free in free_dims(inputs):
        values.setdefault(free.name, free.proposed)
    return {
        name: tuple(values[d.name] if isinstance(d, Symbol) else d for d in type_.shape)
        for name, type_ in inputs.items()
        if type_.shape is not None and not type_.static
    }


def fitting_shapes(inputs: Mapping[str, Type], misfits: Callable[[Shapes], int | None]) -> Shapes:
    """The usual shapes where the model takes them, else those nearest to them that it takes.

    `misfits` says how many branches of the model refuse these shapes, None where all of it does. One size is changed
    before two are; where nothing fits, the usual shapes are returned.
    """
    best, fewest = proposed_shapes(inputs), None
    until = time.process_time() + PATIENCE
    for others in _other_sizes(inputs):
        shapes = proposed_shapes(inputs, others)
        found = misfits(shapes)
        if found is not None and (fewest is None or found < fewest):
            best, fewest = shapes, found
        if fewest == 0 or time.process_time() > until:
            break
    return best


def _other_sizes(inputs: Mapping[str, Type]) -> Iterator[dict[str, int]]:
    """Sizes by name of the dimensions that differ from what is usual; the first time none does."""
    asked = list(dict.fromkeys(free.name for free in free_dims(inputs) if not free.batch_like))
    yield {}
    for number in (1, 2):
        for names in combinations(asked, number):
            yield from (dict(zip(names, sizes, strict=True)) for sizes in product(OTHERS, repeat=number))


def bind(
    inputs: Mapping[str, Type], shapes: Mapping[str, Iterable[int]], *, partly: bool = False,
    propose: Callable[[Mapping[str, Type]], Shapes] = proposed_shapes,
) -> tuple[dict[str, Type], dict[str, int]]:
    """The inputs with bound shapes, and what each dimension name stands for.

    A given shape may also replace a fixed one of the same rank. Batch-like dimensions default to 1. With
    `partly`, dimensions that nobody bound stay open; otherwise they are a ShapeProblem that lists them all, with
    the shapes that `propose` gives for such inputs.
    """
    values: dict[str, int] = {}
    given = {name: _given(inputs, name, tuple(shape), values) for name, shape in shapes.items()}
    bound = {name: type_ if name not in given else type_.with_shape(given[name]) for name, type_ in inputs.items()}
    if not partly:
        for free in free_dims(bound):
            if free.batch_like:
                values.setdefault(free.name, 1)
    bound = {name: substitute(type_, values) for name, type_ in bound.items()}
    if not partly:
        _refuse_open(bound, propose)
    return bound, values


def substitute(type_: Type, values: Mapping[str, int]) -> Type:
    """The type with the dimension names in `values` replaced by their numbers."""
    if type_.shape is None or type_.static:
        return type_
    return type_.with_shape(tuple(values.get(d.name, d) if isinstance(d, Symbol) else d for d in type_.shape))


def _given(
    inputs: Mapping[str, Type], name: str, shape: tuple[int, ...], values: dict[str, int]
) -> tuple[int, ...]:
    type_ = inputs.get(name)
    if type_ is None:
        known = ", ".join(told(n) for n in list(inputs)[:8]) or "none"
        raise ShapeProblem(f"A shape was given for {told(name)}, which is no input", "", f"one of: {known}")
    if any(not isinstance(d, int) or isinstance(d, bool) or d < 0 for d in shape):
        raise ShapeProblem(f"The shape given for {told(name)} is {shape}", "", "numbers that are not negative")
    if type_.shape is not None and len(type_.shape) != len(shape):
        raise ShapeProblem(
            f"The shape given for {told(name)} has {len(shape)} dimensions", "", f"{len(type_.shape)}, as in {type_}"
        )
    for axis, (dim, number) in enumerate(zip(type_.shape or (), shape, strict=False)):
        if isinstance(dim, Symbol) and values.setdefault(dim.name, number) != number:
            raise ShapeProblem(
                f"Dimension {told(dim.name)} is {values[dim.name]} and {number} at once",
                f"input {told(name)}, axis {axis}", f"{values[dim.name]}, as given before",
                "Give the same number wherever the name stands",
            )
    return shape


def _refuse_open(bound: Mapping[str, Type], propose: Callable[[Mapping[str, Type]], Shapes]) -> None:
    unranked = [name for name, type_ in bound.items() if type_.shape is None and not isinstance(type_, Outside)]
    if unranked:
        raise ShapeProblem(
            f"The file does not say the shape of input {told(unranked[0])}", "", "its whole shape",
            f"Give it, for example {shape_text(unranked[0], (1, 3, 224, 224))}",
        )
    open_ = free_dims(bound)
    if not open_:
        return
    names = "; ".join(f"input {told(f.input)} axis {f.axis} ({told(f.name)})" for f in open_)
    proposals = propose(bound)
    wanted = dict.fromkeys(f.input for f in open_)
    text = " ".join(shape_text(name, proposals[name]) for name in wanted)
    plural = "dimensions are" if len(open_) > 1 else "dimension is"
    given = f"Give {text}, or other numbers"
    raise ShapeProblem(f"{len(open_)} {plural} free: {names}", "", "a number for each", given)


def refuse_absurd(value: str, type_: Type) -> None:
    """A value larger than any machine holds, or of a negative size, is refused before anybody makes room for it."""
    if not type_.static:
        return
    if any(dim < 0 for dim in type_.dims):
        raise ShapeProblem(f"%{told(value)} would be {type_}", "", "sizes that are not negative", "Check the shapes")
    if type_.bytes > LARGEST:
        raise ShapeProblem(
            f"%{told(value)} would be {type_} = {type_.bytes / 2**40:,.0f} TiB", "", "at most 1 TiB per value",
            "Check the shapes given and those in the file",
        )
