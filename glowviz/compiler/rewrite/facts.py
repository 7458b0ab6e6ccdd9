"""What rules ask about values before they rewrite: their contents, their readers, and what merging would cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from glowviz.compiler.graph import Graph, Node
from glowviz.compiler.ops.base import Elementwise, Op
from glowviz.compiler.ops.elementwise import Add, Div, Mul, Sub
from glowviz.compiler.recording.records import log
from glowviz.compiler.rewrite.edit import Build, Edit
from glowviz.compiler.rewrite.rules import Keep, Rule, apply
from glowviz.compiler.types import Type


def splat_of(array: np.ndarray) -> Any:
    """The one number an array consists of, or None; an array with NaN or of strings has none."""
    if array.size == 0 or array.dtype == object:
        return None
    first = array[(0,) * array.ndim]
    if array.size > 1 and any(array.strides) and (array[(-1,) * array.ndim] != first or not (array == first).all()):
        return None
    number = first.item() if array.dtype.kind in "biufc" else float(first)
    return None if number != number else number


def splat(edit: Edit, value: str | None) -> Any:
    """The one number a constant consists of; None where it has several or is not constant."""
    array = edit.constant_array(value)
    return None if array is None else splat_of(array)


def shortest(edit: Edit, value: str) -> float | None:
    """The one number of a constant as a person wrote it: 1e-05 instead of the 9.999999747378752e-06 of its f32."""
    found = splat(edit, value)
    return None if found is None else float(str(edit.type(value).dtype.type(found)))


def makers(edit: Edit, *values: str) -> tuple[Node, ...]:
    """The nodes that make these values, each once; what no node makes is left out."""
    found = (edit.maker(value) for value in values)
    return tuple(dict.fromkeys(node for node in found if node is not None))


def is_splat(edit: Edit, value: str | None, number: float, tolerance: float = 0.0) -> bool:
    """Every element of the constant is `number`, up to a relative tolerance."""
    found = splat(edit, value)
    return found is not None and abs(found - number) <= tolerance * abs(number)


def sides(op: Any) -> Iterator[tuple[str, str]]:
    """The operands of a commutative op both ways round."""
    yield op.x, op.y
    yield op.y, op.x


def constant_side(edit: Edit, op: Any) -> tuple[str, str] | None:
    """(computed operand, constant operand) of a binary op with exactly one constant."""
    for variable, fixed in sides(op):
        if edit.constant(fixed) is not None and edit.constant(variable) is None:
            return variable, fixed
    return None


def same(edit: Edit, a: str | None, b: str | None) -> bool:
    """Two values that are one, are computed by equal ops, or are equal constants of one element."""
    if a == b:
        return True
    first, second = edit.maker(a or ""), edit.maker(b or "")
    if first is not None and second is not None:
        places = first.results.index(a), second.results.index(b)  # the halves of one Split are not the same value
        return first.op.pure and first.op == second.op and places[0] == places[1]
    left, right = splat(edit, a), splat(edit, b)
    return left is not None and left == right and edit.type(a or "") == edit.type(b or "")


def reduction(edit: Edit, value: str, kind: Any) -> Any:
    """The reduction of one kind that makes `value` with its axes kept as ones, by keepdims or by a reshape after it."""
    op: Any = edit.op(value)
    if type(op) is kind:
        return op
    inner: Any = edit.op(op.x) if op is not None and op.name in ("Reshape", "Unsqueeze") else None
    if type(inner) is not kind or inner.keepdims:
        return None
    source = edit.type(inner.x)
    axes = inner.positive_axes(source.rank)
    kept = tuple(1 if axis in axes else n for axis, n in enumerate(source.dims))
    return inner.evolve(keepdims=True) if edit.type(value).dims == kept else None


def named(node: Node) -> str:
    """`Conv %c0`, as reasons speak of a node."""
    return f"{node.kind} %{node.name}"


def only_user(edit: Edit, value: str) -> bool:
    """One node reads the value and it does not leave the graph."""
    return edit.use_count(value) == 1


def users_text(edit: Edit, value: str) -> str:
    """`%r7 has 2 users (BatchNormalization %r8 and Add %r14)`."""
    return readers_text(value, edit.users(value), edit.is_returned(value))


def readers_text(value: str, users: Sequence[Node], returned: int) -> str:
    """The same for readers that are listed already."""
    names = [named(user) for user in users] + ["the graph's output"] * returned
    shown = names if len(names) <= 4 else [*names[:3], f"{len(names) - 3} more"]
    listed = shown[0] if len(shown) == 1 else ", ".join(shown[:-1]) + " and " + shown[-1]
    return f"%{value} has {len(names)} users ({listed})"


def heavy_before(edit: Edit, value: str) -> Node | None:
    """The Conv or matrix product whose epilogue an element-wise op on this value can join; None where there is none.

    Looks back through element-wise ops and batch norms, each with one user.
    """
    for _ in range(16):
        maker = edit.maker(value)
        if maker is None or not only_user(edit, value):
            return None
        if maker.kind in ("Conv", "ConvTranspose", "Gemm", "MatMul"):
            return maker
        if not isinstance(maker.op, Elementwise) and maker.kind != "BatchNormalization":
            return None
        value = maker.op.operands[0]
    return None


def need_only_user(edit: Edit, node: Node, consequence: str) -> None:
    """Keep unless the node's results have one user altogether; `consequence` says what merging would do."""
    if sum(edit.use_count(result) for result in node.results) != 1:
        raise Keep(f"{users_text(edit, node.name)}. {consequence}")


