"""What the digit network does with the answers of its filters, forwards and backwards in numpy, and how it learns to.

f32[n × 16] -> mix -> leaky relu -> gelu -> layer norm -> thirds through hard swish, swish and nothing -> scores.
"""

from __future__ import annotations

from math import erf, pi, sqrt

import numpy as np

from glowviz.gallery.train import Adam, Weights, softmax

THIRD = 8
WIDTH = 3 * THIRD
SLOPE, EPSILON = 0.1, 1e-5
STEPS, BATCH, RATE = 2500, 100, 0.02
_erf = np.vectorize(erf, otypes=[np.float32])

Pair = tuple[np.ndarray, np.ndarray]
"""Values and slopes of a function at the same places."""


def first_weights(filters: int, rng: np.random.Generator) -> Weights:
    """Random weights to start from."""
    return {
        "mix": rng.normal(0, (2 / filters) ** 0.5, (filters, WIDTH)).astype(np.float32),
        "mix_bias": np.zeros(WIDTH, np.float32),
        "gamma": np.ones(WIDTH, np.float32),
        "w": rng.normal(0, 0.2, (WIDTH, 10)).astype(np.float32),
        "b": np.zeros(10, np.float32),
    }


def leaky(x: np.ndarray) -> np.ndarray:
    """x where positive, else a tenth of it."""
    return np.where(x > 0, x, np.float32(SLOPE) * x)


def gelu(x: np.ndarray) -> Pair:
    """x · Φ(x) and its slope."""
    below = (1 + _erf(x / np.float32(sqrt(2)))) / 2
    return x * below, below + x * np.exp(-x * x / 2) / np.float32(sqrt(2 * pi))


def hardswish(x: np.ndarray) -> Pair:
    """x · clip(x/6 + 1/2, 0, 1) and its slope."""
    gate = np.clip(x / 6 + np.float32(0.5), 0, 1)
    return x * gate, gate + np.where(np.abs(x) < 3, x / 6, 0)


def swish(x: np.ndarray) -> Pair:
    """x · sigmoid(x) and its slope."""
    gate = 1 / (1 + np.exp(-x))
    return x * gate, gate + x * gate * (1 - gate)


def normalized(x: np.ndarray) -> Pair:
    """x without its mean over its deviation, row by row, and the deviations."""
    deviation = np.sqrt(x.var(axis=1, keepdims=True) + np.float32(EPSILON))
    return (x - x.mean(axis=1, keepdims=True)) / deviation, deviation


def thirds(x: np.ndarray) -> Pair:
    """Hard swish of the first third, swish of the second, the last as it is, and the slopes."""
    parts = (hardswish(x[:, :THIRD]), swish(x[:, THIRD:-THIRD]), (x[:, -THIRD:], np.ones_like(x[:, -THIRD:])))
    values, slopes = zip(*parts, strict=True)
    return np.concatenate(values, axis=1), np.concatenate(slopes, axis=1)


def scores(weights: Weights, felt: np.ndarray) -> np.ndarray:
    """f32[n × filters] -> the ten scores of each picture, before the softmax."""
    bent, _ = gelu(leaky(felt @ weights["mix"] + weights["mix_bias"]))
    last, _ = thirds(normalized(bent)[0] * weights["gamma"])
    return last @ weights["w"] + weights["b"]


def gradients(weights: Weights, felt: np.ndarray, digits: np.ndarray) -> Weights:
    """Gradients of the mean cross-entropy."""
    mixed = felt @ weights["mix"] + weights["mix_bias"]
    bent, bend = gelu(leaky(mixed))
    unit, deviation = normalized(bent)
    last, slopes = thirds(unit * weights["gamma"])
    d = softmax(last @ weights["w"] + weights["b"])
    d[np.arange(len(d)), digits] -= 1
    d /= len(d)
    d_scaled = (d @ weights["w"].T) * slopes
    d_unit = d_scaled * weights["gamma"]
    along = (d_unit * unit).mean(axis=1, keepdims=True)
    d_bent = (d_unit - d_unit.mean(axis=1, keepdims=True) - unit * along) / deviation
    d_mixed = d_bent * bend * np.where(mixed > 0, 1, SLOPE).astype(np.float32)
    return {"mix": felt.T @ d_mixed, "mix_bias": d_mixed.sum(axis=0), "gamma": (d_scaled * unit).sum(axis=0),
            "w": last.T @ d, "b": d.sum(axis=0)}


def train(felt: np.ndarray, digits: np.ndarray, rng: np.random.Generator) -> Weights:
    """Weights of the head for what the filters felt, f32[n × filters], and the right digits, int[n]."""
    weights = first_weights(felt.shape[1], rng)
    adam = Adam(weights, rate=RATE)
    for step in range(STEPS):
        part = rng.integers(0, len(felt), BATCH)
        adam.step(gradients(weights, felt[part], digits[part]), rate=RATE * (1 - step / STEPS) + 1e-4)
    return weights
