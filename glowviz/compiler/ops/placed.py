"""Elements put where indices, blocks or lengths say: unfolding, unpooling, caches, reversed rows, chosen slices."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import numpy as np

from glowviz.compiler.ops.base import Case, Op, Value, Work, case
from glowviz.compiler.ops.cases import floats, integers, ints
from glowviz.compiler.ops.norm import check_axis
from glowviz.compiler.ops.shape import Known, Movement, numbers
from glowviz.compiler.ops.windows import explicit, slide, tap_slices
from glowviz.compiler.types import Symbol, Type, TypeProblem


class Col2Im(Op):
    """Columns x[N, C · block, L] added up into the pictures that windows of `block` were cut from."""

    x: Value
    image_shape: Value
    block_shape: Value
    dilations: tuple[int, ...] = ()
    pads: tuple[int, ...] = ()
    strides: tuple[int, ...] = ()
    onnx = "Col2Im"
    family = "pool"

    def infer(self, x: Type, image_shape: Type, block_shape: Type, *, known: Known) -> Type:
        image, block = numbers(known, "image_shape", "the picture's shape"), numbers(known, "block_shape", "the block")
        if x.rank != 3 or len(image) != len(block) or x.dims[1] % prod(block):
            raise TypeProblem(f"x must be [N, C·{prod(block)}, L], got {x}")
        windows = slide(image, block, self.strides, self.pads, self.dilations)
        if prod(windows.out) != x.dims[2]:
            raise TypeProblem(f"a picture of {list(image)} has {prod(windows.out)} blocks, x {x} has {x.dims[2]}")
        return Type(x.elem, (x.dims[0], x.dims[1] // prod(block), *image))

    def reference(self, x: np.ndarray, image_shape: np.ndarray, block_shape: np.ndarray) -> np.ndarray:
        image, block = (tuple(int(n) for n in s) for s in (image_shape, block_shape))
        windows = slide(image, block, self.strides, self.pads, self.dilations)
        columns = x.reshape(x.shape[0], -1, *block, *windows.out)
        around = tuple(n + b + e for n, b, e in zip(image, windows.begins, windows.ends, strict=True))
        y = np.zeros((*columns.shape[:2], *around), x.dtype)
        for position, cuts in tap_slices(windows):
            y[(slice(None), slice(None), *cuts)] += columns[(slice(None), slice(None), *position)]
        inner = tuple(slice(b, b + n) for b, n in zip(windows.begins, image, strict=True))
        return y[(slice(None), slice(None), *inner)]

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield case(floats(rng, (1, 5, 5)), ints(5, 5), ints(1, 5))
        yield case(floats(rng, (2, 8, 25)), ints(6, 6), ints(2, 2))
        yield case(floats(rng, (1, 9, 4)), ints(5, 5), ints(3, 3), strides=(2, 2))


class MaxUnpool(Op):
    """Every element of x at the place of the larger map that its index names, zeros elsewhere."""

    x: Value
    indices: Value
    output_shape: Value | None = None
    kernel: tuple[int, ...] = ()
    pads: tuple[int, ...] = ()
    strides: tuple[int, ...] = ()
    onnx = "MaxUnpool"
    family = "pool"

    def plain(self, x: tuple[int, ...]) -> tuple[int, ...]:
        """The shape that indices count in, for a logical shape of x."""
        strides, begins, ends, _ = explicit(self.kernel, self.strides, self.pads, ())
        sizes = zip(x[2:], strides, self.kernel, begins, ends, strict=True)
        return (*x[:2], *((n - 1) * s + k - b - e for n, s, k, b, e in sizes))

    def infer(self, x: Type, indices: Type, output_shape: Type | None, *, known: Known) -> Type:
        if indices.elem != "i64" or indices.dims != x.dims:
            raise TypeProblem(f"indices must be i64 of the shape of x {x}, got {indices}")
        if output_shape is None:
            return Type(x.elem, self.plain(x.dims))
        return Type(x.elem, numbers(known, "output_shape", "the result's shape"))

    def reference(self, x: np.ndarray, indices: np.ndarray, output_shape: np.ndarray | None) -> np.ndarray:
        plain = self.plain(x.shape)
        y = np.zeros(plain, x.dtype)
        y.reshape(-1)[indices.reshape(-1)] = x.reshape(-1)
        if output_shape is None:
            return y
        # indices count in the smaller map; it is the first corner of the given one
        whole = np.zeros(tuple(int(n) for n in output_shape), x.dtype)
        whole[tuple(slice(0, n) for n in plain)] = y
        return whole

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        indices = np.array([[[[5, 7], [13, 15]]]], np.int64)
        yield case(floats(rng, (1, 1, 2, 2)), indices, kernel=(2, 2), strides=(2, 2))


class TensorScatter(Movement):
    """The cache with `update` written into it along an axis, for every batch entry from its own index on."""

    past_cache: Value
    update: Value
    write_indices: Value | None = None
    axis: int = -2
    mode: str = "linear"
    onnx = "TensorScatter"

    def infer(self, past_cache: Type, update: Type, write_indices: Type | None) -> Type:
        axis = check_axis(self.axis, past_cache.rank)
        same = [a == b for i, (a, b) in enumerate(zip(past_cache.dims, update.dims, strict=False)) if i != axis]
        if self.mode not in ("linear", "circular") or not axis or update.rank != past_cache.rank or not all(same):
            raise TypeProblem(f"update {update} must fit the cache {past_cache} but for axis {axis}")
        return Type(past_cache.elem, past_cache.shape)

    def reference(self, past_cache: np.ndarray, update: np.ndarray, write_indices: np.ndarray | None) -> np.ndarray:
        axis = self.axis % past_cache.ndim
        cache, new = np.moveaxis(past_cache.copy(), axis, 1), np.moveaxis(update, axis, 1)
        for batch in range(cache.shape[0]):
            start = 0 if write_indices is None else int(write_indices[batch])
            places = np.arange(start, start + new.shape[1])
            cache[batch, places % cache.shape[1] if self.mode == "circular" else places] = new[batch]
        return np.ascontiguousarray(np.moveaxis(cache, 1, axis))

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        cache, update = floats(rng, (2, 3, 8, 4)), floats(rng, (2, 3, 2, 4))
        yield case(cache, update, ints(1, 5))
        yield case(cache, update, ints(7, 0), mode="circular")
        yield case(cache, update)


class ReverseSequence(Movement):
    """The first `sequence_lens[i]` elements along the time axis in reverse, for every entry i of the batch axis."""

    x: Value
    sequence_lens: Value
    batch_axis: int = 1
    time_axis: int = 0
    onnx = "ReverseSequence"

    def infer(self, x: Type, sequence_lens: Type) -> Type:
        if x.rank < 2 or {self.batch_axis, self.time_axis} != {0, 1}:
            raise TypeProblem(f"x {x} must have at least two dims, one of them batch, the other time")
        if sequence_lens.dims != (x.dims[self.batch_axis],):
            raise TypeProblem(f"sequence_lens must have one number for each of {x.dims[self.batch_axis]}")
        return Type(x.elem, x.shape)

    def reference(self, x: np.ndarray, sequence_lens: np.ndarray) -> np.ndarray:
        rows = np.swapaxes(x, 0, 1) if self.batch_axis else x
        y = rows.copy()
        for i, n in enumerate(sequence_lens):
            y[i, :n] = rows[i, :n][::-1]
        return np.ascontiguousarray(np.swapaxes(y, 0, 1) if self.batch_axis else y)

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield case(floats(rng, (4, 3, 2)), ints(4, 1, 2))
        yield case(floats(rng, (3, 4)), ints(4, 0, 2), batch_axis=0, time_axis=1)


class Compress(Op):
    """The slices of x along an axis (or its elements in a row) where the condition is true."""

    x: Value
    condition: Value
    axis: int | None = None
    onnx = "Compress"
    family = "shape"

    def infer(self, x: Type, condition: Type, *, known: Known) -> Type:
        if condition.elem != "bool" or condition.rank != 1:
            raise TypeProblem(f"the condition must be a row of bools, got {condition}")
        axis = None if self.axis is None else check_axis(self.axis, x.rank)
        size = x.count if axis is None else x.dims[axis]
        content = known["condition"]
        kept = Symbol("kept", min(size, condition.count)) if content is None else int(content[:size].sum())
        return Type(x.elem, (kept,) if axis is None else (*x.dims[:axis], kept, *x.dims[axis + 1 :]))

    def reference(self, x: np.ndarray, condition: np.ndarray) -> np.ndarray:
        size = x.size if self.axis is None else x.shape[self.axis]
        return np.compress(condition[:size], x, self.axis)

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        x = floats(rng, (3, 2))
        yield case(x, np.array([False, True, True]), axis=0)
        yield case(x, np.array([False, True]), axis=-1)
        yield case(x, np.array([False, True, False, False, True]))


class Unique(Op):
    """Elements (or slices along an axis) without repeats, where each first stands, and how often each occurs."""

    x: Value
    axis: int | None = None
    sorted: bool = True
    onnx = "Unique"
    family = "shape"
    outputs = ("y", "indices", "inverse_indices", "counts")

    def infer(self, x: Type, *, known: Known) -> tuple[Type, ...]:
        axis = None if self.axis is None else check_axis(self.axis, x.rank)
        size = x.count if axis is None else x.dims[axis]
        content = known["x"]
        found = Symbol("unique", size) if content is None else len(self.reference(content)[1])
        shape = (found,) if axis is None else (*x.dims[:axis], found, *x.dims[axis + 1 :])
        one = Type("i64", (found,))
        return Type(x.elem, shape), one, Type("i64", (size,)), one

    def reference(self, x: np.ndarray) -> tuple[np.ndarray, ...]:
        values, first, inverse, counts = np.unique(x, True, True, True, axis=self.axis)
        inverse = inverse.reshape(-1)
        if not self.sorted:
            order = np.argsort(first, kind="stable")
            back = np.empty_like(order)
            back[order] = np.arange(len(order))
            values = np.take(values, order, 0 if self.axis is None else self.axis)
            first, counts, inverse = first[order], counts[order], back[inverse]
        return values, *(a.astype(np.int64) for a in (first, inverse, counts))

    def work(self, operands: tuple[Type, ...], results: tuple[Type, ...]) -> Work:
        count = operands[0].count
        return Work(count * max(count, 2).bit_length(), sum(t.bytes for t in operands))

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield case(np.round(floats(rng, (2, 7))))
        yield case(np.round(floats(rng, (9,))), sorted=False)
        yield case(integers(rng, (5, 2), 0, 2), axis=0)
