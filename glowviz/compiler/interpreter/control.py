"""How an if, loop or scan instruction runs: which nested program when, and what is handed from one run to the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from glowviz.compiler.interpreter.contents import Content
from glowviz.compiler.ops.bodies import stacked
from glowviz.compiler.ops.branches import If
from glowviz.compiler.ops.control import Loop, Scan
from glowviz.compiler.types import Type


class Body(Protocol):
    """A nested program that is ready to run; inputs and outputs go by position."""

    def put(self, position: int, content: Content) -> None:
        """Give an input its content; it stays for later runs."""
        ...

    def run(self) -> None:
        """All instructions, once."""
        ...

    def get(self, position: int) -> Content:
        """An output of the last run."""
        ...


def drive(
    op: Any, operands: Mapping[str, Content], bodies: Sequence[Body], results: Sequence[Type]
) -> tuple[Content, ...]:
    """The results of an instruction with nested programs, from the contents of its operands by name."""
    xs = [operands[x] for x in op.xs]
    if isinstance(op, If):
        return _branch(bodies[0 if _flag(operands[op.condition]) else 1], xs, len(results))
    if isinstance(op, Loop):
        trip = None if op.trip is None else int(operands[op.trip].reshape(-1)[0])
        goes = op.condition is None or _flag(operands[op.condition])
        return _loop(op, xs, trip, goes, bodies[0], results)
    assert isinstance(op, Scan)
    return _scan(op, xs, bodies[0], results)


def _flag(content: Content) -> bool:
    return bool(np.asarray(content).reshape(-1)[0])


def _branch(body: Body, xs: Sequence[Content], count: int) -> tuple[Content, ...]:
    for position, content in enumerate(xs):
        body.put(position, content)
    body.run()
    return tuple(body.get(position) for position in range(count))


def _loop(
    op: Loop, xs: Sequence[Content], trip: int | None, goes: bool, body: Body, results: Sequence[Type]
) -> tuple[Content, ...]:
    carried = list(xs[: op.carried])
    collected: list[list[np.ndarray]] = [[] for _ in results[op.carried :]]
    for position, content in enumerate(xs[op.carried :], 2 + op.carried):
        body.put(position, content)
    count = 0
    while goes and (trip is None or count < trip):
        for position, content in enumerate((np.array(count, np.int64), np.array(goes), *carried)):
            body.put(position, content)
        body.run()
        goes = _flag(body.get(0))
        carried = [body.get(1 + k) for k in range(op.carried)]
        for k, items in enumerate(collected):
            items.append(body.get(1 + op.carried + k))
        count += 1
    rest = (stacked(items, _item(t, 0)) for items, t in zip(collected, results[op.carried :], strict=True))
    return (*carried, *rest)[: len(results)]


def _scan(op: Scan, xs: Sequence[Content], body: Body, results: Sequence[Type]) -> tuple[Content, ...]:
    states = list(xs[: op.states])
    scanned = [op.slices(k, x) for k, x in enumerate(xs[op.states : op.captured])]
    collected: list[list[np.ndarray]] = [[] for _ in results[op.states :]]
    for position, content in enumerate(xs[op.captured :], op.captured):
        body.put(position, content)
    for slices in zip(*scanned, strict=True):
        for position, content in enumerate((*states, *map(np.asarray, slices))):
            body.put(position, content)
        body.run()
        states = [body.get(k) for k in range(op.states)]
        for k, items in enumerate(collected):
            items.append(body.get(op.states + k))
    rest = (
        stacked(items, _item(t, op.axis(op.output_axes, k, t.rank)), *op.placed(k))
        for k, (items, t) in enumerate(zip(collected, results[op.states :], strict=True))
    )
    return (*states, *rest)[: len(results)]


def _item(whole: Type, axis: int) -> Type:
    """The type of one item of what was collected along an axis."""
    shape = whole.shape or ()
    return Type(whole.elem, (*shape[:axis], *shape[axis + 1 :]))
