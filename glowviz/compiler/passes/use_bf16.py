"""After this pass convolutions and matrix products multiply bf16 numbers, and what only they read is kept as bf16."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace

import numpy as np

from glowviz.compiler.graph import Constant, Graph, Node, Origin, Output, Payload
from glowviz.compiler.ops import (
    Cast,
    Concat,
    Conv,
    Flatten,
    Fused,
    Gemm,
    MatMul,
    MaxPool,
    Op,
    Reorder,
    Reshape,
    Squeeze,
    Transpose,
    Unsqueeze,
    WideConv,
    WideGemm,
    WideMatMul,
    fuse_nodes,
)
from glowviz.compiler.ops import heavy as fused_heavy
from glowviz.compiler.ops.base import Elementwise
from glowviz.compiler.rewrite import Build, Edit, Keep, Rewrite, apply, graph_pass, rule
from glowviz.compiler.rewrite.facts import named, need_only_user, users_text
from glowviz.compiler.types import ELEMENTS, Type

NARROW = "bf16"
FEW_CHANNELS = 4
"""Channels up to which a map stays in rows on every machine."""
PRODUCTS: dict[type[Op], type[Op]] = {Conv: WideConv, Gemm: WideGemm, MatMul: WideMatMul}
"""What multiplies f32 -> what multiplies bf16 and sums up in f32."""
MOVES = (Concat, Flatten, MaxPool, Reorder, Reshape, Squeeze, Transpose, Unsqueeze)
"""Ops that only move or choose numbers, so that rounding may come first."""
WRITERS = frozenset({
    "AveragePool", "Conv", "ConvTranspose", "Gemm", "GlobalAveragePool", "MatMul", "MaxPool", "WideConv", "WideGemm",
    "WideMatMul",
})  # fmt: skip
"""Ops that write their sums from registers: rounding on the way costs nothing."""


@rule(Op)
def product_of_bf16(edit: Edit, node: Node) -> Rewrite | None:
    """Conv | Gemm | MatMul(x, w) -> WideConv | WideGemm | WideMatMul(Cast(x, bf16), w as bf16), also inside Fused"""
    center = _center(node)
    wide = PRODUCTS.get(type(center.op))
    if wide is None or not all(isinstance(t, Type) and t.static for t in (*node.types, *_types(edit, node))):
        return None
    outside = dict(zip(node.op.body.inputs, node.op.xs, strict=True)) if isinstance(node.op, Fused) else {}
    left, right = center.op.operands[:2]
    x, w = outside.get(left) or left, outside.get(right) or right
    if edit.type(x).elem != "f32":
        return None
    _need_pairs(edit, center, x, w)
    _need_readers(edit, node)
    build = edit.build(node)
    names = {left: _as_narrow(edit, build, x), right: _narrow_weight(edit, build, w)}
    op = wide(**{f.name: getattr(center.op, f.name) for f in fields(center.op)})
    reason = (
        f"{center.kind} %{node.name} multiplies pairs of bf16 (8 bits of fraction) and adds them in f32: half the "
        "instructions and half the bytes of weights"
    )
    if not isinstance(node.op, Fused):
        return Rewrite(op.with_operands(names), reason)
    return Rewrite(_with_center(node.op, center, op, names, build), reason)


@rule(Cast)
def round_first(edit: Edit, node: Node) -> Rewrite | None:
    """Cast(MaxPool(x), bf16) -> MaxPool(Cast(x, bf16)); so for Reshape, Transpose, Concat and all that only moves"""
    move = edit.maker(node.op.x) if node.op.to == NARROW else None
    if move is None or not isinstance(move.op, MOVES) or edit.type(node.op.x).elem != "f32":
        return None
    if len(move.results) > 1:
        raise Keep(f"{named(move)} also tells places, which rounding would change.")
    need_only_user(edit, move, "It would have to move the numbers twice.")
    build = edit.build(node)
    moved = [move.op.x] if not isinstance(move.op, Concat) else list(move.op.xs)
    rename = {x: _as_narrow(edit, build, x) for x in moved}
    made = build.one(move.op.with_operands(rename))
    reason = f"{named(move)} gives numbers that it was given: rounded before, it moves half the bytes"
    return Rewrite(made, reason, absorbs=(move,), continues={move.name: node.name})


@rule(Elementwise, Fused)
def read_as_bf16(edit: Edit, node: Node) -> Rewrite | None:
    """Fused(…, y) -> Fused(…, Cast(y, bf16)) where y is made as bf16 for others anyway: widened again inside"""
    if isinstance(node.op, Cast):
        return None
    for y in dict.fromkeys(node.op.operands):
        cast = _cast_of(edit, y)
        if cast is None or not _reads_elements(node, y) or y in (cast.name, node.name):
            continue
        _need_writer(edit, y)
        reason = f"{named(cast)} is stored for other readers; read as bf16, %{y} need not be stored as f32 too"
        return Rewrite(_widening(edit, node, y, cast.name), reason)
    return None


@rule(Cast)
def store_as_bf16(edit: Edit, node: Node) -> Rewrite | None:
    """Cast(Conv(x), bf16) -> Fused(x): the sums are rounded on their way from registers to memory"""
    maker = edit.maker(node.op.x) if node.op.to == NARROW else None
    if maker is None or edit.type(node.op.x).elem != "f32" or isinstance(maker.op, MOVES):
        return None
    _need_writer(edit, node.op.x)
    need_only_user(edit, maker, "It would have to be computed twice.")
    reason = f"only readers of bf16 are left, so {named(maker)} rounds what it stores: half the bytes, no own pass"
    fused = _ending_in_cast(edit, maker, node)
    return Rewrite(fused, reason, absorbs=(maker,), continues={maker.name: node.name})


@graph_pass(rules=(product_of_bf16, round_first, read_as_bf16, store_as_bf16), level="lowered", tolerance=0.1)
def use_bf16(graph: Graph) -> Graph:
    """Conv(x, w) -> WideConv(Cast(x, bf16), bf16 w): products of bf16 summed up in f32; the rest stays f32.

    Rounding is to the nearest, halves to even. Softmax, normalizations and all element-wise arithmetic stay in f32.
    """
    for one in use_bf16.rules:  # each asks who reads a value, so those before it must have settled
        graph = _from_makers(apply(graph, (one,)), graph)
    return graph


def _from_makers(graph: Graph, before: Graph) -> Graph:
    """The graph with every new Cast standing for what it rounds, not for whoever reads it first."""
    nodes = dict(graph.nodes)
    for name, node in graph.nodes.items():
        if isinstance(node.op, Cast) and node.op.to == NARROW and before.nodes.get(name) is not node:
            maker = nodes.get(graph.makers[node.op.x].name) if node.op.x in graph.makers else None
            origin = Origin.made_by("use_bf16", name) if maker is None else maker.origin
            nodes[name] = node.evolve(origin=origin, label="" if maker is None else maker.label)
    return graph if graph is before else graph.evolve(nodes=nodes)


def _center(node: Node) -> Node:
    return fused_heavy(node.op) or node


def _types(edit: Edit, node: Node) -> Iterator[Type]:
    return (edit.type(o) for o in node.op.operands)


def _need_pairs(edit: Edit, center: Node, x: str, w: str) -> None:
    """Keep unless pairs of x's numbers that are multiplied lie side by side, and the weights are known."""
    op, type_, weights = center.op, edit.type(x), edit.constant(w)
    if weights is None:
        raise Keep(f"%{w} is only known at run time: every run would have to round it and pair its rows.")
    if isinstance(op, Conv):
        if op.group > 1:
            raise Keep(f"Conv %{center.name} has {op.group} groups of channels: too few for pairs in a row.")
        if type_.order is None and type_.dims[1] <= FEW_CHANNELS:
            raise Keep(f"%{x} {type_} lies in rows: the channels of a pixel, which would be pairs, are far apart.")
        return
    depth = edit.type(w).dims[-1 if isinstance(op, Gemm) and op.trans_b else 0]
    if isinstance(op, Gemm) and op.trans_a:
        raise Keep(f"Gemm %{center.name} reads columns of %{x}: numbers that would be pairs are far apart.")
    if edit.type(w).rank != 2 or type_.rank < 2 or depth % 2:
        raise Keep(f"%{w} {edit.type(w)} does not make pairs: it needs two dims and an even depth.")


