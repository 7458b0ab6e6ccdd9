"""What happens to an accumulator between its last multiplication and its store."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from glowviz.compiler.backends.cpu.emitter import Emitter
from glowviz.compiler.backends.cpu.kernels.geometry import Map, Matrix
from glowviz.compiler.backends.cpu.values import Value

LoadExtra = Callable[[int], Value]
Step = Callable[[Emitter, Value, LoadExtra], Value]


@dataclass(frozen=True)
class Extra:
    """A further operand of an epilogue.

    `same`: a buffer of the result's shape in its own order (`map` for feature maps, `matrix` for products);
    `channel`: one number per output channel or column (for maps padded to whole blocks); `scalar`: one number.
    """

    kind: Literal["same", "channel", "scalar"]
    map: Map | None = None
    matrix: Matrix | None = None


@dataclass(frozen=True)
class Epilogue:
    """bias (one number per channel), then the steps that `text` describes with `extras` as operands.

    The text stands in for the emitting function where specs are compared and kernels are named.
    """

    bias: bool = False
    text: str = ""
    extras: tuple[Extra, ...] = ()

    @property
    def is_plain(self) -> bool:
        """Whether zeros stay zeros: nothing but the sum itself is stored."""
        return not self.text


def add_step(em: Emitter, acc: Value, load_extra: LoadExtra) -> Value:
    """acc + extra 0 (a residual)."""
    return acc + load_extra(0)


def relu_step(em: Emitter, acc: Value, load_extra: LoadExtra) -> Value:
    """max(acc, 0), NaN stays."""
    return em.m.max(acc, 0.0)


def add_relu_step(em: Emitter, acc: Value, load_extra: LoadExtra) -> Value:
    """max(acc + extra 0, 0)."""
    return em.m.max(acc + load_extra(0), 0.0)
