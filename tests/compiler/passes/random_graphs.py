"""Small graphs drawn at random: a few inputs, then ops on whatever values fit, with shapes that keep rules busy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from hypothesis import strategies as st

from glowviz.compiler.graph import Constant, Graph, Node, Origin, Output, Payload
from glowviz.compiler.ops import (
    Abs,
    Add,
    AveragePool,
    BatchNormalization,
    Clip,
    Concat,
    Conv,
    Div,
    Dropout,
    Exp,
    Flatten,
    GlobalAveragePool,
    HardSwish,
    Identity,
    LeakyRelu,
    MatMul,
    Max,
    MaxPool,
    Min,
    Mul,
    Neg,
    Op,
    Pad,
    Pow,
    ReduceMax,
    ReduceMean,
    ReduceSum,
    Relu,
    Reshape,
    Sigmoid,
    Slice,
    Softmax,
    Split,
    Squeeze,
    Sub,
    Tanh,
    Transpose,
    Unsqueeze,
)
from glowviz.compiler.ops.inference import infer
from glowviz.compiler.types import Type, of_array

SHAPES = ((2, 3), (1, 4, 3, 3), (1, 2, 4, 4), (2, 3, 4))
UNARY: tuple[Callable[[str], Op], ...] = (
    Relu, Neg, Abs, Sigmoid, Tanh, Identity, LeakyRelu, HardSwish, lambda x: Clip(x, low=-1.0, high=2.0),
    lambda x: Clip(x, low=0.0), Dropout,
)  # fmt: skip
BINARY = (Add, Sub, Mul, Max, Min)
NUMBERS = (0.0, 1.0, 2.0, 0.5, -1.0, 3.0)


@dataclass
class Drawn:
    """A graph that grows."""

    draw: Callable[[st.SearchStrategy], object]
    inputs: dict[str, Type] = field(default_factory=dict)
    constants: dict[str, Constant] = field(default_factory=dict)
    nodes: dict[str, Node] = field(default_factory=dict)
    types: dict[str, Type] = field(default_factory=dict)
    values: list[str] = field(default_factory=list)
    """Float values that ops may read."""

    def pick(self, choices: object) -> object:
        return self.draw(st.sampled_from(choices))  # type: ignore[arg-type]  # any sequence

    def constant(self, array: np.ndarray) -> str:
        name = f"c{len(self.constants)}"
        self.constants[name] = Constant(name, of_array(array), Payload(array))
        self.types[name] = of_array(array)
        return name

    def numbers(self, *numbers: int) -> str:
        return self.constant(np.array(numbers, np.int64))

    def filled(self, shape: tuple[int, ...], low: float = -2.0) -> str:
        """A constant: one number for all, or small multiples of a half."""
        if self.draw(st.booleans()):
            return self.constant(np.full(shape, abs(self.pick(NUMBERS)) if low > 0 else self.pick(NUMBERS), np.float32))
        seed = self.draw(st.integers(0, 9))
        drawn = np.random.default_rng(seed).integers(int(low * 2), 6, shape) / 2  # type: ignore[call-overload]
        return self.constant(drawn.astype(np.float32))

    def add(self, op: Op, results: int = 1) -> list[str]:
        types = infer(op, self.types.__getitem__, self.known)[:results]
        names = [f"n{len(self.nodes)}" + (f".{i}" if i else "") for i in range(len(types))]
        self.nodes[names[0]] = Node(op, tuple(names), types, Origin.of(f"onnx{len(self.nodes)}"))
        self.types.update(zip(names, types, strict=True))
        self.values.extend(n for n, t in zip(names, types, strict=True) if t.is_float and t.count and t.rank)
        return names

    def known(self, value: str) -> np.ndarray | None:
        return self.constants[value].array if value in self.constants else None


@st.composite
def graphs(draw: Callable[[st.SearchStrategy], object]) -> Graph:
    """A graph of up to 14 nodes; all values that nobody reads are outputs, and some others."""
    g = Drawn(draw)
    for i in range(draw(st.integers(1, 2))):  # type: ignore[arg-type]  # an int
        g.inputs[f"x{i}"] = g.types[f"x{i}"] = Type("f32", g.pick(SHAPES))  # type: ignore[arg-type]  # a shape
        g.values.append(f"x{i}")
    for _ in range(draw(st.integers(2, 14))):  # type: ignore[arg-type]  # an int
        value = g.values[-1] if draw(st.booleans()) else g.pick(g.values)
        g.pick(STEPS)(g, value)  # type: ignore[operator]  # a step
    read = {o for node in g.nodes.values() for o in node.op.operands}
    ends = [v for v in g.values if v in g.nodes and (v not in read or draw(st.integers(0, 9)) == 0)] or g.values[-1:]
    outputs = tuple(Output(f"out{i}", value) for i, value in enumerate(ends))
    return Graph("drawn", g.inputs, g.constants, g.nodes, outputs)


def unary(g: Drawn, x: str) -> None:
    g.add(g.pick(UNARY)(x))  # type: ignore[operator]  # an op class


def with_constant(g: Drawn, x: str) -> None:
    shape = g.types[x].dims
    choices = [(), (1,), shape[-1:]] + ([(shape[1], *(1,) * (len(shape) - 2))] if len(shape) > 2 else [])
    constant = g.filled(g.pick(choices))  # type: ignore[arg-type]  # a shape
    kind = g.pick(BINARY)
    g.add(kind(x, constant) if g.draw(st.booleans()) else kind(constant, x))  # type: ignore[operator]  # an op class


def divided(g: Drawn, x: str) -> None:
    g.add(Div(x, g.constant(np.array(g.pick((1.0, 2.0, 4.0, 3.0)), np.float32))))


def power(g: Drawn, x: str) -> None:
    g.add(Pow(x, g.constant(np.array(g.pick((0.0, 1.0, 2.0)), np.float32))))


def with_other(g: Drawn, x: str) -> None:
    alike = [v for v in g.values if g.types[v].shape == g.types[x].shape]
    g.add(g.pick(BINARY)(x, g.pick(alike)))  # type: ignore[operator]  # an op class


def turned(g: Drawn, x: str) -> None:
    perm = g.draw(st.permutations(range(g.types[x].rank)))
    g.add(Transpose(x, perm=tuple(perm)))  # type: ignore[arg-type]  # a permutation


def turned_and_back(g: Drawn, x: str) -> None:
    """A Transpose, an op, and perhaps the inverse: what converters write."""
    perm = tuple(g.draw(st.permutations(range(g.types[x].rank))))  # type: ignore[arg-type]  # a permutation
    (there,) = g.add(Transpose(x, perm=perm))
    (between,) = g.add(Relu(there))
    g.add(Transpose(between, perm=tuple(int(i) for i in np.argsort(perm))))


def reshaped(g: Drawn, x: str) -> None:
    dims = g.types[x].dims
    choices = [(-1,), (1, *dims), (dims[0], -1), (*dims[:-2], -1), dims]
    chosen = g.pick(choices)
    g.add(Reshape(x, g.numbers(*chosen)))  # type: ignore[misc]  # a shape


def flat(g: Drawn, x: str) -> None:
    g.add(Flatten(x, axis=g.draw(st.integers(0, g.types[x].rank))))  # type: ignore[arg-type]  # an axis


def squeezed(g: Drawn, x: str) -> None:
    (wide,) = g.add(Unsqueeze(x, axes=(g.draw(st.integers(0, g.types[x].rank)),)))  # type: ignore[arg-type]  # an axis
    if g.draw(st.booleans()):
        g.add(Squeeze(wide))


def sliced(g: Drawn, x: str) -> None:
    axis = g.draw(st.integers(0, g.types[x].rank - 1))
    size = g.types[x].dims[axis]  # type: ignore[index]  # an axis
    start = g.draw(st.integers(0, max(size - 1, 0)))
    end = g.draw(st.integers(start + 1, size))  # type: ignore[operator]  # an int
    g.add(Slice(x, g.numbers(start), g.numbers(end), g.numbers(axis)))  # type: ignore[arg-type]  # numbers


def split_and_joined(g: Drawn, x: str) -> None:
    axis = g.draw(st.integers(0, g.types[x].rank - 1))
    size = g.types[x].dims[axis]  # type: ignore[index]  # an axis
    if size < 2:
        return
    parts = g.add(Split(x, g.numbers(1, size - 1), axis=axis), results=2)  # type: ignore[arg-type]  # an axis
    ordered = g.draw(st.permutations(parts))
    g.add(Concat(tuple(ordered), axis=axis))  # type: ignore[arg-type]  # values


def joined(g: Drawn, x: str) -> None:
    alike = [v for v in g.values if g.types[v].shape == g.types[x].shape]
    axis = g.draw(st.integers(0, g.types[x].rank - 1))
    if g.types[x].count < 200:
        g.add(Concat((x, g.pick(alike)), axis=axis))  # type: ignore[arg-type]  # values


def padded(g: Drawn, x: str) -> None:
    rank = g.types[x].rank
    if rank != 4 or g.types[x].count > 300:
        return
    sides = [0, 0, 1, 0, 0, 0, g.draw(st.integers(0, 2)), 1]
    value = None if g.draw(st.booleans()) else g.constant(np.array(-np.inf, np.float32))
    (wide,) = g.add(Pad(x, g.numbers(*sides), value))  # type: ignore[arg-type]  # numbers
    kind = g.pick((MaxPool, AveragePool)) if value is None else MaxPool
    if min(g.types[wide].dims[2:]) >= 2:
        g.add(kind(wide, kernel=(2, 2), strides=(2, 2)))  # type: ignore[operator]  # a pool


def convolved(g: Drawn, x: str) -> None:
    if g.types[x].rank != 4 or min(g.types[x].dims[2:]) < 1:
        return
    channels = g.types[x].dims[1]
    features = g.pick((2, 3, 4))
    kernel = g.pick((1, 2)) if min(g.types[x].dims[2:]) > 1 else 1
    w = g.filled((features, channels, kernel, kernel))  # type: ignore[arg-type]  # a shape
    b = g.filled((features,)) if g.draw(st.booleans()) else None  # type: ignore[arg-type]  # a shape
    (y,) = g.add(Conv(x, w, b, pads=g.pick(((), (1, 0, 1, 0)))))  # type: ignore[arg-type]  # pads
    if g.draw(st.booleans()):
        normalized(g, y)


def normalized(g: Drawn, x: str) -> None:
    if g.types[x].rank < 2:
        return
    channels = (g.types[x].dims[1],)
    scale, bias, mean = (g.filled(channels) for _ in range(3))
    g.add(BatchNormalization(x, scale, bias, mean, g.filled(channels, low=0.5)))


def pooled(g: Drawn, x: str) -> None:
    if g.types[x].rank != 4:
        return
    if g.draw(st.booleans()) or min(g.types[x].dims[2:]) < 2:
        g.add(GlobalAveragePool(x))
    else:
        g.add(MaxPool(x, kernel=(2, 2), strides=g.pick(((1, 1), (2, 2)))))  # type: ignore[arg-type]  # strides


def reduced(g: Drawn, x: str) -> None:
    kind = g.pick((ReduceSum, ReduceMean, ReduceMax))
    axis = g.draw(st.integers(0, g.types[x].rank - 1))
    g.add(kind(x, axes=(axis,), keepdims=g.draw(st.booleans())))  # type: ignore[operator]  # a reduction


def softmax_written_out(g: Drawn, x: str) -> None:
    axis = g.draw(st.integers(0, g.types[x].rank - 1))
    (bounded,) = g.add(Tanh(x))
    (e,) = g.add(Exp(bounded))
    (total,) = g.add(ReduceSum(e, axes=(axis,)))  # type: ignore[arg-type]  # an axis
    g.add(Div(e, total))


def softmax(g: Drawn, x: str) -> None:
    g.add(Softmax(x, axis=g.draw(st.integers(0, g.types[x].rank - 1))))  # type: ignore[arg-type]  # an axis


def multiplied(g: Drawn, x: str) -> None:
    if g.types[x].rank >= 2:
        g.add(MatMul(x, g.filled((g.types[x].dims[-1], g.pick((2, 3))))))  # type: ignore[arg-type]  # a shape


def swished(g: Drawn, x: str) -> None:
    (gate,) = g.add(Sigmoid(x))
    g.add(Mul(x, gate))


STEPS = (
    unary, unary, with_constant, with_constant, divided, power, with_other, turned, turned_and_back, reshaped, flat,
    squeezed, sliced, split_and_joined, joined, padded, convolved, convolved, normalized, pooled, reduced,
    softmax_written_out, softmax, multiplied, swished,
)  # fmt: skip