def _need_readers(edit: Edit, node: Node) -> None:
    """Keep where the one row that a product gives is the answer: its rounding would be seen whole, for little time."""
    if isinstance(_center(node).op, Conv) or node.type.count != node.type.dims[-1]:
        return
    value = node.name
    while not edit.is_returned(value):
        users = edit.users(value)
        if len(users) != 1 or type(_center(users[0]).op) in PRODUCTS:
            return
        value = users[0].name
    raise Keep(f"%{node.name} is one row that leaves the graph: what it is made of would be rounded last of all.")


def _cast_of(edit: Edit, value: str) -> Node | None:
    """The Cast of a value to bf16 that this pass made: found by name, for a value may have very many users."""
    node = edit.node(f"{value}.{NARROW}")
    return node if node is not None and node.op == Cast(value, to=NARROW) else None


def _as_narrow(edit: Edit, build: Build, x: str) -> str:
    """x as bf16: by the Cast that is there already, or a new one."""
    known = _cast_of(edit, x)
    if known is not None:
        return known.name
    made = build.one(Cast(x, to=NARROW))
    name = edit.fresh(f"{x}.{NARROW}")
    build.rename(made, name)
    return name


def _narrow_weight(edit: Edit, build: Build, w: str) -> str:
    """The weights rounded while compiling; they keep their order."""
    known = edit.constant(w)
    assert known is not None, "asked for before"
    name = f"{w}.{NARROW}"
    if edit.constant(name) is not None:
        return name
    with np.errstate(over="ignore"):  # what bf16 cannot hold is infinite
        array = known.array.astype(ELEMENTS[NARROW])
    return build.packed(Constant(name, known.type.with_elem(NARROW), Payload(array), known.origin))


