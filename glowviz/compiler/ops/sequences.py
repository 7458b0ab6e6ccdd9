"""Lists of tensors, and values that may be missing: both live outside the arena and are made, read and joined here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from glowviz.compiler.ops.base import Case, Op, Value, Work, case
from glowviz.compiler.ops.cases import floats
from glowviz.compiler.ops.norm import check_axis
from glowviz.compiler.ops.shape import Known
from glowviz.compiler.types import Dim, OptionalType, SequenceType, Symbol, Type, TypeProblem, of_array


def common(types: Sequence[Type]) -> Type:
    """One type for all items: dims that differ have a name only, and other ranks no shape."""
    first, *others = types
    for other in others:
        if other.elem != first.elem:
            raise TypeProblem(f"items of a sequence must have one element type, got {first} and {other}")
    shapes = [t.shape for t in types]
    if shapes[0] is None or any(s is None or len(s) != len(shapes[0]) for s in shapes):
        return Type(first.elem, None)
    dims: list[Dim] = []
    for axis, sizes in enumerate(zip(*(s for s in shapes if s is not None), strict=True)):
        dims.append(sizes[0] if len(set(sizes)) == 1 else Symbol(f"item.{axis}"))
    return Type(first.elem, tuple(dims))


def item_of(sequence: Type) -> Type:
    """The type of a sequence's items."""
    if not isinstance(sequence, SequenceType):
        raise TypeProblem(f"a sequence is expected, got {sequence}")
    return sequence.item


class OfSequences(Op, abstract=True):
    """Something with sequences: no arithmetic, and nothing of it in the arena."""

    family = "host"
    takes_held = True

    def work(self, operands: tuple[Type, ...], results: tuple[Type, ...]) -> Work:
        return Work(0, 0)


class SequenceConstruct(OfSequences):
    """A sequence of the operands."""

    xs: tuple[Value, ...]
    onnx = "SequenceConstruct"

    def infer(self, xs: tuple[Type, ...]) -> Type:
        return SequenceType(common(xs))

    def reference(self, xs: tuple[np.ndarray, ...]) -> list[np.ndarray]:
        return list(xs)

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield case((floats(rng, (2, 3)), floats(rng, (2, 3))))


class SequenceEmpty(OfSequences):
    """A sequence of nothing."""

    dtype: str = "f32"
    onnx = "SequenceEmpty"

    def infer(self) -> Type:
        return SequenceType(Type(self.dtype, None))

    def reference(self) -> list[np.ndarray]:
        return []

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield case()


class SequenceInsert(OfSequences):
    """The sequence with one more item, at a position or at the end."""

    sequence: Value
    item: Value
    position: Value | None = None
    onnx = "SequenceInsert"

    def infer(self, sequence: Type, item: Type, position: Type | None) -> Type:
        held = item_of(sequence)
        # what nothing is known of but its kind is the item of an empty sequence
        return SequenceType(item if held.shape is None and held.elem == item.elem else common((held, item)))

    def reference(self, sequence: list[Any], item: np.ndarray, position: np.ndarray | None) -> list[Any]:
        found = list(sequence)
        at = len(found) if position is None else int(position.reshape(()))
        if not -len(found) <= at <= len(found):
            raise IndexError(f"position {at} is out of range for a sequence of {len(found)}")
        found.insert(at, item)
        return found

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        items = [floats(rng, (2, 3)) for _ in range(3)]
        yield case(items[:2], items[2])
        yield case(items[:2], items[2], np.array(-1, np.int64))


class SequenceErase(OfSequences):
    """The sequence without one item, that at a position or the last."""

    sequence: Value
    position: Value | None = None
    onnx = "SequenceErase"

    def infer(self, sequence: Type, position: Type | None) -> Type:
        return SequenceType(item_of(sequence))

    def reference(self, sequence: list[Any], position: np.ndarray | None) -> list[Any]:
        found = list(sequence)
        del found[-1 if position is None else int(position.reshape(()))]
        return found

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        items = [floats(rng, (2, 3)) for _ in range(3)]
        yield case(items)
        yield case(items, np.array(0, np.int64))


class SequenceAt(OfSequences):
    """The item at a position; negative ones count from the end."""

    sequence: Value
    position: Value
    onnx = "SequenceAt"

    def infer(self, sequence: Type, position: Type) -> Type:
        return item_of(sequence)

    def reference(self, sequence: list[Any], position: np.ndarray) -> Any:
        return sequence[int(position.reshape(()))]

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield case([floats(rng, (2, 3)) for _ in range(3)], np.array(-2, np.int64))


