"""The error function in double precision for whole arrays, without a library: fdlibm's rational approximations.

Source: Sun Microsystems' s_erf.c (fdlibm, freely distributable); its error is below one unit in the last place.
"""

from __future__ import annotations

import numpy as np

# erf(x) = x + x·P/Q on |x| < 0.84375, lowest power of x² first
NEAR_P = (
    1.28379167095512558561e-01, -3.25042107247001499370e-01, -2.84817495755985104766e-02,
    -5.77027029648944159157e-03, -2.37630166566501626084e-05,
)
NEAR_Q = (
    1.0, 3.97917223959155352819e-01, 6.50222499887672944485e-02, 5.08130628187576562776e-03,
    1.32494738004321644526e-04, -3.96022827877536812320e-06,
)
# erf(x) = ERX + P/Q in |x| - 1 on 0.84375 ≤ |x| < 1.25
ERX = 8.45062911510467529297e-01
ONE_P = (
    -2.36211856075265944077e-03, 4.14856118683748331666e-01, -3.72207876035701323847e-01,
    3.18346619901161753674e-01, -1.10894694282396677476e-01, 3.54783043256182359371e-02,
    -2.16637559486879084300e-03,
)
ONE_Q = (
    1.0, 1.06420880400844228286e-01, 5.40397917702171048937e-01, 7.18286544141962662868e-02,
    1.26171219808761642112e-01, 1.36370839120290507362e-02, 1.19844998467991074170e-02,
)
# erfc(x) = exp(-x² - 0.5625 + R/S) / x in 1/x² on 1.25 ≤ |x| < 1/0.35 …
MIDDLE_R = (
    -9.86494403484714822705e-03, -6.93858572707181764372e-01, -1.05586262253232909814e+01,
    -6.23753324503260060396e+01, -1.62396669462573470355e+02, -1.84605092906711035994e+02,
    -8.12874355063065934246e+01, -9.81432934416914548592e+00,
)
MIDDLE_S = (
    1.0, 1.96512716674392571292e+01, 1.37657754143519042600e+02, 4.34565877475229228821e+02,
    6.45387271733267880336e+02, 4.29008140027567833386e+02, 1.08635005541779435134e+02,
    6.57024977031928170135e+00, -6.04244152148580987438e-02,
)
# … and on 1/0.35 ≤ |x| < 6, beyond which erf is ±1 in double precision
FAR_R = (
    -9.86494292470009928597e-03, -7.99283237680523006574e-01, -1.77579549177547519889e+01,
    -1.60636384855821916062e+02, -6.37566443368389627722e+02, -1.02509513161107724954e+03,
    -4.83519191608651397019e+02,
)
FAR_S = (
    1.0, 3.03380607434824582924e+01, 3.25792512996573918826e+02, 1.53672958608443695994e+03,
    3.19985821950859553908e+03, 2.55305040643316442583e+03, 4.74528541206955367215e+02,
    -2.24409524465858183362e+01,
)


def erf(x: np.ndarray) -> np.ndarray:
    """2/√π ∫₀ˣ exp(-t²) dt of every element of a double array; NaN stays NaN."""
    flat = np.ascontiguousarray(x, np.float64).reshape(-1)
    size = np.abs(flat)
    result = np.sign(flat)
    for low, high, formula in ((0.0, 0.84375, _near), (0.84375, 1.25, _around_one), (1.25, 6.0, _tail)):
        inside = np.nonzero((size >= low) & (size < high))[0]
        if len(inside):
            result[inside] = formula(flat[inside])
    return result.reshape(np.shape(x))


def _polynomial(x: np.ndarray, coefficients: tuple[float, ...]) -> np.ndarray:
    """Horner's rule, lowest power first."""
    result = np.full_like(x, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        result *= x
        result += coefficient
    return result


def _near(x: np.ndarray) -> np.ndarray:
    square = x * x
    return x + x * (_polynomial(square, NEAR_P) / _polynomial(square, NEAR_Q))


def _around_one(x: np.ndarray) -> np.ndarray:
    s = np.abs(x) - 1
    return np.copysign(ERX + _polynomial(s, ONE_P) / _polynomial(s, ONE_Q), x)


def _tail(x: np.ndarray) -> np.ndarray:
    size = np.abs(x)
    s = 1 / (size * size)
    far = size >= 1 / 0.35
    top = np.where(far, _polynomial(s, FAR_R), _polynomial(s, MIDDLE_R))
    bottom = np.where(far, _polynomial(s, FAR_S), _polynomial(s, MIDDLE_S))
    # x² split exactly: the upper half of x squared, and the rest with the series
    upper = size.astype(np.float32).astype(np.float64)
    power = np.exp(-upper * upper - 0.5625) * np.exp((upper - size) * (upper + size) + top / bottom)
    return np.copysign(1 - power / size, x)
