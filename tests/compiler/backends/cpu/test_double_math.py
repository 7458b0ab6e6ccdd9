"""The series in double precision agree with numpy to a few units in the last place, specials included."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from glowviz.compiler.backends.cpu import cpu_targets
from glowviz.compiler.backends.cpu.backend import missing_features
from glowviz.compiler.backends.cpu.build import build
from glowviz.compiler.backends.cpu.objects import ObjectCache
from glowviz.compiler.ops import OPS
from glowviz.compiler.ops.base import case
from glowviz.compiler.ops.error_function import erf
from tests.compiler.backends.one_instruction import plan_of, program_of

TARGETS = {t.name: t for t in (cpu_targets.avx512(), cpu_targets.avx2(), cpu_targets.baseline())}
# op, definition, range, units in the last place allowed
UNARY: dict[str, tuple[Callable[[np.ndarray], np.ndarray], float, float, float]] = {
    "Exp": (np.exp, -740, 709, 3), "Log": (np.log, 1e-300, 50, 3), "Tanh": (np.tanh, -25, 25, 8),
    "Erf": (erf, -7, 7, 4), "Sin": (np.sin, -9e4, 9e4, 3), "Cos": (np.cos, -9e4, 9e4, 3),
    "Atan": (np.arctan, -50, 50, 4), "Asin": (np.arcsin, -1, 1, 8), "Acos": (np.arccos, -1, 1, 8),
    "Sinh": (np.sinh, -700, 700, 8), "Asinh": (np.arcsinh, -1e3, 1e3, 8), "Round": (np.rint, -9, 9, 0),
    "Floor": (np.floor, -9, 9, 0), "Ceil": (np.ceil, -9, 9, 0),
}  # fmt: skip
SPECIAL = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 0.5, 5e-324, -1e-310, 2.0**53 + 2])


def computed(name: str, level: str, objects: ObjectCache, *operands: np.ndarray, **attributes: object) -> np.ndarray:
    """What the kernel makes of the operands; it must be native."""
    if missing_features(TARGETS[level]):
        pytest.skip(f"this processor has no {missing_features(TARGETS[level])}")
    program, arrays = program_of(OPS[name], case(*operands, **attributes))
    executable = build(program, plan_of(program), TARGETS[level], 1, objects)
    assert executable.listing()[0].native
    return executable.run(arrays)["y0"]


def ulps(found: np.ndarray, wanted: np.ndarray) -> float:
    """The largest difference in units of the last place; what is not finite must agree."""
    odd = ~np.isfinite(wanted)
    np.testing.assert_array_equal(found[odd], wanted[odd])
    gap = np.spacing(np.maximum(np.abs(wanted[~odd]), 2.3e-308))
    return float((np.abs(found[~odd] - wanted[~odd]) / gap).max(initial=0.0))


@pytest.mark.parametrize("level", TARGETS)
@pytest.mark.parametrize("name", UNARY)
def test_unary(name: str, level: str, objects: ObjectCache) -> None:
    definition, low, high, allowed = UNARY[name]
    rng = np.random.default_rng(3)
    x = np.concatenate([rng.uniform(low, high, 3000), rng.normal(size=500) * 1e-3 * (low < 0)])
    x = x if name in ("Sin", "Cos") else np.concatenate([x, SPECIAL])
    with np.errstate(all="ignore"):
        wanted = definition(x)
    found = computed(name, level, objects, x)
    if name in ("Sin", "Cos"):  # near its zeros the result is as exact as the argument's remainder
        assert np.abs(found - wanted).max() <= 4e-16
    else:
        assert ulps(found, wanted) <= allowed


@pytest.mark.parametrize("level", TARGETS)
def test_powers(level: str, objects: ObjectCache) -> None:
    rng = np.random.default_rng(4)
    x, y = rng.uniform(0.01, 20, 3000), rng.uniform(-60, 60, 3000)
    assert ulps(computed("Pow", level, objects, x, y), x**y) <= 300  # |y·log x| of them
    whole = np.arange(-12.0, 13.0)
    base, exponent = np.repeat(whole, 25), np.tile(whole, 25)
    odd = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, -2.0, 0.5])
    base, exponent = np.concatenate([base, np.repeat(odd, 9)]), np.concatenate([exponent, np.tile(odd, 9)])
    with np.errstate(all="ignore"):
        wanted = base**exponent
    assert ulps(computed("Pow", level, objects, base, exponent), wanted) <= 12
    exact = (base == np.floor(base)) & (exponent >= 0) & (np.abs(wanted) < 2**53)
    np.testing.assert_array_equal(computed("Pow", level, objects, base, exponent)[exact], wanted[exact])


@pytest.mark.parametrize("level", TARGETS)
def test_remainders_are_exact(level: str, objects: ObjectCache) -> None:
    rng = np.random.default_rng(5)
    x = np.concatenate([rng.normal(size=500) * 10.0 ** rng.integers(-300, 300, 500), [5e-324, 1e308, 3.0, np.inf, 1.0]])
    y = np.concatenate([rng.normal(size=500) * 10.0 ** rng.integers(-300, 300, 500), [1e308, 5e-324, np.inf, 2.0, 0.0]])
    with np.errstate(all="ignore"):
        wanted = np.fmod(x, y)
    np.testing.assert_array_equal(computed("Mod", level, objects, x, y, fmod=True), wanted)
