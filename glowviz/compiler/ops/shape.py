"""The same elements under another shape, in another order of axes, or repeated; and shapes as values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod

import numpy as np

from glowviz.compiler.ops.base import Builder, Case, Op, Value, Work, case
from glowviz.compiler.ops.cases import floats, integers, ints
from glowviz.compiler.ops.norm import check_axis
from glowviz.compiler.types import KnownAtRunTime, Quant, Type, TypeProblem, broadcast

Known = Mapping[str, np.ndarray | None]


class Movement(Op, abstract=True):
    """No arithmetic: bytes go from here to there."""

    family = "shape"

    def work(self, operands: tuple[Type, ...], results: tuple[Type, ...]) -> Work:
        return Work(0, 2 * sum(t.bytes for t in results))


class SameBytes(Movement, abstract=True):
    """The row-major bytes stay as they are; only the shape changes."""

    inplace = ("x",)

    def work(self, operands: tuple[Type, ...], results: tuple[Type, ...]) -> Work:
        return Work(0, 0)


def numbers(known: Known, operand: str, what: str) -> tuple[int, ...]:
    """The content of an operand that must be known when compiling."""
    content = known[operand]
    if content is None:
        raise KnownAtRunTime(f"{what} must be known when compiling, but is computed at run time; make it a constant")
    return tuple(int(n) for n in np.asarray(content).reshape(-1))


def _constant_shape(b: Builder, shape: Sequence[int]) -> str:
    return b.const(np.array(shape, np.int64), name="shape")


class Reshape(SameBytes):
    """The same elements in row-major order under another shape.

    "At most one dimension of the new shape can be -1": it takes what is left. "A dimension could also be 0, in
    which case the actual dimension value is unchanged", unless allowzero.
    """

    x: Value
    shape: Value
    allowzero: bool = False
    onnx = "Reshape"

    def target(self, x: Sequence[int], wanted: Sequence[int]) -> tuple[int, ...]:
        """The shape with 0 and -1 filled in."""
        dims = list(wanted)
        if not self.allowzero:
            for i, n in enumerate(dims):
                if n == 0:
                    if i >= len(x):
                        raise TypeProblem(f"dim {i} of {list(wanted)} copies a dim that x {list(x)} does not have")
                    dims[i] = x[i]
        if dims.count(-1) > 1 or any(n < -1 for n in dims):
            raise TypeProblem(f"the new shape may hold one -1 and no other negative number, got {list(wanted)}")
        rest = prod(n for n in dims if n != -1)
        if -1 in dims:
            dims[dims.index(-1)] = prod(x) // rest if rest else 0
        if prod(dims) != prod(x):
            raise TypeProblem(f"{prod(x)} elements of shape {list(x)} do not fit shape {list(wanted)}")
        return tuple(dims)

    def infer(self, x: Type, shape: Type, *, known: Known) -> Type:
        return Type(x.elem, self.target(x.dims, numbers(known, "shape", "the new shape")), _whole_quant(x))

    def reference(self, x: np.ndarray, shape: np.ndarray) -> np.ndarray:
        return x.reshape(self.target(x.shape, [int(n) for n in shape.reshape(-1)]))

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        x = floats(rng, (2, 3, 4))
        for shape in ((6, 4), (-1,), (0, -1), (2, 0, 2, 2), (1, 24, 1)):
            yield case(x, ints(*shape))
        yield case(floats(rng, (0, 3)), ints(3, 0), allowzero=True)
        yield case(floats(rng, (1,)), np.zeros(0, np.int64))


def _whole_quant(x: Type) -> Quant | None:
    return x.quant if x.quant is not None and x.quant.axis is None else None


class Flatten(SameBytes):
    """A matrix: dims before `axis` multiplied together, and those from it on."""

    x: Value
    axis: int = 1
    onnx = "Flatten"

    def _shape(self, x: Sequence[int]) -> tuple[int, int]:
        if not -len(x) <= self.axis <= len(x):
            raise TypeProblem(f"axis must be in [{-len(x)}, {len(x)}], got {self.axis}")
        axis = self.axis + len(x) if self.axis < 0 else self.axis
        return prod(x[:axis]), prod(x[axis:])

    def infer(self, x: Type) -> Type:
        return Type(x.elem, self._shape(x.dims), _whole_quant(x))

    def reference(self, x: np.ndarray) -> np.ndarray:
        return x.reshape(self._shape(x.shape))

    def lower(self, b: Builder) -> str:
        return b.one(Reshape(self.x, _constant_shape(b, self._shape(b.type(self.x).dims)), allowzero=True))

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        for axis in (0, 1, 2, 3, -1):
            yield case(floats(rng, (2, 3, 4)), axis=axis)
        yield case(floats(rng, (2, 0, 4)))


class Squeeze(SameBytes):
    """Without the dims of size 1 that `axes` names; () means all of them."""

    x: Value
    axes: tuple[int, ...] = ()
    onnx = "Squeeze"

    def _shape(self, x: Sequence[int]) -> tuple[int, ...]:
        gone = {check_axis(a, len(x)) for a in self.axes} if self.axes else {i for i, n in enumerate(x) if n == 1}
        for axis in gone:
            if x[axis] != 1:
                raise TypeProblem(f"axis {axis} of shape {list(x)} has size {x[axis]}; only dims of size 1 can go")
        return tuple(n for i, n in enumerate(x) if i not in gone)

    def infer(self, x: Type) -> Type:
        return Type(x.elem, self._shape(x.dims), _whole_quant(x))

    def reference(self, x: np.ndarray) -> np.ndarray:
        return x.reshape(self._shape(x.shape))

    def lower(self, b: Builder) -> str:
        return b.one(Reshape(self.x, _constant_shape(b, self._shape(b.type(self.x).dims)), allowzero=True))

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        x = floats(rng, (1, 3, 1, 5))
        for axes in ((), (0,), (2,), (-2, 0)):
            yield case(x, axes=axes)


class Unsqueeze(SameBytes):
    """With dims of size 1 at the places that `axes` names in the result."""

    x: Value
    axes: tuple[int, ...]
    onnx = "Unsqueeze"

    def _shape(self, x: Sequence[int]) -> tuple[int, ...]:
        rank = len(x) + len(self.axes)
        new = {check_axis(a, rank) for a in self.axes}
        if len(new) != len(self.axes):
            raise TypeProblem(f"axes {list(self.axes)} name one axis twice")
        rest = iter(x)
        return tuple(1 if i in new else next(rest) for i in range(rank))

    def infer(self, x: Type) -> Type:
        return Type(x.elem, self._shape(x.dims), _whole_quant(x))

    def reference(self, x: np.ndarray) -> np.ndarray:
        return x.reshape(self._shape(x.shape))

    def lower(self, b: Builder) -> str:
        return b.one(Reshape(self.x, _constant_shape(b, self._shape(b.type(self.x).dims)), allowzero=True))

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        for axes in ((0,), (1, 3), (-1,), (0, -1)):
            yield case(floats(rng, (3, 4)), axes=axes)
        yield case(floats(rng, ()), axes=(0,))


class Transpose(Movement):
    """Axis i of the result is axis perm[i] of x; () turns all axes round."""

    x: Value
    perm: tuple[int, ...] = ()
    onnx = "Transpose"

    def order_of(self, rank: int) -> tuple[int, ...]:
        """The permutation, counted from 0."""
        perm = tuple(p % rank if rank else p for p in self.perm) or tuple(range(rank))[::-1]
        if sorted(perm) != list(range(rank)):
            raise TypeProblem(f"perm must name each of the {rank} axes of x once, got {list(self.perm)}")
        return perm

    def infer(self, x: Type) -> Type:
        return Type(x.elem, tuple(x.dims[p] for p in self.order_of(x.rank)), _whole_quant(x))

    def reference(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(x.transpose(self.order_of(x.ndim)), order="C")

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        x = floats(rng, (2, 3, 5))
        for perm in ((), (0, 1, 2), (1, 0, 2), (2, 0, 1)):
            yield case(x, perm=perm)
        yield case(floats(rng, (1, 3, 4, 5)), perm=(0, 2, 3, 1))
        yield case(floats(rng, (2, 0)), perm=(1, 0))


class Expand(Movement):
    """x broadcast with a shape, both ways: a 1 in the shape keeps the dim of x."""

    x: Value
    shape: Value
    onnx = "Expand"

    def infer(self, x: Type, shape: Type, *, known: Known) -> Type:
        wanted = numbers(known, "shape", "the shape")
        if any(n < 0 for n in wanted):
            raise TypeProblem(f"the shape may not hold negative numbers, got {list(wanted)}")
        return Type(x.elem, broadcast(x.dims, wanted), _whole_quant(x))

    def reference(self, x: np.ndarray, shape: np.ndarray) -> np.ndarray:
        wanted = np.broadcast_shapes(x.shape, tuple(int(n) for n in shape))
        return np.array(np.broadcast_to(x, wanted))

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield case(floats(rng, (3, 1)), ints(2, 1, 6))
        yield case(floats(rng, (3, 4)), ints(1, 1))
        yield case(floats(rng, ()), ints(2, 3))
        yield case(floats(rng, (1, 4)), ints(0, 1))
        yield case(floats(rng, ()), ints())


class Tile(Movement):
    """x repeated along each axis."""

    x: Value
    repeats: Value
    onnx = "Tile"

    def infer(self, x: Type, repeats: Type, *, known: Known) -> Type:
        times = numbers(known, "repeats", "repeats")
        if len(times) != x.rank or any(n < 0 for n in times):
            raise TypeProblem(f"repeats must have one number for each axis of x {x}, got {list(times)}")
        return Type(x.elem, tuple(n * t for n, t in zip(x.dims, times, strict=True)), _whole_quant(x))

    def reference(self, x: np.ndarray, repeats: np.ndarray) -> np.ndarray:
        return np.tile(x, tuple(int(n) for n in repeats))

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield case(floats(rng, (2, 3)), ints(2, 1))
        yield case(floats(rng, (2, 3, 1)), ints(1, 2, 5))
        yield case(floats(rng, (2,)), ints(0))


class Shape(Op):
    """The dims of x from `start` to `end` (clamped, negative counted from the end) as i64."""

    x: Value
    start: int = 0
    end: int | None = None
    onnx = "Shape"
    family = "shape"
    reads_types_only = True

    def infer(self, x: Type) -> Type:
        return Type("i64", (len(range(x.rank)[self.start : self.end]),))

    def from_types(self, x: Type) -> np.ndarray:
        if x.shape is None:
            raise TypeProblem("the rank of x is not known")
        return np.array(Type("i64", x.shape[self.start : self.end]).dims, np.int64)

    def reference(self, x: np.ndarray) -> np.ndarray:
        return np.array(x.shape[self.start : self.end], np.int64)

    def work(self, operands: tuple[Type, ...], results: tuple[Type, ...]) -> Work:
        return Work(0, results[0].bytes)

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        x = floats(rng, (2, 3, 5))
        for start, end in ((0, None), (1, None), (-1, None), (0, -1), (1, 2), (-9, 9), (2, 1)):
            yield case(x, start=start, end=end)


class Size(Op):
    """How many elements x has, as an i64 scalar."""

    x: Value
    onnx = "Size"
    family = "shape"
    reads_types_only = True

    def infer(self, x: Type) -> Type:
        return Type("i64", ())

    def from_types(self, x: Type) -> np.ndarray:
        return np.array(x.count, np.int64)

    def reference(self, x: np.ndarray) -> np.ndarray:
        return np.array(x.size, np.int64)

    def work(self, operands: tuple[Type, ...], results: tuple[Type, ...]) -> Work:
        return Work(0, results[0].bytes)

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        for shape in ((2, 3), (), (4, 0)):
            yield case(floats(rng, shape))
        yield case(integers(rng, (7,), 0, 9))
