"""An LLVM value is a name with a type, and Python operators on it write instructions."""

import math
import struct
from collections.abc import Callable
from functools import lru_cache
from typing import Protocol, Union

Number = int | float | bool


@lru_cache(maxsize=512)
def element_of(kind: str) -> str:
    """`<16 x float>` -> `float`; a scalar type is its own element."""
    return kind.rsplit(" ", 1)[1][:-1] if kind[0] == "<" else kind


@lru_cache(maxsize=512)
def lanes_of(kind: str) -> int:
    """`<16 x float>` -> 16; scalars have 1 lane."""
    return int(kind[1:].split(" ", 1)[0]) if kind[0] == "<" else 1


def vector_of(element: str, lanes: int) -> str:
    """The type of `lanes` elements; one lane is the scalar itself."""
    return element if lanes == 1 else f"<{lanes} x {element}>"


def like(kind: str, element: str) -> str:
    """The type with as many lanes as `kind` but another element."""
    return vector_of(element, lanes_of(kind))


def is_float(kind: str) -> bool:
    """Whether arithmetic on this type is floating point."""
    return element_of(kind) in ("float", "double", "half", "bfloat")


def size_of(kind: str) -> int:
    """Bytes of a value in memory (i1 counts as one byte an element)."""
    sizes = {"float": 4, "double": 8, "half": 2, "bfloat": 2, "ptr": 8, "i1": 1}
    element = element_of(kind)
    return lanes_of(kind) * (sizes.get(element) or int(element[1:]) // 8)


def literal(value: Number, element: str) -> str:
    """A scalar constant as LLVM text; floats print the bits of the nearest value of the type."""
    # 0.0 and -0.0 are one key of a dict, and must not be one constant
    return _literal(value, element, math.copysign(1.0, value))


@lru_cache(maxsize=4096)
def _literal(value: Number, element: str, sign: float) -> str:
    if element == "float":
        value = _nearest_f32(float(value))
    if element in ("float", "double"):
        return f"0x{struct.unpack('<Q', struct.pack('<d', float(value)))[0]:016X}"
    if element == "half":
        return f"0xH{struct.unpack('<H', struct.pack('<e', value))[0]:04X}"
    if element == "bfloat":
        return f"0xR{struct.unpack('<I', struct.pack('<f', value))[0] + 0x8000 >> 16:04X}"
    if element == "i1":
        return "true" if value else "false"
    return str(int(value))


def _nearest_f32(value: float) -> float:
    try:
        return struct.unpack("<f", struct.pack("<f", value))[0]
    except OverflowError:  # beyond the largest f32
        return math.copysign(math.inf, value)


class Writer(Protocol):
    """What operators need from the emitter that owns a value."""

    def binary(self, operation: str, left: "Value", right: "Value") -> "Value": ...
    def compare(self, predicate: str, left: "Value", right: "Value") -> "Value": ...
    def constant(self, number: Number, kind: str, unsigned: bool = False) -> "Value": ...
    def unary(self, operation: str, operand: "Value") -> "Value": ...


class Value:
    """One SSA value or constant: `text` is how LLVM spells it, `type` its LLVM type.

    Arithmetic with Python numbers makes constants of the value's own type; comparisons give i1 lanes.
    `unsigned` chooses unsigned division, comparison and widening, LLVM's integers having no sign.
    """

    __slots__ = ("emitter", "text", "type", "unsigned")
    __hash__ = object.__hash__

    def __init__(self, emitter: Writer, text: str, kind: str, unsigned: bool = False) -> None:
        self.emitter, self.text, self.type, self.unsigned = emitter, text, kind, unsigned

    def __repr__(self) -> str:
        return f"{self.type} {self.text}"

    def __bool__(self) -> bool:
        raise TypeError(f"{self!r} is only known at run time: use m.where or Emitter.when instead of if")

    def match(self, other: "Operand") -> "Value":
        """`other` as a value of this type (numbers become constants)."""
        if isinstance(other, Value):
            return other
        return self.emitter.constant(other, self.type, self.unsigned)

    def __neg__(self) -> "Value":
        return self.emitter.unary("neg", self)

    def __invert__(self) -> "Value":
        return self.emitter.unary("not", self)

    def __abs__(self) -> "Value":
        return self.emitter.unary("abs", self)

    def __pos__(self) -> "Value":
        return self

    def __add__(self, other: "Operand") -> "Value":
        return self.emitter.binary("add", self, self.match(other))

    def __radd__(self, other: "Operand") -> "Value":
        return self.emitter.binary("add", self.match(other), self)

    def __sub__(self, other: "Operand") -> "Value":
        return self.emitter.binary("sub", self, self.match(other))

    def __rsub__(self, other: "Operand") -> "Value":
        return self.emitter.binary("sub", self.match(other), self)

    def __mul__(self, other: "Operand") -> "Value":
        return self.emitter.binary("mul", self, self.match(other))

    def __rmul__(self, other: "Operand") -> "Value":
        return self.emitter.binary("mul", self.match(other), self)

    def __truediv__(self, other: "Operand") -> "Value":
        return self.emitter.binary("div", self, self.match(other))

    def __rtruediv__(self, other: "Operand") -> "Value":
        return self.emitter.binary("div", self.match(other), self)

    def __and__(self, other: "Operand") -> "Value":
        return self.emitter.binary("and", self, self.match(other))

    def __rand__(self, other: "Operand") -> "Value":
        return self.emitter.binary("and", self.match(other), self)

    def __or__(self, other: "Operand") -> "Value":
        return self.emitter.binary("or", self, self.match(other))

    def __ror__(self, other: "Operand") -> "Value":
        return self.emitter.binary("or", self.match(other), self)

    def __xor__(self, other: "Operand") -> "Value":
        return self.emitter.binary("xor", self, self.match(other))

    def __rxor__(self, other: "Operand") -> "Value":
        return self.emitter.binary("xor", self.match(other), self)

    def __lshift__(self, other: "Operand") -> "Value":
        return self.emitter.binary("shl", self, self.match(other))

    def __rshift__(self, other: "Operand") -> "Value":
        return self.emitter.binary("shr", self, self.match(other))

    def __lt__(self, other: "Operand") -> "Value":
        return self.emitter.compare("lt", self, self.match(other))

    def __le__(self, other: "Operand") -> "Value":
        return self.emitter.compare("le", self, self.match(other))

    def __gt__(self, other: "Operand") -> "Value":
        return self.emitter.compare("gt", self, self.match(other))

    def __ge__(self, other: "Operand") -> "Value":
        return self.emitter.compare("ge", self, self.match(other))

    def __eq__(self, other: "Operand") -> "Value":  # type: ignore[override]  # numpy's meaning: lane by lane
        return self.emitter.compare("eq", self, self.match(other))

    def __ne__(self, other: "Operand") -> "Value":  # type: ignore[override]  # numpy's meaning: lane by lane
        return self.emitter.compare("ne", self, self.match(other))


Operand = Union[Value, Number]  # noqa: UP007 (evaluated at import, where Value | int would need the class)
Index = Union[Value, int]  # noqa: UP007
Binary = Callable[[Operand, Operand], Operand]
