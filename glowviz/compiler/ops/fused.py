"""Fused is the one form of every fusion: one heavy op with its element-wise epilogue, or element-wise ops only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from typing import Any

import numpy as np

from glowviz.compiler.graph import NOWHERE, Node, Origin, Output, Region
from glowviz.compiler.ops.activations import Clip, Gelu, Relu, Sigmoid
from glowviz.compiler.ops.base import Case, Elementwise, Op, Value, Work
from glowviz.compiler.ops.cases import floats
from glowviz.compiler.ops.conv import Conv
from glowviz.compiler.ops.elementwise import Add, Mul
from glowviz.compiler.ops.inference import Known, infer
from glowviz.compiler.ops.linear import MatMul
from glowviz.compiler.types import Type, TypeProblem, of_array


class Fused(Op):
    """The nodes of `body` in one pass over memory. Body inputs are the operands in order, body outputs the results."""

    xs: tuple[Value, ...]
    body: Region = field(default_factory=Region)
    family = "elementwise"

    def infer(self, xs: tuple[Type, ...]) -> tuple[Type, ...]:
        """The body's types with these operands; a body that does not fit them is a TypeProblem."""
        names = tuple(self.body.inputs)
        if len(names) != len(xs):
            raise TypeProblem(f"the body has {len(names)} inputs, the node {len(xs)} operands")
        types = dict(zip(names, xs, strict=True))
        types |= {name: c.type for name, c in self.body.constants.items()}
        known = Known(self._constant, self.body.maker, types.__getitem__)
        for node in self.body:
            found = infer(node.op, types.__getitem__, known)
            types.update(zip(node.results, found, strict=False))
        return tuple(types[o.value] for o in self.body.outputs)

    def _constant(self, name: str) -> np.ndarray | None:
        constant = self.body.constants.get(name)
        return None if constant is None else constant.array

    def reference(self, xs: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
        values = dict(zip(self.body.inputs, xs, strict=True))
        values |= {name: c.array for name, c in self.body.constants.items()}
        for node in self.body:
            values.update(zip(node.results, node.op.evaluate(values.__getitem__), strict=False))
        return tuple(values[o.value] for o in self.body.outputs)

    def may_overwrite(self, operands: tuple[Type, ...], results: tuple[Type, ...]) -> tuple[str, ...]:
        """Operands of the result's type that only the epilogue reads: the heavy op would need them as a whole."""
        if len(results) != 1:
            return ()
        whole = {o for node in self.body if not isinstance(node.op, Elementwise) for o in node.op.operands}
        named = zip(self.body.inputs, self.xs, operands, strict=True)
        found = [x for inner, x, type_ in named if type_ == results[0] and inner not in whole]
        return tuple(x for x in dict.fromkeys(found) if self.xs.count(x) == found.count(x))

    def work(self, operands: tuple[Type, ...], results: tuple[Type, ...]) -> Work:
        flops = 0
        for node in self.body:
            flops += node.op.work(tuple(self.body.type(o) for o in node.op.operands), node.types).flops
        return Work(flops, sum(t.bytes for t in (*operands, *results)))

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        a, b = floats(rng, (2, 3, 4)), floats(rng, (3, 1))
        yield _sample({"a": a, "b": b}, {"s": Add("a", "b"), "r": Relu("s")}, "r")
        yield _sample({"a": a, "b": b}, {"s": Mul("a", "b"), "t": Sigmoid("s"), "u": Add("t", "a")}, "u", "s")
        x, w = floats(rng, (1, 3, 5, 6)), floats(rng, (4, 3, 3, 3))
        bias, rest = floats(rng, (4,)), floats(rng, (1, 4, 5, 6))
        conv = Conv("x", "w", "bias", pads=(1, 1, 1, 1))
        steps: dict[str, Op] = {"c": conv, "s": Add("c", "rest"), "y": Clip("s", 0.0, 6.0)}
        yield _sample({"x": x, "w": w, "bias": bias, "rest": rest}, steps, "y")
        gemm = {"a": floats(rng, (3, 5)), "b": floats(rng, (5, 7)), "c": floats(rng, (7,))}
        yield _sample(gemm, {"m": MatMul("a", "b"), "s": Add("m", "c"), "y": Gelu("s")}, "y")


def _sample(arrays: Mapping[str, np.ndarray], steps: Mapping[str, Op], *returned: str) -> Case:
    """A body of one-result ops by result name, over operands by name."""
    types = {name: of_array(array) for name, array in arrays.items()}
    nodes: dict[str, Node] = {}
    for name, op in steps.items():
        found = infer(op, types.__getitem__, lambda _: None)
        types[name] = found[0]
        nodes[name] = Node(op, (name,), found[:1])
    fused, _ = fuse_nodes(nodes.values(), returned, types.__getitem__)
    return Case({"xs": tuple(arrays[name] for name in fused.xs)}, {"body": fused.body})


def heavy(op: Op) -> Node | None:
    """The one node of a Fused body that is not element-wise; None where there is none."""
    if not isinstance(op, Fused):
        return None
    return next((node for node in op.body if not isinstance(node.op, Elementwise)), None)


def epilogue(op: Op) -> tuple[Node, ...]:
    """The element-wise nodes of a Fused body, in order."""
    if not isinstance(op, Fused):
        return ()
    return tuple(node for node in op.body if isinstance(node.op, Elementwise))


def fuse_nodes(
    nodes: Iterable[Node], returned: Iterable[str], type_of: Any, origin: Origin = NOWHERE
) -> tuple[Fused, tuple[str, ...]]:
    """A Fused of these nodes (in topological order) with those results, and the names of its results.

    `type_of(name)` gives the type of what comes from outside. Nodes that are Fused themselves are taken apart.
    """
    flat = tuple(n for node in nodes for n in unfused(node))
    made = {result for node in flat for result in node.results}
    outside = tuple(dict.fromkeys(o for node in flat for o in node.op.operands if o not in made))
    results = tuple(returned)
    missing = [r for r in results if r not in made]
    if missing:
        raise TypeProblem(f"%{missing[0]} is not made by the nodes that are to be fused")
    body = Region(
        name="body",
        inputs={name: type_of(name) for name in outside},
        nodes={node.name: node for node in flat},
        outputs=tuple(Output(r, r) for r in results),
    )
    return Fused(outside, body), results


def unfused(node: Node) -> tuple[Node, ...]:
    """The nodes of a Fused body under the names they have outside; a node that is not Fused stands for itself."""
    op = node.op
    if not isinstance(op, Fused):
        return (node,)
    rename: dict[str, str] = dict(zip(op.body.inputs, op.xs, strict=True))
    rename |= {o.value: result for o, result in zip(op.body.outputs, node.results, strict=True)}
    return tuple(
        inner.evolve(op=inner.op.with_operands(rename), results=tuple(rename.get(r, r) for r in inner.results))
        for inner in op.body
    )


