"""Elements of every kind come from memory as something to calculate with, and go back."""

from __future__ import annotations

import re

from glowviz.compiler.backends.cpu import double_math
from glowviz.compiler.backends.cpu.emitter import Emitter
from glowviz.compiler.backends.cpu.kernels.boxes import Unsupported
from glowviz.compiler.backends.cpu.kernels.halves import from_half, to_half
from glowviz.compiler.backends.cpu.kernels.nest import Lanes
from glowviz.compiler.backends.cpu.values import Value, element_of, is_float, lanes_of, like, vector_of
from glowviz.compiler.backends.cpu.vector_math import Math
from glowviz.compiler.target import Target

KINDS = {
    "f32": "float", "f64": "double", "f16": "half", "bf16": "i16", "bool": "i8",
    "i8": "i8", "i16": "i16", "i32": "i32", "i64": "i64", "u8": "i8", "u16": "i16", "u32": "i32", "u64": "i64",
}  # fmt: skip
"""How an element lies in memory."""
CALCULATED = {"f16": "float", "bf16": "float", "bool": "i1"}
"""What it is calculated with, where that is something else."""
HARMLESS = re.compile(r"(?:splat \(i\d+ )?[1-9]\d*\)?")
"""Constants that nothing can go wrong with as divisors (shifts by constants are written by hand)."""
INT_LIMIT = {"i8": "i32", "i16": "i32", "i32": "i32", "i64": "i64"}


def memory_kind(elem: str, target: Target) -> str:
    """The LLVM type of an element in memory; Unsupported for kinds no kernel here reads."""
    kind = KINDS.get(elem)
    if kind is None:
        raise Unsupported(f"no kernel for {elem}")
    # without F16C, LLVM would call a library to convert halves
    return "i16" if elem == "f16" and not target.has_fma else kind


def calculated_kind(elem: str) -> str:
    """The LLVM type an element is calculated with."""
    return CALCULATED.get(elem) or KINDS[elem]


def fetch(em: Emitter, elem: str, lanes: Lanes, operand: int) -> Value:
    """The lanes of an operand, ready to calculate with; masked lanes are zero."""
    kind, unsigned = memory_kind(elem, em.target), elem.startswith("u")
    pointer = lanes.pointers[operand]
    if lanes.count == 1:
        return widen(em, elem, em.load(pointer, kind, unsigned))
    if lanes.steps[operand] == 0:
        return em.splat(widen(em, elem, em.load(pointer, kind, unsigned)), lanes.count)
    if lanes.mask is None:
        return widen(em, elem, em.load(pointer, vector_of(kind, lanes.count), unsigned))
    loaded = em.load_lanes(pointer, lanes.mask, vector_of(kind, lanes.count))
    return widen(em, elem, Value(em, loaded.text, loaded.type, unsigned))


def put(em: Emitter, elem: str, lanes: Lanes, operand: int, value: Value) -> None:
    """Calculated lanes back into memory."""
    if lanes_of(value.type) < lanes.count:
        value = em.splat(value, lanes.count)
    value = narrow(em, elem, value)
    if lanes.mask is None:
        em.store(value, lanes.pointers[operand])
    else:
        em.store_lanes(value, lanes.pointers[operand], lanes.mask)


def widen(em: Emitter, elem: str, value: Value) -> Value:
    """From its form in memory to the one calculated with."""
    if elem == "bool":
        return value != 0
    if elem == "f16":
        return em.convert("fpext", value, "float") if is_float(value.type) else from_half(em, value)
    if elem == "bf16":
        return em.convert("bitcast", em.convert("zext", value, "i32") << 16, "float")
    return value


def narrow(em: Emitter, elem: str, value: Value) -> Value:
    """From its calculated form to the one in memory."""
    if elem == "bool":
        return em.convert("zext", value, "i8")
    if elem == "f16":
        return em.convert("fptrunc", value, "half") if em.target.has_fma else to_half(em, value)
    if elem == "bf16":
        return em.convert("trunc", _bfloat_bits(em, value), "i16")
    return value