def _with_center(fused: Fused, center: Node, op: Op, names: dict[str, str], build: Build) -> Fused:
    """The Fused with another heavy op, whose operands (old inner name -> new outer name) come from new inputs."""
    body = fused.body
    nodes = {key: n.evolve(op=op.with_operands(names)) if n.name == center.name else n for key, n in body.nodes.items()}
    return _refitted(fused, nodes, {new: build.type(new) for new in names.values()})


def _refitted(fused: Fused, nodes: dict[str, Node], more: dict[str, Type]) -> Fused:
    """The Fused with these nodes, which read `more` from outside and may have stopped reading something."""
    body = fused.body
    read = {o for node in nodes.values() for o in node.op.operands}
    kept = [(inner, x) for inner, x in zip(body.inputs, fused.xs, strict=True) if inner in read]
    added = [name for name in more if name not in dict(kept)]
    types = {inner: body.inputs[inner] for inner, _ in kept} | {name: more[name] for name in added}
    return Fused((*(x for _, x in kept), *added), replace(body, inputs=types, nodes=nodes))


def _reads_elements(node: Node, y: str) -> bool:
    """Whether y is read by element-wise ops only, as an epilogue or a stack reads it."""
    if not isinstance(node.op, Fused):
        return isinstance(node.op, Elementwise) and len(node.results) == 1
    body = node.op.body
    inner = {name for name, x in zip(body.inputs, node.op.xs, strict=True) if x == y}
    whole = _center(node)
    if whole is node:
        return len(node.results) == 1
    return whole.kind in WRITERS and inner.isdisjoint(whole.op.operands)


def _need_writer(edit: Edit, y: str) -> None:
    """Keep unless the maker of y can round what it stores, and all readers can do with that."""
    maker = edit.maker(y)
    if maker is None:
        raise Keep(f"%{y} comes from outside, where callers know it as f32.")
    center = _center(maker)
    writes = center.kind in WRITERS or (isinstance(center.op, Elementwise | Fused) and not isinstance(center.op, Cast))
    if not writes or len(maker.results) > 1:
        raise Keep(f"{named(maker)} has no form that stores bf16; rounding %{y} is a pass of its own.")
    if edit.is_returned(y):
        raise Keep(f"%{y} leaves the graph as f32.")
    for user in edit.users(y):
        if isinstance(user.op, Cast) and user.op.to == NARROW:
            continue
        if not _reads_elements(user, y):
            raise Keep(f"{users_text(edit, y)}; {named(user)} reads it as f32.")


def _widening(edit: Edit, node: Node, y: str, narrow: str) -> Fused:
    """The node reading `narrow`, with a Cast back to f32 inside."""
    maker = edit.maker(y)
    if not isinstance(node.op, Fused):
        fused, _ = fuse_nodes((node,), node.results, edit.type)
    else:
        fused = node.op
    body = fused.body
    inner = next(name for name, x in zip(body.inputs, fused.xs, strict=True) if x == y)
    wide = f"{narrow}.f32"
    cast = Node(Cast(narrow, to="f32"), (wide,), (edit.type(y),), maker.origin if maker else node.origin, node.label)
    heavy = fused_heavy(fused)
    first = {heavy.name: heavy} if heavy is not None else {}
    rest = {key: n.evolve(op=n.op.with_operands({inner: wide})) for key, n in body.nodes.items() if n is not heavy}
    return _refitted(fused, {**first, wide: cast, **rest}, {narrow: edit.type(narrow)})


def _ending_in_cast(edit: Edit, maker: Node, cast: Node) -> Fused:
    """The maker and the Cast as one node."""
    if not isinstance(maker.op, Fused):
        fused, _ = fuse_nodes((maker, cast), cast.results, edit.type)
        return fused
    body = maker.op.body
    last = cast.evolve(op=cast.op.evolve(x=body.outputs[0].value))
    outputs = (Output(last.name, last.name),)
    return Fused(maker.op.xs, replace(body, nodes={**body.nodes, last.name: last}, outputs=outputs))
