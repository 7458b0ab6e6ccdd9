"""Choices, rounding and comparisons, lane by lane, with NaN going through as ONNX wants."""

from typing import TYPE_CHECKING

from glowviz.compiler.backends.cpu.values import Operand, Value, element_of, is_float, like

if TYPE_CHECKING:
    from glowviz.compiler.backends.cpu.emitter import Emitter


class Arithmetic:
    """The lane-wise functions that need no series; max and min give NaN where either side is NaN."""

    inf = float("inf")
    nan = float("nan")

    def __init__(self, emitter: "Emitter") -> None:
        self.emitter = emitter

    # -- choices --------------------------------------------------------------------------------
    def where(self, condition: Value, yes: Operand, no: Operand) -> Value:
        """`yes` where `condition`, otherwise `no`."""
        if isinstance(yes, Value):
            return self.emitter.select(condition, yes, yes.match(no))
        if isinstance(no, Value):
            return self.emitter.select(condition, no.match(yes), no)
        kind = like(condition.type, "float")
        return self.emitter.select(condition, self.emitter.constant(yes, kind), self.emitter.constant(no, kind))

    def max(self, left: Operand, right: Operand) -> Value:
        """The larger; NaN where either is NaN."""
        return self._extreme(left, right, "gt")

    def min(self, left: Operand, right: Operand) -> Value:
        """The smaller; NaN where either is NaN."""
        return self._extreme(left, right, "lt")

    def _extreme(self, left: Operand, right: Operand, better: str) -> Value:
        if not isinstance(left, Value):
            left, right = right, left
        if not isinstance(left, Value):
            raise TypeError("max and min need at least one run-time value")
        emitter = self.emitter
        if isinstance(right, Value):
            other = emitter.select(emitter.compare(better, left, right), left, right)
            # a NaN on the right came through; one on the left is put back
            return emitter.select(emitter.unordered(left), left, other) if is_float(left.type) else other
        # constant first: the comparison is false for NaN, so NaN comes through (one maxps)
        bound = left.match(right)
        return emitter.select(emitter.compare(better, bound, left), bound, left)

    def clip(self, x: Value, low: Operand | None, high: Operand | None) -> Value:
        """min(max(x, low), high)."""
        x = x if low is None else self.max(x, low)
        return x if high is None else self.min(x, high)

    def isnan(self, x: Value) -> Value:
        """i1 lanes."""
        return self.emitter.unordered(x)

    def isinf(self, x: Value) -> Value:
        """i1 lanes."""
        return self.abs(x) == float("inf")

    def sign(self, x: Value) -> Value:
        """-1, 0 or 1; NaN stays."""
        zero, one = x.match(0), x.match(1)
        return self.where(x > zero, one, self.where(x < zero, x.match(-1), self.where(x == zero, zero, x)))

    def logical_and(self, left: Operand, right: Operand) -> Value:
        """Both true."""
        return self._truth(left) & self._truth(right)

    def logical_or(self, left: Operand, right: Operand) -> Value:
        """Either true."""
        return self._truth(left) | self._truth(right)

    def logical_not(self, x: Value) -> Value:
        """Not true."""
        return ~self._truth(x)

    def _truth(self, x: Operand) -> Value:
        if not isinstance(x, Value):
            raise TypeError("a logical operand must be a run-time value")
        return x if element_of(x.type) == "i1" else x != 0

    # -- arithmetic -------------------------------------------------------------------------------
    def abs(self, x: Value) -> Value:
        """Magnitude."""
        return abs(x)

    def sqrt(self, x: Value) -> Value:
        """Correctly rounded square root."""
        return self.emitter.intrinsic("sqrt", x)

    def reciprocal(self, x: Value) -> Value:
        """1/x, correctly rounded."""
        return 1.0 / x

    def fma(self, left: Value, right: Value, addend: Value) -> Value:
        """left·right + addend."""
        return self.emitter.fma(left, right, addend)

    def round(self, x: Value) -> Value:
        """To the nearest integer, halves to even."""
        if self.emitter.target.has_round:
            return self.emitter.intrinsic("roundeven", x)
        # adding 2^23 (2^52) drops the fraction; what is as large is whole already, and NaN must come through
        whole = 2.0**52 if element_of(x.type) == "double" else 2.0**23
        shift = self.emitter.intrinsic("copysign", x.match(whole), x)
        near = self.emitter.intrinsic("copysign", (x + shift) - shift, x)
        return self.where(abs(x) < whole, near, x)

    def floor(self, x: Value) -> Value:
        """Largest integer not above."""
        if self.emitter.target.has_round:
            return self.emitter.intrinsic("floor", x)
        near = self.round(x)
        return self.where(near > x, near - 1.0, near)

    def ceil(self, x: Value) -> Value:
        """Smallest integer not below."""
        if self.emitter.target.has_round:
            return self.emitter.intrinsic("ceil", x)
        return -self.floor(-x)

    def trunc(self, x: Value) -> Value:
        """Towards zero."""
        if self.emitter.target.has_round:
            return self.emitter.intrinsic("trunc", x)
        return self.emitter.intrinsic("copysign", self.floor(abs(x)), x)
