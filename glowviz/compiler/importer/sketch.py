"""A Sketch is the Graph while it is read: values are defined once, in order, with the best type that is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import signature
from typing import Any

import numpy as np

from glowviz.compiler.graph import NOWHERE, Constant, Graph, Node, Origin, Output, Payload
from glowviz.compiler.importer.problem import RE_EXPORT, ImportProblem, told
from glowviz.compiler.ops.base import Op
from glowviz.compiler.ops.bodies import holds_opaque, retyped, settle
from glowviz.compiler.ops.inference import Known, element_of, infer
from glowviz.compiler.shapes import refuse_absurd
from glowviz.compiler.types import FLOATS, INTEGERS, KnownAtRunTime, Symbol, Type, TypeProblem, of_array

Hints = Mapping[str, Type]


class Misfit(TypeProblem):
    """Operand types are known, and the op does not take them."""

    def __init__(self, text: str, op: Op) -> None:
        super().__init__(text)
        self.op = op


class Sketch:
    """Collects inputs, constants and nodes. `hints` are asked only where our own inference cannot tell a type."""

    def __init__(self, name: str, hints: Callable[[], Hints]) -> None:
        self.name = name
        self.inputs: dict[str, Type] = {}
        self.constants: dict[str, Constant] = {}
        self.nodes: dict[str, Node] = {}
        self.types: dict[str, Type] = {}
        self.guessed: dict[str, None] = {}
        """Values whose element type nobody knows."""
        self.reserved: set[str] = set()
        """Names of values that the file defines, now or later."""
        self._makers: dict[str, Node] = {}
        self._absorbed: dict[str, None] = {}
        self.hints = hints
        self.contents: dict[str, np.ndarray] = {}
        """What is known of inputs: a body knows the constants that it takes from outside."""
        self.known = Known(self._constant_array, self._makers.get, self.types.__getitem__)

    def __contains__(self, value: str) -> bool:
        return value in self.types

    def add_input(self, name: str, type_: Type) -> None:
        self._claim(name, "the inputs")
        self.inputs[name] = self.types[name] = type_

    def add_constant(self, name: str, array: np.ndarray, origin: Origin = NOWHERE, where: str = "") -> str:
        self._claim(name, where or "the initializers")
        self.constants[name] = Constant(name, of_array(array), Payload(array), origin)
        self.types[name] = self.constants[name].type
        return name

    def define(self, op: Op, results: tuple[str, ...], origin: Origin, where: str) -> None:
        """Add a node; TypeProblem where its operands' types are known and do not fit."""
        for result in results:
            self._claim(result, where)
        op, types = self._settled(op, results)
        for result, type_ in zip(results, types, strict=True):
            refuse_absurd(result, type_)
        node = Node(op, results, types, origin)
        self.nodes[node.name] = node
        for result, type_ in zip(results, types, strict=True):
            self.types[result], self._makers[result] = type_, node

    def _settled(self, op: Op, results: tuple[str, ...]) -> tuple[Op, tuple[Type, ...]]:
        """The op, with bodies of its operands' types where it has some, and the types of the results."""
        if holds_opaque(op):
            return op, tuple(self._guess(op, r) for r in results)
        try:
            op = settle(op, self.types.__getitem__, retyped)
        except TypeProblem as problem:
            raise Misfit(str(problem), op) from None
        return op, self._types(op, results)

    def unsupported(self, op: Op) -> bool:
        """The op would take its operands if their contents were known, or if they were f32: it is ours that cannot."""
        few = (o for o in op.operands if len(self.types[o].shape or ()) < 2)
        unknown = (o for o in few if self.known(o) is None)
        if "known" in signature(type(op).infer).parameters and next(unknown, None) is not None:
            return True
        try:
            op.infer_types(lambda o: _as_f32(self.types[o]), self.known)
        except (ValueError, LookupError, ArithmeticError, TypeError):
            return False
        return True

    def absorb(self, value: str) -> None:
        """A constant has become an attribute: it goes unless somebody else reads it."""
        self._absorbed[value] = None

    def fresh(self, wish: str) -> str:
        """A name that is not taken, derived from the wish."""
        name, number = wish, 2
        while name in self.types or name in self.reserved:
            name, number = f"{wish}{number}", number + 1
        return name

    def finish(self, outputs: tuple[Output, ...]) -> Graph:
        """The Graph, without constants that only attributes came from."""
        read = {o.value for o in outputs}
        for node in self.nodes.values():
            read.update(node.op.operands)
        gone = self._absorbed.keys() - read
        constants = {name: c for name, c in self.constants.items() if name not in gone}
        return Graph(self.name, self.inputs, constants, self.nodes, outputs)

    def _claim(self, name: str, where: str) -> None:
        if name in self.types or not name:
            raise ImportProblem(
                f"The value {told(name)} is defined twice" if name else "A value has no name", where,
                "one definition per value", RE_EXPORT,
            )

    def _constant_array(self, value: str) -> np.ndarray | None:
        found = self.constants.get(value)
        return self.contents.get(value) if found is None else found.array

    def _types(self, op: Op, results: tuple[str, ...]) -> tuple[Type, ...]:
        operands = [self.types[o] for o in op.operands]
        if op.takes_held or all(t.static for t in operands):
            try:
                types = infer(op, self.types.__getitem__, self.known)
            except KnownAtRunTime:
                found = self._open_types(op, results, operands)
                return tuple(_without_sizes(r, t) for r, t in zip(results, found, strict=True))
            except (ValueError, LookupError, ArithmeticError, TypeError) as error:
                if self._waits(op):
                    return self._open_types(op, results, operands)
                problem = str(error) if isinstance(error, TypeProblem) else f"{op.name}: {error}"
                raise Misfit(problem, op) from None
            return (*types, *(self._guess(op, r) for r in results[len(types) :]))[: len(results)]
        hints = self.hints()
        if all(r in hints for r in results):
            return tuple(hints[r] for r in results)
        return self._open_types(op, results, operands)

    def _waits(self, op: Op) -> bool:
        """Contents of an operand are not known yet, but may be once the inputs' shapes are bound."""
        if all(t.static for t in self.inputs.values()):
            return False
        return any(self.known(o) is None for o in op.operands)

    def _open_types(self, op: Op, results: tuple[str, ...], operands: list[Type]) -> tuple[Type, ...]:
        """Types where dimensions are open: hinted, inferred as far as that goes, or only an element type."""
        inferred: tuple[Any, ...] = ()
        if all(t.shape is not None for t in operands):
            try:
                inferred = op.infer_types(self.types.__getitem__, self.known)
            except Exception:  # written for numbers; a name in their place may break it anywhere
                inferred = ()
        hints = self.hints()
        found = [hints.get(r) or (inferred[i] if i < len(inferred) else None) for i, r in enumerate(results)]
        return tuple(t or self._guess(op, r) for t, r in zip(found, results, strict=True))

    def _guess(self, op: Op, result: str) -> Type:
        hint = self.hints().get(result)
        if hint is not None:
            return hint
        elem = element_of(op, self.types.__getitem__)
        if elem is None:
            self.guessed[result] = None
        return Type(elem or "f32", None)


def _without_sizes(name: str, type_: Type) -> Type:
    """What the file says of a size that only a run knows is no more than a wish; the rank is kept."""
    return type_.with_shape(tuple(Symbol(f"{name}.{k}") for k in range(type_.rank))) if type_.static else type_


def _as_f32(type_: Type) -> Type:
    return type_.with_elem("f32") if type_.elem in FLOATS | INTEGERS else type_
