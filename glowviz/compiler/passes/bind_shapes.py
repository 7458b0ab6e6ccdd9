"""After this pass every shape is a number and every attribute that shapes decide is written out."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np

from glowviz.compiler.graph import Constant, Graph, Node, Region, constant
from glowviz.compiler.ops import AveragePool, Conv, ConvTranspose, MaxPool, Opaque, Transpose
from glowviz.compiler.ops.base import Op
from glowviz.compiler.ops.bodies import Controlled, holds_opaque, nodes_inside, settle
from glowviz.compiler.ops.branches import Unfit
from glowviz.compiler.ops.conv import Spread
from glowviz.compiler.ops.inference import Known, result_types
from glowviz.compiler.ops.pool import Pool
from glowviz.compiler.problem import Problem
from glowviz.compiler.recording.records import PassLog, logging_to
from glowviz.compiler.rewrite import Change, graph_pass, log
from glowviz.compiler.rewrite.facts import named
from glowviz.compiler.shapes import ShapeProblem, bind, fitting_shapes, refuse_absurd, substitute
from glowviz.compiler.types import Type, TypeProblem

Shapes = Mapping[str, tuple[int, ...]]


@graph_pass(required=True, enters_bodies=False)
def bind_shapes(graph: Graph, *, shapes: Shapes | None = None) -> Graph:
    """f32[batch x 3 x h x w] -> f32[1x3x224x224]; auto_pad, strides and perm left out -> explicit numbers.

    `shapes` gives the inputs their shapes. Dimensions like a batch default to 1; any other free one is a
    ShapeProblem that says what to give. Nodes behind an Opaque keep what is not known of them. Bodies of If, Loop
    and Scan get their operands' types; what they take from outside and is known becomes a constant in them.
    """
    inputs, values = bind(graph.inputs, shapes or {}, propose=partial(proposals, graph, shapes or {}))
    for name, type_ in inputs.items():
        if type_ != graph.inputs[name]:
            reason = f"%{name} is {type_}, {_why(graph.inputs[name], values)}"
            log().change(Change("bind_input", name, reason, changed=(name,)))
    flow = _Flow(graph, inputs, values)
    nodes = {node.name: flow.renewed(node) for node in graph}
    log().tried += len(nodes)
    if flow.unchanged:
        return graph
    return graph.evolve(inputs=inputs, nodes=nodes)


def proposals(graph: Graph, given: Shapes, inputs: Mapping[str, Type] | None = None) -> dict[str, tuple[int, ...]]:
    """Full shapes, for the inputs that `given` leaves open, which the whole graph takes: every node is typed with them.

    `inputs` are their types with what is known by then.
    """
    def misfits(shapes: Shapes) -> int | None:
        try:
            with logging_to(PassLog()):
                bound = bind_shapes.function(graph, shapes={**given, **shapes})
        except (Problem, TypeProblem):
            return None
        return sum(isinstance(node.op, Unfit) for node in nodes_inside(bound))

    return fitting_shapes(inputs or graph.inputs, misfits)


def _why(before: Type, values: Mapping[str, int]) -> str:
    names = [d.name for d in before.shape or () if not isinstance(d, int)]
    bound = ", ".join(f"{n}={values[n]}" for n in names if n in values)
    return f"with {bound}" if bound else f"given for {before}"


class _Flow:
    """Types and small contents from the inputs forward, each node once, in the graph's order."""

    def __init__(self, graph: Graph, inputs: Mapping[str, Type], values: Mapping[str, int]) -> None:
        self.graph, self.values = graph, values
        self.types: dict[str, Type] = {**inputs, **{c.name: c.type for c in graph.constants.values()}}
        self.types.update((s.name, s.type) for s in graph.states.values())
        self.makers: dict[str, Node] = {}
        self.known = Known(self._constant, self.makers.get, self.types.__getitem__)
        self.open: set[str] = set()
        """Results of Opaque nodes, and what follows from them, whose shape nobody knows."""
        self.unchanged = all(inputs[n] == t for n, t in graph.inputs.items())

    def renewed(self, node: Node) -> Node:
        """The node with explicit attributes and static types; the same object where it has them already."""
        bodied = isinstance(node.op, Controlled) and not holds_opaque(node.op)
        op = self._settled(node) if bodied else self._explicit(node)
        types = self._types(node, op)
        new = node if op is node.op and types == node.types else node.evolve(op=op, types=types)
        if new is not node:
            self.unchanged = False
        for result, type_ in zip(new.results, types, strict=True):
            refuse_absurd(result, type_)
            self.types[result] = type_
            self.makers[result] = new
        return new

    def _settled(self, node: Node) -> Op:
        """The op with bodies of its operands' types, and with constants where it took what is known."""
        known = {x: c for x in node.op.operands if (c := self._held_constant(x)) is not None}
        op = node.op.with_constants(known)
        if op is not node.op:
            names = ", ".join(f"%{x}" for x in dict.fromkeys(node.op.operands) if x not in op.operands)
            reason = f"{named(node)} takes {names} from outside, and the content is known: it is a constant inside"
            log().change(Change("constant_inside", node.name, reason, changed=(node.name,)))

        def typed(region: Region, inputs: Mapping[str, Type]) -> Region:
            with log().inside(node.name):
                return _typed(region, inputs, self.values)

        try:
            return settle(op, self.types.__getitem__, typed)
        except TypeProblem as problem:
            raise self._refused(node, str(problem)) from None

    def _held_constant(self, value: str) -> Constant | None:
        """The value as a constant, where its content is known."""
        if value in self.graph.constants:
            return self.graph.constants[value]
        array = self.known(value)
        return None if array is None else constant(value, array)

    def _constant(self, value: str) -> np.ndarray | None:
        found = self.graph.constants.get(value)
        return None if found is None else found.array

    def _types(self, node: Node, op: Op) -> tuple[Type, ...]:
        waits = any(o in self.open for o in op.operands)
        if isinstance(op, Opaque) or holds_opaque(op) or (waits and not all(self.types[o].static for o in op.operands)):
            return self._left(node)
        try:
            return result_types(node, self.types.__getitem__, self.known, op)
        except (TypeProblem, LookupError, ArithmeticError) as problem:
            if waits:
                return self._left(node)
            raise self._refused(node, str(problem)) from None

    def _left(self, node: Node) -> tuple[Type, ...]:
        types = tuple(substitute(t, self.values) for t in node.types)
        self.open.update(node.results)
        return types

    def _refused(self, node: Node, problem: str) -> ShapeProblem:
        origin = ", ".join(node.origin.names) or node.name
        given = ", ".join(f"{n}: {self.types[n]}" for n in list(self.graph.inputs)[:4])
        return ShapeProblem(
            f"{node.label or node.name} does not fit these shapes: {problem}", f"%{node.name}, from ONNX node {origin}",
            f"shapes that fit the model; the inputs are {given}", "Give other shapes with --shape",
        )

    def _explicit(self, node: Node) -> Op:
        """Strides, pads and dilations as numbers, `auto_pad` resolved, `perm` in full."""
        op = node.op
        if not all(self.types[o].static for o in op.operands):
            return op
        try:
            changes = _explicit_attributes(op, [self.types[o].dims for o in op.operands])
        except (TypeProblem, LookupError, ArithmeticError) as problem:
            raise self._refused(node, str(problem)) from None
        changes = {name: value for name, value in changes.items() if getattr(op, name) != value}
        if not changes:
            return op
        told = ", ".join(f"{name}={value}" for name, value in changes.items())
        log().change(Change("explicit_attributes", node.name, f"{op.name} %{node.name}: {told}", changed=(node.name,)))
        return op.evolve(**changes)


