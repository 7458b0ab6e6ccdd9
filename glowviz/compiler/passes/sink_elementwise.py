"""After this pass element-wise ops stand where they can run together with what makes their operand."""

from __future__ import annotations

from glowviz.compiler.graph import Graph, Node
from glowviz.compiler.ops import (
    Concat,
    Conv,
    ConvTranspose,
    Flatten,
    Gemm,
    MatMul,
    Op,
    Reshape,
    Split,
    Squeeze,
    Unsqueeze,
)
from glowviz.compiler.ops.base import Elementwise
from glowviz.compiler.rewrite import Edit, Keep, Rewrite, apply, graph_pass, rule
from glowviz.compiler.rewrite.facts import heavy_before, named, need_only_user, only_user, ready

HEAVY = (Conv, ConvTranspose, Gemm, MatMul)


@rule(Concat)
def below_concat_of_unary(edit: Edit, node: Node) -> Rewrite | None:
    """Concat(f(x), f(y)) -> f(Concat(x, y)) unless f can be the epilogue of what makes x or y"""
    makers = [edit.maker(x) for x in node.op.xs]
    first = makers[0]
    if first is None or not isinstance(first.op, Elementwise) or len(first.op.operands) != 1 or len(makers) < 2:
        return None
    inner: list[Node] = []
    for maker in makers:
        if maker is None or not _alike(maker, first):
            return None
        need_only_user(edit, maker, f"Below {named(node)} it would be computed twice.")
        inner.append(maker)
    for maker in inner:
        before = heavy_before(edit, maker.op.operands[0])
        if before is not None:
            raise Keep(f"{named(maker)} can be the epilogue of {named(before)}, which costs nothing;"
                       f" below {named(node)} it would be a pass over memory of its own.")
    build = edit.build(node)
    joined = build.one(node.op.evolve(xs=tuple(m.op.operands[0] for m in inner)))
    result = build.one(first.op.with_operands({first.op.operands[0]: joined}))
    reason = f"one {first.kind} after {named(node)} does what the {len(inner)} before it did"
    return Rewrite(result, reason, absorbs=tuple(inner), continues={node.name: joined})


@rule(Elementwise)
def above_reshape(edit: Edit, node: Node) -> Rewrite | None:
    """f(Reshape(x), c) -> Reshape(f(x, c)) where x is made by a node that can take f in, c a number or a last row"""
    found = _reshaped_operand(edit, node)
    if found is None or not ready(edit, node):
        return None
    source, reshape = found
    before = edit.maker(source)
    if before is None or not isinstance(before.op, (Elementwise, *HEAVY)) or not only_user(edit, source):
        return None
    need_only_user(edit, reshape, f"Both shapes of {named(before)} would be needed.")
    for operand in node.op.operands:
        if operand != reshape.name:
            _check_fits(edit, operand, reshape, source)
    build = edit.build(node)
    inner = build.one(node.op.with_operands({reshape.name: source}))
    reason = f"{named(reshape)} moves no data, so {named(node)} may run before it, together with {named(before)}"
    result = build.one(reshape.op.evolve(x=inner))
    return Rewrite(result, reason, absorbs=(reshape,), continues={node.name: inner})


@rule(Elementwise)
def above_split(edit: Edit, node: Node) -> Rewrite | None:
    """f(a), f(b) of a, b = Split(x) -> a, b of Split(f(x)); f may have numbers beside its part: a · 2"""
    part = node.op.operands[0]
    split = edit.maker(part)
    if split is None or not isinstance(split.op, Split) or len(split.results) < 2 or not ready(edit, node):
        return None
    if node.op.operands.count(part) > 1 or any(edit.type(o).count != 1 for o in node.op.operands[1:]):
        return None
    wanted, place = node.op.with_operands({part: split.op.x}), split.results.index(part)
    done = _split_again(edit, split, wanted)
    if done is not None:
        return Rewrite(done.results[place], f"{named(done)} gives {named(node)} already", absorbs=(split,))
    for other in split.results:
        users = edit.users(other)
        alike = len(users) == 1 and users[0].op.with_operands({other: split.op.x}) == wanted
        if not alike or edit.is_returned(other):
            raise Keep(f"Not every part of {named(split)} is read by {node.kind} alone: see %{other}.")
    build = edit.build(node)
    inner = build.one(wanted)
    parts = build.add(split.op.evolve(x=inner), len(split.results))
    reason = f"one {node.kind} before {named(split)} does what {len(parts)} behind it did"
    return Rewrite(parts[place], reason, absorbs=(split,), continues={node.name: inner})


def _split_again(edit: Edit, split: Node, wanted: Op) -> Node | None:
    """The Split of the wanted op of the whole, where the rule has fired for another part of `split`."""
    for whole in edit.users(split.op.x):
        if whole.op == wanted:
            return next((u for u in edit.users(whole.name) if u.op == split.op.evolve(x=whole.name)), None)
    return None


def _alike(one: Node, other: Node) -> bool:
    return type(one.op) is type(other.op) and one.op.attributes == other.op.attributes


def _reshaped_operand(edit: Edit, node: Node) -> tuple[str, Node] | None:
    """What the one operand of full size is a reshape of; None where there are several such operands."""
    full = [o for o in dict.fromkeys(node.op.operands) if edit.type(o).shape == node.type.shape]
    maker = edit.maker(full[0]) if len(full) == 1 else None
    if maker is None or not isinstance(maker.op, (Reshape, Flatten, Squeeze, Unsqueeze)):
        return None
    return maker.op.x, maker


def _check_fits(edit: Edit, operand: str, reshape: Node, source: str) -> None:
    """The operand must mean the same before the reshape: one number, or one per element of an unchanged last axis."""
    small, before, after = edit.type(operand), edit.type(source).dims, reshape.type.dims
    if small.count == 1 and small.rank <= len(before):
        return
    last_row = small.rank <= len(before) and small.count == small.dims[-1] and before[-1:] == after[-1:]
    if not last_row:
        raise Keep(f"%{operand} {small} lies differently over {list(before)} than over {list(after)}.")


@graph_pass(rules=(below_concat_of_unary, above_reshape, above_split))
def sink_elementwise(graph: Graph) -> Graph:
    """Concat(f(x), f(y)) -> f(Concat(x, y)); f(Reshape(x)) -> Reshape(f(x)) next to what makes x; Split alike."""
    return apply(graph, sink_elementwise.rules)
