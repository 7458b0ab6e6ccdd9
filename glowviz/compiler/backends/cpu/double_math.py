"""The series of Math in double precision: a few units in the last place, no library call, no table."""

from __future__ import annotations

from collections.abc import Sequence
from math import factorial
from typing import TYPE_CHECKING

from glowviz.compiler.backends.cpu.values import Value
from glowviz.compiler.ops import error_function as fdlibm

if TYPE_CHECKING:
    from glowviz.compiler.backends.cpu.vector_math import Math

ROUNDING = 6755399441055744.0  # 1.5 * 2^52: adding it leaves the nearest integer in the low bits
ROUNDING_BITS = 0x4338000000000000
LN2_HIGH, LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
# pi/2 in pieces of 33 bits: products with whole numbers below 2^20 are exact
QUARTERS = (
    1.57079632673412561417e00, 6.07710050630396597660e-11, 2.02226624871116645580e-21, 8.47842766036889956997e-32,
)  # fmt: skip
HALF_PI = 1.5707963267948966
# all highest power first
EXP = tuple(1 / factorial(n) for n in range(13, 1, -1))
LOG = tuple(2.0 / n for n in range(25, 2, -2))
SIN = tuple((-1) ** n / factorial(2 * n + 1) for n in range(9, 0, -1))
COS = tuple((-1) ** n / factorial(2 * n) for n in range(9, 1, -1))
ATAN = tuple((-1) ** n / (2 * n + 1) for n in range(23, 0, -1))
LARGEST_WHOLE_POWER = 64


def exp(m: Math, x: Value) -> Value:
    """e^x; overflows to inf, underflows through the denormals to 0."""
    em = m.emitter
    x = m.clip(x, -746.0, 710.0)
    shifted = x * 1.4426950408889634 + ROUNDING
    count = shifted - ROUNDING
    rest = (x - count * LN2_HIGH) - count * LN2_LOW
    series = (m.polynomial(rest, EXP) * rest * rest + rest) + 1.0
    whole = em.convert("bitcast", shifted, "i64") - ROUNDING_BITS
    half = whole >> 1
    # two factors, so that neither the largest nor the smallest results lose their exponent
    return series * _power_of_two(m, half) * _power_of_two(m, whole - half)


def _power_of_two(m: Math, exponent: Value) -> Value:
    return m.emitter.convert("bitcast", (exponent + 1023) << 52, "double")


def log(m: Math, x: Value) -> Value:
    """Natural logarithm: -inf at 0, NaN below."""
    em = m.emitter
    small = x < 2.2250738585072014e-308
    bits = em.convert("bitcast", m.where(small, x * 18014398509481984.0, x), "i64")
    part = em.convert("bitcast", (bits & 0x000FFFFFFFFFFFFF) | 0x3FE0000000000000, "double")
    exponent = em.convert("trunc", bits >> 52, "i32") - 1022
    low = part < 0.7071067811865476
    count = em.convert("sitofp", exponent, "double") - m.where(small, x.match(54.0), x.match(0.0))
    count = m.where(low, count - 1.0, count)
    f = m.where(low, part + part, part) - 1.0
    s = f / (f + 2.0)
    square = s * s
    series = s * (square * m.polynomial(square, LOG))
    # 2s = f - s·f: what matters most comes first
    result = count * LN2_HIGH + (f - (s * f - (series + count * LN2_LOW)))
    result = m.where(x == 0.0, x.match(-m.inf), result)
    result = m.where(x < m.inf, result, x)
    return m.where(x < 0.0, x.match(m.nan), result)


def tanh(m: Math, x: Value) -> Value:
    """Hyperbolic tangent."""
    grown = m.expm1(abs(x) * 2.0)
    value = m.where(abs(x) > 22.0, x.match(1.0), grown / (grown + 2.0))
    value = m.where(m.isnan(x), x, value)
    return m.emitter.intrinsic("copysign", value, x)


def erf(m: Math, x: Value) -> Value:
    """Gauss error function by fdlibm's rationals, all three ranges computed and one chosen."""
    size = abs(x)
    square = x * x
    near = x + x * (_rational(m, square, fdlibm.NEAR_P) / _rational(m, square, fdlibm.NEAR_Q))
    beyond = size - 1.0
    middle = _rational(m, beyond, fdlibm.ONE_P) / _rational(m, beyond, fdlibm.ONE_Q) + fdlibm.ERX
    value = m.where(size < 1.25, middle, _erf_tail(m, size))
    value = m.emitter.intrinsic("copysign", m.where(size < 6.0, value, x.match(1.0)), x)
    return m.where(m.isnan(x), x, m.where(size < 0.84375, near, value))


def _erf_tail(m: Math, size: Value) -> Value:
    em = m.emitter
    s = 1.0 / (size * size)
    far = size >= 1 / 0.35
    top = m.where(far, _rational(m, s, fdlibm.FAR_R), _rational(m, s, fdlibm.MIDDLE_R))
    bottom = m.where(far, _rational(m, s, fdlibm.FAR_S), _rational(m, s, fdlibm.MIDDLE_S))
    # x² split exactly: the upper half of x squared, and the rest with the series
    upper = em.convert("fpext", em.convert("fptrunc", size, "float"), "double")
    power = exp(m, -upper * upper - 0.5625) * exp(m, (upper - size) * (upper + size) + top / bottom)
    return 1.0 - power / size


def _rational(m: Math, x: Value, lowest_first: Sequence[float]) -> Value:
    return m.polynomial(x, lowest_first[::-1])


