"""Tensors put together, cut apart, padded, and their blocks rearranged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from glowviz.compiler.ops.base import Builder, Case, Value, case
from glowviz.compiler.ops.cases import floats, integers, ints
from glowviz.compiler.ops.norm import check_axis
from glowviz.compiler.ops.shape import Known, Movement, Reshape, Transpose, numbers
from glowviz.compiler.types import Type, TypeProblem


class Concat(Movement):
    """The operands one after the other along an axis."""

    xs: tuple[Value, ...]
    axis: int
    onnx = "Concat"

    def infer(self, xs: tuple[Type, ...]) -> Type:
        if not xs:
            raise TypeProblem("needs at least one operand, got none")
        first = xs[0]
        axis = check_axis(self.axis, first.rank)
        for x in xs[1:]:
            alike = x.rank == first.rank and all(
                n == m for i, (n, m) in enumerate(zip(x.dims, first.dims, strict=True)) if i != axis
            )
            if not alike or x.elem != first.elem:
                raise TypeProblem(f"operands must be alike but for axis {axis}, got {first} and {x}")
        shape = tuple(sum(x.dims[axis] for x in xs) if i == axis else n for i, n in enumerate(first.dims))
        orders, quants = {x.order for x in xs}, {x.quant for x in xs}
        quant = first.quant if len(quants) == 1 else None
        return Type(first.elem, shape, quant, first.order if len(orders) == 1 else None)

    def reference(self, xs: tuple[np.ndarray, ...]) -> np.ndarray:
        return np.concatenate(xs, self.axis)

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield case((floats(rng, (2, 3)), floats(rng, (4, 3))), axis=0)
        yield case((floats(rng, (2, 3, 1)), floats(rng, (2, 5, 1)), floats(rng, (2, 0, 1))), axis=-2)
        yield case((floats(rng, (2, 3)),), axis=1)
        yield case((integers(rng, (1,), 0, 9), integers(rng, (2,), 0, 9)), axis=0)


class Split(Movement):
    """x cut along an axis into parts of the given sizes, or into num_outputs equal ones with a smaller last one."""

    x: Value
    split: Value | None = None
    axis: int = 0
    num_outputs: int = 0
    onnx = "Split"

    def sizes(self, size: int, split: Sequence[int] | None) -> tuple[int, ...]:
        """The size of every part."""
        if split is not None:
            if sum(split) != size or any(n < 0 for n in split):
                raise TypeProblem(f"the parts {list(split)} must add up to {size}, the size of axis {self.axis}")
            return tuple(split)
        if self.num_outputs < 1:
            raise TypeProblem("needs the sizes of the parts as an operand, or num_outputs")
        part = -(-size // self.num_outputs)
        return tuple(max(min(part, size - i * part), 0) for i in range(self.num_outputs))

    def infer(self, x: Type, split: Type | None, *, known: Known) -> tuple[Type, ...]:
        axis = check_axis(self.axis, x.rank)
        wanted = None if split is None else numbers(known, "split", "the sizes of the parts")
        parts = self.sizes(x.dims[axis], wanted)
        return tuple(Type(x.elem, (*x.dims[:axis], n, *x.dims[axis + 1 :]), x.quant, x.order) for n in parts)

    def reference(self, x: np.ndarray, split: np.ndarray | None) -> tuple[np.ndarray, ...]:
        parts = self.sizes(x.shape[self.axis], None if split is None else [int(n) for n in split])
        cuts = np.cumsum(parts[:-1], dtype=np.int64)
        return tuple(np.ascontiguousarray(part) for part in np.split(x, cuts, self.axis))

    def lower(self, b: Builder) -> tuple[str, ...] | None:
        split = None if self.split is None else b.known(self.split)
        if self.split is not None and split is None:
            return None
        x = b.type(self.x)
        axis = check_axis(self.axis, x.rank)
        parts = self.sizes(x.dims[axis], None if split is None else [int(n) for n in split])
        ends = [int(n) for n in np.cumsum(parts)]
        return tuple(
            _cut(b, self.x, axis, end - n, end) for n, end in zip(parts, ends, strict=True)
        )

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        x = floats(rng, (2, 6, 3))
        yield case(x, ints(1, 2, 3), axis=1)
        yield case(x, num_outputs=2, axis=-2)
        yield case(floats(rng, (7, 2)), num_outputs=3)
        yield case(x, ints(0, 3), axis=2)


def _cut(b: Builder, x: str, axis: int, start: int, end: int) -> str:
    """The part [start, end) of one axis."""
    return b.one(
        Slice(
            x,
            b.const(ints(start), name="start"),
            b.const(ints(end), name="end"),
            b.const(ints(axis), name="axis"),
        )
    )


class Slice(Movement):
    """Elements from start to end in steps along some axes (all the first ones if not given), as in numpy.

    "If a negative value is passed for any of the start or end indices, it represents number of elements before
    the end of that dimension. If the value passed … is larger than the n, it represents n."
    """

    x: Value
    starts: Value
    ends: Value
    axes: Value | None = None
    steps: Value | None = None
    onnx = "Slice"

    def cuts(
        self, dims: Sequence[int], starts: Sequence[int], ends: Sequence[int], axes: Sequence[int],
        steps: Sequence[int],
    ) -> tuple[slice, ...]:  # fmt: skip
        """One Python slice for every axis; "start is clamped to [0, dims - 1] for negative stepping"."""
        rank, found = len(dims), [slice(None)] * len(dims)
        places = list(axes) or list(range(len(starts)))
        strides = list(steps) or [1] * len(starts)
        if not len(starts) == len(ends) == len(places) == len(strides):
            raise TypeProblem(
                f"starts, ends, axes and steps must be of one length, got {len(starts)}, {len(ends)}, "
                f"{len(places)} and {len(strides)}"
            )
        for start, end, place, step in zip(starts, ends, places, strides, strict=True):
            if step == 0:
                raise TypeProblem("steps may not be 0")
            axis = check_axis(place, rank)
            # Python would begin before the first element and take none
            found[axis] = slice(max(start, -dims[axis]) if step < 0 else start, end, step)
        return tuple(found)

    def infer(
        self, x: Type, starts: Type, ends: Type, axes: Type | None, steps: Type | None, *, known: Known
    ) -> Type:
        cuts = self.cuts(
            x.dims,
            numbers(known, "starts", "starts"),
            numbers(known, "ends", "ends"),
            numbers(known, "axes", "axes") if axes is not None else (),
            numbers(known, "steps", "steps") if steps is not None else (),
        )
        shape = tuple(len(range(n)[cut]) for n, cut in zip(x.dims, cuts, strict=True))
        return Type(x.elem, shape, x.quant, x.order)

    def reference(
        self,
        x: np.ndarray,
        starts: np.ndarray,
        ends: np.ndarray,
        axes: np.ndarray | None,
        steps: np.ndarray | None,
    ) -> np.ndarray:
        given = [[] if a is None else [int(n) for n in a] for a in (starts, ends, axes, steps)]
        return np.ascontiguousarray(x[self.cuts(x.shape, *given)])

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        x = floats(rng, (4, 6, 5))
        yield case(x, ints(1, 0), ints(3, 1000), ints(0, 2), ints(1, 2))
        yield case(x, ints(1), ints(-1))
        yield case(x, ints(-1), ints(-1000), ints(1), ints(-1))
        yield case(x, ints(4, 3), ints(0, 0), ints(1, -1), ints(-2, -1))
        yield case(x, ints(3), ints(2), ints(0))
        yield case(x, ints(-3), ints(2**63 - 1), ints(-1))
        yield case(x, ints(-9), ints(-1000), ints(1), ints(-2))  # begins at the first element, as ONNX clamps it


class Pad(Movement):
    """x with elements added (or, where negative, taken away) before and after every axis.

    `pads` holds all begins, then all ends, of `axes` (all axes if not given). `mode`: constant (the value, 0 if
    not given), reflect (mirrored without the edge), edge (the edge again), wrap (from the other side).
    """

    x: Value
    pads: Value
    value: Value | None = None
    axes: Value | None = None
    mode: str = "constant"
    onnx = "Pad"

    def sides(self, rank: int, pads: Sequence[int], axes: Sequence[int]) -> list[tuple[int, int]]:
        """(before, after) for every axis."""
        places = [check_axis(a, rank) for a in axes] or list(range(rank))
        if len(pads) != 2 * len(places):
            raise TypeProblem(f"pads must have {2 * len(places)} numbers (begins and ends), got {len(pads)}")
        sides = [(0, 0)] * rank
        for i, place in enumerate(places):
            sides[place] = (int(pads[i]), int(pads[i + len(places)]))
        return sides

    def infer(self, x: Type, pads: Type, value: Type | None, axes: Type | None, *, known: Known) -> Type:
        if self.mode not in ("constant", "reflect", "edge", "wrap"):
            raise TypeProblem(f"mode must be constant, reflect, edge or wrap, got {self.mode!r}")
        places = numbers(known, "axes", "axes") if axes is not None else ()
        sides = self.sides(x.rank, numbers(known, "pads", "pads"), places)
        shape = tuple(n + before + after for n, (before, after) in zip(x.dims, sides, strict=True))
        if any(n < 0 for n in shape):
            raise TypeProblem(f"pads {sides} take away more than x {x} has")
        return Type(x.elem, shape, x.quant, x.order)

    def reference(
        self, x: np.ndarray, pads: np.ndarray, value: np.ndarray | None, axes: np.ndarray | None
    ) -> np.ndarray:
        sides = self.sides(x.ndim, [int(n) for n in pads], () if axes is None else [int(n) for n in axes])
        crop = tuple(slice(max(-b, 0), n - max(-a, 0)) for (b, a), n in zip(sides, x.shape, strict=True))
        grow = [(max(b, 0), max(a, 0)) for b, a in sides]
        if self.mode == "constant":
            fill = 0 if value is None else np.asarray(value).reshape(())
            return np.pad(x[crop], grow, constant_values=fill)
        return np.pad(x[crop], grow, mode=self.mode)  # type: ignore[call-overload]  # checked by infer

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        x = floats(rng, (2, 4, 5))
        half = np.array(0.5, np.float32)
        yield case(x, ints(0, 1, 2, 0, 3, 0), half)
        yield case(x, ints(1, 2), None, ints(-1))
        yield case(x, ints(0, -1, 1, 0, 0, -2), half)
        for mode in ("reflect", "edge", "wrap"):
            yield case(x, ints(0, 2, 3, 0, 1, 2), mode=mode)
        yield case(integers(rng, (3,), 0, 9), ints(1, 1), np.array(7, np.int64))


class DepthToSpace(Movement):
    """Channels become blocks of pixels: DCR takes the block's place from the outer channels, CRD from the inner."""

    x: Value
    blocksize: int
    mode: str = "DCR"
    onnx = "DepthToSpace"

    def infer(self, x: Type) -> Type:
        block = self.blocksize
        if self.mode not in ("DCR", "CRD"):
            raise TypeProblem(f"mode must be DCR or CRD, got {self.mode!r}")
        if x.rank != 4 or block < 1 or x.dims[1] % (block * block):
            raise TypeProblem(f"x must be [N, C, H, W] with C divisible by blocksize² = {block * block}, got {x}")
        n, c, h, w = x.dims
        return Type(x.elem, (n, c // block**2, h * block, w * block), x.quant)

    def _steps(self, x: Sequence[int]) -> tuple[list[int], tuple[int, ...], list[int]]:
        (n, c, h, w), block = x, self.blocksize
        each = c // block**2
        final = [n, each, h * block, w * block]
        if self.mode == "DCR":
            return [n, block, block, each, h, w], (0, 3, 4, 1, 5, 2), final
        return [n, each, block, block, h, w], (0, 1, 4, 2, 5, 3), final

    def reference(self, x: np.ndarray) -> np.ndarray:
        split, perm, final = self._steps(x.shape)
        return x.reshape(split).transpose(perm).reshape(final)

    def lower(self, b: Builder) -> str:
        return _rearranged(b, self.x, *self._steps(b.type(self.x).dims))

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        for mode in ("DCR", "CRD"):
            yield case(floats(rng, (2, 8, 2, 3)), blocksize=2, mode=mode)
        yield case(floats(rng, (1, 9, 1, 2)), blocksize=3)


class SpaceToDepth(Movement):
    """Blocks of pixels become channels, the block's place outermost."""

    x: Value
    blocksize: int
    onnx = "SpaceToDepth"

    def infer(self, x: Type) -> Type:
        block = self.blocksize
        if x.rank != 4 or block < 1 or x.dims[2] % block or x.dims[3] % block:
            raise TypeProblem(f"x must be [N, C, H, W] with H and W divisible by blocksize={block}, got {x}")
        n, c, h, w = x.dims
        return Type(x.elem, (n, c * block**2, h // block, w // block), x.quant)

    def _steps(self, x: Sequence[int]) -> tuple[list[int], tuple[int, ...], list[int]]:
        (n, c, h, w), block = x, self.blocksize
        split = [n, c, h // block, block, w // block, block]
        return split, (0, 3, 5, 1, 2, 4), [n, c * block**2, h // block, w // block]

    def reference(self, x: np.ndarray) -> np.ndarray:
        split, perm, final = self._steps(x.shape)
        return x.reshape(split).transpose(perm).reshape(final)

    def lower(self, b: Builder) -> str:
        return _rearranged(b, self.x, *self._steps(b.type(self.x).dims))

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield case(floats(rng, (2, 2, 4, 6)), blocksize=2)
        yield case(floats(rng, (1, 1, 3, 6)), blocksize=3)


class ChannelShuffle(Movement):
    """Channels are dealt out anew: channel i of group g comes to place i · group + g (ShuffleNet, arXiv 1707.01083)."""

    x: Value
    group: int

    def infer(self, x: Type) -> Type:
        if x.rank < 2 or self.group < 1 or x.dims[1] % self.group:
            raise TypeProblem(f"x must be [N, C, …] with C divisible by group={self.group}, got {x}")
        return x

    def steps(self, x: Sequence[int]) -> tuple[list[int], tuple[int, ...], list[int]]:
        """The shape cut into groups, how its axes are turned, and the shape after it."""
        n, c, *spatial = x
        return [n, self.group, c // self.group, *spatial], (0, 2, 1, *range(3, len(x) + 1)), list(x)

    def reference(self, x: np.ndarray) -> np.ndarray:
        split, perm, final = self.steps(x.shape)
        return x.reshape(split).transpose(perm).reshape(final)

    def lower(self, b: Builder) -> str:
        return _rearranged(b, self.x, *self.steps(b.type(self.x).dims))

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield case(floats(rng, (2, 6, 2, 3)), group=2)
        yield case(floats(rng, (1, 20, 3, 2)), group=4)
        yield case(floats(rng, (1, 34, 5)), group=1)
        yield case(floats(rng, (3, 8)), group=4)


def _rearranged(b: Builder, x: str, split: list[int], perm: tuple[int, ...], final: list[int]) -> str:
    blocks = b.one(Reshape(x, b.const(ints(*split), name="split"), allowzero=True))
    moved = b.one(Transpose(blocks, perm=perm))
    return b.one(Reshape(moved, b.const(ints(*final), name="shape"), allowzero=True))
