"""After this pass every tensor lies in memory as the ops around it read it fastest, with a Reorder at each border."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from glowviz.compiler.graph import Graph, Node, Origin, Output
from glowviz.compiler.ops import (
    AveragePool,
    BatchNormalization,
    Concat,
    Conv,
    Fused,
    GlobalAveragePool,
    GlobalMaxPool,
    MaxPool,
    Op,
    Reorder,
    Reshape,
    Resize,
    Transpose,
)
from glowviz.compiler.ops.arrange import ChannelShuffle
from glowviz.compiler.ops.base import Elementwise
from glowviz.compiler.ops.inference import infer
from glowviz.compiler.passes.merge_transposes import permutation
from glowviz.compiler.rewrite import Build, Change, Edit, Keep, Rewrite, apply, graph_pass, log, rule
from glowviz.compiler.rewrite.facts import named, need_only_user
from glowviz.compiler.rewrite.rules import attempt, perform
from glowviz.compiler.target import Target
from glowviz.compiler.types import ORDERS_BY_NAME, Order, Type

FEW_CHANNELS = 4
"""Channels up to which an input stays as it is: a block would be mostly padding."""
FOLLOWERS = (
    AveragePool, BatchNormalization, ChannelShuffle, Concat, GlobalAveragePool, GlobalMaxPool, MaxPool, Elementwise,
)  # fmt: skip
"""Ops that work in any order and give their result in the order of their operand."""

WINDOWS = (AveragePool, MaxPool)
"""Pools that slide; a machine that lists an order for them has its fast code in that order only."""


@dataclass(frozen=True)
class Orders:
    """What a machine wants: the order per op, from its Target."""

    by_op: dict[str, Order]
    machine: str

    @classmethod
    def of(cls, target: Target | None) -> Orders:
        pairs = () if target is None else target.orders
        return cls({op: ORDERS_BY_NAME[name] for op, name in pairs}, "" if target is None else target.name)


@rule(Op)
def operands_in_order(edit: Edit, node: Node) -> Rewrite | None:
    """op(x) -> op(Reorder(x)) where op runs fastest on, or only reads, another order"""
    return ordered(edit, node, Orders({}, ""))


@rule(Reorder)
def reorder_of_reorder(edit: Edit, node: Node) -> Rewrite | None:
    """Reorder(Reorder(x, a), b) -> Reorder(x, b), or x where it lies in b already"""
    inner = edit.maker(node.op.x)
    if edit.type(node.op.x).order == node.op.order:
        return Rewrite(node.op.x, f"%{node.op.x} lies in @{node.op.order} already")
    if inner is None or not isinstance(inner.op, Reorder):
        return None
    if edit.type(inner.op.x).order == node.op.order:
        return Rewrite(inner.op.x, f"{named(inner)} and {named(node)} cancel", absorbs=(inner,))
    return Rewrite(Reorder(inner.op.x, node.op.order), f"{named(inner)} in between moves data twice", absorbs=(inner,))


@rule(Reshape)
def shuffle_in_blocks(edit: Edit, node: Node) -> Rewrite | None:
    """Reshape(Transpose(Reshape(x), [0, 2, 1, …])) that deals channels out anew -> ChannelShuffle(x, group)"""
    transpose = edit.maker(node.op.x)
    cut = edit.maker(transpose.op.x) if transpose is not None and isinstance(transpose.op, Transpose) else None
    if transpose is None or cut is None or not isinstance(cut.op, Reshape) or not _static(edit, cut):
        return None
    source, split = edit.type(cut.op.x), cut.type.dims
    if not _static(edit, node) or source.rank < 3 or source.dims != node.type.dims or len(split) != source.rank + 1:
        return None
    if (split[0], *split[3:]) != (source.dims[0], *source.dims[2:]):
        return None
    perm = permutation(edit, transpose.op)
    if perm != (0, 2, 1, *range(3, len(split))):
        raise Keep(f"{named(transpose)} turns the axes of {named(cut)} by {list(perm)}; only groups and their channels"
                   " may change places.")
    for inner, what in ((transpose, "the channels in groups, turned"), (cut, "the channels in groups")):
        need_only_user(edit, inner, f"Somebody else reads {what}, which would still be made.")
    reason = f"channel i of each of the {split[1]} groups of %{cut.op.x} comes to place i · {split[1]} + group"
    return Rewrite(ChannelShuffle(cut.op.x, group=split[1]), f"{reason}: that needs no other order", (transpose, cut))


@graph_pass(rules=(operands_in_order, reorder_of_reorder, shuffle_in_blocks), level="lowered")
def choose_order(graph: Graph, target: Target | None = None) -> Graph:
    """Conv(x) -> Conv(Reorder(x, @NCHW16c)); what follows it stays in that order; Reorder back where it must."""
    orders = Orders.of(target)
    if not any(node.kind in orders.by_op or any(t.order for t in node.types) for node in graph):
        return graph
    if "ChannelShuffle" in orders.by_op:
        graph = apply(graph, (shuffle_in_blocks,))
    edit = Edit(graph)
    chosen = replace(operands_in_order, function=lambda edit, node: ordered(edit, node, orders))
    log().tried += len(graph.nodes)
    for name in graph.nodes:
        node = edit.node(name)
        if node is None:
            continue
        rewrite = attempt(edit, node, chosen)
        if rewrite is not None:
            perform(edit, node, chosen, rewrite)
        _renew_types(edit, name)
    return apply(_plain_outputs(edit.finish()), (reorder_of_reorder,))


def ordered(edit: Edit, node: Node, orders: Orders) -> Rewrite | None:
    """The node with operands in the orders it wants; None where they are."""
    if isinstance(node.op, Reorder) or not _static(edit, node):
        return None
    build = edit.build(node)
    rename: dict[str, str] = {}
    reasons: list[str] = []
    for operand, order, reason in _wanted(edit, node, orders):
        if edit.type(operand).order != order and operand not in rename:
            rename[operand] = _in_order(edit, build, operand, order)
            reasons.append(reason)
    if not rename:
        return None
    return Rewrite(node.op.with_operands(rename), "; ".join(dict.fromkeys(reasons)))


def _static(edit: Edit, node: Node) -> bool:
    types = (*node.types, *(edit.type(o) for o in node.op.operands))
    return all(isinstance(t, Type) and t.static for t in types)


def _wanted(edit: Edit, node: Node, orders: Orders) -> Iterator[tuple[str, Order | None, str]]:
    """(operand, order it should have, why) for the operands whose order matters."""
    op = node.op
    order = orders.by_op.get(node.kind)
    if isinstance(op, Conv) and order is not None and _blockable(edit.type(op.x), order):
        yield from _for_conv(edit, node, order, orders)
        return
    if isinstance(op, WINDOWS) and order is not None and _fills_blocks(edit, node, order):
        yield op.x, order, f"{named(node)} runs in @{order} on {orders.machine}"
        return
    if isinstance(op, Fused):
        for operand, inner in zip(op.xs, op.body.inputs.values(), strict=True):
            yield operand, inner.order, f"the body of {named(node)} reads %{operand} so"
        return
    common, why = _follows(edit, node, orders)
    for operand in dict.fromkeys(op.operands):
        type_ = edit.type(operand)
        if common is None:
            yield operand, None, why
        elif type_.rank == common.rank and type_.dims[1] == 1 != node.type.dims[1]:
            # a block of one channel would be padding, row-major it is one number per place
            yield operand, None, f"%{operand} has one channel for all of %{node.name}"
        elif type_.rank == common.rank and _lies_in_blocks(edit, node, operand):
            yield operand, common, why


def _lies_in_blocks(edit: Edit, node: Node, operand: str) -> bool:
    """Operands that broadcast stay as they are where they are constant: one number per channel has no order."""
    whole = isinstance(node.op, Concat) or edit.type(operand).shape == node.type.shape
    return whole or edit.constant(operand) is None


def _for_conv(edit: Edit, node: Node, order: Order, orders: Orders) -> Iterator[tuple[str, Order | None, str]]:
    x = edit.type(node.op.x)
    told = f"{named(node)} runs in @{order} on {orders.machine}"
    if x.order is None and x.dims[1] <= FEW_CHANNELS:
        # weights in blocks of features tell the Conv to write blocks of channels
        features = Order((*((axis, 0) for axis in range(x.rank)), (0, order.tile(1))))
        yield node.op.w, features, f"{told}; its input keeps its order: {x.dims[1]} channels would leave blocks empty"
    else:
        yield node.op.x, order, told


def _fills_blocks(edit: Edit, node: Node, order: Order) -> bool:
    """A pool of many channels and without positions; left in rows, its instruction would go into blocks and back."""
    x = edit.type(node.op.x)
    return len(node.results) == 1 and x.order is None and _blockable(x, order) and x.dims[1] > FEW_CHANNELS


def _blockable(type_: Type, order: Order) -> bool:
    # vector_width counts f32 lanes, and the nicknames' blocks are as wide
    return type_.rank == order.rank and type_.elem == "f32"


def _follows(edit: Edit, node: Node, orders: Orders) -> tuple[Order | None, str]:
    """The order that a node takes over from its operands, and why; None where it reads row-major memory only."""
    plain = f"{named(node)} reads row-major memory"
    found = [order for o in node.op.operands if (order := edit.type(o).order) is not None]
    if not found:
        return None, plain
    order = found[0]
    listed = isinstance(node.op, Resize) and orders.by_op.get(node.kind) == order
    if not isinstance(node.op, FOLLOWERS) and not listed:
        return None, plain
    if len(node.results) > 1 or node.type.rank != order.rank:
        return None, plain
    if isinstance(node.op, Elementwise) and all(edit.type(o).dims != node.type.dims for o in node.op.operands):
        return None, f"no operand of {named(node)} has its shape, so it is computed in row-major memory"
    if isinstance(node.op, Concat) and not _concat_in_blocks(edit, node, order):
        return None, f"{named(node)} joins parts that do not fill whole blocks of @{order}"
    return order, f"{named(node)} follows its operands in @{order}"


def _concat_in_blocks(edit: Edit, node: Node, order: Order) -> bool:
    """Every part but the last fills whole blocks along the joined axis."""
    axis = node.op.axis % node.type.rank
    return all(edit.type(x).dims[axis] % order.tile(axis) == 0 for x in node.op.xs[:-1])


def _in_order(edit: Edit, build: Build, value: str, order: Order | None) -> str:
    """The value in that order: what exists already, a constant, or a new Reorder."""
    for user in edit.users(value):
        if isinstance(user.op, Reorder) and user.op.order == order:
            return user.name
    source = edit.op(value)
    if isinstance(source, Reorder) and edit.type(source.x).order == order:
        return source.x
    constant = edit.constant(value)
    name = edit.fresh(f"{value}.{order_name(order)}")
    if constant is not None:
        return build.packed(replace(constant, name=name, type=constant.type.with_order(order)))
    made = build.one(Reorder(value, order))
    build.rename(made, name)
    return name


def order_name(order: Order | None) -> str:
    """What is appended to a value's name: `NCHW16c`, `plain`."""
    text = "plain" if order is None else str(order)
    return text if text.isalnum() else "blocked"