def quadrant(m: Math, x: Value, turn: int) -> Value:
    """sin(x + turn·pi/2), right for |x| up to about 1e6 (with FMA 1e9)."""
    em = m.emitter
    shifted = x * 0.6366197723675814 + ROUNDING
    count = shifted - ROUNDING
    rest = x
    for part in QUARTERS:
        rest = em.fma(count, x.match(-part), rest)
    turns = em.convert("bitcast", shifted, "i64") + turn
    square = rest * rest
    sine = rest + rest * square * m.polynomial(square, SIN)
    cosine = (1.0 - 0.5 * square) + square * square * m.polynomial(square, COS)
    value = m.where((turns & 1) == 0, sine, cosine)
    value = m.where((turns & 2) == 0, value, -value)
    return m.where(abs(x) < m.inf, value, x - x)


def atan(m: Math, x: Value) -> Value:
    """Inverse tangent."""
    size = abs(x)
    far, middle = size > 2.414213562373095, size > 0.4142135623730950
    reduced = m.where(far, -1.0 / size, m.where(middle, (size - 1.0) / (size + 1.0), size))
    start = m.where(far, x.match(HALF_PI), m.where(middle, x.match(HALF_PI / 2), x.match(0.0)))
    square = reduced * reduced
    value = start + (reduced + reduced * square * m.polynomial(square, ATAN))
    return m.emitter.intrinsic("copysign", value, x)


def asin(m: Math, x: Value) -> Value:
    """Inverse sine; NaN outside [-1, 1]."""
    return atan(m, x / (1.0 + m.sqrt((1.0 - x) * (1.0 + x)))) * 2.0


def acos(m: Math, x: Value) -> Value:
    """Inverse cosine; NaN outside [-1, 1]."""
    return atan(m, m.sqrt((1.0 - x) / (1.0 + x))) * 2.0


def power(m: Math, x: Value, y: Value) -> Value:
    """x^y with the rules of C for signs, zeros and infinities; whole powers up to 64 by multiplication."""
    even, whole = _parity(m, y)
    size = abs(x)
    result = exp(m, y * log(m, size))
    flat = (size == 1.0) | (y == 0.0)  # 0 · inf would be NaN
    result = m.where(flat, x.match(1.0), result)
    result = m.where(whole & (abs(y) <= float(LARGEST_WHOLE_POWER)), _whole_power(m, size, y), result)
    negative = (x < 0.0) | ((x == 0.0) & (1.0 / x < 0.0))
    result = m.where(negative & whole & ~even, -result, result)
    result = m.where((x < 0.0) & ~whole & (size < m.inf), x.match(m.nan), result)
    result = m.where(m.isnan(x) | m.isnan(y), x + y, result)
    return m.where((y == 0.0) | (x == 1.0), x.match(1.0), result)


def _parity(m: Math, y: Value) -> tuple[Value, Value]:
    """Whether y is even and whether it is whole; infinities are both."""
    size = abs(y)
    large = size >= 9007199254740992.0
    near = (size + 4503599627370496.0) - 4503599627370496.0
    half = size * 0.5
    near_half = (half + 4503599627370496.0) - 4503599627370496.0
    whole = large | (near == size)
    return large | (whole & (near_half == half)), whole


def _whole_power(m: Math, size: Value, y: Value) -> Value:
    """size^|y| by squaring, upside down where y is negative; |y| is at most 64."""
    em = m.emitter
    count = em.convert("fptosi", m.clip(abs(y), 0.0, float(LARGEST_WHOLE_POWER)), "i32")
    count = em.select(m.isnan(y), count.match(0), count)
    result, base = size.match(1.0), size
    for bit in range(LARGEST_WHOLE_POWER.bit_length()):
        result = m.where((count & (1 << bit)) == 0, result, result * base)
        base = base * base
    return m.where(y < 0.0, 1.0 / result, result)


def fmod(m: Math, x: Value, y: Value) -> Value:
    """The rest with the sign of x, exact: the divisor times a power of two goes off again and again."""
    em = m.emitter
    left, bottom = abs(x), abs(y)
    bad = (bottom == 0.0) | ~(left < m.inf) | m.isnan(y)
    left = m.where(bad, left.match(0.0), left)
    bottom = m.where(bad, bottom.match(1.0), bottom)
    goal = _exponent(m, bottom)
    with em.repeat([left, em.constant(True, "i1")]) as loop:
        rest = loop.carry[0]
        # the largest bottom · 2^k that is not above the rest
        part = _scaled(m, bottom, _exponent(m, rest) - goal - 1)
        part = m.where(part + part <= rest, part + part, part)
        rest = m.where((rest >= bottom) & (bottom < m.inf), rest - part, rest)
        loop.next = [rest, em.any((rest >= bottom) & (bottom < m.inf))]
    result = em.intrinsic("copysign", loop.results[0], x)
    return m.where(bad, x.match(m.nan), result)


def _scaled(m: Math, size: Value, power: Value) -> Value:
    """size · 2^power for a power up to 2400, exact; 2^0 where it is negative."""
    em = m.emitter
    for _ in range(3):
        step = em.select(power < 0, power.match(0), em.select(power > 800, power.match(800), power))
        size, power = size * _power_of_two(m, step), power - step
    return size


def _exponent(m: Math, size: Value) -> Value:
    """The power of two of a number's first bit, as i64, for denormal numbers too."""
    em = m.emitter
    small = size < 2.2250738585072014e-308
    bits = em.convert("bitcast", m.where(small, size * 18014398509481984.0, size), "i64")
    return (bits >> 52) - m.where(small, bits.match(1023 + 54), bits.match(1023))
