"""Every function an op's `scalar` method may call, as vector arithmetic without a single library call."""

from collections.abc import Sequence

from glowviz.compiler.backends.cpu import double_math
from glowviz.compiler.backends.cpu.arithmetic import Arithmetic
from glowviz.compiler.backends.cpu.values import Operand, Value, element_of

# Cephes expf: e^r for |r| <= ln2/2, highest power first
EXP = (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1)
# Cephes logf: log(1+f) for sqrt(1/2)-1 <= f < sqrt(2)-1
LOG = (
    7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1,
    -1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1,
)  # fmt: skip
# Eigen's odd rational of tanh on |x| <= 7.9, highest power of x² first
TANH_TOP = (
    -2.76076847742355e-16, 2.00018790482477e-13, -8.60467152213735e-11, 5.12229709037114e-08,
    1.48572235717979e-05, 6.37261928875436e-04, 4.89352455891786e-03,
)  # fmt: skip
TANH_BOTTOM = (1.19825839466702e-06, 1.18534705686654e-04, 2.26843463243900e-03, 4.89352518554385e-03)
# Eigen's odd rational of erf on |x| <= 3.83
ERF_TOP = (
    -2.72614225801306e-10, 2.77068142495902e-08, -2.10102402082508e-06, -5.69250639462346e-05,
    -7.34990630326855e-04, -2.95459980854025e-03, -1.60960333262415e-02,
)  # fmt: skip
ERF_BOTTOM = (
    -1.45660718464996e-05, -2.13374055278905e-04, -1.68282697438203e-03, -7.37332916720468e-03,
    -1.42647390514189e-02,
)  # fmt: skip
# Cephes sinf and cosf on |r| <= pi/4
SIN = (-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1)
COS = (2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2)
ATAN = (8.05374449538e-2, -1.38776856032e-1, 1.99777106478e-1, -3.33329491539e-1)
ASIN = (4.2163199048e-2, 2.4181311049e-2, 4.5470025998e-2, 7.4953002686e-2, 1.6666752422e-1)
# log2((1+t)/(1-t))/t as a series in t², for |t| <= 0.172 right to 1e-12
LOG2 = tuple(2.8853900817779268 / power for power in (13, 11, 9, 7, 5, 3, 1))
# 2^(r/ln2) for |r| <= ln2/2 in double precision
EXP2_SERIES = (1 / 40320, 1 / 5040, 1 / 720, 1 / 120, 1 / 24, 1 / 6, 1 / 2, 1.0, 1.0)
ROUNDING = 12582912.0  # 1.5 * 2^23: adding it leaves the nearest integer in the low bits
HALF_PI = 1.5707963267948966


