"""Types and small known contents flow forward: what an op's results are, given its operands."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from glowviz.compiler.graph import Node
from glowviz.compiler.ops.base import Op
from glowviz.compiler.ops.probing import probe
from glowviz.compiler.types import KnownAtRunTime, Symbol, Type, TypeProblem

SMALL = 4096
"""Elements up to which contents are evaluated while inferring: shapes, axes, slices, never weights."""


class Known:
    """Contents of values, as far as they are known when compiling: constants, and small integers computed from them.

    `constant_of` gives a constant's array or None, `maker_of` the node that makes a value, `type_of` its type.
    """

    def __init__(
        self,
        constant_of: Callable[[str], np.ndarray | None],
        maker_of: Callable[[str], Node | None],
        type_of: Callable[[str], Type],
    ) -> None:
        self._constant_of, self._maker_of, self._type_of = constant_of, maker_of, type_of
        self._memo: dict[str, np.ndarray | None] = {}

    def forget(self, value: str) -> None:
        """The value is made by another node now."""
        self._memo.pop(value, None)

    def __call__(self, value: str) -> np.ndarray | None:
        """The content of a value, or None. Iterative: a long chain of shape arithmetic is an ordinary input."""
        stack = [value]
        while stack:
            name = stack[-1]
            if name in self._memo:
                stack.pop()
                continue
            missing = self._prepare(name)
            if missing:
                stack.extend(missing)
            else:
                stack.pop()
        return self._memo[value]

    def _prepare(self, name: str) -> list[str]:
        """Settle one value, or return the operands that must be settled first."""
        array = self._constant_of(name)
        node = self._maker_of(name)
        if array is not None or node is None:
            self._memo[name] = array
            return []
        if not self._worth(node):
            self._memo[name] = None
            return []
        operands = () if node.op.reads_types_only else node.op.operands
        missing = [o for o in operands if o not in self._memo]
        if missing:
            return missing
        if any(self._memo[o] is None for o in operands):
            self._memo[name] = None
            return []
        self._settle(node, name)
        return []

    def _worth(self, node: Node) -> bool:
        small = all(t.static and t.count <= SMALL for t in node.types)
        return small and node.op.pure and (node.op.reads_types_only or self._small_operands(node))

    def _small_operands(self, node: Node) -> bool:
        types = (self._type_of(o) for o in node.op.operands)
        return all(t.static and t.count <= SMALL for t in types)

    def _settle(self, node: Node, name: str) -> None:
        try:
            if node.op.reads_types_only:
                results = node.op.from_types(*node.op.gather(self._type_of))
            else:
                results = node.op.evaluate(self._memo.__getitem__)
        except (NotImplementedError, ValueError, IndexError, TypeError, ZeroDivisionError):
            self._memo[name] = None
            return
        results = results if isinstance(results, tuple) else (results,)
        for result, array in zip(node.results, results, strict=False):
            self._memo[result] = np.asarray(array)


def infer(op: Op, type_of: Callable[[str], Type], known_of: Callable[[str], np.ndarray | None]) -> tuple[Type, ...]:
    """The result types of an op; TypeProblem names the op and tells what does not fit."""
    for operand in op.operands:
        type_ = type_of(operand)
        if not (type_.static or op.reads_types_only or op.takes_held):
            raise TypeProblem(f"{op.name}: the shape of %{operand} is not bound: {type_}")
    try:
        return op.infer_types(type_of, known_of)
    except TypeProblem as problem:
        raise type(problem)(f"{op.name}: {problem}") from None


def result_types(
    node: Node, type_of: Callable[[str], Type], known_of: Callable[[str], np.ndarray | None], other: Op | None = None
) -> tuple[Type, ...]:
    """Like `infer`, for a node: a size that only a run knows gives a held result instead of a refusal.

    Where the op cannot tell an element type, the one that the node states stays. `other` is an op to take in the
    place of its own.
    """
    op: Op = other or node.op
    stated = node.types
    settled = all(type_of(o).static for o in op.operands)
    try:
        if settled or op.takes_held or op.reads_types_only:
            found = infer(op, type_of, known_of)[: len(stated)]
            return _own_dims(found, node.results) if op.family == "control" else found
    except KnownAtRunTime:
        pass
    except TypeProblem:
        if settled or op.takes_held:
            raise
    probed = probe(op, type_of, known_of, node.results) or ()
    rest = tuple(_held(op, type_of, index, type_) for index, type_ in enumerate(stated))
    return (*probed, *rest[len(probed) :])


def _own_dims(types: tuple[Type, ...], results: tuple[str, ...]) -> tuple[Type, ...]:
    """Names of dims that come from inside a body mean nothing outside: each gets the name of its result."""
    return tuple(
        t if t.static or t.shape is None else t.with_shape(tuple(
            Symbol(f"{name}.{axis}") if isinstance(dim, Symbol) else dim for axis, dim in enumerate(t.shape)))
        for name, t in zip(results, types, strict=False)
    )


ELEMENT_FROM = {"Where": 1, "OneHot": 2}
"""The operand that gives the element type, where it is not the first."""
ELEMENT = {"Shape": "i64", "Size": "i64", "ArgMax": "i64", "ArgMin": "i64", "NonZero": "i64"}


def element_of(op: Op, type_of: Callable[[str], Type]) -> str | None:
    """The element type of the first result as far as attributes and operands tell it without any shape."""
    said = getattr(op, "to", None) or getattr(op, "elem", None) or getattr(type(op), "result_elem", None)
    givers = op.operands[ELEMENT_FROM.get(op.name, 0) :]
    return said or ELEMENT.get(op.name) or next((type_of(o).elem for o in givers), None)


def _held(op: Op, type_of: Callable[[str], Type], index: int, stated: Type) -> Type:
    """A tensor of any shape; the first result's element type is the operands', others keep what is stated."""
    if stated.__class__ is not Type:
        return stated
    elem = None if index else element_of(op, type_of)
    return Type(elem or stated.elem, None)
