"""LSTM, GRU and RNN as ONNX defines them: both directions, peepholes, sequence lengths, clipping, any activations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from glowviz.compiler.ops.base import Case, Op, Value, Work, case
from glowviz.compiler.ops.cases import floats, ints
from glowviz.compiler.types import FLOATS, Type, TypeProblem

Function = Callable[[np.ndarray], np.ndarray]
DIRECTIONS = ("forward", "reverse", "bidirectional")


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return (0.5 * (1 + np.tanh(0.5 * x))).astype(x.dtype)


FUNCTIONS: dict[str, Callable[[np.ndarray, float, float], np.ndarray]] = {
    "relu": lambda x, a, b: np.maximum(x, 0),
    "tanh": lambda x, a, b: np.tanh(x),
    "sigmoid": lambda x, a, b: _sigmoid(x),
    "affine": lambda x, a, b: a * x + b,
    "leakyrelu": lambda x, a, b: np.where(x < 0, a * x, x),
    "thresholdedrelu": lambda x, a, b: np.where(x > a, x, 0),
    "scaledtanh": lambda x, a, b: a * np.tanh(b * x),
    "hardsigmoid": lambda x, a, b: np.clip(a * x + b, 0, 1),
    "elu": lambda x, a, b: np.where(x < 0, a * np.expm1(np.minimum(x, 0)), x),
    "softsign": lambda x, a, b: x / (1 + np.abs(x)),
    "softplus": lambda x, a, b: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))),
}
DEFAULTS: dict[str, tuple[float, float]] = {
    "leakyrelu": (0.01, 0.0), "thresholdedrelu": (1.0, 0.0), "hardsigmoid": (0.2, 0.5), "elu": (1.0, 0.0),
    "affine": (1.0, 0.0), "scaledtanh": (1.0, 1.0),
}
TAKES_ALPHA = frozenset(DEFAULTS)
TAKES_BETA = frozenset({"affine", "scaledtanh", "hardsigmoid"})


@dataclass(frozen=True)
class Pass:
    """One direction's weights and activations, and what it starts with."""

    w: np.ndarray
    r: np.ndarray
    wb: np.ndarray
    rb: np.ndarray
    functions: tuple[Function, ...]
    state: np.ndarray
    cell: np.ndarray
    peephole: np.ndarray


