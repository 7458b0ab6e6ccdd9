"""A type says what a value is: element kind, logical shape, quantization and memory order."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from math import prod

import ml_dtypes
import numpy as np

ELEMENTS: dict[str, np.dtype] = {
    name: np.dtype(kind)
    for name, kind in {
        "f32": np.float32, "f64": np.float64, "f16": np.float16, "bf16": ml_dtypes.bfloat16,
        "i8": np.int8, "i16": np.int16, "i32": np.int32, "i64": np.int64,
        "u8": np.uint8, "u16": np.uint16, "u32": np.uint32, "u64": np.uint64,
        "bool": np.bool_, "c64": np.complex64, "c128": np.complex128,
        "f8e4m3fn": ml_dtypes.float8_e4m3fn, "f8e4m3fnuz": ml_dtypes.float8_e4m3fnuz,
        "f8e5m2": ml_dtypes.float8_e5m2, "f8e5m2fnuz": ml_dtypes.float8_e5m2fnuz,
        "f8e8m0": ml_dtypes.float8_e8m0fnu, "f4e2m1": ml_dtypes.float4_e2m1fn,
        "f6e2m3": ml_dtypes.float6_e2m3fn, "f6e3m2": ml_dtypes.float6_e3m2fn,
        "i4": ml_dtypes.int4, "u4": ml_dtypes.uint4, "i2": ml_dtypes.int2, "u2": ml_dtypes.uint2, "string": np.object_,
    }.items()
}
ELEMENT_OF = {dtype: name for name, dtype in ELEMENTS.items()}
FLOATS = frozenset({"f32", "f64", "f16", "bf16"})
INTEGERS = frozenset({"i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64"})


class TypeProblem(ValueError):
    """A type that cannot be, or an operation on one that has no meaning; the text is for the user."""


class KnownAtRunTime(TypeProblem):
    """A size that follows from contents which nobody knows before the model runs."""


@dataclass(frozen=True, slots=True)
class Symbol:
    """A dimension not yet bound: its name and, where known, the largest value it may take."""

    name: str
    bound: int | None = None

    def __str__(self) -> str:
        return self.name if self.bound is None else f"{self.name}<={self.bound}"


Dim = int | Symbol


@dataclass(frozen=True, slots=True)
class Quant:
    """real = scale · (stored − zero), with one value for the tensor or one per index (or block) of `axis`."""

    scale: tuple[float, ...]
    zero: tuple[int, ...] = (0,)
    axis: int | None = None
    block: int | None = None

    def __post_init__(self) -> None:
        if self.axis is None and (len(self.scale) != 1 or len(self.zero) != 1):
            raise TypeProblem("a quantization without an axis has exactly one scale and one zero point")
        if len(self.zero) not in (1, len(self.scale)):
            raise TypeProblem(f"{len(self.scale)} scales need 1 or {len(self.scale)} zero points, got {len(self.zero)}")
        if not all(s > 0 for s in self.scale):
            raise TypeProblem("every quantization scale must be greater than 0")


@dataclass(frozen=True, slots=True)
class Order:
    """How a logical tensor lies in memory: physical dims from outermost to innermost.

    Each physical dim is `(axis, factor)`. The one dim of an axis with factor 0 counts whole blocks
    (rounded up, so the last block may carry padding); the dims with a factor are its inner tiles.
    NCHW16c is `((0, 0), (1, 0), (2, 0), (3, 0), (1, 16))`.
    """

    dims: tuple[tuple[int, int], ...]

    def __post_init__(self) -> None:
        outer = sorted(axis for axis, factor in self.dims if factor == 0)
        if outer != list(range(len(outer))):
            raise TypeProblem(f"order {self.dims} must name every axis once with factor 0")
        if any(factor < 0 or axis not in outer for axis, factor in self.dims):
            raise TypeProblem(f"order {self.dims} tiles an axis that does not exist or by a negative factor")

    @property
    def rank(self) -> int:
        return sum(factor == 0 for _, factor in self.dims)

    def tile(self, axis: int) -> int:
        """The product of the inner tile factors of one logical axis."""
        return prod(factor for a, factor in self.dims if a == axis and factor)

    def physical(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The physical shape of a logical one; partial blocks count whole."""
        return tuple(f or -(-shape[axis] // self.tile(axis)) for axis, f in self.dims)

    def pack(self, array: np.ndarray) -> np.ndarray:
        """Logical array to its physical one (C-contiguous); padding is zero."""
        padded = [(0, -(-n // self.tile(a)) * self.tile(a) - n) for a, n in enumerate(array.shape)]
        if any(after for _, after in padded):
            array = np.pad(array, padded)
        split, place = self._split(array.shape)
        return np.ascontiguousarray(array.reshape(split).transpose(place))

    def pack_into(self, array: np.ndarray, physical: np.ndarray) -> None:
        """The same as `pack`, written into contiguous memory that is there already."""
        if any(n % self.tile(a) for a, n in enumerate(array.shape)):
            physical[...] = self.pack(array)
            return
        split, place = self._split(array.shape)
        physical.reshape([split[p] for p in place])[...] = array.reshape(split).transpose(place)

    def unpack(self, physical: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Physical array back to the logical one of `shape`; padding is dropped."""
        whole = tuple(-(-n // self.tile(a)) * self.tile(a) for a, n in enumerate(shape))
        split, place = self._split(whole)
        back = np.argsort(place)
        array = physical.reshape(tuple(split[p] for p in place)).transpose(back).reshape(whole)
        return array[tuple(slice(0, n) for n in shape)]

    def _split(self, shape: tuple[int, ...]) -> tuple[list[int], list[int]]:
        split: list[int] = []
        index: dict[int, int] = {}
        for axis, n in enumerate(shape):
            parts = [(i, f) for i, (a, f) in enumerate(self.dims) if a == axis]
            parts.sort(key=lambda part: part[1] != 0)
            for i, factor in parts:
                index[i] = len(split)
                split.append(factor or n // self.tile(axis))
        return split, [index[i] for i in range(len(self.dims))]

    def __str__(self) -> str:
        return ORDER_NAMES.get(self) or "[" + ",".join(f"{a}/{f}" if f else str(a) for a, f in self.dims) + "]"


def channels_last(rank: int) -> Order:
    """N, spatial…, C."""
    return Order(tuple((a, 0) for a in (0, *range(2, rank), 1)))


def channel_blocked(rank: int, block: int) -> Order:
    """N, C/block, spatial…, block: `@NCHW16c` for rank 4 and block 16."""
    return Order((*((a, 0) for a in range(rank)), (1, block)))


ORDER_NAMES: dict[Order, str] = {channels_last(4): "NHWC", channels_last(3): "NWC", channels_last(5): "NDHWC"}
for _block in (4, 8, 16):
    ORDER_NAMES[channel_blocked(4, _block)] = f"NCHW{_block}c"
    ORDER_NAMES[channel_blocked(3, _block)] = f"NCW{_block}c"
ORDERS_BY_NAME = {name: order for order, name in ORDER_NAMES.items()}


@dataclass(frozen=True, slots=True)
class Type:
    """`elem[shape]`, logical; `shape` is None while even the rank is unknown (before bind_shapes)."""

    elem: str
    shape: tuple[Dim, ...] | None = ()
    quant: Quant | None = None
    order: Order | None = None

    def __post_init__(self) -> None:
        if self.elem not in ELEMENTS:
            raise TypeProblem(f"unknown element type {self.elem!r}; known are {', '.join(ELEMENTS)}")
        if self.order is not None and self.shape is not None and self.order.rank != len(self.shape):
            rank = len(self.shape)
            raise TypeProblem(f"order @{self.order} is for rank {self.order.rank}, the shape has rank {rank}")

    @property
    def dtype(self) -> np.dtype:
        return ELEMENTS[self.elem]

    @property
    def static(self) -> bool:
        """Every dimension is a number."""
        if self.shape is None:
            return False
        for dim in self.shape:  # noqa: SIM110  # asked more often than anything else: a loop is faster than all()
            if dim.__class__ is Symbol:
                return False
        return True

    @property
    def held(self) -> bool:
        """Values of this type lie outside every arena: their size is known only at run time, or they are no numbers."""
        return not self.static or self.elem == "string"

    @property
    def dims(self) -> tuple[int, ...]:
        """The shape as plain numbers; an unbound dimension is an error that names it."""
        if self.shape is None:
            raise TypeProblem("the rank is not known before the shapes are bound")
        for dim in self.shape:
            if not isinstance(dim, int):
                raise TypeProblem(f"dimension {dim} is not bound")
        return self.shape  # type: ignore[return-value]  # checked just above

    @property
    def rank(self) -> int:
        if self.shape is None:
            raise TypeProblem("the rank is not known before the shapes are bound")
        return len(self.shape)

    @property
    def count(self) -> int:
        """Logical elements."""
        return prod(self.dims)

    @property
    def physical(self) -> tuple[int, ...]:
        return self.order.physical(self.dims) if self.order else self.dims

    @property
    def bytes(self) -> int:
        """Bytes in memory, padding of the order included (halo belongs to the buffer); 0 for what is held outside."""
        if self.held:
            return 0
        return prod(self.physical) * self.dtype.itemsize

    @property
    def is_float(self) -> bool:
        return self.elem in FLOATS

    def with_shape(self, shape: tuple[Dim, ...] | None) -> Type:
        return replace(self, shape=shape, order=None)

    def with_elem(self, elem: str) -> Type:
        return replace(self, elem=elem, quant=None)

    def with_order(self, order: Order | None) -> Type:
        return replace(self, order=order)

    @property
    def logical(self) -> Type:
        """The same values in plain row-major order."""
        return self if self.order is None else replace(self, order=None)

    def __str__(self) -> str:
        quant = "" if self.quant is None else format_quant(self.quant)
        shape = "*" if self.shape is None else "x".join(map(dim_text, self.shape))
        return f"{self.elem}{quant}[{shape}]" + (f"@{self.order}" if self.order else "")


PLAIN_DIM = re.compile(r"[A-WYZa-wyz_?][A-WYZa-wyz0-9_?.]*\Z")


def dim_text(dim: Dim) -> str:
    """`64`, `N`, `N<=8`; a name with an x or another odd sign in it is quoted, for x stands between dimensions."""
    if isinstance(dim, Symbol) and not PLAIN_DIM.match(dim.name):
        return json.dumps(dim.name) + ("" if dim.bound is None else f"<={dim.bound}")
    return str(dim)


def format_quant(quant: Quant) -> str:
    """`(scale, zero)` or `(axis=0, scale=[…], zero=0)` as it stands in the text of a type."""
    if quant.axis is None:
        return f"({float(quant.scale[0])!r}, {int(quant.zero[0])})"
    scale = "[" + ", ".join(repr(float(s)) for s in quant.scale) + "]"
    zero = str(int(quant.zero[0])) if len(quant.zero) == 1 else "[" + ", ".join(str(int(z)) for z in quant.zero) + "]"
    block = "" if quant.block is None else f", block={quant.block}"
    return f"(axis={quant.axis}{block}, scale={scale}, zero={zero})"


class Outside(Type):
    """What is no tensor: it holds values of type `item` and answers like a tensor whose shape is not known.

    So a pass that asks `static` before it computes with a shape needs to know nothing of sequences and optionals.
    """

    __slots__ = ("item",)
    __match_args__ = ("item",)  # type: ignore[assignment]  # a pattern asks for the item alone
    word = ""
    item: Type

    def __init__(self, item: Type) -> None:
        for name, value in (("item", item), ("elem", item.elem), ("shape", None), ("quant", None), ("order", None)):
            object.__setattr__(self, name, value)

    @property
    def is_float(self) -> bool:
        return False

    def with_shape(self, shape: tuple[Dim, ...] | None) -> Type:
        return self

    def with_elem(self, elem: str) -> Type:
        return type(self)(self.item.with_elem(elem))

    def with_order(self, order: Order | None) -> Type:
        return self

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self.item == other.item  # type: ignore[attr-defined]  # one class

    def __hash__(self) -> int:
        return hash((self.word, self.item))

    def __reduce__(self) -> tuple[type[Outside], tuple[Type]]:
        return type(self), (self.item,)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.item!r})"

    def __str__(self) -> str:
        return f"{self.word}({self.item})"


class SequenceType(Outside):
    """A list of tensors of one type."""

    __slots__ = ()
    word = "seq"


class OptionalType(Outside):
    """A value or nothing."""

    __slots__ = ()
    word = "optional"


def of_array(array: np.ndarray | list[np.ndarray]) -> Type:
    """The type of a numpy array, or of a list of alike ones; an element kind without a name here is refused."""
    if isinstance(array, list):
        return SequenceType(of_array(array[0]) if array else Type("f32", None))
    elem = ELEMENT_OF.get(array.dtype)
    if elem is None:
        raise TypeProblem(f"numpy's {array.dtype} has no element type here; known are {', '.join(ELEMENTS)}")
    return Type(elem, tuple(int(n) for n in array.shape))


def broadcast(*shapes: tuple[Dim, ...]) -> tuple[Dim, ...]:
    """The ONNX multidirectional broadcast of shapes; what cannot broadcast is refused with both shapes."""
    if len(set(shapes)) == 1:
        return shapes[0]
    rank = max((len(s) for s in shapes), default=0)
    result: list[Dim] = []
    for position in range(rank):
        dims = {s[position - rank + len(s)] for s in shapes if position - rank + len(s) >= 0} - {1}
        if len(dims) > 1:
            told = " and ".join("[" + "x".join(map(str, s)) + "]" for s in shapes)
            raise TypeProblem(f"shapes {told} do not broadcast: dimension {position} is {sorted(map(str, dims))}")
        result.append(dims.pop() if dims else 1)
    return tuple(result)
