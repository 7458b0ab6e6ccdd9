"""The mathematical namespace `m` of an op's `scalar`, here for numpy arrays; code generators bring their own."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

_erf = np.frompyfunc(math.erf, 1, 1)


class NumpyMath:
    """Max, min and comparisons follow IEEE with NaN propagating, as every backend must."""

    exp, log, sqrt, tanh, floor, ceil = np.exp, np.log, np.sqrt, np.tanh, np.floor, np.ceil
    abs, sign, pow, where, max, min = np.abs, np.sign, np.power, np.where, np.maximum, np.minimum
    sin, cos, tan, asin, acos, atan = np.sin, np.cos, np.tan, np.arcsin, np.arccos, np.arctan
    sinh, cosh, asinh, acosh, atanh = np.sinh, np.cosh, np.arcsinh, np.arccosh, np.arctanh
    round, isnan, isinf = np.rint, np.isnan, np.isinf
    logical_not, logical_and, logical_or, logical_xor = np.logical_not, np.logical_and, np.logical_or, np.logical_xor

    def erf(self, x: Any) -> np.ndarray:
        """Element by element through the C library: exact to the last place of a double."""
        x = np.asarray(x)
        return np.asarray(_erf(x.astype(np.float64)), dtype=np.float64).astype(x.dtype)

    def like(self, x: Any, value: float) -> np.ndarray:
        """`value` in the element type of x."""
        return np.asarray(value, dtype=np.asarray(x).dtype)


NUMPY = NumpyMath()