class SequenceLength(OfSequences):
    """How many items there are."""

    sequence: Value
    onnx = "SequenceLength"

    def infer(self, sequence: Type) -> Type:
        item_of(sequence)
        return Type("i64", ())

    def reference(self, sequence: list[Any]) -> np.ndarray:
        return np.array(len(sequence), np.int64)

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield case([floats(rng, (2, 3)) for _ in range(3)])


class ConcatFromSequence(OfSequences):
    """All items behind each other along an axis, which is a new one if `new_axis`."""

    sequence: Value
    axis: int
    new_axis: bool = False
    onnx = "ConcatFromSequence"

    def infer(self, sequence: Type, *, known: Known) -> Type:
        item, content = item_of(sequence), known["sequence"]
        if isinstance(content, list) and content:
            return of_array(self.reference(content))
        if item.shape is None:
            return item
        axis = check_axis(self.axis, len(item.shape) + self.new_axis)
        size = Symbol("joined")
        if self.new_axis:
            return Type(item.elem, (*item.shape[:axis], size, *item.shape[axis:]))
        return Type(item.elem, (*item.shape[:axis], size, *item.shape[axis + 1 :]))

    def reference(self, sequence: list[Any]) -> np.ndarray:
        return np.stack(sequence, self.axis) if self.new_axis else np.concatenate(sequence, self.axis)

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        items = [floats(rng, (2, 3)), floats(rng, (2, 3))]
        yield case(items, axis=1)
        yield case(items, axis=-1, new_axis=True)


class SplitToSequence(OfSequences):
    """x cut along an axis: into parts of given sizes, of one size, or into single slices."""

    x: Value
    split: Value | None = None
    axis: int = 0
    keepdims: bool = True
    onnx = "SplitToSequence"

    def infer(self, x: Type, split: Type | None) -> Type:
        if x.shape is None:
            return SequenceType(x)
        axis = check_axis(self.axis, len(x.shape))
        rest = (x.shape[:axis], x.shape[axis + 1 :])
        if split is None:
            return SequenceType(Type(x.elem, (*rest[0], *((1,) if self.keepdims else ()), *rest[1])))
        return SequenceType(Type(x.elem, (*rest[0], Symbol("part"), *rest[1])))

    def reference(self, x: np.ndarray, split: np.ndarray | None) -> list[np.ndarray]:
        size = x.shape[self.axis]
        if split is None:
            parts = np.split(x, size, self.axis) if size else []
            return parts if self.keepdims else [np.squeeze(p, self.axis) for p in parts]
        ends = np.cumsum(split)[:-1] if split.ndim else np.arange(int(split), size, int(split))
        return np.split(x, ends, self.axis)

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield case(floats(rng, (4, 3)))
        yield case(floats(rng, (4, 3)), axis=1, keepdims=False)


class Optional(OfSequences):
    """The operand, or nothing of a given type where there is none."""

    x: Value | None = None
    elem: str = "f32"
    sequence: bool = False

    def infer(self, x: Type | None) -> Type:
        if x is not None:
            return OptionalType(x)
        item = Type(self.elem, None)
        return OptionalType(SequenceType(item) if self.sequence else item)

    def reference(self, x: Any) -> Any:
        return x

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield case(floats(rng, (2,)))
        yield case(None, elem="i64", sequence=True)


class OptionalHasElement(OfSequences):
    """Whether there is something."""

    x: Value | None = None
    onnx = "OptionalHasElement"

    def infer(self, x: Type | None) -> Type:
        return Type("bool", ())

    def reference(self, x: Any) -> np.ndarray:
        return np.array(x is not None)

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield case(floats(rng, (2,)))
        yield case()


class OptionalGetElement(OfSequences):
    """What is there; nothing is an error."""

    x: Value
    onnx = "OptionalGetElement"

    def infer(self, x: Type) -> Type:
        return x.item if isinstance(x, OptionalType) else x

    def reference(self, x: Any) -> Any:
        if x is None:
            raise ValueError("the optional value holds nothing")
        return x

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield case(floats(rng, (2,)))
        yield case([floats(rng, (2, 3)) for _ in range(2)])