def _renew_types(edit: Edit, name: str) -> None:
    """The node's results in the order that follows from its operands: later nodes ask for it."""
    node = edit.node(name)
    if node is None or not _static(edit, node):
        return
    types = infer(node.op, edit.type, edit.known)[: len(node.results)]
    if types != node.types:
        edit.replace_node(node, node.evolve(types=types))


def _plain_outputs(graph: Graph) -> Graph:
    """Public outputs and next states in row-major order: callers know no other."""
    nodes = dict(graph.nodes)
    plain: dict[str, str] = {}
    for value in sorted(graph.returned):
        type_ = graph.type(value)
        if not isinstance(type_, Type) or type_.order is None:
            continue
        maker = graph.maker(value)
        name = f"{value}.plain"
        while name in graph or name in nodes:
            name += "2"
        origin = maker.origin if maker is not None else Origin.made_by("choose_order", value)
        nodes[name] = Node(Reorder(value), (name,), (type_.logical,), origin)
        plain[value] = name
        reason = f"%{value} leaves the graph, where tensors are row-major"
        log().change(Change("plain_output", value, reason, added=(name,)))
    if not plain:
        return graph
    outputs = tuple(Output(o.public, plain.get(o.value, o.value)) for o in graph.outputs)
    updates = {state: plain.get(value, value) for state, value in graph.updates.items()}
    return graph.evolve(nodes=nodes, outputs=outputs, updates=updates)


