"""Floats of 16 bits become f32 and back by integer arithmetic, for machines without an instruction for it."""

from __future__ import annotations

from glowviz.compiler.backends.cpu.emitter import Emitter
from glowviz.compiler.backends.cpu.values import Value, like

INFINITY = 0x7F800000
SHIFT = 13  # bits that the fraction of f32 has more
LARGEST = 0x47800000  # 65536.0, which no f16 holds
SMALLEST_NORMAL = 0x38800000  # 2^-14
HALF = 0x3F000000  # 0.5, whose last bit is worth the smallest denormal f16


def from_half(em: Emitter, bits: Value) -> Value:
    """f16 in i16 lanes as f32: exact, denormals, infinities and NaN too."""
    wide = em.convert("zext", bits, "i32")
    size = (wide & 0x7FFF) << SHIFT
    # the exponent's offset is put right by a multiplication, which normalizes denormal numbers as well
    number = em.convert("bitcast", em.convert("bitcast", size, "float") * 2.0**112, "i32")
    number = em.select(size >= 0x7C00 << SHIFT, number | INFINITY, number)
    return em.convert("bitcast", number | (wide & 0x8000) << 16, "float")


def to_half(em: Emitter, x: Value) -> Value:
    """f32 as f16 in i16 lanes: to the nearest, halves to even."""
    bits = em.convert("bitcast", x, "i32")
    size = bits & 0x7FFFFFFF
    # adding 0.5 rounds at the place where a denormal f16 ends
    small = em.convert("bitcast", em.convert("bitcast", size, "float") + 0.5, "i32") - HALF
    normal = (size - (112 << 23) + 0xFFF + ((size >> SHIFT) & 1)) >> SHIFT
    infinite = em.select(size > INFINITY, size.match(0x7E00), size.match(0x7C00))
    number = em.select(size < SMALLEST_NORMAL, small, em.select(size >= LARGEST, infinite, normal))
    sign = Value(em, bits.text, like(x.type, "i32"), True) >> 16
    return em.convert("trunc", number | (sign & 0x8000), "i16")