def _bfloat_bits(em: Emitter, value: Value) -> Value:
    # to the nearest, halves to even; a NaN keeps a bit of its fraction
    bits = em.convert("bitcast", value, "i32")
    bits = Value(em, bits.text, bits.type, True)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    return em.select(em.unordered(value), (bits >> 16) | 0x40, rounded)


class SafeEmitter(Emitter):
    """An Emitter whose integer divisions are defined for every divisor: x / 0 is 0, INT_MIN / -1 wraps."""

    def __init__(self, name: str, target: Target) -> None:
        super().__init__(name, target)
        self.m = ElementMath(self)

    def binary(self, operation: str, left: Value, right: Value) -> Value:
        """`left operation right`, with guards around divisions and shifts by run-time integers."""
        if is_float(left.type) or operation not in ("div", "shl", "shr") or HARMLESS.fullmatch(right.text):
            return super().binary(operation, left, right)
        if operation != "div":
            bits = int(element_of(left.type)[1:])
            held = super().binary(operation, left, super().binary("and", right, right.match(bits - 1)))
            return self.select((right < bits) & (right >= 0), held, left.match(0))
        return self._divide(left, right)

    def _divide(self, left: Value, right: Value) -> Value:
        zero = right == 0
        bad = zero if left.unsigned else zero | (right == -1)
        quotient = super().binary("div", left, self.select(bad, right.match(1), right))
        if not left.unsigned:
            quotient = self.select(right == -1, -left, quotient)
        return self.select(zero, left.match(0), quotient)


