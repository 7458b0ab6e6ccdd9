"""The body of If, Loop and Scan is run and typed like a graph; types that several runs must share are joined."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from glowviz.compiler.graph import Constant, Graph, Node, Output, Region
from glowviz.compiler.ops.base import Op, Work
from glowviz.compiler.ops.inference import Known, infer, result_types
from glowviz.compiler.types import Dim, OptionalType, Outside, Symbol, Type, TypeProblem, of_array

Typed = Callable[[Region, Mapping[str, Type]], Region]
"""The region with inputs of these types, and the types that follow from them."""


class Controlled(Op, abstract=True):
    """An op with bodies: closed regions whose inputs are operands, and what the op itself counts."""

    family = "control"
    takes_held = True

    @property
    def regions(self) -> dict[str, Region]:
        """The bodies by attribute name."""
        return {name: value for name in self.attribute_fields() if isinstance(value := getattr(self, name), Region)}

    @property
    def pure(self) -> bool:  # type: ignore[override]  # what is in the bodies decides
        """Everything in the bodies is pure."""
        return all(node.op.pure for region in self.regions.values() for node in region)

    def settled(self, operands: tuple[Any, ...], typed: Typed) -> Any:
        """The op whose bodies have the types that these operands (by slot) give them."""
        raise NotImplementedError

    @property
    def captured(self) -> int:
        """Where in `xs` the values begin that every run of a body sees as they are."""
        return 0

    counted = 0
    """Inputs of a body in front of those for `xs`."""

    def with_constants(self, constants: Mapping[str, Constant]) -> Any:
        """The op with captured values that are constants inside of its bodies; `constants` by name of the operand."""
        xs: tuple[str, ...] = self.xs  # type: ignore[attr-defined]  # every op with bodies has them
        gone = [k for k, x in enumerate(xs) if k >= self.captured and x in constants]
        if not gone:
            return self
        bodies = {}
        for name, region in self.regions.items():
            names = list(region.inputs)
            moved = {names[self.counted + k]: constants[xs[k]] for k in gone}
            inputs = {n: t for n, t in region.inputs.items() if n not in moved}
            read = {o for node in region for o in node.op.operands} | {o.value for o in region.outputs}
            inside = {n: replace(c, name=n) for n, c in moved.items() if n in read}  # the other branch may read more
            bodies[name] = region.evolve(inputs=inputs, constants={**region.constants, **inside})
        return self.evolve(xs=tuple(x for k, x in enumerate(xs) if k not in gone), **bodies)

    def misfit(self, operands: tuple[Any, ...], results: int) -> str | None:
        """Why the bodies do not fit operands of these types (by slot), or that many results; None where they do."""
        raise NotImplementedError


def nodes_inside(graph: Graph) -> Iterator[Node]:
    """All nodes of a graph and of the bodies in it, bodies of bodies included."""
    waiting: list[Graph] = [graph]
    while waiting:
        for node in waiting.pop():
            yield node
            if isinstance(node.op, Controlled):
                waiting.extend(node.op.regions.values())


def holds_opaque(op: Any) -> bool:
    """A body has a node that can only be looked at, so that nothing is promised of its types."""
    if not isinstance(op, Controlled):
        return False
    return any(node.kind == "Opaque" for region in op.regions.values() for node in nodes_inside(region))


def run_body(region: Region, operands: Sequence[Any]) -> list[Any]:
    """The outputs of a region on these contents of its inputs, computed by numpy."""
    values: dict[str, Any] = dict(zip(region.inputs, operands, strict=True))
    values.update((name, c.array) for name, c in region.constants.items())
    for node in region:
        values.update(zip(node.results, node.op.evaluate(values.__getitem__), strict=False))
    return [values[output.value] for output in region.outputs]


def output_types(region: Region) -> tuple[Type, ...]:
    """The types of what a region returns."""
    return tuple(region.type(output.value) for output in region.outputs)


def input_types(region: Region, types: Iterable[Type]) -> dict[str, Type]:
    """Types by the name of the region's input; TypeProblem where there are more or less of them than inputs."""
    given = tuple(types)
    if len(given) != len(region.inputs):
        raise TypeProblem(f"the body @{region.name} has {len(region.inputs)} inputs, it gets {len(given)}")
    return dict(zip(region.inputs, given, strict=True))