class Math(Arithmetic):
    """Lane-wise functions on f32 and f64 values (the `m` of `scalar(self, m, x)`).

    Accuracy of f32 against float64: exp, log ≤ 2 ulp, tanh, erf ≤ 5 ulp, others ≤ 8 ulp on ordinary ranges; of
    f64: double_math. All of them give NaN for NaN. Other types raise TypeError: the caller takes another road.
    """

    pi = 3.141592653589793
    e = 2.718281828459045

    def _is_double(self, x: Value, name: str) -> bool:
        if element_of(x.type) not in ("float", "double"):
            raise TypeError(f"{name} is written for f32 and f64, not for {x.type}")
        return element_of(x.type) == "double"

    def polynomial(self, x: Value, coefficients: Sequence[float]) -> Value:
        """Horner's rule, highest power first."""
        result: Value = x.match(coefficients[0])
        for coefficient in coefficients[1:]:
            result = self.emitter.fma(result, x, x.match(coefficient))
        return result

    def _power_of_two(self, exponent: Value) -> Value:
        # i32 lanes in [-126, 127] become the exponent bits of a float
        return self.emitter.convert("bitcast", (exponent + 127) << 23, "float")

    # -- exponentials -----------------------------------------------------------------------------
    def exp(self, x: Value) -> Value:
        """e^x; overflows to inf, underflows through the denormals to 0."""
        if self._is_double(x, "exp"):
            return double_math.exp(self, x)
        em = self.emitter
        x = self.clip(x, -104.0, 89.0)
        shifted = em.fma(x, x.match(1.4426950408889634), x.match(ROUNDING))
        count = shifted - ROUNDING
        rest = em.fma(count, x.match(-0.693359375), x)
        rest = em.fma(count, x.match(2.12194440e-4), rest)
        square = rest * rest
        series = em.fma(self.polynomial(rest, EXP), square, rest) + 1.0
        whole = em.convert("bitcast", shifted, "i32") - 0x4B400000
        half = whole >> 1
        # two factors, so that neither the largest nor the smallest results lose their exponent
        return series * self._power_of_two(half) * self._power_of_two(whole - half)

    def expm1(self, x: Value) -> Value:
        """e^x - 1, exact for small x too."""
        u = self.exp(x)
        near = (u - 1.0) * (x / self.log(u))
        plain = self.where(abs(x) < 0.5, near, u - 1.0)
        return self.where(u == 1.0, x, plain)

    def log(self, x: Value) -> Value:
        """Natural logarithm: -inf at 0, NaN below."""
        if self._is_double(x, "log"):
            return double_math.log(self, x)
        em = self.emitter
        small = x < 1.17549435e-38
        bits = em.convert("bitcast", self.where(small, x * 8388608.0, x), "i32")
        exponent = (bits >> 23) - 126
        part = em.convert("bitcast", (bits & 0x007FFFFF) | 0x3F000000, "float")
        low = part < 0.7071067811865476
        count = em.convert("sitofp", exponent, "float") - self.where(small, x.match(23.0), x.match(0.0))
        count = self.where(low, count - 1.0, count)
        f = self.where(low, part + part, part) - 1.0
        square = f * f
        series = self.polynomial(f, LOG) * f * square
        series = em.fma(count, x.match(-2.12194440e-4), series)
        series = em.fma(square, x.match(-0.5), series)
        result = em.fma(count, x.match(0.693359375), f + series)
        result = self.where(x == 0.0, x.match(-self.inf), result)
        # inf and NaN stay what they are; negatives have no logarithm
        result = self.where(x < self.inf, result, x)
        return self.where(x < 0.0, x.match(self.nan), result)

    def log1p(self, x: Value) -> Value:
        """log(1 + x), exact for small x too."""
        u = x + 1.0
        corrected = self.log(u) * (x / (u - 1.0))
        return self.where(u == 1.0, x, self.where(u < self.inf, corrected, u))

    def log2(self, x: Value) -> Value:
        """Base-2 logarithm."""
        return self.log(x) * 1.4426950408889634

    def log10(self, x: Value) -> Value:
        """Base-10 logarithm."""
        return self.log(x) * 0.4342944819032518

    def softplus(self, x: Value) -> Value:
        """log(1 + e^x) without overflow."""
        return self.log1p(self.exp(-abs(x))) + self.max(x, 0.0)

    def sigmoid(self, x: Value) -> Value:
        """1 / (1 + e^-x)."""
        return 1.0 / (self.exp(-x) + 1.0)

    def pow(self, x: Value, y: Operand) -> Value:
        """x^y with the rules of C for signs, zeros and infinities; small whole powers by multiplication."""
        if not isinstance(y, Value) and y in (-2, -1, -0.5, 0, 0.5, 1, 2, 3, 4):
            return self._simple_power(x, float(y))
        if self._is_double(x, "pow"):
            return double_math.power(self, x, x.match(y))
        base, exponent = x, x.match(y)
        result = self._positive_power(abs(base), exponent)
        whole = self.floor(exponent) == exponent
        half = exponent * 0.5
        odd = whole & (self.floor(half) != half) & (abs(exponent) < 16777216.0)
        negative = self.emitter.convert("bitcast", base, "i32") < 0
        result = self.where(negative & odd, -result, result)
        bad = (base < 0.0) & (base > -self.inf) & ~whole
        result = self.where(bad, x.match(self.nan), result)
        result = self.where(self.isnan(base) | self.isnan(exponent), base + exponent, result)
        return self.where((exponent == 0.0) | (base == 1.0), x.match(1.0), result)

    def _simple_power(self, x: Value, y: float) -> Value:
        if y < 0:
            return 1.0 / self._simple_power(x, -y)
        if y == 0.5:
            return self.sqrt(x)
        result = x if y else x.match(1.0)
        for _ in range(int(y) - 1):
            result = result * x
        return result

    def _positive_power(self, x: Value, y: Value) -> Value:
        # in double precision, where 2^(y·log2 x) keeps all bits of an f32 result
        em = self.emitter
        wide = em.convert("fpext", x, "double")
        bits = em.convert("bitcast", wide, "i64")
        part = em.convert("bitcast", (bits & 0x000FFFFFFFFFFFFF) | 0x3FE0000000000000, "double")
        low = part < 0.7071067811865476
        part = self.where(low, part + part, part)
        count = em.convert("trunc", bits >> 52, "i32")
        count = em.convert("sitofp", count - self.where(low, count.match(1023), count.match(1022)), "double")
        t = (part - 1.0) / (part + 1.0)
        power = (self.polynomial(t * t, LOG2) * t + count) * em.convert("fpext", y, "double")
        power = self.clip(power, -200.0, 200.0)
        shifted = power + 6755399441055744.0  # 1.5 * 2^52
        rest = (power - (shifted - 6755399441055744.0)) * 0.6931471805599453
        whole = em.convert("bitcast", shifted, "i64") - 0x4338000000000000
        scale = em.convert("bitcast", (whole + 1023) << 52, "double")
        result = em.convert("fptrunc", self.polynomial(rest, EXP2_SERIES) * scale, "float")
        result = self.where(x == 0.0, self.where(y > 0.0, x.match(0.0), x.match(self.inf)), result)
        grows = self.where(y > 0.0, x.match(self.inf), x.match(0.0))
        result = self.where(x == self.inf, grows, result)
        return self.where(abs(y) == self.inf, self._infinite_power(x, y), result)

    def _infinite_power(self, x: Value, y: Value) -> Value:
        large = (x > 1.0) & (y > 0.0) | (x < 1.0) & (y < 0.0)
        return self.where(x == 1.0, x.match(1.0), self.where(large, x.match(self.inf), x.match(0.0)))

    # -- hyperbolic and error functions -------------------------------------------------------------
    def _odd_rational(self, x: Value, bound: float, top: Sequence[float], bottom: Sequence[float]) -> Value:
        x = self.clip(x, -bound, bound)
        square = x * x
        return x * self.polynomial(square, top) / self.polynomial(square, bottom)

    def tanh(self, x: Value) -> Value:
        """Hyperbolic tangent."""
        if self._is_double(x, "tanh"):
            return double_math.tanh(self, x)
        return self._odd_rational(x, 7.90531110763549805, TANH_TOP, TANH_BOTTOM)

    def erf(self, x: Value) -> Value:
        """Gauss error function."""
        if self._is_double(x, "erf"):
            return double_math.erf(self, x)
        # of all bounds near 3.83, where the rational is 1 to the last bit with FMA and without: 1 + erf(-inf) is 0
        return self._odd_rational(x, 3.8325181007385254, ERF_TOP, ERF_BOTTOM)

    def sinh(self, x: Value) -> Value:
        """Hyperbolic sine."""
        grow = self.expm1(abs(x))
        value = 0.5 * (grow + grow / (grow + 1.0))
        value = self.where(grow < self.inf, value, grow)
        return self.emitter.intrinsic("copysign", value, x)

    def cosh(self, x: Value) -> Value:
        """Hyperbolic cosine."""
        root = self.exp(0.5 * abs(x))  # e^x itself would overflow before its half
        return (0.5 * root) * root + 0.5 / (root * root)

    def asinh(self, x: Value) -> Value:
        """Inverse hyperbolic sine."""
        size = abs(x)
        value = self.log1p(size + size * size / (1.0 + self.sqrt(size * size + 1.0)))
        value = self.where(size < 1e18, value, self.log(size) + 0.6931471805599453)
        return self.emitter.intrinsic("copysign", value, x)

    def acosh(self, x: Value) -> Value:
        """Inverse hyperbolic cosine."""
        t = x - 1.0
        value = self.log1p(t + self.sqrt(t * t + t * 2.0))
        return self.where(x < 1e18, value, self.log(x) + 0.6931471805599453)

    def atanh(self, x: Value) -> Value:
        """Inverse hyperbolic tangent."""
        size = abs(x)  # near -1 the argument of the logarithm would cancel
        return self.emitter.intrinsic("copysign", 0.5 * self.log1p(2.0 * size / (1.0 - size)), x)

    # -- trigonometry -------------------------------------------------------------------------------
    def _reduced(self, x: Value) -> tuple[Value, Value]:
        # x - n·pi/2 in double precision: right for |x| up to about 1e8
        em = self.emitter
        wide = em.convert("fpext", x, "double")
        shifted = wide * 0.6366197723675814 + 6755399441055744.0
        count = shifted - 6755399441055744.0
        rest = em.fma(count, wide.match(-HALF_PI), wide)
        rest = em.fma(count, wide.match(-6.123233995736766e-17), rest)
        turns = em.convert("trunc", em.convert("bitcast", shifted, "i64"), "i32")
        return em.convert("fptrunc", rest, "float"), turns

    def _quadrant(self, x: Value, turn: int) -> Value:
        if self._is_double(x, "sin and cos"):
            return double_math.quadrant(self, x, turn)
        rest, count = self._reduced(x)
        count = count + turn
        square = rest * rest
        sine = self.emitter.fma(self.polynomial(square, SIN) * square, rest, rest)
        cosine = self.polynomial(square, COS) * square * square - 0.5 * square + 1.0
        value = self.where((count & 1) == 0, sine, cosine)
        value = self.where((count & 2) == 0, value, -value)
        return self.where(abs(x) < self.inf, value, x - x)

    def sin(self, x: Value) -> Value:
        """Sine."""
        return self._quadrant(x, 0)

    def cos(self, x: Value) -> Value:
        """Cosine."""
        return self._quadrant(x, 1)

    def tan(self, x: Value) -> Value:
        """Tangent."""
        return self.sin(x) / self.cos(x)

    def atan(self, x: Value) -> Value:
        """Inverse tangent."""
        if self._is_double(x, "atan"):
            return double_math.atan(self, x)
        size = abs(x)
        far, middle = size > 2.414213562373095, size > 0.4142135623730950
        reduced = self.where(far, -1.0 / size, self.where(middle, (size - 1.0) / (size + 1.0), size))
        start = self.where(far, x.match(HALF_PI), self.where(middle, x.match(HALF_PI / 2), x.match(0.0)))
        square = reduced * reduced
        value = start + self.emitter.fma(self.polynomial(square, ATAN) * square, reduced, reduced)
        return self.emitter.intrinsic("copysign", value, x)

    def asin(self, x: Value) -> Value:
        """Inverse sine; NaN outside [-1, 1]."""
        if self._is_double(x, "asin"):
            return double_math.asin(self, x)
        return self.emitter.intrinsic("copysign", self._asin_of_size(abs(x), False), x)

    def acos(self, x: Value) -> Value:
        """Inverse cosine; NaN outside [-1, 1]."""
        if self._is_double(x, "acos"):
            return double_math.acos(self, x)
        size = abs(x)
        value = self._asin_of_size(size, True)
        return self.where(x < 0.0, self.pi - value, value)

    def _asin_of_size(self, size: Value, complement: bool) -> Value:
        far = size > 0.5
        square = self.where(far, 0.5 * (1.0 - size), size * size)
        root = self.where(far, self.sqrt(square), size)
        series = self.emitter.fma(self.polynomial(square, ASIN) * square, root, root)
        if complement:
            return self.where(far, series + series, HALF_PI - series)
        return self.where(far, HALF_PI - (series + series), series)
