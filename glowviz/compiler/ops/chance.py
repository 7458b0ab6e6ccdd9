"""Random numbers; with a seed always the same ones, without it others at every run."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from glowviz.compiler.ops.base import Case, Op, Value, case
from glowviz.compiler.ops.cases import floats, positive
from glowviz.compiler.types import ELEMENTS, Type, TypeProblem, of_array


def generator(seed: float | None) -> np.random.RandomState:
    """numpy's old generator, which every release of it repeats."""
    fresh = int(np.random.SeedSequence().generate_state(1)[0])
    return np.random.RandomState(fresh if seed is None else int(seed) & 0xFFFFFFFF)


class Chance(Op, abstract=True):
    """Numbers that differ from run to run, so that nothing may fold, merge or repeat them."""

    family = "elementwise"
    pure = False


class RandomUniformLike(Chance):
    """Evenly spread numbers from low to high in the shape of x."""

    x: Value
    dtype: str = ""
    low: float = 0.0
    high: float = 1.0
    seed: float | None = None
    onnx = "RandomUniformLike"

    def infer(self, x: Type) -> Type:
        return Type(self.dtype or x.elem, x.shape)

    def reference(self, x: np.ndarray) -> np.ndarray:
        numbers = generator(self.seed).uniform(self.low, self.high, x.shape)
        return np.asarray(numbers).astype(ELEMENTS[self.dtype or of_array(x).elem])

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield case(floats(rng, (2, 3)), seed=7.0)
        yield case(floats(rng, (2, 3)), dtype="f64", low=-1.0, seed=1.0)


class RandomNormalLike(Chance):
    """Normally distributed numbers in the shape of x."""

    x: Value
    dtype: str = ""
    mean: float = 0.0
    scale: float = 1.0
    seed: float | None = None
    onnx = "RandomNormalLike"

    def infer(self, x: Type) -> Type:
        return Type(self.dtype or x.elem, x.shape)

    def reference(self, x: np.ndarray) -> np.ndarray:
        numbers = generator(self.seed).normal(self.mean, self.scale, x.shape)
        return np.asarray(numbers).astype(ELEMENTS[self.dtype or of_array(x).elem])

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield case(floats(rng, (2, 3)), seed=7.0)
        yield case(floats(rng, (2, 3)), dtype="f64", mean=-1.0, seed=1.0)


class RandomUniform(Chance):
    """Evenly spread numbers from low to high."""

    shape: tuple[int, ...]
    dtype: str = "f32"
    low: float = 0.0
    high: float = 1.0
    seed: float | None = None
    onnx = "RandomUniform"

    def infer(self) -> Type:
        return Type(self.dtype, self.shape)

    def reference(self) -> np.ndarray:
        return np.asarray(generator(self.seed).uniform(self.low, self.high, self.shape)).astype(ELEMENTS[self.dtype])

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield case(shape=(2, 3), seed=7.0)


class RandomNormal(Chance):
    """Normally distributed numbers."""

    shape: tuple[int, ...]
    dtype: str = "f32"
    mean: float = 0.0
    scale: float = 1.0
    seed: float | None = None
    onnx = "RandomNormal"

    def infer(self) -> Type:
        return Type(self.dtype, self.shape)

    def reference(self) -> np.ndarray:
        return np.asarray(generator(self.seed).normal(self.mean, self.scale, self.shape)).astype(ELEMENTS[self.dtype])

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield case(shape=(2, 3), seed=7.0)


class Multinomial(Chance):
    """`sample_size` classes for every row of unnormalized log-probabilities."""

    x: Value
    dtype: str = "i32"
    sample_size: int = 1
    seed: float | None = None
    onnx = "Multinomial"

    def infer(self, x: Type) -> Type:
        if x.rank != 2 or self.dtype not in ("i32", "i64"):
            raise TypeProblem(f"x must be [N, classes] and dtype i32 or i64, got {x} and {self.dtype}")
        return Type(self.dtype, (x.dims[0], self.sample_size))

    def reference(self, x: np.ndarray) -> np.ndarray:
        wide = x.astype(np.float64)
        weights = np.exp(wide - wide.max(1, keepdims=True)).cumsum(1)
        drawn = generator(self.seed).uniform(0, 1, (x.shape[0], self.sample_size)) * weights[:, -1:]
        return (drawn[:, :, None] >= weights[:, None, :]).sum(2).astype(ELEMENTS[self.dtype])

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield case(floats(rng, (2, 3)), sample_size=5, seed=3.0)


class Bernoulli(Chance):
    """1 with the probability that x gives, else 0."""

    x: Value
    dtype: str = ""
    seed: float | None = None
    onnx = "Bernoulli"

    def infer(self, x: Type) -> Type:
        return Type(self.dtype or x.elem, x.shape)

    def reference(self, x: np.ndarray) -> np.ndarray:
        drawn = generator(self.seed).uniform(0, 1, x.shape) < x
        return np.asarray(drawn).astype(ELEMENTS[self.dtype or of_array(x).elem])

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield case(positive(rng, (2, 3)) / 2, seed=3.0)