class Recurrent(Op, abstract=True):
    """A cell that runs over the first dim of x[T, N, I] (the second if `layout`), in one or both directions."""

    family = "linear"
    outputs = ("y", "y_h")
    gates = 1
    usual: ClassVar[tuple[str, ...]] = ("tanh",)
    x: Value
    w: Value
    r: Value
    b: Value | None = None
    sequence_lens: Value | None = None
    initial_h: Value | None = None
    direction: str = "forward"
    hidden_size: int = 0
    activations: tuple[str, ...] = ()
    activation_alpha: tuple[float, ...] = ()
    activation_beta: tuple[float, ...] = ()
    clip: float | None = None
    layout: int = 0

    @property
    def directions(self) -> int:
        """1 or 2."""
        return 2 if self.direction == "bidirectional" else 1

    def infer(self, x: Type, w: Type, r: Type, *rest: Type | None) -> tuple[Type, ...]:
        self._check(x, w, r, rest[0])
        steps, batch = x.dims[:2] if not self.layout else (x.dims[1], x.dims[0])
        hidden = r.dims[2]
        whole = (batch, steps, self.directions, hidden) if self.layout else (steps, self.directions, batch, hidden)
        last = (batch, self.directions, hidden) if self.layout else (self.directions, batch, hidden)
        self._check_states(last, rest[2:4])
        return (Type(x.elem, whole), *(Type(x.elem, last) for _ in self.outputs[1:]))

    @staticmethod
    def _check_states(wanted: tuple[int, ...], states: Sequence[Type | None]) -> None:
        known = (state for state in states if state is not None and state.static)
        found = next((state for state in known if state.dims != wanted), None)
        if found is not None:
            raise TypeProblem(f"the first state must be {list(wanted)}, as x says, got {found}")

    def _check(self, x: Type, w: Type, r: Type, b: Type | None) -> None:
        if self.direction not in DIRECTIONS:
            raise TypeProblem(f"direction must be one of {', '.join(DIRECTIONS)}, got {self.direction!r}")
        if x.elem not in FLOATS or x.rank != 3 or w.rank != 3 or r.rank != 3:
            raise TypeProblem(f"x, w and r must be floating-point with three dims, got {x}, {w}, {r}")
        hidden = r.dims[2]
        wanted_w = (self.directions, self.gates * hidden, x.dims[2])
        wanted_r = (self.directions, self.gates * hidden, hidden)
        if w.dims != wanted_w or r.dims != wanted_r:
            raise TypeProblem(f"w and r must be {list(wanted_w)} and {list(wanted_r)}, got {w} and {r}")
        if b is not None and b.dims != (self.directions, 2 * self.gates * hidden):
            raise TypeProblem(f"b must be {[self.directions, 2 * self.gates * hidden]}, got {b}")
        unknown = [f for f in self.activations if f.lower() not in FUNCTIONS]
        if unknown:
            raise TypeProblem(f"activations must be among {', '.join(FUNCTIONS)}, got {', '.join(unknown)}")

    def functions(self) -> list[tuple[Function, ...]]:
        """The activations of each direction; alphas and betas are handed to those that take them, in order."""
        names = [n.lower() for n in self.activations] or list(self.usual) * self.directions
        alphas, betas = iter(self.activation_alpha), iter(self.activation_beta)
        made = [_function(name, alphas, betas) for name in names]
        per = len(self.usual)
        return [tuple(made[i * per : (i + 1) * per]) for i in range(self.directions)]

    def run(
        self, x: np.ndarray, w: np.ndarray, r: np.ndarray, b: np.ndarray | None, lens: np.ndarray | None,
        h: np.ndarray | None, c: np.ndarray | None = None, p: np.ndarray | None = None,
    ) -> tuple[np.ndarray, ...]:
        """All hidden states, the last one, and the last cell."""
        if self.layout:
            x = np.swapaxes(x, 0, 1)
            h, c = (None if s is None else np.swapaxes(s, 0, 1) for s in (h, c))
        batch, hidden = x.shape[1], r.shape[2]
        none = np.zeros((self.directions, batch, hidden), x.dtype)
        h, c = (none if s is None else s for s in (h, c))
        p = np.zeros((self.directions, 3 * hidden), x.dtype) if p is None else p
        b = np.zeros((self.directions, 2 * self.gates * hidden), x.dtype) if b is None else b
        found = []
        for d, functions in enumerate(self.functions()):
            wb, rb = np.split(b[d], 2)
            one = Pass(w[d], r[d], wb, rb, functions, h[d], c[d], p[d])
            found.append(self._direction(x, one, lens, backwards=d == 1 or self.direction == "reverse"))
        y, last, cell = (np.stack(parts, axis) for parts, axis in zip(zip(*found, strict=True), (1, 0, 0), strict=True))
        if self.layout:
            return y.transpose(2, 0, 1, 3), np.swapaxes(last, 0, 1), np.swapaxes(cell, 0, 1)
        return y, last, cell

    def _direction(
        self, x: np.ndarray, one: Pass, lens: np.ndarray | None, backwards: bool
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        steps = x.shape[0]
        lens = np.full(x.shape[1], steps) if lens is None else lens
        h, c = one.state, one.cell
        y = np.zeros((steps, *h.shape), x.dtype)
        for t in range(steps)[:: -1 if backwards else 1]:
            # a row that has ended (or, backwards, not begun) keeps its state and gives zeros
            live = (t < lens)[:, None]
            new_h, new_c = self.cell(x[t], h, c, one)
            h, c = np.where(live, new_h, h).astype(x.dtype), np.where(live, new_c, c).astype(x.dtype)
            y[t] = np.where(live, h, 0)
        return y, h, c

    def clipped(self, x: np.ndarray) -> np.ndarray:
        """What goes into an activation, within [-clip, clip]."""
        return x if self.clip is None else np.clip(x, -self.clip, self.clip)

    def cell(self, x: np.ndarray, h: np.ndarray, c: np.ndarray, one: Pass) -> tuple[np.ndarray, np.ndarray]:
        """One step: the next hidden state and the next cell."""
        raise NotImplementedError(f"{self.name} does not say its cell")

    def work(self, operands: tuple[Type, ...], results: tuple[Type, ...]) -> Work:
        x, w, r = operands[:3]
        rows = x.dims[0] * x.dims[1]
        return Work(2 * rows * (w.count + r.count), sum(t.bytes for t in (*operands, *results)))

    def cases(self, rng: np.random.Generator, more: Sequence[np.ndarray | None] = ()) -> Iterator[Case]:
        """Both directions, sequence lengths, a first state, clipping and other activations."""
        g, hidden = self.gates, 4
        for d, direction in ((1, "forward"), (1, "reverse"), (2, "bidirectional")):
            x, b = floats(rng, (5, 2, 3)), floats(rng, (d, 2 * g * hidden))
            w, r = floats(rng, (d, g * hidden, 3)), floats(rng, (d, g * hidden, hidden))
            lens, h = ints(5, 3).astype(np.int32), floats(rng, (d, 2, hidden))
            yield case(x, w, r, hidden_size=hidden, direction=direction)
            yield case(x, w, r, b, lens, h, hidden_size=hidden, direction=direction)
            yield case(x, w, r, b, None, h, hidden_size=hidden, direction=direction, clip=0.3)


def _function(name: str, alphas: Iterator[float], betas: Iterator[float]) -> Function:
    alpha, beta = DEFAULTS.get(name, (0.0, 0.0))
    if name in TAKES_ALPHA:
        alpha = next(alphas, alpha)
    if name in TAKES_BETA:
        beta = next(betas, beta)
    return lambda x: FUNCTIONS[name](x, alpha, beta).astype(x.dtype, copy=False)


class RNN(Recurrent):
    """h = f(x · wᵀ + h · rᵀ + b) step by step."""

    x: Value
    w: Value
    r: Value
    b: Value | None = None
    sequence_lens: Value | None = None
    initial_h: Value | None = None
    onnx = "RNN"

    def cell(self, x: np.ndarray, h: np.ndarray, c: np.ndarray, one: Pass) -> tuple[np.ndarray, np.ndarray]:
        (f,) = one.functions
        return f(self.clipped(x @ one.w.T + h @ one.r.T + one.wb + one.rb)), c

    def reference(self, *operands: np.ndarray | None) -> tuple[np.ndarray, ...]:
        return self.run(*operands)[:2]  # type: ignore[arg-type]  # the first three are there

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield from self.cases(rng)
        x, w, r = floats(rng, (3, 2, 3)), floats(rng, (1, 4, 3)), floats(rng, (1, 4, 4))
        yield case(x, w, r, hidden_size=4, activations=("Affine",), activation_alpha=(0.5,), activation_beta=(0.1,))
        yield case(x, w, r, hidden_size=4, activations=("Softsign",))


class GRU(Recurrent):
    """Two gates: z mixes the old state with a new one, r weighs the old state inside the new one."""

    x: Value
    w: Value
    r: Value
    b: Value | None = None
    sequence_lens: Value | None = None
    initial_h: Value | None = None
    linear_before_reset: bool = False
    onnx = "GRU"
    gates = 3
    usual = ("sigmoid", "tanh")

    def cell(self, x: np.ndarray, h: np.ndarray, c: np.ndarray, one: Pass) -> tuple[np.ndarray, np.ndarray]:
        f, g = one.functions
        hidden = h.shape[1]
        inner = x @ one.w.T + one.wb
        two = 2 * hidden
        gates = f(self.clipped(inner[:, :two] + h @ one.r[:two].T + one.rb[:two]))
        z, reset = gates[:, :hidden], gates[:, hidden:]
        if self.linear_before_reset:
            outer = reset * (h @ one.r[two:].T + one.rb[two:])
        else:
            outer = (reset * h) @ one.r[two:].T + one.rb[two:]
        new = g(self.clipped(inner[:, two:] + outer))
        return (1 - z) * new + z * h, c

    def reference(self, *operands: np.ndarray | None) -> tuple[np.ndarray, ...]:
        return self.run(*operands)[:2]  # type: ignore[arg-type]  # the first three are there

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield from self.cases(rng)
        x, b = floats(rng, (3, 2, 3)), floats(rng, (1, 24))
        w, r = floats(rng, (1, 12, 3)), floats(rng, (1, 12, 4))
        yield case(x, w, r, b, hidden_size=4, linear_before_reset=True)


class LSTM(Recurrent):
    """Gates i, o, f and a candidate: the cell forgets and takes in, the state is what o lets out of it."""

    x: Value
    w: Value
    r: Value
    b: Value | None = None
    sequence_lens: Value | None = None
    initial_h: Value | None = None
    initial_c: Value | None = None
    p: Value | None = None
    input_forget: bool = False
    onnx = "LSTM"
    outputs = ("y", "y_h", "y_c")
    gates = 4
    usual = ("sigmoid", "tanh", "tanh")

    def cell(self, x: np.ndarray, h: np.ndarray, c: np.ndarray, one: Pass) -> tuple[np.ndarray, np.ndarray]:
        f, g, let = one.functions
        i, o, forget, new = np.split(x @ one.w.T + h @ one.r.T + one.wb + one.rb, 4, -1)
        pi, po, pf = np.split(one.peephole, 3)
        i = f(self.clipped(i + pi * c))
        forget = 1 - i if self.input_forget else f(self.clipped(forget + pf * c))
        c = forget * c + i * g(self.clipped(new))
        return f(self.clipped(o + po * c)) * let(c), c

    def reference(self, *operands: np.ndarray | None) -> tuple[np.ndarray, ...]:
        return self.run(*operands)  # type: ignore[arg-type]  # the first three are there

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield from self.cases(rng)
        x, b, h = floats(rng, (3, 2, 3)), floats(rng, (1, 32)), floats(rng, (1, 2, 4))
        w, r = floats(rng, (1, 16, 3)), floats(rng, (1, 16, 4))
        yield case(x, w, r, b, None, h, h, floats(rng, (1, 12)), hidden_size=4)
        names = ("HardSigmoid", "Tanh", "Relu")
        yield case(x, w, r, b, hidden_size=4, activations=names, activation_alpha=(0.3,), activation_beta=(0.4,))
