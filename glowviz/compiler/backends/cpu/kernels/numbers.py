"""Vectors of sums meet memory: numbers of 4 bytes are f32, those of 2 bytes bf16, rounded to the nearest even."""

from glowviz.compiler.backends.cpu.emitter import Emitter
from glowviz.compiler.backends.cpu.kernels.elements import narrow, widen
from glowviz.compiler.backends.cpu.kernels.geometry import FLOAT
from glowviz.compiler.backends.cpu.values import Value, like, vector_of


def read(em: Emitter, address: Value, number: int = FLOAT, mask: Value | None = None) -> Value:
    """One vector as f32; lanes beyond `mask` are zero and not touched."""
    kind = vector_of("float" if number == FLOAT else "i16", em.lanes)
    found = em.load(address, kind) if mask is None else em.load_lanes(address, mask, kind)
    return found if number == FLOAT else widen(em, "bf16", found)


def splat(em: Emitter, address: Value, number: int = FLOAT) -> Value:
    """One number from memory in every lane, as f32."""
    return em.load_splat(address) if number == FLOAT else em.splat(widen(em, "bf16", em.load(address, "i16")))


def write(em: Emitter, value: Value, address: Value, number: int = FLOAT, mask: Value | None = None) -> None:
    """f32 lanes into memory, only those of `mask` where there is one."""
    if number != FLOAT:
        value = rounded(em, value)
    if mask is None:
        em.store(value, address)
    else:
        em.store_lanes(value, address, mask)


def rounded(em: Emitter, value: Value) -> Value:
    """f32 as the 16 bits of bf16; AVX512-BF16 does it at once, and makes zero of numbers below 2^-126."""
    if not em.target.has_bf16:
        return narrow(em, "bf16", value)
    short = em.convert("fptrunc", value, "bfloat")
    return em.value(like(value.type, "i16"), f"bitcast {short!r} to {like(value.type, 'i16')}")
