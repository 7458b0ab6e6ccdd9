"""random_feed() draws inputs for a signature: the same seed gives every engine the same numbers."""

from __future__ import annotations

import numpy as np

from glowviz.bench.engine import Signature

HIGHEST_TOKEN = 100


def random_feed(signature: Signature, seed: int) -> dict[str, np.ndarray]:
    """Floats from N(0, 1); integers are token numbers, or what their name says: masks 1, types 0."""
    rng = np.random.default_rng(seed)
    return {name: _draw(rng, name, shape, np.dtype(kind)) for name, (shape, kind) in signature.inputs.items()}


def _draw(rng: np.random.Generator, name: str, shape: tuple[int, ...], kind: np.dtype) -> np.ndarray:
    if kind.kind == "f":
        return rng.standard_normal(shape, dtype=np.float32).astype(kind, copy=False)
    if "mask" in name:
        return np.ones(shape, kind)
    if "type" in name:
        return np.zeros(shape, kind)
    return rng.integers(0, 2 if kind.kind == "b" else HIGHEST_TOKEN, shape).astype(kind)
