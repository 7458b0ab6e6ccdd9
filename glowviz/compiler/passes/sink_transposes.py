"""After this pass every Transpose stands as late as it can, next to another one where they cancel."""

from __future__ import annotations

from typing import Any

import numpy as np

from glowviz.compiler.graph import Graph, Node
from glowviz.compiler.ops import Concat, LogSoftmax, Op, Pad, Slice, Softmax, Split, Tile, Transpose
from glowviz.compiler.ops.base import Elementwise
from glowviz.compiler.ops.reduce import Reduction
from glowviz.compiler.passes.merge_transposes import permutation
from glowviz.compiler.rewrite import Build, Edit, Keep, Rewrite, apply, graph_pass, rule
from glowviz.compiler.rewrite.facts import named, ready, shape_text, users_text, what_it_is

Perm = tuple[int, ...]


@rule(Elementwise)
def below_elementwise(edit: Edit, node: Node) -> Rewrite | None:
    """f(Transpose(x, p), Transpose(y, p), c) -> Transpose(f(x, y, c'), p) with the constant c turned the other way"""
    found = transposed_operands(edit, node)
    if found is None:
        return None
    perm, transposes = found
    build = edit.build(node)
    rename: dict[str, str] = {}
    for operand in dict.fromkeys(node.op.operands):
        maker = edit.maker(operand)
        if maker in transposes:
            rename[operand] = maker.op.x  # type: ignore[union-attr]  # a Transpose
        else:
            rename[operand] = _turned_back(edit, build, node, operand, perm)
    return _sunk(build, node, node.op.with_operands(rename), perm, transposes)


@rule(Softmax, LogSoftmax)
def below_softmax(edit: Edit, node: Node) -> Rewrite | None:
    """Softmax(Transpose(x, p), axis) -> Transpose(Softmax(x, p[axis]), p)"""
    found = transposed_operands(edit, node)
    if found is None:
        return None
    perm, (transpose,) = found
    moved = node.op.evolve(x=transpose.op.x, axis=perm[node.op.axis])
    return _sunk(edit.build(node), node, moved, perm, (transpose,))


@rule(Concat)
def below_concat(edit: Edit, node: Node) -> Rewrite | None:
    """Concat(Transpose(x, p), Transpose(y, p), axis) -> Transpose(Concat(x, y, p[axis]), p)"""
    found = transposed_operands(edit, node)
    if found is None:
        return None
    perm, transposes = found
    build = edit.build(node)
    parts = []
    for operand in node.op.xs:
        maker = edit.maker(operand)
        if maker in transposes:
            parts.append(maker.op.x)  # type: ignore[union-attr]  # a Transpose
        else:
            array = edit.constant_array(operand)
            if array is None:
                raise Keep(f"%{operand} is {what_it_is(edit, operand)}, not by a Transpose {list(perm)}.")
            parts.append(build.const(array.transpose(np.argsort(perm)), like=operand, name="turned"))
    return _sunk(build, node, Concat(tuple(parts), axis=perm[node.op.axis]), perm, transposes)


@rule(Pad)
def below_pad(edit: Edit, node: Node) -> Rewrite | None:
    """Pad(Transpose(x, p), pads) -> Transpose(Pad(x, pads turned back), p)"""
    found = transposed_operands(edit, node)
    pads, axes = edit.constant_array(node.op.pads), edit.constant_array(node.op.axes)
    if found is None or pads is None or (node.op.axes is not None and axes is None):
        return None
    perm, (transpose,) = found
    sides = node.op.sides(len(perm), [int(n) for n in pads], () if axes is None else [int(n) for n in axes])
    turned = [sides[perm.index(axis)] for axis in range(len(perm))]
    build = edit.build(node)
    both = np.array([b for b, _ in turned] + [a for _, a in turned], np.int64)
    moved = node.op.evolve(x=transpose.op.x, pads=build.const(both, name="pads"), axes=None)
    return _sunk(build, node, moved, perm, (transpose,))


@rule(Slice)
def below_slice(edit: Edit, node: Node) -> Rewrite | None:
    """Slice(Transpose(x, p), axes) -> Transpose(Slice(x, p[axes]), p)"""
    found = transposed_operands(edit, node)
    starts, axes = edit.constant_array(node.op.starts), edit.constant_array(node.op.axes)
    if found is None or starts is None or (node.op.axes is not None and axes is None):
        return None
    perm, (transpose,) = found
    places = range(starts.size) if axes is None else [int(a) for a in axes]
    build = edit.build(node)
    turned = build.const(np.array([perm[place] for place in places], np.int64), name="axes")
    return _sunk(build, node, node.op.evolve(x=transpose.op.x, axes=turned), perm, (transpose,))


@rule(Split)
def below_split(edit: Edit, node: Node) -> Rewrite | None:
    """Split(Transpose(x, p), axis) -> Transpose(part, p) of every part, if one comes to another Transpose so"""
    found = transposed_operands(edit, node)
    if found is None:
        return None
    if not any(_comes_to_transpose(edit, part) for part in node.results):
        raise Keep(f"No Transpose follows a part of {named(node)}: turning every part would take"
                   f" {len(node.results)} of them instead of one.")
    perm, (transpose,) = found
    build = edit.build(node)
    parts = build.add(node.op.evolve(x=transpose.op.x, axis=perm[node.op.axis]), len(node.results))
    turned = tuple(build.one(Transpose(part, perm=perm)) for part in parts)
    reason = f"{named(transpose)} {list(perm)} may come after {named(node)}, once for each of its {len(parts)} parts"
    return Rewrite(turned, reason, (transpose,), continues={node.name: parts[0]})


