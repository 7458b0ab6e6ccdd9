"""Linear quantization at run time: scales and zero points are operands, one, one per index of an axis, or per block."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from glowviz.compiler.ops.base import Builder, Case, Op, Value, Work, case
from glowviz.compiler.ops.cases import floats, integers, positive
from glowviz.compiler.ops.elementwise import Add
from glowviz.compiler.ops.narrow import narrowed
from glowviz.compiler.types import ELEMENTS, FLOATS, Type, TypeProblem, of_array

INTEGER_RANGES: dict[str, tuple[int, int]] = {
    f"{sign}{bits}": ((0, 2**bits - 1) if sign == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1))
    for sign in "iu" for bits in (2, 4, 8, 16, 32)
}
"""Smallest and largest number of the element kinds that values are quantized to."""
SMALL_FLOATS = frozenset({"f8e4m3fn", "f8e4m3fnuz", "f8e5m2", "f8e5m2fnuz", "f4e2m1", "f6e2m3", "f6e3m2"})


def spread(per: np.ndarray, shape: tuple[int, ...], axis: int, block: int) -> np.ndarray:
    """Scales or zero points so that they broadcast over a value of `shape`."""
    if per.size == 1 and per.ndim <= 1:
        return per.reshape(())
    axis %= max(len(shape), 1)
    if block:
        return np.repeat(per, block, axis)[tuple(slice(0, n) for n in shape)]
    if per.ndim == 1:
        return per.reshape([-1 if i == axis else 1 for i in range(len(shape))])
    return per


def check_scale(x: Type, scale: Type, zero: Type | None, axis: int, block: int) -> None:
    """Refuse scales that do not fit: one, one per index of the axis, or the shape of x in blocks."""
    if zero is not None and zero.dims != scale.dims and zero.count != scale.count:
        raise TypeProblem(f"the zero point must have the shape of the scale {scale}, got {zero}")
    if scale.count == 1 and scale.rank <= 1:
        return
    if not -x.rank <= axis < x.rank:
        raise TypeProblem(f"axis must be in [{-x.rank}, {x.rank - 1}], got {axis}")
    axis %= x.rank
    wanted = (x.dims[axis],)
    if block:
        wanted = tuple(-(-n // block) if i == axis else n for i, n in enumerate(x.dims))
    if scale.dims != wanted:
        raise TypeProblem(f"the scale must have the shape {list(wanted)} or one number for x {x}, got {scale}")


def quantized(x: np.ndarray, elem: str, zero: np.ndarray | int, saturate: bool = True) -> np.ndarray:
    """Scaled numbers, rounded to even, plus zero, as the element kind; what does not fit is the nearest that does."""
    if elem in INTEGER_RANGES:
        low, high = INTEGER_RANGES[elem]
        whole = np.rint(x)
        whole = np.where(np.isnan(whole), 0, whole)
        return np.clip(whole.astype(np.float64) + np.asarray(zero).astype(np.float64), low, high).astype(ELEMENTS[elem])
    return narrowed(x + np.asarray(zero).astype(x.dtype), elem, saturate)


EXACT = frozenset({"i8", "u8", "i16", "u16"})
"""Kinds whose numbers, and differences of them, f32 holds exactly."""


def over(b: Builder, per: str, x: Type, axis: int, block: int) -> str:
    """Scales or zero points as a value that broadcasts over x."""
    found = b.type(per)
    if found.count == 1 and found.rank <= 1:
        return b.reshape(per, b.const(np.zeros(0, np.int64), name="shape"))
    axis %= x.rank
    if not block:
        shape = [-1 if i == axis else 1 for i in range(x.rank)]
        return b.reshape(per, b.const(np.array(shape, np.int64), name="shape"))
    places = np.arange(x.dims[axis], dtype=np.int64) // block
    return b.gather(per, b.const(places, name="blocks"), axis=axis)


class QuantizeLinear(Op):
    """round(x / scale) + zero, saturated; the element kind is that of the zero point, else `output_dtype`, else u8."""

    x: Value
    scale: Value
    zero: Value | None = None
    axis: int = 1
    block_size: int = 0
    output_dtype: str = ""
    precision: str = ""
    saturate: bool = True
    onnx = "QuantizeLinear"
    family = "quant"

    def _elem(self, zero: Type | None) -> str:
        elem = zero.elem if zero is not None else self.output_dtype or "u8"
        if elem not in INTEGER_RANGES and elem not in SMALL_FLOATS:
            raise TypeProblem(f"x can be quantized to small integers and floats, not to {elem}")
        return elem

    def infer(self, x: Type, scale: Type, zero: Type | None) -> Type:
        check_scale(x, scale, zero, self.axis, self.block_size)
        return Type(self._elem(zero), x.shape)

    def reference(self, x: np.ndarray, scale: np.ndarray, zero: np.ndarray | None) -> np.ndarray:
        elem = self._elem(None if zero is None else of_array(zero))
        wide = np.dtype(ELEMENTS[self.precision]) if self.precision else np.promote_types(scale.dtype, np.float32)
        by = spread(scale, x.shape, self.axis, self.block_size).astype(wide)
        shift = 0 if zero is None else spread(zero.astype(np.float64), x.shape, self.axis, self.block_size)
        with np.errstate(all="ignore"):
            return quantized((x.astype(wide) / by).astype(wide), elem, shift, self.saturate)

    def lower(self, b: Builder) -> str | None:
        """Div, Round, Add, Clip, Cast where f32 becomes 8 or 16 bits."""
        x, scale = b.type(self.x), b.type(self.scale)
        elem = b.type(self.zero).elem if self.zero is not None else self.output_dtype or "u8"
        if x.elem != "f32" or scale.elem != "f32" or self.precision or elem not in EXACT:
            return None
        low, high = INTEGER_RANGES[elem]
        value = b.round(b.div(self.x, over(b, self.scale, x, self.axis, self.block_size)))
        if self.zero is not None:
            shift = over(b, b.cast(self.zero, to="f32"), x, self.axis, self.block_size)
            value = b.one(Add(value, shift))
        return b.cast(b.clip(value, low=float(low), high=float(high)), to=elem)

    def work(self, operands: tuple[Type, ...], results: tuple[Type, ...]) -> Work:
        return Work(3 * results[0].count, sum(t.bytes for t in (*operands, *results)))

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        x = floats(rng, (2, 3, 4)) * 50
        yield case(x, np.array(0.5, np.float32), np.array(128, np.uint8))
        yield case(x, positive(rng, (3,)), np.array([0, 1, -3], np.int8))
        yield case(x, positive(rng, (4,)), np.zeros(4, np.uint16), axis=-1)
        yield case(x, positive(rng, (2, 3, 2)), np.zeros((2, 3, 2), np.int8), axis=2, block_size=2)


class DequantizeLinear(Op):
    """(x - zero) · scale, in the element kind of the scale or `output_dtype`."""

    x: Value
    scale: Value
    zero: Value | None = None
    axis: int = 1
    block_size: int = 0
    output_dtype: str = ""
    onnx = "DequantizeLinear"
    family = "quant"

    def infer(self, x: Type, scale: Type, zero: Type | None) -> Type:
        if scale.elem not in FLOATS | {"f8e8m0"}:
            raise TypeProblem(f"the scale must be floating-point, got {scale}")
        if zero is not None and zero.elem != x.elem:
            raise TypeProblem(f"x and the zero point must have one element type, got {x} and {zero}")
        check_scale(x, scale, zero, self.axis, self.block_size)
        return Type(self.output_dtype or scale.elem, x.shape)

    def reference(self, x: np.ndarray, scale: np.ndarray, zero: np.ndarray | None) -> np.ndarray:
        elem = self.output_dtype or of_array(scale).elem
        by = spread(scale, x.shape, self.axis, self.block_size)
        wide = np.promote_types(by.dtype, np.float32)
        moved = x.astype(np.int64 if of_array(x).elem in INTEGER_RANGES else wide)
        if zero is not None:
            moved = moved - spread(zero, x.shape, self.axis, self.block_size).astype(moved.dtype)
        return (moved.astype(wide) * by.astype(wide)).astype(ELEMENTS[elem])

    def lower(self, b: Builder) -> str | None:
        """Cast, Sub, Mul where the numbers are small integers and the scale f32."""
        scale, x = b.type(self.scale), b.type(self.x)
        if scale.elem != "f32" or self.output_dtype not in ("", "f32") or x.elem not in EXACT:
            return None
        value = b.cast(self.x, to="f32")
        if self.zero is not None:
            value = b.sub(value, over(b, b.cast(self.zero, to="f32"), x, self.axis, self.block_size))
        return b.mul(value, over(b, self.scale, x, self.axis, self.block_size))

    def work(self, operands: tuple[Type, ...], results: tuple[Type, ...]) -> Work:
        return Work(2 * results[0].count, sum(t.bytes for t in (*operands, *results)))

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        x = integers(rng, (2, 3, 4), 0, 255, "u8")
        yield case(x, np.array(0.5, np.float32), np.array(128, np.uint8))
        yield case(x, positive(rng, (3,)), np.array([0, 1, 3], np.uint8))
        yield case(integers(rng, (2, 4), -9, 9, "i8"), positive(rng, (4,)), axis=-1)
        yield case(x, positive(rng, (2, 3, 2)), np.ones((2, 3, 2), np.uint8), axis=2, block_size=2)
        yield case(integers(rng, (2, 4), -900, 900, "i32"), positive(rng, ()))


class DynamicQuantizeLinear(Op):
    """x in u8 with a scale and a zero point that follow from its smallest and largest element; scale 1 if all are 0."""

    x: Value
    onnx = "DynamicQuantizeLinear"
    family = "quant"
    outputs = ("y", "scale", "zero")

    def infer(self, x: Type) -> tuple[Type, ...]:
        if x.elem != "f32":
            raise TypeProblem(f"x must be f32, got {x}")
        return Type("u8", x.shape), Type("f32", ()), Type("u8", ())

    def reference(self, x: np.ndarray) -> tuple[np.ndarray, ...]:
        low, high = np.minimum(x.min(initial=0), 0), np.maximum(x.max(initial=0), 0)
        scale = np.float32((high - low) / np.float32(255)) or np.float32(1)
        zero = np.clip(np.rint(-low / scale), 0, 255)
        return quantized(x / scale, "u8", zero), np.asarray(scale), np.asarray(zero, np.uint8)

    def lower(self, b: Builder) -> tuple[str, ...]:
        """Smallest, largest, and the pieces of the formula."""
        zero = b.const(0, like=self.x, name="zero")
        low = b.min(b.reduce_min(self.x, keepdims=False), zero)
        high = b.max(b.reduce_max(self.x, keepdims=False), zero)
        scale = b.div(b.sub(high, low), b.const(255, like=self.x, name="steps"))
        nothing = b.equal(scale, zero)
        by = b.where(nothing, b.const(1, like=self.x, name="one"), scale)
        shift = b.clip(b.round(b.div(b.neg(low), by)), low=0.0, high=255.0)
        y = b.clip(b.one(Add(b.round(b.div(self.x, by)), shift)), low=0.0, high=255.0)
        return b.cast(y, to="u8"), by, b.cast(shift, to="u8")

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield case(floats(rng, (2, 3, 4)) * 50)
        yield case(np.abs(floats(rng, (7,))) + 1)
        yield case(np.zeros((3,), np.float32))
