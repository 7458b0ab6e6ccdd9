"""A sample as an op with operands, and as a graph of one node that any test or backend can run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from glowviz.compiler.graph import Constant, Graph, Node, Origin, Output, constant
from glowviz.compiler.ops.base import Case, Op, Slot
from glowviz.compiler.types import Type, of_array


class _Asked(dict[str, Any]):
    """Known contents that remember which of them `infer` looked at."""

    def __init__(self, contents: Mapping[str, Any]) -> None:
        super().__init__(contents)
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        self.names.add(name)
        return super().__getitem__(name)


def samples_of(kind: type[Op], seed: int = 0) -> Iterator[Case]:
    """The op's samples, the same in every run."""
    # samples say only what the class means, so no operand is needed to ask for them
    return kind.samples(object.__new__(kind), np.random.default_rng(seed))


def bind(kind: type[Op], case: Case) -> tuple[Op, dict[str, np.ndarray]]:
    """The op on operands named after its fields (x0, x1 … for variadic ones), and the arrays by those names."""
    fields: dict[str, Any] = {}
    arrays: dict[str, np.ndarray] = {}
    for position, slot in enumerate(kind.slots()):
        given = case.operands.get(slot.name, case.operands.get(str(position)))
        fields[slot.name] = _named(slot, given, arrays)
    return kind(**fields, **case.attributes), arrays


def _named(slot: Slot, given: Any, arrays: dict[str, Any]) -> Any:
    if slot.variadic:
        names = tuple(f"{slot.name.rstrip('s')}{i}" for i in range(len(given or ())))
        arrays.update(zip(names, map(np.asarray, given or ()), strict=True))
        return names
    if given is None:
        return None
    arrays[slot.name] = given if isinstance(given, list) else np.asarray(given)
    return slot.name


def must_be_known(op: Op, arrays: Mapping[str, np.ndarray]) -> set[str]:
    """Names of operands whose contents the op's types depend on."""
    slots = op.slots()
    asked = _Asked(dict(zip((s.name for s in slots), op.gather(arrays.__getitem__), strict=True)))
    try:
        op.infer(*op.gather(lambda name: of_array(arrays[name])), known=asked)
    except TypeError:  # infer does not take `known`
        return set()
    return {s.name for s in slots if s.name in asked.names and getattr(op, s.name) is not None}


def as_graph(kind: type[Op], case: Case, results: int | None = None) -> tuple[Graph, dict[str, np.ndarray]]:
    """A graph with the op as its only node, which makes `out` (and out1 …), and its inputs.

    Operands that types depend on are constants. `results` limits how many of the op's results the graph returns.
    """
    op, arrays = bind(kind, case)
    fixed = must_be_known(op, arrays)
    constants: dict[str, Constant] = {name: constant(name, arrays.pop(name)) for name in sorted(fixed)}
    inputs = {name: of_array(array) for name, array in arrays.items()}

    def type_of(name: str) -> Type:
        return inputs[name] if name in inputs else constants[name].type

    def known_of(name: str) -> np.ndarray | None:
        return constants[name].array if name in constants else None

    types = op.infer_types(type_of, known_of)[:results]
    names = tuple(f"out{i}" if i else "out" for i in range(len(types)))
    node = Node(op, names, types, Origin.of("sample"))
    outputs = tuple(Output(name, name) for name in names)
    return Graph("sample", inputs, constants, {"out": node}, outputs), arrays