@rule(Tile)
def below_tile(edit: Edit, node: Node) -> Rewrite | None:
    """Tile(Transpose(x, p), repeats) -> Keep: the Transpose would grow with the tiles"""
    if not isinstance(edit.op(node.op.x), Transpose):
        return None
    raise Keep(f"After {named(node)} the Transpose would move {node.type.count} elements"
               f" instead of {edit.type(node.op.x).count}.")


@rule(Reduction)
def below_reduce(edit: Edit, node: Node) -> Rewrite | None:
    """Reduce…(Transpose(x, p), axes) -> Transpose(Reduce…(x, p[axes]), the axes that are left)"""
    found = transposed_operands(edit, node)
    if found is None:
        return None
    perm, (transpose,) = found
    axes = node.op.positive_axes(len(perm))
    moved = node.op.evolve(x=transpose.op.x, axes=tuple(perm[a] for a in axes))
    left = perm
    if not node.op.keepdims:
        stay = [perm[a] for a in range(len(perm)) if a not in axes]
        left = tuple(sorted(stay).index(axis) for axis in stay)
    if left == tuple(range(len(left))):
        return Rewrite(moved, f"{named(node)} can sum the axes where they are before {named(transpose)}", (transpose,))
    return _sunk(edit.build(node), node, moved, left, (transpose,))


def _comes_to_transpose(edit: Edit, value: str) -> bool:
    """A Transpose reads the value, perhaps behind element-wise ops."""
    for _ in range(8):
        users = edit.users(value)
        if len(users) != 1:
            break
        if isinstance(users[0].op, Transpose):
            return True
        if not isinstance(users[0].op, Elementwise):
            break
        value = users[0].name
    return False


def transposed_operands(edit: Edit, node: Node) -> tuple[Perm, tuple[Node, ...]] | None:
    """The permutation and the Transposes before `node`; None where there are none, Keep where they do not fit."""
    transposes = tuple(
        maker
        for operand in dict.fromkeys(node.op.operands)
        if (maker := edit.maker(operand)) is not None and isinstance(maker.op, Transpose)
    )
    if not transposes or not all(ready(edit, t) for t in (node, *transposes)):
        return None
    perms = {permutation(edit, t.op) for t in transposes}
    if any(len(perm) != node.type.rank for perm in perms) and isinstance(node.op, Elementwise):
        raise Keep(f"{named(transposes[0])} has fewer axes than {named(node)}.")
    if len(perms) > 1:
        told = " and ".join(f"{named(t)} {list(permutation(edit, t.op))}" for t in transposes)
        raise Keep(f"{told} turn their operands in different ways.")
    for transpose in transposes:
        if edit.use_count(transpose.name) != 1:
            raise Keep(f"{users_text(edit, transpose.name)}. Below {named(node)} it would be needed as well.")
    return perms.pop(), transposes


def _turned_back(edit: Edit, build: Build, node: Node, operand: str, perm: Perm) -> str:
    """An operand that was not transposed, so that it fits before the Transpose; only constants can be turned."""
    type_ = edit.type(operand)
    if type_.count == 1 and type_.rank == 0:
        return operand
    array = edit.constant_array(operand)
    if array is None:
        if type_.count == 1:
            return operand
        raise Keep(f"%{operand} {shape_text(type_)} is {what_it_is(edit, operand)}, not by a Transpose {list(perm)}:"
                   f" it would need one.")
    if array.ndim > len(perm):
        raise Keep(f"%{operand} {shape_text(type_)} has more axes than the Transpose.")
    whole = array.reshape((1,) * (len(perm) - array.ndim) + array.shape)
    turned = whole.transpose(np.argsort(perm))
    if array.size == 1:
        return operand
    return build.const(turned, like=operand, name="turned")


def _sunk(build: Build, node: Node, moved: Op | Any, perm: Perm, transposes: tuple[Node, ...]) -> Rewrite:
    before = sum(t.type.count for t in transposes)
    if node.type.count > before and not isinstance(node.op, (Concat, Pad)):
        raise Keep(f"%{node.name} {shape_text(node.type)} is larger than what {named(transposes[0])} moves now.")
    inner = build.one(moved)
    told = " and ".join(named(t) for t in transposes)
    reason = f"{told} {list(perm)} may come after {named(node)}, which then moves {node.type.count} elements once"
    return Rewrite(build.one(Transpose(inner, perm=perm)), reason, transposes, continues={node.name: inner})


@graph_pass(
    rules=(
        below_elementwise, below_softmax, below_concat, below_pad, below_slice, below_split, below_tile, below_reduce,
    ),
    tolerance=2e-6,
)  # fmt: skip
def sink_transposes(graph: Graph) -> Graph:
    """f(Transpose(x, p)) -> Transpose(f(x), p) for element-wise f, Softmax, Concat, Pad, Slice, Split, reductions."""
    return apply(graph, sink_transposes.rules)
