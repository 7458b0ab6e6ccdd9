"""A model that grows node by node: every node is valid when it is added, because its operands were chosen for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any, TypeVar

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper, shape_inference

Shape = tuple[int, ...]
Choice = TypeVar("Choice")
ELEMENTS = {
    "f32": TensorProto.FLOAT, "f64": TensorProto.DOUBLE, "f16": TensorProto.FLOAT16,
    "i8": TensorProto.INT8, "i16": TensorProto.INT16, "i32": TensorProto.INT32, "i64": TensorProto.INT64,
    "u8": TensorProto.UINT8, "u16": TensorProto.UINT16, "u32": TensorProto.UINT32, "u64": TensorProto.UINT64,
    "bool": TensorProto.BOOL, "str": TensorProto.STRING,
}  # fmt: skip
NAMES = {number: name for name, number in ELEMENTS.items()}
FLOATS = ("f32", "f64", "f16")
WIDE = ("f32", "f64")
INTEGERS = ("i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64")
SIZES = (1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 31, 33)
MOST_ELEMENTS = 6000
WORDS = ("a", "b", "Apple", "an apple", "", "x,y", "a b c")
DOMAINS = {"ai.onnx.ml": 3, "com.microsoft": 1, "ai.onnx.preview": 1, "ai.onnx.preview.training": 1}
"""Versions of the domains outside the default one; TreeEnsemble is of the fifth, which has no other trees."""
SPECIAL = (np.nan, np.inf, -np.inf, -0.0, 0.0, 1e-40, -1e-40)


class NotValid(Exception):
    """The choice made leads to no valid node; another one is tried."""


@dataclass(frozen=True)
class Val:
    """A value of the growing model.

    `exact`: every right implementation gives the same bits, so that ops which jump may read it. `low`, `high`:
    where its numbers lie. `special`: NaN, infinities or denormals, or an integer kind's extremes, may be among them.
    """

    name: str
    elem: str
    shape: Shape
    exact: bool = True
    low: float = -2.0
    high: float = 2.0
    special: bool = False
    alone: bool = False
    """No other node reads it: right implementations differ by more than rounding."""

    @property
    def is_float(self) -> bool:
        return self.elem in FLOATS

    @property
    def count(self) -> int:
        return prod(self.shape)


@dataclass
class Growing:
    """`number(low, high)` draws: from hypothesis, whose failing models shrink, or from a seeded generator."""

    number: Callable[[int, int], int]
    opset: int = 21
    special: bool = False
    values: list[Val] = field(default_factory=list)
    inputs: dict[str, np.ndarray] = field(default_factory=dict)
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    open_outputs: list[tuple[str, str]] = field(default_factory=list)
    """Values whose size is known only at run time, with their element: outputs, and nothing reads them."""
    read_inside: set[str] = field(default_factory=set)
    """Values that bodies take from outside."""
    made: int = 0

    # draws ------------------------------------------------------------------------------------------
    def one_of(self, choices: Sequence[Choice]) -> Choice:
        return choices[self.number(0, len(choices) - 1)]

    def flag(self, percent: int = 50) -> bool:
        return self.number(0, 99) < percent

    def shape(self, rank: int | None = None, least: int = 0, empty: bool = True) -> Shape:
        rank = self.number(least, 4) if rank is None else rank
        dims: list[int] = []
        for _ in range(rank):
            room = MOST_ELEMENTS // max(1, prod(dims))
            fits = [s for s in SIZES if s <= max(1, room)]
            dims.append(0 if empty and self.number(0, 39) == 39 else self.one_of(fits))
        return tuple(dims)

    # values -----------------------------------------------------------------------------------------
    def value(
        self, elems: Sequence[str] = ("f32",), fits: Callable[[Val], bool] = lambda v: True, shape: Shape | None = None,
        low: float = -2.0, high: float = 2.0, exact: bool = False, rank: int | None = None, least: int = 0,
    ) -> Val:  # fmt: skip
        """A value of one of these elements: mostly one that is there, else a new input or constant."""

        def good(v: Val) -> bool:
            return (
                not v.alone and v.elem in elems and (shape is None or v.shape == shape) and (not exact or v.exact)
                and (rank is None or len(v.shape) == rank) and len(v.shape) >= least
                and v.low >= low - 10 and v.high <= high + 10 and fits(v)
            )  # fmt: skip

        there = [v for v in self.values if good(v)]
        if there and self.flag(80):
            return there[len(there) - 1 - min(len(there) - 1, self.number(0, 3))]
        for _ in range(4):
            made = self.fresh(self.one_of(elems), self.shape(rank, least) if shape is None else shape, low, high)
            if fits(made):
                return made
        raise NotValid

    def fresh(self, elem: str, shape: Shape, low: float = -2.0, high: float = 2.0, constant: bool | None = None) -> Val:
        """A new input or constant with numbers in [low, high]."""
        rng = np.random.default_rng(self.number(0, 1 << 16))
        name = f"v{self.made}"
        self.made += 1
        special = self.special and elem in FLOATS and prod(shape) > 0 and self.flag(30) and (low, high) == (-2.0, 2.0)
        array = contents(rng, elem, shape, low, high)
        if (low, high) == (-2.0, 2.0) and elem not in (*FLOATS, "bool", "str") and rng.integers(0, 8) == 0:
            limits = np.iinfo(array.dtype)
            array = rng.choice(np.array([limits.min, limits.max, 0, 1], array.dtype), size=shape).astype(array.dtype)
            special = True
        elif special:
            flat = array.reshape(-1)
            flat[rng.integers(0, flat.size, size=1 + flat.size // 8)] = rng.choice(SPECIAL)
        if constant if constant is not None else self.flag(35):
            self.constants[name] = array
        else:
            self.inputs[name] = array
        val = Val(name, elem, tuple(shape), True, low, high, special)
        self.values.append(val)
        return val

    def constant(self, array: np.ndarray) -> str:
        """An operand whose content decides shapes."""
        name = f"c{self.made}"
        self.made += 1
        self.constants[name] = array
        return name

    def ints(self, *numbers: int) -> str:
        return self.constant(np.array(numbers, np.int64))

    # nodes ------------------------------------------------------------------------------------------
    def node(
        self, op: str, operands: Sequence[Val | str], *, results: int = 1, exact: bool | None = None, low: float = -2.0,
        high: float = 2.0, domain: str = "", types: Sequence[tuple[str, Shape | None]] = (),
        through: Sequence[Val] = (), **attributes: Any,
    ) -> list[Val]:  # fmt: skip
        """Add a node; its result types are ONNX's own, or `types` where ONNX does not know the op.

        `exact` None: as its operands for integers, else not. `through`: what it reads inside what is no tensor.
        """
        results = len(types) or results
        names = [o.name if isinstance(o, Val) else o for o in operands]
        outs = [f"v{self.made + i}" for i in range(results)]
        proto = helper.make_node(op, names, outs, name=f"{op.lower()}_{self.made}", domain=domain, **attributes)
        found = dict(zip(outs, types, strict=True)) if types else self._inferred(proto)
        vals: list[Val] = []
        given = [*through, *(o for o in operands if isinstance(o, Val))]
        for out in outs:
            elem, shape = found.get(out, ("", None))
            if not elem or (shape is not None and prod(shape) > 4 * MOST_ELEMENTS):
                raise NotValid
            if shape is None:
                self.open_outputs.append((out, elem))
                continue
            same = all(o.exact for o in given) and (exact if exact is not None else elem not in FLOATS)
            special = any(o.special for o in given)
            vals.append(Val(out, elem, shape, same, low, high, special))
        self.made += results
        self.nodes.append(proto)
        self.values += vals
        return vals

    def link(self, op: str, operands: Sequence[Val | str], results: int = 1, **attributes: Any) -> tuple[str, ...]:
        """A node whose results are no tensors: only the next nodes of the same rule read them, by name."""
        names = [o.name if isinstance(o, Val) else o for o in operands]
        outs = tuple(f"s{self.made + i}" for i in range(results))
        self.made += results
        self.nodes.append(helper.make_node(op, names, outs, name=f"{op.lower()}_{outs[0]}", **attributes))
        return outs

    def link_open(self, op: str, operands: Sequence[Val], elems: Sequence[str], **attributes: Any) -> None:
        """A node whose results are outputs of sizes that only a run knows."""
        outs = self.link(op, operands, len(elems), **attributes)
        self.open_outputs += list(zip(outs, elems, strict=True))

    def _inferred(self, proto: onnx.NodeProto) -> dict[str, tuple[str, Shape | None]]:
        types = {v.name: (v.elem, v.shape) for v in self.values}
        given = [
            helper.make_tensor_value_info(n, ELEMENTS[types[n][0]], types[n][1]) for n in dict.fromkeys(proto.input)
            if n in types and n not in self.constants
        ]  # fmt: skip
        constants = [numpy_helper.from_array(self.constants[n], n) for n in dict.fromkeys(proto.input)
                     if n in self.constants]  # fmt: skip
        wanted = [onnx.ValueInfoProto(name=out) for out in proto.output if out]
        graph = helper.make_graph([proto], "g", given, wanted, constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=10)
        try:
            done = shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
        except Exception as error:  # onnx raises several kinds; all mean that this node cannot be
            raise NotValid from error
        found: dict[str, tuple[str, Shape | None]] = {}
        for value in (*done.graph.output, *done.graph.value_info):
            tensor = value.type.tensor_type
            elem = NAMES.get(tensor.elem_type, "")
            dims = [d.dim_value if d.HasField("dim_value") else None for d in tensor.shape.dim]
            known = tensor.HasField("shape") and None not in dims
            found[value.name] = (elem, tuple(d for d in dims if d is not None) if known else None)
        return found

    def model(self) -> onnx.ModelProto:
        """The whole model: outputs are what nobody reads, and now and then something in between."""
        read = {name for node in self.nodes for name in node.input} | self.read_inside
        made = {name for node in self.nodes for name in node.output}
        outputs = [v for v in self.values if v.name in made and (v.name not in read or self.flag(10))]
        infos = [helper.make_tensor_value_info(v.name, ELEMENTS[v.elem], v.shape) for v in outputs]
        infos += [helper.make_tensor_value_info(n, ELEMENTS[e], None) for n, e in self.open_outputs]
        by_name = {v.name: v for v in self.values}
        inputs = [
            helper.make_tensor_value_info(n, ELEMENTS[by_name[n].elem], by_name[n].shape)
            for n in self.inputs if n in read
        ]  # fmt: skip
        self.inputs = {n: a for n, a in self.inputs.items() if n in read}
        constants = [numpy_helper.from_array(a, n) for n, a in self.constants.items() if n in read]
        told = {info.name for info in infos}
        between = [helper.make_tensor_value_info(v.name, ELEMENTS[v.elem], v.shape) for v in self.values
                   if v.name in made and v.name not in told]  # fmt: skip
        graph = helper.make_graph(self.nodes, "fuzz", inputs, infos, constants, value_info=between)
        domains = dict.fromkeys(n.domain for n in self.nodes if n.domain)
        versions = DOMAINS | ({"ai.onnx.ml": 5} if any(n.op_type == "TreeEnsemble" for n in self.nodes) else {})
        opsets = [helper.make_opsetid("", self.opset), *(helper.make_opsetid(d, versions[d]) for d in domains)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=10)

    def exact_outputs(self) -> set[str]:
        return {v.name for v in self.values if v.exact}


def contents(rng: np.random.Generator, elem: str, shape: Shape, low: float, high: float) -> np.ndarray:
    """Numbers in [low, high]; integers -9 … 9 where no range is asked for."""
    dtype = helper.tensor_dtype_to_np_dtype(ELEMENTS[elem])
    if elem == "str":
        return rng.choice(np.array(WORDS, object), size=shape).astype(object).reshape(shape)
    if elem == "bool":
        return rng.integers(0, 2, size=shape).astype(bool)
    if elem in FLOATS:
        return rng.uniform(low, high, size=shape).astype(dtype)
    limits = np.iinfo(dtype)
    if (low, high) == (-2.0, 2.0):
        low, high = -9, 9
    low, high = max(low, limits.min), min(high, limits.max)
    return rng.integers(int(low), int(high), size=shape, endpoint=True).astype(dtype)
