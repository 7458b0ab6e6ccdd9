"""The vector functions are right to a few units in the last place, on every CPU level, without library calls."""

from collections.abc import Callable
from math import erf

import numpy as np
import pytest
from kernel_harness import Loaded, aligned, check_code, targets

from glowviz.compiler.backends.cpu.emitter import Emitter
from glowviz.compiler.backends.cpu.registry import KernelCode
from glowviz.compiler.backends.cpu.values import Value
from glowviz.compiler.backends.cpu.vector_math import Math
from glowviz.compiler.target import Target

Function = Callable[..., Value]
SPECIAL = [0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 0.5, -0.5, 2.5, 1e-40, -1e-40, 3e38, 8388609.0, 1.5, -1.5]


def apply(function: Function, target: Target, *columns: np.ndarray) -> np.ndarray:
    """The function on whole vectors of the columns."""
    size = len(columns[0])
    padded = -(-size // target.vector_width) * target.vector_width
    arrays = [aligned(np.concatenate([c, np.ones(padded - size, np.float32)])) for c in columns]
    em = Emitter("function", target)
    result, *sources = (em.argument(n) for n in range(len(columns) + 1))
    with em.loop(em.low, em.high) as loop:
        at = loop.index * (4 * target.vector_width)
        em.store(function(em.m, *(em.load(em.offset(s, at)) for s in sources)), em.offset(result, at))
    code = KernelCode("function", em.text(), padded // target.vector_width, "")
    check_code(code, target, spills=False)
    out = aligned(np.zeros(padded, np.float32))
    Loaded(code, target).run([out, *arrays])
    return out[:size]


def ulps(found: np.ndarray, wanted: np.ndarray) -> float:
    """The largest error in units of the last place of the exact result; specials must agree exactly."""
    rounded = wanted.astype(np.float32)
    odd = ~np.isfinite(rounded)
    assert np.array_equal(found[odd], rounded[odd], equal_nan=True), (found[odd], rounded[odd])
    spacing = np.spacing(np.abs(rounded[~odd])).astype(np.float64)
    return float((np.abs(found[~odd] - wanted[~odd]) / spacing).max(initial=0.0))


def points(low: float, high: float) -> np.ndarray:
    rng = np.random.default_rng(7)
    return np.concatenate([rng.uniform(low, high, 4000), rng.normal(size=500) * 1e-3]).astype(np.float32)


# function, definition, range, ulps allowed
UNARY: dict[str, tuple[Function, Callable[[np.ndarray], np.ndarray], float, float, float]] = {
    "exp": (Math.exp, np.exp, -103, 88.7, 2),
    "expm1": (Math.expm1, np.expm1, -5, 20, 5),
    "log1p": (Math.log1p, np.log1p, -0.99, 50, 4),
    "sigmoid": (Math.sigmoid, lambda x: 1 / (1 + np.exp(-x)), -80, 80, 4),
    "tanh": (Math.tanh, np.tanh, -12, 12, 6),
    "sinh": (Math.sinh, np.sinh, -80, 80, 6),
    "cosh": (Math.cosh, np.cosh, -80, 80, 6),
    "asinh": (Math.asinh, np.arcsinh, -100, 100, 6),
    "atanh": (Math.atanh, np.arctanh, -0.99, 0.99, 6),
    "atan": (Math.atan, np.arctan, -50, 50, 4),
    "asin": (Math.asin, np.arcsin, -1, 1, 4),
    "acos": (Math.acos, np.arccos, -1, 1, 4),
    "floor": (Math.floor, np.floor, -100, 100, 0),
    "ceil": (Math.ceil, np.ceil, -100, 100, 0),
    "round": (Math.round, np.rint, -100, 100, 0),
    "trunc": (Math.trunc, np.trunc, -100, 100, 0),
    "sqrt": (Math.sqrt, np.sqrt, 0, 1e6, 0.5),
}


@pytest.mark.parametrize("target", targets(), ids=lambda t: t.name)
@pytest.mark.parametrize("name", UNARY)
def test_unary(name: str, target: Target) -> None:
    function, definition, low, high, allowed = UNARY[name]
    x = points(low, high)
    x = x[(x >= low) & (x <= high)]
    assert ulps(apply(function, target, x), definition(x.astype(np.float64))) <= allowed


@pytest.mark.parametrize("target", targets(), ids=lambda t: t.name)
def test_log_over_the_whole_range(target: Target) -> None:
    x = np.exp(points(-87, 88).astype(np.float64)).astype(np.float32)
    assert ulps(apply(Math.log, target, x), np.log(x.astype(np.float64))) <= 2


@pytest.mark.parametrize("target", targets(), ids=lambda t: t.name)
@pytest.mark.parametrize("name", ["sin", "cos"])
def test_waves_keep_their_absolute_accuracy(name: str, target: Target) -> None:
    x = np.concatenate([points(-1e4, 1e4), points(-4, 4)])
    wanted = getattr(np, name)(x.astype(np.float64))
    assert np.abs(apply(getattr(Math, name), target, x) - wanted).max() <= 1.5e-7


@pytest.mark.parametrize("target", targets(), ids=lambda t: t.name)
def test_erf_keeps_its_absolute_accuracy(target: Target) -> None:
    x = points(-5, 5)
    wanted = np.array([erf(float(v)) for v in x])
    assert np.abs(apply(Math.erf, target, x) - wanted).max() <= 4e-7


@pytest.mark.parametrize("target", targets(), ids=lambda t: t.name)
@pytest.mark.parametrize("name", ["exp", "log", "tanh", "sqrt", "floor", "ceil", "round", "trunc", "sin", "cos"])
def test_specials(name: str, target: Target) -> None:
    x = np.array(SPECIAL, np.float32)
    with np.errstate(all="ignore"):
        wanted = getattr(np, {"round": "rint"}.get(name, name))(x.astype(np.float64))
    found = apply(getattr(Math, name), target, x)
    keep = np.abs(x) < 1e9 if name in ("sin", "cos") else np.ones(len(x), bool)
    keep |= ~np.isfinite(x)
    # denormals may be flushed by the series, never by more than their own size
    assert np.allclose(found[keep], wanted[keep].astype(np.float32), rtol=1e-5, atol=2e-38, equal_nan=True)


@pytest.mark.parametrize("target", targets(), ids=lambda t: t.name)
def test_power(target: Target) -> None:
    rng = np.random.default_rng(9)
    x, y = np.exp(rng.uniform(-20, 20, 3000)).astype(np.float32), rng.uniform(-4, 4, 3000).astype(np.float32)
    assert ulps(apply(Math.pow, target, x, y), np.power(x.astype(np.float64), y.astype(np.float64))) <= 1
    bases = np.array([-2, -2, -2, 0, 0, -0.0, -0.0, np.inf, -np.inf, 1, np.nan, 2, -1, 0.5, 4], np.float32)
    powers = np.array([3, 2, 0.5, 2, -1, 3, -3, 2, 3, np.nan, 0, np.inf, np.inf, np.inf, -np.inf], np.float32)
    with np.errstate(all="ignore"):
        wanted = np.power(bases, powers)
    assert np.array_equal(apply(Math.pow, target, bases, powers), wanted, equal_nan=True)


@pytest.mark.parametrize("target", targets(), ids=lambda t: t.name)
def test_max_and_min_give_nan_where_either_is_nan(target: Target) -> None:
    left = np.array([1, np.nan, 2, np.nan, -np.inf, 0], np.float32)
    right = np.array([2, 1, np.nan, np.nan, np.inf, 0], np.float32)
    assert np.array_equal(apply(Math.max, target, left, right), np.maximum(left, right), equal_nan=True)
    assert np.array_equal(apply(Math.min, target, left, right), np.minimum(left, right), equal_nan=True)
    clipped = apply(lambda m, x: m.clip(x, -1.0, 1.5), target, left)
    assert np.array_equal(clipped, np.clip(left, -1.0, 1.5), equal_nan=True)
