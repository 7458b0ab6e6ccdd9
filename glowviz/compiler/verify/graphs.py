"""When a Graph is well formed; a broken one is refused with the value, the node and what was expected."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from glowviz.compiler.graph import Graph, Node, Region
from glowviz.compiler.ops.inference import Known, infer
from glowviz.compiler.problem import Problem
from glowviz.compiler.types import Type, TypeProblem


class VerifyProblem(Problem):
    """An IR that is not well formed: the pass before it is at fault, never the model."""


def verify_graph(graph: Graph, since: Graph | None = None) -> None:
    """A Graph is well formed when all of these hold; VerifyProblem names the first that does not.

    Every value is defined once. Every name under which a node is kept is its first result. Every node has at
    least one result, and one type for each. Every required operand is present. Every operand is an input, a
    constant, a state, or the result of an earlier node. Every result has the element type and shape that its op
    infers from its operands, where these are bound. Every constant's content has its type's element type and
    shape. Every state's first content has its type's element type and shape. Every public output names a value,
    and no public name stands twice. Every update renews a state of the graph, by a value of its type. A region
    is closed: it has one input for each operand, of its type, and one output for each result.

    With `since`, only what is not identical in that (well-formed) graph, and its users, is looked at again.
    """
    nodes = list(graph.nodes.items())
    fresh = nodes if since is None else _fresh(graph, since)
    _definitions(graph, since)
    position = {name: k for k, (name, _) in enumerate(nodes)}
    constants = graph.constants
    known = Known(lambda v: constants[v].array if v in constants else None, graph.maker, graph.type)
    for name, node in fresh:
        _shape_of_node(name, node)
        _operands(node, graph, position)
        _types(node, graph, known)
        _region(node, graph)
    _contents(graph, since)
    _interface(graph)


def _fresh(graph: Graph, since: Graph) -> Iterable[tuple[str, Node]]:
    """Nodes that are new, and those that read a value whose maker is new."""
    old = since.nodes
    changed = {name: node for name, node in graph.nodes.items() if old.get(name) is not node}
    names = {result for node in changed.values() for result in node.results}
    names.update(result for name, node in old.items() if name not in graph.nodes for result in node.results)
    names.update(c for c in since.constants if c not in graph.constants)
    if list(old) != list(graph.nodes):
        names.update(changed)
    for value in names:
        for user in graph.users.get(value, ()):
            changed.setdefault(user.name, user)
    return changed.items()


def _definitions(graph: Graph, since: Graph | None) -> None:
    if since is not None and since.nodes is graph.nodes and since.constants is graph.constants:
        return
    count = sum(len(node.results) for node in graph)
    total = count + len(graph.inputs) + len(graph.constants) + len(graph.states)
    names = graph.makers.keys() | graph.inputs.keys() | graph.constants.keys() | graph.states.keys()
    if len(names) == total:
        return
    seen: dict[str, str] = {}
    tables: list[tuple[str, Iterable[str]]] = [
        ("an input", graph.inputs), ("a constant", graph.constants), ("a state", graph.states)]
    tables += [(f"a result of {node.kind}", node.results) for node in graph]
    for what, values in tables:
        for value in values:
            if value in seen:
                raise VerifyProblem(f"%{value} is defined twice", _whole(graph), "every value to be defined once",
                                    f"It is {seen[value]} and {what}.")
            seen[value] = what


def _whole(graph: Graph) -> str:
    return f"graph @{graph.name}"


def _at(node: Node) -> str:
    onnx = f", ONNX node {node.origin.names[0]}" if node.origin.names else ""
    return f"%{node.name} ({node.kind}{onnx})"


def _shape_of_node(name: str, node: Node) -> None:
    if not node.results or "" in node.results:
        raise VerifyProblem(f"the node kept as %{name} has a result without a name", node.kind,
                            "at least one named result")
    if name != node.results[0]:
        raise VerifyProblem(f"the node kept as %{name} defines %{node.results[0]} first", _at(node),
                            "nodes to be kept under their first result")
    if len(node.types) != len(node.results):
        raise VerifyProblem(f"it has {len(node.results)} results and {len(node.types)} types", _at(node),
                            "one type for each result")


def _operands(node: Node, graph: Graph, position: Mapping[str, int]) -> None:
    for slot in node.op.slots():
        if not slot.optional and getattr(node.op, slot.name) is None:
            raise VerifyProblem(f"operand {slot.name!r} is missing", _at(node), f"{node.kind} to have one")
    for operand in node.op.operands:
        maker = graph.maker(operand)
        if maker is None:
            if operand not in graph:
                raise VerifyProblem(f"%{operand} is used but nothing makes it", _at(node),
                                    "every operand to be an input, a constant, a state or a result")
        elif position.get(maker.name, -1) >= position[node.name]:
            raise VerifyProblem(f"%{operand} is used before it is made", _at(node), "nodes in topological order")


def _types(node: Node, graph: Graph, known: Known) -> None:
    types = [graph.type(o) for o in node.op.operands]
    if node.kind == "Opaque" or not all(getattr(t, "static", False) for t in (*types, *node.types)):
        return
    try:
        inferred = infer(node.op, graph.type, known)
    except TypeProblem as problem:
        raise VerifyProblem(f"its operands do not fit: {problem}", _at(node), "operands that the op accepts") from None
    for result, stated, found in zip(node.results, node.types, inferred, strict=False):
        if not isinstance(stated, Type) or (stated.elem, stated.shape) != (found.elem, found.shape):
            raise VerifyProblem(f"%{result} is said to be {stated}", _at(node), f"{found}, as its operands make it")


def _region(node: Node, graph: Graph) -> None:
    bodies = [(name, body) for name, body in node.op.attributes.items() if isinstance(body, Region)]
    for name, body in bodies:
        verify_graph(body)
        if node.kind != "Fused":
            continue
        operands = node.op.operands
        if len(body.inputs) != len(operands):
            raise VerifyProblem(f"its {name} has {len(body.inputs)} inputs for {len(operands)} operands", _at(node),
                                "one input for each operand: regions are closed")
        for operand, (inner, type_) in zip(operands, body.inputs.items(), strict=True):
            if graph.type(operand) != type_:
                raise VerifyProblem(f"%{operand} is {graph.type(operand)}, the region's %{inner} is {type_}",
                                    _at(node), "the types to be equal")
        if len(body.outputs) != len(node.results):
            raise VerifyProblem(f"its {name} returns {len(body.outputs)} values", _at(node),
                                f"{len(node.results)}, one for each result")


def _contents(graph: Graph, since: Graph | None) -> None:
    old = since.constants if since is not None else {}
    for name, c in graph.constants.items():
        if old.get(name) is not c:
            _content(f"constant %{name}", c.type, c.payload.array, graph)
    for name, s in graph.states.items():
        _content(f"state %{name}", s.type, s.initial.array, graph)


def _content(what: str, type_: Type, array: object, graph: Graph) -> None:
    shape, dtype = getattr(array, "shape", None), getattr(array, "dtype", None)
    if shape != type_.shape or dtype != type_.dtype:
        raise VerifyProblem(f"the content of {what} is {dtype}{list(shape or ())}", _whole(graph), f"{type_}")


def _interface(graph: Graph) -> None:
    seen: set[str] = set()
    for output in graph.outputs:
        if output.value not in graph:
            raise VerifyProblem(f"output {output.public!r} is %{output.value}, which nothing makes", _whole(graph),
                                "every public output to name a value")
        if output.public in seen:
            raise VerifyProblem(f"two outputs are called {output.public!r}", _whole(graph), "public names to differ")
        seen.add(output.public)
    for state, value in graph.updates.items():
        if state not in graph.states:
            raise VerifyProblem(f"next %{state} renews what is no state", _whole(graph), "a state of the graph")
        if value not in graph or graph.type(value) != graph.states[state].type:
            raise VerifyProblem(f"%{state} is renewed by %{value}", _whole(graph),
                                f"a value of its type, {graph.states[state].type}")