def retyped(region: Region, inputs: Mapping[str, Type]) -> Region:
    """The region with inputs of these types; every node's types follow. The same object where nothing changes."""
    if region.inputs == inputs:
        return region
    types: dict[str, Type] = {**inputs, **{name: c.type for name, c in region.constants.items()}}
    makers: dict[str, Node] = {}
    constants = region.constants
    known = Known(lambda v: constants[v].array if v in constants else None, makers.get, types.__getitem__)
    nodes: dict[str, Node] = {}
    for node in region:
        op = settle(node.op, types.__getitem__, retyped)
        found = result_types(node, types.__getitem__, known, op)
        new = node if op is node.op and found == node.types else node.evolve(op=op, types=found)
        nodes[node.name] = new
        types.update(zip(new.results, found, strict=True))
        makers.update(dict.fromkeys(new.results, new))
    made = region.evolve(inputs=dict(inputs), nodes=nodes)
    assert isinstance(made, Region)
    return made


def settle(op: Op, type_of: Callable[[str], Type], typed: Typed) -> Op:
    """The op with bodies of its operands' types; an op without bodies, or with an Opaque in them, as it is."""
    if not isinstance(op, Controlled) or holds_opaque(op):
        return op
    return op.settled(op.gather(type_of), typed)


# types that several runs share -----------------------------------------------------------------------


def join(name: str, a: Type, b: Type) -> Type:
    """A type that has room for both: dims that differ are named after `name`; TypeProblem where kinds differ."""
    if a == b:
        return a
    if isinstance(a, OptionalType) != isinstance(b, OptionalType):  # something is an optional that is not empty
        return OptionalType(join(name, *(t.item if isinstance(t, OptionalType) else t for t in (a, b))))
    if type(a) is not type(b) or a.elem != b.elem:
        raise TypeProblem(f"%{name} is {a} here and {b} there: one value has one kind of elements")
    if isinstance(a, Outside) and isinstance(b, Outside):
        return type(a)(join(name, a.item, b.item))
    if a.shape is None or b.shape is None or len(a.shape) != len(b.shape):
        return Type(a.elem, None)
    pairs = enumerate(zip(a.shape, b.shape, strict=True))
    return Type(a.elem, tuple(_joined_dim(f"{name}.{k}", *pair) for k, pair in pairs))


def _joined_dim(name: str, a: Dim, b: Dim) -> Dim:
    return a if a == b else Symbol(name)


def covers(wide: Type, narrow: Type) -> bool:
    """Every content of the narrow type has the wide one too; dims with names stand for any number."""
    if isinstance(wide, OptionalType) and not isinstance(narrow, OptionalType):
        return covers(wide.item, narrow)
    if isinstance(wide, Outside) or isinstance(narrow, Outside):
        return type(wide) is type(narrow) and covers(wide.item, narrow.item)  # type: ignore[attr-defined]  # both Outside
    if wide.elem != narrow.elem or wide.shape is None:
        return wide.elem == narrow.elem
    if narrow.shape is None or len(wide.shape) != len(narrow.shape):
        return False
    return all(isinstance(w, Symbol) or w == n for w, n in zip(wide.shape, narrow.shape, strict=True))


def unlike(what: str, wide: Sequence[Type], narrow: Sequence[Type]) -> str | None:
    """The first of several types that the other one does not cover, told; None where all do."""
    if len(wide) != len(narrow):
        return f"{what}: {len(narrow)} for {len(wide)}"
    for position, (w, n) in enumerate(zip(wide, narrow, strict=True)):
        if not covers(w, n):
            return f"{what} {position} is {n}, the body's is {w}"
    return None


def stacked(items: Sequence[np.ndarray], item: Type, axis: int = 0, backwards: bool = False) -> np.ndarray:
    """What the iterations gave, along a new axis; without any, an empty array of the item's other dims."""
    if not items:
        dims = [dim if isinstance(dim, int) else 0 for dim in item.shape or ()]
        place = axis % (len(dims) + 1)
        return np.zeros((*dims[:place], 0, *dims[place:]), item.dtype)
    return np.stack(tuple(reversed(items)) if backwards else tuple(items), axis)


def body_work(region: Region) -> Work:
    """The work of one run of a body, as far as its sizes are known."""
    flops = moved = 0
    for node in region:
        operands = tuple(region.type(o) for o in node.op.operands)
        if all(t.static for t in (*operands, *node.types)):
            work = node.op.work(operands, node.types)
            flops, moved = flops + work.flops, moved + work.bytes
    return Work(flops, moved)


def sample_body(inputs: Mapping[str, np.ndarray], steps: Mapping[str, Op], *returned: str) -> Region:
    """A body of one-result ops by result name."""
    types = {name: of_array(array) for name, array in inputs.items()}
    entering = dict(types)
    nodes: dict[str, Node] = {}
    for name, op in steps.items():
        found = infer(op, types.__getitem__, lambda _: None)[:1]
        types[name] = found[0]
        nodes[name] = Node(op, (name,), found)
    return Region("body", entering, {}, nodes, tuple(Output(r, r) for r in returned))
