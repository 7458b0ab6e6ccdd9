"""What happens to an accumulator between its last multiplication and its store."""

from collections.abc import Callable
from dataclasses import dataclass

from glowviz.compiler.backends.cpu.emitter import Emitter
from glowviz.compiler.backends.cpu.kernels.geometry import Map, Matrix, Steps
from glowviz.compiler.backends.cpu.values import Value

LoadExtra = Callable[[int], Value]
Step = Callable[[Emitter, Value, LoadExtra], Value]


@dataclass(frozen=True)
class Extra:
    """A further operand of an epilogue.

    For feature maps `map` tells its own order and halo (Map) or how it broadcasts (Steps); vectors that reach
    beyond the last channel are read whole, so buffers end on whole vectors. For products `matrix` has its
    strides, 0 where it broadcasts.
    """

    map: Map | Steps | None = None
    matrix: Matrix | None = None


@dataclass(frozen=True)
class Epilogue:
    """bias (one number per channel), then the steps that `text` describes with `extras` as operands.

    The text stands in for the emitting function where specs are compared and kernels are named.
    """

    bias: bool = False
    text: str = ""
    extras: tuple[Extra, ...] = ()


def add_step(em: Emitter, acc: Value, load_extra: LoadExtra) -> Value:
    """acc + extra 0 (a residual)."""
    return acc + load_extra(0)


def relu_step(em: Emitter, acc: Value, load_extra: LoadExtra) -> Value:
    """max(acc, 0), NaN stays."""
    return em.m.max(acc, 0.0)


def add_relu_step(em: Emitter, acc: Value, load_extra: LoadExtra) -> Value:
    """max(acc + extra 0, 0)."""
    return em.m.max(acc + load_extra(0), 0.0)
