"""After this pass an If has no known condition, and no Loop runs a known, small number of times."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from glowviz.compiler.graph import Graph, Node
from glowviz.compiler.ops.bodies import output_types
from glowviz.compiler.ops.branches import If
from glowviz.compiler.ops.control import Loop
from glowviz.compiler.ops.shape import Unsqueeze
from glowviz.compiler.ops.unroll import inlined
from glowviz.compiler.rewrite import Build, Edit, Keep, Rewrite, apply, graph_pass, rule
from glowviz.compiler.rewrite.facts import named, what_it_is
from glowviz.compiler.types import Type

NODES = 512
"""Nodes that a Loop may become."""


@rule(If)
def known_branch(edit: Edit, node: Node) -> Rewrite | None:
    """If(constant condition, xs) -> the nodes of the branch that it takes"""
    op: If = node.op
    condition = edit.constant_array(op.condition)
    if condition is None:
        raise Keep(f"The condition %{op.condition} is {what_it_is(edit, op.condition)}: only a run knows the branch.")
    taken = bool(condition.reshape(-1)[0])
    values = inlined(edit.build(node), op.then_branch if taken else op.else_branch, list(op.xs))
    told = "then" if taken else "else"
    return Rewrite(tuple(values[: len(node.results)]), f"{named(node)} always takes its {told} branch")


@rule(Loop)
def few_rounds(edit: Edit, node: Node) -> Rewrite | None:
    """Loop(constant count, xs) -> its body, written out once for every round"""
    return written_out(edit, node, 16)


def written_out(edit: Edit, node: Node, most: int) -> Rewrite | None:
    """The rewrite for Loops of at most so many rounds."""
    op: Loop = node.op
    known = {slot: None if v is None else edit.known(v) for slot, v in (("trip", op.trip), ("condition", op.condition))}
    rounds = op.rounds(known)
    if rounds is None:
        raise Keep(f"Only a run knows how often {named(node)} goes round.")
    if rounds > most or rounds * len(op.body) > NODES:
        size = "1 node" if len(op.body) == 1 else f"{len(op.body)} nodes"
        raise Keep(f"{named(node)} goes round {rounds} times with {size} each: written out that is long.")
    build = edit.build(node)
    carried, captured = list(op.xs[: op.carried]), op.xs[op.carried :]
    items: list[list[str]] = [[] for _ in op.body.outputs[1 + op.carried :]]
    for count in range(rounds):
        own = [build.const(np.array(count, np.int64), name="count"), build.const(np.array(True), name="on")]
        found = inlined(build, op.body, [*own, *carried, *captured])
        carried = found[1 : 1 + op.carried]
        for collected, item in zip(items, found[1 + op.carried :], strict=True):
            collected.append(item)
    types = output_types(op.body)[1 + op.carried :]
    values = (*carried, *(_collected(build, found, t) for found, t in zip(items, types, strict=True)))
    return Rewrite(values[: len(node.results)], f"{named(node)} goes round {rounds} times, whatever its inputs are")


def _collected(build: Build, items: list[str], item: Type) -> str:
    """What the rounds gave, along a new first axis."""
    if not items:
        return build.const(np.zeros((0, *item.dims), item.dtype))
    rows = tuple(build.one(Unsqueeze(value, axes=(0,))) for value in items)
    return rows[0] if len(rows) == 1 else build.concat(rows, axis=0)


@graph_pass(rules=(known_branch, few_rounds))
def write_out_bodies(graph: Graph, *, rounds: int = 16) -> Graph:
    """If(constant) -> its branch; Loop(a constant count of at most `rounds`) -> its body so many times."""
    asked = replace(few_rounds, function=partial(written_out, most=rounds))
    return apply(graph, (known_branch, asked))
