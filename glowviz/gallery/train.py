"""The least that is needed to train a tiny network in numpy: Adam over a dictionary of arrays, and a softmax."""

from __future__ import annotations

import numpy as np

Weights = dict[str, np.ndarray]


class Adam:
    """Adam (Kingma and Ba 2014, arXiv 1412.6980) over named weights, changed in place."""

    def __init__(self, weights: Weights, rate: float) -> None:
        self.weights = weights
        self.rate = rate
        self.count = 0
        self.mean = {name: np.zeros_like(array) for name, array in weights.items()}
        self.square = {name: np.zeros_like(array) for name, array in weights.items()}

    def step(self, gradients: Weights, rate: float | None = None) -> None:
        """Move every weight against its gradient."""
        self.count += 1
        correction = np.sqrt(1 - 0.999**self.count) / (1 - 0.9**self.count)
        for name, gradient in gradients.items():
            self.mean[name] += 0.1 * (gradient - self.mean[name])
            self.square[name] += 0.001 * (gradient**2 - self.square[name])
            move = self.mean[name] / (np.sqrt(self.square[name]) + 1e-8)
            self.weights[name] -= np.float32((rate or self.rate) * correction) * move


def softmax(scores: np.ndarray) -> np.ndarray:
    """Probabilities over the last axis."""
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)
