"""After this pass nothing is left to compute that is known before the first run, except where storing it costs more."""

from __future__ import annotations

from math import prod

import numpy as np

from glowviz.compiler.graph import Constant, Graph, Node, Payload
from glowviz.compiler.ops import ConstantOfShape, Reorder
from glowviz.compiler.ops.base import Elementwise, Op
from glowviz.compiler.rewrite import Edit, Keep, Rewrite, apply, graph_pass, rule
from glowviz.compiler.rewrite.facts import bytes_text, compact, named, stored_bytes
from glowviz.compiler.types import Type, TypeProblem

LARGEST = 64 << 20
"""Bytes up to which a result may be larger than what it is computed from."""
LARGEST_SPLAT = 4 << 30
"""Bytes up to which a result of equal elements is folded: it is stored as one element."""


@rule(Op)
def known_result(edit: Edit, node: Node) -> Rewrite | None:
    """A pure node whose operands are all constants, or that only reads shapes -> constants"""
    op = node.op
    if not op.reads_types_only and (not op.operands or any(edit.constant(o) is None for o in op.operands)):
        return None
    if not all(isinstance(t, Type) and t.static for t in node.types):
        return None
    if op.reads_types_only and not all(edit.type(o).static for o in op.operands):
        raise Keep(f"The shape of %{op.operands[0]} is not bound: {edit.type(op.operands[0])}.")
    if not op.pure:
        raise Keep(f"{named(node)} gives other results each time.")
    _guard(edit, node)
    arrays = _evaluate(edit, node)
    if arrays is None or any(a.shape != t.dims for a, t in zip(arrays, node.types, strict=False)):
        return None
    build = edit.build(node)
    names = []
    for result, array, type_ in zip(node.results, arrays, node.types, strict=False):
        constant = Constant(edit.fresh(f"{result}.folded"), type_, Payload(compact(array)), node.origin)
        names.append(build.packed(constant))
    return Rewrite(tuple(names), _reason(node))


@graph_pass(rules=(known_result,))
def fold_constants(graph: Graph) -> Graph:
    """op(constants) -> constant; Shape(x) -> constant. The value keeps its name."""
    return apply(graph, fold_constants.rules)


def _reason(node: Node) -> str:
    if node.op.reads_types_only:
        return f"{named(node)} follows from the shape of its operand"
    operands = tuple(dict.fromkeys(node.op.operands))
    listed = ", ".join(f"%{o}" for o in operands[:4]) + (", …" if len(operands) > 4 else "")
    return f"{named(node)} has constant operands only ({listed})"


def _guard(edit: Edit, node: Node) -> None:
    """Keep what would be stored much larger than what it is computed from."""
    if node.op.reads_types_only:
        return
    result = sum(prod(t.dims) * t.dtype.itemsize for t in node.types)
    limit = LARGEST_SPLAT if _gives_splat(edit, node) else LARGEST
    if result <= limit:
        return
    constants = [edit.constant(o) for o in node.op.operands]
    operands = sum(stored_bytes(c.array) for c in constants if c is not None)
    if result > operands:
        raise Keep(
            f"Storing %{node.name} would take {bytes_text(result)}, computing it reads {bytes_text(operands)}"
            f" (limit {bytes_text(limit)})."
        )


def _gives_splat(edit: Edit, node: Node) -> bool:
    """The result is one number, without looking at more than its operands."""
    if isinstance(node.op, ConstantOfShape):
        return True
    return isinstance(node.op, Elementwise) and all(_single(edit, o) is not None for o in node.op.operands)


def _single(edit: Edit, value: str) -> np.ndarray | None:
    """The one element of a splat constant, as an array of rank 0."""
    array = edit.constant_array(value)
    if array is None or array.size == 0 or array.dtype == object or (array.size > 1 and any(array.strides)):
        return None
    return array[(0,) * array.ndim].reshape(())


def _evaluate(edit: Edit, node: Node) -> tuple[np.ndarray, ...] | None:
    op = node.op
    try:
        with np.errstate(all="ignore"):
            if op.reads_types_only:
                results = op.from_types(*op.gather(edit.type))
            elif isinstance(op, Reorder):
                results = edit.constant_array(op.x)
            elif _gives_splat(edit, node):
                results = _splat(edit, node)
            else:
                results = op.evaluate(edit.constant_array)
    except NotImplementedError:
        return None
    except (ValueError, IndexError, ZeroDivisionError, TypeProblem) as problem:
        raise Keep(f"{named(node)} has no result: {problem}.") from None
    results = results if isinstance(results, tuple) else (results,)
    return tuple(np.asarray(r) for r in results)


def _splat(edit: Edit, node: Node) -> np.ndarray:
    """One element computed, seen in the whole shape: as small as its operands."""
    shape = node.type.dims
    if isinstance(node.op, ConstantOfShape):
        value = np.asarray(node.op.value, dtype=node.type.dtype)
        return np.broadcast_to(value.reshape(()), shape)
    (one,) = node.op.evaluate(lambda value: _single(edit, value))
    return np.broadcast_to(one.reshape(()), shape)
