"""Gradient (ai.onnx.preview.training) is written out: backwards from y, each op's share of what lies behind it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from glowviz.compiler.graph import Node
from glowviz.compiler.importer.quirks import quirk
from glowviz.compiler.importer.quirks_training import TRAINING
from glowviz.compiler.importer.site import NotTaken, Site
from glowviz.compiler.importer.writer import Writer
from glowviz.compiler.ops.base import Op

Share = Callable[[Writer, Any, str, str], dict[str, str]]
"""(writer, op, its result, the gradient of that) to the gradient of every operand."""


def _number(do: Writer, value: float, like: str) -> str:
    return do.const(value, like=like)


def _matmul(do: Writer, op: Any, y: str, dy: str) -> dict[str, str]:
    if any(do.site.rank(v) != 2 for v in (op.a, op.b)):
        raise NotTaken("it asks for the gradient of a product that is not of two matrices")
    return {
        op.a: do("MatMul", dy, do("Transpose", op.b, perm=(1, 0))),
        op.b: do("MatMul", do("Transpose", op.a, perm=(1, 0)), dy),
    }


def _power(do: Writer, op: Any, y: str, dy: str) -> dict[str, str]:
    less = do("Pow", op.x, do("Sub", op.y, _number(do, 1, op.y)))
    return {op.x: do("Mul", dy, do("Mul", op.y, less))}


SHARES: dict[str, Share] = {
    "Identity": lambda do, op, y, dy: {op.x: dy},
    "Neg": lambda do, op, y, dy: {op.x: do("Neg", dy)},
    "Exp": lambda do, op, y, dy: {op.x: do("Mul", dy, y)},
    "Log": lambda do, op, y, dy: {op.x: do("Div", dy, op.x)},
    "Sqrt": lambda do, op, y, dy: {op.x: do("Div", dy, do("Add", y, y))},
    "Tanh": lambda do, op, y, dy: {op.x: do("Mul", dy, do("Sub", _number(do, 1, y), do("Mul", y, y)))},
    "Sigmoid": lambda do, op, y, dy: {op.x: do("Mul", dy, do("Mul", y, do("Sub", _number(do, 1, y), y)))},
    "Relu": lambda do, op, y, dy: {
        op.x: do("Where", do("Greater", op.x, _number(do, 0, y)), dy, _number(do, 0, y))
    },
    "Add": lambda do, op, y, dy: _two(do, op, dy, dy),
    "Sub": lambda do, op, y, dy: _two(do, op, dy, do("Neg", dy)),
    "Mul": lambda do, op, y, dy: _two(do, op, do("Mul", dy, op.y), do("Mul", dy, op.x)),
    "Div": lambda do, op, y, dy: _two(do, op, do("Div", dy, op.y), do("Neg", do("Div", do("Mul", dy, y), op.y))),
    "Pow": _power,
    "MatMul": _matmul,
}


def _two(do: Writer, op: Any, left: str, right: str) -> dict[str, str]:
    """Shares of x and y; one value in both places gets their sum."""
    return {op.x: do("Add", left, right)} if op.x == op.y else {op.x: left, op.y: right}


def _unspread(do: Writer, gradient: str, value: str) -> str:
    """What a broadcast has spread is summed up again."""
    wanted, found = do.static(value), do.static(gradient)
    if wanted == found:
        return gradient
    ahead = len(found) - len(wanted)
    axes = tuple(i for i, n in enumerate(found) if i < ahead or (wanted[i - ahead] == 1 and n != 1))
    return do("Reshape", do("ReduceSum", gradient, axes=axes, keepdims=True), do.const(list(wanted)))


def _between(site: Site, y: str, wanted: set[str]) -> list[Node]:
    """Nodes on the way from the wanted values to y, last ones first."""
    nodes = list(site.sketch.nodes.values())
    reached = set(wanted)
    for node in nodes:
        if not reached.isdisjoint(node.op.operands):
            reached.update(node.results)
    found, needed = [], {y}
    for node in reversed(nodes):
        if needed.isdisjoint(node.results) or reached.isdisjoint(node.op.operands):
            continue
        found.append(node)
        needed.update(o for o in node.op.operands if o in reached)
    return [node for node in found if not wanted.issuperset(node.results)]


@quirk(f"{TRAINING}::Gradient")
def gradient(site: Site) -> None:
    """The derivative of y by every value of xs, where all other values are taken to be constant."""
    names = [site.need(i) for i in range(len(site.given.get("xs", ())))]
    y = str(site.attrs.get("y", ""))
    if y not in site.sketch:
        raise NotTaken(f"the value {y} that it differentiates is not known before it")
    do = Writer(site)
    dy = do("ConstantOfShape", do("Shape", y), value=1.0, elem=do.type(y).elem)
    found: dict[str, str] = {y: dy}
    for node in _between(site, y, set(names)):
        _back(do, node, found)
    zeros = [found.get(n) or do("Sub", n, n) for n in names]
    do.finish(*zeros)


def _back(do: Writer, node: Node, found: dict[str, str]) -> None:
    """Add the shares of one node's operands to what other nodes gave them."""
    op: Op = node.op
    share = SHARES.get(op.name)
    if share is None or len(node.results) > 1:
        raise NotTaken(f"it asks for the gradient of {op.name}, which is not known here")
    dy = found.get(node.name)
    if dy is None:
        return
    for operand, part in share(do, op, node.name, dy).items():
        part = _unspread(do, part, operand)
        found[operand] = do("Add", found[operand], part) if operand in found else part