def _typed(region: Region, inputs: Mapping[str, Type], values: Mapping[str, int]) -> Region:
    """A body with inputs of these types, its nodes made explicit."""
    flow = _Flow(region, inputs, values)
    nodes = {node.name: flow.renewed(node) for node in region}
    return region if flow.unchanged else region.evolve(inputs=dict(inputs), nodes=nodes)  # type: ignore[return-value]


def _explicit_attributes(op: Op, dims: list[tuple[int, ...]]) -> dict[str, object]:
    if isinstance(op, Conv | Pool):
        windows = op.windows(dims[0], dims[1]) if isinstance(op, Conv) else op.windows(dims[0])
        found = {"strides": windows.strides, "pads": windows.pads, "dilations": windows.dilations, "auto_pad": "NOTSET"}
        if isinstance(op, MaxPool | AveragePool) and op.auto_pad != "NOTSET":
            found["ceil_mode"] = False  # these pads leave nothing to round
        if isinstance(op, MaxPool | AveragePool) and op.ceil_mode:
            found["kernel"] = windows.reached
        return found
    if isinstance(op, ConvTranspose):
        spread = op.spread(dims[0], dims[1])
        return {
            "strides": spread.strides, "pads": (*spread.begins, *spread.ends), "dilations": spread.dilations,
            "auto_pad": "NOTSET", "output_shape": (), "output_padding": _output_padding(spread, dims[0][2:]),
        }
    if isinstance(op, Transpose) and not op.perm:
        return {"perm": tuple(range(len(dims[0])))[::-1]}
    return {}


def _output_padding(spread: Spread, spatial: tuple[int, ...]) -> tuple[int, ...]:
    """What the result has beyond the stretched input, the kernel and the pads."""
    sizes = zip(spatial, spread.kernel, spread.strides, spread.dilations, spread.begins, spread.ends, strict=True)
    plain = (s * (n - 1) + (k - 1) * d + 1 - b - e for n, k, s, d, b, e in sizes)
    return tuple(out - size for out, size in zip(spread.out, plain, strict=True))