class ElementMath(Math):
    """The whole namespace `m` of ops' `scalar` methods; TypeError or Unsupported where a kind has no series."""

    def like(self, x: Value, value: float) -> Value:
        """`value` in the kind of x."""
        return x.match(value)

    def pow(self, x: Value, y: Value | float) -> Value:
        """x^y; the exponent may be of another kind."""
        if not is_float(x.type):
            return self._integer_power(x, y)
        if isinstance(y, Value) and element_of(y.type) != element_of(x.type):
            y = convert(self._em, y, element_of(x.type))
        return super().pow(x, y)

    def _integer_power(self, x: Value, y: Value | float) -> Value:
        """Wraps around; a negative exponent leaves 0 but for 1 and -1, and the smallest number for 0."""
        em, kind = self._em, element_of(x.type)
        if not isinstance(y, Value):
            y = x.match(y) if float(y).is_integer() else em.constant(y, like(x.type, "double"))
        if is_float(y.type):
            wide = super().pow(convert(em, x, "double"), convert(em, y, "double"))
            return convert(em, wide, kind, x.unsigned)
        size = em.select(y < 0, y.match(0), y) if not y.unsigned else y
        with em.repeat([x.match(1), x, size, em.constant(True, "i1")]) as loop:
            result, base, rest, _ = loop.carry
            rest = Value(em, rest.text, rest.type, True)
            result = em.select((rest & 1) == 0, result, result * base)
            following = Value(em, (rest >> 1).text, rest.type, y.unsigned)
            loop.next = [result, base * base, following, em.any(following != 0)]
        result = Value(em, loop.results[0].text, x.type, x.unsigned)
        return result if y.unsigned else em.select(y < 0, self._upside_down(x, y), result)

    def _upside_down(self, x: Value, y: Value) -> Value:
        """x^y for y < 0, towards zero; 1/0 is what the largest float becomes as an integer: the smallest number."""
        bits = int(element_of(x.type)[1:])
        swings = self.where((y & 1) == 0, x.match(1), x.match(-1)) if not x.unsigned else x.match(0)
        value = self.where(x == 1, x.match(1), x.match(0))
        value = value if x.unsigned else self.where(x == -1, swings, value)
        return self.where(x == 0, x.match(0 if x.unsigned else -(1 << (bits - 1))), value)

    def logical_xor(self, left: Value, right: Value) -> Value:
        """Exactly one is true."""
        return self._truth(left) ^ self._truth(right)

    def mod(self, x: Value, y: Value) -> Value:
        """The rest with the sign of y; of integers 0 where y is 0."""
        if is_float(x.type):
            rest = self.fmod(x, y)
            rest = self.where((rest != 0) & ((rest < 0) ^ (y < 0)), rest + y, rest)
            return self.where(rest == 0, self._em.intrinsic("copysign", rest, y), rest)
        rest = x - (x / y) * y
        if not x.unsigned:
            rest = self.where((rest != 0) & ((rest < 0) ^ (y < 0)), rest + y, rest)
        return self.where(y == 0, y, rest)

    def fmod(self, x: Value, y: Value) -> Value:
        """The rest with the sign of x, as C's fmod; of f32 right while |x / y| < 2^29."""
        if not is_float(x.type):
            return self.where(y == 0, y, x - (x / y) * y)
        if element_of(x.type) == "double":
            return double_math.fmod(self, x, y)
        em = self._em
        top, bottom = em.convert("fpext", x, "double"), em.convert("fpext", y, "double")
        whole = em.convert("sitofp", saturated(em, top / bottom, "i64"), "double")
        rest = top - whole * bottom
        size, most = abs(rest), abs(bottom)
        # the quotient may have been rounded up to the next integer
        wrong = (rest != 0.0) & ((rest < 0.0) ^ (top < 0.0))
        size = self.where(wrong, most - size, size)
        rest = em.intrinsic("copysign", self.where(size >= most, size - most, size), top)
        rest = self.where(most == self.inf, top, rest)
        bad = (bottom == 0.0) | (abs(top) == self.inf) | em.unordered(top) | em.unordered(bottom)
        return em.convert("fptrunc", self.where(bad, top.match(self.nan), rest), "float")

    def cast(self, x: Value, to: str) -> Value:
        """The same number as another element kind, as an op's `to` names it."""
        em = self._em
        memory_kind(to, em.target)
        if to == "bool":
            return x if element_of(x.type) == "i1" else x != 0
        value = convert(em, x, calculated_kind(to), to.startswith("u"))
        return widen(em, to, narrow(em, to, value)) if to in ("f16", "bf16") else value

    def reciprocal(self, x: Value) -> Value:
        """1/x."""
        return 1.0 / x

    @property
    def _em(self) -> Emitter:
        return self.emitter


def convert(em: Emitter, x: Value, kind: str, unsigned: bool = False) -> Value:
    """x as lanes of another LLVM kind, as C casts it; floats beyond an integer's range become its limit."""
    old = element_of(x.type)
    if old == kind:
        return Value(em, x.text, x.type, unsigned)
    if is_float(x.type):
        if is_float(kind):
            return em.convert("fpext" if kind == "double" else "fptrunc", x, kind)
        wide = saturated(em, x, INT_LIMIT[kind])
        return convert(em, wide, kind, unsigned)
    if is_float(kind):
        return em.convert("uitofp" if x.unsigned or old == "i1" else "sitofp", x, kind)
    if old == "i1":
        return Value(em, (extended := em.convert("zext", x, kind)).text, extended.type, unsigned)
    if int(kind[1:]) > int(old[1:]):
        return em.convert("zext" if x.unsigned else "sext", x, kind, unsigned)
    return em.convert("trunc", x, kind, unsigned)


def saturated(em: Emitter, x: Value, kind: str) -> Value:
    """A float towards zero as a signed integer; its limits where it does not fit, 0 for NaN."""
    limit = 2.0 ** (int(kind[1:]) - 1)
    # not llvm.fptosi.sat: it takes vectors apart
    inside = em.select(x < limit, x, x.match(0.0))  # a NaN is not below it either
    inside = em.select(inside >= -limit, inside, x.match(-limit))
    whole = em.convert("fptosi", inside, kind)
    return em.select(x >= limit, whole.match(int(limit) - 1), whole)
