"""The mathematical namespace `m` of an op's `scalar`, here for numpy arrays; code generators bring their own.

Every `m` has exp, expm1, log, log1p, sqrt, tanh, erf, sin, cos, tan, asin, acos, atan, sinh, cosh, asinh, acosh,
atanh, abs, sign, floor, ceil, round (halves to even), pow, mod (sign of the divisor), fmod (sign of the dividend),
max and min (NaN where either is NaN), where, isnan, isinf, logical_not, logical_and, logical_or, logical_xor,
cast(x, element name) and like(x, number): that number in the element kind of x.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from glowviz.compiler.ops.error_function import erf
from glowviz.compiler.types import ELEMENTS


class NumpyMath:
    """Max, min and comparisons follow IEEE with NaN propagating, as every backend must."""

    exp, log, sqrt, tanh, floor, ceil = np.exp, np.log, np.sqrt, np.tanh, np.floor, np.ceil
    expm1, log1p, mod, fmod = np.expm1, np.log1p, np.mod, np.fmod
    abs, sign, pow, max, min = np.abs, np.sign, np.power, np.maximum, np.minimum
    where = staticmethod(np.where)
    sin, cos, tan, asin, acos, atan = np.sin, np.cos, np.tan, np.arcsin, np.arccos, np.arctan
    sinh, cosh, asinh, acosh, atanh = np.sinh, np.cosh, np.arcsinh, np.arccosh, np.arctanh
    round, isnan, isinf = np.rint, np.isnan, np.isinf
    logical_not, logical_and, logical_or, logical_xor = np.logical_not, np.logical_and, np.logical_or, np.logical_xor

    def erf(self, x: Any) -> np.ndarray:
        """Computed in double precision whatever the element kind."""
        x = np.asarray(x)
        return erf(x.astype(np.float64, copy=False)).astype(x.dtype, copy=False)

    def cast(self, x: Any, elem: str) -> np.ndarray:
        """The same numbers as another element kind; floats are cut towards zero."""
        return np.asarray(x).astype(ELEMENTS[elem])

    def like(self, x: Any, value: float) -> np.ndarray:
        """`value` in the element type of x."""
        return np.asarray(value, dtype=np.asarray(x).dtype)


NUMPY = NumpyMath()
