"""erf is right to the last place of a double, everywhere."""

from __future__ import annotations

import math

import numpy as np

from glowviz.compiler.ops.error_function import erf


def test_right_to_the_last_place() -> None:
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.uniform(-7, 7, 20000), rng.normal(size=5000), 10.0 ** rng.uniform(-300, 1, 5000)])
    truth = np.array([math.erf(v) for v in x])
    assert (np.abs(erf(x) - truth) / np.abs(truth)).max() < 4e-16


def test_edges_and_shapes() -> None:
    x = np.array([[0.0, -0.0, np.inf], [-np.inf, np.nan, 6.0]])
    found = erf(x)
    assert found.shape == (2, 3)
    np.testing.assert_array_equal(found, [[0, 0, 1], [-1, np.nan, 1]])
    assert np.signbit(found[0, 1])
    assert erf(np.array(0.5)).shape == ()
    for edge in (0.84375, 1.25, 1 / 0.35):
        below, above = erf(np.array([np.nextafter(edge, 0), edge]))
        assert 0 <= above - below < 1e-15