def twice(edit: Edit, node: Node) -> str:
    """`Merging would compute the Conv twice (+231 MFLOP).`"""
    work = node.op.work(tuple(edit.type(o) for o in node.op.operands), node.types)
    return f"Merging would compute the {node.kind} twice (+{flops_text(work.flops)})."


def need_constant(edit: Edit, value: str, role: str) -> np.ndarray:
    """The content of a constant; Keep says what the value is instead."""
    array = edit.constant_array(value)
    if array is None:
        raise Keep(f"{role} %{value} is {what_it_is(edit, value)}, so its content is not known when compiling.")
    return array


def what_it_is(edit: Edit, value: str) -> str:
    """`computed by Mul %m`, `an input of the graph`, `a state`, `a constant`."""
    maker = edit.maker(value)
    if maker is not None:
        return f"computed by {maker.kind}" if maker.name == value else f"computed by {named(maker)}"
    if edit.constant(value) is not None:
        return "a constant"
    return "a state" if value in edit.graph.states else "an input of the graph"


def flops_text(flops: int) -> str:
    """231_000_000 -> `231 MFLOP`."""
    for unit, size in (("GFLOP", 1e9), ("MFLOP", 1e6), ("kFLOP", 1e3)):
        if flops >= size:
            return f"{flops / size:.3g} {unit}"
    return f"{flops} FLOP"


def bytes_text(size: int) -> str:
    """802_816 -> `784 KiB`."""
    for unit, one in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= one:
            return f"{size / one:.3g} {unit}"
    return f"{size} B"


def shape_text(type_: Type) -> str:
    """`[1x64x56x56]`."""
    return "[" + ("*" if type_.shape is None else "x".join(map(str, type_.shape))) + "]"


def stored_bytes(array: np.ndarray) -> int:
    """Bytes an array really takes: one element where it is a splat."""
    return array.itemsize if array.size and not any(array.strides) else array.nbytes


def compact(array: np.ndarray) -> np.ndarray:
    """The same content; stored as one element where all are the same bits."""
    if array.size < 2 or array.dtype == object or not any(array.strides):
        return array
    first = array.reshape(-1)[:1]
    if array.itemsize in (1, 2, 4, 8) and array.flags.c_contiguous:
        raw = array.reshape(-1).view(f"u{array.itemsize}")
        if raw[0] == raw[-1] and bool((raw == raw[0]).all()):
            return np.broadcast_to(first.reshape(()), array.shape)
    return array


def dims(edit: Edit | Build, value: str) -> tuple[int, ...]:
    """The shape of a value as numbers."""
    return edit.type(value).dims


def ready(edit: Edit, node: Node) -> bool:
    """All shapes around a node are bound and in plain order: the rule may compute with them."""
    types = (*node.types, *(edit.type(o) for o in node.op.operands))
    return all(t.static and t.order is None for t in types)


def apply_if(graph: Graph, rules: tuple[Rule, ...], *kinds: type[Op]) -> Graph:
    """Apply rules whose pattern needs one of these ops somewhere: most graphs have none, and a look is cheap."""
    if any(isinstance(node.op, kinds) for node in graph):
        return apply(graph, rules)
    log().tried += len(graph)
    return graph


@dataclass
class Terms:
    """A product (or sum) written as a tree of Mul and Div (Add and Sub), taken apart: values and one number."""

    number: float
    values: list[str] = field(default_factory=list)
    inner: list[Node] = field(default_factory=list)
    """The nodes of the tree below its root, each with one user."""


def product_terms(edit: Edit, root: Node, depth: int = 3) -> Terms:
    """x · c1 · y / c2 … from its root: the factors that are not constant, and the product of the constant ones."""
    return _terms(edit, root, (Mul, Div), Terms(1.0), depth)


def sum_terms(edit: Edit, root: Node, depth: int = 2) -> Terms:
    """x + c1 + y - c2 … from its root: the terms that are not constant, and the sum of the constant ones."""
    return _terms(edit, root, (Add, Sub), Terms(0.0), depth)


def _terms(edit: Edit, root: Node, kinds: tuple[type[Op], type[Op]], terms: Terms, depth: int) -> Terms:
    straight, inverse = kinds
    tree: Any = root.op
    stack = [(tree.y, isinstance(tree, inverse), depth), (tree.x, False, depth)]
    while stack:
        value, inverted, left = stack.pop()
        number = splat(edit, value)
        if number is not None:
            terms.number = _apply(straight, terms.number, float(number), inverted)
            continue
        maker = edit.maker(value)
        # y of x / y stays a value of its own, unless it is a number
        taken_apart = maker is not None and isinstance(maker.op, kinds) and not inverted
        if maker is None or not taken_apart or not left or edit.use_count(value) != 1:
            terms.values.append(f"/{value}" if inverted else value)
            continue
        terms.inner.append(maker)
        tree = maker.op
        stack += [(tree.y, isinstance(tree, inverse), left - 1), (tree.x, False, left - 1)]
    return terms


def _apply(kind: type[Op], total: float, number: float, inverted: bool) -> float:
    if kind is Mul:
        return total * number if not inverted else total / number if number else float("nan")
    return total - number if inverted else total + number
