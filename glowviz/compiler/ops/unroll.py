"""A Scan over few slices is its body written out once for each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from glowviz.compiler.ops.base import Builder
from glowviz.compiler.ops.index import Gather
from glowviz.compiler.ops.shape import Unsqueeze

if TYPE_CHECKING:
    from glowviz.compiler.graph import Region
    from glowviz.compiler.ops.control import Scan

MOST_NODES = 2048
"""Nodes up to which a Scan is written out: more would make the graph hard to read and slow to compile."""


def written_out(op: Scan, b: Builder) -> tuple[str, ...] | None:
    """Scan(states, scanned) -> body(states, slice 0), body(…, slice 1) …; None where it is batched, empty or long."""
    starts, scanned = op.xs[: op.states], op.xs[op.states : op.captured]
    axes = [op.axis(op.input_axes, k, b.type(x).rank) for k, x in enumerate(scanned)]
    counts = {b.type(x).dims[axis] for x, axis in zip(scanned, axes, strict=True)}
    if op.batched or len(counts) != 1:
        return None
    (count,) = counts
    if not 0 < count * max(len(tuple(op.body)), 1) <= MOST_NODES:
        return None
    states, items = list(starts), [[] for _ in op.body.outputs[op.states :]]
    for step in range(count):
        slices = [_slice(b, x, axis, count - 1 - step if _is(op.input_directions, k) else step)
                  for k, (x, axis) in enumerate(zip(scanned, axes, strict=True))]  # fmt: skip
        found = inlined(b, op.body, [*states, *slices, *op.xs[op.captured :]])
        states = found[: op.states]
        for collected, item in zip(items, found[op.states :], strict=True):
            collected.append(item)
    return (*states, *(_stacked(op, b, k, found) for k, found in enumerate(items)))


def _is(directions: tuple[int, ...], position: int) -> bool:
    return position < len(directions) and directions[position] == 1


def _slice(b: Builder, x: str, axis: int, place: int) -> str:
    """One slice, without the axis."""
    return b.one(Gather(x, b.const(np.array(place, np.int64), name="place"), axis=axis))


def _stacked(op: Scan, b: Builder, position: int, items: list[str]) -> str:
    """What was collected, along a new axis."""
    axis = op.axis(op.output_axes, position, b.type(items[0]).rank + 1)
    rows = [b.one(Unsqueeze(item, axes=(axis,))) for item in items]
    return b.concat(tuple(rows[::-1] if _is(op.output_directions, position) else rows), axis=axis)


def inlined(b: Builder, body: Region, operands: list[str]) -> list[str]:
    """The body's nodes on these operands; gives the names of its results."""
    names = dict(zip(body.inputs, operands, strict=True))
    names |= {name: b.const(constant.array, name="c") for name, constant in body.constants.items()}
    for node in body:
        made = b.add(node.op.with_operands(names), len(node.results))
        names |= {old: new for old, new in zip(node.results, made, strict=True) if old}
    return [names[output.value] for output in body.outputs]
