"""A multi-layer perceptron, trained here in under a second, that tells whether a point lies inside a ring."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from glowviz.gallery.train import Adam, Weights
from glowviz.gallery.writer import Built, Net

WIDTHS = (2, 16, 16, 1)
INNER, OUTER = 0.7, 1.4
STEPS, BATCH = 1500, 256


def points(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Points of the square [-2, 2]², f32[count × 2], and 1.0 for those inside the ring, f32[count × 1]."""
    x = rng.uniform(-2, 2, (count, 2)).astype(np.float32)
    radius = np.hypot(x[:, :1], x[:, 1:])
    return x, ((radius > INNER) & (radius < OUTER)).astype(np.float32)


def forward(weights: Weights, x: np.ndarray) -> list[np.ndarray]:
    """The input of every layer, and last the probability."""
    values = [x]
    for i in range(3):
        x = x @ weights[f"w{i}"] + weights[f"b{i}"]
        x = np.maximum(x, 0) if i < 2 else 1 / (1 + np.exp(-x))
        values.append(x)
    return values


def gradients(weights: Weights, x: np.ndarray, inside: np.ndarray) -> Weights:
    """Gradients of the mean cross-entropy for one batch."""
    values = forward(weights, x)
    d = (values[3] - inside) / len(x)
    result: Weights = {}
    for i in (2, 1, 0):
        result[f"w{i}"], result[f"b{i}"] = values[i].T @ d, d.sum(axis=0)
        d = (d @ weights[f"w{i}"].T) * (values[i] > 0)
    return result


def train(seed: int = 0) -> tuple[Weights, float]:
    """Trained weights and the share of 2,000 unseen points told right."""
    rng = np.random.default_rng(seed)
    weights: Weights = {}
    for i, (fan_in, fan_out) in enumerate(pairwise(WIDTHS)):
        weights[f"w{i}"] = rng.normal(0, (2 / fan_in) ** 0.5, (fan_in, fan_out)).astype(np.float32)
        weights[f"b{i}"] = np.zeros(fan_out, np.float32)
    adam = Adam(weights, rate=0.01)
    for step in range(STEPS):
        adam.step(gradients(weights, *points(rng, BATCH)), rate=0.01 * (1 - step / STEPS) + 1e-4)
    x, inside = points(np.random.default_rng(seed + 1), 2000)
    return weights, float(((forward(weights, x)[3] > 0.5) == (inside > 0.5)).mean())


def build() -> Built:
    """f32[points × 2] -> f32[points × 1]; the number of points is left to the user."""
    weights, accuracy = train()
    net = Net("ring")
    x = net.input("point", ["points", 2])
    for i in range(3):
        operands = [net.weight(f"layer{i}.{letter}", weights[f"{letter}{i}"]) for letter in "wb"]
        x = net.add("Gemm", x, *operands, name=f"layer{i}")
        x = net.add("Relu" if i < 2 else "Sigmoid", x, name=f"activation{i}")
    net.output("inside", x, ["points", 1])
    tried = {"middle": (0.0, 0.0), "on the ring": (0.7, -0.75), "far outside": (1.8, 1.8)}
    samples = {name: {"point": np.array([xy], np.float32)} for name, xy in tried.items()}
    expected = {"middle": "outside", "on the ring": "inside", "far outside": "outside"}
    return Built(net.model(), {"accuracy": accuracy, "unseen": 2000}, samples, expected)
